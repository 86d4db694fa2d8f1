"""Idefics 3 and SmolVLM: a picture's tiles in rows, each named, and the whole of it.

Sources: Laurençon et al. 2024 (Idefics 3, arXiv:2408.12637), section 3.1; Marafioti et al. 2025
(SmolVLM, arXiv:2504.05299); transformers' `idefics3` and `smolvlm`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from transformers import Idefics3ImageProcessorPil, PreTrainedModel, SmolVLMImageProcessorPil

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import Checkpoint, ImageTextFamily, MediaReader
from anymodal.language.families.tiles import TileReader
from anymodal.types import MediaPositions, SoftRun

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
        output = self.model.model.get_image_features(tiles[None], return_dict=True)
        joined: Tensor = output.pooler_output[0]
        tokens: Tensor = joined.unflatten(0, (len(tiles), -1))
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


class Idefics3(ImageTextFamily):
    """Idefics 3."""

    processor: Any = Idefics3ImageProcessorPil

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
