"""`anymodal eval benchmark`, with the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymodal import cli
from tests.support import benchmark_files as files


def test_the_command_asks_a_model_and_a_judge(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files.write_imgedit(tmp_path / "imgedit")
    out = tmp_path / "out"
    command = ["eval", "benchmark", "imgedit", str(folder), "--model", str(model), "--out"]
    command += [str(out), "--device", "cpu", "--samples", "2", "--set", "image.steps=1"]
    assert cli.main([*command, "--max-new-tokens", "24", "--prompt", "draw a ball{prompt}"]) == 0
    told = capsys.readouterr()
    assert "run this again with --judge MODEL" in told.err and "1 rows stand aside" in told.err
    results = json.loads((out / "results.json").read_text())
    assert (results["benchmark"], results["count"], results["judge"]) == ("imgedit", 2, "")
    assert (out / "report.html").is_file()


@pytest.mark.extended
def test_a_judge_may_be_a_model_of_this_machine(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files.write_imgedit(tmp_path / "imgedit")
    command = ["eval", "benchmark", "imgedit", str(folder), "--model", str(model), "--judge"]
    command += [str(model), "--out", str(tmp_path / "out"), "--device", "cpu", "--samples", "2"]
    command += ["--set", "image.steps=1", "--prompt", "draw a ball{prompt}"]
    assert cli.main([*command, "--max-new-tokens", "24", "--judge-tokens", "8"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    # What it says has no scores in it, or there was nothing to judge.
    assert results["metrics"]["imgedit"] == {"count": 2, "missing": 2}
    assert results["judge"] == str(model)


def test_a_benchmark_of_one_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files.write_pope(tmp_path / "pope")
    command = ["eval", "benchmark", "pope", str(folder / "coco_pope_adversarial.json"), "--out"]
    command += [str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    assert cli.main(command) == 0
    assert "accuracy, coco adversarial" in capsys.readouterr().out
    command[command.index(str(tmp_path / "out"))] = str(tmp_path / "chosen")
    assert cli.main([*command, "--choices"]) == 0
    records = (tmp_path / "chosen" / "samples.jsonl").read_text().splitlines()[1:]
    replies = [json.loads(record) for record in records]
    assert {reply["reply"][0] for reply in replies} <= {"Yes", "No"}
    assert [choice[0] for choice in replies[0]["choices"]] == ["Yes", "No"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["poppe", "."], "invalid choice: 'poppe'"),
        (["pope", "nowhere"], "get the files from https://github.com/AoiDragon/POPE"),
        (["pope", ".", "--model", "nowhere"], "no model at nowhere"),
        (["pope", ".", "--model", "http://127.0.0.1:9/v1"], "name its model too"),
        (["pope", ".", "--judge", "ftp://x", "--judge-name", "a"], "'ftp://x' is no address"),
        (["pope", ".", "--prompt", "hm?"], "lacks {prompt}"),
    ],
)
def test_what_can_not_work_is_told_before_a_model_is_opened(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["eval", "benchmark", *options]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
