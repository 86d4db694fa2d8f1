from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from anymodal.toybox.tokenizer import (
    END,
    PAD,
    SPECIALS,
    plain_text_normalizer,
    train_tokenizer,
)

TEXTS = ["Draw a big red ball, please.", "Make it green and slow.", "3 bells, 12 drums"] * 20
TOKENIZER = train_tokenizer(TEXTS, 330)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_comes_back(text):
    ids = TOKENIZER(text, split_special_tokens=True, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids) == text


def test_special_tokens_come_last_and_end_is_the_largest():
    size = len(TOKENIZER)
    assert [TOKENIZER.convert_tokens_to_ids(name) for name in SPECIALS] == list(
        range(size - len(SPECIALS), size)
    )
    assert TOKENIZER.eos_token == END and TOKENIZER.eos_token_id == size - 1
    assert TOKENIZER.pad_token == PAD and size <= 330


def test_digits_stand_alone():
    assert TOKENIZER.tokenize("12345") == list("12345")


def test_one_token_opens_and_one_closes_a_message():
    text = TOKENIZER.apply_chat_template(
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert text == "<|user|>hi<|end|><|assistant|>ho<|end|><|assistant|>"


def test_saved_and_loaded_it_is_the_same(tmp_path):
    tokenizer = train_tokenizer(TEXTS, 330, append_end=True)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("Draw 12 bälls", "<|end|> a <|user|>", ""):
        assert loaded(text).input_ids == tokenizer(text).input_ids
        assert loaded(text).input_ids[-1] == loaded.eos_token_id == len(loaded) - 1
    assert loaded.chat_template == tokenizer.chat_template


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size=100 is below 261"):
        train_tokenizer(TEXTS, 100)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


PLAIN = train_tokenizer(
    [text.lower() for text in TEXTS], 330, append_end=True, normalizer=plain_text_normalizer()
)
WORDS = st.lists(
    st.sampled_from(("draw", "a", "big", "blue", "car", "it's", "bouncing", "3", "times")),
    min_size=1,
)
FORMS = (str.upper, str.title, str.capitalize, str.swapcase, _wide)
AROUND = ("", ".", "!", "...", "!!! 🚗", " 👍🏽", " ❤️", "  ", "\n", " :)", "…", "\u200b")


@settings(deadline=None)
@given(
    WORDS, st.sampled_from(FORMS), st.sampled_from(("", " ", "✨", "… ")), st.sampled_from(AROUND)
)
def test_all_ways_to_type_the_same_words_have_the_same_ids(words, form, before, after):
    plain = " ".join(words)
    typed = before + "  ".join(form(word) for word in words).replace("'", "’") + after
    assert PLAIN(typed).input_ids == PLAIN(plain).input_ids
    assert PLAIN.decode(PLAIN(plain).input_ids, skip_special_tokens=True) == plain


@settings(deadline=None)
@given(st.text(max_size=60))
def test_the_plain_form_comes_back(text):
    ids = PLAIN(text, split_special_tokens=True, add_special_tokens=False).input_ids
    plain = PLAIN.decode(ids)
    assert PLAIN(plain, split_special_tokens=True, add_special_tokens=False).input_ids == ids


def test_a_question_stays_one_and_special_tokens_survive():
    assert PLAIN("A BALL ?!").input_ids == PLAIN("a ball?").input_ids != PLAIN("a ball").input_ids
    ids = PLAIN(f"<|user|>Draw.{END}", add_special_tokens=False).input_ids
    assert PLAIN.convert_ids_to_tokens(ids)[0] == "<|user|>" and ids[-1] == PLAIN.eos_token_id
    assert PLAIN.decode(ids) == f"<|user|>draw{END}"


def test_a_plain_tokenizer_is_saved_with_its_normalizer(tmp_path):
    PLAIN.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("DRAW a  Car! 🚗").input_ids == PLAIN("draw a car").input_ids
    assert loaded.decode(loaded("Draw a Car.").input_ids) == f"draw a car{END}"
