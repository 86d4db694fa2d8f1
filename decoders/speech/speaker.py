"""Speakers of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.decoders.speech.base import Speaker, Voice, check_sound
from anymodal.decoders.speech.family import (
    VOICES,
    SpeechFamily,
    SpeechNetworks,
    VoicePrompt,
    write_voice,
)
from anymodal.decoders.speech.pretrained import DRAWING, open_speaker
from anymodal.decoders.speech.sentences import is_speakable
from anymodal.decoders.speech.table import find_speech_family
from anymodal.io.fingerprints import tokenizer_fingerprint
from anymodal.media import Audio, Speech


class TransformersSpeaker(Speaker):
    """A speaking model of transformers; `from_pretrained` opens one.

    It says what the class's own call says at the same seed, of the same text and voice.

    Args:
        model: of a class in `decoders.speech.table.FAMILIES`.
        processor: its own; None for a model without weights.
        codec: the network apart that turns what comes out into samples, where the family has one.
        voices: by name: recordings, or tensors as the model takes them; None in a model without
            weights.

    Raises:
        ValueError: the model is of no known family, or a voice is none of its own.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        codec: nn.Module | None = None,
        voices: Mapping[str, VoicePrompt | None] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.codec = codec if codec is not None else getattr(processor, "audio_tokenizer", None)
        self.processor = processor
        self.source: dict[str, Any] = {}
        self.codec_source: dict[str, Any] | None = None
        # No text has more tokens than letters, but for the rarest of some tokenizers.
        limit = None if processor is None else self.family.max_tokens(model)
        self.max_characters = min(Speaker.max_characters, limit or Speaker.max_characters)
        self._voices = dict(voices or {})
        for name, prompt in self._voices.items():
            self._check_prompt(name, prompt)

    @property
    def family(self) -> SpeechFamily:
        """The model's family."""
        return find_speech_family(self.model.config.model_type)

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str,
        *,
        revision: str | None = None,
        dtype: str = "float32",
        voices: dict[str, str] | None = None,
        codec: str | None = None,
        codec_revision: str | None = None,
        weights: bool = True,
    ) -> TransformersSpeaker:
        """Open a model and its processor; code that comes with them is never run.

        Voices are the files in the folder `voices`, by their names, and those that are given.

        Args:
            path_or_name: a folder, or the name of a hub repository.
            revision: the hub revision to pin.
            dtype: the weights' precision.
            voices: files by the names of voices: recordings, or a tensor as safetensors or NPY.
            codec: where the network lies that turns what comes out into samples; where the
                processor says, or the model's own folder, if None.
            codec_revision: to pin of it.
            weights: without them, the model is on the meta device and no weight is read.

        Raises:
            ValueError: the model is of no known family, lacks weights, or a voice is none of its.
            OSError: there is no such folder or repository, or a file is missing.
        """
        parts = open_speaker(
            path_or_name,
            revision=revision,
            dtype=dtype,
            codec=codec,
            codec_revision=codec_revision,
            voices=voices,
            weights=weights,
        )
        speaker = cls(parts.model, parts.processor, parts.codec, parts.voices)
        speaker.source, speaker.codec_source = parts.source, parts.codec_source
        return speaker.eval()

    @property
    def voices(self) -> Sequence[str]:
        """Names of the voices that it has."""
        presets = () if self.processor is None else self.family.presets(self.processor)
        return (*self._voices, *presets)

    @property
    def takes_recordings(self) -> bool:
        """Whether it speaks in the voice of a recording."""
        return self.processor is not None and self.family.takes_recordings(
            self.model, self.processor
        )

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that its family takes."""
        others = ("steps", "guidance", "temperature")
        refused = [name for name in others if name not in self.family.settings]
        return tuple(name for name in super().settings if name not in refused)

    def add_voice(self, name: str, voice: VoicePrompt) -> None:
        """Give a voice a name: a recording, or a tensor as the model takes it.

        Raises:
            ValueError: it is none of this model's.
        """
        self._check_prompt(name, voice)
        self._voices[name] = voice

    def check_voice(self, voice: object, prefix: str = "") -> None:
        """Check that there is such a voice, as far as is known without weights."""
        if self.processor is not None or not isinstance(voice, Audio | str):
            super().check_voice(voice, prefix)

    def _check_prompt(self, name: str, prompt: VoicePrompt | None) -> None:
        if PurePath(name).name != name:
            raise ValueError(f"a voice can't be named {name!r}, since its file has its name")
        if isinstance(prompt, Tensor):
            self.family.check_prompt(self.model, prompt)
        elif isinstance(prompt, Audio) and self.processor is not None and not self.takes_recordings:
            raise ValueError(
                f"the voice {name!r} is a recording, and this {self.family.label} speaks in the "
                "voice of none; give its voices as tensors"
            )

    def speak(
        self,
        text: str,
        *,
        voice: Voice | None = None,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        temperature: float | None = None,
    ) -> Speech:
        """Speak a text.

        Args:
            text: a sentence or a few.
            voice: a name, or a recording; the first of its voices where None.
            seed: of whatever is drawn.
            steps: denoising steps of each frame, where the family takes them.
            guidance: weight of classifier-free guidance, where the family takes it.
            temperature: 0 takes the likeliest, where the family takes one.

        Raises:
            ValueError: there is nothing to say in the text, it is too long, there is no such voice,
                or nothing can be heard of it.
            NonFiniteError: NaN or infinity came out.
        """
        if self.processor is None:
            raise ValueError(
                "this speaker was opened without weights, for a plan; open it with them"
            )
        prompt, said = self._prompt(voice), self._text(text)
        given = {"steps": steps, "guidance": guidance, "temperature": temperature}
        names = self.family.settings
        options = {names[key]: value for key, value in given.items() if value is not None}
        with self.lock, torch.no_grad():
            inputs = self.family.inputs(self.model, self.processor, said, prompt)
            sound = self._generate(inputs, options, seed)
        samples = np.zeros((1, 0), np.float32)
        if sound is not None:
            samples = sound.detach().float().cpu().reshape(1, -1).numpy()
        check_sound(samples, text)
        speech = Speech(samples, self.family.rate(self.model, self.processor))
        speech.text = text
        return speech

    def _generate(self, inputs: Any, options: Mapping[str, Any], seed: int) -> Tensor | None:
        family, device = self.family, self.model.device
        inputs = {name: _moved(value, device, self.model.dtype) for name, value in inputs.items()}
        devices = [device] if device.type == "cuda" else []
        # transformers draws from torch's own generator, which others' work must not notice.
        with DRAWING, torch.random.fork_rng(devices=devices):
            # Of the processor and this device; torch.manual_seed would change other devices', too.
            torch.default_generator.manual_seed(seed)
            for each in devices:
                with torch.cuda.device(each):
                    torch.cuda.manual_seed(seed)
            networks = SpeechNetworks(self.model, self.processor, self.codec)
            return family.generate(networks, inputs, options)

    def _prompt(self, voice: Voice | None) -> VoicePrompt | None:
        if voice is not None:
            self.check_voice(voice)
        elif self.voices:  # else a model may draw another voice for each sentence
            voice = self.voices[0]
        elif self.family.needs_voice:
            raise ValueError(
                f"{self.family.label} speaks in no voice of its own, and there are none here; name "
                "files of some as voices"
            )
        return self._voices.get(voice, voice) if isinstance(voice, str) else voice

    def _text(self, text: str) -> str:
        """The text as the model is given it."""
        tokenizer = self.processor.tokenizer
        said = text
        # What is said can't become a mark of the model's.
        added = tokenizer.added_tokens_decoder.values()
        marks = {token.content for token in added if token.special}
        for token in marks.union(tokenizer.all_special_tokens):
            said = said.replace(token, " ")
        said = " ".join(said.split())
        if not is_speakable(said):
            raise ValueError(f"there is nothing to say in {text[:40]!r}; give words")
        said = self.family.prepare_text(said)
        count = len(tokenizer(said, add_special_tokens=False)["input_ids"])
        limit = self.family.max_tokens(self.model)
        if limit is not None and count > limit:
            raise ValueError(
                f"the text is too long to be spoken at once: it has {count} tokens, and "
                f"{self.family.label} reads {limit}; cut it into sentences"
            )
        return said

    def workload(self) -> Callable[[], object] | None:
        """That of its family."""
        networks = SpeechNetworks(self.model, self.processor, self.codec)
        return self.family.workload(networks, self.max_characters, self.max_seconds)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model, its processor, its codec and its voices."""
        folder = Path(folder)
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(str(folder))  # Bark's writes the name into JSON
        if self.codec is not None and self.family.codec_class:
            self.codec.save_pretrained(folder / self.family.codec_folder)  # type: ignore[operator]
            self._forget_codec_name(folder / "processor_config.json")
        if self._voices:
            (folder / VOICES).mkdir(exist_ok=True)
        for name, prompt in self._voices.items():
            assert prompt is not None, "it was opened with weights"
            write_voice(folder / VOICES, name, prompt)

    def _forget_codec_name(self, path: Path) -> None:
        """Take out of the processor's file where its codec was, since it lies beside it now."""
        if path.is_file():
            settings = json.loads(path.read_text("utf-8"))
            settings.pop("audio_tokenizer", None)
            path.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")

    def metadata(self) -> dict[str, object]:
        """The model's type and source, its voices, and the licence of each component."""
        entry: dict[str, object] = {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "model": self.model.config.model_type,
            "source": self.source,
        }
        if self.codec_source is not None:
            entry["components"] = {"codec": self.codec_source}
        if self.processor is not None:
            entry["tokenizer"] = tokenizer_fingerprint(self.processor.tokenizer)
        return entry


def _moved(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, dtype if value.is_floating_point() else None)
    return value.to(device) if hasattr(value, "to") else value
