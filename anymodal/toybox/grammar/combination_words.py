"""Words for the attributes that one medium takes over from others, and for those media."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.attributes import SIZE_WORDS, TEMPO_WORDS, Words
from anymodal.toybox.grammar.phrases.combinations import (
    CLAUSES,
    FIELD_SEPARATORS,
    FIELD_SIGNS,
    FIELD_VALUES,
    JOINTS,
    KIND_WORDS,
    NUMBER_WORDS,
    OWN_NAMES,
    PROPERTIES,
    THING_OF,
)
from anymodal.toybox.grammar.phrases.references import ORDINALS
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.types import Entry
from anymodal.toybox.grammar.words import Draw, value_phrase

_CLAUSES = Rules(CLAUSES)
_WHOLE: dict[tuple[str, ...], str] = {
    ("color", "size"): "looks",
    ("motion", "tempo"): "moving",
}
_WAYS = ("number", "kind_number", "file_number", "role", "thing", "thing")
_PLAIN_WORDS: dict[str, dict[str, Words]] = {
    "size": SIZE_WORDS,
    "strength": SIZE_WORDS,
    "pitch": {"small": ("high", "high", "small"), "big": ("deep", "low", "big")},
    "tempo": TEMPO_WORDS,
}


class Taken(NamedTuple):
    """Attributes taken over from an item: the item, words for it, and their names."""

    source: Entry
    phrase: str
    names: tuple[str, ...]


def item_name(builder: DialogueBuilder, entry: Entry, pool: Sequence[Entry], given: bool) -> str:
    """Words that name an item of some, and none of the others.

    Args:
        builder: the conversation.
        entry: the item.
        pool: those that it stands among.
        given: whether they come with the message, so that nothing is "it".
    """
    draw = builder.scenes
    if len(pool) == 1:
        return draw.choice(("it", "that", "this", "that", "it"))
    if entry.item.modality == "imu" and _is_only(entry, pool) and draw.chance(0.6):
        return draw.choice(OWN_NAMES["imu"])
    if draw.chance(0.55):
        for way in draw.shuffled(
            ("number", "kind_number", "file_number", "role", "thing", "thing")
        ):
            if (text := _own_name(draw, way, entry, pool)) is not None:
                return text
    return builder.refer(entry, list(pool) if given else None)


def _is_only(entry: Entry, pool: Sequence[Entry]) -> bool:
    return sum(each.item.modality == entry.item.modality for each in pool) == 1


def _own_name(draw: Draw, way: str, entry: Entry, pool: Sequence[Entry]) -> str | None:
    """Words of one of the ways to name an item, None where it isn't alone in that."""
    modality, same_role = entry.item.modality, [e for e in pool if e.role == entry.role]
    same = [each for each in pool if each.item.modality == modality]
    kind, place, thing = draw.choice(KIND_WORDS[modality]), 0, ""
    if way == "number" and len(same_role) == len(pool) <= 4:
        place = pool.index(entry)
    elif way == "kind_number" and len(same) > 1:
        place = same.index(entry)
    elif way == "file_number" and entry.role == "user" and len(same_role) > 1:
        place = same_role.index(entry)
    elif way == "role" and len({each.role for each in pool}) == 2:
        if sum(each.item.modality == modality for each in same_role) > 1:
            return None
        way = entry.role
        options = OWN_NAMES[way]
        if len(same_role) > 1:
            options = tuple(option for option in options if "{k}" in option)
        return draw.choice(options).replace("{k}", kind)
    elif way == "thing" and _thing_tells(entry, pool):
        thing = value_phrase("thing", entry.item.attributes["thing"])
    else:
        return None
    text = draw.choice(OWN_NAMES[way]).replace("{k}", kind).replace("{t}", thing)
    text = text.replace("{i}", str(place + 1)).replace("{w}", NUMBER_WORDS[min(place, 7)])
    return text.replace("{o}", ORDINALS[min(place, 7)])


def _thing_tells(entry: Entry, pool: Sequence[Entry]) -> bool:
    """Return True where the thing alone names an item."""
    thing = entry.item.attributes.get("thing")
    return thing is not None and all(
        each.item.attributes.get("thing") != thing for each in pool if each != entry
    )


def thing_of(draw: Draw, entry: Entry, phrase: str, pool: Sequence[Entry]) -> str:
    """Words for the thing of an item."""
    choice = draw.rng.random()
    if value_phrase("thing", entry.item.attributes["thing"]) in phrase:
        return phrase
    if choice < 0.35 and _thing_tells(entry, pool):
        return f"the {value_phrase('thing', entry.item.attributes['thing'])}"
    if choice < 0.7:
        return draw.choice(THING_OF[entry.item.modality]).replace("{a}", phrase)
    return phrase


