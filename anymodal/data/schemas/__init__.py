"""Schemas of rows, in the order in which a row is held against them."""

from anymodal.data.containers import Row
from anymodal.data.entry_keys import TURNS
from anymodal.data.schemas.base import Reading, Schema
from anymodal.data.schemas.documents import COLUMNS, MATCHED
from anymodal.data.schemas.edits import EDIT
from anymodal.data.schemas.labels import LABEL
from anymodal.data.schemas.pairs import ALPACA, COMPLETION, PAIRS, QUERY, QUESTION, TRANSCRIPT
from anymodal.data.schemas.preferences import is_preference, keys_of_preference
from anymodal.data.schemas.ratings import is_rating

__all__ = [
    "EDIT",
    "LABEL",
    "SCHEMAS",
    "TRANSCRIPT",
    "Reading",
    "Schema",
    "is_preference",
    "is_rating",
    "is_recording",
    "keys_of_preference",
    "name_of_schema",
    "schema_of",
]


def _same(entry: Row, _: Reading) -> Row:
    return entry


def _has_turns(row: Row) -> bool:
    return any(key in row for key in TURNS)


CONVERSATION = Schema("conversations", _has_turns, _same)
CAPTION = Schema("captions", lambda row: "caption" in row, _same)

SCHEMAS = (
    *(CONVERSATION, MATCHED, PAIRS, COLUMNS, EDIT, ALPACA, QUERY, QUESTION, COMPLETION, LABEL),
    *(CAPTION, TRANSCRIPT),
)
"""The first that matches is a row's."""


def schema_of(row: Row) -> Schema | None:
    """The schema of a row, by its keys; None for one of none."""
    return next((schema for schema in SCHEMAS if schema.matches(row)), None)


def is_recording(row: Row) -> bool:
    """Return whether a row has labelled intervals of a recording, which `Recordings` reads."""
    return "intervals" in row or {"start", "label"} <= row.keys()


def name_of_schema(row: Row) -> str | None:
    """The name of a row's schema, for people."""
    if is_preference(row):
        return "preferences"
    if is_rating(row):
        return "rated replies"
    if is_recording(row):
        return "labelled recordings"
    schema = schema_of(row)
    return None if schema is None else schema.name
