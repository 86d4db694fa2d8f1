"""Idefics 3 and SmolVLM: a picture's tiles in rows, each named, and its whole; SmolVLM's clips.

Sources: Laurençon et al. 2024 (Idefics 3, arXiv:2408.12637), section 3.1; Marafioti et al. 2025
(SmolVLM, arXiv:2504.05299); transformers' `idefics3` and `smolvlm`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Idefics3ImageProcessorPil, PreTrainedModel, SmolVLMImageProcessorPil
from transformers.image_transforms import resize

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.frames import FRAME_DEFAULTS, NO_CLIPS, FrameReader
from anymodal.language.families.pixels import Settings, prepare_pixels, read_settings
from anymodal.language.families.tiles import TileReader
from anymodal.media import Media, Video
from anymodal.types import MediaPositions, SoftRun

CLIP_DEFAULTS: Settings = {
    **{name: value for name, value in FRAME_DEFAULTS.items() if name != "size"},
    "resample": 1,  # Lanczos
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "max_image_size": {"longest_edge": 364},
}
CLIP_SIZE = {"longest_edge": 4 * 364}
"""Of a resized frame, where no file tells it."""
SKIPPED = 1
"""Seconds that aren't looked at, at both ends of a clip that is long enough."""

MAX_SIDE = 4096
"""Pixels of a picture's longest side, before it is cut."""

_AROUND = "<fake_token_around_image>"


