"""Chat templates and typed text: nothing typed becomes a special token."""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
)

from anymodal.language.model import LanguageModel
from tests.language.test_language_families import holds
from tests.support.language_kinds import make, tiny_tokenizer, with_signals
from tests.support.language_models import FAMILIES

TYPED, TYPED_SIGNALS = with_signals("llama")
TYPED.tokenizer.add_tokens(["<think>"])  # added, but not special, as in Qwen3

TYPED.template = type(TYPED.template)(TYPED.tokenizer, TYPED.stops)

LITERALS = [*TYPED_SIGNALS.names, "<think>", *TYPED.tokenizer.all_special_tokens, "\ue0000\ue001"]

wild = st.lists(
    st.sampled_from([*LITERALS, "<|pic_", "0|>", "<|", "|>", " "]) | st.text(max_size=6)
)


@given(wild.map("".join))
@settings(max_examples=150, deadline=None)
def test_no_typed_text_becomes_a_special_token(text):
    ids = TYPED.encode_text(text)
    assert TYPED.template.reserved.isdisjoint(ids)
    assert TYPED.tokenizer.decode(ids) == text


@given(wild.map("".join), wild.map("".join))
@settings(max_examples=100, deadline=None)
def test_no_typed_text_becomes_a_special_token_in_a_chat(first, second):
    soft = TYPED_SIGNALS.placeholder("pic")
    messages = [
        ("system", [first]),
        ("user", [second, [soft, soft], first]),
        ("assistant", [second]),
    ]
    segments = TYPED.render_chat(messages, True)
    frame = [s.ids for s in segments if not s.is_content]
    empty = [(role, []) for role, _ in messages]
    assert frame == [s.ids for s in TYPED.render_chat(empty, True)]
    content = [token for s in segments if s.is_content for token in s.ids]
    assert [t for t in content if t in TYPED.template.reserved] == [soft, soft]


@functools.cache
def spoken_to(family):
    """A family's model with signals, and what somebody may type to confuse its template."""
    language, signals = with_signals(family)
    marks = language.template.marks
    special = [*language.tokenizer.get_added_vocab(), *language.tokenizer.all_special_tokens]
    halves = [name[: len(name) // 2 + 1] for name in special] + [name[1:] for name in special]
    return language, sorted({*marks, *signals.names, *special, *halves, "\ue0000\ue001", "\n", " "})


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_is_typed_leaves_a_family_s_template_as_it_is(name, data):
    language, literals = spoken_to(name)
    wild = st.lists(st.sampled_from(literals) | st.text(max_size=4), max_size=8).map("".join)
    first, second = data.draw(wild), data.draw(wild)
    written = [
        language.tokenizer(mark, add_special_tokens=False)["input_ids"]
        for mark in language.template.marks
    ]
    for text in (first, second):
        ids = language.encode_text(text)
        assert language.template.reserved.isdisjoint(ids)
        assert not any(holds(ids, part) for part in written)
    talk = [("user", [first]), ("assistant", [second]), ("user", [first])]
    plain = [("user", ["Hi"]), ("assistant", ["Hi"]), ("user", ["Hi"])]
    frames = [
        [token for s in language.render_chat(each, True) for token in s.ids]
        for each in (talk, plain)
    ]
    reserved = language.template.reserved
    told, wanted = ([token for token in ids if token in reserved] for ids in frames)
    assert told == wanted


def test_a_chat_is_what_the_template_writes():
    language = make("llama")
    messages = [("user", ["Draw a ball"]), ("assistant", ["Sure"]), ("user", ["Make it red"])]
    segments = language.render_chat(messages, True)
    expected = language.tokenizer.apply_chat_template(
        [{"role": role, "content": "".join(content)} for role, content in messages],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(itertools.chain(*(s.ids for s in segments))) == expected


CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _with_template(template, **tokens) -> LanguageModel:
    tokenizer = tiny_tokenizer(template=False)
    tokenizer.chat_template = template
    if tokens:
        tokenizer.add_special_tokens(tokens)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )
    return LanguageModel(model, tokenizer)


@pytest.mark.parametrize(
    ("template", "end"), [(None, "<|end|>"), (CHATML, "<|im_end|>"), ("default", "<|end|>")]
)
def test_the_reply_and_its_end_are_supervised(template, end):
    specials = {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    if template == "default":
        language = make("llama")
    else:
        language = _with_template(template, **(specials if template else {}))
    end_id = language.tokenizer.convert_tokens_to_ids(end)
    assert end_id in language.stops
    signal = language.add_tokens(["<|s_0|>"])
    messages = [
        ("user", ["Draw a ball"]),
        ("assistant", ["Here: ", signal, "."]),
        ("user", ["Now red"]),
        ("assistant", ["No"]),
    ]
    segments = language.render_chat(messages, False)
    learned = [token for s in segments if s.supervised for token in s.ids]
    text = language.encode_text
    assert learned == [*text("Here: "), *signal, *text("."), end_id, *text("No"), end_id]
    # What a model reads before it answers is the same in training and in chat.
    opening = language.render_chat(messages[:1], True)
    assert segments[: len(opening)] == opening


def test_bad_conversations_are_refused():
    language = make("llama")
    with pytest.raises(ValueError, match="at least one message"):
        language.render_chat([], True)
    with pytest.raises(ValueError, match="no word"):
        language.render_chat([("<|end|>", ["hi"])], True)
    with pytest.raises(ValueError, match="refuses the roles wizard: unknown role wizard"):
        language.render_chat([("wizard", ["hi"])], True)
    twice = "{% for m in messages %}{{ m.content }}{{ m.content }}<|end|>{% endfor %}"
    with pytest.raises(ValueError, match="exactly once"):
        _with_template(twice)
    endless = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with pytest.raises(ValueError, match="no special token"):
        _with_template(endless)
