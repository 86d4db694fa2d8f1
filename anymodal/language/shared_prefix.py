"""The beginning that a batch's conversations share, such as a system prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MIN_SHARED = 4
"""Positions for which another piece of keys is worth its mask."""


def shared_beginning(
    ids: npt.NDArray[np.int64],
    needed: npt.NDArray[np.bool_],
    trains: npt.NDArray[np.bool_],
    openings: Sequence[int],
) -> tuple[int, ...]:
    """The token ids that all rows begin with, up to where something trains or is needed.

    It ends where the first message of somebody's own begins. Beyond that rows have beginnings in
    common by chance, another one in each batch, which would be computed for that batch alone.

    Args:
        ids: of rows (R, T), a conversation each.
        needed: positions whose hidden states losses depend on (R, T); a row without any is left
            out.
        trains: positions whose input has a gradient, or isn't told by its id (R, T).
        openings: positions of each row before its first message.

    Returns:
        Ids (S,); none for a single row, which shares nothing.
    """
    used = needed.any(1)
    if used.sum() < 2:
        return ()
    rows = ids[used]
    differs = (rows != rows[0]).any(0) | (needed | trains)[used].any(0)  # (T,)
    first = int(differs.argmax()) if differs.any() else len(differs)
    length = min(first, int(np.array(openings)[used].min()))
    return tuple(rows[0, :length].tolist()) if length >= MIN_SHARED else ()
