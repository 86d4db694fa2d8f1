"""Configuration: load, override, validate and instantiate, with OmegaConf underneath.

A *part* is a mapping with `_target_`, a dotted path to a class, function or classmethod, and its
keyword arguments. `validate` binds every part against its signature without building anything,
`instantiate` builds it. `{_part_: name}` stands for the one shared object built from `parts.name`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

TRUSTED = ("anymodal",)
"""Packages whose targets any configuration may name, a downloaded checkpoint's included."""


class ConfigError(ValueError):
    """A configuration that can't work; the message names the place and the way out."""


def load(
    path: str | Path, overrides: Iterable[str] = (), schema: type | None = None
) -> dict[str, Any]:
    """Read a YAML file, apply `key=value` overrides, resolve `${…}`, and return plain containers.

    A top-level `base: other.yaml` (or a list of them) is read first and merged under the file.
    `${here}` is the folder of the file. An override of a key that doesn't exist is an error with a
    suggestion, unless it is written `+key=value`. A `schema`, a dataclass, gives keys their types
    and defaults.

    Raises:
        ConfigError: for a missing file, bad YAML, an unknown key or a broken interpolation.
    """
    config = _read(Path(path))
    try:
        if schema is not None:
            config = typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(schema), config))
        for override in overrides:
            _override(config, override)
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {_first_line(error)}") from error
    assert isinstance(resolved, dict)
    return typing.cast(dict[str, Any], resolved)


def _read(path: Path) -> DictConfig:
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")])
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"no configuration file at {path}{hint}")
    try:
        config = OmegaConf.load(path)
    except Exception as error:  # yaml's own errors have no common public base
        raise ConfigError(f"{path} is not valid YAML: {_first_line(error)}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{path} must hold a mapping at the top, not {type(config).__name__}")
    bases = config.pop("base", [])
    merged = OmegaConf.create({})
    for base in [bases] if isinstance(bases, str) else bases:
        merged = OmegaConf.merge(merged, _read(path.parent / base))
    merged = OmegaConf.merge(merged, config, {"here": str(path.parent.resolve())})
    assert isinstance(merged, DictConfig)
    return merged


def _override(config: DictConfig, override: str) -> None:
    key, separator, _ = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r} is not of the form key=value")
    if key.startswith("+"):
        override, key = override[1:], key[1:]
    else:
        _require_key(config, key)
    value = OmegaConf.from_dotlist([override])
    OmegaConf.update(config, key, OmegaConf.select(value, key), merge=True)


def _require_key(config: DictConfig, dotted: str) -> None:
    node: Any = config
    done: list[str] = []
    for name in dotted.split("."):
        if not isinstance(node, DictConfig) or name not in node:
            known = [str(k) for k in node] if isinstance(node, DictConfig) else []
            place = ".".join(done) or "the configuration"
            raise ConfigError(
                f"{place} has no key {name!r}{suggest(name, known)}"
                f" (write +{dotted}=… to add a new key)"
            )
        node = node._get_node(name) if not isinstance(node[name], DictConfig) else node[name]
        done.append(name)


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the known names where none is near."""
    known = sorted(str(k) for k in known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def resolve_target(dotted: str, allow: Iterable[str] = ()) -> Callable[..., Any]:
    """The object that a `_target_` names, if its package is trusted or allowed.

    Raises:
        ConfigError: for a package outside the allow-list, or a name that doesn't exist.
    """
    allowed = (*TRUSTED, *allow)
    if not any(dotted == root or dotted.startswith(root + ".") for root in allowed):
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
        return _walk_attributes(found, names[split:], dotted)
    raise ConfigError(f"_target_ {dotted!r}: there is no module {names[0]!r} to import")


def _walk_attributes(found: Any, names: list[str], dotted: str) -> Callable[..., Any]:
    for name in names:
        # A target may not reach through a module into what that module merely imported.
        if name.startswith("_") or not hasattr(found, name):
            known = getattr(found, "__all__", None) or [n for n in dir(found) if n[0] != "_"]
            raise ConfigError(f"_target_ {dotted!r}: no {name!r} there{suggest(name, known)}")
        found = getattr(found, name)
        if isinstance(found, types.ModuleType):
            raise ConfigError(f"_target_ {dotted!r} reaches into another module; name it directly")
    if not callable(found):
        raise ConfigError(f"_target_ {dotted!r} is not a class or function")
    home = getattr(found, "__module__", None) or ""
    if home.split(".")[0] != dotted.split(".")[0]:
        raise ConfigError(f"_target_ {dotted!r} is defined in {home!r}; name it there")
    return typing.cast(Callable[..., Any], found)


def validate(
    node: Any, *, provided: Iterable[str] = (), allow: Iterable[str] = (), place: str = ""
) -> None:
    """Check every part in a configuration against its signature, building nothing.

    Args:
        node: a resolved configuration (plain containers).
        provided: names of arguments of this very part that the framework will fill in.
        allow: packages trusted beside AnyModal's own.
        place: where the node stands, for messages.

    Raises:
        ConfigError: naming the place, the wrong key and the nearest right one.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            validate(item, allow=allow, place=f"{place}[{index}]")
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        _bind(node, provided, allow, place)
    for key, value in node.items():
        validate(value, allow=allow, place=f"{place}.{key}".lstrip("."))


