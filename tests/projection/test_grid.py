"""A class token stays apart, and patches are pooled by their places."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.projection import GridProjection
from anymodal.projection.grid import masked_grid_pool
from anymodal.types import Features, TokenLayout

PICTURE = TokenLayout(class_tokens=1, registers=2, grid=(4, 6))


def build(layout: TokenLayout = PICTURE, **changes: object) -> GridProjection:
    torch.manual_seed(0)
    projection = GridProjection(
        **{"widths": {"image": 8}, "output_width": 16, "grid": (2, 3), **changes}  # type: ignore[arg-type]
    )
    projection.set_layout("image", layout)
    return projection


def features(tokens: int = 27) -> Features:
    values = torch.randn(2, tokens, 8, generator=torch.Generator().manual_seed(tokens))
    return Features(values, torch.ones(2, tokens, dtype=torch.bool))


@settings(max_examples=40, deadline=None)
@given(
    places=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    data=st.data(),
)
def test_cells_are_adaptive_pooling_of_places(places: list[int], data: st.DataObject) -> None:
    cells = [data.draw(st.integers(1, 8)) for _ in places]
    values = torch.randn(2, math.prod(places), 3, generator=torch.Generator().manual_seed(1))
    pooled = masked_grid_pool(Features(values, torch.ones(values.shape[:2]).bool()), places, cells)
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(places) - 1]
    expected = pool(values.mT.unflatten(-1, places), cells).flatten(2).mT
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_what_is_masked_is_in_no_mean() -> None:
    values = torch.arange(4.0).view(1, 4, 1)
    mask = torch.tensor([[True, False, False, False]])
    pooled = masked_grid_pool(Features(values + 1, mask), (2, 2), (1, 2))
    assert pooled.flatten().tolist() == [1.0, 0.0], "the second cell has no real token"


def test_each_part_of_the_tokens_has_its_soft_tokens() -> None:
    projection, (values, mask) = build(), features()
    before = projection("image", Features(values, mask))

    def changed(token: int) -> list[int]:
        other = values.clone()
        other[:, token] += 1 + torch.arange(8.0)
        difference = projection("image", Features(other, mask)) - before
        return torch.nonzero(difference.abs().amax(dim=(0, 2)) > 1e-5).flatten().tolist()

    assert projection.num_tokens == 7
    assert changed(0) == [0], "the class token"
    assert changed(1) == changed(2) == [], "registers"
    # Cells are 2 × 2 places of 4 × 6: the place of row 2 and column 3 is in cell (1, 1).
    assert changed(3 + 2 * 6 + 3) == [1 + 1 * 3 + 1]
    assert changed(3) == [1] and changed(26) == [6]


def test_without_a_class_token_the_whole_is_the_mean() -> None:
    projection = build(TokenLayout(0, 0, (4, 6)))
    (values, mask) = features(24)
    whole = projection("image", Features(values, mask))[:, 0]
    mean = values.mean(dim=1, keepdim=True)
    assert torch.allclose(whole, build(TokenLayout(1))("image", Features(mean, mask[:, :1]))[:, 0])


def test_a_sequence_is_pooled_in_its_order() -> None:
    projection = build(TokenLayout())
    values, mask = features(12)
    output = projection("image", Features(values, mask))
    longer = torch.cat([values, torch.full((2, 5, 8), 9.0)], 1)
    padded = projection("image", Features(longer, F.pad(mask, (0, 5))))
    torch.testing.assert_close(padded, output)
    pairs = projection.cell_maps["image"](F.layer_norm(values.unflatten(1, (6, 2)).mean(2), (8,)))
    torch.testing.assert_close(output[:, 1:], pairs)


def test_dropout_acts_in_training_alone() -> None:
    projection, batch = build(dropout=0.5), features()
    assert not torch.equal(projection("image", batch), projection("image", batch))
    projection.eval()
    assert torch.equal(projection("image", batch), build().eval()("image", batch))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grids: \{image: \[…\]\} with 3 numbers whose product"):
        build(TokenLayout(0, 0, (2, 4, 6)))
    film = build(TokenLayout(0, 0, (2, 4, 6)), grids={"image": (1, 2, 3)})
    assert film("image", features(48)).shape == (2, 7, 16)
    with pytest.raises(ValueError, match=r"24 tokens of places, and their layout says 2 × 4 × 6"):
        film("image", features(24))
    for wrong in ({"grid": ()}, {"grid": (2, 0)}, {"grids": {"image": (5, 1)}}):
        with pytest.raises(ValueError, match="at least 1 along each axis"):
            build(**wrong)
    with pytest.raises(ValueError, match=r"dropout=1 must be at least 0 and less than 1"):
        build(dropout=1)
