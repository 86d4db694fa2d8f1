"""Batches: results of every kind of line, resumed whatever happened, one row a request."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from anymodal import cli
from anymodal.cli import batch
from anymodal.serving.api.app import create_app
from anymodal.serving.api.settings import ServerSettings
from anymodal.serving.batch.request_file import read_requests
from anymodal.serving.batch.result_file import ResultFile
from tests.support.children import start
from tests.support.serving import model_to_serve
from tests.support.tiny import tiny_model


def line(custom_id: str, text: str = "hello", **more: Any) -> str:
    body = {"model": "tiny", "messages": [{"role": "user", "content": text}], "seed": 1, "steps": 1}
    item = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps({**item, **more})


def make_app(_: object) -> Any:
    return create_app([model_to_serve(tiny_model(), "tiny", max_requests=3)], ServerSettings())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the tiny model where a shipped one would be loaded."""
    monkeypatch.setattr(batch, "make_app", make_app)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*options: str) -> int:
    return cli.main(["batch", "in.jsonl", "--out", "out.jsonl", "--model", "tiny=nano", *options])


def rows(folder: Path) -> dict[str, Any]:
    lines = (folder / "out.jsonl").read_text("ascii").splitlines()
    found = {row["custom_id"] or row["id"]: row for row in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


def test_every_line_has_one_row_and_bad_ones_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"model": "tiny", "input": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    lines = [
        line("text"), line("picture", "draw a ball"), "{", "[]", "", line(""),
        line("get", method="GET"), line("where", url="/v1/videos"), line("more", other=1),
        line("stream", body={"model": "tiny", "messages": [], "stream": True}),
        line("nobody", body={"model": "other", "messages": []}),
        line("bad", body={"model": "tiny", "messages": [], "temprature": 1}),
        line("embed", url="/v1/embeddings", body=body), line("long" * 300_000),
        *(line(f"n{number}") for number in range(8)),
    ]  # fmt: skip
    (folder / "in.jsonl").write_text("\n".join(lines))
    assert run("--open", "8", "--max-body", "1") == 2, "some are errors"
    found = rows(folder)
    assert len(found) == len(lines) - 1, "but the blank line"
    text = found["text"]["response"]
    assert text["status_code"] == 200 and text["request_id"] == text["body"]["id"]
    assert text["body"]["choices"][0]["message"]["content"] == "Hello!"
    (image,) = found["picture"]["response"]["body"]["choices"][0]["message"]["images"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert all(found[f"n{number}"]["response"]["status_code"] == 200 for number in range(8))
    for name, status in (("nobody", 404), ("bad", 400), ("embed", 400)):
        assert found[name]["response"]["status_code"] == status and found[name]["error"] is None
    for name, says in (("get", "POST"), ("where", "/v1/embeddings"), ("more", "'other'"),
                       ("stream", "leave stream out")):  # fmt: skip
        assert found[name]["response"] is None and says in found[name]["error"]["message"]
    told = [row["error"]["message"] for row in found.values() if row["error"]]
    assert any("line 3 is no JSON" in each for each in told)
    assert any("line 14 is longer than 1,048,576 bytes" in each for each in told)
    assert "errors" in capsys.readouterr().err


def test_the_second_line_of_a_custom_id_is_an_error(folder: Path) -> None:
    (folder / "in.jsonl").write_text(f"{line('a')}\n{line('a')}\n")
    assert run() == 2
    found = [json.loads(each) for each in (folder / "out.jsonl").read_text().splitlines()]
    codes = {(row["error"] or {}).get("code") for row in found}
    assert codes == {None, "duplicate_custom_id"} and {row["custom_id"] for row in found} == {"a"}


def test_a_batch_goes_on_where_it_was_cut_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "in.jsonl").write_text("\n".join([line(f"n{i}") for i in range(5)] + ["{"]))
    assert run() == 2
    whole = (folder / "out.jsonl").read_text().splitlines(keepends=True)
    (folder / "out.jsonl").write_text("".join(whole[:2]) + whole[2][:40])
    assert run() == 2 and "2 of 6 have a result" in capsys.readouterr().err
    again = (folder / "out.jsonl").read_text().splitlines(keepends=True)
    assert again[:2] == whole[:2] and len(rows(folder)) == 6
    monkeypatch.setattr(batch, "make_app", lambda _: pytest.fail("nothing is left to ask"))
    assert run() == 2
    monkeypatch.setattr(batch, "make_app", make_app)
    (folder / "in.jsonl").write_text("\n".join([line(f"n{i}") for i in range(5)]))
    assert run() == 2 and "the result of another request" in capsys.readouterr().err
    (folder / "out.jsonl").write_text("a note\n")
    assert run() == 2 and "is no result" in capsys.readouterr().err


def test_failed_requests_are_asked_again_on_request(folder: Path) -> None:
    (folder / "in.jsonl").write_text(f"{line('a')}\n{line('b')}\n")
    assert run() == 0
    lines = (folder / "out.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    row["response"]["status_code"] = 503  # as where memory ran out
    (folder / "out.jsonl").write_text(f"{json.dumps(row)}\n{lines[1]}\n")
    assert run() == 2 and run("--retry-failed") == 0
    assert len(rows(folder)) == 2


def _work(folder: Path) -> None:
    batch.make_app = make_app
    os.chdir(folder)
    run("--open", "1")


def test_a_killed_batch_loses_no_result_and_asks_nothing_twice(folder: Path) -> None:
    (folder / "in.jsonl").write_text("\n".join(line(f"n{i}", "draw a ball") for i in range(30)))
    out = folder / "out.jsonl"
    child = start(_work, folder)
    end = time.monotonic() + 120
    while (not out.exists() or out.stat().st_size == 0) and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(ValueError, match="another batch writes"):
        ResultFile(out, {each.id for each in read_requests(folder / "in.jsonl", 2**20)})
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    before = [text for text in out.read_text().splitlines(keepends=True) if text.endswith("\n")]
    assert 0 < len(before) < 30
    assert run() == 0
    assert out.read_text().startswith("".join(before)) and len(rows(folder)) == 30