def _bind(
    node: Mapping[str, Any], provided: Iterable[str], allow: Iterable[str], place: str
) -> None:
    target = resolve_target(node["_target_"], allow)
    signature = inspect.signature(target)
    given = {key: value for key, value in node.items() if key != "_target_"}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    known = [n for n, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    where = f"{place or 'configuration'} ({node['_target_']})"
    for name in given:
        if name not in known and not open_ended:
            raise ConfigError(f"{where} takes no {name!r}{suggest(name, known)}")
    needed = [
        name
        for name, p in signature.parameters.items()
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    missing = [name for name in needed if name not in given and name not in set(provided)]
    if missing:
        raise ConfigError(f"{where} needs {', '.join(missing)}")
    hints = _hints(target)
    for name, value in given.items():
        _check_type(value, hints.get(name), f"{where}.{name}")


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target  # type: ignore[misc]
    try:
        return typing.get_type_hints(function)
    except NameError:  # a hint imported for type checking only can't be resolved here
        return {}


def _check_type(value: Any, hint: Any, where: str) -> None:
    """Refuse a scalar where the hint's union of plain types has no room for it."""
    options = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    plain = {int, float, str, bool, type(None)}
    if not options or any(option not in plain for option in options):
        return
    if isinstance(value, bool):
        fits = bool in options
    elif isinstance(value, int):
        fits = int in options or float in options
    else:
        fits = type(value) in options
    if not fits and not (isinstance(value, Mapping) and "_target_" in value):
        names = " or ".join("null" if o is type(None) else o.__name__ for o in options)
        raise ConfigError(f"{where} must be {names}, not {value!r}")


_UNIONS = (typing.Union, types.UnionType)


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
        name = node["_part_"]
        if name not in (parts or {}):
            raise ConfigError(f"_part_ {name!r} is not under `parts`{suggest(name, parts or {})}")
        return (parts or {})[name]
    built = {
        key: instantiate(value, parts=parts, allow=allow)
        for key, value in node.items()
        if key != "_target_"
    }
    if "_target_" not in node:
        return built
    return resolve_target(node["_target_"], allow)(**{**extra, **built})


def build_parts(config: Mapping[str, Any], allow: Iterable[str] = ()) -> dict[str, Any]:
    """The shared objects under `parts`, in order; a later one may refer to an earlier one."""
    parts: dict[str, Any] = {}
    for name, node in (config.get("parts") or {}).items():
        parts[name] = instantiate(node, parts=parts, allow=allow)
    return parts
