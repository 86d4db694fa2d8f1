"""Runs on files: the same losses as on items in memory, and nothing decoded that is cached."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from anymodal.data import workers as worker_processes
from anymodal.data.captioned import Captioned
from anymodal.data.conversations import Conversations
from anymodal.data.mixture import Mixture
from anymodal.data.workers import num_workers
from anymodal.media import Image
from anymodal.training.precompute import fill_feature_cache
from tests.support.cached_runs import losses_of, write
from tests.support.composed import write_model
from tests.support.real_files import Decodings, settle, write_entries
from tests.support.tiny import picture

COUNT = 6
FILES = "anymodal.data.conversations.Conversations"
MEMORY = "tests.support.real_files.InMemory"
READ = {
    "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
    "batch_size": 3,
    "steps": 6,
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_entries(tmp_path, COUNT)
    settle(monkeypatch)
    return path


@pytest.fixture
def decodings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Decodings:
    return Decodings(monkeypatch, tmp_path / "decodings")


def data(target: str, path: Path, **how: Any) -> dict[str, Any]:
    return {"_target_": target, "path": str(path), **how}


@pytest.mark.parametrize(("workers", "precision"), [(0, "bf16-mixed"), (2, "32-true")])
def test_files_train_like_items_in_memory_and_are_decoded_once(
    parts: Path,
    tmp_path: Path,
    entries: Path,
    workers: int,
    precision: str,
    decodings: Decodings,
) -> None:
    how = {**READ, "workers": workers, "precision": precision}
    losses = losses_of(write(parts, tmp_path, "held", data=data(MEMORY, entries), **how))
    decodings.take_count()
    files = {**how, "data": data(FILES, entries)}
    cold = {**files, "feature_cache": {"dir": str(tmp_path / "cache")}}
    assert losses_of(write(parts, tmp_path, "cold", **cold)) == losses
    # What is drawn ahead before the first batch has been encoded is decoded again.
    ahead = 3 * (1 + workers) * max(1, workers)
    assert COUNT <= decodings.take_count() <= COUNT + ahead
    assert losses_of(write(parts, tmp_path, "warm", **cold)) == losses
    assert decodings.take_count() == 0
    filled = {**files, "feature_cache": {"dir": str(tmp_path / "filled")}}
    config = write(parts, tmp_path, "filled", **filled)
    fill_feature_cache(config)
    assert COUNT <= decodings.take_count() <= COUNT + ahead
    assert losses_of(config) == losses
    assert decodings.take_count() == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_cache_in_memory_is_known_to_workers(
    parts: Path, tmp_path: Path, entries: Path, workers: int, decodings: Decodings
) -> None:
    how = {**READ, "workers": workers, "steps": 12}
    losses = losses_of(write(parts, tmp_path, "held", data=data(MEMORY, entries), **how))
    decodings.take_count()
    assert losses_of(write(parts, tmp_path, "run", data=data(FILES, entries), **how)) == losses
    assert COUNT <= decodings.take_count() <= 24 < 3 * 12, "a worker is a few batches ahead"


def test_without_room_files_are_decoded_each_time_by_workers(
    parts: Path, tmp_path: Path, entries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {**READ, "workers": 1, "feature_cache": {"max_gb": 0.0}, "data": data(FILES, entries)}
    config = write(parts, tmp_path, "run", **how)
    losses = losses_of(write(parts, tmp_path, "held", data=data(MEMORY, entries), **READ))

    def refuse(*_: Any) -> None:
        raise AssertionError("the process that trains decodes nothing")

    forked = worker_processes._leave_signals
    decode = Image._decode_file

    def in_worker(worker: int) -> None:
        monkeypatch.setattr("anymodal.media.content.Content._decode_file", decode)
        forked(worker)

    monkeypatch.setattr(worker_processes, "_leave_signals", in_worker)
    monkeypatch.setattr("anymodal.media.content.Content._decode_file", refuse)
    assert losses_of(config) == pytest.approx(losses, rel=1e-5)


def test_targets_latents_are_cached_by_their_files(
    parts: Path, tmp_path: Path, entries: Path, decodings: Decodings
) -> None:
    chosen = [entry for entry in json.loads(entries.read_text()) if "image" in entry]
    (tmp_path / "pictures.json").write_text(json.dumps(chosen))
    how = {
        "stage": {"trainable": ["heads.*", "language.rows"], "losses": {"denoise": 1}},
        **{"batch_size": 2, "steps": 4, "workers": 0},
    }
    asked = {"path": tmp_path / "pictures.json", "make": True, "load_targets": True}
    losses = losses_of(write(parts, tmp_path, "held", data=data(MEMORY, **asked), **how))
    decodings.take_count()
    cached = {**how, "feature_cache": {"dir": str(tmp_path / "cache")}}
    config = write(parts, tmp_path, "cold", data=data(FILES, **asked), **cached)
    assert losses_of(config) == losses
    assert decodings.take_count() >= len(chosen)
    config = write(parts, tmp_path, "warm", data=data(FILES, **asked), **cached)
    assert losses_of(config) == losses
    assert decodings.take_count() == 0


class Pictures:
    """Captioned pictures in files."""

    def __init__(self, folder: str) -> None:
        self.paths = sorted(Path(folder).glob("*.png"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Captioned:
        return Captioned("image", Image.defer(self.paths[index]), f"a ball {index}")


def test_captioned_files_are_decoded_once(
    parts: Path, tmp_path: Path, entries: Path, decodings: Decodings
) -> None:
    decoder = {
        "_target_": "anymodal.decoders.DiffusionDecoder.from_pretrained",
        "folder": str(parts.parent / "image"),
    }
    how = {
        "model": decoder,
        "objective": {"_target_": "anymodal.training.objectives.CaptionedDiffusion"},
        "data": {"_target_": f"{__name__}.Pictures", "folder": str(tmp_path)},
        "stage": {"trainable": ["parts.transformer.*"], "losses": {"denoise": 1}},
        **{"batch_size": 2, "steps": 4, "feature_cache": {"dir": str(tmp_path / "cache")}},
    }
    losses = losses_of(write(parts, tmp_path, "cold", **how))
    assert decodings.take_count() >= 2
    assert losses_of(write(parts, tmp_path, "warm", **how)) == losses
    assert decodings.take_count() == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_media_within_rows_are_decoded_once(
    parts: Path, tmp_path: Path, entries: Path, workers: int, decodings: Decodings
) -> None:
    rows = json.loads(entries.read_text())
    for row in rows:
        kind = next(key for key in row if key != "caption")
        data_url = b64encode((tmp_path / row[kind]).read_bytes()).decode()
        row[kind] = f"data:application/octet-stream;base64,{data_url}"
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    how = {**READ, "workers": workers, "feature_cache": {"dir": str(tmp_path / "cache")}}
    files = {"data": data(FILES, entries), **how}
    losses = losses_of(write(parts, tmp_path, "files", **files))
    assert decodings.take_count() >= COUNT
    within = {"data": data(FILES, tmp_path / "rows.json"), **how}
    assert losses_of(write(parts, tmp_path, "cold", **within)) == losses
    assert decodings.take_count() >= COUNT, "other stamps, equal digests"
    assert losses_of(write(parts, tmp_path, "warm", **within)) == losses
    assert decodings.take_count() == 0


def test_an_encoder_that_trains_reads_files_each_time(
    parts: Path, tmp_path: Path, entries: Path
) -> None:
    how = {**READ, "stage": {"trainable": ["encoders.*"], "losses": {"text": 1}}, "steps": 3}
    losses = losses_of(write(parts, tmp_path, "held", data=data(MEMORY, entries), **how))
    files = {**how, "data": data(FILES, entries)}
    for workers in (0, 1):
        config = write(parts, tmp_path, f"run{workers}", workers=workers, **files)
        assert losses_of(config) == losses


@pytest.mark.parametrize("workers", [0, 1])
def test_files_that_change_after_the_cache_was_filled(
    parts: Path,
    tmp_path: Path,
    entries: Path,
    workers: int,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Another content is read anew; what is gone or broken is set aside, and the run goes on."""
    how = {**READ, "steps": 4, "workers": workers, "data": data(FILES, entries)}
    cached = {**how, "feature_cache": {"dir": str(tmp_path / "cache")}}
    before = losses_of(write(parts, tmp_path, "first", **cached))
    Image(255 - picture(0).pixels).save(tmp_path / "0.png")
    changed = losses_of(write(parts, tmp_path, "changed", **cached))
    in_memory = {**how, "workers": 0, "data": data(MEMORY, entries)}
    assert changed == losses_of(write(parts, tmp_path, "held", **in_memory)) != before
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:60])
    (tmp_path / "3.png").unlink()
    logging.getLogger("anymodal").addHandler(handler := logging.StreamHandler())
    try:
        losses_of(write(parts, tmp_path, "broken", **cached))
    finally:
        logging.getLogger("anymodal").removeHandler(handler)
    said = capfd.readouterr().err
    assert "sample 1: entries.json, entry 1: 1.wav" in said and "stands in for it" in said
    assert "sample 3: entries.json, entry 3: no such file" in said


def test_the_default_number_of_workers_fits_machine_and_data(
    entries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Conversations(entries)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for cores, processes, workers in ((1, 1, 0), (2, 1, 1), (6, 1, 5), (64, 1, 8), (16, 4, 3)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=cores: set(range(n)))
        assert num_workers(None, files, processes) == workers
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert num_workers(None, Mixture([["a"], files])) == 1
    assert num_workers(None, Mixture([["a"], ["b"]])) == num_workers(None, [1, 2]) == 0
    assert num_workers(3, [1, 2]) == 3 and num_workers(0, files) == 0
