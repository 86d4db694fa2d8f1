"""Two models side by side: pairs, the page, the server, and choices as preference rows."""

from __future__ import annotations

import json
import queue
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anymodal import cli
from anymodal.config import ConfigError
from anymodal.data.preferences import Preferences
from anymodal.evaluation.benchmark_run import run_benchmark
from anymodal.evaluation.comparison import Comparison, build_comparison, shown_key
from anymodal.evaluation.comparison_page import PAGE
from anymodal.evaluation.comparison_server import ComparisonServer
from anymodal.evaluation.stored_replies import read_records
from anymodal.types import Target
from tests.support import benchmark_files as files
from tests.support.comparisons import prompt, reply, small_comparison
from tests.support.tiny import picture


def choice(comparison: Comparison, name: str, side: str) -> str:
    shown = next((shown_key(pair) for pair in comparison.pairs if pair["id"] == name), "")
    return json.dumps({"id": name, "shown": shown, "choice": side})


def test_pairs_have_two_replies_that_differ(tmp_path: Path) -> None:
    comparison = small_comparison(tmp_path)
    assert sorted(pair["id"] for pair in comparison.pairs) == ["draw", "play", "see"]
    assert comparison.same == ["same"]
    assert comparison.broken == {"gone": "there is no reply of second model"}
    assert Comparison.load(comparison.folder) == comparison
    with pytest.raises(ConfigError, match="no pair of replies to show; all replies are the same"):
        same = {"x": reply("a")}
        build_comparison(tmp_path / "none", ("a", "b"), [prompt("x", "?")], (same, same))
    with pytest.raises(ConfigError, match="name two models"):
        Comparison.load(tmp_path / "nowhere")


def test_sides_and_order_are_drawn_by_the_seed(tmp_path: Path) -> None:
    prompts = [prompt(str(n), "?") for n in range(64)]
    replies = [{sample.id: reply(text) for sample in prompts} for text in ("yes", "no")]

    def drawn(seed: int) -> tuple[list[str], int]:
        pairs = build_comparison(
            tmp_path / str(seed), ("a", "b"), prompts, (replies[0], replies[1]), seed=seed
        ).pairs
        return [pair["id"] for pair in pairs], sum(pair["left"] == "a" for pair in pairs)

    order, left = drawn(0)
    assert drawn(0) == (order, left) and order != [str(n) for n in range(64)]
    assert 16 < left < 48 and drawn(1)[0] != order


def test_the_page_tells_nothing_of_the_models_and_loads_nothing(tmp_path: Path) -> None:
    page = (small_comparison(tmp_path).folder / PAGE).read_text()
    assert "first model" not in page and "second model" not in page and "comparison" not in page
    assert "What is &lt;this&gt;?" in page and "A ball &amp; more." in page
    assert page.count("<img") == 3 and page.count("<audio controls") == 1
    assert "<em>an empty reply</em>" in page
    sources = re.findall(r'(?:src|href)="([^"]{5})', page)
    assert sources and set(sources) == {"data:"}
    assert "default-src 'none'" in page and "connect-src 'self'" in page


def test_choices_are_preference_rows(tmp_path: Path) -> None:
    comparison = small_comparison(tmp_path)
    sides = {pair["id"]: "left" if pair["left"] == "a" else "right" for pair in comparison.pairs}
    other = {"left": "right", "right": "left"}
    lines = [
        choice(comparison, "see", "alike"),
        choice(comparison, "draw", sides["draw"]),
        choice(comparison, "see", sides["see"]),  # the later one counts
        choice(comparison, "play", other[sides["play"]]),
    ]
    wrong = [
        "{",
        "[]",
        choice(comparison, "nobody", "left"),
        choice(comparison, "draw", "middle"),
        json.dumps({"id": 3}),
    ]
    assert comparison.add_choices([*lines, *wrong]) == 4
    assert comparison.preferred() == {"see": "a", "draw": "a", "play": "b"}
    rows = Preferences(comparison.folder / "preferences.jsonl")
    samples = {row.chosen[0].text: row for row in (rows[n] for n in range(len(rows)))}
    drawn = samples["Draw a ball"]
    target = drawn.chosen[-1].content[-1]
    assert isinstance(target, Target) and (target.modality, target.caption) == (
        "image",
        "Draw a ball",
    )
    assert drawn.common == 1 and drawn.chosen[-1].text == "Here: "
    seen = samples["What is <this>?"]
    assert seen.chosen[0].media == [picture(3)] and seen.rejected[-1].text == "No."
    results = json.loads((comparison.folder / "results.json").read_text())
    assert results["preferred"] == {"a": 2, "b": 1, "alike": 0, "neither": 0}
    assert (results["pairs"], results["chosen"], results["same"]) == (3, 3, 1)
    assert "| first model " in (comparison.folder / "results.md").read_text()


