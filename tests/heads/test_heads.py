"""Every head keeps the same contract; the mapper also equals NExT-GPT's output projector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anymodal.heads import ConnectorHead, Head, LinearHead, MapperHead
from anymodal.training.losses import alignment_loss
from anymodal.types import Conditioning, ConditioningSpec
from tests.support.golden_weights import GOLDEN, golden_input, golden_weights

SPEC = ConditioningSpec(length=7, width=12, pooled=5, scale=1.0)
KINDS = {
    "linear": (LinearHead, {}),
    "mapper": (MapperHead, {"hidden_width": 16, "depth": 2, "heads": 4}),
    "connector": (ConnectorHead, {"depth": 2, "heads": 4}),
}


def build(kind: str, *, seed: int = 0, **changes: object) -> Head:
    cls, extra = KINDS[kind]
    torch.manual_seed(seed)
    return cls(**{"input_width": 24, "num_signal_tokens": 4, "spec": SPEC, **extra, **changes})


def states(
    batch: int = 3, num_signal_tokens: int = 4, width: int = 24
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden, embeds = torch.randn(2, batch, num_signal_tokens, width, generator=generator)
    return hidden, embeds


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("num_signal_tokens", [1, 4, 7, 11])
def test_shapes_follow_the_spec_whatever_the_signals(kind: str, num_signal_tokens: int) -> None:
    output = build(kind, num_signal_tokens=num_signal_tokens)(
        *states(num_signal_tokens=num_signal_tokens)
    )
    assert output.embeds.shape == (3, 7, 12) and output.embeds.isfinite().all()
    assert output.mask.shape == (3, 7) and output.mask.dtype == torch.bool and output.mask.all()
    assert output.pooled is not None and output.pooled.shape == (3, 5)


def test_a_single_position_and_no_pooled(kind: str) -> None:
    output = build(kind, spec=ConditioningSpec(length=1, width=512))(*states())
    assert output.embeds.shape == (3, 1, 512)
    assert output.pooled is None


def test_items_of_a_batch_are_independent(kind: str) -> None:
    head = build(kind)
    hidden, embeds = states()
    together = head(hidden, embeds)
    for item in range(3):
        alone = head(hidden[item : item + 1], embeds[item : item + 1])
        expected = together.embeds[item : item + 1]
        torch.testing.assert_close(alone.embeds, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone.pooled, together.pooled[item : item + 1])


def test_every_signal_is_read_and_their_order_matters(kind: str) -> None:
    head = build(kind)
    hidden, embeds = states()
    expected = head(hidden, embeds).embeds
    for signal in range(4):
        changed = hidden.clone()
        changed[:, signal] = torch.randn(3, 24)
        assert (head(changed, embeds).embeds - expected).abs().max() > 1e-3
    if (
        kind != "mapper"
    ):  # GILL's has no positions: the signal tokens' own embeddings tell them apart
        assert (head(hidden.flip(1), embeds).embeds - expected).abs().max() > 1e-3


def test_positions_differ_from_one_another(kind: str) -> None:
    output = build(kind)(*states()).embeds
    distance = torch.cdist(output, output) + torch.eye(7) * 1e3
    assert distance.min() > 1e-3


def test_gradients_reach_every_parameter_and_the_states(kind: str) -> None:
    head = build(kind)
    hidden, embeds = (each.requires_grad_() for each in states())
    output = head(hidden, embeds)
    loss = (output.embeds * torch.randn_like(output.embeds)).sum() + output.pooled.square().sum()
    loss.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert hidden.grad is not None and (hidden.grad.abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize("scale", [0.1, 5.5**0.5])
def test_output_starts_at_the_scale_of_the_conditioning(kind: str, scale: float) -> None:
    spec = ConditioningSpec(length=7, width=128, scale=scale)
    extra = {"hidden_width": 128} if kind == "mapper" else {}
    head = build(kind, spec=spec, input_width=128, **extra)
    for magnitude in (1.0, 30.0):  # language models differ in the scale of their states
        hidden, embeds = states(8, 4, 128)
        output = head(magnitude * hidden, embeds).embeds
        assert output.square().mean().sqrt().item() == pytest.approx(scale, rel=0.25)


def test_bfloat16_and_determinism(kind: str) -> None:
    head = build(kind)
    expected = head(*states())
    assert torch.equal(head(*states()).embeds, expected.embeds)
    torch.testing.assert_close(head.eval()(*states()).embeds, expected.embeds)
    output = head.bfloat16()(*states())
    assert output.embeds.dtype == output.pooled.dtype == torch.bfloat16
    error = (output.embeds.float() - expected.embeds).square().mean().sqrt()
    assert error < 0.05 * expected.embeds.square().mean().sqrt()


def test_trains_under_bfloat16_autocast(kind: str) -> None:
    head = build(kind)
    expected = head(*states()).embeds
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = head(*states()).embeds
    error = (output.float() - expected).square().mean().sqrt()
    assert error < 0.05 * expected.square().mean().sqrt()
    output.float().square().sum().backward()
    grads = [each.grad for each in head.parameters() if each.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


def test_saved_and_loaded_strictly(kind: str, tmp_path: Path) -> None:
    head, other = build(kind), build(kind, seed=1)
    assert not torch.equal(other(*states()).embeds, head(*states()).embeds)
    save_file(head.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    for one, two in zip(other(*states()), head(*states()), strict=True):
        assert torch.equal(one, two)


def test_errors_name_the_value_and_the_limit(kind: str) -> None:
    head = build(kind)
    with pytest.raises(
        ValueError, match=r"hidden has shape \(3, 5, 24\).* 4 signal tokens, width 24"
    ):
        head(*states(num_signal_tokens=5))
    with pytest.raises(ValueError, match=r"embeds has shape \(2, 4, 24\)|\(3, 4, 9\)"):
        head(states()[0], states(width=9)[1])
    with pytest.raises(ValueError, match=r"num_signal_tokens=0 must be greater than 0"):
        build(kind, num_signal_tokens=0)
    with pytest.raises(ValueError, match=r"spec.scale=0.0 must be greater than 0"):
        build(kind, spec=ConditioningSpec(length=7, width=12, scale=0.0))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("mapper", {"heads": 3}, "width of 16 must be a multiple of heads=3"),
        ("mapper", {"depth": 0}, "depth=0"),
        ("connector", {"heads": 5}, "width of 24 must be a multiple of heads=5"),
        ("connector", {"heads": 8}, "odd head width"),
        ("connector", {"depth": 0}, "depth=0"),
    ],
)
def test_impossible_layers_are_refused(kind: str, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(kind, **changes)


@pytest.mark.parametrize("kind", ["mapper", "connector"])
def test_learns_a_padded_target_by_alignment(kind: str) -> None:
    torch.manual_seed(0)
    head = build(kind, spec=ConditioningSpec(length=7, width=12), depth=1)
    hidden, embeds = states(8)
    wanted = torch.nn.functional.normalize(torch.randn(8, 7, 12), dim=-1) * 12**0.5
    mask = torch.arange(7) < torch.tensor([1, 2, 3, 3, 4, 4, 5, 7])[:, None]
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    for _ in range(150):
        loss = alignment_loss(head(hidden, embeds), Conditioning(wanted, mask), "mse")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    output = head(hidden, embeds).embeds.detach()
    assert (output - wanted)[mask].square().mean() < 0.2
    assert output[~mask].square().mean().sqrt() < 0.25


def rms_normalise(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return values / np.sqrt((values**2).mean(-1, keepdims=True) + 1e-6) * weight


def gelu(values: np.ndarray) -> np.ndarray:
    return 0.5 * values * (1 + np.tanh(np.sqrt(2 / np.pi) * (values + 0.044715 * values**3)))


def connector_by_hand(head: ConnectorHead, hidden: np.ndarray) -> np.ndarray:
    """One item (S, D) through the connector, head by head, with rotary positions as complex."""
    w = {key: value.double().numpy() for key, value in head.state_dict().items()}
    x = np.concatenate([hidden, w["queries"][0]])
    size = head.input_width // head.heads
    rates = 10000.0 ** (-np.arange(0, size, 2) / size)
    turn = np.exp(1j * np.arange(len(x))[:, None] * rates)
    for i in range(len(head.blocks)):
        at = f"blocks.{i}."
        q, k, v = np.split(
            rms_normalise(x, w[at + "attention_norm.weight"]) @ w[at + "attention.qkv.weight"].T,
            3,
            axis=-1,
        )
        mixed = []
        for start in range(0, head.input_width, size):
            part = slice(start, start + size)
            one = rms_normalise(q[:, part], w[at + "attention.query_norm.weight"])
            two = rms_normalise(k[:, part], w[at + "attention.key_norm.weight"])
            half = size // 2
            one, two = ((z[:, :half] + 1j * z[:, half:]) * turn for z in (one, two))
            scores = np.exp((one @ two.conj().T).real / np.sqrt(size))
            mixed.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        x = x + np.concatenate(mixed, -1) @ w[at + "attention.output.weight"].T
        inner = rms_normalise(x, w[at + "mlp_norm.weight"]) @ w[at + "mlp.0.weight"].T
        x = x + gelu(inner + w[at + "mlp.0.bias"]) @ w[at + "mlp.2.weight"].T + w[at + "mlp.2.bias"]
    read = rms_normalise(x[head.num_signal_tokens :], w["norm.weight"])
    inner = gelu(read @ w["projection.0.weight"].T + w["projection.0.bias"])
    projected = inner @ w["projection.2.weight"].T + w["projection.2.bias"]
    gate = 1 / (1 + np.exp(-(read @ w["gate.weight"].T + w["gate.bias"])))
    return rms_normalise(projected, w["output_norm.weight"]) * gate


@torch.no_grad()
def test_connector_equals_the_arithmetic_written_out() -> None:
    head = golden_weights(build("connector"))
    hidden, embeds = states()
    output = head(hidden, embeds).embeds
    for item in range(len(hidden)):
        expected = torch.from_numpy(connector_by_hand(head, hidden[item].double().numpy()))
        torch.testing.assert_close(output[item].double(), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_mapper_equals_nextgpt() -> None:
    head = MapperHead(
        input_width=96, num_signal_tokens=4, spec=ConditioningSpec(length=7, width=48)
    )
    golden_weights(head)
    shapes = json.loads((GOLDEN / "nextgpt_output_projector_shapes.json").read_text())["shapes"]
    assert {key: list(value.shape) for key, value in head.state_dict().items()} == shapes
    output = head(golden_input("hidden", 3, 4, 96), golden_input("embeds", 3, 4, 96))
    with np.load(GOLDEN / "nextgpt_output_projector.npz") as golden:
        expected = torch.from_numpy(golden["y"])
    torch.testing.assert_close(output.embeds, expected, atol=1e-4, rtol=1e-4)
