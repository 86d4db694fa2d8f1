"""The code that computes a result: versions of parts and libraries, and users' own source."""

from __future__ import annotations

import ast
import hashlib
import json
import site
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import resolve_name
from pathlib import Path
from types import FunctionType, MethodType, ModuleType

from torch import Tensor, nn

from anymodal import __version__
from anymodal.io.part_versions import PART_VERSIONS, WITHOUT_RESULTS, part_of, with_dependencies

LIBRARIES = (
    *("torch", "torchaudio", "torchvision", "transformers", "diffusers", "tokenizers", "timm"),
    *("sentencepiece", "numpy", "scipy", "pillow", "soundfile", "av", "peft"),
)
"""Libraries that compute cached results, or decode and prepare the media they are of."""

UNKNOWN = ""
"""Stands for the version of code that can't be told: nothing computed by it may be found later."""

Kind = type | FunctionType
"""Objects with code: classes and functions."""

_STARTED = time.time_ns()
_SITES = (*site.getsitepackages(), site.getusersitepackages())
_STANDARD = sysconfig.get_path("stdlib")


@cache
def library_versions() -> dict[str, str | None]:
    """Versions of `LIBRARIES`; None for one that isn't installed."""
    return {name: _version(name) for name in LIBRARIES}


@cache
def _version(name: str) -> str | None:
    """An installed library's version, and the commit or archive where it came from one."""
    try:
        library = distribution(name)
    except PackageNotFoundError:
        return None
    return f"{library.version} {library.read_text('direct_url.json') or ''}".rstrip()


def code_versions(objects: Iterable[object]) -> dict[str, str]:
    """Versions of the code behind objects, by the name of what has the version.

    - a class that states one as `cache_version`: that, for the class itself and no subclass;
    - AnyModal's own parts: their version in `PART_VERSIONS`;
    - an installed library: its release;
    - everything else: a hash of the source file, and of files that it imports, or `UNKNOWN` where
      there is no file, or one that changed after this process had started.

    Args:
        objects: torch modules, which count with their sub-modules, and others; each with the
            objects and functions that it has as attributes.
    """
    class_versions: dict[str, str] = {}
    modules: set[str] = set()
    for kind in {kind for each in objects for kind in _kinds_of(each)}:
        # In its own dictionary: a subclass that overrides a method must not inherit the version.
        version = vars(kind).get("cache_version") if isinstance(kind, type) else None
        if version is None:
            modules.add(kind.__module__)
        else:
            class_versions[f"{kind.__module__}.{kind.__qualname__}"] = f"version {version}"
    return class_versions | module_versions(modules)


def modules_of(objects: Iterable[object]) -> list[str]:
    """The names of the Python modules that define the classes and functions behind objects."""
    return sorted({kind.__module__ for each in objects for kind in _kinds_of(each)})


def module_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of Python modules' code, in memory or not, as `code_versions` tells them."""
    versions: dict[str, str] = {}
    todo, visited = list(names), set[str]()
    while todo:
        if (name := todo.pop()) not in visited:
            visited.add(name)
            more, imported = _versions_of(name)
            versions |= more
            todo += imported
    return versions


def _kinds_of(top: object) -> Iterator[Kind]:
    """The classes that an object and what it holds are of, and functions among that."""
    yield from _kinds_behind(top)
    if isinstance(top, type):
        return
    # Attributes too, since what prepares media or picks tokens is often no module.
    for each in top.modules() if isinstance(top, nn.Module) else (top,):
        yield from type(each).__mro__
        for value in getattr(each, "__dict__", {}).values():
            yield from _kinds_behind(value)


def _kinds_behind(value: object) -> Iterator[Kind]:
    if isinstance(value, dict | list | tuple | set | frozenset):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _kinds_behind(inner)
    elif isinstance(value, partial):
        yield from _kinds_behind((value.func, value.args, value.keywords))
    elif isinstance(value, MethodType):
        yield from (*type(value.__self__).__mro__, *_kinds_behind(value.__func__))
    elif isinstance(value, FunctionType):
        yield value
    elif not isinstance(value, nn.Module | Tensor):  # modules are gone through by themselves
        yield from (value if isinstance(value, type) else type(value)).__mro__


