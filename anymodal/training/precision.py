"""Precisions of training: of all weights, or of passes under autocast."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from anymodal.distributed.devices import computes_bfloat16

PRECISIONS = {
    "32-true": None,
    "16-mixed": None,
    "bf16-mixed": None,
    "16-true": torch.float16,
    "bf16-true": torch.bfloat16,
    "64-true": torch.float64,
}
"""Precisions by Lightning's name, and the type that all weights get, if any."""


def cast_weights(model: nn.Module, precision: str) -> None:
    """Give a model's weights the type of a precision, where that is not a matter of passes alone.

    Not Lightning's way, which has every new tensor be of that type while a model works: positions
    beyond 256 aren't numbers of bfloat16. For the same reason rotary embeddings keep their rates.
    """
    kind = PRECISIONS[precision]
    if kind is None:
        return
    rates = [
        (module, name, buffer)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name.endswith("inv_freq")
    ]
    model.to(kind)
    for module, name, buffer in rates:
        module.register_buffer(name, buffer, name not in module._non_persistent_buffers_set)


def allow_tf32() -> None:
    """Let matrix products in float32 round their factors to TensorFloat-32, where a GPU has it.

    A feature cache tells results by this, so whatever fills one ahead of a run does the same.
    """
    torch.set_float32_matmul_precision("high")


def lightning_precision(precision: str) -> str:
    """The precision that Lightning applies, once weights are cast."""
    return precision if PRECISIONS[precision] is None else "32-true"


def automatic_precision(accelerator: object) -> str:
    """The precision of a run that leaves it open: half in passes, where that is quick.

    Args:
        accelerator: Lightning's name of the device to train on.
    """
    device = "cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda"
    return "bf16-mixed" if computes_bfloat16(device) else "32-true"


def warn_of_slow_precision(precision: str, device: torch.device) -> None:
    """Warn where a processor has to imitate bfloat16, which a run would feel as a standstill."""
    if precision.startswith("bf16") and device.type == "cpu" and not computes_bfloat16(device):
        warnings.warn(
            f"precision={precision}: this processor has no instructions for bfloat16 and takes "
            "many times as long for it as for float32; precision=auto takes what is quick",
            stacklevel=2,
        )
