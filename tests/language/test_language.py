"""The contract of LanguageModel over several architectures: scores, rows, loss, adapters, files."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
)

from anymodal.language.model import LanguageModel
from anymodal.toybox.tokenizer import train_tokenizer
from tests.support.language_kinds import BUILDERS, NAMES, UNTIED, ids_of, make, tiny_tokenizer


def test_without_new_tokens_it_is_the_model(kind):
    language = make(kind)
    ids = ids_of(language, "Draw a big red ball")
    with torch.no_grad():
        ours = language.logits(language(language.embed(ids)))
        theirs = language.model(input_ids=ids).logits
    assert ours.shape[-1] == language.vocab_size == max(language.tokenizer.get_vocab().values()) + 1
    torch.testing.assert_close(ours, theirs[..., : language.vocab_size])
    assert language.tied is (kind not in UNTIED)


def test_new_tokens_leave_everything_old_as_it_was(kind):
    language = make(kind)
    ids = ids_of(language, "Draw a big red ball")
    with torch.no_grad():
        before = language.logits(language(language.embed(ids)))
        matrix = language.embedding.weight.clone()
        new = language.add_tokens(NAMES[:2]) + language.add_tokens(NAMES[2:])
        after = language.logits(language(language.embed(ids)))
    size = before.shape[-1]
    assert new == [size, size + 1, size + 2] and after.shape[-1] == size + 3
    assert torch.equal(language.embedding.weight, matrix)
    torch.testing.assert_close(after[..., :size], before)


def test_a_new_row_acts_like_an_old_one_of_equal_value(kind):
    language = make(kind)
    width = language.width  # behind it, layers are told which id it is
    (new,) = language.add_tokens(NAMES[:1])
    old = language.encode_text("a")[0]
    with torch.no_grad():
        language.rows[0] = language.embedding.weight[old]
        if not language.tied:
            language.output_rows[0] = language.model.get_output_embeddings().weight[old]
        new_row, old_row = (language.embed([token])[:, :width] for token in (new, old))
        torch.testing.assert_close(new_row, old_row)
        logits = language.logits(torch.randn(3, language.width))
    torch.testing.assert_close(logits[:, new], logits[:, old])


@pytest.mark.parametrize("lora", [False, True])
def test_training_changes_new_rows_and_no_old_one(kind, lora):
    language = make(kind)
    new = language.add_tokens(NAMES)
    if lora:
        language.enable_lora(r=2, alpha=4, dropout=0.0)
    frozen = {n: p.detach().clone() for n, p in language.named_parameters() if not p.requires_grad}
    trained = {n: p.detach().clone() for n, p in language.named_parameters() if p.requires_grad}
    assert all("rows" in name or "lora_" in name for name in trained)
    assert any("lora_" in name for name in trained) is lora
    assert any("embed" in n or "wte" in n for n in frozen)
    ids = torch.tensor([[*language.encode_text("Draw a ball"), *new, 5, 6]])
    optimizer = torch.optim.AdamW(
        [p for p in language.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.5
    )
    language.train()
    losses = []
    for _ in range(4):
        loss = language.loss(language(language.embed(ids)), ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    now = dict(language.named_parameters())
    assert losses[-1] < losses[0]
    assert all(torch.equal(now[name], before) for name, before in frozen.items())
    for name, before in trained.items():
        assert not torch.equal(now[name], before), name


def test_loss_equals_the_full_logits_reference(kind):
    language = make(kind)
    new = language.add_tokens(NAMES)
    base = language.encode_text("Draw a big red ball, please.")
    ids = torch.tensor([[*base, *new], [*new, *base]])
    labels = ids.clone()
    labels[0, :4] = labels[1, 3:7] = -100

    def both(compute):
        language.zero_grad()
        loss = compute(language(language.embed(ids)))
        loss.backward()
        grads = [p.grad.clone() for p in language.parameters() if p.requires_grad]
        return loss.detach(), grads

    def reference(hidden):
        logits = language.logits(hidden[:, :-1]).flatten(0, 1)
        return F.cross_entropy(logits, labels[:, 1:].flatten(), ignore_index=-100)

    loss, grads = both(lambda hidden: language.loss(hidden, labels))
    expected, expected_grads = both(reference)
    torch.testing.assert_close(loss, expected)
    assert len(grads) == (1 if language.tied else 2)
    torch.testing.assert_close(grads, expected_grads)


def test_loss_without_targets_is_zero_and_has_a_gradient():
    language = make("llama")
    language.add_tokens(NAMES)
    hidden = language(language.embed(torch.tensor([[1, language.vocab_size - 1]])))
    loss = language.loss(hidden, torch.full((1, 2), -100))
    loss.backward()
    assert float(loss.detach()) == 0.0 and torch.isfinite(language.rows.grad).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(kind, side):
    language = make(kind)
    long, short = ids_of(language, "What do you hear, please?"), ids_of(language, "Make it slow")
    width, real = long.shape[1], short.shape[1]
    at = slice(width - real, width) if side == "left" else slice(0, real)
    ids = torch.zeros(2, width, dtype=torch.long)
    mask = torch.zeros(2, width, dtype=torch.bool)
    ids[0], mask[0] = long[0], True
    ids[1, at], mask[1, at] = short[0], True
    with torch.no_grad():
        hidden = language(language.embed(ids), mask)
        alone = language(language.embed(short))
    torch.testing.assert_close(hidden[1, at], alone[0], atol=1e-5, rtol=1e-4)


def test_lora_goes_everywhere_but_the_output_layer_and_only_once():
    language = make("llama")
    language.enable_lora(r=2)
    adapted = {n.split(".lora_")[0] for n, _ in language.named_parameters() if "lora_" in n}
    assert len(adapted) == 2 * 7 and not any("lm_head" in name for name in adapted)
    with pytest.raises(ValueError, match="already"):
        language.enable_lora()


@torch.no_grad()
def test_adapters_on_the_ends_of_a_model_are_used_and_merge_away():
    language = make("llama")
    ids = ids_of(language, "Hello")
    hidden = torch.randn(1, language.width)
    before = language.embed(ids), language.logits(hidden)
    language.enable_lora(r=2, dropout=0.0, target_modules=["embed_tokens", "lm_head"])
    for name, weight in language.named_parameters():
        if "lora_" in name:
            weight.normal_()
    adapted = language.embed(ids), language.logits(hidden)
    language.merge_adapters()
    merged = language.embed(ids), language.logits(hidden)
    for was, now, after in zip(before, adapted, merged, strict=True):
        assert not torch.allclose(was, now)
        torch.testing.assert_close(after, now, atol=1e-5, rtol=1e-4)


def test_loads_a_folder_and_recognises_it(tmp_path):
    language = make("llama")
    language.model.save_pretrained(tmp_path / "lm")
    language.tokenizer.save_pretrained(tmp_path / "lm")
    loaded = LanguageModel.from_pretrained(str(tmp_path / "lm"), lora={"r": 2})
    metadata = loaded.metadata()
    loaded.add_tokens(NAMES)
    assert loaded.metadata() == metadata
    assert metadata["words"] == language.metadata()["words"]
    assert metadata["class"] == "LlamaForCausalLM" and metadata["source"]["name"] == "lm"
    assert not loaded.training and any("lora_A" in name for name in loaded.state_dict())
    other = LanguageModel(BUILDERS["llama"](), train_tokenizer(["other words"] * 9, 275))
    assert other.metadata()["words"] != metadata["words"]


def test_rows_are_restored_from_a_state_dict():
    language, twin = make("llama"), make("llama")
    language.add_tokens(NAMES)
    twin.add_tokens(NAMES)
    assert not torch.equal(twin.rows, torch.zeros_like(twin.rows))
    twin.load_state_dict(language.state_dict(), strict=True)
    assert torch.equal(twin.rows, language.rows)
    assert torch.equal(twin.output_rows, language.output_rows)


def test_a_tokenizer_too_large_is_refused():
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )
    with pytest.raises(ValueError, match="only 50 embedding rows"):
        LanguageModel(model, tiny_tokenizer())


def test_known_tokens_are_not_added_again():
    language = make("llama")
    with pytest.raises(ValueError, match="already has a token"):
        language.add_tokens(["<|x|>", "<|x|>"])
    with pytest.raises(ValueError, match="already has a token"):
        language.add_tokens(["<|end|>"])
