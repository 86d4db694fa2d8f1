"""Pictures as a whole and in tiles, each read by another encoder: LLaVA-NeXT's AnyRes.

Source: Liu et al. 2024 (LLaVA-NeXT, llava-vl.github.io/blog/2024-01-30-llava-next), "dynamic high
resolution"; its `spatial_unpad` as in transformers' `llava_next`.

Shapes: B pictures, T views of each, n patches along a tile's side, P = n² of a tile, V values of
a prepared tile, N tokens, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor, nn

from anymodal.encoders.base import Encoder
from anymodal.media import Image, Media
from anymodal.types import Features, TokenLayout

RESOLUTIONS = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
"""Heights and widths of LLaVA-NeXT's pictures in tiles of 336."""
_NOWHERE = -1


class AnyResEncoder(Encoder):
    """Reads a picture squeezed into one view, and in tiles of the resolution that fits it best.

    Tokens are those of the whole view, then those of the tiles by the picture's own rows, without
    the padding that its shape needs; behind each row stands a token of zeros, the end of a line.

    Args:
        encoder: reads a view; of pictures, with patches in a square.
        resolutions: heights and widths that a picture may be fitted into, each a multiple of what
            the encoder reads at once.

    Raises:
        ValueError: if the encoder has no square of patches, or a resolution isn't made of tiles.
    """

    media = Image

    def __init__(
        self, encoder: Encoder, resolutions: Sequence[Sequence[int]] = RESOLUTIONS
    ) -> None:
        super().__init__()
        if encoder.media is not Image:
            raise ValueError(
                f"AnyRes is of pictures, and this encoder reads {encoder.media.__name__}; give it "
                "one of images"
            )
        with torch.device("cpu"):  # whatever the caller's device is
            shape = encoder.prepare(Image(np.zeros((32, 32, 3), np.uint8))).shape
        grid = encoder.layout.grid
        if len(shape) != 3 or shape[1] != shape[2] or len(grid) != 2 or grid[0] != grid[1]:
            raise ValueError(
                f"AnyRes needs square tiles of patches; this encoder takes {tuple(shape)} and has "
                f"places {list(grid)}: take one such as CLIP, SigLIP or DINOv2"
            )
        self.encoder, self.width = encoder, encoder.width
        self.shape, self.side, self.patches = shape, shape[1], grid[0]
        self.resolutions = [(height, width) for height, width in resolutions]
        if not self.resolutions or any(p < 1 or p % self.side for r in resolutions for p in r):
            raise ValueError(
                f"resolutions={[list(each) for each in resolutions]} must be multiples of the "
                f"{self.side} pixels that the encoder reads, at least one"
            )

    @property
    def layout(self) -> TokenLayout:
        """Tokens by lines, with their ends."""
        return TokenLayout(line_ends=True)

    def token_runs(self, media: Media) -> tuple[int]:
        """The number of a picture's tokens, ends of lines among them."""
        assert isinstance(media, Image), "as of `prepare`"
        (_, _), (rows, columns) = self._lines(*media.pixels.shape[:2])
        return (self.patches**2 + rows * (columns + 1),)

    def prepare(self, media: Media) -> Tensor:
        """Views (T, V) of a picture, behind each the places of its tokens among all (P + n).

        Raises:
            TypeError: if it is given another class of media.
        """
        if not isinstance(media, Image):
            raise TypeError(f"AnyRes takes Image, not {type(media).__name__}")
        views = [self.encoder.prepare(Image(view)).flatten() for view in self._views(media.pixels)]
        return torch.cat([torch.stack(views), self._places(*media.pixels.shape[:2])], dim=1)

    def collate(self, prepared: Sequence[Tensor]) -> Tensor:
        """Prepared pictures (B, T, V + P + n), those of fewer views filled up."""
        batch = nn.utils.rnn.pad_sequence([*prepared], True, padding_value=_NOWHERE)
        return self.to_weights(batch)

    def to_weights(self, batch: Tensor) -> Tensor:
        """A batch on the encoder's device; places are exact in float32 alone."""
        return batch.to(next(self.parameters()).device)

    def forward(self, batch: Tensor) -> Features:
        """Features of pictures: values (B, N, D), mask (B, N), each one's own tokens first."""
        pixels, places = batch.split([self.shape.numel(), self.patches * (self.patches + 1)], 2)
        views = self.encoder.to_weights(pixels.reshape(-1, *self.shape))  # (B · T, 3, H, W)
        tokens = self.encoder(views).values[:, self.encoder.layout.before :]  # (B · T, P, D)
        ends = tokens.new_zeros(len(tokens), self.patches, self.width)
        values = torch.cat([tokens, ends], dim=1)  # (B · T, P + n, D)
        values = values.view(len(batch), -1, self.width)  # (B, T · (P + n), D)
        places = places.flatten(1)  # (B, T · (P + n))
        # Sorted rather than picked: shapes depend on no values, so a plan can trace it.
        order = places.masked_fill(places < 0, math.inf).argsort(dim=1, stable=True)
        mask = places.gather(1, order) >= 0
        values = values.gather(1, order.unsqueeze(-1).expand_as(values))
        return Features(values.masked_fill(~mask.unsqueeze(-1), 0), mask)

    def embed(self, batch: Tensor) -> Tensor:
        """The other encoder's embedding of the whole view."""
        whole = batch[:, 0, : self.shape.numel()].reshape(-1, *self.shape)
        return self.encoder.embed(self.encoder.to_weights(whole))

    def metadata(self) -> dict[str, object]:
        """The other encoder's metadata, with its class, this one's and the resolutions."""
        other = self.encoder.metadata()
        resolutions = [list(each) for each in self.resolutions]
        own = {"encoder": other["class"], "resolutions": resolutions}
        return {**other, **super().metadata(), **own}

    # ---- A picture's tiles --------------------------------------------------------------------

    def _fitted(self, height: int, width: int) -> tuple[int, int]:
        """The height and width whose tiles keep most of a picture, with the least padding."""
        from transformers.image_processing_utils import select_best_resolution

        best: tuple[int, int] = select_best_resolution((height, width), self.resolutions)
        return best

    def _views(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """A picture (H, W, 3) as a whole and in tiles by rows, (side, side, 3) each."""
        picture, side = PILImage.fromarray(pixels), self.side
        height, width = pixels.shape[:2]
        full_height, full_width = self._fitted(height, width)
        scale = min(full_height / height, full_width / width)
        if full_width / width < full_height / height:
            size = full_width, min(math.ceil(height * scale), full_height)
        else:
            size = min(math.ceil(width * scale), full_width), full_height
        padded = np.zeros((full_height, full_width, 3), np.uint8)
        left, top = (full_width - size[0]) // 2, (full_height - size[1]) // 2
        padded[top : top + size[1], left : left + size[0]] = _resized(picture, size)
        tiles = padded.reshape(full_height // side, side, full_width // side, side, 3)
        tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)
        return [_resized(picture, (side, side)), *tiles]

    def _lines(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of patches that padding alone fills at one end, and those between."""
        rows, columns = (self.patches * p // self.side for p in self._fitted(height, width))
        top = left = 0
        if width / height > columns / rows:
            top = (rows - int(round(height * (columns / width), 7))) // 2
        else:
            left = (columns - int(round(width * (rows / height), 7))) // 2
        return (top, left), (rows - 2 * top, columns - 2 * left)

    def _places(self, height: int, width: int) -> Tensor:
        """Places of each view's patches and of lines' ends beside it (T, P + n)."""
        n = self.patches
        full_rows, full_columns = (p // self.side for p in self._fitted(height, width))
        (top, left), (rows, columns) = self._lines(height, width)
        starts = n**2 + torch.arange(rows).unsqueeze(1) * (columns + 1)
        patches = torch.full((full_rows * n, full_columns * n), _NOWHERE)
        patches[top : top + rows, left : left + columns] = starts + torch.arange(columns)
        tiles = patches.view(full_rows, n, full_columns, n).transpose(1, 2)  # (R, C, n, n)
        ends = torch.full((full_rows * n, full_columns), _NOWHERE)
        ends[top : top + rows, -1:] = starts + columns
        ends = ends.view(full_rows, n, full_columns).transpose(1, 2)  # (R, C, n)
        of_tiles = torch.cat([tiles.flatten(2), ends], dim=2).flatten(0, 1)
        whole = torch.cat([torch.arange(n**2), torch.full((n,), _NOWHERE)])
        return torch.cat([whole.unsqueeze(0), of_tiles]).float()


def _resized(picture: PILImage.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture in another width and height (H, W, 3)."""
    return np.asarray(picture.resize(size, PILImage.Resampling.BICUBIC))
