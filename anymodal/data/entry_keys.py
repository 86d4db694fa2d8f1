"""Keys of an entry: its input media, its output media, and metadata."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

from anymodal.media import Media

TURNS = ("conversations", "conversation", "messages")
SYSTEM = ("system", "system_prompt")
TOOLS = ("tools", "functions")
_INPUT_KEYS = ("{}", "{}s", "input_{}", "{}_name")
_OUTPUT_KEYS = ("output_{}", "{}_captions")
_LIST_KEY = "{}_list"
_METADATA = (
    *("id", "uid", "uuid", "idx", "index", "question_id", "conversation_id", "dialogue_id"),
    *("sample_id", "prompt_id", "metadata", "ds_name", "origin_dataset", "origin_split"),
    *("source", "source_data", "data_source", "dataset", "dataset_name", "split", "url", "license"),
    *("width", "height", "width_list", "height_list", "duration", "model", "language", "lang"),
    *("category", "type", "task", "task_type", "topic", "tags", "channel"),
    *("key", "status", "error_message", "exif", "original_width", "original_height"),
    *("sha256", "sha512", "md5", "parallel_tool_calls"),
    *("__index_level_0__", "Unnamed: 0"),  # of pandas
)
"""Keys that tell of an entry, and nothing of what is said or shown; they are not read."""
_METADATA_OF_KIND = ("{}_id", "{}_caption_embeddings")


class OutputMedia(NamedTuple):
    """A medium to be made: its file, and what it shows, as far as they are named."""

    file: object
    caption: object


@dataclass
class Supply:
    """Media of one kind that an entry names, in the order in which `<M>` takes them.

    Args:
        inputs: files, for the marks of user turns.
        outputs: for the marks of replies.
        items: media for the marks of both, one after the other, or by their names.
        key: the key of `inputs` or `items` in the entry, for errors.
    """

    inputs: list[Any] = field(default_factory=list)
    outputs: list[OutputMedia] = field(default_factory=list)
    items: list[OutputMedia] = field(default_factory=list)
    key: str = ""


IGNORE = "; list it in ignore to leave it out"
"""How a message about a row's own key ends."""


def of_kinds(patterns: Iterable[str]) -> list[str]:
    """Keys of every kind of medium."""
    return [pattern.format(kind) for pattern in patterns for kind in Media.kinds]


def is_empty(value: object) -> bool:
    """Return True for an empty value, as a table has in a column that other rows use."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def check_keys(
    entry: Mapping[str, Any], allowed: Iterable[str], what: str, way_out: str = ""
) -> None:
    """Refuse keys that are not read; those with nothing in them and metadata are left alone.

    Args:
        entry: with the keys.
        allowed: those that are read.
        what: has the key, for the message.
        way_out: ends the message.

    Raises:
        ValueError: with the key, and the nearest one that is read.
    """
    allowed = set(allowed)
    metadata = {*_METADATA, *of_kinds(_METADATA_OF_KIND)}
    for key, value in entry.items():
        if key in allowed or key in metadata or is_empty(value):
            continue
        near = difflib.get_close_matches(key, allowed, n=1, cutoff=0.6)
        some = sorted(allowed - {*of_kinds([*_INPUT_KEYS, *_OUTPUT_KEYS, _LIST_KEY])})
        hint = f"did you mean {near[0]!r}?" if near else f"read are {', '.join(some)}"
        media = "" if near else " and keys of media, such as M, Ms, input_M, output_M, M_captions"
        raise ValueError(f"{what} with the key {key!r}, which is not read; {hint}{media}{way_out}")


def conversation_keys() -> list[str]:
    """Keys that are read of an entry with a conversation."""
    more = of_kinds([*_INPUT_KEYS, *_OUTPUT_KEYS, _LIST_KEY])
    return [*TURNS, *SYSTEM, *more, "caption", "output_modality", *TOOLS, "objects"]


def caption_keys() -> list[str]:
    """Keys that are read of an entry with a caption."""
    return ["caption", *of_kinds([*_INPUT_KEYS, _OUTPUT_KEYS[0]])]


def supplies(entry: Mapping[str, Any], captions: Mapping[str, list[Any]]) -> dict[str, Supply]:
    """Media of every kind that an entry names.

    Args:
        entry: its keys.
        captions: captions by kind that turns have of their own.

    Raises:
        ValueError: if media are named under two keys, or files and captions differ in number.
    """
    entry = _with_output(entry)
    return {kind: _supply(entry, kind, captions.get(kind, [])) for kind in Media.kinds}


def _with_output(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """T2M's entries: with `output_modality`, the file of `M_name` is an output of that kind."""
    kind = output_of(entry)
    if not kind:
        return entry
    names = [key for key in of_kinds(["{}_name"]) if not is_empty(entry.get(key))]
    outputs = {f"output_{kind}": [entry[key] for key in names]} if names else {}
    return {**{key: value for key, value in entry.items() if key not in names}, **outputs}


