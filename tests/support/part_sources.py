"""Source of AnyModal's parts, hashed without comments, docstrings, annotations and layout.

`python -m tests.support.part_sources` writes the hashes into `anymodal/io/part_versions.py`, beside
versions that are raised by hand.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from anymodal.io.part_versions import PART_VERSIONS, part_of
from tests.support.paths import ROOT

TABLE = ROOT / "anymodal" / "io" / "part_versions.py"


def files_of(part: str) -> Iterator[Path]:
    """A part's own files: a module's, or a folder's without those of parts within it."""
    path = ROOT / part.replace(".", "/")
    if path.with_suffix(".py").is_file():
        yield path.with_suffix(".py")
    for file in sorted(path.rglob("*.py")) if path.is_dir() else ():
        if part_of(module_of(file)) == part:
            yield file


def module_of(file: Path) -> str:
    """A file's module, by the name that it is imported under."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


_UNREAD = {"annotation", "returns", "type_params", "type_comment", "kind", "ctx"}
"""Fields of a syntax tree that tell types, and those that differ between Python's releases."""


def code_of(source: str) -> str:
    """A source file's code alone: without comments, docstrings, annotations and layout."""
    return _dump(ast.parse(source))


def _dump(node: object) -> str:
    if isinstance(node, list):
        return f"[{' '.join(_dump(each) for each in node if not _decides_nothing(each))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (_dump(value) for name, value in ast.iter_fields(node) if name not in _UNREAD)
    return f"({type(node).__name__} {' '.join(fields)})"


def _decides_nothing(node: object) -> bool:
    """Return True for a docstring, and for imports for type checks."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def hash_of_part(part: str) -> str:
    """16 hexadecimal digits of the SHA-256 of a part's code."""
    state = hashlib.sha256()
    for file in files_of(part):
        state.update(f"{module_of(file)}\n{code_of(file.read_text('utf-8'))}\n".encode())
    return state.hexdigest()[:16]


def imports_of(part: str) -> set[str]:
    """Modules that a part imports, and names from modules; not those for type checks."""
    modules = set()
    for file in files_of(part):
        tree = ast.parse(file.read_text("utf-8"))
        tree.body = [node for node in tree.body if not _decides_nothing(node)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
    return modules


def main() -> None:
    """Write the hashes of the sources as they are."""
    text = TABLE.read_text("utf-8")
    for part in PART_VERSIONS:
        pattern = rf'("{re.escape(part)}": PartVersion\(\s*\d+, )"\w*"'
        text = re.sub(pattern, rf'\1"{hash_of_part(part)}"', text)
    TABLE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
