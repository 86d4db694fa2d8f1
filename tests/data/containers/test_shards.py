"""Tar shards: what a stem holds, hostile members, damage, and shards at URLs."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.data.containers import open_rows
from anymodal.data.conversations import Conversations
from tests.support.data_sets import (
    CAPTIONS,
    COUNT,
    PICTURES,
    members,
    tar,
    write_arrow,
    write_parquet,
    write_shards,
)
from tests.support.tiny import sound


def test_columns_of_a_sample(tmp_path: Path) -> None:
    picture, wave = PICTURES[0].encode(".png"), sound(seconds=0.1).encode(".wav")
    path = tar(
        tmp_path / "a.tar",
        [
            ("./x/1.0.png", picture),
            ("./x/1.1.PNG", picture),
            ("./x/1.wav", wave),
            ("./x/1.cls", b"3\n"),
            ("./x/1.json", json.dumps({"width": 8, "tags": ["a"]}).encode()),
            ("./x/1.seg.bin", b"\0"),
            ("README", b"no suffix, no sample"),
            ("./x/._1.png", b"what a Mac leaves"),
            ("./x/2.txt", "\ufeff ä \n".encode()),
        ],
    )
    rows = open_rows(path)
    assert [rows[index] for index in range(len(rows))] == [
        {
            **{"id": "x/1", "width": 8, "tags": ["a"], "label": "3", "seg.bin": b"\0"},
            "images": [
                {"bytes": picture, "path": "x/1.0.png"},
                {"bytes": picture, "path": "x/1.1.png"},
            ],
            "audio": {"bytes": wave, "path": "x/1.wav"},
        },
        {"id": "x/2", "caption": "ä"},
    ]


def test_a_caption_that_stands_twice_is_one(tmp_path: Path) -> None:
    """img2dataset writes it into both files, with the spaces around it into one."""
    told = {"caption": " a cat ", "url": "x", "status": "success", "md5": "0", "exif": "{}"}
    picture = PICTURES[0].encode(".png")
    members = [("0.png", picture), ("0.txt", b" a cat \n"), ("0.json", json.dumps(told).encode())]
    assert Conversations(tar(tmp_path / "a.tar", members))[0][1].text == "a cat"
    members[1] = ("0.txt", b"a dog")
    with pytest.raises(ValueError, match="has two values of 'caption'"):
        open_rows(tar(tmp_path / "b.tar", members))[0]


def test_long_and_foreign_names(tmp_path: Path) -> None:
    name = "d" * 150 + "/ä" + "n" * 120
    for number, form in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=form) as archive:
            for suffix in ("txt", "cls"):
                info = tarfile.TarInfo(f"{name}.{suffix}")
                info.size = 1
                archive.addfile(info, io.BytesIO(b"7"))
        assert open_rows(path)[0] == {"id": name, "caption": "7", "label": "7"}


@pytest.mark.parametrize("name", ["../a.txt", "a/../../b.txt", "/etc/passwd.txt", "a/.."])
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tar(tmp_path / "a.tar", [("ok.txt", b"a"), (name, b"b")])
    with pytest.raises(ValueError, match=r"leads out of the archive"):
        open_rows(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, b"6"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ValueError, match=r"a\.txt is a link, a device or sparse"):
        open_rows(tmp_path / "a.tar")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10240), st.integers(0, 255))
def test_a_damaged_shard_gives_what_was_written_or_stands_aside(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    folder = tmp_path_factory.mktemp("shard")
    whole = tar(folder / "a.tar", [(f"{n}.txt", b"same") for n in range(6)]).read_bytes()
    data = bytearray(whole)
    data[place % len(data)] = value
    (folder / "b.tar").write_bytes(data)
    try:
        rows = open_rows(folder / "b.tar")
        read = [rows[index] for index in range(len(rows))]
    except ValueError:
        return
    assert len(read) <= 6
    assert len(read) == 6 or rows.broken


@pytest.mark.parametrize("cut", [1000, 2048, 3000, 4096])
def test_the_samples_before_a_cut_are_used_and_the_cut_is_told(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tar(tmp_path / "a.tar", [(f"{n}.txt", b"same") for n in range(6)]).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:cut])
    for _ in range(2):  # when the index is built, and when it is read
        caplog.clear()
        try:
            rows = open_rows(tmp_path / "b.tar")
        except ValueError as error:
            assert cut == 1000 and "holds no entries" in str(error)
            continue
        assert len(rows) == (cut - 1) // 1024 and rows[0]["caption"] == "same"
        assert rows.broken[0].name.endswith("b.tar")
        assert "is damaged or cut short" in caplog.text


def test_a_shard_that_is_none_stands_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = write_shards(tmp_path).replace("001}", "003}")
    (tmp_path / "s-002.tar").write_bytes(b"<html>not found</html>")
    (tmp_path / "s-003.tar").write_bytes(b"")
    rows = open_rows(pattern)
    assert len(rows) == COUNT and len(rows.broken) == 2
    assert "s-002.tar stands aside: " in caplog.text and "2 of 4 files stand aside" in caplog.text
    with pytest.raises(FileNotFoundError):  # which is another error than a bad content
        open_rows(pattern.replace("003}", "004}"))
    with pytest.raises(ValueError, match="no tar archive"):
        open_rows(tmp_path / "s-002.tar")


class Ranges(SimpleHTTPRequestHandler):
    """A server of files that knows ranges, as stores do."""

    def send_head(self) -> io.BytesIO:
        data = Path(self.translate_path(self.path)).read_bytes()
        start, stop = 0, len(data)
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, stop = int(first), min(stop, int(last or stop - 1) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        return io.BytesIO(data[start:stop])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    write_shards(tmp_path)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(tmp_path)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def test_shards_at_urls_are_read_where_the_user_allows_it(server: str, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    path = server + "/s-{000..001}.tar"
    with pytest.raises(ValueError, match=r"remote URL, and these are off; give remote: true"):
        open_rows(path)
    index = tmp_path / "index"
    for _ in range(2):
        source = Conversations(path, remote=True, index_dir=index, ask="")
        assert len(source) == COUNT
        assert source[5][0].media == [PICTURES[5]] and source[5][1].text == CAPTIONS[5]
    assert len([*index.glob("*.index")]) == 2
    with pytest.raises(FileNotFoundError):
        open_rows(f"{server}/none.tar", remote=True, index_dir=index)


@pytest.mark.parametrize("url", ["pipe://cat a.tar", "PIPE:://x", "simplecache::s3://a/b.tar"])
def test_urls_that_start_programs_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="start programs or chain others"):
        open_rows(url, remote=True)


def test_any_file_system_of_fsspec(tmp_path: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    path = tar(tmp_path / "a.tar", members())
    memory.pipe("/bucket/a.tar", path.read_bytes())
    memory.pipe("/bucket/d.parquet", write_parquet(tmp_path).read_bytes())
    memory.pipe("/bucket/d.arrow", write_arrow(tmp_path).read_bytes())
    for name in ("a.tar", "d.parquet", "d.arrow"):
        rows = open_rows(f"memory://bucket/{name}", remote=True, index_dir=tmp_path)
        assert len(rows) == COUNT and rows[4]["caption"] == CAPTIONS[4]
