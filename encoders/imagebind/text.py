"""Texts by ImageBind's text trunk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from anymodal.encoders.base import TextEncoder
from anymodal.encoders.imagebind.clip_tokens import load_tokenizer, tokenize
from anymodal.encoders.imagebind.convert import TOKENIZER
from anymodal.encoders.imagebind.encoder import ImageBind
from anymodal.io.fingerprints import hash_settings, tokenizer_fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ImageBindText(TextEncoder):
    """The text trunk of an ImageBind, with the tokenizer that it reads with.

    Args:
        model: the ImageBind.
        tokenizer: the text trunk's own.

    Raises:
        ValueError: if the model has no text trunk.
    """

    def __init__(self, model: ImageBind, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.context = model.trunks[model.trunk_of("text")].context  # type: ignore[attr-defined]
        self.model, self.tokenizer = model, tokenizer

    @classmethod
    def beside(cls, model: ImageBind, folder: str | Path) -> ImageBindText | None:
        """The one of a model's folder; None where it has no text trunk or no tokenizer."""
        home = Path(folder) / TOKENIZER
        if "text" not in model.trunks or not home.is_dir():
            return None
        return cls(model, load_tokenizer(home))

    def prepare(self, text: str) -> Tensor:
        """Token ids (context,)."""
        return tokenize(self.tokenizer, [text], self.context)[0]

    def embed(self, batch: Tensor) -> Tensor:
        """The joint embedding (B, E), scaled as published: see `ImageBind.forward`."""
        return self.model({"text": batch})["text"]  # type: ignore[no-any-return]

    def logits(self, embeds: Tensor, texts: Tensor) -> Tensor:
        """Products (M, C), both sides scaled as published (section 3.2, equation 1)."""
        return embeds @ texts.T

    def metadata(self) -> dict[str, object]:
        """The class, and hashes of the trunk's config and of the tokenizer."""
        settings = {**self.model.config["trunks"]["text"], "embedding": self.model.embedding}
        return {
            **super().metadata(),
            "config": hash_settings(settings),
            "words": hash_settings(tokenizer_fingerprint(self.tokenizer, options=True)),
        }
