"""Folders of data: splits, metadata, classes, saved data sets, features, and the hub's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anymodal.data.containers import open_rows
from anymodal.data.containers.folders import split_of
from anymodal.data.containers.hub import parse_hub_name
from anymodal.data.conversations import Conversations
from anymodal.tools.dataset.conversion import Converter
from tests.support import hub_server
from tests.support.data_sets import (
    CAPTIONS,
    COUNT,
    PICTURES,
    lines,
    rows,
    table,
    write_metadata,
    write_saved,
    write_texts,
)


def all_rows(path: Path | str, **how: Any) -> list[dict[str, Any]]:
    source = open_rows(path, **how)
    return [source[index] for index in range(len(source))]


def classes(folder: Path) -> Path:
    for number, name in enumerate(["cat", "dog", "cat"]):
        (folder / name).mkdir(exist_ok=True)
        PICTURES[number].save(folder / name / f"{number}.png")
    (folder / ".hidden").mkdir()
    PICTURES[3].save(folder / ".hidden" / "3.png")
    (folder / "notes.md").write_text("no medium")
    return folder


def test_sub_folders_are_classes(tmp_path: Path) -> None:
    assert all_rows(classes(tmp_path)) == [
        {"file_name": "cat/0.png", "label": "cat"},
        {"file_name": "cat/2.png", "label": "cat"},
        {"file_name": "dog/1.png", "label": "dog"},
    ]
    PICTURES[4].save(tmp_path / "dog" / "4.png")
    assert len(open_rows(tmp_path)) == 4, "a new file makes a new list"
    (tmp_path / "dog" / "4.png").rename(tmp_path / "cat" / "4.png")
    assert [row["label"] for row in all_rows(tmp_path)] == ["cat", "cat", "cat", "dog"]


def test_a_folder_is_opened_again_while_it_is_read(tmp_path: Path) -> None:
    folder = write_texts(tmp_path)
    os.utime(folder, (1, 1))  # long ago, so that a change of the folder shows in its time
    first, again = open_rows(folder), open_rows(folder)
    assert first[0] == again[0] and len(first) == COUNT


def test_a_text_for_some_is_refused(tmp_path: Path) -> None:
    write_texts(tmp_path)
    (tmp_path / "3.txt").unlink()
    with pytest.raises(ValueError, match=r"6 of 7 media files have a \.txt"):
        open_rows(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no data: no table, no shards and no media files"):
        open_rows(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("my_test.jsonl", "test"),
        ("val.csv", "validation"),
        ("dev/x.csv", "validation"),
        ("latest.csv", None),
        ("trainer.csv", None),
    ],
)
def test_names_tell_splits(name: str, split: str | None) -> None:
    assert split_of(Path("d") / name) == split


def test_a_split_is_chosen_or_refused(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("validation", 2)):
        (tmp_path / f"{name}.jsonl").write_text(lines([{"n": n, "of": name} for n in range(count)]))
    with pytest.raises(ValueError, match="has the splits train, validation; choose one, as split:"):
        open_rows(tmp_path)
    assert [row["of"] for row in all_rows(tmp_path, split="train")] == ["train"] * 3
    assert len(all_rows(tmp_path, split="val")) == 2
    with pytest.raises(ValueError, match="no split 'test'; it has train, validation"):
        open_rows(tmp_path, split="test")
    (tmp_path / "more.csv").write_text("n\n1\n")
    with pytest.raises(ValueError, match="has the splits"):
        open_rows(tmp_path)
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").rename(tmp_path / f"part-{name[0]}.jsonl")
    with pytest.raises(ValueError, match=r"several kinds \(CSV, JSON Lines\)"):
        open_rows(tmp_path)


def test_splits_in_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        write_metadata(tmp_path / split)
    with pytest.raises(ValueError, match="has the splits test, train"):
        open_rows(tmp_path)
    source = Conversations(tmp_path, split="test", ask="")
    assert len(source) == COUNT and source[1][0].media == [PICTURES[1]]


def test_a_saved_data_set_has_its_splits(tmp_path: Path) -> None:
    folder = write_saved(tmp_path)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "odd"]}))
    with pytest.raises(ValueError, match="splits train, odd; choose one"):
        open_rows(folder)
    assert len(open_rows(folder, split="train")) == len(open_rows(folder / "train")) == COUNT
    (folder / "train" / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="no file of a saved data set"):
        open_rows(folder, split="train")


def test_a_table_at_the_root_has_splits_by_the_folders_of_its_files(tmp_path: Path) -> None:
    rows = [f"{split}/{n}.png,{split} {n}" for n in range(2) for split in ("train", "data/val")]
    broken = "test/0.png,a,b"
    table = "\n".join(["file_name,text", *rows, broken])
    (tmp_path / "metadata.csv").write_text(table)
    assert len(open_rows(tmp_path)) == 5
    rows = open_rows(tmp_path, split="validation")
    assert [rows[n]["text"] for n in range(2)] == ["data/val 0", "data/val 1"]
    assert rows.place(0) == open_rows(tmp_path).place(1) and rows.home(0) == tmp_path
    assert rows.stamp(-3) == open_rows(tmp_path).stamp(1)
    with pytest.raises(ValueError, match="3 values for 2 columns"):
        rows[2]
    assert len(open_rows(tmp_path, split="train")) == 3
    (tmp_path / "metadata.csv").write_text("file_name\ntrain/0.png\n")
    assert len(open_rows(tmp_path, split="train")) == 1, "a changed table is read anew"
    with pytest.raises(ValueError, match="the split 'test'; its files lie in train"):
        open_rows(tmp_path, split="test")


def test_a_split_that_nothing_tells_is_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path)
    with pytest.raises(ValueError, match="no file in a folder of the split 'test'; .* in none"):
        open_rows(tmp_path, split="test")
    table = next(tmp_path.glob("metadata.*"))
    (tmp_path / "x").mkdir()  # pytest's own folder is named after a split
    with pytest.raises(ValueError, match="has no split 'val'; it has none, so leave split out"):
        open_rows(table.rename(tmp_path / "x" / table.name), split="val")
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(lines([{"of": split}]))
    assert all_rows(f"{tmp_path}/*.jsonl", split="test") == [{"of": "test"}]
    (tmp_path / "saved").mkdir()
    saved = write_saved(tmp_path / "saved") / "train"
    state = json.loads((saved / "state.json").read_text())
    (saved / "state.json").write_text(json.dumps({**state, "_split": "train"}))
    assert len(open_rows(saved, split="train")) == COUNT
    with pytest.raises(ValueError, match="has no split 'test'; it has train"):
        open_rows(saved, split="test")


def test_names_of_media_start_in_the_folder_of_their_own_file(tmp_path: Path) -> None:
    """The same name in two folders means two pictures."""
    for number, name in enumerate("ab"):
        (tmp_path / "all" / name).mkdir(parents=True)
        PICTURES[number].save(tmp_path / "all" / name / "1.png")
        text = json.dumps({"file_name": "1.png", "text": name})
        (tmp_path / "all" / name / "metadata.jsonl").write_text(text)
    for path in (tmp_path / "all", [tmp_path / "all" / name for name in "ab"]):
        source = Conversations(path, ask="")  # type: ignore[arg-type]
        assert [sample[0].media[0] for sample in (source[0], source[1])] == PICTURES[:2]
        assert source.folder == tmp_path / "all"
    Converter(source).write(str(tmp_path / "all.jsonl"))
    assert [row["image"] for row in all_rows(tmp_path / "all.jsonl")] == [
        *("all/a/1.png", "all/b/1.png"),
    ]


@pytest.mark.parametrize(
    ("row", "keys"),
    [
        ({"file_name": "1.png", "text": "a"}, {"image", "caption"}),
        ({"image_file_name": "1.png", "text": "a"}, {"image", "caption"}),
        (
            {"source_file_name": "1.png", "target_file_name": "2.png", "instruction": "a"},
            {"source_image", "target_image", "instruction"},
        ),
        ({"frames_file_names": ["1.png", "2.png"], "label": "a"}, {"images", "label"}),
        ({"file_name": "1.wav", "transcription": "a"}, {"audio", "transcription"}),
        (
            {"image": "1.png", "caption": "a", "profile_name": "b"},
            {"image", "caption", "profile_name"},
        ),
    ],
)
def test_columns_of_files_tell_their_kinds(
    tmp_path: Path, row: dict[str, Any], keys: set[str]
) -> None:
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row))
    assert Conversations(tmp_path).entry(0).keys() == keys


def write_features(path: Path, features: dict[str, Any], **columns: list[Any]) -> Path:
    import pyarrow.parquet

    made = pyarrow.table(columns)
    info = json.dumps({"info": {"features": features}}).encode()
    pyarrow.parquet.write_table(made.replace_schema_metadata({b"huggingface": info}), path)
    return path


def test_features_name_classes_and_media(tmp_path: Path) -> None:
    cell = {"bytes": PICTURES[0].encode(".png"), "path": None}
    path = write_features(
        tmp_path / "a.parquet",
        {"img": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}},
        **{"img": [cell, cell], "label": [1, 2]},
    )
    source = open_rows(path)
    assert source.labels == {"label": ["cat", "dog"]} and source.media_columns == {"img": "image"}
    read = Conversations(path, columns={"caption": "label"}, ask="")
    assert read[0][0].media == [PICTURES[0]] and read[0][1].text == "dog"
    for read_row in (read.__getitem__, read.entry):
        with pytest.raises(
            ValueError, match=r"a\.parquet, row 1: label is 2; it numbers 2 classes"
        ):
            read_row(1)


def test_parts_that_number_classes_in_two_ways_are_refused(tmp_path: Path) -> None:
    for number, names in enumerate((["cat", "dog"], ["dog", "cat"])):
        features = {"label": {"_type": "ClassLabel", "names": names}}
        write_features(tmp_path / f"{number}.parquet", features, label=[0])
    with pytest.raises(ValueError, match="numbers its classes in another way"):
        open_rows(tmp_path)


def test_parquet_that_is_none_or_damaged_is_refused(tmp_path: Path) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table(), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    for name, content in (("b.parquet", data[:-20]), ("c.arrow", b"ARROW1\0\0" + data[:40])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is no (Parquet|Arrow) file"):
            open_rows(tmp_path / name)


@pytest.mark.parametrize("name", ["a", "a/b@", "a/b c", "../x/y", "a/b@..", "a/b/../c"])
def test_other_names_of_the_hub_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no data set"):
        parse_hub_name(f"hf://datasets/{name}")


def test_names_of_the_hub() -> None:
    assert parse_hub_name("hf://datasets/a/b") == ("a/b", None, None)
    assert parse_hub_name("hf://datasets/a/b@v1/d/*.csv") == ("a/b", "v1", "d/*.csv")


READING = """
import sys
from anymodal.data.conversations import Conversations
from anymodal.tools.dataset.conversion import Converter
for path in sys.argv[1:]:
    source = Conversations(path, split=None, ask="")
    print(len(source), source[1][1].text, source[1][0].media[0].pixels.shape)
"""


def test_data_sets_of_the_hub_are_fetched_once(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "me" / "pictures"
    folder.mkdir(parents=True)
    entries = [{"file_name": row["image"], "text": row["caption"]} for row in rows(folder)]
    (folder / "metadata.jsonl").write_text(lines(entries))
    (folder / "pictures.py").write_text("raise SystemExit('code of a stranger')")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    names = ["hf://datasets/me/pictures", f"hf://datasets/me/pictures@{hub_server.COMMIT}"]
    with hub_server.serving(tmp_path / "root") as (address, paths):
        for offline in "01":
            done = subprocess.run(
                [sys.executable, "-c", READING, *names[: 2 - int(offline)]],
                env={**environment, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": offline},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            text = f"{COUNT} {CAPTIONS[1]} (8, 8, 3)"
            assert done.stdout.splitlines() == [text] * (2 - int(offline))
    assert not [path for path in paths if path.endswith(".py")]