class NamedTileReader(TileReader):
    """Reads pictures as tiles that are named by row and column."""

    placeholder = "<image>"

    def tile_grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles; (0, 0) for a picture that stays whole."""
        if not self.processor.do_image_splitting:
            return 0, 0
        tile = self.processor.max_image_size["longest_edge"]
        if self.processor.do_resize:
            height, width = _fit_longest(height, width, self.processor.size["longest_edge"])
        ratio = width / height
        if width >= height:
            width = math.ceil(width / tile) * tile
            height = math.ceil(int(width / ratio) / tile) * tile
        else:
            height = math.ceil(height / tile) * tile
            width = math.ceil(int(height * ratio) / tile) * tile
        whole = height <= tile and width <= tile
        return (0, 0) if whole else (height // tile, width // tile)

    def positions(self, media: Any) -> MediaPositions:
        return tuple(self._runs(*self.tile_grid(*media.pixels.shape[:2])))

    def _runs(self, rows: int, columns: int) -> Iterator[str | SoftRun]:
        run, before = SoftRun(self.model.model.image_seq_len), ""
        for row in range(rows):
            for column in range(columns):
                yield f"{before}{_AROUND}<row_{row + 1}_col_{column + 1}>"
                yield run
                before = ""
            before = "\n"
        yield f"{before}\n{_AROUND}<global-img>" if rows else f"{_AROUND}<global-img>"
        yield run
        yield _AROUND

    def features(self, tiles: Tensor) -> Tensor:
        return read_tiles(self.model, tiles)


def read_tiles(model: PreTrainedModel, tiles: Tensor) -> Tensor:
    """Soft tokens (N, K, D) of tiles (N, 3, S, S), by the model's own tower and connector.

    transformers' own way around these drops tiles of zeros, which a plan has no values to find by;
    here none is there to fill up a batch.
    """
    inner: Any = model.model
    tokens: Tensor = inner.connector(inner.vision_model(pixel_values=tiles).last_hidden_state)
    return tokens


def _fit_longest(height: int, width: int, longest: int) -> tuple[int, int]:
    """A picture's size where its longest side has so many pixels, and the other one is even.

    Source: `_resize_output_size_rescale_to_max_len` of transformers' Idefics 3.
    """
    ratio = width / height
    if width >= height:
        width, height = longest, int(longest / ratio)
        height += height % 2
    else:
        width, height = int(longest * ratio), longest
        width += width % 2
    height, width = max(height, 1), max(width, 1)
    ratio = width / height
    if width >= height and width > MAX_SIDE:
        width, height = MAX_SIDE, int(MAX_SIDE / ratio)
    elif height > width and height > MAX_SIDE:
        width, height = int(MAX_SIDE * ratio), MAX_SIDE
    return max(height, 1), max(width, 1)


class TimedFrameReader(FrameReader):
    """Reads clips as whole pictures, each with its time before it.

    Args:
        model: the language model.
        settings: of clips.
    """

    placeholder, written = "<image>", "<video>"

    def __init__(self, model: PreTrainedModel, settings: Settings) -> None:
        # As published, apart; or as transformers saves a processor that was told of it.
        sampling = settings.get("video_sampling") or {}
        super().__init__(model, settings, most=64)
        self.most = int(sampling.get("max_frames") or self.most)
        self.fps = float(sampling.get("fps") or settings.get("fps") or 1)
        # Where the file has a size of pictures too, it goes before, as in transformers.
        size = settings.get("size") or sampling.get("video_size") or CLIP_SIZE
        self.longest = size["longest_edge"]
        self.side = settings["max_image_size"]["longest_edge"]

    def metadata(self) -> Mapping[str, object]:
        return self.settings

    def chosen(self, media: Any) -> NDArray[np.int64]:
        """The numbers of the frames that are read.

        Source: `sample_frames` of transformers' video processor of SmolVLM.
        """
        total, rate = len(media.frames), media.fps
        seconds = total / rate
        count = max(min(round(self.fps * seconds), self.most), 1)
        first, last = 0, total - 1
        if seconds - 2 * SKIPPED > self.most * self.fps:
            first = int(SKIPPED * rate)
            last = min(int(total - SKIPPED * rate), total - 1)
        if first >= last:
            first, last = 0, total - 1
        return np.unique(np.linspace(first, last, count, dtype=np.int64))

    def positions(self, media: Any) -> MediaPositions:
        return tuple(self._runs(media))

    def _runs(self, media: Any) -> Iterator[str | SoftRun]:
        frames, run = self.chosen(media), SoftRun(self.model.model.image_seq_len)
        length = datetime.timedelta(seconds=int(len(media.frames) / media.fps))
        before = (
            f"You are provided the following series of {number_words(len(frames))} frames from a "
            f"{length} [H:MM:SS] video.\n"
        )
        for number in frames:
            minutes, seconds = divmod(int(number / media.fps), 60)
            yield f"{before}\nFrame from {minutes:02d}:{seconds:02d}:{_AROUND}<global-img>"
            yield run
            before = _AROUND
        yield f"{_AROUND}\n\n"

    def prepare(self, media: Any) -> Tensor:
        frames: NDArray[np.uint8] = media.frames[self.chosen(media)]
        height, width = frames.shape[1:3]
        size = _fit_longest(height, width, min(self.longest, MAX_SIDE))
        method = self.settings["resample"]
        resized = [resize(each, size, method, input_data_format="channels_last") for each in frames]
        return prepare_pixels(np.stack(resized), (self.side, self.side), self.settings)

    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        frames = torch.cat([*batch])
        tokens = read_tiles(self.model, frames)
        return [each.flatten(0, 1) for each in tokens.split([len(clip) for clip in batch])]


def number_words(number: int) -> str:
    """A number in English words, as SmolVLM's prompts tell how many frames there are.

    Raises:
        ValueError: from 1,000 on.
    """
    if number >= 1000:
        raise ValueError(
            f"{number} frames of a clip, and the language model is told of 999 at most; lower "
            "max_frames of its settings"
        )
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, left = _TENS[number // 10 - 2], number % 10
        return f"{tens}-{_SMALL[left]}" if left else tens
    rest = f" and {number_words(number % 100)}" if number % 100 else ""
    return f"{_SMALL[number // 100]} hundred{rest}"


_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


class Idefics3(ImageTextFamily):
    """Idefics 3."""

    processor: Any = Idefics3ImageProcessorPil
    unread: ClassVar[Mapping[type[Media], str]] = {Video: NO_CLIPS}

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        processor = self.processor.from_pretrained(
            checkpoint.path_or_name, revision=checkpoint.revision
        )
        return [NamedTileReader(model, processor)]


class SmolVLM(Idefics3):
    """SmolVLM and SmolVLM 2."""

    processor = SmolVLMImageProcessorPil
    unread: ClassVar[Mapping[type[Media], str]] = {}

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        clips = read_settings(checkpoint, CLIP_DEFAULTS, clips=True)
        return [*super().readers(model, tokenizer, checkpoint), TimedFrameReader(model, clips)]
