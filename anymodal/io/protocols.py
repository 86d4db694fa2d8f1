"""Protocols of configurations, tokenizers and processors of transformers.

Structural types, since the libraries' own classes take seconds to import, and differ by model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class ModelConfig(Protocol):
    """The configuration of a model of transformers; its settings are attributes."""

    model_type: str

    def to_dict(self) -> dict[str, object]:
        """All settings, those of its parts included."""

    def __getattr__(self, name: str, /) -> Any: ...


class TextTokenizer(Protocol):
    """A tokenizer of transformers: texts to ids, and back."""

    chat_template: object
    model_max_length: int
    eos_token: str | None
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None
    unk_token_id: int | None
    all_special_ids: Sequence[int]
    special_tokens_map: Mapping[str, object]

    def __call__(self, text: str | list[str], **settings: object) -> Any:
        """Ids and masks by name, as the settings say."""

    def decode(self, ids: Sequence[int], **settings: object) -> str:
        """The text of ids."""

    def get_vocab(self) -> dict[str, int]:
        """Ids by token."""

    def get_added_vocab(self) -> dict[str, int]:
        """Ids by token, of tokens that were added to the vocabulary."""

    def add_tokens(self, tokens: Sequence[object], special_tokens: bool = False) -> int:
        """Add tokens behind the vocabulary."""

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a token."""

    def save_pretrained(self, folder: str | Path) -> object:
        """Write its files."""

    def __getattr__(self, name: str, /) -> Any: ...


class MediaProcessor(Protocol):
    """An image processor, video processor or feature extractor: media to a model's inputs."""

    def __call__(self, *media: object, **settings: object) -> Any:
        """Inputs by name."""

    def to_dict(self) -> dict[str, object]:
        """All settings."""

    def save_pretrained(self, folder: str | Path) -> object:
        """Write its settings."""

    def __getattr__(self, name: str, /) -> Any: ...
