"""Deeper language models: the same results at first, and further layers that train."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from transformers import Qwen3ForCausalLM

from anymodal import AnyModal
from anymodal.composition import find
from anymodal.toybox import deepening
from anymodal.toybox.language_model import small_language_model
from anymodal.toybox.tokenizer import train_tokenizer

IDS = torch.tensor([[5, 60, 7, 100, 20]])


@pytest.fixture
def shallow() -> Qwen3ForCausalLM:
    tokenizer = train_tokenizer(["Draw a big red ball, please."] * 20, 330)
    torch.manual_seed(0)
    return small_language_model(tokenizer, width=32, layers=2, head_width=8, hidden=48).model


def test_further_layers_change_no_result(shallow: Qwen3ForCausalLM) -> None:
    deep = copy.deepcopy(shallow)
    deepening.deepen(deep, 6)
    assert len(deep.model.layers) == deep.config.num_hidden_layers == 6
    assert torch.equal(deep(IDS).logits, shallow(IDS).logits)
    # With keys and values kept, each layer has its own.
    past = deep(IDS[:, :3], use_cache=True).past_key_values
    assert len(past) == 6
    rest = deep(IDS[:, 3:], past_key_values=past).logits
    torch.testing.assert_close(rest, deep(IDS).logits[:, 3:])


def test_further_layers_train(shallow: Qwen3ForCausalLM) -> None:
    deepening.deepen(shallow, 4)
    shallow.requires_grad_(True)(IDS, labels=IDS).loss.backward()
    for layer in shallow.model.layers:
        assert layer.self_attn.o_proj.weight.grad.abs().sum() > 0
        assert layer.mlp.down_proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_number_that_does_not_fit_is_refused(shallow: Qwen3ForCausalLM, layers: int) -> None:
    with pytest.raises(ValueError, match="take 4"):
        deepening.deepen(shallow, layers)


def test_a_folder_opens_deeper(tmp_path: Path) -> None:
    nano_folder = find("nano")
    before = AnyModal.from_pretrained(nano_folder)
    count = len(before.language.model.model.layers)
    deepening.write_deeper(str(nano_folder), str(tmp_path / "deeper"), str(2 * count))
    deeper = AnyModal.from_pretrained(tmp_path / "deeper")
    assert len(deeper.language.model.model.layers) == 2 * count
    before, after = (model.language for model in (before, deeper))
    torch.testing.assert_close(after(after.embed(IDS)), before(before.embed(IDS)))
