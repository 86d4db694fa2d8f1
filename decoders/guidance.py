"""What classifier-free guidance leads away from (Ho & Salimans 2022, arXiv:2207.12598)."""

from __future__ import annotations

import torch

from anymodal.decoders.records import PipelineRecords
from anymodal.decoders.references import References
from anymodal.types import Conditioning


class NegativeConditioning:
    """Conditioning of the empty caption, cached until weights change, and of other captions.

    Args:
        records: of the pipeline whose caption encoders compute it.
    """

    def __init__(self, records: PipelineRecords) -> None:
        self.records = records
        # With the weights' versions that it holds for.
        self._unconditional: tuple[tuple[int, ...], Conditioning] | None = None

    def forget(self) -> None:
        """Forget what is cached, as when the weights move to another device."""
        self._unconditional = None

    def unconditional(self, count: int) -> Conditioning:
        """The empty caption's, or zeros where the pipeline takes those, `count` times.

        Weights changed through `.data` are not noticed.
        """
        weights = [p for part in self.records.captioners for p in part.parameters()]
        # `_version` counts writes in place, `data_ptr` tells another storage.
        key = (*(p._version for p in weights), *(p.data_ptr() for p in weights))
        if self._unconditional is None or self._unconditional[0] != key:
            with torch.inference_mode(False), torch.no_grad():
                self._unconditional = key, self.records.family.null_conditioning()
        return self._unconditional[1].repeat(count)

    def of(
        self, caption: str | None, count: int, references: References | None = None
    ) -> Conditioning:
        """That of a caption, `count` times; of the empty one where it is None.

        Where the caption encoder sees references, it is that beside each item's.
        """
        family = self.records.family
        if family.sees_references and references is not None and any(references):
            with torch.inference_mode(False), torch.no_grad():
                return family.embed_captions_beside([caption or ""] * count, references)
        if caption is None:
            return self.unconditional(count)
        with torch.inference_mode(False), torch.no_grad():
            return family.negative_conditioning(caption).repeat(count)

    def __getstate__(self) -> dict[str, object]:
        """A copy computes its own."""
        return {**self.__dict__, "_unconditional": None}
