"""What is too much of a file is said once, wherever media are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.chat.messages import conversation_of
from anymodal.chat.session import Session
from anymodal.cli import main
from anymodal.data.conversations import Conversations
from anymodal.evaluation.schema import Evaluation
from anymodal.media import Audio, Limits
from anymodal.metrics.samples import read_samples
from anymodal.tools.embed.files import read_file
from anymodal.types import Message
from tests.support.tiny import tiny_model

SHORT = Limits(max_seconds=0.5)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return Audio(np.full(8000, 0.1, np.float32), 8000).save(tmp_path / "a.wav")


def test_limits_come_from_names_and_numbers() -> None:
    assert Limits.of(None) == Limits() and Limits.of(SHORT) is SHORT
    assert Limits.of({"max_seconds": 0.5}) == SHORT
    with pytest.raises(
        ValueError, match=r"no limit 'max_second'; there are max_pixels, max_frames"
    ):
        Limits.of({"max_second": 1})
    with pytest.raises(ValueError, match="max_seconds='long' is no limit"):
        Limits.of({"max_seconds": "long"})
    with pytest.raises(ValueError, match="give numbers by name"):
        Limits.of(600)  # type: ignore[arg-type]


def test_what_loads_media_takes_limits(second: Path) -> None:
    folder = second.parent
    (folder / "d.json").write_text(json.dumps([{"audio": "a.wav", "caption": "a tone"}]))
    (folder / "d.jsonl").write_text(json.dumps({"prompt": ["what?", {"file": "a.wav"}]}))
    given: Any = {"max_seconds": 0.5}
    loads: list[Any] = [
        lambda: conversation_of([second, "what?"], SHORT),
        lambda: conversation_of([Message("user", [second])], SHORT),
        lambda: Conversations(folder / "d.json", limits=given)[0][0].media[0].decode(),
        lambda: read_file(second, None, SHORT),
        lambda: read_samples(folder / "d.jsonl", SHORT)[0].conversation(),
    ]
    for load in loads:
        with pytest.raises(ValueError, match=r"lasts 1\.0 s, over the limit of 0\.5"):
            load()
    with pytest.raises(ValueError, match="lasts"):
        Session(tiny_model(), folder / "out", limits=SHORT).attach(second)
    assert Session(tiny_model(), folder / "out").attach(second).media.kind == "audio"
    assert conversation_of([second])[0].media
    assert Conversations(folder / "d.json")[0][0].media
    assert read_samples(folder / "d.jsonl")[0].conversation()[0].media


def test_an_evaluation_names_its_limits(second: Path) -> None:
    folder = second.parent
    (folder / "d.jsonl").write_text(json.dumps({"prompt": ["what?", {"file": "a.wav"}]}))
    config = {
        "model": "nano", "data": str(folder / "d.jsonl"), "output_dir": str(folder),
        "metrics": {"a": {"_target_": "anymodal.x"}},
        "limits": {"max_seconds": 0.5},
    }  # fmt: skip
    with pytest.raises(ValueError, match="lasts"):
        Evaluation.from_config(config).samples()[0].conversation()
    with pytest.raises(ValueError, match="no limit 'seconds'"):
        Evaluation.from_config({**config, "limits": {"seconds": 1}})


def test_commands_take_limits(second: Path, capsys: Any) -> None:
    out = str(second.with_name("e.npy"))
    for words, message in (
        (["chat", "what?", "--attach", str(second), "--limit", "max_seconds=0.5"], "lasts 1.0 s"),
        (["chat", "what?", "--limit", "max_second=5"], "no limit 'max_second'"),
        (["chat", "what?", "--limit", "max_seconds"], "NAME=NUMBER"),
        (["embed", str(second), "--out", out, "--limit", "max_seconds=-1"], "positive number"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
