"""Documents in which texts and media follow each other: MMC4's and OBELICS's."""

from __future__ import annotations

from typing import Any

from anymodal.data.containers import Row
from anymodal.data.entry_keys import is_empty
from anymodal.data.schemas.base import Reading, Schema, take, text_of
from anymodal.media import Media

_METADATA = (
    *("similarity_matrix", "could_have_url_duplicate", "general_metadata", "metadata"),
    *("document_url", "scores"),
)
"""Keys that tell of a document, and nothing of what stands in it."""

Item = str | dict[str, Any]
"""A text, or a medium as a part of a message."""


def _of_matched(entry: Row, reading: Reading) -> Row:
    """MMC4: each medium is matched to a sentence, and stands before it."""
    kind = next(kind for kind in Media.kinds if f"{kind}_info" in entry)
    rest, values = take(entry, "text_list", f"{kind}_info", *_METADATA)
    texts, infos = _list(values["text_list"], "text_list"), values[f"{kind}_info"]
    sentences = [text_of(text, "text_list") for text in texts]
    before: dict[int, list[object]] = {}
    for info in _list(infos, f"{kind}_info"):
        place = info.get("matched_text_index") if isinstance(info, dict) else None
        name = info.get(f"{kind}_name") if isinstance(info, dict) else None
        if not isinstance(place, int) or not 0 <= place < len(sentences):
            raise ValueError(f"matched_text_index is {place!r}; there are {len(sentences)} texts")
        before.setdefault(place, []).append(name)
    if reading.make:
        return {**rest, **_requests(sentences, before, kind)}
    items: list[Item] = []
    for place, sentence in enumerate(sentences):
        items += [*({"type": kind, kind: name} for name in before.get(place, [])), sentence]
    return {**rest, "messages": _turns(items)}


def _of_columns(entry: Row, reading: Reading) -> Row:
    """OBELICS: texts and media in two lists, of which one has nothing at each place."""
    kind = next(kind for kind in Media.kinds if f"{kind}s" in entry)
    rest, values = take(entry, "texts", f"{kind}s", *_METADATA)
    texts, media = _list(values["texts"], "texts"), _list(values[f"{kind}s"], f"{kind}s")
    if len(texts) != len(media):
        raise ValueError(f"{len(texts)} texts and {len(media)} {kind}s; a null stands in one list")
    if reading.make:
        raise ValueError("the document tells no captions of its media; read it without make")
    items: list[Item] = []
    for text, medium in zip(texts, media, strict=True):
        if is_empty(text) == is_empty(medium):
            raise ValueError("a place has a text and a medium, or neither; give it one")
        items.append(text_of(text, "texts") if is_empty(medium) else {"type": kind, kind: medium})
    return {**rest, "messages": _turns(items)}


def _turns(items: list[Item]) -> list[dict[str, Any]]:
    """Turns in which texts are written after the media before them: those are what is learned.

    Media that no text follows are left out.
    """
    turns: list[dict[str, Any]] = []
    role = "user"
    for item in items:
        is_medium = isinstance(item, dict)
        if is_medium:
            role = "user"
        elif turns and any(part["type"] != "text" for part in turns[-1]["content"]):
            role = "assistant"
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"].append(item if is_medium else {"type": "text", "text": item})
    while turns and turns[-1]["role"] == "user":
        turns.pop()
    if not turns:
        raise ValueError("no text follows a medium in the document, so there is nothing to learn")
    return [{**turn, "content": _joined(turn["content"])} for turn in turns]


def _joined(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts, with texts that follow each other as paragraphs of one."""
    parts: list[dict[str, Any]] = []
    for part in content:
        if parts and part["type"] == parts[-1]["type"] == "text":
            parts[-1] = {"type": "text", "text": f"{parts[-1]['text']}\n{part['text']}"}
        else:
            parts.append(part)
    return parts


def _requests(sentences: list[str], media: dict[int, list[object]], kind: str) -> Row:
    """Turns in which each medium is made of the sentence that it is matched to."""
    turns: list[dict[str, Any]] = []
    files: list[object] = []
    captions: list[str] = []
    waiting: list[str] = []
    for place, sentence in enumerate(sentences):
        waiting.append(sentence)
        if names := media.get(place):
            turns.append({"role": "user", "content": "\n".join(waiting)})
            turns.append({"role": "assistant", "content": f"<{kind}>" * len(names)})
            files, captions, waiting = files + names, captions + [sentence] * len(names), []
    if not turns:
        raise ValueError("the document has no media to make")
    return {"messages": turns, f"output_{kind}": files, f"{kind}_captions": captions}


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r}, not a list")
    return value


def _has_infos(row: Row) -> bool:
    return "text_list" in row and any(f"{kind}_info" in row for kind in Media.kinds)


def _has_columns(row: Row) -> bool:
    return "texts" in row and any(isinstance(row.get(f"{k}s"), list) for k in Media.kinds)


MATCHED = Schema("documents with matched media (MMC4)", _has_infos, _of_matched)
COLUMNS = Schema("documents of texts and media (OBELICS)", _has_columns, _of_columns)
