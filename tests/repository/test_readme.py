"""The code of the README and of the documents runs, block after block, as a reader would run it.

Each page has a folder and, for its Python, a namespace of its own. A block after
`<!-- not run: reason -->` is left out, and so are `make` lines, which set up what runs this test.
A block of JSON behind a command's is its answer: what the command prints first has the same keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import types
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.paths import ROOT

BLOCK = re.compile(
    r"(?:^<!--\s*not run:\s*(?P<reason>[^\n]*?)\s*-->\s*\n)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
SHARED = ("configs", "examples")
"""What commands name by a path in the repository."""
LINES = 180
"""That a visitor reads at most."""


class Block(NamedTuple):
    language: str
    code: str
    line: int
    reason: str | None  # for which it isn't run
    answer: str | None = None  # JSON that it prints


def blocks(text: str) -> list[Block]:
    """The Python and bash blocks of a Markdown text."""
    found = list(BLOCK.finditer(text))
    return [
        Block(
            m["language"],
            m["code"],
            text.count("\n", 0, m.start("code")) + 1,
            m["reason"],
            _answer(text, m, after) if m["language"] == "bash" else None,
        )
        for m, after in zip_longest(found, found[1:])
        if m["language"] in ("python", "bash")
    ]


def _answer(text: str, block: re.Match[str], after: re.Match[str] | None) -> str | None:
    """The JSON that stands right behind a block."""
    if after is None or after["language"] != "json":
        return None
    return None if text[block.end() : after.start()].strip() else after["code"]


def keys(value: Any) -> Any:
    """A JSON value without its leaves; a list is its first item, and one of numbers is a leaf."""
    if isinstance(value, dict):
        return {name: keys(each) for name, each in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def without_make(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if not re.match(r"\s*make\b", line))


def run_bash(name: str, block: Block, folder: Path) -> None:
    # The tests' own Python, whether or not it has the command installed.
    command = folder / ".bin" / "anymodal"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m anymodal "$@"\n')
    command.chmod(0o755)
    places = (command.parent, Path(sys.executable).parent, os.environ["PATH"])
    programs = os.pathsep.join(map(str, places))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", without_make(block.code)],
        cwd=folder,
        env={**os.environ, "PATH": programs, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = done.stdout[-2000:] + done.stderr[-4000:]
    assert done.returncode == 0, f"{name}, line {block.line}:\n{output}"
    if block.answer is not None:
        printed, _ = json.JSONDecoder().raw_decode(done.stdout)
        assert keys(printed) == keys(json.loads(block.answer)), f"{name}, line {block.line}"


def run_page(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a page's blocks in a folder, in order."""
    page = blocks((ROOT / name).read_text("utf-8"))
    assert all(block.reason != "" for block in page), "say why a block isn't run"
    for shared in SHARED:
        (folder / shared).symlink_to(ROOT / shared)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)  # a module that a block writes is imported from there
    before = {*sys.modules}
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where classes of the blocks live
    try:
        for block in page:
            if block.reason is not None:
                continue
            if block.language == "bash":
                run_bash(name, block, folder)
                continue
            # Blank lines before it, so that an error shows the page's own line.
            code = compile("\n" * (block.line - 1) + block.code, name, "exec")
            exec(code, module.__dict__)
    finally:
        for file in folder.glob("*.pid"):  # of what a block started, and a later one should end
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
        written = {path.stem for path in folder.glob("*.py")}
        for extra in ({*sys.modules} - before) & written:
            del sys.modules[extra]


def pages() -> list[str]:
    """Documents that have blocks to run."""
    paths = sorted((ROOT / "docs").rglob("*.md"))
    return [
        path.relative_to(ROOT).as_posix()
        for path in paths
        if any(block.reason is None for block in blocks(path.read_text("utf-8")))
    ]


def test_blocks_are_found() -> None:
    text = "a\n```bash\nls\n```\n<!-- not run: long -->\n```python\nx = 1\n```\n```yaml\n```\n"
    assert blocks(text) == [
        Block("bash", "ls\n", 3, None),
        Block("python", "x = 1\n", 7, "long"),
    ]
    answered = blocks(
        "```bash\na\n```\n\n```json\n{}\n```\n```bash\nb\n```\nthen\n```json\n1\n```\n"
    )
    assert [block.answer for block in answered] == ["{}\n", None]
    assert keys({"a": [{"b": 1}, 2], "c": []}) == {"a": [{"b": None}], "c": None}
    assert without_make("make demo  # all\nls") == "ls"
    assert len(pages()) >= 8


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert links and all((ROOT / link).exists() for link in links if "://" not in link)


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    languages = {block.language for block in blocks((ROOT / "README.md").read_text("utf-8"))}
    assert languages == {"python", "bash"}
    run_page("README.md", tmp_path, monkeypatch)


@pytest.mark.extended
@pytest.mark.parametrize("name", pages())
def test_a_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(name, tmp_path, monkeypatch)
