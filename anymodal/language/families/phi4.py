"""Phi-4-multimodal: pictures in crops beside the whole, with lines' ends, and sounds.

Source: Abouelenin et al. 2025 (Phi-4-Mini, arXiv:2503.01743), section 2.2; transformers'
`phi4_multimodal`. A sound's soft tokens are others in a conversation with pictures. transformers
has a processor of pictures for torchvision alone, of which this is an equivalent on Pillow and
torch.

Shapes: a picture of r × c crops of S pixels a side, each of m × m patches, merged 2 × 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Phi4MultimodalFeatureExtractor, PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import AutoFamily, Checkpoint, MediaReader
from anymodal.language.families.frames import NO_CLIPS
from anymodal.language.families.pixels import (
    Settings,
    prepare_pixels,
    read_settings,
    write_settings,
)
from anymodal.language.families.sounds import SoundReader
from anymodal.media import Image, Media, Video
from anymodal.types import MediaPositions, SoftRun

PICTURE_DEFAULTS: Settings = {
    "resample": 3,  # bicubic, of the whole picture
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "size": {"height": 448, "width": 448},
    "patch_size": 14,
    "dynamic_hd": 36,
}
BILINEAR = 2
"""Pillow's number, of the way in which crops are resized."""
SHORTEST = 10
"""Pixels that a resized picture has at least on its shorter side."""
MINUTES = 30
"""Of the longest sound that the model was made for."""


class Cut(NamedTuple):
    """A picture's cut: rows and columns of crops, its size within them, and its patches.

    The size of a prepared one is a little larger, whole patches.
    """

    rows: int
    columns: int
    height: int
    width: int
    patch_rows: int
    patch_columns: int


