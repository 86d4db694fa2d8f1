from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal.language.model import LanguageModel
from anymodal.language.signal_tokens import Signals, Span
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


def test_parse_finds_spans_at_their_places():
    parts, malformed = SIGNALS.parse([1, 2, 100, 101, 102, 103, 3])
    assert parts == [[1, 2], Span("picture", 2), Span("sound", 5), [3]] and malformed == 0


@pytest.mark.parametrize(
    ("ids", "parts", "malformed"),
    [
        ([100, 101], [], 1),
        ([1, 101, 102, 2], [[1, 2]], 1),
        ([100, 100, 101, 102], [Span("picture", 1)], 1),
        ([102, 101, 100], [], 3),
        ([100, 101, 103], [Span("sound", 2)], 1),
        ([104, 5], [[104, 5]], 0),
    ],
)
def test_parse_counts_what_is_broken(ids, parts, malformed):
    assert SIGNALS.parse(ids) == (parts, malformed)


@settings(deadline=None)
@given(st.lists(st.integers(95, 106), max_size=30))
def test_parse_loses_nothing_but_strays(ids):
    parts, malformed = SIGNALS.parse(ids)
    text = [token for part in parts if not isinstance(part, Span) for token in part]
    assert text == [token for token in ids if not SIGNALS.is_signal(token)]
    spans = [part for part in parts if isinstance(part, Span)]
    for name, start in spans:
        assert ids[start : start + SIGNALS.counts[name]] == SIGNALS.span(name)
    in_spans = sum(SIGNALS.counts[span.name] for span in spans)
    signals = sum(SIGNALS.is_signal(token) for token in ids)
    assert (malformed == 0) == (in_spans == signals)


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
