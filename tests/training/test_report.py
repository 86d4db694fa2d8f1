"""The record of a run: history, environment, configuration, and a page that loads nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from anymodal.training.report.charts import MAX_POINTS, line_chart
from anymodal.training.report.environment import git_state
from anymodal.training.report.history import History, read_history
from anymodal.training.report.page import chart_groups
from anymodal.training.run import fit, read_run, train
from tests.support.composed import small_disk, write_model
from tests.support.runs import TOY, read_log, stages, write

HELD_OUT = {"_target_": "tests.support.composed.Numbers", "count": 5}


def test_a_run_leaves_its_record(tmp_path: Path) -> None:
    out = tmp_path / "run"
    data = {**TOY["data"], "cut": 9}
    path = write(tmp_path, data=data, validation={"data": HELD_OUT, "every": 2})
    with pytest.raises(OSError, match="the power is cut"):
        train(path)
    halfway = (out / "report.html").read_text()
    assert "step 2 of 4" in halfway
    train(path, ["data.cut=null"])
    curves = read_history(out / "history.jsonl")
    assert [*curves["loss"].values()] == read_log(out)[-4:] or len(curves["loss"]) == 4
    assert sorted(curves["validation/loss"]) == [0, 2, 4]
    for name in ("lr", "gradient_norm", "samples_per_second", "data_wait", "memory_gb"):
        assert len(curves[name]) == 4 and all(v >= 0 for v in curves[name].values()), name
    assert curves["samples_per_second"][3] > 0 and curves["data_wait"][3] <= 1
    sessions = json.loads((out / "environment.json").read_text())
    assert [each["step"] for each in sessions] == [0, 2]
    assert sessions[0]["packages"]["torch"] and sessions[1]["packages"] is None
    assert yaml.safe_load((out / "run.yaml").read_text())["steps"] == 4
    assert read_run(out / "run.yaml").batch_size == 3, "it can be run again"
    page = (out / "report.html").read_text()
    for text in ("step 4 of 4", "best loss", "<svg", "validation/loss", "epochs seen", "torch "):
        assert text in page, text


def test_the_page_loads_nothing_and_escapes_everything(tmp_path: Path) -> None:
    model = write_model(tmp_path / "parts")
    stage = stages(model, tmp_path)["perceive"]
    talk = {"_target_": "tests.support.composed.talks", "count": 4}
    named = {"<img src=x onerror=a>": {**talk}}
    settings = {"max_new_tokens": 4}
    validation = {"data": named, "samples": 1, "settings": settings, "every": 1}
    run = {**stage, "data": talk, "batch_size": 2, "steps": 1, "validation": validation}
    fit(read_run(write(tmp_path, **run)))
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "default-src 'none'" in page and "<script" not in page
    links = re.findall(r"""<\w[^>]*?\s(?:src|href)=["']?([^"'\s>]+)""", page)
    assert links and all(link.startswith("data:") for link in links)
    assert "supervised tokens seen" in page and "Reference" in page


def test_a_history_goes_on_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    first = History(path)
    first.log_metrics({"loss": 1.0, "epoch": 0}, 1)
    first.log_metrics({"loss": float("nan"), "note": "text"}, 2)  # type: ignore[dict-item]
    path.write_text(path.read_text() + '{"step": 3, "lo')
    second = History(path)
    second.log_metrics({"loss": 5.0}, 2)
    curves = read_history(path)
    assert curves == second.curves == {"loss": {1: 1.0, 2: 5.0}}
    assert len(path.read_text().splitlines()) == 3


def test_a_full_disk_ends_no_run_for_a_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from anymodal.training.module import StageModule
    from anymodal.training.report.callback import RunReport
    from tests.support.composed import Regression, Toy

    run = read_run(write(tmp_path))
    report = RunReport(run, [1, 2], StageModule(Regression(Toy()), run))
    (tmp_path / "run").mkdir()
    with small_disk(100):
        for _ in range(2):
            report._attempt(lambda: report._begin(0))
    assert caplog.text.count("the run's report can't be written") == 1


def test_charts_thin_long_lines_and_leave_gaps() -> None:
    points = [(step, float("nan") if step == 500 else float(step)) for step in range(1000)]
    chart = line_chart("a & b", {"x": points, "y": [(3, 1.0)], "z": []})
    assert chart.count("<polyline") == 2 and "<circle" in chart and "a &amp; b" in chart
    assert chart.count(",") < MAX_POINTS + 50
    assert line_chart("none", {"x": [(1, float("inf"))]}) == ""
    assert chart_groups(["loss", "validation/loss", "validation/birds/loss/text", "lr"]) == {
        "loss": ["loss", "validation/loss"],
        "loss/text": ["validation/birds/loss/text"],
        "lr": ["lr"],
    }


def test_a_folder_without_a_repository_has_no_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None


@pytest.mark.parametrize("kind", ["perceive", "language"])
def test_tokens_are_counted(tmp_path: Path, kind: str) -> None:
    stage: dict[str, Any] = stages(write_model(tmp_path / "parts"), tmp_path)[kind]
    fit(read_run(write(tmp_path, **{**stage, "steps": 3})))
    assert read_log(tmp_path / "run", "tokens_per_second")[0] > 0
