"""Connectors give what their authors' code gives, from weights by its keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from torch import Tensor

from anymodal.io.checkpoint import WEIGHTS, load_weights
from anymodal.projection import (
    AbstractorProjection,
    GatedMLPProjection,
    HReducerProjection,
    LDPProjection,
    LDPv2Projection,
    PixelShuffleProjection,
    Projection,
    ResamplerProjection,
)
from anymodal.projection.positions import resize_positions, sincos_grid, sincos_line
from anymodal.tools.convert.importers import convert
from anymodal.types import Features, SoftRun, TokenLayout
from tests.support.golden_weights import golden_published


def imported(
    projection: Projection, system: str, weights: Mapping[str, Tensor], folder: Path, prefix: str
) -> Projection:
    """A projection with all weights of a published checkpoint."""
    torch.save({f"{prefix}{name}": value for name, value in weights.items()}, folder / "published")
    convert(system, folder / "published", folder / "out")
    state = load_weights(folder / "out" / WEIGHTS)
    projection.load_state_dict({n.removeprefix("projection."): v for n, v in state.items()})
    return projection.eval()


def soft_tokens(
    projection: Projection, values: Tensor, layout: TokenLayout, mask: Tensor | None = None
) -> Tensor:
    projection.set_layout("image", layout)
    mask = torch.ones(values.shape[:2]) if mask is None else mask
    with torch.no_grad():
        return projection("image", Features(values, mask.bool()))


def assert_equal(output: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-4)


def square(side: int, class_tokens: int = 0) -> TokenLayout:
    return TokenLayout(class_tokens, 0, (side, side))


def test_resampler(tmp_path: Path) -> None:
    config, weights, golden = golden_published("qwenvl_resampler")
    side, width = config["grid_size"], config["embed_dim"]
    built = ResamplerProjection(
        widths={"image": config["kv_dim"]},
        output_width=width,
        grid=(side, side),
        heads=config["num_heads"],
    )
    tail = {name for name in weights if name.startswith(("ln_post", "proj"))}
    keys = {f"{'' if n in tail else 'attn_pool.'}{n}": value for n, value in weights.items()}
    keys["attn_pool.pos_embed"] = golden["pos_embed"]
    projection = imported(built, "qwen-vl", keys, tmp_path, "transformer.visual.")
    assert_equal(built.positions, golden["pos_embed"])
    assert_equal(resize_positions(golden["pos_embed"], (side, side), (8, 8)), golden["key_pos_big"])
    for name, places in (("same", 4), ("big", 8)):
        output = soft_tokens(projection, golden[f"in.{name}"], square(places))
        assert_equal(output, golden[f"tail.{name}"])
    network = projection.maps["image"]  # the published file has no tail of this one
    post = F.layer_norm(golden["out.small"], (width,), *network.ln_post.parameters(), eps=1e-6)
    output = soft_tokens(projection, golden["in.small"], square(3))
    assert_equal(output, (post @ network.proj).detach())


@pytest.mark.parametrize("tokens", [64, 49])
def test_ldp(tmp_path: Path, tokens: int) -> None:
    config, weights, golden = golden_published("mobilevlm_ldp")
    side = int(tokens**0.5)
    built = LDPProjection(
        widths={"image": config["mm_hidden_size"]},
        output_width=config["hidden_size"],
        places=(side, side),
    )
    projection = imported(built, "mobilevlm", weights, tmp_path, "model.mm_projector.")
    output = soft_tokens(projection, golden[f"in.x{tokens}"], square(side))
    assert_equal(output, golden[f"out{tokens}"])


def test_ldp_v2(tmp_path: Path) -> None:
    config, weights, golden = golden_published("mobilevlm_ldpv2")
    built = LDPv2Projection(
        widths={"image": config["mm_hidden_size"]}, output_width=config["hidden_size"]
    )
    projection = imported(built, "mobilevlm-v2", weights, tmp_path, "model.mm_projector.")
    for side in (24, 16):
        output = soft_tokens(projection, golden[f"in.x{side**2}"], square(side))
        assert_equal(output, golden[f"out{side**2}"])


def test_abstractor(tmp_path: Path) -> None:
    config, weights, golden = golden_published("mplug_owl2_abstractor")
    width, side, queries = 32, config["grid_size"], config["num_learnable_queries"]
    built = AbstractorProjection(
        widths={"image": config["encoder_hidden_size"]},
        output_width=config["language_hidden_size"],
        num_queries=queries,
        width=width,
        depth=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden_width=config["intermediate_size"],
    )
    tables = {"q_pos_embed": golden["q_pos_embed"], "k_pos_embed": golden["k_pos_embed"]}
    layer = "encoder.layers.0.crossattention.attention."
    keys = {**weights, **{f"{layer}{name}": table for name, table in tables.items()}}
    projection = imported(built, "mplug-owl2", keys, tmp_path, "model.visual_abstractor.")
    assert_equal(sincos_line(torch.arange(queries), width), golden["q_pos_embed"])
    assert_equal(sincos_grid(side, side, width), golden["k_pos_embed"][1:])
    layout = square(side, class_tokens=1)
    assert_equal(soft_tokens(projection, golden["in.x"], layout), golden["out"])
    masked = soft_tokens(projection, golden["in.x"], layout, golden["in.encoder_attention_mask"])
    assert_equal(masked, golden["out_masked"])


def test_h_reducer(tmp_path: Path) -> None:
    config, weights, golden = golden_published("docowl_hreducer")
    side = config["side"]
    built = HReducerProjection(
        widths={"image": config["hidden_size"]},
        output_width=config["language_hidden_size"],
        places=(side, side),
    )
    projection = imported(built, "docowl", weights, tmp_path, "model.vision2text.")
    assert_equal(soft_tokens(projection, golden["in.x"], square(side, 1)), golden["out"])


@torch.no_grad()
def test_pixel_shuffle_is_that_of_transformers() -> None:
    from transformers.models.internvl.modeling_internvl import (
        InternVLModel,
        InternVLMultiModalProjector,
    )

    torch.manual_seed(0)
    config = hf.InternVLConfig(
        vision_config={"hidden_size": 12}, text_config={"model_type": "qwen2", "hidden_size": 16}
    )
    connector = InternVLMultiModalProjector(config)
    built = PixelShuffleProjection(widths={"image": 12}, output_width=16, places=(6, 6))
    network: Any = built.maps["image"]
    network.norm.load_state_dict(connector.layer_norm.state_dict())
    network.mlp[0].load_state_dict(connector.linear_1.state_dict())
    network.mlp[2].load_state_dict(connector.linear_2.state_dict())
    values = torch.randn(2, 36, 12)
    shuffled = InternVLModel.pixel_shuffle(None, values.unflatten(1, (6, 6)))
    output = soft_tokens(built, values, square(6))
    assert_equal(output, connector(shuffled.flatten(1, 2)))


def test_tokens_between_the_ends_share_a_position() -> None:
    built = GatedMLPProjection(widths={"image": 8}, output_width=16, num_tokens=5, hidden_width=4)
    assert built.positions_of("image", ()) == (SoftRun(5),)
    built.shared_position = True
    assert built.positions_of("image", ()) == (SoftRun(5, ((0, 1, 1, 1, 2),), 3),)


@pytest.mark.parametrize(
    ("cls", "settings", "message"),
    [
        (LDPProjection, {"places": (4, 4, 4)}, r"places=\[4, 4, 4\] give num_tokens=8; give rows"),
        (LDPv2Projection, {"grid": (3,)}, r"grid=\[3\] gives num_tokens=3; give cells of rows"),
        (ResamplerProjection, {"grid": (2, 0)}, r"grid=\[2, 0\] gives num_tokens=0"),
        (ResamplerProjection, {"heads": 7}, r"must be a multiple of heads=7 and 4"),
        (PixelShuffleProjection, {"places": (4, 5)}, r"ratio=2 must divide places=\[4, 5\]"),
        (HReducerProjection, {"places": (4, 6)}, r"window=4 must divide the columns of places"),
        (GatedMLPProjection, {"num_tokens": 2}, "num_tokens=2 must be at least 3"),
        (AbstractorProjection, {"depth": 0}, "depth=0 must be at least 1"),
        (AbstractorProjection, {"heads": 7}, "width=1024 must be a multiple of heads=7"),
    ],
)
def test_what_does_not_fit_is_refused(
    cls: type[Projection], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        cls(widths={}, output_width=32, **settings)


def test_an_encoder_with_other_places_is_refused() -> None:
    ldp = LDPProjection(widths={"image": 8}, output_width=16, places=(4, 4))
    with pytest.raises(ValueError, match=r"'image' has places \[2, 2, 4\] and the projection"):
        ldp.set_layout("image", TokenLayout(0, 0, (2, 2, 4)))
    ldp.set_layout("image", square(4))
    with pytest.raises(ValueError, match=r"15 tokens of places, and their layout says 4 × 4"):
        soft_tokens(ldp, torch.randn(1, 15, 8), square(4))
    cells = LDPv2Projection(widths={"image": 8}, output_width=16, grid=(2, 2))
    with pytest.raises(ValueError, match="LDPv2 pools rows and columns alone"):
        cells.set_layout("image", TokenLayout(0, 0, (2, 2, 4)))


def test_class_tokens_alone_have_no_place() -> None:
    """An encoder's `tokens: class` would be passed over without a word."""
    for projection in (
        LDPProjection(widths={"image": 8}, output_width=16, places=(4, 4)),
        LDPv2Projection(widths={"image": 8}, output_width=16, grid=(2, 2)),
    ):
        with pytest.raises(ValueError, match="'image' are 1 class tokens alone, which have no"):
            soft_tokens(projection, torch.randn(1, 1, 8), TokenLayout(1))


