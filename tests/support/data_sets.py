"""One small data set of captioned pictures, written in every container that is read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from anymodal.media import Image
from tests.support.tiny import picture

COUNT = 7
PICTURES: list[Image] = [picture(number, 8) for number in range(COUNT)]
CAPTIONS = [f'a "picture", {number}' for number in range(COUNT)]


def rows(folder: Path) -> list[dict[str, Any]]:
    """The pictures in files of a folder, and a row that names each."""
    for number, each in enumerate(PICTURES):
        each.save(folder / f"{number}.png")
    return [{"image": f"{n}.png", "caption": text} for n, text in enumerate(CAPTIONS)]


def lines(entries: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def write_json(folder: Path) -> Path:
    (folder / "d.json").write_text(json.dumps(rows(folder), indent=1))
    return folder / "d.json"


def write_json_lines(folder: Path) -> Path:
    (folder / "d.jsonl").write_text("\n" + lines(rows(folder)).replace("\n", "\r\n \r\n"))
    return folder / "d.jsonl"


def write_gzip(folder: Path) -> Path:
    (folder / "d.jsonl.gz").write_bytes(gzip.compress(lines(rows(folder)).encode()))
    return folder / "d.jsonl.gz"


def write_several(folder: Path) -> str:
    entries = rows(folder)
    (folder / "d-00.jsonl").write_text(lines(entries[:3]))
    (folder / "d-01.jsonl").write_text(lines(entries[3:]))
    return f"{folder}/d-{{00..01}}.jsonl"


def write_csv(folder: Path, separator: str = ",", name: str = "d.csv") -> Path:
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "caption"], delimiter=separator)
        writer.writeheader()
        writer.writerows(rows(folder))
    return folder / name


def write_tsv(folder: Path) -> Path:
    return write_csv(folder, "\t", "d.tsv")


def table() -> Any:
    import pyarrow

    images = [{"bytes": each.encode(".png"), "path": "x.png"} for each in PICTURES]
    features = {"image": {"_type": "Image"}, "caption": {"_type": "Value", "dtype": "string"}}
    made = pyarrow.table({"image": images, "caption": CAPTIONS})
    info = json.dumps({"info": {"features": features}}).encode()
    return made.replace_schema_metadata({b"huggingface": info})


def write_parquet(folder: Path) -> Path:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table(), folder / "d.parquet", row_group_size=3)
    return folder / "d.parquet"


def write_arrow(folder: Path) -> Path:
    import pyarrow

    with pyarrow.ipc.new_file(str(folder / "d.arrow"), table().schema) as out:
        out.write_table(table(), max_chunksize=2)
    return folder / "d.arrow"


def write_saved(folder: Path) -> Path:
    """As `datasets` saves a `DatasetDict`: Arrow's stream format in a folder for each split."""
    import pyarrow

    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    split = folder / "train"
    split.mkdir()
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    (split / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names]}))
    (split / "dataset_info.json").write_text("{}")
    for name, part in zip(names, (table().slice(0, 4), table().slice(4)), strict=True):
        with pyarrow.ipc.new_stream(str(split / name), part.schema) as out:
            out.write_table(part)
    return folder


def tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def members() -> list[tuple[str, bytes]]:
    found = []
    for number, (each, text) in enumerate(zip(PICTURES, CAPTIONS, strict=True)):
        found.append((f"p/{number:03d}.png", each.encode(".png")))
        found.append((f"p/{number:03d}.txt", text.encode()))
        found.append((f"p/{number:03d}.json", json.dumps({"width": 8, "caption": text}).encode()))
    return found


def write_shards(folder: Path) -> str:
    tar(folder / "s-000.tar", members()[:9])
    tar(folder / "s-001.tar", members()[9:])
    return f"{folder}/s-{{000..001}}.tar"


def write_metadata(folder: Path) -> Path:
    entries = [{"file_name": row["image"], "text": row["caption"]} for row in rows(folder)]
    (folder / "metadata.jsonl").write_text(lines(entries))
    return folder


def write_texts(folder: Path) -> Path:
    for number, row in enumerate(rows(folder)):
        (folder / f"{number}.txt").write_text(row["caption"] + "\n")
    return folder


CONTAINERS: dict[str, Callable[[Path], str | Path]] = {
    "JSON": write_json,
    "JSON Lines": write_json_lines,
    "JSON Lines, compressed": write_gzip,
    "several files": write_several,
    "CSV": write_csv,
    "TSV": write_tsv,
    "Parquet": write_parquet,
    "Arrow": write_arrow,
    "saved folder": write_saved,
    "shards": write_shards,
    "folder with metadata": write_metadata,
    "folder with texts": write_texts,
}