class CropReader(MediaReader):
    """Reads pictures. The shape of what is prepared tells the cut, so that a plan knows it too.

    Args:
        model: the language model.
        settings: of pictures.
        placeholder: holds the place of a soft token.
    """

    media = Image

    def __init__(self, model: PreTrainedModel, settings: Settings, placeholder: str) -> None:
        super().__init__(model)
        self.settings, self.placeholder = settings, placeholder
        self.side = int(settings["size"]["height"])
        self.patch = int(settings["patch_size"])
        self.grid = self.side // self.patch  # patches of a crop along each side
        self.white = prepare_pixels(
            np.full((1, 1, 1, 3), 255, np.uint8), (1, 1), {**settings, "do_resize": True}
        )[0]  # (3, 1, 1)
        # Without padding in a batch, transformers' attention of the tower takes this for True, and
        # no patch would see a later one; in the published model's, all see each other.
        parts: list[Any] = [*self.modules[0].modules()]
        for part in parts:
            if hasattr(part, "is_causal"):
                part.is_causal = False

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.model.model.embed_tokens_extend.image_embed,)

    def metadata(self) -> Mapping[str, object]:
        return self.settings

    def save_pretrained(self, folder: str | Path) -> None:
        write_settings(self.settings, folder, clips=False)

    def cut(self, height: int, width: int) -> Cut:
        """The cut of a picture.

        Source: `dynamic_preprocess` of transformers' processor.

        Raises:
            ValueError: for a picture that is too long.
        """
        rows, columns = math.ceil(height / self.side), math.ceil(width / self.side)
        if rows * columns > self.settings["dynamic_hd"]:
            rows, columns = self._nearest(height, width)
        whole = rows * self.side, columns * self.side
        scale = min(whole[0] / height, whole[1] / width)
        if whole[1] / width < whole[0] / height:
            size = int(height * scale), whole[1]
        else:
            size = whole[0], int(width * scale)
        if min(size) < SHORTEST:
            raise ValueError(
                f"a picture of {width}×{height} pixels has {min(size)} on its shorter side where "
                f"the language model reads it, less than {SHORTEST}; cut it"
            )
        patches = [
            side // self.patch - (side - own) // self.patch
            for side, own in zip(whole, size, strict=True)
        ]
        return Cut(rows, columns, *size, *patches)

    def _nearest(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns, of so many crops at most, whose shape is nearest to a picture's."""
        most = self.settings["dynamic_hd"]
        shapes = [(r, c) for r in range(1, most + 1) for c in range(1, most // r + 1)]
        best, least = (1, 1), math.inf
        for rows, columns in sorted(shapes, key=math.prod):
            distance = abs(width / height - columns / rows)
            # Of equal shapes the larger one, where it isn't more than twice as large.
            fills = height * width > 0.5 * self.side**2 * rows * columns
            if distance < least or (distance == least and fills):
                best, least = (rows, columns), distance
        return best

    def count(self, cut: Cut) -> int:
        """Soft tokens of crops and of the whole, with their lines' ends, and one between."""
        rows = self._merged(cut.rows, cut.patch_rows)
        columns = self._merged(cut.columns, cut.patch_columns)
        whole = self._merged(1, self.grid)
        return rows * (columns + 1) + 1 + whole * (whole + 1)

    def _merged(self, crops: int, patches: int) -> int:
        """Merged patches along a side that has so many patches."""
        places = np.arange(crops * self.grid).reshape(crops, self.grid)[:, ::2]
        return int((places < patches).sum())

    def positions(self, media: Any) -> MediaPositions:
        return (SoftRun(self.count(self.cut(*media.pixels.shape[:2]))),)

    def prepare(self, media: Any) -> Tensor:
        cut = self.cut(*media.pixels.shape[:2])
        settings = {**self.settings, "do_resize": True, "resample": BILINEAR}
        pixels = prepare_pixels(media.pixels[None], (cut.height, cut.width), settings)[0]
        # Patches that are white alone are left out; no crop is all of such, or fewer crops would
        # have been nearer to the picture's shape.
        return self._on_white(pixels, [n * self.patch for n in (cut.patch_rows, cut.patch_columns)])

    def cut_of(self, pixels: Tensor) -> Cut:
        """The cut of a prepared picture (3, h, w)."""
        height, width = pixels.shape[1:]
        rows, columns = -(-height // self.side), -(-width // self.side)
        return Cut(rows, columns, height, width, height // self.patch, width // self.patch)

    def _on_white(self, pixels: Tensor, sides: Sequence[int]) -> Tensor:
        """Pixels (3, h, w) in the corner of a white picture of such a height and width."""
        padded = self.white.to(pixels).repeat(1, *sides)
        padded[:, : pixels.shape[1], : pixels.shape[2]] = pixels
        return padded

    def collate(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        """Prepared items on the tower's device, in whose precision the whole isn't resized."""
        return [each.to(self.device) for each in prepared]

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        return [self._read(self.cut_of(each), each) for each in batch]

    def _read(self, cut: Cut, pixels: Tensor) -> Tensor:
        """Soft tokens (K, D) of a picture, by the model's own module."""
        (module,), config = self.modules, self.model.config
        side, grid, device = self.side, self.grid, pixels.device
        dtype = next(module.parameters()).dtype
        canvas = self._on_white(pixels, (cut.rows * side, cut.columns * side))
        parts = canvas.view(3, cut.rows, side, cut.columns, side)
        mode = "bilinear" if self.settings["resample"] == BILINEAR else "bicubic"
        whole = F.interpolate(parts.reshape(1, 3, cut.rows * side, -1), (side, side), mode=mode)
        crops = torch.cat([whole, parts.permute(1, 3, 0, 2, 4).flatten(0, 1)])
        rows = torch.arange(cut.rows * grid, device=device) < cut.patch_rows
        columns = torch.arange(cut.columns * grid, device=device) < cut.patch_columns
        mask = (rows[:, None] & columns).view(cut.rows, grid, cut.columns, grid)
        masks = mask.transpose(1, 2).flatten(0, 1)  # (r · c, m, m)
        count = self.count(cut)
        tokens: Tensor = module(
            torch.full((1, count), config.vision_config.image_token_id, device=device),
            torch.zeros(1, count, config.hidden_size, device=device, dtype=dtype),
            image_pixel_values=crops[None].to(dtype),
            image_sizes=torch.tensor([[cut.rows * side, cut.columns * side]], device=device),
            image_attention_mask=torch.cat([torch.ones_like(masks[:1]), masks])[None],
        )
        return tokens[0]


class SpeechReader(SoundReader):
    """Reads sounds, a soft token for each eight frames of a spectrogram.

    Args:
        model: the language model.
        extractor: makes spectrograms.
        placeholder: holds the place of a soft token.
    """

    beside = Image
    names = (
        *("feature_extractor_type", "feature_size", "sampling_rate", "padding_value"),
        *("padding_side", "return_attention_mask", "hop_length", "n_fft", "win_length"),
        *("preemphasis", "audio_compression_rate", "audio_downsample_rate", "audio_feat_stride"),
    )

    def __init__(
        self,
        model: PreTrainedModel,
        extractor: Phi4MultimodalFeatureExtractor,
        placeholder: str,
    ) -> None:
        super().__init__(model, extractor)
        self.placeholder = placeholder

    @property
    def modules(self) -> Sequence[nn.Module]:
        return (self.model.model.embed_tokens_extend.audio_embed,)

    @property
    def max_samples(self) -> int:
        return MINUTES * 60 * int(self.extractor.sampling_rate)

    def count(self, samples: int) -> int:
        extractor = self.extractor
        frames = max((samples - extractor.win_length) // extractor.hop_length + 1, 0)
        return self.count_frames(frames)

    def count_frames(self, frames: int) -> int:
        """Soft tokens of so many frames."""
        extractor = self.extractor
        kept = -(-frames * extractor.audio_feat_stride // extractor.audio_compression_rate)
        return int(-(-kept // extractor.audio_downsample_rate))

    def prepare(self, media: Any) -> Tensor:
        rate = self.extractor.sampling_rate
        inputs = self.extractor([self.cut_samples(media)], sampling_rate=rate)
        features: Tensor = inputs["audio_input_features"][0]  # (frames, bands)
        return features

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        """Soft tokens without pictures beside and, along the width, with some (K, 2 · D)."""
        (module,) = self.modules
        embed: Any = module
        tokens = []
        for features in batch:
            states = embed.encoder(features[None], None)[0, : self.count_frames(len(features))]
            alone = embed.down_proj_for_speech(F.gelu(embed.up_proj_for_speech(states)))
            seen = F.gelu(embed.up_proj_for_vision_speech(states))
            tokens.append(torch.cat([alone, embed.down_proj_for_vision_speech(seen)], -1))
        return tokens


class Phi4Multimodal(AutoFamily):
    """Phi-4-multimodal. Its checkpoint has an adapter for pictures, with sounds or without, and one
    for sounds; one of them may be merged as it is opened.
    """

    unread: ClassVar[Mapping[type[Media], str]] = {Video: NO_CLIPS}
    adapters: ClassVar[Mapping[str, str]] = {"vision": "vision-lora", "speech": "speech-lora"}

    @property
    def auto_class(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        config: Any = model.config
        tokens = config.vision_config.image_token_id, config.audio_config.audio_token_id
        seen, heard = (str(tokenizer.convert_ids_to_tokens(token)) for token in tokens)
        pictures = read_settings(checkpoint, PICTURE_DEFAULTS, clips=False)
        pictures = {k: value for k, value in pictures.items() if k not in SpeechReader.names}
        extractor = Phi4MultimodalFeatureExtractor.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        return [CropReader(model, pictures, seen), SpeechReader(model, extractor, heard)]
