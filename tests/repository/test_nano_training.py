"""The commands about nano's training: its log, and sheets of drawings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
import yaml

from tests.support.paths import ROOT


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, ROOT / "benchmarks" / script, *arguments]
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_log_counts_every_step_once(tmp_path: Path) -> None:
    folder, page = tmp_path / "runs" / "image", tmp_path / "page.md"
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({"batch_size": 30, "steps": 40}))
    starts = [
        {"started": f"2026-01-0{day}T00:00:00+00:00", "git": {"commit": commit * 7}}
        for day, commit in ((1, "a"), (2, "b"))
    ]
    (folder / "environment.json").write_text(json.dumps(starts))
    # Stopped after step 19, begun again from step 9.
    history = [
        {"step": step, "loss": loss, "loss/denoise": loss, "samples_per_second": 5.0}
        for step, loss in ((9, 2.0), (19, 1.0), (19, 1.0), (29, 0.5), (39, 0.5))
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(each) + "\n" for each in history))
    marks = "<!-- nano's training -->\n<!-- /nano's training -->\n"
    page.write_text(marks)
    run("nano_log.py", tmp_path / "runs", "--page", page)
    row = next(line for line in page.read_text().splitlines() if line.startswith("| image"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "image", "40", "30", "4", "denoise 2.000", "denoise 1.000", "2", "aaaaaaa, bbbbbbb",
    ]  # fmt: skip
    folder.rename(tmp_path / "runs" / "video")  # and that of the images is elsewhere
    run("nano_log.py", tmp_path / "runs", "--page", page)
    both = page.read_text()
    assert "0.1 hours of one core" in both and both.count("denoise 2.000") == 2


@pytest.mark.extended
def test_a_sheet_has_sixty_pairs(tmp_path: Path) -> None:
    said = run("contact_sheet.py", "--out", tmp_path / "sheet.png")
    assert "big: overlap 0." in said and "of 30 drawings" in said
    assert PIL.Image.open(tmp_path / "sheet.png").size == (12 * 64, 5 * 2 * 64)
