"""95 % intervals of figures over samples that are independent of each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Z = 1.959964
"""The standard normal quantile of a two-sided 95 % interval."""
RESAMPLES = 1000


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share measured on `count` samples.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if count == 0:
        return 0.0, 1.0
    scale = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / scale
    reach = Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2) / scale
    # Rounding must not put an end of the interval on the wrong side of the share.
    return max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach))


def bootstrap(
    counts: np.ndarray, figure: Callable[[np.ndarray], np.ndarray], seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of a figure over samples that fall into cells.

    Samples drawn anew with replacement are cells drawn by their counts.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife".

    Args:
        counts: samples in each cell, (K,).
        figure: of resampled counts (resamples, K) gives (resamples,).
        seed: of the resamples, so that the same counts have the same interval.
    """
    total = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(total, counts / total, RESAMPLES)
    low, high = np.quantile(figure(draws), [0.025, 0.975])
    return float(low), float(high)
