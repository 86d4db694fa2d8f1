"""Words by which people name one of a conversation's media: by order, kind, author or content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anymodal.toybox.grammar.phrases.naming import (
    BEFORE_LAST,
    BY_CONTENT,
    BY_DOING,
    BY_NUMBER,
    BY_PLACE,
    FRONTING,
    LAST,
    MADE_PLACES,
    OWNED,
    ROLES,
    SENT_PLACES,
)
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA, MADE, ORDINALS, SENT
from anymodal.toybox.grammar.types import Entry
from anymodal.toybox.grammar.words import Draw, value_phrase

_CONTENT = (
    ("thing",), ("thing",), ("color",), ("color", "thing"), ("size", "thing"), ("size",),
    ("motion",), ("tempo",), ("size", "color"), ("motion", "thing"),
)  # fmt: skip
_IT = ("it", "it", "that", "this one", "that one")
PRONOUNS = (*_IT, "this")
"""Words for the item at hand."""


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
    names = [_by_order, _by_kind, _by_author, _by_author_order, _by_author_order, _by_number]
    if entry.number == focus and draw.chance(0.4):
        return draw.choice(_IT)
    if entry == entries[-1] and draw.chance(0.1):
        return draw.choice(LAST)
    is_last_but_one = len(entries) > 1 and entry == entries[-2] and focus == entries[-1].number
    if is_last_but_one and draw.chance(0.25):
        return draw.choice(BEFORE_LAST)
    if content and draw.chance(0.45):
        names = [_by_content, _by_content_of_own]
        if draw.chance(0.15):
            names = [_by_role]
    for name in (*draw.shuffled(names), _by_kind_order):
        if (phrase := name(draw, entries, entry)) is not None:
            return phrase
    raise AssertionError(f"no words for {entry}")


def fronting_phrase(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """A clause that names an item before what is wanted of it: "what i sent first"."""
    own = [each for each in entries if each.role == entry.role]
    same = [each for each in own if each.item.modality == entry.item.modality]
    forms = FRONTING["user" if entry.role == "user" else entry.item.modality]
    place = "first" if entry == own[0] else "last" if entry == own[-1] else None
    if entry.role != "user":  # "what you drew first" is of a picture
        place = "first" if entry == same[0] else "last" if entry == same[-1] else None
    if place is None or len(own) == 1:
        return None
    return draw.choice(forms).replace("{o}", place)


def kind_noun(draw: Draw, modality: str) -> str:
    """A noun for media of a modality."""
    return draw.choice(KINDS_OF_MEDIA[modality])


def _by_kind(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """The only one of its kind."""
    modality = entry.item.modality
    if sum(each.item.modality == modality for each in entries) > 1:
        return None
    return f"{draw.choice(('the', 'the', 'that'))} {kind_noun(draw, modality)}"


def _by_kind_order(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str:
    """Its place among those of its kind."""
    modality = entry.item.modality
    same = [each for each in entries if each.item.modality == modality]
    place = same.index(entry)
    if len(same) > 1 and draw.chance(0.35):
        forms = BY_PLACE.get(_place_name(len(same), place), ())
        forms = tuple(form for form in forms if "{k}" in form)
        if forms:
            return draw.choice(forms).replace("{k}", kind_noun(draw, modality))
    return f"the {_ordinal(draw, len(same), place)} {kind_noun(draw, modality)}"


def _place_name(count: int, place: int) -> str:
    """First, last, the one before the last, or in the middle; else nothing."""
    names = {0: "first", count - 2: "before", count - 1: "last"}
    if count == 3 and place == 1:
        return "middle"
    return names.get(place, "")


def _by_order(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Its place among all, or among those of its kind."""
    if len(entries) > 4 or len({each.role for each in entries}) > 1 or len(entries) == 1:
        return None if len(entries) == 1 else _by_kind_order(draw, entries, entry)
    if draw.chance(0.4):
        return _by_kind_order(draw, entries, entry)
    place = entries.index(entry)
    if draw.chance(0.3):
        forms = BY_PLACE.get(_place_name(len(entries), place), ())
        forms = tuple(form for form in forms if "{k}" not in form)
        if forms:
            return draw.choice(forms)
    return f"the {_ordinal(draw, len(entries), place)} one"


