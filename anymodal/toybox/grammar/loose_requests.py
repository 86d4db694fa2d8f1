"""Requests put together freely, so that a model attends to the attributes in any words.

A template, its words, and the talk around it are drawn independently, which gives more requests
than a training ever sees; many are clumsy, as people's are.
"""

from __future__ import annotations

import re

from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.phrases.loose import (
    ABOUT,
    ABOUT_ONLY,
    BRIEF,
    CALLED,
    CLAUSE_PARTS,
    CLOSINGS,
    DESCRIBED,
    GET,
    NAMED,
    OF,
    OPENINGS,
    REFERRED,
    SAY,
    SENSED,
    TO_MAKE,
    TO_SENSE,
    TOOLS,
    WANT_OPENERS,
    WISH,
)
from anymodal.toybox.grammar.words import Draw

_SLOT = re.compile(r"\{(\w+)\}")
_THIRD = {"am": "is", "have": "has", "do": "does", "go": "goes", "can't": "can't"}
_PAST = ("had", "asked", "forgot")


def loose_generate_request(draw: Draw, target: str, phrase: str) -> str:
    """A request for a media item of a thing that a noun phrase names."""
    return _fill_loose(draw, draw.choice(NAMED), _generation_words(draw, target) | {"x": (phrase,)})


def loose_conversion_request(draw: Draw, source: str, target: str, *, follow: bool) -> str:
    """A request for a media item of the thing in another one, given or generated before."""
    only = ABOUT_ONLY.get((source, target), ())
    # A few templates fit one pair of modalities alone, as "make it audible".
    template = draw.choice(only if only and draw.chance(0.2) else ABOUT)
    reference = ("it", "that", "this one") if follow else REFERRED[source]
    return _fill_loose(draw, template, _generation_words(draw, target) | {"r": reference})


def loose_describe_request(draw: Draw, source: str) -> str:
    """A request to describe a media item."""
    sense, doing, participle = SENSED[source]
    slots = {"s": (sense,), "i": (doing,), "p": (participle,), "say": SAY, "r": REFERRED[source]}
    text = _fill_loose(draw, draw.choice(DESCRIBED), slots)
    if draw.chance(0.2) and not text.endswith("?"):
        text += " " + draw.choice(BRIEF)
    return text


def with_surroundings(draw: Draw, text: str) -> str:
    """A request with irrelevant talk before it or after it."""
    # None of it names an attribute, so the answer stays what the request alone asks for.
    choice, inside = draw.rng.random(), text[:1].lower() + text[1:]
    if choice < 0.35:
        return draw.choice(OPENINGS) + inside
    if choice < 0.5:
        return f"{_clause(draw)}, so {inside}"
    if choice < 0.7:
        joint = draw.choice((". ", ". ", ", ", "! "))
        return f"{_clause(draw)}{joint}{inside if joint == ', ' else text}"
    if text.endswith((".", "!", "?")):  # what ends a sentence can't be continued by a comma
        return f"{text} {_clause(draw)}"
    if choice < 0.85:
        return text + draw.choice(CLOSINGS)
    return f"{text}{draw.choice(('. ', ', ', ' because ', ', since '))}{_clause(draw)}"


def _clause(draw: Draw) -> str:
    people, acts, asides = CLAUSE_PARTS
    if draw.chance(0.4):
        return draw.choice(asides)
    who, (verb, _, object_words) = draw.choice(people), draw.choice(acts).partition(" ")
    plural = who in ("we", "the children")
    if verb == "am" and plural:
        verb = "are"
    elif who != "i" and not plural and verb not in _PAST:  # third person singular
        verb = _THIRD.get(verb) or f"{verb}s"
    return f"{who} {verb} {object_words}"


def _generation_words(draw: Draw, target: str) -> dict[str, Words]:
    """Words for generating one modality, by slot; verb and participle are drawn apart."""
    infinitives, participles = zip(*TO_MAKE[target], strict=True)
    nouns = CALLED[target]
    bare = tuple(words.split(" ", 1)[1] for words in nouns)
    return {
        "n": nouns, "N": bare, "v": infinitives, "p": participles, "t": TOOLS[target],
        "s": TO_SENSE[target], "get": GET, "want": WANT_OPENERS, "wish": WISH, "of": OF,
    }  # fmt: skip


def _fill_loose(draw: Draw, template: str, slots: dict[str, Words]) -> str:
    return _SLOT.sub(lambda match: draw.choice(slots[match[1]]), template)
