"""Every projection keeps the same contract; the universal one also equals OneLLM's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from anymodal.projection import (
    AbstractorProjection,
    AnyResProjection,
    GatedMLPProjection,
    GridProjection,
    HReducerProjection,
    InstructQFormerProjection,
    LDPProjection,
    LDPv2Projection,
    LinearProjection,
    MLPProjection,
    PerceiverProjection,
    PixelShuffleProjection,
    PooledProjection,
    Projection,
    QFormerProjection,
    ResamplerProjection,
    UniversalProjection,
    Words,
)
from anymodal.projection.linear import masked_adaptive_pool
from anymodal.types import Features
from tests.support.golden_weights import GOLDEN, golden_input, golden_weights
from tests.support.huggingface_models import bert_words

WIDTHS = {"image": 12, "audio": 20}


def grid(*, num_tokens: int, **settings: Any) -> GridProjection:
    return GridProjection(grid=(num_tokens - 1,), **settings)


def in_a_row(cls: type[Projection], of_tokens: Callable[[int], dict[str, Any]]) -> Any:
    """A class whose number of soft tokens follows from its other settings."""
    return lambda *, num_tokens, **settings: cls(**of_tokens(num_tokens), **settings)


SMALL = {"width": 16, "depth": 2, "heads": 4}
KINDS = {
    "abstractor": (
        in_a_row(AbstractorProjection, lambda k: {"num_queries": k - 1}),
        {**SMALL, "hidden_width": 24},
    ),
    "any-res": (AnyResProjection, {}),
    "gated-mlp": (GatedMLPProjection, {"hidden_width": 32}),
    "grid": (grid, {}),
    "grid-hidden": (grid, {"hidden_width": 16}),
    "h-reducer": (in_a_row(HReducerProjection, lambda k: {"places": (1, 4 * (k - 1))}), {}),
    "ldp": (in_a_row(LDPProjection, lambda k: {"places": (1, 2 * k)}), {}),
    "ldp-v2": (in_a_row(LDPv2Projection, lambda k: {"grid": (1, k)}), {}),
    "linear": (LinearProjection, {}),
    "mlp": (MLPProjection, {}),
    "perceiver": (PerceiverProjection, SMALL),
    "pixel-shuffle": (in_a_row(PixelShuffleProjection, lambda k: {"places": (2, 2 * k)}), {}),
    "pooled": (PooledProjection, {}),
    "qformer": (QFormerProjection, SMALL),
    "instruct-qformer": (InstructQFormerProjection, {**SMALL, "tokenizer": Words(bert_words())}),
    "resampler": (in_a_row(ResamplerProjection, lambda k: {"grid": (1, k)}), {"heads": 4}),
    "universal": (UniversalProjection, SMALL),
    "universal-tags": (UniversalProjection, {**SMALL, "tags": True}),
}


def build(kind: str, **changes: object) -> Projection:
    cls, extra = KINDS[kind]
    torch.manual_seed(0)
    return cls(**{"widths": WIDTHS, "output_width": 24, "num_tokens": 5, **extra, **changes})


def features(modality: str, lengths: tuple[int, ...] = (9, 4), seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Features(torch.randn(*mask.shape, WIDTHS[modality], generator=generator), mask)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("modality", WIDTHS)
def test_shape_is_known_before_running(kind: str, modality: str) -> None:
    projection = build(kind)
    assert projection.num_tokens == (7 if kind == "universal-tags" else 5)
    assert projection.widths == WIDTHS
    for lengths in ((9, 4), (1,), (3, 3, 40)):
        output = projection(modality, features(modality, lengths))
        assert output.shape == (len(lengths), projection.num_tokens, projection.output_width)
        assert output.isfinite().all()


def test_padding_never_changes_the_result(kind: str) -> None:
    projection = build(kind)
    given_features = features("audio")
    expected = projection("audio", given_features)
    noise = torch.full((2, 3, WIDTHS["audio"]), float("nan"))
    values = given_features.values.masked_fill(~given_features.mask.unsqueeze(-1), 1e4)
    none = torch.zeros(2, 3, dtype=torch.bool)
    padded = Features(
        torch.cat([noise, values, noise], dim=1),
        torch.cat([none, given_features.mask, none], dim=1),
    )
    torch.testing.assert_close(projection("audio", padded), expected, atol=1e-5, rtol=1e-4)


READS = {
    "universal-tags": slice(1, -1),
    "abstractor": slice(0, -1),
    "gated-mlp": slice(1, -1),
    "h-reducer": slice(0, -1),
}
"""Soft tokens that depend on the features, where others stand beside them."""


def test_real_tokens_do_change_the_result(kind: str) -> None:
    projection = build(kind)
    one, two = (projection("audio", features("audio", seed=seed)) for seed in (0, 1))
    assert ((one - two).abs().amax(dim=(1, 2)) > 1e-3).all()
    assert ((one - two)[:, READS.get(kind, slice(None))].abs().amax(dim=-1) > 1e-4).all()


def test_items_of_a_batch_are_independent(kind: str) -> None:
    projection = build(kind)
    values, mask = features("image", (9, 4, 6))
    together = projection("image", Features(values, mask))
    for item, length in enumerate((9, 4, 6)):
        alone = Features(values[item : item + 1, :length], mask[item : item + 1, :length])
        output = projection("image", alone)
        torch.testing.assert_close(output, together[item : item + 1], atol=1e-5, rtol=1e-4)


def test_several_modalities_in_one_call(kind: str) -> None:
    projection = build(kind)
    given_features = {
        "audio": features("audio", (2, 7)),
        "image": features("image", (5,)),
    }
    together = projection.forward_many(given_features)
    assert list(together) == ["audio", "image"]
    for modality, output in together.items():
        torch.testing.assert_close(output, projection(modality, given_features[modality]))
    assert projection.forward_many({}) == {}


def test_an_item_without_real_tokens_is_finite_with_finite_gradients(kind: str) -> None:
    projection = build(kind)
    values, mask = features("image")
    projection("image", Features(values, torch.zeros_like(mask))).square().mean().backward()
    grads = [each.grad for each in projection.parameters() if each.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


UNREAD = {
    "any-res": ("line_ends",),
    "instruct-qformer": (
        "qformer.encoder.layer.1.intermediate.",
        "qformer.encoder.layer.1.output.",
    ),
}
"""Weights that nothing reads here: as published, of a text's last layer; of lines, their end."""


