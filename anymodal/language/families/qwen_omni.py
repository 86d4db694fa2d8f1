"""The thinkers of Qwen2.5-Omni and Qwen3-Omni: pictures, clips and sounds.

Sources: Xu et al. 2025 (Qwen2.5-Omni, arXiv:2503.20215), section 2.2 (TMRoPE); Xu et al. 2025
(Qwen3-Omni, arXiv:2509.17765); transformers' `qwen2_5_omni` and `qwen3_omni_moe`. Clips are read
without their sound.

Shapes: a sound's log mel spectrogram (bands, T), 100 frames a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import (
    Checkpoint,
    MediaReader,
    MultimodalFamily,
    PassInputs,
)
from anymodal.language.families.grids import grid_run
from anymodal.language.families.pixels import Settings, read_settings
from anymodal.language.families.qwen_vl import (
    CLIP_DEFAULTS,
    PICTURE_DEFAULTS,
    ClipReader,
    PictureReader,
    deep_stack,
)
from anymodal.language.families.sounds import SoundReader
from anymodal.media import Media
from anymodal.types import MediaPositions

SOUND_SETTINGS = (
    *("feature_extractor_type", "feature_size", "sampling_rate", "hop_length", "chunk_length"),
    *("n_fft", "padding_value", "padding_side", "dither", "return_attention_mask"),
)
"""Settings of the extractor, in a file that has the pictures' too."""


class OmniPictureReader(PictureReader):
    """Reads pictures, as Qwen2.5-Omni marks them."""

    placeholder = "<|IMAGE|>"

    def positions(self, media: Media) -> MediaPositions:
        return ("<|vision_bos|>", grid_run(self.grid(media), self.merge), "<|vision_eos|>")


class SoundStepClipReader(ClipReader):
    """Reads clips, whose frames' positions along time count in the sounds' steps."""

    marks = "<|vision_start|>", "<|vision_end|>"

    @property
    def interval(self) -> float:
        """Positions from one patch's time to the next.

        The processor takes its own rate for the clip's, whatever was sampled.
        """
        interval: float = (
            self.pair / self.settings["fps"] * self.model.config.position_id_per_seconds
        )
        return interval

    def positions(self, media: Any) -> MediaPositions:
        run = grid_run(self.grid(media), self.merge, self.interval, behind_all=True)
        return (self.marks[0], run, self.marks[1])


class WholeStepClipReader(SoundStepClipReader):
    """Reads clips as Qwen3-Omni does, which doesn't round positions; here they are whole numbers.

    Raises:
        ValueError: for a rate of frames that gives others.
    """

    def __init__(self, model: PreTrainedModel, settings: Settings) -> None:
        super().__init__(model, settings)
        if self.interval % 1:
            raise ValueError(
                f"fps={settings['fps']} of clips puts {self.interval:.2f} positions between frames;"
                " give a rate that makes it a whole number, such as 2"
            )


class OmniClipReader(SoundStepClipReader):
    """Reads clips, as Qwen2.5-Omni marks them."""

    placeholder = "<|VIDEO|>"
    marks = "<|vision_bos|>", "<|vision_eos|>"


class OmniSoundReader(SoundReader):
    """Reads sounds, a soft token for each four frames."""

    placeholder = "<|AUDIO|>"
    marks = "<|audio_bos|>", "<|audio_eos|>"
    names = SOUND_SETTINGS

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.model.model.audio_tower,)

    @property
    def max_samples(self) -> int:
        return int(self.extractor.n_samples)

    def prepare(self, media: Any) -> Tensor:
        wave = self.cut_samples(media)
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

    def count(self, samples: int) -> int:
        return self.count_frames(-(-samples // self.extractor.hop_length))

    def count_frames(self, frames: int) -> int:
        """Soft tokens of so many frames."""
        return ((frames - 1) // 2 + 1 - 2) // 2 + 1

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        longest = max(each.shape[1] for each in batch)
        padded = [nn.functional.pad(each, (0, longest - each.shape[1])) for each in batch]
        counts = torch.tensor([each.shape[1] for each in batch], device=padded[0].device)
        mask = torch.arange(longest, device=counts.device) < counts[:, None]
        output = self.model.model.get_audio_features(torch.stack(padded), mask.long())
        lengths = [self.count_frames(each.shape[1]) for each in batch]
        return list(output.last_hidden_state.split(lengths))


class ChunkedSoundReader(OmniSoundReader):
    """Reads sounds as Qwen3-Omni does: in chunks of a second, a soft token for each eight frames.

    Source: `_get_feat_extract_output_lengths` of transformers' processor.
    """

    placeholder = "<|audio_pad|>"
    marks = "<|audio_start|>", "<|audio_end|>"

    def count_frames(self, frames: int) -> int:
        chunk: int = 2 * self.model.config.audio_config.n_window
        rest = frames % chunk
        for _ in range(3):  # strided convolutions
            rest = (rest - 1) // 2 + 1
        return rest + frames // chunk * 13


class QwenOmniThinker(MultimodalFamily):
    """The thinker of Qwen2.5-Omni, from a checkpoint of its own or of the whole."""

    num_axes = 3
    model_class: Any = Qwen2_5OmniThinkerForConditionalGeneration
    picture_reader: type[PictureReader] = OmniPictureReader
    clip_reader: type[ClipReader] = OmniClipReader
    sound_reader: type[SoundReader] = OmniSoundReader

    def open_model(self, path_or_name: str, **settings: Any) -> Any:
        return self.model_class.from_pretrained(path_or_name, **settings)

    def model_on_meta(self, config: Any, dtype: torch.dtype) -> PreTrainedModel:
        own = getattr(config, "thinker_config", config)
        model: PreTrainedModel = self.model_class._from_config(own, dtype=dtype)
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
            self.picture_reader(model, pictures),
            self.clip_reader(model, clips),
            self.sound_reader(model, extractor),
        ]


class Qwen3OmniThinker(QwenOmniThinker):
    """The thinker of Qwen3-Omni, whose first layers get features of the tower's earlier ones."""

    model_class = Qwen3OmniMoeThinkerForConditionalGeneration
    picture_reader = PictureReader
    clip_reader = WholeStepClipReader
    sound_reader = ChunkedSoundReader

    def num_deep(self, config: Any) -> int:
        return len(config.vision_config.deepstack_visual_indexes)

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        return deep_stack(deep)
