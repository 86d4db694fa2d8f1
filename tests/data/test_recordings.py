"""Windows of long recordings: where they lie, which label they have, and what is decoded."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal.config import validate_node
from anymodal.data import decoded
from anymodal.data.recordings import Recordings
from anymodal.data.windows import (
    Interval,
    in_order,
    interval_of,
    intervals_of,
    windows_by_majority,
    windows_throughout,
)
from anymodal.media import IMU, Media, Video
from anymodal.training.batches import Batches
from anymodal.training.loader import Loader
from tests.support.tiny import sound

WALK = [Interval(0.0, 2.0, "walk"), Interval(2.0, 2.5, "sit"), Interval(4.0, 5.0, "walk")]


def starts(windows: Any) -> list[tuple[float, str]]:
    return [(round(start, 3), label) for start, label in windows]


def test_windows_within_intervals() -> None:
    found = starts(windows_throughout(WALK, 1.0, 0.5))
    assert found == [(0, "walk"), (0.5, "walk"), (1.0, "walk"), (4.0, "walk")]
    assert starts(windows_throughout(WALK, 0.1, 10)) == [(0, "walk"), (2, "sit"), (4, "walk")]
    assert not starts(windows_throughout(WALK, 3.0, 1.0))


def test_windows_of_what_holds_longest() -> None:
    assert starts(windows_by_majority(WALK, 1.0, 1.0)) == [
        *((0, "walk"), (1, "walk"), (2, "sit"), (4, "walk")),
    ]  # from 3 s on nobody tells
    assert starts(windows_by_majority(WALK, 5.0, 1.0)) == [(0, "walk")]
    assert not starts(windows_by_majority([], 1.0, 1.0))


@given(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=40), st.integers(1, 5))
def test_runs_of_labels_are_intervals(labels: list[str], rate: int) -> None:
    again = [""] * len(labels)
    for start, end, label in in_order(intervals_of(labels, rate)):
        for place in range(round(start * rate), round(end * rate)):
            assert not again[place]
            again[place] = label
    assert again == labels


@given(
    st.lists(st.tuples(st.floats(0.1, 3), st.sampled_from("abc")), min_size=1, max_size=8),
    st.floats(0.2, 3),
    st.floats(0.1, 3),
)
def test_a_window_of_the_majority_has_it(
    spans: list[tuple[float, str]], seconds: float, hop: float
) -> None:
    at, intervals = 0.0, []
    for length, label in spans:
        intervals.append(Interval(at, at + length, label))
        at += length
    for start, label in windows_by_majority(intervals, seconds, hop):
        assert start >= -1e-6 and start + seconds <= at + 1e-5
        held = sum(
            max(0.0, min(i.end, start + seconds) - max(i.start, start))
            for i in intervals
            if i.label == label
        )
        assert held >= seconds / 2 - 1e-5
    for start, label in windows_throughout(intervals, seconds, hop):
        assert any(
            i.start - 1e-6 <= start and start + seconds <= i.end + 1e-5 and i.label == label
            for i in intervals
        )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"start": 2, "end": 1, "label": "a"}, "from 2 to 1"),
        ({"start": -1, "end": 1, "label": "a"}, "from -1 to 1"),
        ({"start": 0, "label": "a"}, "either end or seconds"),
        ({"start": 0, "end": 1, "seconds": 1}, "either end or seconds"),
        ({"start": "x", "end": 1}, "start of an interval is 'x'"),
        ({"start": 0, "end": float("nan")}, "end of an interval is nan"),
        ({"start": 0, "end": True}, "end of an interval is True"),
    ],
)
def test_other_intervals_are_refused(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        interval_of(row)


# ---- Files -------------------------------------------------------------------------------------

RATE = 20


def movement(seconds: float = 6.0) -> IMU:
    values = np.arange(6 * round(RATE * seconds), dtype=np.float32).reshape(6, -1) / 100
    return IMU(values, RATE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    movement().save(tmp_path / "m.npy")
    return tmp_path


def rows(folder: Path, *entries: dict[str, Any], name: str = "rows.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder / name


SPANS = [{"start": 0, "end": 3, "label": "walk"}, {"start": 3, "seconds": 2, "label": "sit"}]


def test_windows_are_parts_of_the_recording(folder: Path) -> None:
    path = rows(folder, {"imu": "m.npy", "intervals": SPANS})
    source = Recordings(path, seconds=1.0, hop=0.5)
    assert len(source) == 5 + 3
    assert [source.label(index) for index in (0, 4, 5, -1)] == ["walk", "walk", "sit", "sit"]
    for index, start in ((1, 0.5), (6, 3.5)):
        user, reply = source[index]
        assert user.media == [movement().cut(start, 1.0)]
        assert user.text == "What is this? Answer with one of: sit, walk."
        assert reply.text == source.label(index)
    assert len({source.stamp(index) for index in range(8)}) == 8
    with pytest.raises(IndexError):
        source[8]


def test_a_row_an_interval_and_times_in_samples(folder: Path) -> None:
    (folder / "rows.csv").write_text(
        "imu,start,end,label,person\nm.npy,0,60,1,7\nm.npy,60,100,2.0,7\nm.npy,100,120,0.0,7\n"
    )
    source = Recordings(
        folder / "rows.csv",
        **{"seconds": 1, "interval_rate": RATE, "ignore": ["person"], "skip": ["0"]},
        labels={"1": "walk", "2": "sit"},
        ask="One of {labels}?",
    )
    assert [source.label(index) for index in range(len(source))] == ["walk"] * 3 + ["sit"] * 2
    assert len(source.recordings) == 1 and source[0][0].text == "One of walk, sit?"


def test_labels_in_a_column_of_the_recording(tmp_path: Path) -> None:
    lines = ["t_s,ax,ay,az,gx,gy,gz,activity"]
    names = ["walk"] * 30 + [""] * 10 + ["sit"] * 20
    lines += [f"{n / RATE},{n},0,0,0,0,0,{name}" for n, name in enumerate(names)]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    path = rows(tmp_path, {"imu": "m.csv"})
    for _ in range(2):  # found, then kept
        source = Recordings(path, seconds=1.0, hop=0.5, label_column="activity")
        assert [source.label(n) for n in range(len(source))] == ["walk", "walk", "sit"]
        assert source[2][0].media[0].samples[0, 0] == pytest.approx(40)
    with pytest.raises(ValueError, match="has no column 'activty'; did you mean 'activity'"):
        Recordings(path, seconds=1.0, label_column="activty")
    noted = ["# rate: 20 Hz", *(line.replace(",", "; ") for line in lines)]
    (tmp_path / "m.csv").write_text("\n".join(noted))
    assert len(Recordings(path, seconds=1.0, hop=0.5, label_column="activity")) == 3
    (tmp_path / "x.csv").write_text("no table")
    both = rows(tmp_path, {"imu": "m.csv"}, {"imu": "x.csv"}, name="both.jsonl")
    source = Recordings(both, seconds=1.0, hop=0.5, label_column="activity")
    assert len(source) == 3 and "x.csv" in source.broken[0].reason
    assert source.broken[0].name == "both.jsonl, line 2"
    del lines[5:9]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match="56 labels for 60 samples on an even grid"):
        Recordings(path, seconds=1.0, label_column="activity")


def test_a_file_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rows(folder, {"imu": "m.npy", "intervals": SPANS})
    Recordings(path, seconds=1.0)[0]
    monkeypatch.setattr(Media, "load", None)
    assert Recordings(path, seconds=1.0)[4][0].media == [movement().cut(4.0, 1.0)]


def test_a_copy_that_is_too_large_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "MAX_GROWTH", 0.5)
    path = rows(folder, {"imu": "m.npy", "intervals": SPANS})
    source = Recordings(path, seconds=1.0)
    assert source[4] == source[4] and source[4][0].media == [movement().cut(4.0, 1.0)]
    (copy,) = (folder / ".anymodal").glob("*.safetensors")
    assert copy.stat().st_size == 0


def test_what_files_leave_open_and_limits(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.ones((6, 120), np.float32))
    path = rows(tmp_path, {"imu": "m.npy", "intervals": SPANS})
    with pytest.raises(ValueError, match="m.npy, from 0 s: .*sample_rate"):
        Recordings(path, seconds=1.0)[0]
    source = Recordings(path, seconds=1.0, hints={"sample_rate": RATE, "units": "g, deg/s"})
    assert source[0][0].media[0].samples[0, 0] == pytest.approx(9.80665)
    with pytest.raises(ValueError, match="max_seconds"):
        Recordings(path, seconds=1.0, hints={"sample_rate": RATE}, limits={"max_seconds": 2})[0]


def test_sounds_and_clips_are_cut_too(tmp_path: Path) -> None:
    wave = sound(seconds=2.0)
    wave.save(tmp_path / "a.wav")
    frames = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((8, 16, 16, 3), np.uint8)
    Video(frames, 4).save(tmp_path / "v.gif")
    spans = [{"start": 0.5, "end": 2, "label": "x"}]
    for kind, name in (("audio", "a.wav"), ("video", "v.gif")):
        path = rows(tmp_path, {kind: name, "intervals": spans}, name=f"{kind}.jsonl")
        (medium,) = Recordings(path, seconds=0.5, hop=0.25)[1][0].media
        assert medium == Media.load(tmp_path / name).cut(0.75, 0.5)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"imu": "m.npy"}, "a recording has intervals, or start, end and label of one"),
        ({"imu": "m.npy", "intervals": SPANS, "start": 1}, "a recording has intervals, or"),
        ({"imu": "m.npy", "intervals": [3]}, "not a list of objects"),
        ({"imu": "m.npy", "intervals": [{**SPANS[0], "x": 1}]}, "an interval with the key 'x'"),
        ({"imu": "m.npy", "intervals": SPANS, "person": 3}, "a recording with the key 'person'"),
        ({"imu": "../m.npy", "intervals": SPANS}, "lies outside"),
        ({"imu": "m.npy", "intervals": [*SPANS, SPANS[0]]}, "overlap; give one label"),
        ({"imu": "m.npy", "intervals": [{**SPANS[0], "end": 0.5}]}, "give shorter windows"),
        ({"imu": "m.npy", "intervals": [{**SPANS[0], "label": 3}]}, "the label 3 is none of"),
    ],
)
def test_other_rows_are_refused(folder: Path, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Recordings(rows(folder, entry), seconds=1.0)


def test_numbers_name_classes_as_yaml_has_them(folder: Path) -> None:
    spans = [{**span, "label": number} for number, span in enumerate(SPANS)]
    path = rows(folder, {"imu": "m.npy", "intervals": spans})
    source = Recordings(path, seconds=1.0, labels={0: "walk"}, skip=[1])  # type: ignore[dict-item, list-item]
    assert {source.label(index) for index in range(len(source))} == {"walk"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seconds": 0}, "seconds=0 must be more than 0"),
        ({"seconds": 1, "hop": -1}, "hop=-1"),
        ({"seconds": 1, "label": "most"}, "label='most' is none"),
    ],
)
def test_other_settings_are_refused(folder: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Recordings(rows(folder, {"imu": "m.npy", "intervals": SPANS}), **settings)


def test_a_configuration_names_them() -> None:
    node = {"_target_": "anymodal.data.recordings.Recordings", "path": "a.csv", "seconds": 2.56}
    validate_node(node, place="data", trusted_packages=["anymodal"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_depends_on_the_seed_and_its_number(folder: Path, workers: int) -> None:
    path = rows(folder, {"imu": "m.npy", "intervals": SPANS})

    def batches(start: int) -> list[Any]:
        source = Recordings(path, seconds=1.0, hop=0.25)
        drawn = Batches(source, list, 3, seed=5, start=lambda: start)
        return list(islice(iter(Loader(drawn, workers)), 6 - start))

    assert batches(4) == batches(0)[4:]
