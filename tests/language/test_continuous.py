"""Continuous batching: whenever a reply joins and leaves, it is the one that it would be alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3NextConfig, Qwen3NextForCausalLM

from anymodal.language.continuous import BatchRow, ContinuousBatch
from anymodal.language.generation import generate
from anymodal.language.kv_cache import BatchCache, PrefixCache, new_cache
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.text_stream import TextToken
from tests.support.language_models import FAMILIES

TEXTS = ["Draw a ball", "Make it green and slow, please", "What?", "red", "big and slow", "a"]
NARROW = {**FAMILIES["gemma-3"].config, "sliding_window": 6}
KINDS = {
    **{name: FAMILIES[name] for name in ("llama-3", "qwen3-moe", "opt")},
    "gemma-3, a narrow window": dataclasses.replace(FAMILIES["gemma-3"], config=NARROW),
}
Model = tuple[LanguageModel, Signals]
Events = Sequence[TextToken | SpanReady]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("language") / "model"
    KINDS[request.param].write(folder)
    language = LanguageModel.from_pretrained(str(folder))
    signals = Signals.add_to(language, {"pic": 5, "tune": 3}, ["pic"])
    with torch.no_grad():  # spans are asked for now and then, so that some come out
        rows = language.rows if language.tied else language.output_rows
        rows[[0, 5]] *= 3.0
    return language, signals


def prompts_of(language: LanguageModel) -> list[Prompt]:
    segments = [language.render_chat([("user", [text])], True) for text in TEXTS]
    ids = [[token for segment in each for token in segment.ids] for each in segments]
    return [Prompt(language.embed(each), list(each)) for each in ids]


def facts(events: Events) -> list[Any]:
    return [e.ids if isinstance(e, TextToken) else e.name for e in events]


def run(batch: ContinuousBatch, arrivals: dict[int, Any]) -> list[list[TextToken | SpanReady]]:
    """Let replies join before the steps that `arrivals` names; their events, in that order."""
    rows: list[BatchRow] = []
    events: list[list[TextToken | SpanReady]] = []
    step = 0
    while len(rows) < len(arrivals) or len(batch):
        for join in (join for at, join in arrivals.items() if at == step):
            rows.append(join())
            events.append([])
        for row in batch.step():
            if not row.is_done:
                batch.rejoin(row)
        for row, told in zip(rows, events, strict=True):
            told.extend(row.drain())
        step += 1
    assert all(row.is_done and row.error is None for row in rows)
    return events


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_replies_that_join_at_any_step_are_as_alone(model: Model, temperature: float) -> None:
    language, signals = model
    how = Sampling(max_new_tokens=24, temperature=temperature)
    prompts = prompts_of(language)
    alone = [
        list(generate(language, signals, prompt, how, generator=seeded(place)))
        for place, prompt in enumerate(prompts)
    ]
    batch = ContinuousBatch(language, signals)
    arrivals = {
        2 * place: lambda p=prompt, s=place: batch.join(p, how, generator=seeded(s))
        for place, prompt in enumerate(prompts)
    }
    together = run(batch, arrivals)
    assert list(map(facts, together)) == list(map(facts, alone))
    for ours, theirs in zip(together, alone, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            if isinstance(one, SpanReady):
                torch.testing.assert_close(one.hidden, other.hidden, atol=1e-4, rtol=1e-3)


def test_the_scores_of_a_batch_are_those_of_each_alone(model: Model) -> None:
    language, _ = model
    prompts = prompts_of(language)
    caches = [PrefixCache(language) for _ in prompts]
    together = BatchCache(language)
    with torch.inference_mode():
        for prompt, cache in zip(prompts, caches, strict=True):
            cache.feed(prompt.embeds, prompt.keys)
            together.join(cache.past)
        for token in (3, 40, 41, 42, 43, 44, 45, 46):
            embeds = language.embed([token])
            hidden = together.feed(embeds.expand(len(prompts), -1))
            alone = torch.cat([cache.feed(embeds, [token]) for cache in caches])
            difference = language.logits(hidden) - language.logits(alone)
            assert difference.abs().max() <= 1e-5


def test_a_row_that_leaves_can_rejoin_and_its_cache_goes_on(model: Model) -> None:
    language, signals = model
    how = Sampling(max_new_tokens=12)
    prompts = prompts_of(language)[:3]
    alone = [facts(list(generate(language, signals, prompt, how))) for prompt in prompts]
    batch = ContinuousBatch(language, signals)
    rows = [batch.join(prompt, how) for prompt in prompts]
    out: list[BatchRow] = []
    for step in range(60):
        if step % 3 == 0 and len(batch) > 1:
            out.append(batch.rows[0])
            batch.leave(batch.rows[0])
        elif out:
            batch.rejoin(out.pop())
        for row in batch.step():
            if not row.is_done:
                batch.rejoin(row)
    assert [facts(row.drain()) for row in rows] == alone
    for row, prompt, told in zip(rows, prompts, alone, strict=True):
        warm = row.cache.fork()
        assert facts(list(generate(language, signals, prompt, how, cache=warm))) == told
        assert warm is not row.cache and row.cache.keys[: len(prompt.keys)] == prompt.keys


def test_a_step_that_fails_changes_nothing(model: Model) -> None:
    language, signals = model
    how = Sampling(max_new_tokens=12)
    prompts = prompts_of(language)[:3]
    alone = [facts(list(generate(language, signals, prompt, how))) for prompt in prompts]
    batch = ContinuousBatch(language, signals)
    rows = [batch.join(prompt, how) for prompt in prompts]
    last = language.blocks[-1]
    failing = True

    def fail(*_: object) -> None:
        if failing:
            raise torch.OutOfMemoryError("no room")

    hook = last.register_forward_pre_hook(fail)
    try:
        while any(not row.is_done for row in rows):
            failing = True
            with pytest.raises(torch.OutOfMemoryError):
                batch.step()
            failing = False
            apart = [row for row in batch.step() if not row.is_done]
            for row in apart:
                failing = True
                with pytest.raises(torch.OutOfMemoryError):
                    batch.rejoin(row)
                failing = False
                batch.rejoin(row)
    finally:
        hook.remove()
    assert [facts(row.drain()) for row in rows] == alone


def test_a_forced_reply_is_its_spans_alone(model: Model) -> None:
    language, signals = model
    prompt = prompts_of(language)[0]
    batch = ContinuousBatch(language, signals)
    row = batch.join(prompt, forced=["tune", "pic"])
    assert row.is_done and row.state.finish_reason == "stop" and row.state.tokens == 8
    assert facts(row.drain()) == ["tune", "pic"] and len(batch) == 0
    short = batch.join(prompt, Sampling(max_new_tokens=4), forced=["tune", "pic"])
    assert short.state.finish_reason == "length" and facts(short.drain()) == ["tune"]


def test_a_reply_asks_for_no_other_media_than_it_may(model: Model) -> None:
    language, signals = model
    for allowed in ([], ["tune"]):
        how = Sampling(max_new_tokens=60, temperature=3.0, modalities=allowed)
        events = generate(language, signals, prompts_of(language)[0], how, generator=seeded(0))
        assert {e.name for e in events if isinstance(e, SpanReady)} <= {*allowed}


def test_a_model_with_a_recurrent_state_takes_its_steps_row_by_row() -> None:
    torch.manual_seed(0)
    tokenizer = FAMILIES["qwen3"].tokenizer()
    config = Qwen3NextConfig(
        vocab_size=len(tokenizer) + 8, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, moe_intermediate_size=16,
        shared_expert_intermediate_size=16, num_experts=2, num_experts_per_tok=1,
        linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8,
        linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"],
        max_position_embeddings=160, tie_word_embeddings=True, initializer_range=0.3,
        pad_token_id=None,
    )  # fmt: skip
    language = LanguageModel(Qwen3NextForCausalLM(config).eval(), tokenizer)
    assert not BatchCache.takes(new_cache(language))
    signals = Signals.add_to(language, {"pic": 5}, ["pic"])
    how, prompts = Sampling(max_new_tokens=12), prompts_of(language)[:3]
    alone = [facts(list(generate(language, signals, prompt, how))) for prompt in prompts]
    batch = ContinuousBatch(language, signals)
    arrivals = {2 * i: lambda p=prompt: batch.join(p, how) for i, prompt in enumerate(prompts)}
    assert list(map(facts, run(batch, arrivals))) == alone