def _versions_of(name: str) -> tuple[Mapping[str, str], Iterable[str]]:
    """The versions of a Python module's code, and the modules whose code counts with it."""
    top = name.partition(".")[0]
    if (part := part_of(name)) is not None:
        return {p: f"version {PART_VERSIONS[p].version}" for p in with_dependencies(part)}, ()
    if top == "anymodal":
        return ({} if name.startswith(WITHOUT_RESULTS) else {top: __version__}), ()
    path = file_of(name)
    if path is None:
        return _without_file(name, top), ()
    if (release := _release(top, path)) is not None:
        return release, ()
    source = _read_source(path)
    if source is None:
        return {name: UNKNOWN}, ()
    imported = _imports(name, source) if path.suffix == ".py" else ()
    return {name: hashlib.sha256(source).hexdigest()}, [*imported, *_referred(name)]


@cache
def is_library(name: str) -> bool:
    """Return whether a module is AnyModal's, Python's or a library's, so that a version counts."""
    path = file_of(name)
    if name.partition(".")[0] == "anymodal" or path is None:
        return name != "__main__"
    return _release(name.partition(".")[0], path) is not None


def _without_file(name: str, top: str) -> Mapping[str, str]:
    """Versions for a module that is compiled into a program, absent, or of a notebook."""
    if top in sys.stdlib_module_names and top != "__main__":
        return {}
    path = file_of(top)
    release = None if path is None else _release(top, path)
    if release is not None:
        return release
    if name not in sys.modules:
        return {name: "absent"}  # what is imported only where it is installed
    # A namespace package has no code; a module without a file is typed into a notebook.
    return {} if hasattr(sys.modules[name], "__path__") else {name: UNKNOWN}


def _release(top: str, path: Path) -> Mapping[str, str] | None:
    """The release that a file came with: of a library, or nothing for Python's own; else None."""
    if not str(path).startswith(_SITES):
        return {} if str(path).startswith(_STANDARD) else None
    name = _owner(top, path)
    names = _distributions().get(top, []) if name is None else [name]
    # A file that somebody put there by hand, or a copy of a folder: only its source tells.
    if not names or any(map(_is_from_a_folder, names)):
        return None
    return {name: str(_version(name)) for name in names}


def _owner(top: str, path: Path) -> str | None:
    """The library of a top module's own name, if it lists a file of it; asked first, since to ask
    all libraries takes half a second.
    """
    name, lines = _record(top)
    site = next((each for each in _SITES if str(path).startswith(each)), "")
    listed = path.relative_to(site).as_posix() if site else str(path)
    return name if f"\n{listed}," in lines else None


@cache
def _record(name: str) -> tuple[str, str]:
    """A library's name as it writes it, and its list of files; nothing where there is none."""
    try:
        library = distribution(name)
    except (PackageNotFoundError, ValueError):
        return "", ""
    return library.metadata["Name"], "\n" + (library.read_text("RECORD") or "")


@cache
def _distributions() -> Mapping[str, list[str]]:
    return {top: sorted(set(names)) for top, names in packages_distributions().items()}


@cache
def _is_from_a_folder(name: str) -> bool:
    """Return whether a library was installed from a folder, whose content has no version."""
    text = distribution(name).read_text("direct_url.json")
    return text is not None and "dir_info" in json.loads(text)


def _read_source(path: Path) -> bytes | None:
    """A file's bytes; None where the code in memory may be older than they are."""
    try:
        status = path.stat()
        # Both, since a copy may keep the time of content, and nobody can set the other.
        change_time = max(status.st_mtime_ns, status.st_ctime_ns)
        return path.read_bytes() if change_time < _STARTED else None
    except OSError:
        return None


def file_of(name: str) -> Path | None:
    """The file of a Python module, in memory or not; one that isn't is not run for it."""
    if (module := sys.modules.get(name)) is not None:
        path = getattr(module, "__file__", None)
        return None if path is None else Path(path)
    # Found as an import would, but not run: a cache key must have no side effects.
    spec = _spec_of(name)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _spec_of(name: str) -> ModuleSpec | None:
    parent = name.rpartition(".")[0]
    if not parent:
        return PathFinder.find_spec(name)
    places = getattr(sys.modules.get(parent), "__path__", None)
    if places is None and (above := _spec_of(parent)) is not None:
        places = above.submodule_search_locations
    return None if places is None else PathFinder.find_spec(name, list(places))


def _imports(name: str, source: bytes) -> Iterator[str]:
    """Modules that a source file imports, at its top or inside functions."""
    module = sys.modules.get(name)
    package = getattr(module, "__package__", None) or name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            yield base
            # A name may be a module's, or that of something within one.
            below = (f"{base}.{alias.name}" for alias in node.names)
            yield from (each for each in below if file_of(each) is not None)


def _referred(name: str) -> Iterator[str]:
    """Modules that a module in memory refers to, however it came by them."""
    for value in vars(sys.modules[name]).values() if name in sys.modules else ():
        home = (
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        )
        if isinstance(home, str):
            yield home
