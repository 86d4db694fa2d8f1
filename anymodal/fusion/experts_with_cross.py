"""CogAgent's fusion: CogVLM's experts, and a light cross-attention to a high resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from anymodal.encoders import Encoder
from anymodal.fusion.cross import LightCrossAttention
from anymodal.fusion.experts import ModalityExperts
from anymodal.language.model import LanguageModel


class ExpertsWithCrossAttention(LightCrossAttention):
    """`ModalityExperts` and `LightCrossAttention` around one model.

    Source: Hong et al. 2023 (CogAgent), arXiv:2312.08914, section 2.2.

    Args:
        widths: D_m of each modality.
        width: see `LightCrossAttention`.
        heads: see `LightCrossAttention`.
        tokens: see `LightCrossAttention`.
        encoder: see `Fusion`.
        modules: see `ModalityExperts`.
        without_last: see `ModalityExperts`.

    Raises:
        ValueError: as those do.
    """

    def __init__(
        self,
        *,
        widths: Mapping[str, int],
        width: int | None = None,
        heads: int | None = None,
        tokens: int | None = None,
        encoder: Encoder | None = None,
        modules: Sequence[str] | None = None,
        without_last: bool = True,
    ) -> None:
        super().__init__(widths=widths, width=width, heads=heads, tokens=tokens, encoder=encoder)
        self.routed = ModalityExperts(widths=widths, modules=modules, without_last=without_last)

    def copy_again(self) -> None:
        self.routed.copy_again()

    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        self.routed.attach_within(self, language, blocks)
        super()._attach(language, blocks)