def _kind(name: str, source: Entry, target: str) -> str:
    """The words that a size goes by: of a sound its pitch, of a movement its strength."""
    if name == "size" and source.item.modality == "imu":
        return "strength"
    return "pitch" if name == "size" and target == "audio" == source.item.modality else name


def property_names(draw: Draw, taken: Taken, target: str) -> str:
    """The names of the attributes: "colour and size"."""
    joint = draw.choice(JOINTS)
    names = [draw.choice(PROPERTIES[_kind(n, taken.source, target)]) for n in taken.names]
    names = draw.shuffled(names)
    return joint.join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def whole_names(taken: Taken) -> str | None:
    """The word for two attributes at once, if there is one."""
    return _WHOLE.get(taken.names)


def properties_of(draw: Draw, takens: Sequence[Taken], target: str) -> str:
    """The attributes of their sources: "the colour of the duck and the size of the bell"."""
    texts = []
    for taken in takens:
        whole = whole_names(taken)
        names = property_names(draw, taken, target)
        if whole and draw.chance(0.35):
            names = draw.choice(PROPERTIES[whole])
        short = len(taken.phrase.split()) <= 3 and not taken.phrase.endswith("s")
        if taken.phrase in ("it", "that", "this"):
            own = {"it": "its", "that": "that one's", "this": "this one's"}[taken.phrase]
            texts.append(f"{own} {names}")
        elif short and draw.chance(0.4) and taken.phrase not in ("mine", "yours"):
            texts.append(f"{taken.phrase}'s {names}")
        else:
            article = draw.choice(("the", "the", "the", "the same", ""))
            texts.append(f"{article} {names} of {taken.phrase}")
    return draw.choice(JOINTS).join(texts)


def clause(draw: Draw, takens: Sequence[Taken], target: str) -> str:
    """Words behind a noun that say what it takes over: "as big as the bell and in its colour"."""
    texts = []
    for taken in takens:
        alone = taken.phrase in ("it", "that", "this") and draw.chance(0.75)
        way = "t" if alone and taken.names != ("motion",) else "r"
        if whole_names(taken) == "moving" and draw.chance(0.7):
            texts.append(single(draw, way, "motion", taken, target))
            continue
        head, *rest = draw.shuffled(taken.names)
        if head == "motion" and rest and way == "r":
            head, *rest = taken.names if taken.names[0] != "motion" else (taken.names[1], "motion")
        texts.append(single(draw, way, head, taken, target))
        texts += [single(draw, "s", name, taken, target) for name in rest]
    return draw.choice((" and ", ", ", " and ", " & ", ", and ")).join(texts)


def single(draw: Draw, way: str, name: str, taken: Taken, target: str) -> str:
    """A clause of one attribute: a reference (r), said of the last one (s), or a verb (g)."""
    kind = _kind(name, taken.source, target)
    value = taken.source.item.attributes[name]
    word = draw.choice(_PLAIN_WORDS.get(kind, {}).get(value, (value,)))
    one = taken._replace(names=(name,))
    if name == "motion" and way == "r" and whole_names(taken) != "moving":
        lead = draw.choice(("with", "with", "having", "using"))
        return f"{lead} {properties_of(draw, (one,), target)}"
    slots = {
        "b": taken.phrase,
        "val": word,
        "p": draw.choice(PROPERTIES[kind]),
        "bp": properties_of(draw, (one,), target),
    }
    return _CLAUSES.expand(draw, f"{way}_{kind}", slots)


def fields(
    draw: Draw, thing: str, takens: Sequence[Taken], target: str, stated: Sequence[str]
) -> str:
    """A list of attributes with their sources: "thing: the first; colour: the second"."""
    sign = draw.choice(FIELD_SIGNS)
    parts = [(draw.choice(PROPERTIES["thing"]), thing)]
    for taken in takens:
        parts.append((property_names(draw, taken, target), taken.phrase))
    texts = [sign.replace("{p}", p).replace("{b}", b) for p, b in draw.shuffled(parts)]
    return draw.choice(FIELD_SEPARATORS).join([*texts, *stated])


def field_value(draw: Draw, name: str, words: str) -> str:
    """An attribute and its value in a list."""
    return draw.choice(FIELD_VALUES).replace("{p}", PROPERTIES[name][0]).replace("{v}", words)
