"""Shares of right attributes and their intervals."""

from __future__ import annotations

import pytest

from anymodal.toybox.shares import attributes, wilson


def test_wilson_interval():
    # Agresti & Coull 1998: 0 of 10 gives (0, 0.278); 90 of 100 gives (0.826, 0.945).
    assert wilson(0.0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(1.0, 100)[1] == 1
    assert wilson(0.0, 0) == (0, 1)


def test_the_interval_counts_media_and_not_their_attributes():
    found = attributes([{"a": True, "b": True}, {"a": True, "b": False}, {}])
    assert found["share"] == 0.75
    assert found["interval"] == wilson(0.75, 2)
    assert found["by_attribute"] == {"a": 1, "b": 0.5}
    assert attributes([])["share"] is None
