"""Families of speaking models: what differs between the classes of transformers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.io.folder_check import MAX_PARSED
from anymodal.media import Audio, Media, Speech

VoicePrompt = Audio | Tensor | str
"""What a voice's name stands for: a recording, a tensor of the model's own, or a preset's name."""

VOICES = "voices"
"""The folder of a speaker's voices, each a file of its name."""
WORDS = ".txt"
"""The suffix of a file with a recording's words."""


class SpeechNetworks(NamedTuple):
    """The networks of a speaker of transformers.

    Attributes:
        model: of the family's `model_class`.
        processor: gives its inputs.
        codec: the network apart, where there is one.
    """

    model: Any
    processor: Any
    codec: nn.Module | None


class SpeechFamily(ABC):
    """How one class of transformers speaks; it keeps nothing.

    Attributes:
        label: the family's name, for messages.
        licences: of published weights, as their cards have it, for the documents.
        model_class: the class of transformers that speaks.
        settings: arguments of the class's own call, by the settings of `speak` that they are.
        needs_voice: whether nothing is spoken without a voice.
        codec_class: of a network apart that turns what comes out into samples; empty for none.
        codec_folder: where a speaker's folder has it.
    """

    label: ClassVar[str]
    licences: ClassVar[str] = ""
    model_class: ClassVar[str]
    settings: ClassVar[Mapping[str, str]] = {}
    needs_voice: ClassVar[bool] = False
    codec_class: ClassVar[str] = ""
    codec_folder: ClassVar[str] = "audio_tokenizer"

    @abstractmethod
    def rate(self, model: Any, processor: Any) -> int:
        """Samples a second of what comes out, in Hz."""

    def max_tokens(self, model: Any) -> int | None:
        """The most tokens of a text; None where there is no limit to speak of."""
        return None

    def prepare_text(self, text: str) -> str:
        """The text as the model is given it."""
        return text

    def presets(self, processor: Any) -> Sequence[str]:
        """Names of voices that the processor itself has."""
        return ()

    def takes_recordings(self, model: Any, processor: Any) -> bool:
        """Whether it speaks in the voice of a recording."""
        return False

    def check_prompt(self, model: Any, prompt: Tensor) -> None:
        """Check a voice that is a tensor.

        Raises:
            ValueError: it is none of this model's.
        """
        raise ValueError(f"{self.label} has no voices that are tensors; give recordings")

    @abstractmethod
    def inputs(self, model: Any, processor: Any, text: str, voice: VoicePrompt | None) -> Any:
        """The inputs of the model's own call, as its processor gives them."""

    @abstractmethod
    def generate(
        self, networks: SpeechNetworks, inputs: Any, options: Mapping[str, Any]
    ) -> Tensor | None:
        """Samples (n,) or (1, n) by the model's own call; None where it made none.

        Args:
            networks: of the speaker.
            inputs: of `inputs`.
            options: further arguments, of those in `settings`.
        """

    def workload(
        self, networks: SpeechNetworks, letters: int, seconds: float
    ) -> Callable[[], object] | None:
        """The work that holds most memory, for a plan on tensors without values.

        Args:
            networks: without values, and without a processor.
            letters: of the text.
            seconds: that it is spoken for, and that a recording of a voice has.

        Returns:
            A function whose result holds what stays meanwhile; None where it isn't known.
        """
        return None


def mono(audio: Audio, rate: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Samples (n,) of a recording at a rate."""
    samples: np.ndarray[Any, np.dtype[np.float32]] = audio.mono().resample(rate).samples[0]
    return samples


def read_voice(path: Path) -> VoicePrompt:
    """A voice's file: a recording, or one tensor as safetensors or NPY.

    A text file of the same name beside a recording has its words.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no voice at {path}: there is no such file")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors = load_file(path)
        if len(tensors) != 1:
            raise ValueError(
                f"{path} holds {len(tensors)} tensors, and a voice is one of them; a voice that is "
                "kept as keys and values isn't read here, so give its recording"
            )
        return next(iter(tensors.values())).float()
    if path.suffix == ".npy":
        if path.stat().st_size > MAX_PARSED:
            raise ValueError(
                f"{path} has {path.stat().st_size:,} bytes, and no voice needs so many"
            )
        return torch.from_numpy(np.load(path, allow_pickle=False)).float()
    recording = Media.load(path)
    if not isinstance(recording, Audio):
        raise ValueError(f"{path.name} is {recording.kind}; a voice is a recording")
    words = path.with_suffix(WORDS)
    if words.is_file():
        recording = Speech(recording.samples, recording.rate)
        recording.text = words.read_text("utf-8").strip()
    return recording


def write_voice(folder: Path, name: str, prompt: VoicePrompt) -> None:
    """Write a voice's file; a preset is the processor's, which writes it."""
    if isinstance(prompt, Audio):
        Audio(prompt.samples, prompt.rate).save(folder / f"{name}.wav")
        if words := getattr(prompt, "text", ""):
            (folder / f"{name}{WORDS}").write_text(words, "utf-8")
    elif isinstance(prompt, Tensor):
        from safetensors.torch import save_file

        save_file({"voice": prompt.contiguous()}, folder / f"{name}.safetensors")
