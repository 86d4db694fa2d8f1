"""Rows of new tokens, beside a model's own embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def embed_new(embedding: nn.Embedding, rows: Tensor, ids: Tensor, first_new: int) -> Tensor:
    """Input embeddings (…, D) of ids (…), of which some may be new.

    Args:
        embedding: of the model's own ids.
        rows: of new ones (N, D), before whatever `embedding` scales by.
        ids: of both.
        first_new: the first of the new ones.
    """
    new = ids >= first_new
    # New ids are beyond the model's rows: any row stands for them, and is replaced below.
    old = embedding(ids.masked_fill(new, 0))  # (..., D)
    scale = getattr(embedding, "embed_scale", 1.0)
    new_embeds = F.embedding((ids - first_new).clamp(min=0), rows) * scale
    return torch.where(new.unsqueeze(-1), new_embeds.to(old.dtype), old)


def append_rows(rows: nn.Parameter, old: Tensor, count: int) -> nn.Parameter:
    """Rows (N + count, D), of which further ones are the mean of the model's own (V, D) and noise
    at a tenth of their spread.
    """
    old = old.detach().float()
    noise = torch.randn(count, old.shape[1], device=old.device) * old.std(0)
    return nn.Parameter(torch.cat([rows.detach(), old.mean(0) + 0.1 * noise]), rows.requires_grad)