def output_of(fields: Mapping[str, Any]) -> str:
    """The kind of medium that an entry or a turn says it makes, or nothing.

    Raises:
        ValueError: if there is no such kind.
    """
    kind = fields.get("output_modality")
    if is_empty(kind) or kind == "text":
        return ""
    if kind not in [*Media.kinds]:  # a list, for what can't be a key
        raise ValueError(f"output_modality is {kind!r}; known are text, {', '.join(Media.kinds)}")
    return str(kind)


def _supply(entry: Mapping[str, Any], kind: str, turn_captions: list[Any]) -> Supply:
    keys = [pattern.format(kind) for pattern in (*_INPUT_KEYS, _LIST_KEY)]
    keys = [key for key in keys if not is_empty(entry.get(key))]
    if len(keys) > 1:
        raise ValueError(f"media are named twice, under {' and '.join(map(repr, keys))}")
    key = keys[0] if keys else ""
    if key == _LIST_KEY.format(kind):
        return Supply(items=_listed_media(entry[key], key, kind), key=key)
    # Captions may stand in turns and in the entry; where they differ, neither is surely right.
    files, captions = (as_list(entry.get(pattern.format(kind))) for pattern in _OUTPUT_KEYS)
    if turn_captions and captions and turn_captions != captions:
        raise ValueError(f"turns tell other captions of {kind} than {kind}_captions does")
    captions = captions or turn_captions
    if files and captions and len(files) != len(captions):
        raise ValueError(
            f"{len(files)} files under 'output_{kind}' and {len(captions)} captions; give each one"
        )
    outputs = [OutputMedia(*pair) for pair in zip_longest(files, captions)]
    return Supply(as_list(entry.get(key)) if key else [], outputs, key=key)


def _listed_media(value: object, key: str, kind: str) -> list[OutputMedia]:
    items = as_list(value)
    name = f"{kind}_name"
    for item in items:
        if not isinstance(item, dict):
            raise ValueError(f"{key!r} holds {item!r}, not an object with {name} and caption")
        check_keys(item, (name, "caption"), f"{key!r} has an object")
    return [OutputMedia(item.get(name), item.get("caption")) for item in items]


def as_list(value: object) -> list[Any]:
    """A value as a list of its own: of one, or of several.

    A copy: media are taken out of it while a row is read, and a preference's row is read twice.
    """
    if value is None:
        return []
    return [*value] if isinstance(value, list) else [value]


def only_medium(all_supplies: Mapping[str, Supply]) -> tuple[str, Any]:
    """Kind and file of the one medium that an entry with a caption names.

    Raises:
        ValueError: if it names none, or several.
    """
    files: Sequence[tuple[str, Any]] = [
        (kind, file)
        for kind, supply in all_supplies.items()
        for file in [*supply.inputs, *(output.file for output in supply.outputs)]
    ]
    if len(files) != 1:
        raise ValueError(f"one caption and {len(files)} files; give one file for each caption")
    return files[0]
