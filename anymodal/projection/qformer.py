"""BLIP-2's Q-Former (Li et al. 2023, arXiv:2301.12597, section 3.1), the one of transformers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel

from anymodal.projection.base import Projection
from anymodal.projection.linear import scaled_linear
from anymodal.types import Features


class QFormerProjection(Projection):
    """Learned queries read the features in a BERT with cross-attention, then one Linear.

    Each modality has queries and a Linear of its own; the BERT is shared. It reads the first one's
    width, and others come to it by a Linear. InstructBLIP's, unlike this one, reads the question
    too.

    Args:
        widths: D_m of each modality.
        output_width: D_llm.
        tokens: K, the number of queries.
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
        tokens: int = 32,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        dropout: float = 0.0,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(output_width=output_width, tokens=tokens, output_scale=output_scale)
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        self.width = width
        self.encoder_width = next(iter(widths.values()))
        self.qformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=width,
                num_hidden_layers=depth,
                num_attention_heads=heads,
                intermediate_size=4 * width,
                encoder_hidden_size=self.encoder_width,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
            )
        )
        self.inputs = nn.ModuleDict()
        self.query_tokens = nn.ParameterDict()
        self.language_projection = nn.ModuleDict()
        for name, encoder_width in widths.items():
            self.add_modality(name, encoder_width)

    def _add(self, name: str, width: int) -> None:
        alike = width == self.encoder_width
        self.inputs[name] = nn.Identity() if alike else nn.Linear(width, self.encoder_width)
        self.query_tokens[name] = nn.Parameter(0.02 * torch.randn(1, self.tokens, self.width))
        # The BERT ends in a LayerNorm, so this scale is exact.
        self.language_projection[name] = scaled_linear(
            self.width, self.output_width, self.output_scale
        )

    def _project(self, modality: str, features: Features) -> Tensor:
        queries = self.query_tokens[modality].expand(len(features.values), -1, -1)
        states = self.qformer(
            query_embeds=queries,
            encoder_hidden_states=self.inputs[modality](features.values),
            encoder_attention_mask=features.mask.long(),
        ).last_hidden_state  # (B, K, width)
        output: Tensor = self.language_projection[modality](states)
        return output
