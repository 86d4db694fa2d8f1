"""The examples run as a reader would run them, with small numbers, and do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from anymodal import media
from anymodal.data.toybox.judge import judge

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LINES = 40  # that a new modality may take


def run(name: str, folder: Path, *arguments: str) -> str:
    """What an example prints; its errors are the test's."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_compose(tmp_path: Path) -> None:
    printed = run("compose.py", tmp_path, "--steps", "2")
    for loss in ("text", "align", "denoise"):
        assert re.search(rf"'{loss}': \d+\.\d", printed)
    assert "the same reply after loading: True" in printed
    assert "composed from a file: image, audio" in printed
    saved = {path.name for path in (tmp_path / "composed" / "model").iterdir()}
    assert {"config.yaml", "manifest.json", "imagebind", "language", "painter"} <= saved


def test_generate(tmp_path: Path) -> None:
    """Every medium is saved under its turn's number, and the oracles find in it what was asked."""
    printed = run("generate.py", tmp_path)
    wanted = {
        "1-image.png": {"thing": "ball", "color": "blue", "size": "small"},
        "2-image.png": {"thing": "ball", "color": "green", "size": "small"},
        "3-audio.wav": {"thing": "ball", "size": "small"},
        "4-image.png": {"thing": "car", "color": "red", "size": "big"},
        "4-audio.wav": {"thing": "car", "size": "big"},
        "4-video.mp4": {"thing": "car", "color": "red", "size": "big", "motion": "left"},
    }
    files = {path.name: path for path in (tmp_path / "generated").iterdir()}
    assert files.keys() == wanted.keys()
    assert all(str(Path("generated") / name) in printed for name in wanted)
    right = []
    for name, told in wanted.items():
        medium = media.load(files[name])
        read = judge(medium.kind, medium)
        right += [read.get(attribute) == value for attribute, value in told.items()]
    # Chance is 0.3; the shipped heads are young (README, "Measured").
    assert sum(right) >= 0.8 * len(right)


def test_retrieval(tmp_path: Path) -> None:
    """Pictures find their clips and sounds, and name them, far more often than chance would."""
    printed = run("retrieval.py", tmp_path, "--n", "48")
    pairs = re.findall(r"^  (\w+) +(\w+) +(\d+)% +(\d+)%", printed, re.MULTILINE)
    assert len(pairs) == 4 * 3
    shares = {(query, found): int(first) for query, found, first, _ in pairs}
    assert shares["image", "video"] >= 40 and shares["image", "audio"] >= 8  # chance is 2
    named = dict(re.findall(r"^  (\w+) +(\d+)% +\d+%$", printed, re.MULTILINE))
    assert named.keys() == {"audio", "video"}
    assert min(map(int, named.values())) >= 25  # chance is 9


def test_new_modality(tmp_path: Path) -> None:
    printed = run("new_modality.py", tmp_path, "--steps", "3", "--count", "4")
    shares = re.findall(r"accuracy (?:before|after): (\d+)%", printed)
    assert len(shares) == 2
    assert all(0 <= int(share) <= 100 for share in shares)


def test_a_new_modality_takes_few_lines() -> None:
    text = (EXAMPLES / "touch.py").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    assert len(lines) <= LINES


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_listed(path: Path) -> None:
    assert path.name in (EXAMPLES / "README.md").read_text("utf-8")
