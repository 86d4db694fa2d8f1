"""The README's code runs, block after block in one folder, as a reader would run it.

Python blocks share a namespace. A block after `<!-- not run: reason -->` is left out, and so are
`make` lines, which set up what runs this test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.paths import ROOT

BLOCK = re.compile(
    r"(?:^<!--\s*not run:\s*(?P<reason>[^\n]*?)\s*-->\s*\n)?"
    r"^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
SHARED = ("configs", "examples")
"""What the README's commands name by a path in the repository."""


class Block(NamedTuple):
    language: str
    code: str
    line: int
    reason: str | None  # for which it isn't run


def blocks(text: str) -> list[Block]:
    """The Python and bash blocks of a Markdown text."""
    return [
        Block(m["language"], m["code"], text.count("\n", 0, m.start("code")) + 1, m["reason"])
        for m in BLOCK.finditer(text)
        if m["language"] in ("python", "bash")
    ]


def without_make(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if not re.match(r"\s*make\b", line))


def run_bash(block: Block, folder: Path) -> None:
    # The tests' own Python, whether or not it has the command installed.
    commands = f'anymodal() {{ "{sys.executable}" -m anymodal "$@"; }}\n'
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands + without_make(block.code)],
        cwd=folder,
        env={**os.environ, "PATH": programs, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    output = done.stdout[-2000:] + done.stderr[-4000:]
    assert done.returncode == 0, f"README.md, line {block.line}:\n{output}"


def test_blocks_are_found() -> None:
    text = "a\n```bash\nls\n```\n<!-- not run: long -->\n```python\nx = 1\n```\n```yaml\n```\n"
    assert blocks(text) == [
        Block("bash", "ls\n", 3, None),
        Block("python", "x = 1\n", 7, "long"),
    ]
    assert without_make("make demo  # all\nls") == "ls"


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks((ROOT / "README.md").read_text("utf-8"))
    assert {block.language for block in found} == {"python", "bash"}
    assert all(block.reason != "" for block in found), "say why a block isn't run"
    for name in SHARED:
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)  # where classes of the blocks live
    for block in found:
        if block.reason is not None:
            continue
        if block.language == "bash":
            run_bash(block, tmp_path)
            continue
        # Blank lines before it, so that an error shows the README's own line.
        code = compile("\n" * (block.line - 1) + block.code, "README.md", "exec")
        exec(code, module.__dict__)
