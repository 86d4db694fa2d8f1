"""The contract of a family of multimodal language models, and of what reads media for one.

Shapes: K soft tokens of an item, D width of the language model, L deep layers: W = D · (1 + L).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel

from anymodal.io.feature_cache import CacheKey
from anymodal.io.protocols import TextTokenizer
from anymodal.media import Media
from anymodal.types import Features, MediaPositions


@dataclass(frozen=True)
class Checkpoint:
    """Source of a multimodal model's own settings of media.

    Args:
        path_or_name: a folder, or the name of a hub repository.
        revision: the hub revision.
    """

    path_or_name: str
    revision: str | None = None


class MediaReader(ABC):
    """Reads media of one class as a multimodal language model does: by its own tower.

    Weights are the language model's, which owns them; a reader has none of its own. It is used as
    an encoder is: `prepare` on the CPU, `collate` to a batch on the model's device, then a call.

    Args:
        model: the language model.

    Attributes:
        media: the class of media that it reads.
        placeholder: the token that holds the place of a soft token.
        written: what chat templates write for an item, the same where it is empty.
        beside: a class of media that the model reads itself and beside which, in a conversation,
            items have other soft tokens; None for none.
    """

    media: type[Media]
    placeholder: str
    written: str = ""
    beside: type[Media] | None = None

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Resize, cut and normalise one item; the tensor has a shape of its own."""

    @abstractmethod
    def positions(self, media: Media) -> MediaPositions:
        """Positions of an item in a prompt, by its size alone."""

    @abstractmethod
    def read(self, batch: Sequence[Tensor]) -> Sequence[Tensor]:
        """Soft tokens (K, W) of each of several prepared items."""

    def select(self, tokens: Tensor, is_beside: bool) -> Tensor:
        """Soft tokens of an item, of those that `read` gave.

        Args:
            tokens: of the item (K, W); both kinds, (K, 2 · W), where there is a class `beside`.
            is_beside: whether its conversation has media of that class.
        """
        return tokens if self.beside is None else tokens.chunk(2, -1)[int(is_beside)]

    @property
    def seconds_read(self) -> float | None:
        """Seconds from its start that are read of a recording; None where all of it is."""
        return None

    @property
    @abstractmethod
    def modules(self) -> Sequence[nn.Module]:
        """The parts of the model that soft tokens depend on."""

    @abstractmethod
    def metadata(self) -> Mapping[str, object]:
        """The settings that soft tokens depend on; JSON values only."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write its settings as the model's own checkpoint has them."""

    @property
    def device(self) -> torch.device:
        """Device of the tower."""
        return next(self.modules[0].parameters()).device

    def collate(self, prepared: Sequence[Tensor]) -> list[Tensor]:
        """Prepared items on the tower's device and in its weights' type."""
        dtype = next(self.modules[0].parameters()).dtype
        return [each.to(self.device, dtype) for each in prepared]

    def __call__(self, batch: Sequence[Tensor]) -> Features:
        """Soft tokens of a collated batch as features, shorter ones padded: (B, K, W), (B, K)."""
        tokens = self.read(batch)
        values = nn.utils.rnn.pad_sequence([*tokens], batch_first=True)
        counts = torch.tensor([len(each) for each in tokens], device=values.device)
        mask = torch.arange(values.shape[1], device=values.device) < counts[:, None]
        return Features(values, mask)

    def features_and_embedding(self, batch: Sequence[Tensor]) -> tuple[Features, None]:
        """Features, and no embedding: a language model's tower has none of a whole item."""
        return self(batch), None

    def cache_key(self, result: str) -> CacheKey:
        """The cache key of its soft tokens."""
        return CacheKey(result, (*self.modules,), self.metadata, (self,))


class PassInputs(NamedTuple):
    """Inputs of one pass through a backbone.

    Shapes: embeds (B, T, D); mask (B, past + T); positions as transformers takes them.
    """

    backbone: Any
    embeds: Tensor
    mask: Tensor | None
    positions: Tensor | None
    past: Cache | None

    @property
    def config(self) -> Any:
        """The backbone's configuration."""
        return self.backbone.config


class MultimodalFamily(ABC):
    """One family of language models of transformers that read media, or want more than embeddings.

    Attributes:
        num_axes: of its positions.
        is_causal: whether no position sees a later one; a picture's may see each other.
        renders_parts: whether its chat template is given contents as parts, though it takes texts
            too, since its marks of media are read together with what stands beside them, or since
            what it writes elsewhere depends on them.
        reads_across: whether blocks of its own read media by cross-attention, which no soft token
            stands for (`fusion.own_cross`).
        reads_media: whether its checkpoints have settings of media; some are of text alone, whose
            layers want what only a family tells them.
        unread: why media of a class aren't read, and what to do, where somebody may expect it.
        adapters: folders of adapters that its checkpoints have beside the model, by the names that
            they are asked for by.
    """

    num_axes: ClassVar[int] = 1
    is_causal: ClassVar[bool] = True
    renders_parts: ClassVar[bool] = False
    reads_across: ClassVar[bool] = False
    reads_media: ClassVar[bool] = True
    unread: ClassVar[Mapping[type[Media], str]] = {}
    adapters: ClassVar[Mapping[str, str]] = {}

    def variant(self, config: Any) -> MultimodalFamily:
        """The family of a model with such a configuration, where its models differ in the above."""
        return self

    @abstractmethod
    def open_model(self, path_or_name: str, **settings: Any) -> Any:
        """The model, as `from_pretrained` of transformers' class for it gives it."""

    @abstractmethod
    def model_on_meta(self, config: Any, dtype: torch.dtype) -> PreTrainedModel:
        """The model without weights; called under torch's meta device."""

    @abstractmethod
    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        """Readers of the media that the model was trained on.

        Raises:
            OSError: if the checkpoint has no settings of media.
        """

    def backbone(self, model: PreTrainedModel) -> nn.Module:
        """The part that turns input embeddings into last hidden states."""
        decoder: nn.Module = model.get_decoder()
        return decoder

    def num_deep(self, config: Any) -> int:
        """Layers that get features of media beside the first (DeepStack, Meng et al. 2024,
        arXiv:2406.04334), or that are told something else of them; L.
        """
        return 0

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        """The backbone's arguments for what media give to deep layers (B, T, L, D), 0 where
        nothing; they replace those of `inputs`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no deep layers")

    def marks_ids(self, config: Any) -> bool:
        """Return whether deep layers are told of token ids too, beside their embeddings."""
        return False

    def id_marks(self, ids: Tensor) -> Tensor:
        """Marks (…, n) that tell deep layers of token ids (…), -1 for new ones; n ≤ L · D."""
        raise NotImplementedError(f"{type(self).__name__} has no marks of ids")


class AutoFamily(MultimodalFamily):
    """A family that one of transformers' `Auto` classes opens."""

    @property
    @abstractmethod
    def auto_class(self) -> Any:
        """That class."""

    def open_model(self, path_or_name: str, **settings: Any) -> Any:
        return self.auto_class.from_pretrained(path_or_name, **settings)

    def model_on_meta(self, config: Any, dtype: torch.dtype) -> PreTrainedModel:
        model: PreTrainedModel = self.auto_class.from_config(config, dtype=dtype)
        return model


class ImageTextFamily(AutoFamily):
    """A family that transformers' `AutoModelForImageTextToText` opens."""

    @property
    def auto_class(self) -> Any:
        from transformers import AutoModelForImageTextToText

        return AutoModelForImageTextToText
