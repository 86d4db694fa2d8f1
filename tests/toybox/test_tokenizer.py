from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from anymodal.toybox.tokenizer import END, PAD, SPECIALS, train_tokenizer

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
