"""Data sets are inspected, validated, split and converted, and nothing of them is lost."""

from __future__ import annotations

import datetime
import decimal
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.data.conversations import Conversations
from anymodal.tools.dataset import checking
from anymodal.tools.dataset.checking import check_rows
from anymodal.tools.dataset.conversion import Converter
from anymodal.tools.dataset.inspection import statistics_text, write_page
from anymodal.tools.dataset.splitting import SplitRule, keys_of, split_rows
from anymodal.tools.dataset.statistics import collect_statistics, rows_to_look_at
from tests.support.data_sets import CONTAINERS, COUNT, PICTURES, lines, write_json_lines
from tests.support.entries import talk
from tests.support.tiny import sound


def samples(source: Conversations) -> list[Any]:
    return [source[index] for index in range(len(source))]


def open_data(path: str | Path, **how: Any) -> Conversations:
    return Conversations(path, load_targets=True, ask="?", **how)


# ---- Other containers --------------------------------------------------------------------------

OUTPUTS = [
    *("a.jsonl", "a.json", "a.csv", "a.tsv", "a.jsonl.gz", "a.csv.gz", "a.parquet", "a.arrow"),
    *("s-{00..02}.tar", "folder"),
]


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize("media", ["packed", "referenced"])
@pytest.mark.parametrize("container", ["JSON Lines", "shards", "Parquet", "folder with texts"])
def test_any_container_becomes_any_other(
    tmp_path: Path, container: str, media: str, out: str
) -> None:
    (tmp_path / "data").mkdir()
    source = open_data(CONTAINERS[container](tmp_path / "data"))
    Converter(source, media).write(str(tmp_path / out))
    assert samples(open_data(str(tmp_path / out))) == samples(source)
    files = {path.name for path in tmp_path.iterdir()} - {"data", ".anymodal"}
    held = (
        media == "packed"
        or out.endswith((".tar", "folder"))
        or container in ("JSON Lines", "folder with texts")
    )
    assert ("a-media" in files) == (not held)


@pytest.mark.parametrize("out", ["b.jsonl", "b.parquet", "b-{0..1}.tar", "b"])
def test_conversations_of_several_media_become_any_other(tmp_path: Path, out: str) -> None:
    for number in range(3):
        PICTURES[number].save(tmp_path / f"{number}.png")
    wave = sound(seconds=0.1)
    wave.save(tmp_path / "a.wav")
    entries = [
        {"images": ["0.png", "1.png"], "audio": "a.wav", "messages": talk("<image><image>a?", "b")},
        {"images": ["2.png"], "audio": None, "messages": talk("<image>what?", "c")},
        {"output_image": "1.png", "image_captions": ["red"], "messages": talk("d", "<image>")},
    ]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    source = open_data(tmp_path / "a.jsonl")
    Converter(source, "packed").write(str(tmp_path / out))
    for each in tmp_path.glob("*.*g"):  # pictures are in the rows
        each.rename(each.with_suffix(".gone"))
    (tmp_path / "a.wav").unlink()
    read = open_data(str(tmp_path / out))
    expected = [["image", "image", "audio"], ["image"], []]
    assert [sorted(m.kind for m in sample[0].media) for sample in samples(read)] == [
        sorted(kinds) for kinds in expected
    ]
    assert read[2][1].content[0].media == PICTURES[1]
    assert read[0][0].media[-1] == wave or wave in read[0][0].media


def test_media_in_parts_of_messages_are_packed(tmp_path: Path) -> None:
    PICTURES[0].save(tmp_path / "0.png")
    parts = [
        {"type": "image", "image": "0.png"},
        {"type": "image_url", "image_url": {"url": "0.png"}},
        {"type": "text", "text": "what?"},
    ]
    (tmp_path / "a.json").write_text(json.dumps([{"messages": talk(parts, "red")}]))
    Converter(open_data(tmp_path / "a.json"), "packed").write(str(tmp_path / "b.jsonl"))
    (tmp_path / "0.png").unlink()
    assert open_data(tmp_path / "b.jsonl")[0][0].media == [PICTURES[0]] * 2