GRIDS = [(1, 1), (1, 4), (3, 5), (2, 8), (8, 4), (7, 4)]
SHAPED: dict[str, tuple[type[Projection], dict[str, Any]]] = {
    "LDP": (LDPProjection, {}),
    "LDPv2": (LDPv2Projection, {"grid": (3, 2)}),
    "H-Reducer": (HReducerProjection, {"window": 4}),
    "pixel shuffle": (PixelShuffleProjection, {"ratio": 2}),
    "resampler": (ResamplerProjection, {"grid": (2, 3), "heads": 2}),
    "abstractor": (AbstractorProjection, {"num_queries": 3, "width": 8, "depth": 1, "heads": 2}),
    "gated": (GatedMLPProjection, {"num_tokens": 5, "hidden_width": 4}),
}


@pytest.mark.parametrize("before", [(0, 0), (1, 0), (1, 2)], ids=["patches", "class", "registers"])
@pytest.mark.parametrize("places", GRIDS, ids=str)
@pytest.mark.parametrize("name", SHAPED)
def test_soft_tokens_are_as_many_as_declared(
    name: str, places: tuple[int, int], before: tuple[int, int]
) -> None:
    """Of grids that aren't square, odd ones, and one patch; class tokens have no place."""
    cls, settings = SHAPED[name]
    if name in ("LDP", "H-Reducer", "pixel shuffle"):
        settings = {**settings, "places": places}
    divisor = {"H-Reducer": (1, 4), "pixel shuffle": (2, 2)}.get(name, (1, 1))
    torch.manual_seed(0)
    if any(count % each for count, each in zip(places, divisor, strict=True)):
        with pytest.raises(ValueError, match="must divide"):
            cls(widths={"image": 8}, output_width=16, **settings)
        return
    projection = cls(widths={"image": 8}, output_width=16, **settings).eval()
    values = torch.randn(2, sum(before) + places[0] * places[1], 8)
    soft = soft_tokens(projection, values, TokenLayout(*before, places))
    assert soft.shape == (2, projection.num_tokens, 16)
    if cls in (LDPProjection, LDPv2Projection, HReducerProjection, PixelShuffleProjection):
        alone = soft_tokens(projection, values[:, sum(before) :], TokenLayout(0, 0, places))
        assert torch.equal(soft, alone)


