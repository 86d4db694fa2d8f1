"""Checks of the arrays and numbers that a media item is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anymodal.media.limits import MediaError


def check_array(
    values: object, name: str, dtype: type[np.generic], axes: str, advice: str
) -> NDArray[Any]:
    """An array of the given type and axes, C-contiguous; other floats become float32.

    Args:
        axes: the expected shape for a reader, as `(H, W, 3)`; a number must match exactly.

    Raises:
        ValueError: if type or shape differ, an axis is empty, or a value is NaN or infinite.
    """
    array = np.asarray(values)
    if dtype is np.float32 and np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32, copy=False)
    if array.dtype != dtype:
        raise MediaError(f"{name} are {array.dtype}, expected {np.dtype(dtype).name}: {advice}")
    sizes = axes.strip("()").split(", ")
    fits = array.ndim == len(sizes) and all(
        size == int(want) if want.isdigit() else size > 0
        for size, want in zip(array.shape, sizes, strict=True)
    )
    if not fits:
        raise MediaError(
            f"{name} have the shape {array.shape}, expected {axes} with no axis empty: {advice}"
        )
    if dtype is np.float32 and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise MediaError(
            f"{name} hold {array[where]} at index {where}; cut or fill such values before"
        )
    return np.ascontiguousarray(array)


def check_number(value: object, name: str, low: float, high: float, unit: str) -> float:
    """A finite number within bounds.

    Raises:
        ValueError: if it is none.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # what it can't take is an error below
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise MediaError(f"{name}={value!r} is out of range; give {low:g} to {high:g} {unit}")
    return number