def test_gradients_reach_what_was_used_and_nothing_else(kind: str) -> None:
    projection = build(kind)
    output = projection("image", features("image"))
    (output * torch.randn_like(output)).sum().backward()
    for name, parameter in projection.named_parameters():
        if ".audio" in name:
            assert parameter.grad is None, name
        elif not name.startswith(UNREAD.get(kind, ())):
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_bfloat16_module_takes_float32_features(kind: str) -> None:
    projection = build(kind)
    expected = projection("image", features("image"))
    output = projection.bfloat16()("image", features("image"))
    assert output.dtype == torch.bfloat16
    similarity = F.cosine_similarity(output.float().flatten(1), expected.flatten(1))
    assert (similarity > 0.99).all()


def test_trains_under_bfloat16_autocast(kind: str) -> None:
    projection = build(kind)
    expected = projection("image", features("image"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = projection("image", features("image"))
    similarity = F.cosine_similarity(output.float().flatten(1), expected.flatten(1))
    assert (similarity > 0.99).all()
    output.float().square().sum().backward()
    assert all(
        each.grad.dtype == torch.float32 and each.grad.isfinite().all()
        for each in projection.parameters()
        if each.grad is not None
    )


def test_deterministic_in_train_and_eval(kind: str) -> None:
    projection = build(kind)
    first = projection("image", features("image"))
    assert torch.equal(first, projection("image", features("image")))
    torch.testing.assert_close(projection.eval()("image", features("image")), first)


def test_saved_and_loaded_strictly(kind: str, tmp_path: Path) -> None:
    projection = build(kind)
    save_file(projection.state_dict(), tmp_path / "model.safetensors")
    torch.manual_seed(1)
    cls, extra = KINDS[kind]
    other = cls(widths=WIDTHS, output_width=24, num_tokens=5, **extra)
    assert not torch.equal(
        other("image", features("image")), projection("image", features("image"))
    )
    other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    for modality in WIDTHS:
        given_features = features(modality)
        assert torch.equal(other(modality, given_features), projection(modality, given_features))


@pytest.mark.parametrize("scale", [0.02, 3.0])
def test_output_starts_at_the_scale_of_the_embeddings(kind: str, scale: float) -> None:
    projection = build(kind, output_width=256, widths={"image": 256}, output_scale=scale)
    # Constant over tokens, so that pooling keeps the unit scale.
    values = torch.randn(16, 1, 256).expand(-1, 9, -1)
    output = projection("image", Features(values, torch.ones(16, 9, dtype=torch.bool)))
    # Learned ends may start as zeros.
    output = output[:, READS.get(kind, slice(None))]
    assert output.square().mean().sqrt().item() == pytest.approx(scale, rel=0.15)


def test_errors_name_the_value_and_the_way_out(kind: str) -> None:
    projection = build(kind)
    good = features("image")
    with pytest.raises(ValueError, match="'depth'; this projection knows: audio, image"):
        projection("depth", good)
    with pytest.raises(ValueError, match=r"\(2, 9, 12\); this projection was built for .* 20\)"):
        projection("audio", good)
    with pytest.raises(ValueError, match=r"must be bool of shape \(2, 9\)"):
        projection("image", Features(good.values, good.mask[:, 1:]))
    with pytest.raises(ValueError, match=r"is torch.float32 .* must be bool"):
        projection("image", Features(good.values, good.mask.float()))
    for name in ("output_width", "output_scale"):
        with pytest.raises(ValueError, match=f"{name}=0 must be greater than 0"):
            build(kind, **{name: 0})


@pytest.mark.parametrize("kind", ["perceiver", "universal"])
def test_impossible_layers_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="width=16 must be a multiple of heads=3"):
        build(kind, heads=3)
    with pytest.raises(ValueError, match="depth=0"):
        build(kind, depth=0)


def test_tokens_must_be_positive(kind: str) -> None:
    with pytest.raises(ValueError, match="num_tokens"):
        build(kind, num_tokens=-3)


def test_add_modality_from_scratch_leaves_the_others_alone(kind: str) -> None:
    projection = build(kind)
    before = {key: value.clone() for key, value in projection.state_dict().items()}
    expected = projection("image", features("image"))
    projection.add_modality("touch", 7)
    assert projection.widths == {**WIDTHS, "touch": 7}
    after = projection.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(projection("image", features("image")), expected)
    touch = Features(torch.randn(2, 3, 7), torch.ones(2, 3, dtype=torch.bool))
    assert projection("touch", touch).shape == expected.shape


def test_add_modality_like_another_equals_it_and_then_learns_alone(kind: str) -> None:
    projection = build(kind).double()
    projection.add_modality("depth", WIDTHS["image"], like="image")
    assert {each.dtype for each in projection.parameters()} == {torch.float64}
    given_features = features("image")
    expected = projection("image", given_features)
    assert torch.equal(projection("depth", given_features), expected)
    with torch.no_grad():
        for name, parameter in projection.named_parameters():
            if ".depth" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    assert torch.equal(projection("image", given_features), expected)
    assert not torch.allclose(projection("depth", given_features), expected)


@pytest.mark.parametrize("kind", ["perceiver", "universal"])
def test_add_modality_like_another_of_other_width_copies_what_fits(kind: str) -> None:
    projection = build(kind)
    projection.add_modality("touch", 7, like="image")
    state = projection.state_dict()
    name = {"perceiver": "latents", "universal": "resample_tokens"}[kind]
    assert torch.equal(state[f"{name}.touch"], state[f"{name}.image"])


@pytest.mark.parametrize(
    ("name", "width", "like", "message"),
    [
        ("image", 12, None, "already known"),
        ("my.sense", 12, None, "can't be a key"),
        ("", 12, None, "can't be a key"),
        ("keys", 12, None, "can't be a key"),
        ("training", 12, None, "can't be a key"),
        ("touch", 0, None, "width=0"),
        ("touch", 12, "smell", "unknown modality 'smell'"),
    ],
)
def test_add_modality_refuses(
    kind: str, name: str, width: int, like: str | None, message: str
) -> None:
    projection = build(kind)
    with pytest.raises(ValueError, match=message):
        projection.add_modality(name, width, like=like)
    assert projection.widths == WIDTHS


def test_tags_stand_around_the_same_soft_tokens() -> None:
    plain, tagged = build("universal"), build("universal-tags")
    tagged.load_state_dict(plain.state_dict(), strict=False)
    given_features = features("image")
    output = tagged("image", given_features)
    torch.testing.assert_close(output[:, 1:-1], plain("image", given_features))
    assert torch.equal(output[:, :1], tagged.start_tag["image"].expand(2, -1, -1))
    assert torch.equal(output[:, -1:], tagged.end_tag["image"].expand(2, -1, -1))


@settings(max_examples=60, deadline=None)
@given(
    mask=st.lists(st.booleans(), min_size=1, max_size=24).filter(any),
    tokens=st.integers(1, 12),
)
def test_masked_pool_is_adaptive_pooling_of_the_real_tokens(mask: list[bool], tokens: int) -> None:
    values = torch.randn(1, len(mask), 3, generator=torch.Generator().manual_seed(len(mask)))
    pooled = masked_adaptive_pool(Features(values, torch.tensor([mask])), tokens)
    real = values[:, torch.tensor(mask)].transpose(1, 2)
    expected = F.adaptive_avg_pool1d(real, tokens).transpose(1, 2)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def golden_upm() -> UniversalProjection:
    projection = UniversalProjection(
        widths=dict.fromkeys(("image", "audio", "imu"), 64), output_width=96, width=64
    )
    golden_weights(projection)
    return projection


def test_universal_has_the_keys_and_shapes_of_onellm() -> None:
    shapes = json.loads((GOLDEN / "onellm_upm_shapes.json").read_text())["shapes"]
    assert {key: list(value.shape) for key, value in golden_upm().state_dict().items()} == shapes


@torch.no_grad()
def test_universal_equals_onellm() -> None:
    projection = golden_upm()
    with np.load(GOLDEN / "onellm_upm.npz") as golden:
        for modality, tokens in (("image", 257), ("audio", 41), ("imu", 33)):
            values = golden_input(f"in.{modality}", 2, tokens, 64)
            mask = torch.ones(2, tokens, dtype=torch.bool)
            output = projection(modality, Features(values, mask))
            expected = torch.from_numpy(golden[modality])
            torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)
