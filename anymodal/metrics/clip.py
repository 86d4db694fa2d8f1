"""Agreement of generated media with the captions that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from anymodal.config import ConfigError
from anymodal.media.pictures import pictures
from anymodal.metrics.base import Metric

if TYPE_CHECKING:
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class ClipScore(Metric):
    """100 times the cosine between CLIP's embeddings of a caption and of what was made, 0 or above.

    The first medium of the reply that shows something counts; of a clip, the mean over its frames.

    Source: Hessel et al. 2021, "CLIPScore", equation 1 with w = 100, as torchmetrics has it.

    Args:
        model: a CLIP of the Hugging Face hub, or a local folder.
        frames: the most frames of a clip, evenly spaced.
    """

    needs = ("caption",)

    def __init__(self, model: str = "openai/clip-vit-base-patch16", frames: int = 8) -> None:
        from torchmetrics.multimodal import CLIPScore
        from transformers import CLIPModel, CLIPProcessor

        if frames < 1:
            raise ConfigError(f"frames={frames}; it must be 1 or above")
        clip = _TensorFeatures(CLIPModel.from_pretrained(model).eval())
        processor = CLIPProcessor.from_pretrained(model)
        self.library = CLIPScore(lambda: (clip, processor))
        self.frames, self.sum, self.device = frames, 0.0, "cpu"

    def to(self, device: str) -> None:
        """Move CLIP, which follows the pictures that it is given."""
        self.device = device

    @torch.inference_mode()
    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        visible = (pictures(medium, self.frames) for medium in reply.media)
        pixels = next((frames for frames in visible if frames is not None), None)
        if pixels is None:
            return False
        frames = torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2)  # (T, H, W, 3) -> (T, 3, H, W)
        # The library keeps one mean over all pictures; here each reply counts alike.
        self.library.reset()
        self.library.update(frames.to(self.device), [sample.caption] * len(frames))
        self.sum += float(self.library.compute())
        return True

    def _compute(self) -> dict[str, float]:
        return {"clip_score": self.sum / (self.count - self.missing)}


class _TensorFeatures(nn.Module):
    """A CLIP whose `get_…_features` give tensors: transformers 5 gives whole outputs instead."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def __getattr__(self, name: str) -> Any:  # Any, as in nn.Module
        if name == "clip":
            return super().__getattr__(name)
        attribute = getattr(self.clip, name)
        return _pool_output(attribute) if name.endswith("_features") else attribute


def _pool_output(method: Callable[..., Tensor | _Pooled]) -> Callable[..., Tensor]:
    def call(*args: object) -> Tensor:
        output = method(*args)
        return output if isinstance(output, Tensor) else output.pooler_output

    return call


class _Pooled(Protocol):
    pooler_output: Tensor
