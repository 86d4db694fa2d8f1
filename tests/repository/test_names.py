"""Public names: what can be imported has a name of its own in the package."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

COMMANDS = {"add_arguments", "run"}
"""What every module of a command has, since the command line calls them."""


def modules() -> Iterator[Path]:
    """Every module of the package by its file, without the links to encoders and decoders."""
    links = [ROOT / "anymodal" / name for name in ("encoders", "decoders")]
    for folder in ("anymodal", "encoders", "decoders"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if not any(file.is_relative_to(link) for link in links):
                yield file


def test_public_classes_and_functions_have_names_of_their_own() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for file in modules():
        for node in ast.parse(file.read_text("utf-8")).body:
            defined = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if defined and not node.name.startswith("_"):
                places[node.name].add(str(file.relative_to(ROOT)))
    assert len(places) > 500, "the modules were found"
    twice = {name: where for name, where in places.items() if len(where) > 1}
    new = twice.keys() - COMMANDS
    assert not new, {name: twice[name] for name in new}


def documented_arguments(docstring: str) -> list[str]:
    """The names under a docstring's `Args:`."""
    _, _, rest = docstring.partition("\nArgs:\n")
    entries = re.split(r"\n\n|\n(?=\S)", rest)[0]
    return [
        name.strip().lstrip("*")
        for names in re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", entries, re.M)
        for name in names.split(",")
    ]


def test_documented_arguments_are_those_of_the_signature() -> None:
    documented = 0
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = documented_arguments(ast.get_docstring(node) or "")
            arguments = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
            documented += len(names)
            assert set(names) <= arguments, f"{file.name}, line {node.lineno}: {node.name}"
    assert documented > 500, "they were found"
