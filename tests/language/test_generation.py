"""Replies token by token: sampling, spans in one pass, streamed text."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.language.generation import generate
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.text_stream import TextStream, TextToken
from tests.language.test_typed_text import TYPED
from tests.support.language_kinds import ids_in, nudge, prompt_of, sample_events, with_signals


def test_greedy_equals_hugging_face(kind):
    language, signals = with_signals(kind)
    prompt = prompt_of(language, "Draw a big red ball")
    barred = [t for t in range(language.embedding.weight.shape[0]) if t >= signals.first_id]
    with torch.no_grad():
        theirs = language.model.generate(
            torch.tensor([prompt.keys]),
            attention_mask=torch.ones(1, len(prompt.keys), dtype=torch.long),
            max_new_tokens=20,
            do_sample=False,
            suppress_tokens=barred or None,
            pad_token_id=0,
        )[0, len(prompt.keys) :].tolist()
    events = list(generate(language, signals, prompt, Sampling(max_new_tokens=20, max_spans=0)))
    ended = [language.tokenizer.eos_token_id] if theirs[-1] in language.stops else []
    assert ids_in(signals, events) + ended == theirs
    text = "".join(event.text for event in events)
    # Bytes that make no character are shown one by one, or together as they come.
    assert "\ufffd" in text or text == language.decode(ids_in(signals, events))


def test_a_span_in_one_pass_is_the_span_token_by_token(kind):
    language, signals = with_signals(kind)
    prompt, span = prompt_of(language, "Draw a ball"), signals.span("pic")
    calls = []
    language.backbone.register_forward_hook(
        lambda module, args, kwargs, output: calls.append(kwargs["inputs_embeds"].shape[1]),
        with_kwargs=True,
    )
    with torch.no_grad():
        whole = PrefixCache(language)
        whole.feed(prompt.embeds, prompt.keys)
        together = whole.feed(language.embed(span), span)
        single = PrefixCache(language)
        single.feed(prompt.embeds, prompt.keys)
        one_by_one = torch.cat([single.feed(language.embed([token]), [token]) for token in span])
    assert calls == [len(prompt.keys), 5, len(prompt.keys), 1, 1, 1, 1, 1]
    # Processors with wide registers add up in another order: 3e-5 apart for Gemma 4 on one.
    torch.testing.assert_close(together, one_by_one, atol=5e-5, rtol=1e-4)


def test_spans_are_whole_and_the_limits_hold(kind):
    language, signals = with_signals(kind)
    nudge(language, signals)
    prompt = prompt_of(language, "Draw a ball")
    seen = 0
    limits = ((2, None), (4, None), (30, 0), (30, 2))
    for seed, (limit, most) in itertools.product(range(4), limits):
        events = sample_events(
            language, signals, prompt, seed, max_new_tokens=limit, max_spans=most
        )
        ids = ids_in(signals, events)
        spans = [event for event in events if isinstance(event, SpanReady)]
        assert len(ids) <= limit
        assert len(spans) <= (limit if most is None else most)
        assert signals.placeholder("pic") not in ids and not language.stops & set(ids)
        for span in spans:
            count = signals.counts[span.name]
            assert span.hidden.shape == span.embeds.shape == (count, language.width)
            own = language.embed(signals.span(span.name))[:, : language.width]
            assert torch.equal(span.embeds, own)
        seen += len(spans)
    assert seen >= 3


def test_hidden_states_of_a_reply_are_those_of_reading_it():
    language, signals = with_signals("qwen3")
    nudge(language, signals)
    prompt = prompt_of(language, "Draw a ball")
    events = next(
        e
        for e in (sample_events(language, signals, prompt, seed) for seed in range(200))
        if sum(isinstance(event, SpanReady) for event in e) >= 2 and isinstance(e[0], TextToken)
    )
    with torch.no_grad():
        reply = ids_in(signals, events)
        whole = language(language.embed(torch.tensor([[*prompt.keys, *reply]])))
        hidden = whole[0, len(prompt.keys) :]
    at = 0
    for event in events:
        if isinstance(event, SpanReady):
            size = len(event.hidden)
            torch.testing.assert_close(event.hidden, hidden[at : at + size], atol=1e-5, rtol=1e-4)
            at += size
        else:
            at += len(event.ids)


def test_a_seed_reproduces_and_another_differs():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    runs = [ids_in(signals, sample_events(language, signals, prompt, seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_narrow_sampling_is_greedy():
    language, signals = with_signals("llama")
    prompt = prompt_of(language, "Draw a ball")
    greedy = ids_in(signals, generate(language, signals, prompt, Sampling(max_new_tokens=12)))
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        events = sample_events(language, signals, prompt, 0, **{"max_new_tokens": 12, **narrow})
        assert ids_in(signals, events) == greedy


def test_sampling_follows_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    generator = torch.Generator().manual_seed(0)

    def shares(**more):
        picks = [Sampling(temperature=1.0, **more).pick(logits, [], generator) for _ in range(2000)]
        return torch.bincount(torch.tensor(picks), minlength=4) / 2000

    assert torch.allclose(shares(), logits.exp(), atol=0.04)
    assert torch.allclose(shares(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0]), atol=0.04)
    assert torch.allclose(shares(top_k=3), torch.tensor([0.526, 0.316, 0.158, 0]), atol=0.04)
    # Of the likeliest one's 0.5: 0.3 and 0.15 are at least a quarter of it.
    assert torch.allclose(shares(min_p=0.25), torch.tensor([0.526, 0.316, 0.158, 0]), atol=0.04)
    assert torch.allclose(shares(min_p=1.0), torch.tensor([1.0, 0, 0, 0]), atol=0)
    assert Sampling(repetition_penalty=2.0).pick(torch.tensor([2.0, 1.5]), [0], None) == 1
    assert Sampling(repetition_penalty=2.0).pick(torch.tensor([-1.0, -1.5]), [0], None) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": 1.1},
        {"repetition_penalty": 0.0},
        {"max_spans": -1},
    ],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        Sampling(**bad)


def test_impossible_prompts_are_refused():
    language, signals = with_signals("gpt2")
    with pytest.raises(ValueError, match="reads 128"):
        list(generate(language, signals, Prompt(torch.zeros(128, 16), list(range(128)))))
    with pytest.raises(ValueError, match="at least one"):
        list(generate(language, signals, Prompt(torch.zeros(0, 16), [])))
    full = Prompt(torch.randn(125, 16), list(range(125)))
    events = list(generate(language, signals, full, Sampling(max_new_tokens=50)))
    assert len(ids_in(signals, events)) <= 3


@given(st.text(max_size=30))
@settings(max_examples=80, deadline=None)
def test_streamed_text_has_no_broken_characters(text):
    stream = TextStream(TYPED)
    events = [event for token in TYPED.encode_text(text) if (event := stream.push(token))]
    if rest := stream.flush():
        events.append(rest)
    assert "".join(event.text for event in events) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in event.text for event in events)


@given(st.lists(st.integers(0, TYPED.first_new - 1), max_size=30))
@settings(max_examples=80, deadline=None)
def test_streaming_any_ids_adds_up_to_their_text(ids):
    stream = TextStream(TYPED)
    events = [event for token in ids if (event := stream.push(token))]
    if rest := stream.flush():
        events.append(rest)
    assert "".join(event.text for event in events) == TYPED.decode(ids)
    assert [token for event in events for token in event.ids] == ids
