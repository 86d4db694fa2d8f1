"""The tokenizer of a projection that reads texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anymodal.distributed import locks
from anymodal.io.fingerprints import tokenizer_fingerprint
from anymodal.io.protocols import TextTokenizer
from anymodal.io.recorded import Recorded
from anymodal.io.sources import TOKENIZER_FILES, check_files, explain_load_errors, source_of


class Words(Recorded):
    """Texts as token ids of a model that a projection holds; `from_pretrained` opens one.

    Args:
        tokenizer: one of transformers.
        subfolder: where in a folder it is saved.

    Raises:
        ValueError: if it can't fill up the shorter texts of a batch.
    """

    def __init__(self, tokenizer: TextTokenizer, subfolder: str = "") -> None:
        if tokenizer.pad_token_id is None:
            raise ValueError("the tokenizer has no padding token; give it one, as BERT's has [PAD]")
        self.tokenizer, self.subfolder = tokenizer, subfolder
        self.source: Mapping[str, object] = {}

    @classmethod
    def from_pretrained(
        cls, path_or_name: str, *, revision: str | None = None, subfolder: str = ""
    ) -> Words:
        """Open a tokenizer; code that comes with it is never run.

        Args:
            path_or_name: a folder, or the name of a hub repository.
            revision: the hub revision to pin.
            subfolder: where in it the tokenizer is, beside others.

        Raises:
            FileNotFoundError: if there is no such folder or repository, or no tokenizer in it.
        """
        # transformers takes seconds to import.
        from transformers import AutoTokenizer

        files = [[Path(subfolder, name).as_posix() for name in TOKENIZER_FILES]]
        options = {"revision": revision, "subfolder": subfolder, "trust_remote_code": False}
        with explain_load_errors("tokenizer", path_or_name, revision, files):
            tokenizer = AutoTokenizer.from_pretrained(path_or_name, **options)
        # Without a file of its words a tokenizer opens all the same, and knows none.
        check_files("tokenizer", path_or_name, revision, files)
        words = cls(tokenizer, subfolder)
        words.source = source_of(path_or_name, revision)
        return words

    @property
    def size(self) -> int:
        """The rows that an embedding of its ids has."""
        return int(max(self.tokenizer.get_vocab().values())) + 1

    def read(self, texts: Sequence[str], context: int) -> tuple[list[list[int]], list[list[int]]]:
        """Ids and mask (B, T) of texts, of which each has at most `context` tokens.

        Special tokens typed in a text stay text, and a longer text is cut at the side where the
        tokenizer cuts: InstructBLIP's keeps the end.
        """
        with locks.TOKENIZERS:
            encoding = self.tokenizer(
                list(texts),
                padding=True,
                truncation=True,
                max_length=context,
                split_special_tokens=True,
            )
        return encoding["input_ids"], encoding["attention_mask"]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer, for `from_pretrained` with the same arguments."""
        self.tokenizer.save_pretrained(Path(folder) / self.subfolder)

    def metadata(self) -> dict[str, object]:
        """The class, tokens by ranges of ids, and where they come from; JSON values only."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "words": {
                **tokenizer_fingerprint(self.tokenizer),
                "cut": self.tokenizer.truncation_side,
            },
            "source": self.source,
        }
