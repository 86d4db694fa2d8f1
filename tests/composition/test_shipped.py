"""The shipped model in a small any-to-any matrix: a cell that broke is seen here."""

from __future__ import annotations

from typing import Any

import pytest

from anymodal import AnyModal
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.toybox.grammar.single_turn import INPUTS, OUTPUTS
from anymodal.toybox.matrix import MatrixPlan, evaluate_matrix

CELLS = tuple(f"{given}>{wanted}" for given in INPUTS for wanted in OUTPUTS)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    answers = ModelPredictor(AnyModal.from_pretrained("nano"))
    return evaluate_matrix(answers, MatrixPlan((*CELLS, "talk"), count=5), name="nano")


def test_every_cell_answers_better_than_chance(results: dict[str, Any]) -> None:
    cells = {line["line"]: line for line in results["results"] if line["line"] in CELLS}
    assert len(cells) == 20
    weak = {name: line["share"] for name, line in cells.items() if line["share"] < 0.6}
    assert not weak  # chance is below 0.4 everywhere


def test_the_whole_is_mostly_right(results: dict[str, Any]) -> None:
    assert results["total"]["share"] > 0.85
    assert results["total"]["media"]["share"] > 0.94  # of 135, as of 3789b80; 0.963 then
