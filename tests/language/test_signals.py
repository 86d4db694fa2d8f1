from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.language.generation import generate
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.model import LanguageModel
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.text_stream import TextToken
from anymodal.toybox.tokenizer import train_tokenizer

SIGNALS = Signals({"picture": 3, "sound": 1}, ["picture", "move"], 100)


def tiny_language() -> LanguageModel:
    tokenizer = train_tokenizer(["a red ball"] * 3, 270)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    return LanguageModel(LlamaForCausalLM(config), tokenizer)


def test_ids_follow_the_names():
    assert SIGNALS.names == [
        "<|picture_0|>",
        "<|picture_1|>",
        "<|picture_2|>",
        "<|sound_0|>",
        "<|picture|>",
        "<|move|>",
    ]
    assert SIGNALS.span("picture") == [100, 101, 102] and SIGNALS.span("sound") == [103]
    assert SIGNALS.placeholder("picture") == 104 and SIGNALS.placeholder("move") == 105
    assert SIGNALS.starts == {100: "picture", 103: "sound"}


def test_added_to_a_language_model_the_tokenizer_agrees():
    language = tiny_language()
    signals = Signals.add_to(language, {"picture": 3, "sound": 1}, iter(["picture"]))
    ids = language.tokenizer.convert_tokens_to_ids(signals.names)
    assert ids == list(range(signals.first_id, signals.stop_id))
    assert signals.stop_id == language.vocab_size and len(language.rows) == len(signals.names)


def test_only_first_signals_of_allowed_spans_remain():
    logits = torch.randn(2, 110)
    for allowed, open_ids in ((["picture", "sound"], [100, 103]), (["sound"], [103]), ([], [])):
        constrained = SIGNALS.constrain(logits, allowed)
        closed = torch.isinf(constrained[0]).nonzero().flatten().tolist()
        assert closed == [token for token in range(100, 106) if token not in open_ids]
        kept = ~torch.isinf(constrained)
        assert torch.equal(constrained[kept], logits[kept])


def broken_spans(ids: list[int], signals: Signals) -> list[int]:
    """Signals and placeholders in ids that are in no whole span."""
    broken, at = [], 0
    while at < len(ids):
        name = signals.starts.get(ids[at])
        span = signals.span(name) if name is not None else []
        if span and ids[at : at + len(span)] == span:
            at += len(span)
            continue
        broken += [ids[at]] if signals.first_id <= ids[at] < signals.stop_id else []
        at += 1
    return broken


def test_what_counts_as_a_broken_span():
    assert broken_spans([1, 100, 101, 102, 103, 3], SIGNALS) == []
    assert broken_spans([100, 100, 101, 102, 1, 101, 104], SIGNALS) == [100, 101, 104]
    assert broken_spans([103, 100, 101], SIGNALS) == [100, 101]


LANGUAGE = tiny_language()
ADDED = Signals.add_to(LANGUAGE, {"picture": 3, "sound": 1}, ["picture"])


@settings(deadline=None, max_examples=40)
@given(
    likely=st.lists(st.floats(-8, 8), min_size=5, max_size=5),
    how=st.builds(
        Sampling,
        max_new_tokens=st.integers(1, 14),
        temperature=st.sampled_from([0.0, 0.5, 1.5]),
        top_k=st.integers(0, 8),
        top_p=st.floats(0.1, 1.0),
        min_p=st.floats(0.0, 1.0),
        repetition_penalty=st.sampled_from([1.0, 0.5, 2.0]),
        max_spans=st.none() | st.integers(0, 3),
    ),
    seed=st.integers(0, 2**31),
)
def test_no_span_is_ever_broken(likely: list[float], how: Sampling, seed: int) -> None:
    """Whatever the scores of the tokens, and whatever the settings and limits of a reply."""
    ids = LANGUAGE.encode_text("a red ball")
    with torch.no_grad():
        prompt = Prompt(LANGUAGE.embed(ids), list(ids))
        hidden = LANGUAGE(prompt.embeds[None])[0, -1]
        LANGUAGE.output_rows.copy_(torch.tensor(likely)[:, None] * hidden / hidden.square().sum())
    cache = PrefixCache(LANGUAGE)
    generator = torch.Generator().manual_seed(seed)
    events = list(generate(LANGUAGE, ADDED, prompt, how, generator=generator, cache=cache))
    reply = [key for key in cache.keys[len(ids) :] if isinstance(key, int)]  # as the model read it
    spans = [event for event in events if isinstance(event, SpanReady)]
    assert broken_spans(reply, ADDED) == [] and len(reply) <= how.max_new_tokens
    assert [reply.count(start) for start in ADDED.starts] == [
        sum(span.name == name for span in spans) for name in ADDED.starts.values()
    ]
    assert all(torch.equal(span.embeds, LANGUAGE.embed(ADDED.span(span.name))) for span in spans)
    said = [token for event in events if isinstance(event, TextToken) for token in event.ids]
    assert not any(ADDED.first_id <= token < ADDED.stop_id for token in said)


@pytest.mark.parametrize(
    ("counts", "inputs", "message"),
    [
        ({"a": 0}, [], "at least 1"),
        ({"a b": 2}, [], "cannot name"),
        ({}, ["|>"], "cannot name"),
        ({"a": 1}, ["a_0"], "share the tokens <|a_0|>"),
        ({}, ["a", "a"], "share the tokens"),
    ],
)
def test_bad_names_and_counts_are_refused(counts, inputs, message):
    with pytest.raises(ValueError) as caught:
        Signals(counts, inputs, 5)
    assert message in str(caught.value)


def test_unknown_names_are_answered_with_the_known():
    with pytest.raises(ValueError, match="'film'; there are: picture, sound"):
        SIGNALS.span("film")
    with pytest.raises(ValueError, match="'film'; there are: picture, move"):
        SIGNALS.placeholder("film")


def test_a_name_of_the_chat_template_is_refused():
    with pytest.raises(ValueError, match=r"already has a token '<\|user\|>'"):
        Signals.add_to(tiny_language(), {}, ["user"])
