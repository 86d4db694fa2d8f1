"""The rules of ARCHITECTURE.md that a program can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = {
    "anymodal": "anymodal",
    "encoders": "anymodal.encoders",
    "decoders": "anymodal.decoders",
}
"""Folders at the top and what they are imported as."""

LAYERS = (
    *("config", "distributed", "media", "io", "types", "encoders", "decoders", "language"),
    *("projection", "fusion", "heads", "modality", "core", "composition", "chat", "model"),
    *("metrics", "data", "training", "evaluation", "tools", "serving", "toybox", "cli", "__main__"),
)
"""Folders and root modules, lowest first; an import goes from a later one to an earlier one."""

NAMED_FREELY = (
    *("anymodal.encoders", "anymodal.decoders", "anymodal.media", "anymodal.toybox"),
    "anymodal.language.families",  # so do multimodal models and their settings
    "anymodal.tools.convert",  # others' checkpoints name theirs
    # So do fields of others' clients.
    *("anymodal.serving.api", "anymodal.serving.client", "anymodal.serving.mcp"),
    # And the columns of published benchmarks, and of requests of their harness.
    *("anymodal.evaluation.benchmarks", "anymodal.evaluation.lmms"),
)
NAMES = {"image", "images", "audio", "audios", "video", "videos", "imu", "imus"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package: its name and file, links not followed."""
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder)
            if folder == "anymodal" and inside.parts[0] in PACKAGES:
                continue  # the links, which rglob follows on Python 3.12 and before
            names = [name for name in inside.with_suffix("").parts if name != "__init__"]
            yield ".".join([package, *names]), path


MODULES = dict(modules())


@cache
def trees() -> dict[str, ast.Module]:
    """Every module's syntax tree, by name."""
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """What a module imports, within functions and for type checks too: name and line."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            for alias in node.names:
                inner = f"{home}.{alias.name}"
                yield (inner if inner in MODULES else home), node.lineno
        yield from imports(node)


def part_of(module: str) -> str | None:
    """The folder or root module that a module belongs to; None for the package itself."""
    return next(iter(module.split(".")[1:]), None)


def test_every_folder_is_a_layer() -> None:
    parts = {part for name in MODULES if (part := part_of(name)) is not None}
    assert parts <= set(LAYERS), f"give {parts - set(LAYERS)} a place in LAYERS"


def test_imports_go_one_way() -> None:
    wrong = []
    for name, tree in trees().items():
        source = part_of(name)
        for target, line in imports(tree):
            wanted = part_of(target) if target.split(".")[0] == "anymodal" else None
            if source is None or wanted is None:
                continue
            if LAYERS.index(wanted) > LAYERS.index(source):
                wrong.append(f"{MODULES[name].relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_the_check_of_imports_sees_one() -> None:
    tree = ast.parse(
        "def f():\n    from anymodal import chat\nif TYPE_CHECKING:\n    import torch\n"
    )
    assert list(imports(tree)) == [("anymodal.chat", 2), ("torch", 4)]


def test_no_module_imports_itself_in_a_circle() -> None:
    """Lazy package exports (`__init__`) stand outside: they import what they name when asked."""
    graph = {
        name: {target for target, _ in imports(tree) if target in MODULES and target != name}
        for name, tree in trees().items()
        if MODULES[name].name != "__init__.py"
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def test_encoders_and_decoders_are_never_imported_bare() -> None:
    paths = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    texts = {path: path.read_text("utf-8") for path in paths}
    read = {MODULES[name]: tree for name, tree in trees().items()} | {
        # A word of its own, with no package before it: the others needn't be parsed.
        path: ast.parse(text)
        for path, text in texts.items()
        if re.search(r"(?<![.\w])(en|de)coders\b", text)
    }
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, tree in read.items()
        for name, line in imports(tree)
        if name.split(".")[0] in {"encoders", "decoders"}
    ]
    assert not wrong, "\n".join(wrong)


def words(identifier: str) -> set[str]:
    """The words of a name in snake, camel or capitals, lower case; ImageBind is a proper name."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier.replace("ImageBind", ""))
    return {part.lower() for part in parts}


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names in a program, with their lines; a string that could be a name counts as one."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, line
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, line
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                yield name, line
            case ast.keyword(arg=str(name)):
                yield name, line
            case ast.alias(name=name, asname=other):
                yield other or name, line
            case ast.Constant(value=str(name)) if name.isidentifier():
                yield name, line


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def image_loss(x): ...", True),
        ("loss = {'audio': 1}", True),
        ("for videos in x: ...", True),
        ("class IMUHead: ...", True),
        ("f(image=1)", True),
        ("from anymodal.media import Image", True),
        ("from anymodal.encoders import ImageBind", False),
        ("import torchaudio", False),
        ("'a sentence on an image'", False),
    ],
)
def test_the_check_of_names_sees_them(code: str, found: bool) -> None:
    assert any(words(name) & NAMES for name, _ in identifiers(ast.parse(code))) == found


def test_the_core_names_no_modality() -> None:
    wrong = [
        f"{MODULES[module].relative_to(ROOT)}:{line} {name}"
        for module, tree in trees().items()
        if not f"{module}.".startswith(tuple(f"{free}." for free in NAMED_FREELY))
        for name, line in identifiers(tree)
        if words(name) & NAMES
    ]
    assert not wrong, "modalities live in mappings by name:\n" + "\n".join(wrong)


TEXTS = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".in", ".jinja", ""}
TREE = ("anymodal", "encoders", "decoders", "configs", "tests", "examples", ".ci")


def texts() -> Iterator[Path]:
    """The text files of the tree: those at the top, and those in its folders."""
    found = [*ROOT.iterdir(), *(p for folder in TREE for p in (ROOT / folder).rglob("*"))]
    for path in found:
        # A work tree's `.git` is a file, and names where its repository lies.
        if (
            path.is_file()
            and path.suffix in TEXTS
            and {"__pycache__", ".git"}.isdisjoint(path.parts)
        ):
            yield path


def test_only_the_command_line_prints() -> None:
    """What the rest has to say goes through `logging.getLogger("anymodal")`."""
    printing = [
        f"{name}:{node.lineno}"
        for name, tree in trees().items()
        if part_of(name) != "cli"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "print"
    ]
    assert not printing, "\n".join(printing)


def test_no_path_of_one_machine_stands_in_the_tree() -> None:
    homes = "|".join(["work", "root", "home", "Users", "opt", "mnt"])
    pattern = re.compile(rf"(?<![\w.~/$}}])/(?:{homes})/\w")
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "Makefile", ".ci/run"])
def test_set_up_names_no_package_index(name: str) -> None:
    hosts = re.compile(r"https?://|file://|index-url|find-links|trusted-host", re.IGNORECASE)
    assert not hosts.search((ROOT / name).read_text("utf-8"))
