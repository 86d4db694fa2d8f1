"""The contract of a fusion: modules around a language model's blocks, which media reach by.

Shapes: B rows, T positions, D width of the language model, M media, N states of a medium, W their
width, D_m encoder width of modality m.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.encoders import Encoder
from anymodal.io.recorded import Recorded
from anymodal.language.fused_media import FusionPass
from anymodal.language.model import LanguageModel
from anymodal.media import Media
from anymodal.types import Features, TokenLayout

_CURRENT: ContextVar[tuple[Fusion, FusionPass] | None] = ContextVar("current", default=None)


class Fusion(Recorded, nn.Module, ABC):
    """Modules that stand around the blocks of a language model, whose own stay as they are.

    A subclass makes its modules in `_attach`, when it knows the model, and lets the model's blocks
    call them: `before`, `around` register such calls. In a call, `current` has the rows' media and
    their places. What it makes of a medium must not depend on what follows that medium, since keys
    and values stay when a conversation goes on.

    Args:
        widths: D_m of each modality.
        encoder: reads media for it alone, such as in a higher resolution than the modality's own,
            which is used where this is None.

    Attributes:
        takes_media: whether media reach the model by this alone, and take a single position that
            holds no soft token; else a projection's soft tokens stand in the rows as well.
        reads_features: whether it reads media's features, and not their places alone. Its passes
            have media of its modalities; media that the language model reads by itself only where
            it has none and reads no features.
        packs: whether several sequences may share a row.
        merges: whether it computes the same with adapters as with their sum in the model's weights.
    """

    takes_media: bool = True
    reads_features: bool = True
    packs: bool = True
    merges: bool = True

    def __init__(self, *, widths: Mapping[str, int], encoder: Encoder | None = None) -> None:
        super().__init__()
        self.widths = dict(widths) if encoder is None else dict.fromkeys(widths, encoder.width)
        self.encoder = encoder
        self.layouts: dict[str, TokenLayout] = {}
        self._last: FusionPass | None = None
        self._outer: list[Fusion] = []  # in a list, for torch would take it for a part
        self._is_attached = False

    @abstractmethod
    def _attach(self, language: LanguageModel, blocks: list[nn.Module]) -> None:
        """Make the modules, and register their calls with the model's blocks."""

    def read(self, modality: str, features: Features) -> Features:
        """States (B, N, W) of media of a modality, from its encoder's features (B, N, D_m)."""
        raise NotImplementedError(f"{type(self).__name__} reads features without `read`")

    @property
    def device(self) -> torch.device:
        """Device of its modules."""
        return next(self.parameters()).device

    def set_layout(self, name: str, layout: TokenLayout) -> None:
        """Say how an encoder orders a modality's tokens; a composed model does."""
        self.layouts[name] = layout

    def metadata(self) -> dict[str, object]:
        """Metadata for a manifest beside the weights: its encoder's, if it has one."""
        return {} if self.encoder is None else self.encoder.metadata()

    def copy_again(self) -> None:
        """Start once more from the model's weights, for what began as copies of them."""

    def penalty(self) -> Tensor | None:
        """The last pass's term of a loss, such as a mixture's balance; None for most."""
        return None

    def encode(self, media: Sequence[Media]) -> Features:
        """Features of media by the encoder of its own, in one batch."""
        assert self.encoder is not None, "asked for where there is one"
        with torch.autocast("cpu", enabled=False):  # the same under autocast as without
            prepared = [self.encoder.prepare(each) for each in media]
        features: Features = self.encoder(self.encoder.collate(prepared))
        return features

    def attach(self, language: LanguageModel) -> None:
        """Put the modules around a model's blocks, for good.

        Raises:
            ValueError: if it stands around a model already, or this one has no list of blocks, or
                another fusion.
        """
        language.check_unfused()  # before modules stand around blocks, which nothing takes back
        blocks = language.blocks
        if self._is_attached:
            raise ValueError(f"{type(self).__name__} stands around a model already; build another")
        if not blocks:
            raise ValueError(
                f"{type(language.model).__name__} has no list of blocks to stand around"
            )
        weights = next(language.model.parameters())
        with torch.device(weights.device):
            self._attach(language, blocks)
        language.set_fusion(self._begin, self.packs, self.penalty, self.merges)
        self._is_attached = True

    def attach_within(
        self, outer: Fusion, language: LanguageModel, blocks: list[nn.Module]
    ) -> None:
        """Put the modules around a model's blocks as a part of another fusion."""
        self._outer.append(outer)
        self._attach(language, blocks)
        self._is_attached = True

    @staticmethod
    def block_width(language: LanguageModel) -> int:
        """D of the blocks, than which embeddings may be narrower (OPT 350M)."""
        return int(getattr(language.backbone.config, "hidden_size", language.width))

    def _begin(self, current: FusionPass) -> None:
        """Take what the next pass is about."""
        # Blocks may be computed anew in a backward pass (checkpointing), whose threads don't have
        # this one's context; nothing but training does that, and it has one pass at a time.
        _CURRENT.set((self, current))
        self._last = current

    @property
    def current(self) -> FusionPass:
        """The pass that is being computed."""
        if self._outer:
            return self._outer[0].current
        pair = _CURRENT.get()
        if pair is not None and pair[0] is self:
            return pair[1]
        assert self._last is not None, "a pass has begun"
        return self._last

    @staticmethod
    def before(block: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        """Let a block take changed hidden states (B, T, D)."""
        block.register_forward_pre_hook(_Before(change), with_kwargs=True)

    @staticmethod
    def after(module: nn.Module, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Let a module give a changed result: of its input and its result, a tensor each."""
        module.register_forward_hook(_After(change), with_kwargs=True)


# Hooks are objects, not functions: a copy of a model copies them too, so that they call the modules
# of the copy's fusion, with its weights and its passes.


class _Before:
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change = change

    def __call__(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (self.change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.change(kwargs["hidden_states"])}


class _After:
    def __init__(self, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.change = change

    def __call__(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        value = args[0] if args else kwargs["hidden_states"]
        if isinstance(result, tuple):
            return (self.change(value, result[0]), *result[1:])
        return self.change(value, result)
