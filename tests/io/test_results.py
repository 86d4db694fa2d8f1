"""Tables and result files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymodal.io.results import markdown_table, write_results


def test_a_table_is_aligned_and_its_figures_stand_right() -> None:
    rows = [["a|b", "1", "x", "–"], ["longer", "+100.0 ± 2", "", "90–99"]]
    lines = markdown_table(["name", "n", "text", "95 %"], rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0] == "| name   |          n | text |  95 % |"
    assert lines[1] == "| :----- | ---------: | :--- | ----: |"
    assert lines[2] == r"| a\|b   |          1 | x    |     – |"


def test_a_table_without_rows_is_a_head() -> None:
    assert markdown_table(["name", "n"], []).splitlines() == ["| name | n   |", "| :--- | :-- |"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        markdown_table(["name", "n"], [["a"]])


def test_results_are_written_beside_one_another(tmp_path: Path) -> None:
    write_results(tmp_path / "new", {"total": 0.5}, "| a |")
    assert json.loads((tmp_path / "new" / "results.json").read_text("utf-8")) == {"total": 0.5}
    assert (tmp_path / "new" / "results.md").read_text("utf-8") == "| a |\n"
    assert len(list((tmp_path / "new").iterdir())) == 2
