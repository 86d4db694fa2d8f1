"""Chance, and the phrases that attributes are said in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from anymodal.toybox.grammar.phrases.attributes import (
    GO,
    LOOKS,
    MOVEMENT_WAYS,
    MOVEMENTS,
    NO_MOVEMENT,
    NOUNS,
    PITCH_WORDS,
    SIZE_WORDS,
    SOUNDS,
    STILL_TAILS,
    STILL_VERBS,
    STRENGTH_WORDS,
    TEMPO_ADVERBS,
    TEMPO_WORDS,
    VERB_FORMS,
)

T = TypeVar("T")
Facts = Mapping[str, str]

_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")
_LONELY_I = re.compile(r"\bi\b")


class Draw:
    """A generator with the two draws that a grammar needs."""

    __slots__ = ("rng",)

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one(self, options: Sequence[T]) -> T:
        """One of several, each as likely as the other."""
        return options[int(self.rng.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Yes, with a probability."""
        return bool(self.rng.random() < probability)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of them in some order."""
        return [items[int(i)] for i in self.rng.permutation(len(items))]


def sentence(text: str) -> str:
    """Text with capitals where sentences start."""
    return _SENTENCE_START.sub(lambda found: found[0].upper(), text)


def typed(draw: Draw, text: str) -> str:
    """A request as people type it: mostly small letters, with or without the last stop."""
    if text.endswith("?"):
        text = text if draw.chance(0.8) else text[:-1]
    elif not text.endswith((".", "!")):
        text += draw.one(("", "", "", "", ".", ".", ".", "!"))
    if draw.chance(0.3):
        return _LONELY_I.sub("I", sentence(text))
    return text


def _fill(draw: Draw, form: str, facts: Facts) -> str:
    """A form with its slots filled, one word for each."""
    thing = facts.get("thing", "thing")
    words: dict[str, tuple[str, ...]] = {"{noun}": (NOUNS.get(thing, thing),)}
    if "color" in facts:
        words["{color}"] = (facts["color"],)
    if "size" in facts:
        words["{size}"] = SIZE_WORDS[facts["size"]]
        words["{pitch}"] = PITCH_WORDS[facts["size"]]
    if "tempo" in facts:
        words["{tempo}"] = TEMPO_WORDS[facts["tempo"]]
    for slot, options in words.items():
        if slot in form:
            form = form.replace(slot, draw.one(options))
    return form.replace("a orange", "an orange")


def look(draw: Draw, facts: Facts, *, compact: bool = False) -> str:
    """A noun phrase of a thing's looks: "a small red ball", "a ball, big and pink"."""
    forms = LOOKS[tuple(name for name in ("color", "size") if name in facts)]
    return _fill(draw, forms[0] if compact else draw.one(forms), facts)


def sound(draw: Draw, facts: Facts, *, compact: bool = False) -> str:
    """A noun phrase of a thing's sound: "a small bell at a fast pace"."""
    forms = SOUNDS[tuple(name for name in ("size", "tempo") if name in facts)]
    return _fill(draw, forms[0] if compact else draw.one(forms), facts)


def show(draw: Draw, facts: Facts, *, compact: bool = False) -> str:
    """A noun phrase of a thing's looks, then its motion and tempo as far as they are told."""
    motion, tempo = facts.get("motion"), facts.get("tempo")
    if motion is None and tempo is None:
        return look(draw, facts, compact=compact)
    if tempo and "color" not in facts and motion is None:
        return sound(draw, facts, compact=compact)
    plain = compact or draw.chance(0.75)
    text = look(draw, facts, compact=plain)
    if tempo and motion != "still" and draw.chance(0.15 if motion else 0.5):
        text, tempo = f"a {draw.one(TEMPO_WORDS[tempo])} {text.split(' ', 1)[1]}", None
    if motion is None:
        return f"{text}, {draw.one(TEMPO_WORDS[tempo])}" if tempo else text
    say_tempo = None if motion == "still" else tempo
    # After a clause, as in "a ball that is red", another would be one too many.
    tail = moving(draw, motion, say_tempo) if plain else f", {participle(draw, motion, say_tempo)}"
    if tempo and motion == "still":
        tail += f", sounding {draw.one(TEMPO_WORDS[tempo])}"
    return text + tail


def moving(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """What follows a noun: " moving left quickly", " that bounces", ", still"."""
    if motion == "still":
        return draw.one(STILL_TAILS)
    verb, way = draw.one(GO[motion])
    participle, third = VERB_FORMS[verb]
    if draw.chance(0.15):
        return f" that {_with_tempo(draw, third, way, tempo)}"
    return f" {_with_tempo(draw, participle, way, tempo)}"


def participle(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """What something is seen doing: "moving left quickly", "standing still"."""
    if motion == "still":
        return draw.one(("standing still", "not moving", "staying still"))
    verb, way = draw.one(GO[motion])
    return _with_tempo(draw, VERB_FORMS[verb][0], way, tempo)


def infinitive(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """What something is told to do: "move left quickly", "stand still"."""
    if motion == "still":
        return draw.one(STILL_VERBS)
    verb, way = draw.one(GO[motion])
    return _with_tempo(draw, verb, way, tempo)


def _with_tempo(draw: Draw, verb: str, way: str, tempo: str | None) -> str:
    if tempo is None:
        return f"{verb} {way}".rstrip()
    adverb = draw.one(TEMPO_ADVERBS[tempo])
    form = draw.one(("{v} {w} {a}", "{v} {a} {w}", "{a} {v} {w}", "{v} {w}, {t}", "{v} {w} {a}"))
    if form == "{v} {w} {a}" and tempo == "fast" and draw.chance(0.5):
        adverb = "fast"
    text = form.replace("{v}", verb).replace("{w}", way).replace("{a}", adverb)
    text = text.replace("{t}", draw.one(TEMPO_WORDS[tempo]))
    return text.replace("  ", " ").replace(" ,", ",").rstrip()


def movement(draw: Draw, facts: Facts) -> str:
    """A noun phrase of a movement that is felt: "a strong quick movement to the left"."""
    motion = facts["motion"]
    if motion == "still":
        return draw.one(NO_MOVEMENT)
    if motion in MOVEMENT_WAYS:
        kind = f"movement {draw.one(MOVEMENT_WAYS[motion])}"
    else:
        kind = f"{VERB_FORMS[motion][0]} movement" if draw.chance(0.7) else motion
    form = draw.one(MOVEMENTS).replace("{move}", kind)
    form = form.replace("{size}", draw.one(STRENGTH_WORDS[facts["size"]]))
    return form.replace("{tempo}", draw.one(TEMPO_WORDS[facts["tempo"]]))


def plain_value(name: str, value: str) -> str:
    """An attribute's value as one says it of "it": "moving left", "red"."""
    if name == "thing":
        return NOUNS.get(value, value)
    if name == "motion":
        return {"still": "standing still", "toward": "moving toward us", "shake": "shaking",
                "bounce": "bouncing"}.get(value, f"moving {value}")  # fmt: skip
    return value
