"""YAML read within limits, and written so that it reads back alike."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import yaml

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 50
"""Far more than a configuration needs, and so little that none keeps a reader busy for long."""

_BASE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
_MERGE = "<<"


def read_yaml(path: Path) -> object:
    """The content of a YAML file: mappings, lists, texts, numbers, truth values and null.

    Numbers and words are told apart as OmegaConf does it: 1e-3 is a number, a date is a text.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is no file, beyond the limits (`MAX_BYTES` in all, `MAX_NODES` values
            with each alias counted as what it stands for, `MAX_DEPTH` levels), or not such YAML.
    """
    # Not blocking: opening a pipe would wait for somebody who writes to it.
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no regular file; name a YAML file")
        data = file.read(MAX_BYTES + 1)  # not by the file's size, which may grow meanwhile
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES >> 20} MiB, which no configuration is")
    try:
        text = data.decode("utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid YAML: it is not in UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> object:
    """The same for a text; messages call it by its name.

    Raises:
        ValueError: see `read_yaml`.
    """
    try:
        _check(text)
        return yaml.load(text, _Loader)
    except Exception as error:  # PyYAML raises whatever int() or a look-up does
        raise ValueError(f"{name} is not valid YAML: {_reason(error)}") from error


def dump_yaml(value: object) -> str:
    """YAML that `read_yaml` reads back as it was: a text that looks like a number is quoted."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False)
    return text


@dataclass
class _OpenCollection:
    """A mapping or list that is being read: what was read before it, and a mapping's keys."""

    anchor: str | None
    mapping: bool
    start: int
    keys: set[tuple[str, bool]] = field(default_factory=set)
    at_key: bool = True


def _check(text: str) -> None:
    """Refuse what is too much before it is built: a parser's events come one by one."""
    stack = [_OpenCollection(None, False, 0)]
    sizes: dict[str, int] = {}
    total = 0
    # Events, not nodes: an alias to an alias would build gigabytes before anything is counted.
    for event in yaml.parse(text, _BASE):
        if isinstance(event, yaml.CollectionEndEvent):
            collection = stack.pop()
            if collection.anchor is not None:
                sizes[collection.anchor] = total - collection.start
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        _count_key(stack[-1], event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"*{event.anchor} stands for nothing before it{_at(event)}")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            _check_value(event)
            if isinstance(event, yaml.CollectionStartEvent):
                mapping = isinstance(event, yaml.MappingStartEvent)
                stack.append(_OpenCollection(event.anchor, mapping, total))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
            total += 1
        if len(stack) > MAX_DEPTH + 1:
            raise ValueError(f"it nests more than {MAX_DEPTH} levels deep{_at(event)}")
        if total > MAX_NODES:
            raise ValueError(f"it holds more than {MAX_NODES} values{_at(event)}")


def _count_key(collection: _OpenCollection, event: yaml.NodeEvent) -> None:
    """Refuse a key that a mapping has already; every second thing in one is a key."""
    if not collection.mapping:
        return
    if collection.at_key and isinstance(event, yaml.ScalarEvent) and event.value != _MERGE:
        rules = _PlainScalars.yaml_implicit_resolvers.get(event.value[:1], ())
        special = not event.style and any(rule.match(event.value) for _, rule in rules)
        key = event.value, special
        if key in collection.keys:
            raise ValueError(f"the key {event.value[:80]!r} stands there twice{_at(event)}")
        collection.keys.add(key)
    collection.at_key = not collection.at_key


def _check_value(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
    if event.tag not in (None, "!") and event.tag not in _TAGS:
        raise ValueError(f"it has a value of type {event.tag[:80]!r}{_at(event)}")
    letters = event.value if isinstance(event, yaml.ScalarEvent) else ""
    if any("\ud800" <= letter <= "\udfff" for letter in letters):
        raise ValueError(f"it has half a character (a surrogate){_at(event)}")


def _at(event: yaml.Event) -> str:
    mark = event.start_mark
    return "" if mark is None else f" (line {mark.line + 1})"


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} (line {error.problem_mark.line + 1})"
    line = (str(error).splitlines() or [""])[0][:200]
    return line if isinstance(error, ValueError | yaml.YAMLError) else "a value is not of its type"


class _PlainScalars:
    """The types of plain scalars."""

    # Dates would become objects, and `=` a special value, which OmegaConf takes neither of.
    yaml_implicit_resolvers = {
        character: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in (f"{_TAG}timestamp", f"{_TAG}value")
        ]
        for character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Loader(_PlainScalars, _BASE):  # type: ignore[misc, valid-type]
    pass


class _Dumper(_PlainScalars, yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


_POWER = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$")
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(f"{_TAG}float", _POWER, list("-+.0123456789"))
