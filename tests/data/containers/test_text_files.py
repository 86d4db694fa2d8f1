"""JSON, JSON Lines and CSV as people's programs write them: wild, cut short, compressed."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymodal import cli
from anymodal.data.containers import copies, json_array, json_lines, open_rows
from anymodal.data.conversations import Conversations

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.text(max_size=12)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), min_size=1, max_size=6)


def read(path: Path, data: bytes) -> list[dict[str, Any]]:
    path.write_bytes(data)
    rows = open_rows(path, index_dir=path.parent / "index")
    return [rows[index] for index in range(len(rows))]


@QUICK
@given(ROWS, st.data())
def test_lines_are_rows_whatever_stands_between(
    tmp_path: Path, rows: list[dict[str, Any]], draw: st.DataObject
) -> None:
    between = st.sampled_from(["\n", "\r\n", "\n\n", " \t\r\n \n", "\n\r\n"])
    text = "".join(
        json.dumps(row, ensure_ascii=draw.draw(st.booleans())) + draw.draw(between) for row in rows
    )
    if draw.draw(st.booleans()):
        text = text.rstrip()
    data = text.encode("utf-8", "surrogatepass")
    mark = draw.draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n\n"]))
    piece = draw.draw(st.integers(3, 40))  # as long as a mark of the order of bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_PIECE", piece)  # lines then lie in several pieces
        try:
            data.decode()
        except UnicodeDecodeError:
            return
        assert read(tmp_path / "a.jsonl", mark + data) == rows


@QUICK
@given(ROWS, st.integers(4, 40), st.sampled_from([None, 0, 2]))
def test_a_list_is_its_values(
    tmp_path: Path, rows: list[dict[str, Any]], piece: int, indent: int | None
) -> None:
    data = json.dumps(rows, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_PIECE", piece)
        assert read(tmp_path / "a.json", b"\xef\xbb\xbf " + data + b"\n") == rows


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_last_line_that_is_cut_is_named(tmp_path: Path, cut: int) -> None:
    text = json.dumps({"caption": "a red ball", "image": "1.png"}) + "\n"
    path = tmp_path / "a.jsonl"
    path.write_text(text + "\n" + text[: -1 - cut])
    rows = open_rows(path)
    assert len(rows) == 2 and rows[0]["image"] == "1.png"
    with pytest.raises(ValueError, match=r"^a\.jsonl, line 3 is no JSON"):
        rows[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"a": 1}', "is no JSON: it ends here, in line 1"),
        ('[{"a": 1}\n {"a": 2}]', "expected , or ] and found '{', in line 2"),
        ('[{"a": 1},\n\n]', "is no JSON: Expecting value, in line 3"),
        ('[{"a": 1}]\n3', "there is more behind the list, in line 2"),
        ('[{"a": nothing}]', "is no JSON"),
    ],
)
def test_a_broken_list_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=says.replace("[", r"\[")):
        open_rows(tmp_path / "a.json")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).filter(
    lambda text: text[:1] not in ("[", "{")
)


@QUICK
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_csv_is_read_as_it_was_written(
    tmp_path: Path, cells: list[tuple[str, str]], separator: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("one", "two"), *cells])
    expected = [{"one": one, "two": two} for one, two in cells]
    assert read(tmp_path / "a.csv", out.getvalue().encode()) == expected


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf;file;text\r\n0;a.png;"a ""red""\r\nball"\r\n\r\n1;b.png;5" disk\r\n'
    assert read(tmp_path / "a.csv", text) == [
        {"index": "0", "file": "a.png", "text": 'a "red"\r\nball'},
        {"index": "1", "file": "b.png", "text": '5" disk'},
    ]
    nested = b'messages,note\n"[{""role"": ""user""}]",[music]\n'
    assert read(tmp_path / "b.csv", nested) == [{"messages": [{"role": "user"}], "note": "[music]"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "image|caption\na.png|one, two\n"),
        ("a.csv", "sep=;\r\nimage;caption\r\na.png;one, two\r\n"),  # for Excel
        ("a.csv", 'image, caption\na.png, "one, two"\n'),
        ("a.csv", "image\tcaption\na.png\tone, two\n"),
        ("a.jsonl", '[\n{"image": "a.png", "caption": "one, two"}\n]\n'),
    ],
)
def test_dialects(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path / name, text.encode()) == [{"image": "a.png", "caption": "one, two"}]


def test_quotes_of_a_tsv_may_be_signs_as_others_are(tmp_path: Path) -> None:
    """As in Common Voice's tables, which know no quotes; those of pandas do."""
    text = 'path\tsentence\na\t"Hello" she said\nb\t"Hi\nc\tyou"\n\nd\t"say ""hi"""\n'
    assert [row["sentence"] for row in read(tmp_path / "a.tsv", text.encode())] == [
        *('"Hello" she said', '"Hi', 'you"', 'say "hi"'),
    ]
    text = 'path\tsentence\na\t"one\ntwo"\n'
    assert read(tmp_path / "b.tsv", text.encode()) == [{"path": "a", "sentence": "one\ntwo"}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1\n", r"a\.csv, line 2 has 1 values for 2 columns"),
        ("a,b\n1,2\n1,2,3\n", r"a\.csv, line 3 has 3 values for 2 columns"),
        ('a,b\n1,2\n3,"4\n', r"no CSV from line 3 on: unexpected end of data"),
        ('a,b\n1,"2"x\n', "no CSV from line 2 on"),
        ("a,a\n1,2\n", "two columns 'a'"),
        ("\n", "has no header"),
        ("", "has no header"),
        ("a,b\n", "holds no entries"),
    ],
)
def test_other_csv_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(tmp_path / "a.csv", text.encode())


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pyarrow.compress(data, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_files_are_those_within(tmp_path: Path, suffix: str) -> None:
    pack = PACKERS[suffix]
    assert read(tmp_path / f"a.csv.{suffix}", pack(b"a,b\n1,2\n")) == [{"a": "1", "b": "2"}]
    assert len(read(tmp_path / f"two.jsonl.{suffix}", pack(b'{"a": 1}\n') * 2)) == 2
    whole = pack(b'{"a": 1}\n' * 100)
    assert len(read(tmp_path / f"a.jsonl.{suffix}", whole)) == 100
    with pytest.raises(ValueError, match="damaged or cut short"):
        read(tmp_path / f"b.jsonl.{suffix}", whole[:-9])
    with pytest.raises(ValueError, match="damaged or cut short"):
        read(tmp_path / f"c.jsonl.{suffix}", b"nothing of that kind")


def test_a_zst_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"a\.jsonl\.zst is .* pip install 'anymodal\[parquet\]'"):
        read(tmp_path / "a.jsonl.zst", b"anything")


