"""The examples run as a reader would run them, with small numbers, and do what they say."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from anymodal import media
from anymodal.chat.tools import Toolbox
from anymodal.encoders import TransformersEncoder, TransformersText
from anymodal.media import Image
from anymodal.toybox.scoring import read_attributes
from anymodal.types import ToolCall
from tests.encoders.test_texts import write as write_clip
from tests.support.paths import ROOT as REPOSITORY

EXAMPLES = REPOSITORY / "examples"
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


@pytest.mark.extended  # slow
def test_compose(tmp_path: Path) -> None:
    printed = run("compose.py", tmp_path, "--steps", "2")
    for loss in ("text", "align", "denoise"):
        assert re.search(rf"'{loss}': \d+\.\d", printed)
    assert "the same reply after loading: True" in printed
    assert "composed from a file: image, audio" in printed
    saved = {path.name for path in (tmp_path / "composed" / "model").iterdir()}
    assert {"config.yaml", "manifest.json", "language", "image-decoder"} <= saved
    assert "image-encoder-model" in saved, "two encoders share it"


@pytest.mark.extended  # slow
def test_own_trainer(tmp_path: Path) -> None:
    printed = run("own_trainer.py", tmp_path, "--steps", "2", "--out", "trained")
    assert "2 steps, of which 1 after a stop" in printed
    assert (tmp_path / "trained" / "model" / "manifest.json").is_file()


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
        read = read_attributes(medium.kind, medium)
        right += [read.get(attribute) == value for attribute, value in told.items()]
    # Chance is 0.3; the shipped heads are young (README, "Measured").
    assert sum(right) >= 0.8 * len(right)


@pytest.mark.extended  # slow
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


@pytest.mark.extended  # slow
def test_files_are_named_by_the_embeddings_of_names(tmp_path: Path) -> None:
    """By a CLIP that has learned three colours."""
    write_clip("clip", tmp_path / "clip")
    names = ["red", "small", "bell"]  # words that its tokenizer has
    colours = np.array([[220, 20, 20], [20, 220, 20], [20, 20, 220]], np.uint8)
    pictures = [Image(np.full((40, 40, 3), colour, np.uint8)) for colour in colours]
    for name, picture in zip(names, pictures, strict=True):
        picture.save(tmp_path / f"{name}.png")
    teach(tmp_path / "clip", pictures, names)
    files = [f"{name}.png" for name in names]
    printed = run("retrieval.py", tmp_path, *files, "--encoder", "clip", "--classes", *names)
    told = re.findall(r"^(\w+)\.png: (\w+) (\d+\.\d)%, \w+ \d+\.\d%", printed, re.MULTILINE)
    assert [(name, best) for name, best, _ in told] == [(name, name) for name in names]
    assert all(float(share) > 60 for _, _, share in told)


def teach(folder: Path, pictures: list[Image], names: list[str]) -> None:
    """Bind pictures and names by CLIP's own loss."""
    whole = transformers.CLIPModel.from_pretrained(folder)
    encoder = TransformersEncoder.from_pretrained(str(folder))
    reader = TransformersText.from_pretrained(str(folder))
    read = torch.stack([reader.prepare(name) for name in names])
    inputs = dict(zip(reader.inputs, read.unbind(1), strict=True))
    inputs["pixel_values"] = torch.stack([encoder.prepare(picture) for picture in pictures])
    optimiser = torch.optim.AdamW(whole.parameters(), 3e-3)
    for _ in range(60):
        loss = whole(**inputs, return_loss=True).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    whole.eval().save_pretrained(folder)


@pytest.mark.extended  # slow
def test_what_reads_no_texts_is_told(tmp_path: Path) -> None:
    Image(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(AssertionError, match="nano reads no texts: give --encoder an ImageBind"):
        run("retrieval.py", tmp_path, "a.png", "--classes", "red")


@pytest.mark.extended  # slow
def test_new_modality(tmp_path: Path) -> None:
    printed = run("new_modality.py", tmp_path, "--steps", "3", "--count", "4")
    shares = re.findall(r"accuracy (?:before|after): (\d+)%", printed)
    assert len(shares) == 2
    assert all(0 <= int(share) <= 100 for share in shares)


def test_experts_are_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small experts of random weights, so what they find is nonsense."""
    torch.manual_seed(0)
    kinds = {"id2label": {0: "cup", 1: "table"}, "label2id": {"cup": 0, "table": 1}}
    size = {"height": 32, "width": 32}
    small = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    detector = transformers.YolosConfig(
        hidden_size=16, image_size=[32, 32], patch_size=8, num_detection_tokens=4, **small, **kinds
    )
    segmenter = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16],
        patch_sizes=[3, 3], strides=[2, 2], num_attention_heads=[1, 2], mlp_ratios=[1, 1],
        decoder_hidden_size=16, **kinds,
    )  # fmt: skip
    for name, expert in (
        ("yolos", transformers.YolosForObjectDetection(detector)),
        ("segformer", transformers.SegformerForSemanticSegmentation(segmenter)),
    ):
        expert.save_pretrained(tmp_path / name)
    transformers.YolosImageProcessor(size=size).save_pretrained(tmp_path / "yolos")
    transformers.SegformerImageProcessor(size=size).save_pretrained(tmp_path / "segformer")
    path = Image(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    tools = importlib.import_module("experts").experts(
        [path], str(tmp_path / "yolos"), str(tmp_path / "segformer")
    )
    toolbox = Toolbox(tools)
    found = toolbox.run(ToolCall("detect_objects", '{"picture": "a.png", "threshold": 0.1}'), [])
    assert {each["label"] for each in json.loads(str(found.content[0]))["objects"]} <= {
        "cup",
        "table",
    } and not found.error
    shares = toolbox.run(ToolCall("segment_picture", '{"picture": "a.png"}'), [])
    assert sum(json.loads(str(shares.content[0])).values()) == pytest.approx(1, abs=0.01)
    other = toolbox.run(ToolCall("segment_picture", '{"picture": "../a.png"}'), [])
    assert "there is no picture ../a.png" in other.error


def test_a_new_modality_takes_few_lines() -> None:
    text = (EXAMPLES / "touch.py").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]
    assert len(lines) <= LINES


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_listed(path: Path) -> None:
    assert path.name in (EXAMPLES / "README.md").read_text("utf-8")