def test_a_choice_counts_for_the_replies_that_were_shown_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With another seed sides are others, and a folder may be used for other models."""
    comparison = small_comparison(tmp_path)
    names = [pair["id"] for pair in comparison.pairs]
    comparison.add_choices([choice(comparison, name, "left") for name in names])
    first = comparison.preferred()
    moved = next(
        again
        for again in (small_comparison(tmp_path, seed=seed) for seed in range(1, 9))
        if {p["id"]: p["left"] for p in again.pairs}
        != {p["id"]: p["left"] for p in comparison.pairs}
    )
    assert moved.preferred().items() <= first.items() and len(moved.preferred()) < len(first)
    assert moved.num_other_choices() == len(first) - len(moved.preferred())
    assert cli.main(["eval", "compare", "--out", str(moved.folder), "--no-serve"]) == 0
    assert "earlier choices are about other replies" in capsys.readouterr().err
    # The page of before is open still, or was sent to somebody.
    stale = next(name for name in names if name not in moved.preferred())
    assert moved.add_choices([choice(comparison, stale, "left")]) == 0
    assert small_comparison(tmp_path).preferred() == first
    with_digests = json.loads((comparison.folder / "comparison.json").read_text())
    for pair in with_digests["pairs"]:
        pair["a"] = ["another reply"]
    other = Comparison(comparison.folder, ("c", "b"), with_digests["pairs"], [], {})
    assert other.preferred() == {}


def test_a_line_that_was_cut_short_loses_nothing_else(tmp_path: Path) -> None:
    comparison = small_comparison(tmp_path)
    comparison.add_choices([choice(comparison, "see", "left")])
    with (comparison.folder / "choices.jsonl").open("a") as file:
        file.write('{"id": "dr')
    comparison.add_choices([choice(comparison, "play", "neither")])
    assert comparison.choices() == {"see": "left", "play": "neither"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ComparisonServer]:
    with ComparisonServer(small_comparison(tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def request(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, names), timeout=20) as done:
            return done.status, done.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_each_choice_is_on_the_disk_before_the_answer(server: ComparisonServer) -> None:
    json_type = {"Content_Type": "application/json"}
    url, comparison = server.url, server.comparison
    folder = comparison.folder
    assert request(url)[1] == (folder / PAGE).read_bytes()
    assert request(f"{url}choices") == (200, b"{}")
    assert (
        request(f"{url}choices", choice(comparison, "see", "left").encode(), **json_type)[0] == 200
    )
    assert json.loads((folder / "choices.jsonl").read_text()) == json.loads(
        choice(comparison, "see", "left")
    )
    assert json.loads(request(f"{url}choices")[1]) == {"see": "left"}
    assert len(Preferences(folder / "preferences.jsonl")) == 1


def test_the_server_answers_the_page_alone(server: ComparisonServer) -> None:
    url, comparison = f"{server.url}choices", server.comparison
    line = choice(comparison, "see", "left").encode()
    json_type = {"Content_Type": "application/json"}
    assert request(url, b"nothing", **json_type)[0] == 400
    assert request(url, choice(comparison, "nobody", "left").encode(), **json_type)[0] == 400
    assert request(url, line, Content_Type="text/plain")[0] == 404  # as a form of another site
    assert request(url, line, Host="evil.example", **json_type)[0] == 403
    assert request(server.url, Host=f"evil.example:{server.server_port}")[0] == 403
    assert request(url, b" " * 70_000, **json_type)[0] == 413
    for path in ("comparison.json", "../comparison.json", "media/x.png"):
        assert request(server.url + path)[0] == 404
    assert server.comparison.choices() == {}


def test_the_command_compares_earlier_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = files.write_pope(tmp_path / "pope")
    for name in ("Yes", "No"):
        job = files.job("pope", folder, tmp_path / name, max_samples=2)
        run_benchmark(job, files.named(lambda *_, text=name: text))
    out = tmp_path / "out"
    command = ["eval", "compare", str(tmp_path / "Yes"), str(tmp_path / "No" / "samples.jsonl")]
    command += ["--out", str(out), "--no-serve", "--media", str(folder / "val2014")]
    assert cli.main(command) == 0
    comparison = Comparison.load(out)
    assert len(comparison.pairs) == 2 and len([*(out / "media").iterdir()]) == 1
    downloaded = tmp_path / "choices.jsonl"
    lines = [choice(comparison, pair["id"], "left") for pair in comparison.pairs]
    downloaded.write_text("\n".join([*lines, choice(comparison, "x", "left")]))
    capsys.readouterr()
    assert cli.main(["eval", "compare", "--out", str(out), "--choices", str(downloaded)]) == 0
    told = capsys.readouterr()
    assert "2 of 3 choices are of this comparison" in told.err and "| preferred" in told.out
    assert len(Preferences(out / "preferences.jsonl")) == 2
    report = ["--report", str(tmp_path / "report")]
    assert cli.main(["data", "validate", str(out / "preferences.jsonl"), *report]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nano"], "name two models to compare"),
        (["nano", "nano"], "name a file of prompts: --prompts"),
        ([], "name two models and --prompts to begin one"),
        (["nano", "http://127.0.0.1:9/v1", "--prompts", "p.txt"], "name its model too"),
        (["nowhere", "nano", "--prompts", "p.txt"], "no model at nowhere"),
        (["bad.jsonl", "bad.jsonl"], "bad.jsonl holds no replies"),
        (["far.jsonl", "far.jsonl"], "leads out of the folder"),
    ],
)
def test_what_can_not_be_compared(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.txt").write_text("hello\n")
    Path("bad.jsonl").write_text('{"answerer": "x"}\n{"id": 1}\n')
    record: dict[str, Any] = {"id": "1", "digest": "", "messages": []}
    record["reply"] = [{"kind": "image", "path": "../secret.png"}]
    Path("far.jsonl").write_text(f"{{}}\n{json.dumps(record)}\n")
    assert cli.main(["eval", "compare", *options, "--out", "out"]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.extended
def test_models_are_asked_and_files_of_prompts_read(model: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("hello\n\ndraw a ball\n")
    command = ["eval", "compare", str(model), str(model), "--prompts", str(prompts), "--no-serve"]
    command += ["--out", str(tmp_path / "out"), "--set", "image.steps=1", "--device", "cpu"]
    # The same model twice says the same: there is nothing to choose.
    assert cli.main([*command, "--max-new-tokens", "24"]) == 2
    assert set(read_records(tmp_path / "out" / "a" / "samples.jsonl")) == {"1", "3"}


DRIVE = """<!doctype html><iframe src="/" width="WIDTH" height="800"></iframe><script>
const frame = document.querySelector("iframe"), seen = [];
const wait = (time) => new Promise((done) => setTimeout(done, time));
frame.onload = async () => {
  const page = frame.contentDocument, press = (key) =>
    frame.contentWindow.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const now = () => [...page.querySelectorAll(".pair")].find((pair) => !pair.hidden)?.dataset.id;
  const after = async (act) => {
    const before = now();
    act();
    while (now() === before) await wait(20);
    seen.push(now() ?? "end");
  };
  while (!now()) await wait(20);
  seen.push(now());
  const wide = page.documentElement.scrollWidth > WIDTH;
  await after(() => press("1"));
  await after(() => press("ArrowRight"));
  await after(() => press("Backspace"));
  await after(() => press("3"));
  await after(() => page.querySelector("[data-choice=neither]").click());
  const state = page.getElementById("state").textContent;
  const body = JSON.stringify({ seen, wide, state });
  await fetch("/driven", { method: "POST", body });
};
</script>"""
"""Chooses by keys and buttons in a frame of the page, as a person would, and tells what it saw."""


@pytest.mark.extended
@pytest.mark.parametrize("width", [390, 1280])
def test_choosing_in_a_browser(width: int, server: ComparisonServer, tmp_path: Path) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    handler: Any = server.RequestHandlerClass
    told: queue.Queue[Any] = queue.Queue()

    class Driving(handler):  # type: ignore[misc]
        def do_GET(self) -> None:
            if self.path == "/drive.html":
                self._send(200, DRIVE.replace("WIDTH", str(width)).encode(), "text/html")
            else:
                super().do_GET()

        def do_POST(self) -> None:
            if self.path == "/driven":
                told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._send(200, b"", "text/plain")
            else:
                super().do_POST()

    server.RequestHandlerClass = Driving
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", f"--user-data-dir={tmp_path / 'browser'}"]
    command += ["--window-size=1400,900", "--remote-debugging-port=0", f"{server.url}drive.html"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:  # type: ignore[call-overload]
        try:
            answer = told.get(timeout=200)
        finally:
            process.terminate()
    first, second, third = (pair["id"] for pair in server.comparison.pairs)
    assert answer["seen"] == [first, second, third, second, third, "end"]
    assert not answer["wide"] and answer["state"].startswith("all seen, 3 chosen")
    assert server.comparison.choices() == {first: "left", second: "alike", third: "neither"}
