"""Gemma 4: pictures and clips of any shape within a budget of soft tokens, and sounds.

Source: transformers' `gemma4`. Models of two kinds have this type: small ones (E2B, E4B), whose
layers are each told of the tokens' ids (`gemma4_text.py`), and large ones (26B, 31B), in which the
soft tokens of a picture or frame see each other in layers of sliding windows.

Shapes: T frames of a clip or 1 picture, P patches at most, K soft tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Gemma4AudioFeatureExtractor, PreTrainedModel
from transformers.feature_extraction_utils import FeatureExtractionMixin
from transformers.models.gemma4.image_processing_pil_gemma4 import get_aspect_ratio_preserving_size
from transformers.models.gemma4.modeling_gemma4 import (
    create_masks_for_vision_model,
    get_block_sequence_ids_for_mask,
)

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import (
    Checkpoint,
    ImageTextFamily,
    MediaReader,
    MultimodalFamily,
    PassInputs,
)
from anymodal.language.families.gemma4_text import LayersWithIds
from anymodal.language.families.pixels import (
    Settings,
    prepare_pixels,
    read_settings,
    write_settings,
)
from anymodal.language.families.sounds import SoundReader
from anymodal.media import Audio, Image, Media, Video
from anymodal.types import MediaPositions, SoftRun

PICTURE_DEFAULTS: Settings = {
    "do_resize": True,
    "resample": 3,  # bicubic
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.0, 0.0, 0.0],
    "image_std": [1.0, 1.0, 1.0],
    "patch_size": 16,
    "pooling_kernel_size": 3,
    "max_soft_tokens": 280,
}
CLIP_DEFAULTS: Settings = {**PICTURE_DEFAULTS, "max_soft_tokens": 70, "num_frames": 32}


def cut_patches(frames: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Patches of frames (T, 3, h, w), row by row: (T, P, side² · 3); their columns and rows
    (T, P, 2).
    """
    count, channels, height, width = frames.shape
    rows, columns = height // side, width // side
    parts = frames.reshape(count, channels, rows, side, columns, side)
    pixels = parts.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
    grid = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    places = torch.stack([grid[1], grid[0]], -1).flatten(0, 1).to(frames.device)
    return pixels, places.expand(count, -1, -1)


