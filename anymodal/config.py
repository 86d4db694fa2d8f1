"""Configuration: load, override, validate and instantiate, with OmegaConf underneath.

A *part* is a mapping with `_target_`, a dotted path to a class, function or classmethod, and its
keyword arguments. `validate` binds every part against its signature without building anything,
`instantiate` builds it. `{_part_: name}` stands for the one shared object built from `parts.name`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from anymodal.yaml_files import parse_yaml, read_yaml

TRUSTED = tuple(
    f"anymodal.{name}" for name in ("encoders", "decoders", "heads", "language", "projection")
)
"""Packages whose targets any configuration may name, a downloaded checkpoint's included.

Parts alone: what reads further configurations, runs trainings or writes files isn't among them.
"""


HERE = "${here}"
"""In a configuration file, the folder that it lies in."""


class ConfigError(ValueError):
    """A configuration that can't work; the message names the place and the way out."""


def load(
    path: str | Path, overrides: Iterable[str] = (), schema: type | None = None
) -> dict[str, Any]:
    """Read a YAML file, apply `key=value` overrides, resolve `${…}`, and return plain containers.

    A top-level `base: other.yaml` (or a list of them) is read first and merged under the file.
    `${here}` is the folder of the file that says it, in an override that of `path`. An override of
    a key that doesn't exist is an error with a suggestion, unless it is written `+key=value`. A
    `schema`, a dataclass, gives keys their types and defaults.

    Raises:
        ConfigError: for a missing file, bad YAML, an unknown key or a broken interpolation.
    """
    config = _read(Path(path))
    try:
        if schema is not None:
            config = typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(schema), config))
        for override in overrides:
            _override(config, override, Path(path).parent)
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    assert isinstance(resolved, dict)
    return typing.cast(dict[str, Any], resolved)


def _read(path: Path, above: tuple[Path, ...] = ()) -> DictConfig:
    if path.resolve() in above:
        raise ConfigError(f"{path} is its own base; take it out of `base`")
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")])
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"no configuration file at {path}{hint}")
    try:
        config = read_yaml(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} must hold a mapping at the top, not {type(config).__name__}")
    bases = config.pop("base", [])
    bases = bases if isinstance(bases, list) else [bases]
    if not all(isinstance(base, str) for base in bases):
        raise ConfigError(f"{path}: base must be a file's name or a list of them, not {bases!r}")
    merged: Any = OmegaConf.create({})
    try:
        for base in bases:
            merged = OmegaConf.merge(merged, _read(path.parent / base, (*above, path.resolve())))
        merged = OmegaConf.merge(merged, placed(config, path.parent))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {explain(error)}") from error
    assert isinstance(merged, DictConfig)
    return merged


