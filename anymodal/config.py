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
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from anymodal.typed import ConfigError as ConfigError
from anymodal.typed import check_argument, check_schema
from anymodal.typed import shown as shown
from anymodal.typed import suggest as suggest
from anymodal.yaml_files import parse_yaml, read_yaml

Schema = TypeVar("Schema")

TRUSTED = tuple(
    f"anymodal.{name}" for name in ("encoders", "decoders", "heads", "language", "projection")
)
"""Packages whose targets any configuration may name, a downloaded checkpoint's included.

Parts alone: what reads further configurations, runs trainings or writes files isn't among them.
"""


HERE = "${here}"
"""In a configuration file, the folder that it lies in."""


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
    with _explained(str(path)):
        if schema is not None:
            check_schema(schema, OmegaConf.to_container(config, resolve=False))
            config = typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(schema), config))
        for override in overrides:
            _override(config, override, Path(path).parent, schema)
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    return typing.cast(dict[str, Any], resolved)


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Within it, what OmegaConf refuses is a `ConfigError`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{place}: {explain(error)}") from error
    except (TypeError, ValueError, RecursionError) as error:  # OmegaConf's own, in merging
        raise ConfigError(f"{place}: {_first_line(error)}") from error


def structured(schema: type[Schema], config: Mapping[str, Any], place: str) -> Schema:
    """A schema's object with a configuration's values.

    Raises:
        ConfigError: for an unknown key (with a suggestion), a missing one or a wrong type.
    """
    with _explained(place):
        check_schema(schema, config)
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(dict(config)))
        found = OmegaConf.to_object(merged)
    assert isinstance(found, schema)
    return found


def _read(path: Path, above: tuple[Path, ...] = ()) -> DictConfig:
    if not _exists(path):
        raise ConfigError(
            f"no configuration file at {shown(str(path), 500)[1:-1]}{_neighbour(path)}"
        )
    if path.resolve() in above:
        raise ConfigError(f"{path} is its own base; take it out of `base`")
    try:
        config = read_yaml(path)
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder; name a configuration file") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} must hold a mapping at the top, not {type(config).__name__}")
    bases = config.pop("base", [])
    bases = bases if isinstance(bases, list) else [bases]
    if not all(isinstance(base, str) for base in bases):
        raise ConfigError(
            f"{path}: base must be a file's name or a list of them, not {shown(bases)}"
        )
    below = [_read(path.parent / base, (*above, path.resolve())) for base in bases]
    with _explained(str(path)):
        merged = OmegaConf.merge(OmegaConf.create({}), *below, placed(config, path.parent))
    assert isinstance(merged, DictConfig)
    return merged


def _neighbour(path: Path) -> str:
    if not _exists(path.parent):
        return ""
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")])
    return f"; did you mean {near[0]}?" if near else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def placed(node: Any, folder: Path) -> Any:
    """What was read from a file in `folder`, with that folder for every `${here}`."""
    if isinstance(node, dict):
        return {key: placed(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [placed(value, folder) for value in node]
    return node.replace(HERE, str(folder.resolve())) if isinstance(node, str) else node


def _override(config: DictConfig, override: str, folder: Path, schema: type | None) -> None:
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
    if schema is not None:
        nested = value
        for name in reversed(key.split(".")):
            nested = {name: nested}
        check_schema(schema, nested)
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
        raise ConfigError(f"_target_ must be a dotted path, not {shown(dotted)}")
    if len(dotted) > 300 or not all(name.isidentifier() for name in dotted.split(".")):
        raise ConfigError(f"_target_ {shown(dotted)} is no dotted path")
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
    base: type | None = None,
) -> None:
    """Check every part in a configuration against its signature, building nothing.

    Args:
        node: a resolved configuration (plain containers).
        provided: names of arguments of this very part that the framework will fill in.
        parts: names of the shared objects that there are.
        allow: packages trusted beside AnyModal's own.
        place: where the node stands, for messages.
        base: what this very part must be; see `check_base`.

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
        if base is not None:
            check_base(target, base, where)
        check_arguments(target, given, where, provided)
    for key, value in node.items():
        validate(value, parts=parts, allow=allow, place=f"{place}.{key}".lstrip("."))


def check_base(target: Callable[..., Any], base: type, where: str) -> None:
    """Refuse a class that isn't a base's, a constructor of one, or a function that says it gives
    something else. What a function gives without saying it is known only once it is built.

    Raises:
        ConfigError: naming what it must be.
    """
    made: Any = target
    if inspect.ismethod(target):
        made = target.__self__
    elif not inspect.isclass(target):
        hint = _hints(target).get("return")
        made = typing.get_origin(hint) or hint
    if inspect.isclass(made) and not issubclass(made, base):
        raise ConfigError(f"{where} must be of class {base.__name__}, not {made.__name__}")


def validate_parts(parts: Mapping[str, Any] | None, allow: Iterable[str] = ()) -> list[str]:
    """Check the shared objects, each of which may refer to those before it; their names."""
    if not isinstance(parts or {}, Mapping):
        raise ConfigError(f"parts must be a mapping by name, not {shown(parts)}")
    known: list[str] = []
    for name, node in (parts or {}).items():
        validate(node, parts=known, allow=allow, place=f"parts.{name}")
        known.append(name)
    return known


def _check_part(node: Mapping[str, Any], parts: Iterable[str], place: str) -> None:
    name = node["_part_"]
    if len(node) > 1:
        raise ConfigError(f"{place} shares {name!r}, so it takes no arguments of its own")
    if not isinstance(name, str) or name not in parts:
        raise ConfigError(
            f"{place}: {shown(name)} is not under `parts` before it{suggest(name, parts)}"
        )


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
        open_ended = isinstance(name, str) and inspect.Parameter.VAR_KEYWORD in kinds
        if name not in named and not open_ended:
            raise ConfigError(f"{where} takes no {shown(name)}{suggest(name, named)}")
    filled = {*given, *provided}
    missing = [n for n, p in named.items() if p.default is p.empty and n not in filled]
    if missing:
        raise ConfigError(f"{where} needs {', '.join(missing)}")
    hints = _hints(target)
    for name, value in given.items():
        if name in named and name in hints:
            check_argument(value, hints[name], f"{where}.{name}")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Type hints by argument, without those that only a type checker can resolve."""
    function: Any = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    found: dict[str, Any] = {}
    for name, hint in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: hint})
        with contextlib.suppress(NameError, AttributeError):
            found |= typing.get_type_hints(alone, getattr(function, "__globals__", {}))
    return found


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
