"""Gemma 4's language part: layers that are told of tokens' ids, and the models of text alone.

Source: transformers' `gemma4_text`, per-layer embeddings. Layers are given these beside the
embeddings, so ids travel with them, as marks behind them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from anymodal.io.protocols import TextTokenizer
from anymodal.language.families.base import (
    AutoFamily,
    Checkpoint,
    MediaReader,
    MultimodalFamily,
    PassInputs,
)

_DIGITS, _BASE = 3, 256
"""Of a token's id, by which it stands exactly in half precision too."""


class LayersWithIds(MultimodalFamily):
    """A family whose small models' layers are each told of the tokens' ids."""

    def marks_ids(self, config: Any) -> bool:
        return bool(getattr(config.get_text_config(), "hidden_size_per_layer_input", 0))

    def id_marks(self, ids: Tensor) -> Tensor:
        """A 0, where soft tokens that are seen have a 1, and the digits of the id and 1."""
        digits = [(ids + 1) // _BASE**place % _BASE for place in range(_DIGITS)]
        return torch.stack([torch.zeros_like(ids), *digits], -1)

    def ids_of(self, marks: Tensor, padding: int) -> Tensor:
        """Ids (…) of marks (…, n), `padding` where there is none."""
        powers = torch.tensor([_BASE**place for place in range(_DIGITS)], device=marks.device)
        ids = (marks[..., 1 : 1 + _DIGITS].long() * powers).sum(-1) - 1
        return torch.where(ids < 0, padding, ids)

    def deep_inputs(self, inputs: PassInputs, deep: Tensor) -> dict[str, Any]:
        """Inputs of layers by tokens' ids; of soft and new tokens they are told as of padding."""
        if not self.marks_ids(inputs.config):
            return {}
        ids = self.ids_of(deep[:, :, 0], inputs.config.pad_token_id or 0)
        return {"per_layer_inputs": inputs.backbone.get_per_layer_inputs(ids)}


class Gemma4Text(LayersWithIds, AutoFamily):
    """Gemma 4 without its towers, as a checkpoint of text alone has it."""

    reads_media: ClassVar[bool] = False

    @property
    def auto_class(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def num_deep(self, config: Any) -> int:
        return int(self.marks_ids(config))

    def readers(
        self, model: PreTrainedModel, tokenizer: TextTokenizer, checkpoint: Checkpoint
    ) -> list[MediaReader]:
        return []