class BudgetReader(MediaReader):
    """Reads pictures, or frames of clips, of any shape as at most so many soft tokens each.

    Args:
        model: the language model.
        settings: of pictures or clips.
        tokens: what stands before, for and behind a soft token.
    """

    clips: bool

    def __init__(
        self, model: PreTrainedModel, settings: Settings, tokens: tuple[str, str, str]
    ) -> None:
        super().__init__(model)
        self.settings = settings
        self.opening, self.placeholder, self.closing = tokens
        self.patch, self.pool = settings["patch_size"], settings["pooling_kernel_size"]
        self.most = settings["max_soft_tokens"] * self.pool**2  # patches

    @property
    def modules(self) -> Sequence[nn.Module]:
        inner: Any = self.model.model
        return inner.vision_tower, inner.embed_vision

    def metadata(self) -> Mapping[str, object]:
        return self.settings

    def save_pretrained(self, folder: str | Path) -> None:
        write_settings(self.settings, folder, self.clips)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which frames are resized."""
        size: tuple[int, int] = get_aspect_ratio_preserving_size(
            height, width, self.patch, self.most, self.pool
        )
        return size

    def run(self, height: int, width: int) -> SoftRun:
        """The positions of one frame."""
        rows, columns = (side // (self.patch * self.pool) for side in self.size(height, width))
        return SoftRun(rows * columns)

    def prepare_frames(self, frames: NDArray[np.uint8]) -> Tensor:
        """Frames (T, H, W, 3) as the tower takes them (T, 3, h, w)."""
        return prepare_pixels(frames, self.size(*frames.shape[1:3]), self.settings)

    def soft_tokens(self, batch: Sequence[Tensor]) -> Tensor:
        """Soft tokens (all frames' K, D) of prepared frames."""
        tower, embed = self.modules
        pairs = [self.patches(frames) for frames in batch]
        output = tower(
            pixel_values=torch.cat([pixels for pixels, _ in pairs]),
            pixel_position_ids=torch.cat([places for _, places in pairs]),
        )
        tokens: Tensor = embed(inputs_embeds=output.last_hidden_state)
        return tokens

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        values = self.soft_tokens(batch)
        tokens, start = [], 0
        for frames in batch:
            area = frames.shape[2] * frames.shape[3] // (self.patch * self.pool) ** 2
            # By the sizes, which tensors without values have too, as those of a plan are.
            tokens.append(values[start : start + len(frames) * area])
            start += len(frames) * area
        marks = [torch.zeros_like(each) for each in tokens]
        for each in marks:
            each[:, 0] = 1  # that they are seen
        return [torch.cat(pair, -1) for pair in zip(tokens, marks, strict=True)]  # (K, 2 · D)

    def patches(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (T, P, 3 · patch²) and their columns and rows (T, P, 2), -1 for padding."""
        pixels, places = cut_patches(frames, self.patch)
        missing = (0, 0, 0, self.most - pixels.shape[1])
        return F.pad(pixels, missing), F.pad(places, missing, value=-1)


class BudgetPictureReader(BudgetReader):
    """Reads pictures."""

    media, clips = Image, False

    def prepare(self, media: Any) -> Tensor:
        return self.prepare_frames(media.pixels[None])

    def positions(self, media: Any) -> MediaPositions:
        return (self.opening, self.run(*media.pixels.shape[:2]), self.closing)


class BudgetClipReader(BudgetReader):
    """Reads clips as evenly spread frames, each with its time before it."""

    media, clips = Video, True

    def chosen(self, media: Any) -> NDArray[np.int64]:
        """The numbers of the frames that are read.

        Source: `default_sample_indices_fn` of transformers.
        """
        total = len(media.frames)
        count = min(self.settings["num_frames"], total)
        chosen: NDArray[np.int64] = np.arange(count) * total // count
        return chosen

    def prepare(self, media: Any) -> Tensor:
        return self.prepare_frames(media.frames[self.chosen(media)])

    def positions(self, media: Any) -> MediaPositions:
        return tuple(self._frames(media))

    def _frames(self, media: Any) -> Iterator[str | SoftRun]:
        run, before = self.run(*media.frames.shape[1:3]), ""
        for number in self.chosen(media):
            minutes, seconds = divmod(int(number / media.fps), 60)
            yield f"{before}{minutes:02d}:{seconds:02d} {self.opening}"
            yield run
            before = f"{self.closing} "
        yield self.closing


class MarkedSoundReader(SoundReader):
    """A reader of sounds whose soft tokens stand between two marks.

    Args:
        model: the language model.
        extractor: prepares sounds.
        tokens: the mark before soft tokens, their placeholder, and the mark behind them.
    """

    extractor_class: ClassVar[Any]

    def __init__(
        self,
        model: PreTrainedModel,
        extractor: FeatureExtractionMixin,
        tokens: tuple[str, str, str],
    ) -> None:
        super().__init__(model, extractor)
        opening, self.placeholder, closing = tokens
        self.marks = opening, closing


class HearingReader(MarkedSoundReader):
    """Reads sounds, a soft token for each four frames of a spectrogram."""

    extractor_class = Gemma4AudioFeatureExtractor
    names = (
        *("feature_extractor_type", "feature_size", "sampling_rate", "padding_value"),
        *("return_attention_mask", "padding_side", "frame_length_ms", "hop_length_ms"),
        *("min_frequency", "max_frequency", "preemphasis", "preemphasis_htk_flavor"),
        *("fft_overdrive", "dither", "input_scale_factor", "mel_floor", "per_bin_mean"),
        *("per_bin_stddev", "frame_length", "hop_length", "fft_length"),
    )
    max_samples = 480_000
    """That transformers' extractor cuts a sound to by default."""

    @property
    def modules(self) -> Sequence[nn.Module]:
        inner: Any = self.model.model
        return inner.audio_tower, inner.embed_audio

    def metadata(self) -> Mapping[str, object]:
        settings = dict(super().metadata())
        # As the extractor is built; what it tells of itself are samples.
        for name in ("frame_length", "hop_length"):
            samples = getattr(self.extractor, name)
            settings[f"{name}_ms"] = 1000 * samples / self.extractor.sampling_rate
        return settings

    def frames(self, samples: int) -> int:
        """Frames of a spectrogram whose windows end within a sound of so many samples."""
        length, hop = self.extractor.frame_length, self.extractor.hop_length
        return int(max((samples + length // 2 - length - 1) // hop + 1, 0))

    def count(self, samples: int) -> int:
        return self.count_frames(self.frames(samples))

    def count_frames(self, frames: int) -> int:
        """Soft tokens of so many frames, of which two convolutions each keep half."""
        return -(-frames // 4)

    def prepare(self, media: Any) -> Tensor:
        wave = self.cut_samples(media)
        inputs = self.extractor([wave], return_tensors="np")
        features = np.asarray(inputs["input_features"][0][: self.frames(len(wave))], np.float32)
        return torch.from_numpy(np.ascontiguousarray(features))  # (frames, bands)

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        features = nn.utils.rnn.pad_sequence([*batch], batch_first=True)
        counts = torch.tensor([len(each) for each in batch], device=features.device)
        mask = torch.arange(features.shape[1], device=features.device) < counts[:, None]
        output = self.model.model.get_audio_features(features, mask, return_dict=True)
        lengths = [self.count_frames(len(each)) for each in batch]
        pairs = zip(output.pooler_output, lengths, strict=True)
        return [tokens[:count] for tokens, count in pairs]


class Gemma4(LayersWithIds, ImageTextFamily):
    """The large models of Gemma 4, in which the soft tokens of a frame see each other."""

    is_causal = False
    renders_parts = True
    unread: ClassVar[Mapping[type[Media], str]] = {
        Audio: "only the small models of Gemma 4 (E2B, E4B) and the unified one (12B) hear; open "
        "one of these, or give a modality with an encoder of sounds"
    }
    picture_reader: ClassVar[type[BudgetReader]] = BudgetPictureReader
    clip_reader: ClassVar[type[BudgetReader]] = BudgetClipReader
    sound_reader: ClassVar[type[MarkedSoundReader]] = HearingReader
    seen_masks: ClassVar[Any] = staticmethod(create_masks_for_vision_model)

    def variant(self, config: Any) -> MultimodalFamily:
        sees = config.get_text_config().use_bidirectional_attention == "vision"
        return self if sees else CausalGemma4()

    def num_deep(self, config: Any) -> int:
        return 1  # which tells what is seen, and ids

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        """Inputs of layers by tokens' ids, and masks in which a frame's soft tokens see each other.

        What is cached already sees nothing more, so it belongs to no frame here.
        """
        marks, config = deep[:, :, 0], inputs.config
        more = super().deep_inputs(inputs, deep)
        if config.use_bidirectional_attention == "vision":
            seen = (marks[..., 0] > 0).long()
            blocks = get_block_sequence_ids_for_mask(seen, device=seen.device)  # (B, T)
            past = 0 if inputs.past is None else inputs.past.get_seq_length()
            more["attention_mask"] = self.seen_masks(
                config=config,
                inputs_embeds=inputs.embeds,
                attention_mask=inputs.mask,
                past_key_values=inputs.past,
                position_ids=inputs.positions,
                block_sequence_ids=F.pad(blocks, (past, 0), value=-1),
            )
        return more

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        config: Any = model.config

        def tokens(*ids: int) -> tuple[str, str, str]:
            opening, soft, closing = (str(tokenizer.convert_ids_to_tokens(each)) for each in ids)
            return opening, soft, closing

        pictures = read_settings(checkpoint, PICTURE_DEFAULTS, clips=False)
        names = self.sound_reader.names
        pictures = {key: value for key, value in pictures.items() if key not in names}
        clips = read_settings(checkpoint, CLIP_DEFAULTS, clips=True)
        opening, closing = config.boi_token_id, config.eoi_token_id
        seen = tokens(opening, config.image_token_id, closing)
        filmed = tokens(opening, config.video_token_id, closing)
        readers: list[MediaReader] = [
            self.picture_reader(model, pictures, seen),
            self.clip_reader(model, clips, filmed),
        ]
        if config.audio_config is not None:  # the large models are deaf
            extractor = self.sound_reader.extractor_class.from_pretrained(
                checkpoint.path_or_name, revision=checkpoint.revision
            )
            heard = tokens(config.boa_token_id, config.audio_token_id, config.eoa_token_index)
            readers.append(self.sound_reader(model, extractor, heard))
        return readers


class CausalGemma4(Gemma4):
    """The small models of Gemma 4, in which no position sees a later one."""

    is_causal = True