def test_a_zip_archive_of_one_file(tmp_path: Path) -> None:
    def packed(*names: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, b'{"text_list": []}\n' * 2)
        return out.getvalue()

    whole = packed("docs_no_face_shard_0_v2.jsonl")
    assert read(tmp_path / "a.jsonl.zip", whole) == [{"text_list": []}] * 2
    with pytest.raises(ValueError, match=r"b\.jsonl\.zip has 2 files, not one"):
        read(tmp_path / "b.jsonl.zip", packed("a", "b"))
    for number, broken in enumerate((whole[:-9], b"PK", whole[:20] + b"x" * 9 + whole[29:])):
        with pytest.raises(ValueError, match="damaged or cut short"):
            read(tmp_path / f"{number}.jsonl.zip", broken)


def test_a_bomb_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_FREE_BYTES", 1 << 16)
    monkeypatch.setattr(copies, "_PIECE", 1 << 14)
    with pytest.raises(ValueError, match="unpacks to more than .* unpack it yourself"):
        read(tmp_path / "a.jsonl.gz", gzip.compress(b" " * (1 << 24)))
    assert not [p for p in (tmp_path / "index").iterdir() if p.suffix != ".lock"]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of no known container; give one of .json"):
        read(tmp_path / "a.bin", b"\x89PNG")
    assert read(tmp_path / "a.list", b'[{"a": 1}]') == [{"a": 1}]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (
            "[{'role': 'user', 'content': 'it\\'s'}]",
            [{"role": "user", "content": "it's"}],
        ),  # pandas
        ("{'bytes': None, 'path': 'a.png'}", {"bytes": None, "path": "a.png"}),  # `datasets`
        ("{'bytes': b'\\x89P', 'path': None}", {"bytes": b"\x89P", "path": None}),
        ("['a.png' 'b.png']", "['a.png' 'b.png']"),  # NumPy's, which Python reads as one text
        ("[array([1])]", "[array([1])]"),
        ("[laughs] so", "[laughs] so"),
        ("[laughs]", "[laughs]"),
        ("['a'] + ['b']", "['a'] + ['b']"),
        ("{'a', 'b'}", "{'a', 'b'}"),
        ("[\\d]", "[\\d]"),
        ("[...]", "[...]"),
        ("[{1, 2}]", "[{1, 2}]"),
        ("[1+2j]", "[1+2j]"),
        ("[('a', 1.5)]", [("a", 1.5)]),
    ],
)
def test_lists_as_python_writes_them(tmp_path: Path, cell: str, value: object) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("one", "two"), (cell, "x")])
    assert read(tmp_path / "a.csv", out.getvalue().encode()) == [{"one": value, "two": "x"}]


