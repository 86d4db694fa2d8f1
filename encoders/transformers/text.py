"""Texts by the text towers of transformers' models, in the space of the media beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anymodal.distributed import locks
from anymodal.encoders.base import TextEncoder
from anymodal.encoders.transformers.encoder import quiet
from anymodal.io.fingerprints import hash_settings, tokenizer_fingerprint
from anymodal.io.protocols import ModelConfig, TextTokenizer
from anymodal.io.sources import (
    TOKENIZER_FILES,
    WEIGHTS,
    check_files,
    explain_load_errors,
    source_of,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class TextTower:
    """Adapter of the text towers of models of one type.

    Args:
        unused: modules that texts have no use for and that aren't kept in memory.
        context: a model's configuration to the tokens that it reads, padding included.
        scale: the model's parameter whose exponential its logits are scaled with.
    """

    unused: tuple[str, ...]
    context: Callable[[ModelConfig], int]
    scale: str = "logit_scale"


def _positions(config: ModelConfig) -> int:
    return int(config.text_config.max_position_embeddings)


_SEEING = ("vision_model", "visual_projection")
TEXT_TOWERS: dict[str, TextTower] = {
    "clip": TextTower(_SEEING, _positions),
    "siglip": TextTower(_SEEING, _positions),
    "siglip2": TextTower(_SEEING, _positions),
    "clap": TextTower(
        ("audio_model", "audio_projection"),
        # It was trained on so many, of the positions that its RoBERTa has (Wu et al. 2023).
        lambda config: min(77, _positions(config) - 2),
        "logit_scale_a",
    ),
}
"""By transformers' name of a model's type."""


class TransformersText(TextEncoder):
    """The text tower of a model of transformers; `from_pretrained` opens one.

    Args:
        model: the model.
        tokenizer: the model's own.

    Raises:
        ValueError: if the model's type has no text tower that is known here.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: TextTokenizer) -> None:
        super().__init__()
        tower = _tower(model.config.model_type)
        for name in tower.unused:
            if hasattr(model, name):
                setattr(model, name, None)
        self.model, self.tokenizer, self.scale = model, tokenizer, tower.scale
        self.context = tower.context(model.config)
        self.source: dict[str, Any] = {}
        self.inputs = [name for name in self._tokens("a") if name != "token_type_ids"]

    @classmethod
    def from_pretrained(
        cls, path_or_name: str, *, revision: str | None = None, dtype: str = "float32"
    ) -> TransformersText:
        """Open a model's text tower and its tokenizer; code that comes with them is never run.

        Raises:
            ValueError: if the model has no text tower that is known here, or lacks its weights.
            FileNotFoundError: if there is no such folder or repository, or it has no tokenizer.
        """
        # transformers takes seconds to import.
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        where = {"revision": revision, "trust_remote_code": False}
        files = [["config.json"], WEIGHTS, TOKENIZER_FILES]
        with explain_load_errors("text encoder", path_or_name, revision, files[:1]):
            config = AutoConfig.from_pretrained(path_or_name, **where)
        tower = _tower(config.model_type)
        with explain_load_errors("text encoder", path_or_name, revision, files), quiet():
            tokenizer = AutoTokenizer.from_pretrained(path_or_name, **where)
            # Without a file of its words a tokenizer opens all the same, and knows none.
            check_files("text encoder", path_or_name, revision, files[-1:])
            model, report = AutoModel.from_pretrained(
                path_or_name,
                config=config,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                **where,
            )
        absent = sorted(k for k in report["missing_keys"] if k.split(".")[0] not in tower.unused)
        if absent:
            raise ValueError(
                f"{path_or_name!r} lacks {len(absent)} weights, as {absent[0]}; it would read with "
                "random ones, so give a complete checkpoint"
            )
        encoder = cls(model, tokenizer).eval()
        encoder.source = source_of(path_or_name, revision)
        return encoder

    def _tokens(self, text: str) -> dict[str, list[int]]:
        """Ids and masks of a text by name; special tokens typed in it stay text."""
        with locks.TOKENIZERS:
            return dict(
                self.tokenizer(
                    text,
                    padding="max_length",
                    truncation=True,
                    max_length=self.context,
                    split_special_tokens=True,
                )
            )

    def prepare(self, text: str) -> Tensor:
        """Ids, and the mask where the model wants one: (inputs, context)."""
        tokens = self._tokens(text)
        return torch.tensor([tokens[name] for name in self.inputs])

    def embed(self, batch: Tensor) -> Tensor:
        """The model's joint embedding (B, E)."""
        inputs = dict(zip(self.inputs, batch.unbind(1), strict=True))  # (B, context) each
        embeds: Tensor = self.model.get_text_features(**inputs).pooler_output
        return embeds

    def logits(self, embeds: Tensor, texts: Tensor) -> Tensor:
        """Cosines (M, C) times the model's scale, plus its bias where it has one."""
        scale = getattr(self.model, self.scale).detach().float().exp()
        bias = getattr(self.model, "logit_bias", None)
        cosines = F.normalize(embeds.float(), dim=-1) @ F.normalize(texts.float(), dim=-1).T
        scaled: Tensor = cosines * scale
        return scaled if bias is None else scaled + bias.detach().float()

    def metadata(self) -> dict[str, object]:
        """The class, hashes of the settings of model and tokenizer, and where they come from."""
        return {
            **super().metadata(),
            "model": self.model.config.model_type,
            "config": hash_settings(self.model.config.to_dict()),
            "words": hash_settings(tokenizer_fingerprint(self.tokenizer, options=True)),
            "source": self.source,
        }


def _tower(model_type: str) -> TextTower:
    if model_type not in TEXT_TOWERS:
        raise ValueError(
            f"models of type {model_type!r} read no texts here; choose one of "
            f"{', '.join(TEXT_TOWERS)}, or an ImageBind with a text trunk"
        )
    return TEXT_TOWERS[model_type]
