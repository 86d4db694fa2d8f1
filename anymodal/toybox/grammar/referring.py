"""Words by which people name one of a conversation's media: by order, kind, author or content."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA, MADE, ORDINALS, SENT
from anymodal.toybox.grammar.types import Entry
from anymodal.toybox.grammar.words import Draw, value_phrase

_CONTENT = (("thing",), ("color",), ("color", "thing"), ("size", "thing"), ("size",))
_IT = ("it", "it", "that", "this one", "that one")
_BEFORE = ("the one before", "the previous one", "the one before that", "the last but one")


def referring_phrase(
    draw: Draw,
    entries: Sequence[Entry],
    entry: Entry,
    focus: int | None = None,
    *,
    content: bool = True,
) -> str:
    """A phrase that names one item among others, and none of the others.

    Args:
        draw: random draws.
        entries: the media in question.
        entry: one of them.
        focus: the number of the item that was spoken of last, if it is clear: it may be "it".
        content: whether the phrase may tell what the item shows.
    """
    names = [_by_order, _by_kind, _by_author]
    if entry.number == focus and draw.chance(0.4):
        return draw.choice(_IT)
    if entry == entries[-1] and draw.chance(0.1):
        return "the last one"
    is_last_but_one = len(entries) > 1 and entry == entries[-2] and focus == entries[-1].number
    if is_last_but_one and draw.chance(0.2):
        return draw.choice(_BEFORE)
    if content and draw.chance(0.4):
        names = [_by_content]
    for name in (*draw.shuffled(names), _by_kind_order):
        if (phrase := name(draw, entries, entry)) is not None:
            return phrase
    raise AssertionError(f"no words for {entry}")


def kind_noun(draw: Draw, modality: str) -> str:
    """A noun for media of a modality."""
    return draw.choice(KINDS_OF_MEDIA[modality])


def _by_kind(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """The only one of its kind."""
    modality = entry.item.modality
    if sum(each.item.modality == modality for each in entries) > 1:
        return None
    return f"{draw.choice(('the', 'the', 'that'))} {kind_noun(draw, modality)}"


def _by_kind_order(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Its place among those of its kind."""
    modality = entry.item.modality
    same = [each for each in entries if each.item.modality == modality]
    return f"the {_ordinal(draw, len(same), same.index(entry))} {kind_noun(draw, modality)}"


def _by_order(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Its place among all, or among those of its kind."""
    if len(entries) > 4 or len({each.role for each in entries}) > 1 or len(entries) == 1:
        return None if len(entries) == 1 else _by_kind_order(draw, entries, entry)
    if draw.chance(0.4):
        return _by_kind_order(draw, entries, entry)
    noun = (
        draw.choice(("one", "one", "one", ""))
        or "thing i sent"[: 0 if entry.role != "user" else None]
    )
    return f"the {_ordinal(draw, len(entries), entries.index(entry))} {noun}".rstrip()


def _ordinal(draw: Draw, count: int, place: int) -> str:
    if place >= len(ORDINALS) or (count > 1 and place == count - 1 and draw.chance(0.4)):
        return "last" if place == count - 1 else f"number {place + 1}"
    return ORDINALS[place]


def _by_author(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """The only one of its kind that the user sent, or that a reply held."""
    own = [each for each in entries if each.role == entry.role]
    same = [each for each in own if each.item.modality == entry.item.modality]
    if len(own) == len(entries) or len(same) > 1:
        return None
    forms = SENT if entry.role == "user" else MADE[entry.item.modality]
    if len(own) > 1:
        forms = tuple(form for form in forms if "{k}" in form)
    return draw.choice(forms).replace("{k}", kind_noun(draw, entry.item.modality))


def _by_content(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Something that no other item shows."""
    shown = entry.item.attributes
    for names in draw.shuffled(_CONTENT):
        if not all(name in shown for name in names):
            continue
        facts = {name: shown[name] for name in names}
        if any(
            facts.items() <= other.item.attributes.items() for other in entries if other != entry
        ):
            continue
        words = [value_phrase(name, facts[name]) for name in names]
        return f"the {' '.join(words)}" if "thing" in names else f"the {words[0]} one"
    return None
