"""Files of entries: lists and lines, whole or broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymodal.data.captioned import Captioned
from anymodal.data.conversations import Conversations
from anymodal.media import Media
from anymodal.training.batches import Batches
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, Target
from tests.support.entries import read, share, talk
from tests.support.tiny import picture, tiny_model

# ---- Files -------------------------------------------------------------------------------------


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


LINE = json.dumps({"conversations": share("hi", "yo")})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", f"{LINE}\n\n{LINE}"),
        ("a.ndjson", f"{LINE}\r\n{LINE}\r\n"),
        ("a.json", f"{LINE}\n{LINE}\n"),
        ("a.jsonl", b"\xef\xbb\xbf" + f"{LINE}\n{LINE}".encode()),
        ("a.json", b"\xef\xbb\xbf" + f"[{LINE},{LINE}]".encode()),
        ("a.json", f"[{LINE},\n{LINE}]".encode("utf-16")),
        ("a.jsonl", f"{LINE}\n{LINE}".encode("utf-16")),
        ("a.json", json.dumps(json.loads(f"[{LINE},{LINE}]"), indent=2)),
    ],
)
def test_lists_and_lines_are_read(tmp_path: Path, name: str, content: str | bytes) -> None:
    data = Conversations(write(tmp_path / name, content))
    assert len(data) == 2
    assert data[1] == data[-1] == [Message("user", "hi"), Message("assistant", "yo")]
    with pytest.raises(IndexError):
        data[2]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", "[]", "holds no entries"),
        ("a.json", b"\xef\xbb\xbf[]", "holds no entries"),
        ("a.json", " \n", "holds no entries"),
        ("a.jsonl", "\n\n", "holds no entries"),
        ("a.json", '{"data": []}', "must hold a list .* it holds an object with data"),
        ("a.json", "3", "it holds 3"),
        ("a.json", "[3]", "entry 0 is 3, not an object"),
        ("a.json", f"[{LINE}, [1]]", r"entry 1 is \[1\], not an object"),
        ("a.jsonl", f"{LINE}\n\n[]", r"a\.jsonl, line 3 holds \[\], not an object"),
        ("a.jsonl", f"{LINE}\n{LINE[:-1]}", r"a\.jsonl, line 2 is no JSON"),
        ("a.json", f"[{LINE}", "a.json is no JSON"),
        ("a.json", "[" * 200_000, "nested too deeply"),
        ("a.jsonl", '{"a":' * 200_000, "line 1 is nested too deeply"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        data = Conversations(write(tmp_path / name, content))
        [data[index] for index in range(len(data))]  # rows are parsed when they are read
    with pytest.raises(FileNotFoundError):
        Conversations(tmp_path / "none.json")


def test_an_entry_s_error_names_its_line(tmp_path: Path) -> None:
    data = Conversations(write(tmp_path / "a.jsonl", f'{LINE}\n\n{{"conversations": []}}\n'))
    with pytest.raises(ValueError, match=r"^a\.jsonl, line 3: the conversation is empty"):
        data[1]


def test_a_missing_file_is_named_with_its_line(tmp_path: Path) -> None:
    rows = f'{LINE}\n{{"image": "gone.png", "caption": "a"}}\n'
    data = Conversations(write(tmp_path / "a.jsonl", rows))
    with pytest.raises(FileNotFoundError, match=r"a\.jsonl, line 2: no such file.*gone\.png"):
        data[1]


def test_a_caption_that_is_no_number_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "0.png").touch()
    rows = '{"image": "0.png", "caption": NaN}\n{"instruction": NaN, "output": "x"}\n'
    data = Conversations(write(tmp_path / "a.jsonl", rows))
    for index in range(2):
        with pytest.raises(ValueError, match=f"line {index + 1}: .* is nan; give a text"):
            data[index]


def test_bytes_and_surrogates_that_no_tokenizer_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = {"conversations": share("caf\udce9 \ud83d\ude00 \0 \x1b[2J", "yo\ud800")}
    path = write(
        tmp_path / "a.jsonl",
        json.dumps(entry).encode() + b"\n" + LINE.replace("hi", "\xe9").encode("latin-1"),
    )
    data = Conversations(path)
    assert data[0][0].content == ["caf\ufffd \U0001f600 \0 \x1b[2J"]
    assert data[0][1].content == ["yo\ufffd"] and data[1][0].content == ["\ufffd"]
    assert "byte 0xe9 in line 2 is not UTF-8" in caplog.text
    model = tiny_model()
    dialogue = Dialogue(model)
    batch = dialogue.collate([data[0], data[1]])
    assert dialogue.named_losses(batch)["text"].isfinite()
    made = {"caption": "a\udce9", "image": "0.png"}
    data = Conversations(write(tmp_path / "b.json", json.dumps([made])), make=True)
    assert data[0][1].content == [Target("image", "a\ufffd")]
    assert dialogue.named_losses(dialogue.collate([data[0]]))["align"].isfinite()
    captioned = Captioned("image", picture(), "a\udce9", ("b\udce9",))
    assert captioned.caption == "a\ufffd" and captioned.details == ("b\ufffd",)


def test_a_run_goes_on_over_entries_that_are_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {"conversations": share("<image>\nwhat?", "red")}
    path = write(tmp_path / "a.jsonl", f"{LINE}\n{json.dumps(bad)}\n")
    batches = Batches(Conversations(path), list, 2, 0)
    assert next(iter(batches)) == [Conversations(path)[0]] * 2
    told = caplog.text
    assert "sample 1: a.jsonl, line 2: 1 <image> in what is asked and 0 files of image" in told
    assert "sample 0 stands in for it" in told


def test_a_kind_of_ones_own_has_its_keys_and_marks(tmp_path: Path) -> None:
    for kind in Media.kinds:
        entry = {f"{kind}s": ["none"], "messages": talk(f"<{kind}>what?", "red")}
        with pytest.raises(FileNotFoundError):
            read(tmp_path, entry)
        del entry[f"{kind}s"]
        with pytest.raises(ValueError, match=f"1 <{kind}> in what is asked and 0 files of {kind}"):
            read(tmp_path, entry)