def test_names_stay_where_media_do_not_lie_below(tmp_path: Path) -> None:
    for name in ("data", "out"):
        (tmp_path / name).mkdir()
    source = open_data(write_json_lines(tmp_path / "data"))
    Converter(source).write(str(tmp_path / "out" / "a.jsonl"))
    read = open_data(tmp_path / "out" / "a.jsonl", folder=tmp_path / "data")
    assert samples(read) == samples(source)


def test_what_can_not_be_written_is_refused(tmp_path: Path) -> None:
    source = open_data(write_json_lines(tmp_path))
    for out, says in (
        ("d.jsonl", "is there already"),
        ("a.xyz", "names no container"),
        ("a-{0..1}.jsonl", "of these, shards"),
        ("a.jsonl.bz2", "of compressed files, .gz is written"),
    ):
        with pytest.raises(ValueError, match=says):
            Converter(source).write(str(tmp_path / out))
    with pytest.raises(ValueError, match="media='both' is none of packed, referenced"):
        Converter(source, "both")
    mixed = [{"caption": "a", "image": "0.png"}] * 600 + [{"caption": 3.5, "image": "0.png"}]
    (tmp_path / "m.jsonl").write_text(lines(mixed))
    with pytest.raises(ValueError, match="doesn't fit the types of the first 512"):
        Converter(open_data(tmp_path / "m.jsonl")).write(str(tmp_path / "m.parquet"))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(("m.parquet", ".m.parquet"))]
    turns = talk("a", "b")
    late = [*[{"messages": turns}] * 600, {"messages": [turns[0], {**turns[1], "loss": False}]}]
    (tmp_path / "n.jsonl").write_text(lines(late))
    with pytest.raises(ValueError, match="row 600 has keys or values that the columns' types"):
        Converter(open_data(tmp_path / "n.jsonl")).write(str(tmp_path / "n.arrow"))
    (tmp_path / "c.jsonl").write_text(lines([{"caption": "[1]", "image": "0.png"}]))
    with pytest.raises(ValueError, match="would be read as a list or an object"):
        Converter(open_data(tmp_path / "c.jsonl")).write(str(tmp_path / "c.csv"))


