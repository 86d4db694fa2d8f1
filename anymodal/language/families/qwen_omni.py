"""The thinker of Qwen2.5-Omni: pictures, clips and sounds.

Source: Xu et al. 2025 (Qwen2.5-Omni, arXiv:2503.20215), section 2.2 (TMRoPE); transformers'
`qwen2_5_omni`. Clips are read without their sound.

Shapes: a sound's log mel spectrogram (bands, T), 100 frames a second; a soft token for each four.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from anymodal.encoders.lengths import warn_if_cut
from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, MediaReader, MultimodalFamily
from anymodal.language.families.grids import grid_run
from anymodal.language.families.pixels import PICTURES, read_settings
from anymodal.language.families.qwen_vl import (
    CLIP_DEFAULTS,
    PICTURE_DEFAULTS,
    ClipReader,
    PictureReader,
)
from anymodal.media import Audio, Media
from anymodal.types import MediaPositions, SoftRun

SOUND_SETTINGS = (
    *("feature_extractor_type", "feature_size", "sampling_rate", "hop_length", "chunk_length"),
    *("n_fft", "padding_value", "padding_side", "dither", "return_attention_mask"),
)
"""Settings of the extractor, in a file that has the pictures' too."""


class OmniPictureReader(PictureReader):
    """Reads pictures."""

    placeholder = "<|IMAGE|>"

    def positions(self, media: Media) -> MediaPositions:
        return ("<|vision_bos|>", grid_run(self.grid(media), self.merge), "<|vision_eos|>")


class OmniClipReader(ClipReader):
    """Reads clips, whose frames' positions along time count in the sounds' steps."""

    placeholder = "<|VIDEO|>"

    def positions(self, media: Any) -> MediaPositions:
        # The processor takes its own rate for the clip's, whatever was sampled.
        interval = self.pair / self.settings["fps"] * self.model.config.position_id_per_seconds
        run = grid_run(self.grid(media), self.merge, interval, behind_all=True)
        return ("<|vision_bos|>", run, "<|vision_eos|>")


class SoundReader(MediaReader):
    """Reads sounds.

    Args:
        model: the thinker.
        extractor: makes spectrograms.
    """

    media, placeholder = Audio, "<|AUDIO|>"

    def __init__(self, model: PreTrainedModel, extractor: WhisperFeatureExtractor) -> None:
        super().__init__(model)
        self.extractor = extractor

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.model.model.audio_tower,)

    def metadata(self) -> Mapping[str, object]:
        settings = self.extractor.to_dict()  # with those of pictures, which the same file has
        return {name: settings[name] for name in SOUND_SETTINGS if name in settings}

    def save_pretrained(self, folder: str | Path) -> None:
        file = Path(folder) / PICTURES  # one file has the settings of pictures and sounds
        settings = json.loads(file.read_text("utf-8")) if file.exists() else {}
        text = json.dumps({**self.metadata(), **settings}, indent=2) + "\n"
        file.write_text(text, "utf-8")

    def samples(self, media: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        """One channel at the extractor's rate, no longer than it takes."""
        wave: np.ndarray[Any, np.dtype[np.float32]] = (
            media.mono().resample(self.extractor.sampling_rate).samples[0]
        )
        return wave[: self.extractor.n_samples]

    def prepare(self, media: Any) -> Tensor:
        wave = self.samples(media)
        seconds = self.extractor.n_samples / self.extractor.sampling_rate
        warn_if_cut(media, seconds, "cut it into pieces")
        frames = -(-len(wave) // self.extractor.hop_length)
        # The last window reaches beyond the end, where transformers' padding is silent.
        padded = np.pad(wave, (0, 2 * self.extractor.n_fft))
        inputs = self.extractor(
            padded,
            sampling_rate=self.extractor.sampling_rate,
            padding="longest",
            return_tensors="np",
        )
        return torch.from_numpy(np.ascontiguousarray(inputs["input_features"][0][:, :frames]))

    def positions(self, media: Any) -> MediaPositions:
        frames = -(-len(self.samples(media)) // self.extractor.hop_length)
        count = ((frames - 1) // 2 + 1 - 2) // 2 + 1
        if count < 1:
            raise ValueError(
                f"a sound of {frames} hundredths of a second is too short for this language model; "
                "give at least 0.03 seconds"
            )
        return ("<|audio_bos|>", SoftRun(count), "<|audio_eos|>")

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        longest = max(each.shape[1] for each in batch)
        padded = [nn.functional.pad(each, (0, longest - each.shape[1])) for each in batch]
        counts = torch.tensor([each.shape[1] for each in batch], device=padded[0].device)
        mask = torch.arange(longest, device=counts.device) < counts[:, None]
        output = self.model.model.get_audio_features(torch.stack(padded), mask.long())
        lengths = ((counts - 1) // 2 + 1 - 2) // 2 + 1
        return list(output.last_hidden_state.split(lengths.tolist()))


class QwenOmniThinker(MultimodalFamily):
    """The thinker of Qwen2.5-Omni, from a checkpoint of its own or of the whole."""

    num_axes = 3

    def open_model(self, path_or_name: str, **settings: Any) -> Any:
        return Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(path_or_name, **settings)

    def model_on_meta(self, config: Any, dtype: torch.dtype) -> PreTrainedModel:
        own = getattr(config, "thinker_config", config)
        model: PreTrainedModel = Qwen2_5OmniThinkerForConditionalGeneration._from_config(
            own, dtype=dtype
        )
        return model

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        extractor = WhisperFeatureExtractor.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        pictures = read_settings(checkpoint, PICTURE_DEFAULTS, clips=False)
        pictures = {k: value for k, value in pictures.items() if k not in SOUND_SETTINGS}
        clips = read_settings(checkpoint, CLIP_DEFAULTS, clips=True)
        return [
            OmniPictureReader(model, pictures),
            OmniClipReader(model, clips),
            SoundReader(model, extractor),
        ]