def test_columns_of_csv_stay_texts_where_that_is_wanted(tmp_path: Path) -> None:
    """A reply may be code or JSON."""
    path = tmp_path / "a.csv"
    path.write_text('instruction,output\nList primes,"[2, 3]"\nSay {},"{""a"": 1}"\n')
    with pytest.raises(ValueError, match="line 2: output is .*list a column of CSV in texts"):
        Conversations(path)[0]
    data = Conversations(path, texts=["output", "instruction"])
    assert [talk[1].text for talk in (data[0], data[1])] == ["[2, 3]", '{"a": 1}']
    assert len(Conversations([path, path], texts=["output"])[3][1].text) == len('{"a": 1}')
    with pytest.raises(ValueError, match="texts names the column 'out', .*did you mean 'output'"):
        Conversations(path, texts=["out"])
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"instruction": "a", "output": "[2]"}\n')
    with pytest.raises(ValueError, match="JSON Lines tells a text from a list itself"):
        Conversations(lines, texts=["output"])
    assert cli.main(["data", "inspect", str(path), "--text", "output"]) == 0


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
@pytest.mark.parametrize("text", ['{\n "a": 1\n}\n{\n "a": 2\n}', '{"a": [1,\n 2]}\n{"a": 1}'])
def test_objects_over_several_lines_are_refused_as_such(
    tmp_path: Path, name: str, text: str
) -> None:
    with pytest.raises(ValueError, match="object over several lines; write each object on a line"):
        read(tmp_path / name, text.encode())


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, name: str) -> None:
    text = '{"caption": "a", "messages": [{"role": "x", "role": "y"}]}'
    with pytest.raises(ValueError, match=r"(line 1|entry 0) has the key 'role' twice"):
        read(tmp_path / name, (text if name == "a.jsonl" else f"[{text}]").encode())


def test_a_column_of_arrow_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table([["a"], ["b"]], names=["caption", "caption"])
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as out:
        out.write_table(table)
    with pytest.raises(ValueError, match="has two columns 'caption'; rename one"):
        open_rows(tmp_path / "a.arrow")


def test_a_time_of_arrow_that_python_has_none_for_is_named(tmp_path: Path) -> None:
    table = pyarrow.table({"at": pyarrow.array([1000, 1], pyarrow.duration("ns"))})
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as out:
        out.write_table(table)
    rows = open_rows(tmp_path / "a.arrow")
    assert rows[0] == {"at": "0:00:00.000001"}
    with pytest.raises(ValueError, match="row 1: column 'at': Nanosecond"):
        rows[1]


def test_a_cell_of_csv_may_hold_a_picture_in_base64(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f'index\tcell\n1\t"{"A" * 200_000}"\n')
    assert len(open_rows(path)[0]["cell"]) == 200_000
