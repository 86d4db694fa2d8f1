"""`anymodal data` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anymodal.cli.command_line import USAGE, main
from tests.support.data_sets import COUNT, PICTURES, lines, write_json_lines, write_shards
from tests.support.tiny import sound


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write_json_lines(tmp_path))
    page = tmp_path / "page.html"
    assert main(["data", "inspect", path, "--html", str(page), "--samples", "2"]) == 0
    out = capsys.readouterr().out
    assert f"JSON Lines, {COUNT} rows" in out and "image shown" in out
    assert page.read_text().count("<h2>") == 2
    assert main(["data", "inspect", path, "--json", "--rows", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["looked_at"] == 3


def test_preferences_are_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [{"prompt": "a", "chosen": "good", "rejected": "bad"}] * 3
    (tmp_path / "a.jsonl").write_text(lines(entries))
    page = tmp_path / "page.html"
    assert main(["data", "inspect", str(tmp_path / "a.jsonl"), "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "preferences" in out and "can't be read" not in out
    assert "<p>good</p>" in page.read_text() and "<p>bad</p>" in page.read_text()


def test_labelled_recordings_are_looked_at_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound(seconds=1.0).save(tmp_path / "a.wav")
    (tmp_path / "bad.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:60])
    (tmp_path / "a.csv").write_text(
        "audio,start,end,label\na.wav,0,0.5,bark\na.wav,0.5,1,song\nbad.wav,0,1,bark\n"
    )
    page = tmp_path / "page.html"
    assert main(["data", "inspect", str(tmp_path / "a.csv"), "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "labelled recordings" in out and "1 rows can't be read" in out
    assert "length of an interval" in out and "<p>song</p>" in page.read_text()
    report = str(tmp_path / "r.jsonl")
    assert main(["data", "validate", str(tmp_path / "a.csv"), "--report", report]) == USAGE
    assert "3 rows: 1 can't be used" in capsys.readouterr().out


def test_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_json_lines(tmp_path)
    command = ["data", "validate", str(path), "--report", str(tmp_path / "r.jsonl")]
    assert main(command) == 0
    assert f"{COUNT} rows: all can be used" in capsys.readouterr().out
    (tmp_path / "3.png").write_bytes(b"GIF89a")
    path.write_text(path.read_text() + "\n")
    assert main(command) == USAGE
    out = capsys.readouterr().out
    assert "3.png" in out and f"{COUNT} rows: 1 can't be used" in out


def test_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PICTURES[0].save(tmp_path / "0.png")
    entries = [{"image": "0.png", "caption": str(n), "person": n % 5} for n in range(20)]
    (tmp_path / "a.jsonl").write_text(lines(entries))
    command = ["data", "split", str(tmp_path / "a.jsonl"), "--by", "person"]
    command += ["--parts", "train=1", "test=0", "--put", "test=2,4"]
    assert main([*command, "--out", str(tmp_path / "parts")]) == 0
    out = capsys.readouterr().out
    assert "train.jsonl: 12 rows" in out and "test.jsonl: 8 rows" in out
    assert f"names of media start in {tmp_path}" in out
    test = (tmp_path / "parts" / "test.jsonl").read_text().splitlines()
    assert {json.loads(line)["person"] for line in test} == {2, 4}
    assert main([*command, "--out", str(tmp_path / "parts")]) == USAGE
    assert "is there already" in capsys.readouterr().err
    capsys.readouterr()
    assert main([*command[:4], "people", "--out", str(tmp_path / "p")]) == USAGE
    assert "no column 'people'" in (told := capsys.readouterr().err)
    assert "there are 'image', 'caption', 'person'" in told and not (tmp_path / "p").exists()


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    shards = write_shards(tmp_path / "data")
    out = str(tmp_path / "a.jsonl")
    assert main(["data", "convert", shards, "--out", out]) == 0
    assert f"{COUNT} rows, {COUNT} media in {tmp_path / 'a-media'}" in capsys.readouterr().out
    packed = str(tmp_path / "b.parquet")
    more = ["--media", "packed", "--column", "caption=caption", "--ignore", "width"]
    assert main(["data", "convert", out, "--out", packed, *more]) == 0
    assert main(["data", "inspect", packed]) == 0
    assert "Parquet, 7 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inspect", "none.jsonl"], "no such file or folder: none.jsonl"),
        (["inspect", "some/pictures"], "a data set of the hub is hf://datasets/some/pictures"),
        (["inspect", "https://a.example/b.tar"], "give remote: true"),
        (["inspect", "a.jsonl", "--column", "x"], "write NAME=COLUMN"),
        (["validate", "a.jsonl"], "--report"),
        (["inspct", "a.jsonl"], "inspect"),
        (["split", "a.jsonl", "--out", "x", "--parts", "a=b"], "write PART=SHARE"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *arguments]) == USAGE
    assert says in capsys.readouterr().err


def test_the_mixture_of_a_configuration_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURES[0].save(tmp_path / "0.png")
    for name, count in (("captions", 6), ("kinds", 2)):
        rows = [{"image": "0.png", "caption": "a ball", "kind": n % 2} for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text(lines(rows))
    config = {
        "model": {"_target_": "anymodal.AnyModal.from_pretrained", "path": "nano"},
        "data": {
            "datasets": {
                name: {"path": str(tmp_path / f"{name}.jsonl"), "ignore": ["kind"]}
                for name in ("captions", "kinds")
            },
            "weights": {"captions": 1, "kinds": 1},
            "balance": {"kinds": "kind"},
        },
        "stage": {"losses": {"text": 1}},
        "output_dir": str(tmp_path / "run"),
        "steps": 1,
    }
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps(config))
    assert main(["validate", str(file)]) == 0
    page = tmp_path / "page.html"
    assert main(["data", "inspect", str(file), "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "A mixture of 2 data sets: 8 samples, 12 of an epoch" in out and "## kinds" in out
    rows = [[c.strip() for c in row.split("|")[1:-1]] for row in out.splitlines() if "|" in row]
    assert ["kinds", "2", "6", "50.0%", "3"] in rows
    assert sorted(p.name for p in tmp_path.glob("*.html")) == [
        "page-captions.html",
        "page-kinds.html",
    ]
    assert main(["data", "inspect", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mixture"]["kinds"]["samples of an epoch"] == 6
    assert found["data"]["captions"]["rows"] == 6
    (tmp_path / "kinds.jsonl").unlink()
    assert main(["validate", str(file)]) == USAGE
    assert "data.datasets.kinds.path: there is no" in capsys.readouterr().err
    config["data"]["weights"] = {"captions": 1, "kind": 1}
    file.write_text(json.dumps(config))
    assert main(["validate", str(file)]) == USAGE
    err = capsys.readouterr().err
    assert "data.weights: there is no data set 'kind'; did you mean 'kinds'?" in err
