"""`{settings} module.Class`: a configuration's keys with type, default and meaning.

They come from the dataclass that is its schema: types and defaults from its fields, meanings from
the `Args:` of its docstring, so that a key without a meaning fails the build.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import yaml
from docutils import nodes
from omegaconf import MISSING
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from anymodal.io.results import markdown_table

PLAIN_TYPES = {"Any": "part", "dict": "mapping", "None": "null"}
"""Annotations in the words of a configuration."""


def meanings(schema: type) -> dict[str, str]:
    """The entries of the `Args:` in a docstring, over those of the schema's bases."""
    explained: dict[str, str] = {}
    for each in reversed(schema.__mro__):
        text = cleandoc(each.__doc__ or "") if dataclasses.is_dataclass(each) else ""
        block = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.M | re.S)
        entries = re.findall(
            r"^    (\w+): (.*?)(?=^    \w+: |\Z)", block[1] if block else "", re.M | re.S
        )
        explained |= {name: " ".join(text.split()).removesuffix(".") for name, text in entries}
    return explained


def type_name(field: dataclasses.Field[Any]) -> str:
    """A field's annotation, such as `float or null`."""
    text = re.sub(r"\w+\.", "", str(field.type))
    text = re.sub(r"[A-Z]\w+Config", "dict", text)  # a schema within this one
    text = re.sub(r"\w+", lambda word: PLAIN_TYPES.get(word[0], word[0]), text)
    text = re.sub(r"mapping\[\w+, (\w+)\]", r"mapping of \1", text).replace("of part", "")
    return re.sub(r"list\[(\w+)\]", r"list of \1", text).replace(" | ", " or ").strip()


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default as YAML."""
    if field.default_factory is not dataclasses.MISSING:
        value: Any = field.default_factory()
        if dataclasses.is_dataclass(value):
            return "see below"
    elif field.default in (MISSING, dataclasses.MISSING):
        return "required"
    else:
        value = field.default
    if isinstance(value, int) and not isinstance(value, bool):
        return f"`{value:_}`" if value >= 10_000 else f"`{value}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return f"`{text}`"


def rows(schema: type) -> Iterator[tuple[str, str, str, str]]:
    """Key, type, default and meaning of each field."""
    explained = meanings(schema)
    for field in dataclasses.fields(schema):
        if field.name not in explained:
            raise ValueError(f"{schema.__name__}.{field.name} has no meaning in its docstring")
        yield f"`{field.name}`", type_name(field), default_of(field), explained[field.name]


class Settings(SphinxDirective):
    """A table of the keys of one schema."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        schema = getattr(importlib.import_module(module), name)
        table = markdown_table(["key", "type", "default", "meaning"], rows(schema))
        # A class that lets the style sheet set a row's cells below one another on a phone.
        return [nodes.container("", *self.parse_text_to_nodes(table), classes=["keys"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
