"""Texts become ids between a start and an end, as CLIP reads them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from anymodal.encoders import load_tokenizer, tokenize


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A user's own word tokenizer, without a start token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {"[UNK]": 0, "a": 1, "red": 2, "bell": 3, "[END]": 4}
    plain = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="[UNK]", eos_token="[END]"
    )
    folder = tmp_path_factory.mktemp("words")
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


class TestTokenize:
    def test_clip_reads_lower_case_between_start_and_end(self, clip: Any) -> None:
        first, second = tokenize(clip, ["Red", "red"], 8)
        start, end, red = (
            clip.convert_tokens_to_ids(t) for t in (clip.bos_token, clip.eos_token, "red</w>")
        )
        assert first.tolist() == second.tolist() == [start, red, end, 0, 0, 0, 0, 0]

    def test_long_texts_keep_their_end(self, clip: Any) -> None:
        ids = tokenize(clip, ["red " * 50], 8)
        assert ids.shape == (1, 8) and ids[0, -1] == clip.eos_token_id == ids.max()

    def test_typed_special_tokens_stay_text(self, clip: Any) -> None:
        (ids,) = tokenize(clip, ["red <|endoftext|> red"], 32)
        assert (ids == clip.eos_token_id).sum() == 1
        assert ids.argmax() > 3

    def test_a_tokenizer_without_a_start_has_none(self, words: Any) -> None:
        assert tokenize(words, ["a red bell", ""], 5).tolist() == [[1, 2, 3, 4, 0], [4, 0, 0, 0, 0]]

    def test_no_texts_give_no_rows(self, words: Any) -> None:
        assert tokenize(words, [], 5).shape == (0, 5)

    def test_end_tokens_that_cannot_be_found_are_refused(self, words: Any) -> None:
        other = copy.deepcopy(words)
        other.eos_token = "a"
        with pytest.raises(ValueError, match="larger than the end token's 1"):
            tokenize(other, ["red"], 5)
        other.eos_token = None
        with pytest.raises(ValueError, match="has none"):
            tokenize(other, ["red"], 5)

    def test_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="nowhere"):
            load_tokenizer(tmp_path / "nowhere")
