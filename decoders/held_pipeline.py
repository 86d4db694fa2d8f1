"""A pipeline's networks as the parts of a module: moved, copied and saved with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.utils.weight_norm import WeightNorm

from anymodal.decoders.base import Decoder
from anymodal.decoders.files import is_complete
from anymodal.decoders.pipeline import Pipeline
from anymodal.io.sources import source_of

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class HeldPipeline(Decoder):
    """A decoder that holds a diffusers pipeline.

    Args:
        pipeline: is no module itself; registered here, its networks move with the decoder.
        offload: how weights wait in the CPU's memory while an accelerator computes: `model`,
            `group` or `leaf`; None where they don't.
    """

    def __init__(self, pipeline: DiffusionPipeline, offload: str | None) -> None:
        super().__init__()
        self.pipeline: Pipeline = pipeline
        self.offload = offload
        self.parts = nn.ModuleDict(
            {k: v for k, v in pipeline.components.items() if isinstance(v, nn.Module)}
        )
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def source_on_disk(cls, **arguments: Any) -> dict[str, Any] | None:
        """The pipeline's source, if all of its files are on this machine."""
        name, revision = str(arguments["folder"]), arguments.get("revision")
        return source_of(name, revision) if is_complete(name, revision) else None

    def _on_meta_device(self) -> bool:
        return any(weight.is_meta for weight in self.parts.parameters())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> HeldPipeline:
        """Move the weights, unless they wait in the CPU's memory."""
        if self.offload is None or self._on_meta_device():
            with self.lock:
                super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The state that a copy and a pickle are made from.

        Raises:
            TypeError: its weights wait in the CPU's memory, where hooks tie them to this decoder.
        """
        if self.offload is not None and not all(w.is_meta for w in self.parts.parameters()):
            raise TypeError(
                f"a decoder with offload={self.offload!r} can't be copied or pickled, since hooks "
                "tie its weights to it; open it a second time, or without offload"
            )
        for module in self.parts.modules():
            for hook in module._forward_pre_hooks.values():
                if isinstance(hook, WeightNorm):  # makes the weight anew from its two factors
                    weight = getattr(module, hook.name)
                    setattr(module, hook.name, weight.detach())  # a copy has no place in a graph
        return dict(self.__dict__)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the pipeline's folder, which `DiffusionPipeline.from_pretrained` opens too."""
        self.pipeline.save_pretrained(str(folder), safe_serialization=True)
