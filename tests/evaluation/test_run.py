"""Asking samples: what is kept, resumed and asked anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.run import collect_replies
from anymodal.evaluation.store import RecordStore
from anymodal.media import Media, Video
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage, read_samples
from tests.support.samples import write_samples
from tests.support.tiny import REPLIES, picture, tiny_model


class Counting(ModelPredictor):
    """The tiny model's answers, until it is stopped."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(tiny_model(), max_new_tokens=24)
        self.calls, self.stop = 0, stop

    def __call__(self, conversations: Any, seeds: Any, choices: Any = None) -> Any:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        return super().__call__(conversations, seeds, choices)


def open_store(folder: Path) -> RecordStore:
    return RecordStore(folder, {"answerer": "tiny"}, lambda record: record["id"])


@pytest.fixture
def asked(tmp_path: Path) -> list[EvaluationSample]:
    picture().save(tmp_path / "a.png")
    path = write_samples(
        tmp_path,
        {"id": "seen", "prompt": [{"file": "a.png"}, "what is this?"]},
        {"id": "drawn", "prompt": "draw a ball"},
        {"id": "both", "prompt": ["draw and play a ball"]},
        {"id": "hello", "prompt": "hello"},
    )
    return read_samples(path)


def media_of(folder: Path) -> dict[str, Media]:
    return {path.name: Media.load(path) for path in (folder / "media").iterdir()}


def test_a_stopped_run_ends_as_a_straight_one(
    asked: list[EvaluationSample], tmp_path: Path
) -> None:
    how: dict[str, Any] = {"seed": 3, "batch_size": 2}
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert collect_replies(Counting(), asked, open_store(straight), **how) == []
    with pytest.raises(KeyboardInterrupt):
        collect_replies(Counting(stop=1), asked, open_store(stopped), **how)
    kept = (stopped / "samples.jsonl").read_text()
    (stopped / "samples.jsonl").write_text(kept + '{"id": "both", "re')  # killed while writing
    again = Counting()
    collect_replies(again, asked, open_store(stopped), **how)
    assert again.calls == 1
    assert open_store(stopped).records == open_store(straight).records
    assert media_of(stopped) == media_of(straight)
    assert len(media_of(straight)) == 3
    done = Counting()
    collect_replies(done, asked, open_store(stopped), **how)
    assert done.calls == 0
    replies = {key: record["reply"] for key, record in open_store(stopped).records.items()}
    assert replies["seen"] == ["This is a ball."] and replies["hello"] == REPLIES["hello"]
    other = tmp_path / "other"
    collect_replies(Counting(), asked, open_store(other), seed=4, batch_size=2)
    assert media_of(other) != media_of(straight)


def test_what_changed_is_asked_anew(asked: list[EvaluationSample], tmp_path: Path) -> None:
    how: dict[str, Any] = {"seed": 0, "batch_size": 1}
    out = tmp_path / "out"
    collect_replies(Counting(), asked, open_store(out), **how)
    picture(1).save(tmp_path / "a.png")
    next((out / "media").iterdir()).unlink()
    again = Counting()
    collect_replies(again, asked, open_store(out), **how)
    assert again.calls == 2
    assert len(open_store(out).records) == 4
    with pytest.raises(ValueError, match="choose another folder"):
        RecordStore(out, {"answerer": "other"}, lambda record: record["id"])


def test_a_bad_sample_fails_alone(asked: list[EvaluationSample], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    Video(np.zeros((4, 16, 16, 3), np.uint8), 4.0).save(tmp_path / "clip.gif")
    bad = [
        EvaluationSample(
            "broken", (SampleMessage("user", (SampleFile(tmp_path / "bad.png", "bad.png"), "?")),)
        ),
        EvaluationSample(
            "gone", (SampleMessage("user", (SampleFile(tmp_path / "gone.png", "gone.png"), "?")),)
        ),
        EvaluationSample(
            "unread", (SampleMessage("user", (SampleFile(tmp_path / "clip.gif", "clip.gif"), "?")),)
        ),
    ]
    store = open_store(tmp_path / "out")
    failed = collect_replies(Counting(), [*bad, *asked], store, seed=0, batch_size=7)
    assert [each["id"] for each in failed] == ["broken", "gone", "unread"]
    assert "bad.png" in failed[0]["error"] and "reads Video" in failed[2]["error"]
    assert set(store.records) == {"seen", "drawn", "both", "hello"}
    with pytest.raises(ValueError, match="all 3 samples failed; broken"):
        collect_replies(Counting(), bad, store, seed=0, batch_size=2)