def placed(node: Any, folder: Path) -> Any:
    """What was read from a file in `folder`, with that folder for every `${here}`."""
    if isinstance(node, dict):
        return {key: placed(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [placed(value, folder) for value in node]
    return node.replace(HERE, str(folder.resolve())) if isinstance(node, str) else node


def _override(config: DictConfig, override: str, folder: Path) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r} is not of the form key=value")
    if key.startswith("+"):
        key = key[1:]
    else:
        _require_key(config, key)
    try:
        value = placed(parse_yaml(text, f"override {override!r}"), folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    OmegaConf.update(config, key, value, merge=True)


def _require_key(config: DictConfig, dotted: str) -> None:
    node: Any = config
    done: list[str] = []
    for name in dotted.split("."):
        # Among the keys: `in` denies those of a schema that have no value yet.
        known = [str(key) for key in node.keys()] if isinstance(node, DictConfig) else []  # noqa: SIM118
        if name not in known:
            place = ".".join(done) or "the configuration"
            raise ConfigError(
                f"{place} has no key {name!r}{suggest(name, known)}"
                f" (write +{dotted}=… to add a new key)"
            )
        node = node._get_node(name)
        done.append(name)


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the known names where none is near."""
    known = sorted(str(k) for k in known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def explain(error: OmegaConfBaseException) -> str:
    """OmegaConf's error in a line: the key, what is wrong, and the nearest right key."""
    line, key = _first_line(error), str(error.full_key or "")
    unknown = isinstance(error, ConfigKeyError | ConfigAttributeError)
    if unknown and dataclasses.is_dataclass(error.object_type):
        known = [field.name for field in dataclasses.fields(error.object_type)]
        return f"there is no key {key!r}{suggest(str(error.key), known)}"
    return f"{key}: {line}" if key and key not in line else line


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def resolve_target(dotted: str, allow: Iterable[str] = ()) -> Callable[..., Any]:
    """The object that a `_target_` names, if its package is trusted or allowed.

    Raises:
        ConfigError: for a package outside the allow-list, or a name that doesn't exist.
    """
    if not isinstance(dotted, str):
        raise ConfigError(f"_target_ must be a dotted path, not {dotted!r}")
    allowed = (*TRUSTED, *allow)
    if not _inside(dotted, allowed):
        raise ConfigError(
            f"_target_ {dotted!r} is outside the allowed packages ({', '.join(allowed)}); if you "
            f"trust it, add its package to `allow:` at the top of your own configuration"
        )
    names = dotted.split(".")
    for split in range(len(names), 0, -1):
        module_name = ".".join(names[:split])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and not module_name.startswith(error.name):
                raise ConfigError(f"_target_ {dotted!r} needs {error.name!r} installed") from error
            continue
        found = _walk_attributes(found, names[split:], dotted)
        home = getattr(found, "__module__", None) or ""
        if not _inside(home, allowed):
            raise ConfigError(f"_target_ {dotted!r} is defined in {home!r}; name it there")
        return typing.cast(Callable[..., Any], found)
    raise ConfigError(f"_target_ {dotted!r}: there is no module {names[0]!r} to import")


def _inside(dotted: str, roots: Iterable[str]) -> bool:
    return any(dotted == root or dotted.startswith(root + ".") for root in roots)


def _walk_attributes(found: Any, names: list[str], dotted: str) -> Any:
    """What a dotted path ends at: a class, a function, or a class's own constructor."""
    for name in names:
        if name.startswith("_") or not hasattr(found, name):
            known = getattr(found, "__all__", None) or [n for n in dir(found) if n[0] != "_"]
            raise ConfigError(f"_target_ {dotted!r}: no {name!r} there{suggest(name, known)}")
        owner, found = found, getattr(found, name)
        if isinstance(found, types.ModuleType):
            raise ConfigError(f"_target_ {dotted!r} reaches into another module; name it directly")
        if inspect.isclass(owner) and inspect.isfunction(found):
            raise ConfigError(f"_target_ {dotted!r} is a method of objects, not of the class")
    if not callable(found):
        raise ConfigError(f"_target_ {dotted!r} is not a class or function")
    return found


def validate(
    node: Any,
    *,
    provided: Iterable[str] = (),
    parts: Iterable[str] = (),
    allow: Iterable[str] = (),
    place: str = "",
) -> None:
    """Check every part in a configuration against its signature, building nothing.

    Args:
        node: a resolved configuration (plain containers).
        provided: names of arguments of this very part that the framework will fill in.
        parts: names of the shared objects that there are.
        allow: packages trusted beside AnyModal's own.
        place: where the node stands, for messages.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            validate(item, parts=parts, allow=allow, place=f"{place}[{index}]")
    if not isinstance(node, Mapping):
        return
    if "_part_" in node:
        _check_part(node, parts, place)
        return
    if "_target_" in node:
        target = resolve_target(node["_target_"], allow)
        given = {key: value for key, value in node.items() if key != "_target_"}
        where = f"{place or 'configuration'} ({node['_target_']})"
        check_arguments(target, given, where, provided)
    for key, value in node.items():
        validate(value, parts=parts, allow=allow, place=f"{place}.{key}".lstrip("."))


def validate_parts(parts: Mapping[str, Any] | None, allow: Iterable[str] = ()) -> list[str]:
    """Check the shared objects, each of which may refer to those before it; their names."""
    known: list[str] = []
    for name, node in (parts or {}).items():
        validate(node, parts=known, allow=allow, place=f"parts.{name}")
        known.append(name)
    return known


def _check_part(node: Mapping[str, Any], parts: Iterable[str], place: str) -> None:
    name = node["_part_"]
    if len(node) > 1:
        raise ConfigError(f"{place} shares {name!r}, so it takes no arguments of its own")
    if name not in parts:
        raise ConfigError(f"{place}: {name!r} is not under `parts` before it{suggest(name, parts)}")


def check_arguments(
    target: Callable[..., Any], given: Mapping[str, Any], where: str, provided: Iterable[str] = ()
) -> None:
    """Bind keyword arguments against a signature, without a call.

    Raises:
        ConfigError: for an unknown argument, a missing one, or one that can't be of its type.
    """
    named = {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name != "self"
    }
    kinds = {parameter.kind for parameter in inspect.signature(target).parameters.values()}
    for name in given:
        if name not in named and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ConfigError(f"{where} takes no {name!r}{suggest(name, named)}")
    filled = {*given, *provided}
    missing = [n for n, p in named.items() if p.default is p.empty and n not in filled]
    if missing:
        raise ConfigError(f"{where} needs {', '.join(missing)}")
    hints = _hints(target)
    for name, value in given.items():
        if name in named and name in hints:
            _check_type(value, hints[name], f"{where}.{name}")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Type hints by argument, without those that only a type checker can resolve."""
    function: Any = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    found: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: hint})
        with contextlib.suppress(NameError, AttributeError):
            found |= typing.get_type_hints(alone, getattr(function, "__globals__", {}))
    return found