def test_values_of_arrow_that_json_lacks(tmp_path: Path) -> None:
    import pyarrow

    columns = {
        "caption": ["a"],
        "day": [datetime.date(2024, 2, 1)],
        "when": pyarrow.array([1_700_000_000_000_000_001], pyarrow.timestamp("ns")),
        "price": [decimal.Decimal("1.50")],
        "times": [[datetime.datetime(2024, 2, 1)]],
        "raw": [b"xy"],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    source = Conversations(tmp_path / "a.parquet", ignore=["raw"])
    Converter(source).write(str(tmp_path / "a.jsonl"))
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {
        "caption": "a",
        "day": "2024-02-01",
        "when": "2023-11-14 22:13:20.000000001",
        "price": "1.50",
        "times": ["2024-02-01 00:00:00"],
    }
    for name in ("b.jsonl", "b.csv", "b-{0..0}.tar"):
        with pytest.raises(
            ValueError, match="holds b'xy', which only Arrow and Parquet do; .*--ig"
        ):
            Converter(Conversations(tmp_path / "a.parquet")).write(str(tmp_path / name))


def test_numbers_that_are_none_or_too_large(tmp_path: Path) -> None:
    write_json_lines(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"caption": NaN, "n": 1}\n')
    source = Conversations(tmp_path / "a.jsonl")
    Converter(source).write(str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text() == "caption,n\n,1\n", "and no word 'nan'"
    Converter(source).write(str(tmp_path / "a.parquet"))
    (tmp_path / "b.jsonl").write_text(f'{{"n": {10**30}}}\n')
    with pytest.raises(ValueError, match="too large"):
        Converter(Conversations(tmp_path / "b.jsonl")).write(str(tmp_path / "b.parquet"))


def test_media_of_another_output_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    source = open_data(CONTAINERS["shards"](tmp_path))
    Converter(source).write(str(tmp_path / "a.jsonl"))
    with pytest.raises(ValueError, match=r"sample 0: .*a-media.* is there already; name another"):
        Converter(source).write(str(tmp_path / "a.csv"))


def test_of_a_row_that_can_not_be_written_is_told_which(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(PICTURES[0].encode(".png"))
    rows = [{"caption": "a", "image": "0.png"}, {"caption": "b", "image": "gone.png"}]
    (tmp_path / "a.jsonl").write_text(lines(rows))
    for out in ("a.tar", "a.parquet", "b.jsonl", "folder"):
        with pytest.raises(ValueError, match=r"^a\.jsonl, line 2: [Nn]o such file.*gone\.png"):
            Converter(open_data(tmp_path / "a.jsonl"), "packed").write(str(tmp_path / out))
    mixed = [*[{"images": ["0.png"]}] * 3, {"images": None}, {"images": "0.png"}]
    for number, row in enumerate(mixed):
        row["messages"] = talk("<image>a", str(number))
    (tmp_path / "m.jsonl").write_text(lines(mixed))
    with pytest.raises(ValueError, match="row 4 has '0.png' under 'images', of another type"):
        Converter(open_data(tmp_path / "m.jsonl")).write(str(tmp_path / "m.parquet"))


# ---- Parts -------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_a_group_stands_on_one_side(seed: int, people: list[int]) -> None:
    rule = SplitRule({"train": 0.7, "test": 0.3}, by="person", seed=seed)
    parts = {person: rule.part(str(person)) for person in people}
    others = SplitRule({"train": 0.7, "test": 0.3}, by="person", put={"3": "test"}, seed=seed)
    for person in people:
        assert others.part(str(person)) == ("test" if person == 3 else parts[person])


def test_shares_are_near_what_was_asked_for() -> None:
    rule = SplitRule({"train": 0.8, "validation": 0.1, "test": 0.1})
    rows = [{"caption": str(n), "image": f"{n}.png"} for n in range(2000)]
    parts = [rule.part(keys_of(row, None)[0]) for row in rows]
    assert [parts.count(name) / 2000 for name in rule.shares] == pytest.approx(
        [0.8, 0.1, 0.1], abs=0.03
    )


def test_rows_that_share_a_medium_stay_together(tmp_path: Path) -> None:
    """Directly or through others, whatever else they have."""
    entries = [{"image": f"{n}.png", "caption": str(n)} for n in range(12)]
    entries += [{"images": [f"{n}.png", f"./{n + 1}.png"], "caption": ""} for n in (0, 1, 6)]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    rule = SplitRule({"train": 0.5, "test": 0.5}, seed=1)
    parts = split_rows(Conversations(tmp_path / "a.jsonl"), rule)
    for group in ({0, 1, 2, 12, 13}, {6, 7, 14}):
        assert sum(group <= {*rows} for rows in parts.values()) == 1


def test_a_file_by_its_whole_path_is_the_same(tmp_path: Path) -> None:
    entries = [{"image": f"{n}.png", "caption": "a"} for n in range(12)]
    entries += [{"image": str(tmp_path / f"{n}.png"), "caption": "b"} for n in range(12)]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    parts = split_rows(Conversations(tmp_path / "a.jsonl"), SplitRule({"a": 0.5, "b": 0.5}))
    for rows in parts.values():
        assert {row % 12 for row in rows if row < 12} == {row % 12 for row in rows if row >= 12}


def test_a_person_is_the_same_whether_pandas_wrote_a_point(tmp_path: Path) -> None:
    """It makes numbers of a column with points where a row has none."""
    (tmp_path / "a.csv").write_text("image,person\n" + "".join(f"x.png,{n}\n" for n in range(12)))
    (tmp_path / "b.csv").write_text("image,person\n" + "".join(f"x.png,{n}.0\n" for n in range(12)))
    source = Conversations([tmp_path / "a.csv", tmp_path / "b.csv"])
    parts = split_rows(source, SplitRule({"a": 0.5, "b": 0.5}, by="person"))
    for rows in parts.values():
        assert {row % 12 for row in rows if row < 12} == {row % 12 for row in rows if row >= 12}
    (tmp_path / "c.jsonl").write_text('{"image": "x.png", "person": NaN}\n')
    with pytest.raises(ValueError, match="line 1: there is nothing in column 'person'"):
        split_rows(Conversations(tmp_path / "c.jsonl"), SplitRule({"a": 1.0}, by="person"))


def test_splitting_keeps_no_texts_in_memory(tmp_path: Path) -> None:
    texts = [f"{n} {'a' * 20_000}" for n in [*range(100), 7]]
    entries = [{"messages": [{"role": "user", "content": text}]} for text in texts]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    source = Conversations(tmp_path / "a.jsonl")
    tracemalloc.start()
    parts = split_rows(source, SplitRule({"train": 0.5, "test": 0.5}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000
    assert sorted([*parts["train"], *parts["test"]]) == [*range(101)]
    assert any({7, 100} <= {*rows} for rows in parts.values()), "equal rows stay together"


def test_rows_of_parts(tmp_path: Path) -> None:
    entries = [
        {"image": "0.png", "caption": str(n), "person": n % 4, "note": ""} for n in range(12)
    ]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    source = Conversations(tmp_path / "a.jsonl", ignore=[])
    rule = SplitRule({"train": 1.0, "test": 0.0}, by="person", put={"1": "test", "3": "test"})
    parts = split_rows(source, rule)
    assert {name: [*rows] for name, rows in parts.items()} == {
        "train": [0, 2, 4, 6, 8, 10],
        "test": [1, 3, 5, 7, 9, 11],
    }
    for rule, says in (
        (
            SplitRule({"a": 1.0}, by="nobody"),
            "a.jsonl, line 1: there is no column 'nobody', .*"
            "there are 'image', 'caption', 'person', 'note'",
        ),
        (SplitRule({"a": 1.0}, by="note"), "a.jsonl, line 1: there is nothing in column 'note'"),
        (SplitRule({"a": 1.0}, by="person", put={"9": "a"}), "no row has '9' in 'person'"),
        (SplitRule({"a": 1.0, "b": 0.0}, by="person"), "part 'b' has no rows: .* of 4 groups"),
    ):
        with pytest.raises(ValueError, match=says):
            split_rows(source, rule)
    for how, says in (
        ({"shares": {"a": 0.5}}, "sum to 1"),
        ({"shares": {"a": 1.5, "b": -0.5}}, "sum to 1"),
        ({"shares": {"a": 1.0}, "put": {"1": "a"}}, "by the column that --by names"),
        ({"shares": {"a": 1.0}, "by": "x", "put": {"1": "b"}}, "there is no part 'b'"),
    ):
        with pytest.raises(ValueError, match=says):
            SplitRule(**how)


# ---- What is wrong -----------------------------------------------------------------------------


def broken(folder: Path, count: int = 10) -> Path:
    path = write_json_lines(folder)
    PICTURES[0].save(folder / "x.png")
    entries = [{"image": "x.png", "caption": "a"} for _ in range(count)]
    entries[3] = {"image": "none.png", "caption": "a"}
    (folder / "bad.png").write_bytes((folder / "x.png").read_bytes()[:40])
    entries[7] = {"image": "bad.png", "caption": "a"}
    path.write_text(lines(entries[:9]) + "{\n" + lines(entries[9:]))
    return path


@pytest.mark.parametrize("workers", [0, 2])
def test_every_row_is_opened(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "CHUNK", 3)
    source = open_data(broken(tmp_path))
    problems = check_rows(source, tmp_path / "r.jsonl", workers)
    assert [problem.row for problem in problems] == [3, 7, 9]
    assert problems[0].reason.startswith("d.jsonl, line 4: no such file")
    assert problems[1].reason.startswith("d.jsonl, line 8: bad.png")
    assert problems[2].reason.startswith("d.jsonl, line 10 is no JSON")
    chunks = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [json.loads(line)["rows"] for line in chunks] == [[0, 3], [3, 6], [6, 9], [9, 11]]


def test_a_stopped_check_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "CHUNK", 3)
    path, report = broken(tmp_path), tmp_path / "r.jsonl"
    problems = check_rows(open_data(path), report)
    whole = report.read_bytes()
    report.write_bytes(whole[: whole.index(b"[6, 9]")])  # killed within a line
    read = []
    check = checking._problems

    def counting(source: Any, rows: Sequence[int]) -> list[tuple[int, str]]:
        read.append([*rows])
        return check(source, rows)

    monkeypatch.setattr(checking, "_problems", counting)
    assert check_rows(open_data(path), report) == problems
    assert read == [[3], [6, 7, 8], [9, 10]] and report.read_bytes() == whole
    read.clear()
    (tmp_path / "bad.png").write_bytes((tmp_path / "x.png").read_bytes())
    left = check_rows(open_data(path), report)
    assert left == [problems[0], problems[2]] and read == [[3], [7], [9]], "one was mended"
    assert check_rows(open_data(path), report) == left and read[3:] == [[3], [9]]
    read.clear()
    check_rows(open_data(path), report, settings="others")
    assert len(read) == 4
    path.write_text(path.read_text() + "\n")
    check_rows(open_data(path), report)
    assert len(read) == 8, "a file that has changed is checked anew"
    with pytest.raises(ValueError, match="is no report of this command"):
        check_rows(open_data(path), path)


# ---- What it holds -----------------------------------------------------------------------------


@given(st.integers(1, 50), st.one_of(st.none(), st.integers(1, 60)))
def test_rows_are_spread_evenly(total: int, most: int | None) -> None:
    rows = list(rows_to_look_at(total, most))
    assert len(rows) == min(total, most or total) and len({*rows}) == len(rows)
    assert rows[0] == 0 and all(0 <= row < total for row in rows)


def test_statistics(tmp_path: Path) -> None:
    source = open_data(broken(tmp_path))
    statistics = collect_statistics(source, None, count_tokens=len)
    assert (statistics.rows, statistics.looked_at, statistics.num_errors) == (11, 11, 3)
    assert statistics.schemas == {"captions": 10}
    assert statistics.media == {"image shown": 8} or statistics.media == {"image shown": 9}
    assert statistics.figures["width of image"] == [8.0] * 8
    json.dumps(statistics.as_json())
    text = statistics_text(statistics)
    for part in ("JSON Lines, 11 rows", "captions", "3 rows can't be read", "tokens replied"):
        assert part in text
    page = write_page(tmp_path / "page.html", source, statistics, 20).read_text()
    assert page.count("data:image/png") == 8 and "no such file" in page
    assert page.count("<h2>") == 11
    assert collect_statistics(source, 2).looked_at == 2


def test_targets_and_labels_are_shown(tmp_path: Path) -> None:
    PICTURES[0].save(tmp_path / "0.png")
    entries: list[dict[str, Any]] = [
        {
            "output_image": "0.png",
            "image_captions": ["<b>red</b>"],
            "messages": talk("d", "<image>"),
        },
        {"image_captions": ["blue"], "messages": talk("d", "<image>")},
        {"image": "0.png", "label": "cat"},
    ]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    source = open_data(tmp_path / "a.jsonl")
    statistics = collect_statistics(source)
    assert statistics.labels == {"cat": 1} and statistics.media["image to be made"] == 2
    page = write_page(tmp_path / "p.html", source, statistics, 3).read_text()
    assert "to be made: &lt;b&gt;red&lt;/b&gt;" in page and "image: blue" in page
    assert len(source) < COUNT
