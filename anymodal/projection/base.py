"""The contract of a projection: features of a named modality to soft tokens.

Shapes: B batch, N encoder tokens, D_m encoder width of modality m, K soft tokens, D_llm width of
the language model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from anymodal.io.recorded import Recorded
from anymodal.types import Features, MediaPositions, SoftRun, TokenLayout


class Projection(Recorded, nn.Module, ABC):
    """Maps the features of any known modality to `num_tokens` soft tokens of the language model.

    A subclass builds its shared parts, then calls `add_modality` for each entry of `widths`. What
    belongs to one modality lives in a `ModuleDict` or `ParameterDict` that is a direct attribute,
    keyed by the modality's name; this is how `add_modality(like=...)` finds what to copy.

    One that reads what is said beside a medium sets `reads_text` and defines `_project_beside` too.

    Args:
        output_width: D_llm.
        num_tokens: K, the same for every item of every modality, unless `positions_of` says
            otherwise, since prompts are laid out by it.
        output_scale: root mean square at which the soft tokens start; the one of the language
            model's embeddings keeps a new projection from drowning out the text.

    Attributes:
        widths: D_m of each known modality.
        layouts: the order of each one's tokens, as far as `set_layout` was told it.
        reads_text: whether soft tokens depend on the text beside a medium as well.
        reads_line_ends: whether `_project` sees the tokens that end the lines of an encoder's
            (`TokenLayout.line_ends`); they stand for no place.
    """

    reads_text: bool = False
    reads_line_ends: bool = False

    def __init__(self, *, output_width: int, num_tokens: int, output_scale: float = 1.0) -> None:
        super().__init__()
        for name, value in (
            ("output_width", output_width),
            ("num_tokens", num_tokens),
            ("output_scale", output_scale),
        ):
            if value <= 0:
                raise ValueError(f"{name}={value} must be greater than 0")
        self.widths: dict[str, int] = {}
        self.layouts: dict[str, TokenLayout] = {}
        self.output_width = output_width
        self.num_tokens = num_tokens
        self.output_scale = output_scale

    def positions_of(self, modality: str, runs: tuple[str | int, ...]) -> MediaPositions:
        """How an item stands in a prompt, by its encoder's `token_runs`: K soft tokens, unmarked.

        A projection whose soft tokens are as many as the encoder's says so here. `forward` then
        gives as many as the longest item of its batch has, each item's own ones first.
        """
        return (SoftRun(self.num_tokens),)

    @abstractmethod
    def _add(self, name: str, width: int) -> None:
        """Create the entries of a new modality."""

    @abstractmethod
    def _project(self, modality: str, features: Features) -> Tensor:
        """Soft tokens (B, K, D_llm) of checked features whose padding is zero."""

    def _project_beside(self, modality: str, features: Features, texts: Sequence[str]) -> Tensor:
        """Soft tokens as of `_project`, of items with a text beside each; if it `reads_text`."""
        raise NotImplementedError(f"{type(self).__name__} reads texts without _project_beside")

    def forward(
        self, modality: str, features: Features, texts: Sequence[str] | None = None
    ) -> Tensor:
        """Soft tokens of one modality's items; padding never changes them.

        Shapes: features.values (B, N, D_m), features.mask (B, N) -> (B, K, D_llm).

        Args:
            modality: whose features they are.
            features: of the items.
            texts: what is said beside each, for a projection that `reads_text`; None for nothing.

        Raises:
            ValueError: if the modality is unknown, its features have another shape, or there are
                texts of another number.
        """
        self._check(modality, features)
        if not self.reads_line_ends:
            features = mask_line_ends(features, self.layouts.get(modality))
        values = features.values.to(next(self.parameters()).dtype)
        # Zeroed rather than only masked: whatever stands there, even NaN, must not spread.
        features = Features(values.masked_fill(~features.mask.unsqueeze(-1), 0), features.mask)
        if texts is None or not self.reads_text:
            return self._project(modality, features)
        if len(texts) != len(values):
            raise ValueError(f"{len(texts)} texts beside {len(values)} items; give one for each")
        return self._project_beside(modality, features, texts)

    def forward_many(
        self, features: Mapping[str, Features], texts: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, Tensor]:
        """Soft tokens of several modalities in one call, by name; `texts` as in `forward`."""
        if texts is None:
            return {modality: self(modality, each) for modality, each in features.items()}
        return {name: self(name, each, texts.get(name)) for name, each in features.items()}

    def metadata(self) -> dict[str, object]:
        """Metadata for a manifest beside the weights, as a tokenizer's; most have nothing."""
        return {}

    def set_layout(self, name: str, layout: TokenLayout) -> None:
        """Say how an encoder orders a modality's tokens; a composed model does, for all it reads.

        Raises:
            ValueError: if the projection can't pool tokens of such a grid.
        """
        self.layouts[name] = layout

    def add_modality(self, name: str, width: int, *, like: str | None = None) -> None:
        """Make a modality known, with fresh entries or with those of another one.

        Args:
            name: the new modality.
            width: its encoder's width.
            like: a known modality to copy; where the two widths differ, what depends on them
                starts fresh and the rest is copied. Starting from a trained modality was worth
                17 CIDEr points in OneLLM's ablation (Han et al. 2024, arXiv:2312.03700).

        Raises:
            ValueError: if the name is taken or can't be a key, or `like` is unknown.
        """
        if name in self.widths:
            raise ValueError(f"modality {name!r} is already known; choose another name")
        if not name or "." in name or _is_reserved(name):
            raise ValueError(
                f"modality name {name!r} can't be a key of a state dict; use letters, digits and "
                "underscores, and no name of a torch module's own attribute"
            )
        if width <= 0:
            raise ValueError(f"width={width} of modality {name!r} must be greater than 0")
        if like is not None:
            self._check_known(like)
        # New entries get the device and precision that the others have by now.
        reference = next(self.parameters(), None)
        self._add(name, width)
        self.widths[name] = width
        if reference is not None:
            self.to(device=reference.device, dtype=reference.dtype)
        if like is not None:
            self._copy_entries(like, name)

    @torch.no_grad()
    def _copy_entries(self, source: str, target: str) -> None:
        parameters = dict(self.named_parameters())
        for container, part in self.named_children():
            if not isinstance(part, nn.ModuleDict | nn.ParameterDict):
                continue
            prefix = f"{container}.{source}"
            for key, value in parameters.items():
                if key != prefix and not key.startswith(f"{prefix}."):
                    continue
                copy = parameters[f"{container}.{target}{key.removeprefix(prefix)}"]
                if copy.shape == value.shape:
                    copy.copy_(value)

    def _check_known(self, modality: str) -> None:
        if modality not in self.widths:
            names = ", ".join(sorted(self.widths)) or "none"
            raise ValueError(
                f"unknown modality {modality!r}; this projection knows: {names}. "
                "Add it with add_modality(name, width)"
            )

    def _check(self, modality: str, features: Features) -> None:
        self._check_known(modality)
        values, mask = features
        width = self.widths[modality]
        if values.ndim != 3 or values.shape[-1] != width:
            raise ValueError(
                f"features of {modality!r} have shape {tuple(values.shape)}; this projection was "
                f"built for (batch, tokens, {width})"
            )
        if mask.shape != values.shape[:2] or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {modality!r} is {mask.dtype} of shape {tuple(mask.shape)}; it must "
                f"be bool of shape {tuple(values.shape[:2])}, True where a token is real"
            )


def mask_line_ends(features: Features, layout: TokenLayout | None) -> Features:
    """Features of which only tokens with content are real, where an encoder ends lines by others.

    Shapes: values (B, N, D_m), mask (B, N).
    """
    if layout is None or not layout.line_ends:
        return features
    return features._replace(mask=features.mask & features.values.any(dim=-1))


def _is_reserved(name: str) -> bool:
    return hasattr(nn.ModuleDict(), name) or hasattr(nn.ParameterDict(), name)
