"""The rules of ARCHITECTURE.md that a program can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "anymodal": "anymodal",
    "encoders": "anymodal.encoders",
    "decoders": "anymodal.decoders",
}
"""Folders at the top and what they are imported as."""

LAYERS = [
    {
        *("torchaudio_fix", "types", "media", "config", "checkpoint", "keep", "processes"),
        *("shards", "sources", "hub", "devices", "yaml_files", "messages", "parts", "recorded"),
        *("locks", "ranges", "folder_check", "typed"),
    },
    {"encoders", "decoders"},
    {
        *(
            "projection",
            "heads",
            "sandbox",
            "sandbox_budget",
            "sandbox_syntax",
            "template",
            "language",
            "pretrained",
            "gguf_files",
            "probes",
            "signals",
            "prompt",
            "packing",
        ),
        *("cache", "sampling", "generation"),
    },
    {"modality"},
    {
        *("model", "composition", "saving", "description", "placement", "model_config", "bounded"),
    },
    {
        "chat",
        "orders",
        "session",
        "page",
        "training",
        "data",
        "evaluation",
        "demo",
        "embedding",
        "published",
        "planning",
    },
    {"commands", "cli", "__main__"},
]
"""Parts of the package, lowest first; a part imports from its own layer and those below."""

DOORS = {("model", "chat")}
"""`AnyModal.chat` is the door to a layer above; it is imported in the method, and only there."""

NAMED_FREELY = (
    *("anymodal.encoders", "anymodal.decoders", "anymodal.media", "anymodal.data.toybox"),
    "anymodal.published",  # others' checkpoints name theirs
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
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imports(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[str, int, bool]]:
    """What a module imports when it runs: name, line, and whether only within a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            for alias in node.names:
                inner = f"{home}.{alias.name}"
                yield (inner if inner in MODULES else home), node.lineno, lazy
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from imports(node, lazy or inside)


def part_of(module: str) -> str | None:
    """The part of the package that a module belongs to; None for the package itself."""
    return next(iter(module.split(".")[1:]), None)


def layer_of(part: str) -> int:
    return next(index for index, parts in enumerate(LAYERS) if part in parts)


def test_every_part_has_one_layer() -> None:
    placed = sorted(part for layer in LAYERS for part in layer)
    parts = {part for name in MODULES if (part := part_of(name)) is not None}
    assert len(placed) == len(set(placed))
    assert parts <= set(placed), f"give {parts - set(placed)} a place in LAYERS"


def test_imports_go_one_way() -> None:
    wrong = []
    for name, tree in TREES.items():
        source = part_of(name)
        for target, line, lazy in imports(tree):
            wanted = part_of(target) if target.split(".")[0] == "anymodal" else None
            if source is None or wanted is None or (lazy and (source, wanted) in DOORS):
                continue
            if layer_of(wanted) > layer_of(source):
                wrong.append(f"{MODULES[name].relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_the_check_of_imports_sees_one() -> None:
    tree = ast.parse(
        "def f():\n    from anymodal import chat\nif TYPE_CHECKING:\n    import torch\n"
    )
    assert list(imports(tree)) == [("anymodal.chat", 2, True)]


def test_encoders_and_decoders_are_never_imported_bare() -> None:
    paths = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in paths
        for name, line, _ in imports(ast.parse(path.read_text("utf-8")))
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
        for module, tree in TREES.items()
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
        if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts:
            yield path


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
