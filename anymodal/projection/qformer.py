"""The Q-Formers of BLIP-2 (Li et al. 2023, arXiv:2301.12597, section 3.1) and of InstructBLIP (Dai
et al. 2023, arXiv:2305.06500, section 2.3), those of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anymodal.projection.base import Projection
from anymodal.projection.linear import scaled_linear
from anymodal.projection.words import Words
from anymodal.types import Features

if TYPE_CHECKING:
    from transformers import PreTrainedModel

POSITIONS = 512
"""The tokens of a text that BERT has positions for."""


class _QFormer(Projection):
    """Queries and a Linear of each modality, around a BERT that they share.

    The BERT reads the first modality's width, and others come to it by a Linear.
    """

    def __init__(
        self,
        qformer: PreTrainedModel,
        widths: Mapping[str, int],
        *,
        output_width: int,
        num_tokens: int,
        output_scale: float,
    ) -> None:
        super().__init__(
            output_width=output_width, num_tokens=num_tokens, output_scale=output_scale
        )
        self.width: int = qformer.config.hidden_size
        self.encoder_width: int = qformer.config.encoder_hidden_size
        self.qformer = qformer
        self.inputs = nn.ModuleDict()
        self.query_tokens = nn.ParameterDict()
        self.language_projection = nn.ModuleDict()
        for name, encoder_width in widths.items():
            self.add_modality(name, encoder_width)

    def _add(self, name: str, width: int) -> None:
        is_native = width == self.encoder_width
        self.inputs[name] = nn.Identity() if is_native else nn.Linear(width, self.encoder_width)
        self.query_tokens[name] = nn.Parameter(0.02 * torch.randn(1, self.num_tokens, self.width))
        # The BERT ends in a LayerNorm, so this scale is exact.
        self.language_projection[name] = scaled_linear(
            self.width, self.output_width, self.output_scale
        )

    def _read(self, modality: str, features: Features, **text: Tensor) -> Tensor:
        states = self.qformer(
            query_embeds=self.query_tokens[modality].expand(len(features.values), -1, -1),
            encoder_hidden_states=self.inputs[modality](features.values),
            encoder_attention_mask=features.mask.long(),
            **text,
        ).last_hidden_state  # (B, K + T, width), T the text's tokens
        output: Tensor = self.language_projection[modality](states[:, : self.num_tokens])
        return output


class QFormerProjection(_QFormer):
    """Learned queries read the features in a BERT with cross-attention, then one Linear.

    Each modality has queries and a Linear of its own; the BERT is shared. It reads the first one's
    width, and others come to it by a Linear.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        num_tokens: K, the number of queries.
        width: of the BERT.
        depth: its layers, every second of which has cross-attention, from the first on.
        heads: attention heads per layer.
        dropout: of the BERT, in training; BLIP-2's is 0.1.
        output_scale: see `Projection`.

    Raises:
        ValueError: if `heads` doesn't divide the width.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        num_tokens: int = 32,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        dropout: float = 0.0,
        output_scale: float = 1.0,
    ) -> None:
        # Here, since a model without a Q-Former would import its networks for nothing.
        from transformers import Blip2QFormerConfig
        from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

        bert = Blip2QFormerConfig(**_bert(widths, width, depth, heads, dropout))
        super().__init__(
            Blip2QFormerModel(bert),
            widths,
            output_width=output_width,
            num_tokens=num_tokens,
            output_scale=output_scale,
        )

    def _project(self, modality: str, features: Features) -> Tensor:
        return self._read(modality, features)


class InstructQFormerProjection(_QFormer):
    """A Q-Former whose queries read what is said beside the medium, too: InstructBLIP's.

    Queries and text attend to one another in every layer, so that the queries look for what is
    asked about; the text itself doesn't go to the language model from here. Else it is as
    `QFormerProjection`, with which it shares its arguments.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        tokenizer: of the text.
        context: the most tokens of a text, its marks included; InstructBLIP's is 128.
        num_tokens: K, the number of queries.
        width: of the BERT.
        depth: its layers, every second of which has cross-attention, from the first on.
        heads: attention heads per layer.
        dropout: of the BERT, in training; InstructBLIP's is 0.1.
        output_scale: see `Projection`.

    Raises:
        ValueError: if `heads` doesn't divide the width, or `context` is more than BERT's positions.
    """

    reads_text = True

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        output_width: int,
        tokenizer: Words,
        context: int = 128,
        num_tokens: int = 32,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        dropout: float = 0.0,
        output_scale: float = 1.0,
    ) -> None:
        if not 3 <= context <= POSITIONS:
            raise ValueError(f"context={context} tokens of text; give 3 to {POSITIONS}")
        from transformers import InstructBlipQFormerConfig
        from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel

        bert = InstructBlipQFormerConfig(
            **_bert(widths, width, depth, heads, dropout),
            vocab_size=tokenizer.size,
            max_position_embeddings=POSITIONS,
            pad_token_id=tokenizer.tokenizer.pad_token_id,
        )
        super().__init__(
            InstructBlipQFormerModel(bert),
            widths,
            output_width=output_width,
            num_tokens=num_tokens,
            output_scale=output_scale,
        )
        self.tokenizer, self.context = tokenizer, context

    def _project(self, modality: str, features: Features) -> Tensor:
        return self._project_beside(modality, features, [""] * len(features.values))

    def _project_beside(self, modality: str, features: Features, texts: Sequence[str]) -> Tensor:
        device = features.values.device
        ids, real = (
            torch.tensor(rows, device=device) for rows in self.tokenizer.read(texts, self.context)
        )  # (B, T) each
        queries = real.new_ones(len(ids), self.num_tokens)
        mask = torch.cat([queries, real], dim=1)  # (B, K + T)
        return self._read(modality, features, input_ids=ids, attention_mask=mask)

    def metadata(self) -> dict[str, object]:
        """That of the tokenizer, whose ids the weights were trained with."""
        return self.tokenizer.metadata()


def _bert(
    widths: Mapping[str, int], width: int, depth: int, heads: int, dropout: float
) -> dict[str, int | float]:
    """Sizes by transformers' names."""
    if width % heads:
        raise ValueError(f"width={width} must be a multiple of heads={heads}")
    return {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "encoder_hidden_size": next(iter(widths.values())),
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