def _by_number(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Its number among all that one side showed, or among those of its kind."""
    modality = entry.item.modality
    same = [each for each in entries if each.item.modality == modality]
    one_side = len({each.role for each in entries}) == 1
    if len(entries) == 1:
        return None
    if one_side and len(entries) < 9 and (len(same) == len(entries) or draw.chance(0.4)):
        number, forms = entries.index(entry) + 1, BY_NUMBER["all"]
    else:
        number, forms = same.index(entry) + 1, BY_NUMBER[modality]
    words = str(number)
    if number < 5 and draw.chance(0.2):
        words = ("one", "two", "three", "four")[number - 1]
    return draw.choice(forms).replace("{n}", words)


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


def _by_author_order(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Its place among those that the user sent, or that replies held."""
    own = [each for each in entries if each.role == entry.role]
    same = [each for each in own if each.item.modality == entry.item.modality]
    if len(same) == 1 and len(own) > 1 and draw.chance(0.6):
        return None
    is_user, group = entry.role == "user", same
    forms = SENT_PLACES if is_user else MADE_PLACES[entry.item.modality]
    if len(own) < 5 and draw.chance(0.4):
        group, forms = own, SENT_PLACES if is_user else MADE_PLACES["any"]
    forms = tuple(form for form in forms if ("{k}" in form) == (group is same))
    place = group.index(entry)
    if len(group) == 1:
        return None
    text = draw.choice(forms).replace("{o}", _ordinal(draw, len(group), place))
    return text.replace("{k}", kind_noun(draw, entry.item.modality))


def _is_unique(facts: Mapping[str, str], entries: Sequence[Entry], entry: Entry) -> bool:
    """True where no other item shows the facts."""
    return not any(
        facts.items() <= other.item.attributes.items() for other in entries if other != entry
    )


def _words(draw: Draw, facts: Mapping[str, str]) -> dict[str, str]:
    """Words for the facts that a phrase may tell, by slot."""
    words = {name: value_phrase(name, value) for name, value in facts.items()}
    if "motion" in facts:
        words["doing"] = draw.choice(BY_DOING[facts["motion"]])
    return words


def _filled(draw: Draw, form: str, words: Mapping[str, str]) -> str:
    for name, text in words.items():
        form = form.replace(f"{{{name}}}", text)
    return form


def _by_content(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Something that no other item shows, or none of its kind."""
    shown, modality = entry.item.attributes, entry.item.modality
    same = [each for each in entries if each.item.modality == modality]
    for names in draw.shuffled(_CONTENT):
        if not all(name in shown for name in names):
            continue
        facts = {name: shown[name] for name in names}
        if not _is_unique(facts, same, entry):
            continue
        forms = BY_CONTENT[names]
        if not _is_unique(facts, entries, entry):
            forms = tuple(form for form in forms if "{k}" in form)
        elif draw.chance(0.5):
            forms = tuple(form for form in forms if "{k}" not in form)
        text = _filled(draw, draw.choice(forms), _words(draw, facts))
        return text.replace("{k}", kind_noun(draw, modality))
    return None


def _by_content_of_own(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """Something that no other item of its author shows."""
    own = [each for each in entries if each.role == entry.role]
    shown = entry.item.attributes
    if len(own) == len(entries):
        return None
    for names in draw.shuffled((("thing",), ("color",), ("color", "thing"), ("size", "thing"))):
        if not all(name in shown for name in names):
            continue
        facts = {name: shown[name] for name in names}
        if not _is_unique(facts, own, entry):
            continue
        forms = OWNED[entry.role if entry.role == "user" else entry.item.modality]
        forms = tuple(form for form in forms if ("{thing}" in form) == ("thing" in names))
        words = " ".join(value_phrase(name, facts[name]) for name in names)
        slots = {"thing": words, "value": words}
        text = _filled(draw, draw.choice(forms), slots)
        return text.replace("{k}", kind_noun(draw, entry.item.modality))
    return None


def _by_role(draw: Draw, entries: Sequence[Entry], entry: Entry) -> str | None:
    """A word for what its thing does, where no other item shows the thing."""
    thing = entry.item.attributes.get("thing")
    if thing is None or not _is_unique({"thing": thing}, entries, entry):
        return None
    return draw.choice(ROLES[thing])