def test_rows_are_rows_where_grids_are_not_square() -> None:
    rows, columns, width = 2, 8, 16
    table = sincos_grid(rows, columns, width).view(rows, columns, width)
    for row in range(rows):
        for column in range(columns):
            across, down = table[row, column].split(width // 2)
            assert torch.equal(across, sincos_line(torch.tensor(column), width // 2))
            assert torch.equal(down, sincos_line(torch.tensor(row), width // 2))
    torch.manual_seed(0)
    reducer = HReducerProjection(widths={"image": 8}, output_width=16, places=(rows, columns))
    one = HReducerProjection(widths={"image": 8}, output_width=16, places=(1, columns))
    one.load_state_dict(reducer.state_dict())
    values = torch.randn(1, rows * columns, 8)
    whole = soft_tokens(reducer, values, TokenLayout(0, 0, (rows, columns)))
    lines = [soft_tokens(one, each, TokenLayout(0, 0, (1, columns))) for each in values.chunk(2, 1)]
    assert_equal(whole, torch.cat([lines[0][:, :-1], lines[1]], 1))
    shuffle = PixelShuffleProjection(widths={"image": 1}, output_width=4, places=(2, 4), ratio=2)
    joined: list[Tensor] = []
    shuffle.maps["image"].norm.register_forward_pre_hook(lambda _, args: joined.append(args[0]))
    numbers = torch.arange(8.0).view(1, 8, 1)
    soft_tokens(shuffle, numbers, TokenLayout(0, 0, (2, 4)))
    assert joined[0].tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    sampler = ResamplerProjection(widths={"image": 8}, output_width=16, grid=(2, 2), heads=2)
    with pytest.raises(ValueError, match="15 tokens of places, and their layout says 2 × 8"):
        soft_tokens(sampler, values[:, :15], TokenLayout(0, 0, (2, 8)))
