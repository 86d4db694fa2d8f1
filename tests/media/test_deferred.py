"""A file is decoded when its content is first looked at, once, and is known by its stamp."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.media import IMU, Audio, Depth, Image, Limits, Media, PointCloud, Video, stamps
from anymodal.types import Message
from tests.support.random_media import noise, pixels
from tests.support.real_files import Decodings, settle

ITEMS: dict[str, Media] = {
    "a.png": Image(pixels(9, 12, 3)),
    "a.wav": Audio(noise(2, 800), rate=8000),
    "a.gif": Video(pixels(4, 16, 16, 3), fps=10.0),
    "a.csv": IMU(noise(6, 50), rate=50.0),
    "a.npy": Depth(np.abs(noise(5, 6))),
    "a.ply": PointCloud(noise(7, 3)),
}


@pytest.fixture(params=ITEMS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return ITEMS[request.param].save(tmp_path / request.param)


def defer(path: Path, **hints: Any) -> Media:
    return type(ITEMS[path.name]).defer(path, **hints)


def test_what_is_no_content_decodes_nothing(path: Path, tmp_path: Path) -> None:
    medium = defer(path)
    assert isinstance(medium, type(ITEMS[path.name])) and not hasattr(medium, "read")
    (part,) = Message("user", [medium]).media
    assert part is medium and pickle.loads(pickle.dumps(medium)).kind == medium.kind
    assert not medium.decoded and medium.undecoded
    loaded = type(medium).load(path)
    assert medium == loaded and medium.decoded and medium.digest() == loaded.digest()
    assert repr(medium) == repr(loaded)


def test_each_field_decodes_it(path: Path) -> None:
    for field in fields(defer(path)):  # type: ignore[arg-type]
        medium = defer(path)
        value = getattr(medium, field.name)
        assert medium.decoded and getattr(medium, field.name) is value


def test_content_is_read_only_and_let_go_of(path: Path) -> None:
    medium = defer(path)
    digest = medium.digest()
    for value in vars(medium).values():
        assert not isinstance(value, np.ndarray) or not value.flags.writeable
    medium.release()
    assert not medium.decoded and medium.digest() == digest and not medium.undecoded
    assert medium == type(medium).load(path)


def test_changed_content_is_no_file_s(tmp_path: Path) -> None:
    picture = Image.defer(ITEMS["a.png"].save(tmp_path / "a.png"))
    digest = picture.digest()
    picture.pixels = 255 - picture.pixels
    assert picture.file is None and picture.digest() != digest
    picture.release()
    assert picture.digest() == Image(picture.pixels).digest()
    sent = pickle.loads(pickle.dumps(picture))
    assert sent == picture and sent.file is None
    insisted = Image.defer(tmp_path / "a.png")
    insisted.pixels.setflags(write=True)
    insisted.pixels[0] = 255 - insisted.pixels[0]
    assert insisted.file is None and insisted.digest() == Image(insisted.pixels.copy()).digest()


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_keep_file_and_digest(
    path: Path, decoded: bool, copied: Callable[[Media], Media]
) -> None:
    medium = defer(path)
    digest = type(medium).load(path).digest()
    if decoded:
        assert medium.digest() == digest
    twin = copied(medium)
    assert twin.decoded == decoded and twin.undecoded != decoded and twin.file is not None
    path.unlink() if decoded else None
    assert twin.digest() == digest and twin == medium
    medium.release()
    assert twin.decoded


def test_bytes_are_known_by_themselves(path: Path) -> None:
    """As rows of shards and tables hold them."""
    kind, data = type(ITEMS[path.name]), path.read_bytes()
    medium = kind.defer(data)
    assert medium.file is not None and medium.file.settled and medium.undecoded
    assert pickle.loads(pickle.dumps(medium)) == kind.load(data) == medium
    assert kind.defer(data).file.stamp == medium.file.stamp  # type: ignore[union-attr]
    assert kind.defer(data, limits=Limits(max_frames=7)).file.stamp != medium.file.stamp  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="the given data is empty"):
        kind.defer(b"")


def test_threads_decode_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.defer(ITEMS["a.png"].save(tmp_path / "a.png"))
    decodings, ready = Decodings(monkeypatch, tmp_path / "log"), threading.Barrier(8)
    seen: list[Any] = []

    def look() -> None:
        ready.wait()
        seen.append(picture.pixels)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decodings.take_count() == 1 and len({id(each) for each in seen}) == 1


def test_a_file_is_looked_for_at_once_and_refused_when_looked_at(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Image.defer(tmp_path / "gone.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match=r"empty\.png is empty"):
        Image.defer(tmp_path / "empty.png")
    with pytest.raises(ValueError, match="over the limit"):
        Image.defer(ITEMS["a.png"].save(tmp_path / "a.png"), limits=Limits(max_bytes=9))
    (tmp_path / "b.png").write_text("words")
    medium = Image.defer(tmp_path / "b.png")
    assert medium.file is not None
    medium.file.place = "d.json, line 7"
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^d\.json, line 7: b\.png is named as image"):
            medium.digest()
    (tmp_path / "b.png").unlink()
    with pytest.raises(FileNotFoundError):
        medium.decode()


def test_a_stamp_tells_whatever_changes_the_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(monkeypatch)
    path = tmp_path / "moves.npy"
    np.save(path, noise(50, 6))
    beside = path.with_suffix(".json")

    def stamp(**how: Any) -> str:
        file = IMU.defer(path, **how).file
        assert file is not None
        return file.stamp

    stamps_seen = [stamp(), stamp(sample_rate=50), stamp(limits=Limits(max_frames=7))]
    beside.write_text('{"sample_rate": 50}')
    stamps_seen.append(stamp())
    beside.write_text('{"sample_rate": 60}')
    stamps_seen.append(stamp())
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    stamps_seen.append(stamp())
    copied = tmp_path / "copy.npy"
    copied.write_bytes(path.read_bytes())
    copied.replace(path)
    stamps_seen.append(stamp())
    assert len(set(stamps_seen)) == len(stamps_seen) and stamp() == stamp()


def test_a_file_just_written_is_not_trusted(tmp_path: Path) -> None:
    path = ITEMS["a.png"].save(tmp_path / "a.png")
    file = Image.defer(path).file
    assert file is not None and not file.settled
    margin = stamps.MARGIN_NS / 1e9
    assert 2 < margin < 10, "FAT counts in steps of two seconds"
    os.utime(path, (1, 1))
    assert not Image.defer(path).file.settled, "nobody can set the time of its status"  # type: ignore[union-attr]


def test_a_file_that_changes_while_it_is_read_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ITEMS["a.png"].save(tmp_path / "a.png")
    settle(monkeypatch)
    medium = Image.defer(path)
    assert medium.file is not None and medium.file.settled
    medium.file.digest = "of the old content"
    changed = Image(pixels(9, 12, 3))
    changed.save(path)
    medium.decode()
    assert medium.file is not None and not medium.file.settled
    assert medium == changed and medium.digest() == changed.digest()


def test_a_kind_of_one_s_own_is_loaded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Media, "kinds", dict(Media.kinds))

    class Scan(Image):
        kind = "scan"

    path = ITEMS["a.png"].save(tmp_path / "a.png")
    assert Scan.defer(path).file is None
    assert Media.defer(path).file is None, "its content tells the kind"
