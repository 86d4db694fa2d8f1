"""Docstrings of tools: what a function does, and what its parameters are."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

_SECTIONS = (
    "Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters|Attributes|"
    "Returns?|Yields?|Raises|Examples?|Notes?|References|See Also|Warnings?|Todo"
)
_START = re.compile(
    rf"^(?:(?:{_SECTIONS}):[ \t]*$|(?:{_SECTIONS})[ \t]*\n-{{3,}}|:\w+[^:\n]*:)", re.M
)
_ARGUMENTS = "(?:Args|Arguments|Parameters|Params|Keyword Arg(?:ument)?s|Attributes)"
_GOOGLE = re.compile(rf"^{_ARGUMENTS}:[ \t]*\n((?:[ \t]+\S.*\n|[ \t]*\n)+)", re.M)
_NUMPY = re.compile(
    r"^(?:Other )?(?:Parameters|Attributes)[ \t]*\n-{3,}[ \t]*\n((?:(?!.+\n-{3,}).*\n)+)", re.M
)
_SPHINX = re.compile(
    r"^:(?:param|arg|key)\w* (?:[^:\n]* )?\*{0,2}(\w+):(.*?)(?=^:|^\S|\Z)", re.M | re.S
)
_HEAD = re.compile(r"\*{0,2}(\w+)[ \t]*(?:\(.*?\))?[ \t]*:(.*)", re.S)
_NAMES = re.compile(r"\*{0,2}(\w+(?:, *\*{0,2}\w+)*)[ \t]*(?::[^\n]*)?\n(.*)", re.S)


class Described(NamedTuple):
    """Description of a tool from a docstring.

    Attributes:
        text: what stands before its sections.
        parameters: what it says of each.
    """

    text: str
    parameters: dict[str, str]


def described(docstring: str | None) -> Described:
    """Description from a docstring in Google's style, NumPy's, or Sphinx's (`:param x: …`)."""
    text = f"{inspect.cleandoc(docstring or '')}\n"
    parameters = {found[1]: found[2] for found in _SPHINX.finditer(text)}
    for section in _NUMPY.finditer(text):
        for entry in _entries(section[1]):
            if found := _NAMES.fullmatch(entry):
                parameters |= dict.fromkeys(re.findall(r"\w+", found[1]), found[2])
    for section in _GOOGLE.finditer(text):
        for entry in _entries(section[1]):
            if found := _HEAD.fullmatch(entry):
                parameters[found[1]] = found[2]
    start = _START.search(text)
    told = {name: " ".join(said.split()) for name, said in parameters.items()}
    return Described(text[: start.start() if start else None].strip(), told)


def _entries(section: str) -> Iterator[str]:
    """The entries of a section: lines that aren't indented within it, with those below them."""
    entry = ""
    for line in textwrap.dedent(section).splitlines(keepends=True):
        if entry.strip() and line[:1].strip():
            yield entry
            entry = ""
        entry = f"{entry}{line}" if entry.strip() else line
    if entry.strip():
        yield entry
