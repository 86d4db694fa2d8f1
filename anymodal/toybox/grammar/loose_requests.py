"""Requests that follow no fixed form, so that a model listens for what matters in any words.

A frame, the words in it, and what stands around it are drawn apart, which gives more requests than
a training ever sees; many are clumsy, as people's are.
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


def loose_named(draw: Draw, wanted: str, phrase: str) -> str:
    """A request for a medium of a thing that a noun phrase names."""
    return _fill(draw, draw.one(NAMED), _making(draw, wanted) | {"x": (phrase,)})


def loose_about(draw: Draw, given: str, wanted: str, *, follow: bool) -> str:
    """A request for a medium of the thing in another one, given or made just before."""
    only = ABOUT_ONLY.get((given, wanted), ())
    form = draw.one(only if only and draw.chance(0.2) else ABOUT)
    referred = ("it", "that", "this one") if follow else REFERRED[given]
    return _fill(draw, form, _making(draw, wanted) | {"r": referred})


def loose_described(draw: Draw, given: str) -> str:
    """A request to say what a medium shows."""
    sense, doing, done = SENSED[given]
    slots = {"s": (sense,), "i": (doing,), "p": (done,), "say": SAY, "r": REFERRED[given]}
    text = _fill(draw, draw.one(DESCRIBED), slots)
    if draw.chance(0.2) and not text.endswith("?"):
        text += " " + draw.one(BRIEF)
    return text


def around(draw: Draw, text: str) -> str:
    """A request with something said before it or after it that changes nothing."""
    choice = draw.rng.random()
    if choice < 0.35:
        return draw.one(OPENINGS) + text
    if choice < 0.5:
        return f"{_clause(draw)}, so {text}"
    if choice < 0.7:
        return f"{_clause(draw)}{draw.one(('. ', '. ', ', ', '! '))}{text}"
    if text.endswith((".", "!", "?")):
        return f"{text} {_clause(draw)}"
    if choice < 0.85:
        return text + draw.one(CLOSINGS)
    return f"{text}{draw.one(('. ', ', ', ' because ', ', since '))}{_clause(draw)}"


def _clause(draw: Draw) -> str:
    people, acts, asides = CLAUSE_PARTS
    if draw.chance(0.4):
        return draw.one(asides)
    who, (verb, _, rest) = draw.one(people), draw.one(acts).partition(" ")
    plural = who in ("we", "the children")
    if verb == "am" and plural:
        verb = "are"
    elif who != "i" and not plural and verb not in _PAST:
        verb = _THIRD.get(verb) or f"{verb}s"
    return f"{who} {verb} {rest}"


def _making(draw: Draw, wanted: str) -> dict[str, Words]:
    """The words of one medium, by slot; verb and participle may differ, as they do in talk."""
    infinitives, participles = zip(*TO_MAKE[wanted], strict=True)
    called = CALLED[wanted]
    bare = tuple(words.split(" ", 1)[1] for words in called)
    return {
        "n": called, "N": bare, "v": infinitives, "p": participles, "t": TOOLS[wanted],
        "s": TO_SENSE[wanted], "get": GET, "want": WANT_OPENERS, "wish": WISH, "of": OF,
    }  # fmt: skip


def _fill(draw: Draw, form: str, slots: dict[str, Words]) -> str:
    return _SLOT.sub(lambda found: draw.one(slots[found[1]]), form)
