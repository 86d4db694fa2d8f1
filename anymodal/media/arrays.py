"""NPY files, read without ever unpickling."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from anymodal.media.limits import Limits, MediaError, decoding
from anymodal.media.source import NPY, Blob


def read_npy(
    blob: Blob,
    limits: Limits,
    *,
    ndim: int | None,
    check: Callable[[tuple[int, ...]], None] = lambda shape: None,
) -> NDArray[Any]:
    """The array of real numbers in an NPY file, its header checked against limits and file size.

    It is read-only and lies within the blob: whoever converts it makes the only copy.

    Args:
        ndim: how many axes it must have; None for any number.
        check: raises where the shape in the header is none to go on with.

    Raises:
        ValueError: if it is damaged, too large, no array of numbers, or of another rank.
    """
    with decoding(blob.name, NPY.label):
        file = BytesIO(blob.data)
        version = npy.read_magic(file)
        # Never np.load, which unpickles objects.
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.kind not in "fiu":
            raise MediaError(
                f"{blob.name} holds {dtype}, not plain numbers; save it as "
                "np.save(path, x.astype(np.float32))"
            )
        if ndim is not None and len(shape) != ndim:
            raise MediaError(
                f"{blob.name} has the shape {shape}; an array of {ndim} axes is needed"
            )
        check(shape)
        count = math.prod(shape)  # Python's integers: no product of hostile axes wraps around
        limits.check_decoded(blob.name, count * max(4, dtype.itemsize), f"an array of {shape}")
        there = len(blob.data) - file.tell()
        if there < count * dtype.itemsize:
            raise MediaError(
                f"{blob.name} is cut short: {there:,} of {count * dtype.itemsize:,} bytes "
                "of its array are there; save or download it again"
            )
        array = np.frombuffer(blob.data, dtype, count, file.tell())
        return array.reshape(shape, order="F" if fortran else "C")


def write_npy(array: NDArray[Any]) -> bytes:
    """An NPY file of an array of numbers."""
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