def _check_type(value: Any, hint: Any, where: str) -> None:
    """Refuse a value for which the hint has no room; what containers hold isn't looked at."""
    options = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    if not any(_fits(value, option) for option in options):
        names = " or ".join(_PLAIN.get(o, getattr(o, "__name__", str(o))) for o in options)
        raise ConfigError(f"{where} must be {names}, not {value!r}")


def _fits(value: Any, option: Any) -> bool:
    origin = typing.get_origin(option) or option
    if origin is typing.Literal:
        return value in typing.get_args(option)
    if isinstance(value, Mapping) and ("_target_" in value or "_part_" in value):
        return True
    if not inspect.isclass(origin) or origin is object:
        return True  # Any, or a type variable
    if isinstance(value, list | Mapping):
        return origin not in _PLAIN
    return type(value) is origin or (type(value), origin) in _ALIKE


_UNIONS = (typing.Union, types.UnionType)
_PLAIN = {int: "int", float: "float", str: "str", bool: "bool", type(None): "null", Path: "a path"}
_ALIKE = {(int, float), (str, Path)}


def instantiate(
    node: Any, *, parts: dict[str, Any] | None = None, allow: Iterable[str] = (), **extra: Any
) -> Any:
    """Build the object that a part describes, inner parts first.

    Args:
        node: a resolved configuration (plain containers).
        parts: shared objects by name, what `{_part_: name}` stands for.
        allow: packages trusted beside AnyModal's own.
        extra: arguments that the framework fills in where the node doesn't give them.
    """
    if isinstance(node, list):
        return [instantiate(item, parts=parts, allow=allow) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "_part_" in node:
        _check_part(node, parts or {}, "configuration")
        return (parts or {})[node["_part_"]]
    built = {
        key: instantiate(value, parts=parts, allow=allow)
        for key, value in node.items()
        if key != "_target_"
    }
    if "_target_" not in node:
        return built
    return _CALL.get()(resolve_target(node["_target_"], allow), {**extra, **built})


def call(target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Build a part in the plain way."""
    return target(**arguments)


_CALL: ContextVar[Callable[[Callable[..., Any], Mapping[str, Any]], Any]] = ContextVar(
    "call", default=call
)


def current_call() -> Callable[[Callable[..., Any], Mapping[str, Any]], Any]:
    """How `instantiate` builds a part now."""
    return _CALL.get()


@contextlib.contextmanager
def calling(
    how: Callable[[Callable[..., Any], Mapping[str, Any]], Any],
) -> Iterator[None]:
    """Within it, `instantiate` builds a part by `how(target, arguments)`, however deep it lies.

    A model's parts are named in files that its own `_target_` reads, so nobody can hand it down.
    """
    before = _CALL.set(how)
    try:
        yield
    finally:
        _CALL.reset(before)


def build_parts(parts: Mapping[str, Any] | None, allow: Iterable[str] = ()) -> dict[str, Any]:
    """Build the shared objects in order; a later one may refer to an earlier one."""
    built: dict[str, Any] = {}
    for name, node in (parts or {}).items():
        built[name] = instantiate(node, parts=built, allow=allow)
    return built
