"""GILL's mapper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anymodal.heads.base import Head, check_attention
from anymodal.projection.linear import scaled_linear
from anymodal.types import ConditioningSpec


class MapperHead(Head):
    """GILL's mapper (Koh et al. 2023, arXiv:2305.17216, section 3.2), NExT-GPT's output projector.

    Hidden states plus input embeddings are encoded by a small transformer, and L learned queries
    decode the conditioning from them. State dict keys are those of GILL and NExT-GPT.

    Args:
        input_width: D.
        num_signal_tokens: S.
        spec: the conditioning's shape and scale.
        hidden_width: width of the transformer; its MLPs are four times as wide.
        depth: encoder layers, and as many decoder layers.
        heads: attention heads per layer.
    """

    def __init__(
        self,
        *,
        input_width: int,
        num_signal_tokens: int,
        spec: ConditioningSpec,
        hidden_width: int = 512,
        depth: int = 4,
        heads: int = 4,
    ) -> None:
        super().__init__(input_width=input_width, num_signal_tokens=num_signal_tokens, spec=spec)
        check_attention(hidden_width, heads, depth)
        self.fc = nn.Linear(input_width, hidden_width)
        self.tfm = _transformer(hidden_width, depth, heads)
        # The transformer ends in a LayerNorm, so this scale is exact.
        self.model = scaled_linear(hidden_width, spec.width, spec.scale)
        self.query_embs = nn.Parameter(torch.randn(1, spec.length, hidden_width))

    def _embeds(self, hidden: Tensor, embeds: Tensor) -> Tensor:
        states = self.fc(hidden + embeds)
        queries = self.query_embs.expand(len(states), -1, -1)  # (B, L, hidden_width)
        output: Tensor = self.model(self.tfm(states, queries))
        return output


def _transformer(width: int, depth: int, heads: int) -> nn.Transformer:
    # The encoder is built by hand only because nn.Transformer's own warns about nested tensors.
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
    return nn.Transformer(
        width,
        heads,
        num_decoder_layers=depth,
        dim_feedforward=4 * width,
        dropout=0.0,
        custom_encoder=encoder,
        batch_first=True,
        norm_first=True,
    )
