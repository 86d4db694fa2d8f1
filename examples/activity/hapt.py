"""Prepare UCI HAPT: a table for each recording, and lists of them by person.

    python examples/activity/hapt.py data/hapt --raw HAPT

HAPT is the unpacked archive "Smartphone-Based Recognition of Human Activities and Postural
Transitions" of the UCI Machine Learning Repository (CC BY 4.0, Reyes-Ortiz et al. 2015). Without
`--raw` the tables are there already, and only the lists are written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anymodal.data.recordings import Recordings
from anymodal.media import IMU

HEADER = "t (s),ax (g),ay (g),az (g),gx (rad/s),gy (rad/s),gz (rad/s),label"
RATE = 50
LABELS = [
    *("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "lying"),
    *("standing to sitting", "sitting to standing", "sitting to lying", "lying to sitting"),
    *("standing to lying", "lying to standing"),
]
"""What the table's labels 1 to 12 say: six activities, then six transitions between them."""
HELD_OUT = (2, 4, 9, 10, 12, 13, 18, 20, 24)
"""People whose recordings nothing is chosen by: those that the publishers held out."""
VALIDATION = (5, 11, 17, 23, 28)
"""People of the other 21 by whom everything is chosen."""


def recordings(path: str | list[str], names: Sequence[str], hop: float = 1.28) -> Recordings:
    """Windows of 128 readings with one of these labels throughout."""
    labels = {str(number): name for number, name in enumerate(LABELS, 1)}
    skip = ["-1", *(number for number, name in labels.items() if name not in names)]
    reading = {"label_column": "label", "labels": labels, "limits": {"max_seconds": 3600}}
    return Recordings(path, seconds=2.56, hop=hop, skip=skip, **reading)


def windows(
    path: str | list[str], names: Sequence[str], step: int = 1, hop: float = 1.28
) -> tuple[list[IMU], NDArray[np.int64]]:
    """The windows themselves, each so-many-th of them, and the places of their labels."""
    data = recordings(path, names, hop)
    places = range(0, len(data), step)
    labels = np.array([names.index(data.label(place)) for place in places])
    return [data[place][0].content[0] for place in places], labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the tables and lists")
    parser.add_argument("--raw", type=Path, help="the unpacked archive, with its folder RawData")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.raw is not None:
        write_tables(args.raw / "RawData", args.out)
    write_lists(args.out)


def write_tables(raw: Path, out: Path) -> None:
    """One CSV a recording, `person01-01.csv`, with the label of each reading; -1 is none."""
    intervals = np.loadtxt(raw / "labels.txt", dtype=int)  # experiment, person, label, start, end
    counts: dict[int, int] = {}
    for path in sorted(raw.glob("acc_exp*_user*.txt")):
        experiment, person = (int(part[-2:]) for part in path.stem.split("_")[1:])
        readings = np.hstack(
            [np.loadtxt(path), np.loadtxt(path.with_name(path.name.replace("acc_", "gyro_")))]
        )  # (n, 6)
        labels = np.full(len(readings), -1)
        for _, _, label, start, end in intervals[intervals[:, 0] == experiment]:
            labels[start - 1 : end] = label  # the first reading is 1, and the end is one of them
        counts[person] = counts.get(person, 0) + 1
        rows = [
            f"{i / RATE:.2f},{','.join(f'{value:.6f}' for value in row)},{label}"
            for i, (row, label) in enumerate(zip(readings, labels, strict=True))
        ]
        table = out / f"person{person:02d}-{counts[person]:02d}.csv"
        table.write_text("\n".join([HEADER, *rows]) + "\n")


def write_lists(out: Path) -> None:
    """`train.jsonl`, `validation.jsonl` and `held-out.jsonl`: a line names a table."""
    tables = sorted(out.glob("person*.csv"))
    if not tables:
        raise SystemExit(f"no tables in {out}; give --raw, the unpacked archive of UCI HAPT")
    lists: dict[str, list[str]] = {"train": [], "validation": [], "held-out": []}
    for table in tables:
        person = int(table.name[6:8])
        name = "held-out" if person in HELD_OUT else "train"
        name = "validation" if person in VALIDATION else name
        lists[name].append(json.dumps({"imu": table.name}))
    for name, lines in lists.items():
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        print(f"{name}: {len(lines)} recordings")


if __name__ == "__main__":
    main()
