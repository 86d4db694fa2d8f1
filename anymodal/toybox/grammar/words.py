"""Random draws, and the phrases that state attributes."""

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
Attributes = Mapping[str, str]
"""Values by the name of the attribute."""

_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] ))[a-z]")
_LONELY_I = re.compile(r"\bi\b")


class Draw:
    """The random draws that a grammar needs, over one NumPy generator."""

    __slots__ = ("rng",)

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def choice(self, options: Sequence[T]) -> T:
        """One of some options, uniformly."""
        # Twenty times as fast as Generator.choice, and the draws of all conversations hang on it.
        return options[int(self.rng.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        return [items[int(i)] for i in self.rng.permutation(len(items))]


def capitalize(text: str) -> str:
    """Text with capitals where sentences start."""
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)


def as_typed(draw: Draw, text: str) -> str:
    """A request as people type it: mostly lower case, with or without the final stop."""
    if text.endswith("?"):
        # Without its mark a question of few words is an order: "both big?".
        text = text if text.count(" ") < 3 or draw.chance(0.75) else text[:-1]
    elif not text.endswith((".", "!")):
        text += draw.choice(("", "", "", "", ".", ".", ".", "!"))
    if draw.chance(0.3):  # few people type capitals
        return _LONELY_I.sub("I", capitalize(text))
    return text


def _fill_slots(draw: Draw, template: str, attributes: Attributes) -> str:
    """Fill a template's slots, each with one of its words."""
    thing = attributes.get("thing", "thing")
    words: dict[str, tuple[str, ...]] = {"{noun}": (NOUNS.get(thing, thing),)}
    if "color" in attributes:
        words["{color}"] = (attributes["color"],)
    if "size" in attributes:
        words["{size}"] = SIZE_WORDS[attributes["size"]]
        words["{pitch}"] = PITCH_WORDS[attributes["size"]]
    if "tempo" in attributes:
        words["{tempo}"] = TEMPO_WORDS[attributes["tempo"]]
    for slot, options in words.items():
        if slot in template:
            template = template.replace(slot, draw.choice(options))
    # The only word before a noun that begins with a vowel.
    return template.replace("a orange", "an orange")


def look_phrase(draw: Draw, attributes: Attributes, *, compact: bool = False) -> str:
    """A noun phrase of a thing's looks: "a small red ball", "a ball, big and pink"."""
    templates = LOOKS[tuple(name for name in ("color", "size") if name in attributes)]
    return _fill_slots(draw, templates[0] if compact else draw.choice(templates), attributes)


def sound_phrase(draw: Draw, attributes: Attributes, *, compact: bool = False) -> str:
    """A noun phrase of a thing's sound: "a small bell at a fast pace"."""
    templates = SOUNDS[tuple(name for name in ("size", "tempo") if name in attributes)]
    return _fill_slots(draw, templates[0] if compact else draw.choice(templates), attributes)


def visual_phrase(draw: Draw, attributes: Attributes, *, compact: bool = False) -> str:
    """A noun phrase of a thing's looks, then its motion and tempo where there are any."""
    motion, tempo = attributes.get("motion"), attributes.get("tempo")
    if motion is None and tempo is None:
        return look_phrase(draw, attributes, compact=compact)
    # Audio shows a tempo without a motion: then the phrase is of a sound.
    if tempo and "color" not in attributes and motion is None:
        return sound_phrase(draw, attributes, compact=compact)
    # A long phrase, as "a ball that is red", can't bear another clause behind it.
    plain = compact or draw.chance(0.75)
    text = look_phrase(draw, attributes, compact=plain)
    if tempo and motion != "still" and draw.chance(0.15 if motion else 0.5):
        text, tempo = f"a {draw.choice(TEMPO_WORDS[tempo])} {text.split(' ', 1)[1]}", None
    if motion is None:
        return f"{text}, {draw.choice(TEMPO_WORDS[tempo])}" if tempo else text
    pace = None if motion == "still" else tempo  # what rests can't do so slowly
    if plain:
        tail = motion_phrase(draw, motion, pace)
    else:
        tail = f", {participle(draw, motion, pace)}"
    if tempo and motion == "still":
        tail += f", sounding {draw.choice(TEMPO_WORDS[tempo])}"
    return text + tail


def noun_phrase(draw: Draw, modality: str, attributes: Attributes, *, compact: bool = False) -> str:
    """The noun phrase of a thing in a modality: of its sound for audio, else of its looks."""
    phrase = sound_phrase if modality == "audio" else visual_phrase
    return phrase(draw, attributes, compact=compact)


def motion_phrase(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """A phrase after a noun: " moving left quickly", " that bounces", ", still"."""
    if motion == "still":
        return draw.choice(STILL_TAILS)
    verb, way = draw.choice(GO[motion])
    participle, third = VERB_FORMS[verb]
    if draw.chance(0.15):
        return f" that {_with_tempo(draw, third, way, tempo)}"
    return f" {_with_tempo(draw, participle, way, tempo)}"


def participle(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """A participle phrase: "moving left quickly", "standing still"."""
    if motion == "still":
        return draw.choice(("standing still", "not moving", "staying still"))
    verb, way = draw.choice(GO[motion])
    return _with_tempo(draw, VERB_FORMS[verb][0], way, tempo)


def infinitive(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """An infinitive phrase: "move left quickly", "stand still"."""
    if motion == "still":
        return draw.choice(STILL_VERBS)
    verb, way = draw.choice(GO[motion])
    return _with_tempo(draw, verb, way, tempo)


def _with_tempo(draw: Draw, verb: str, way: str, tempo: str | None) -> str:
    if tempo is None:
        return f"{verb} {way}".rstrip()
    adverb = draw.choice(TEMPO_ADVERBS[tempo])
    template = draw.choice(
        ("{v} {w} {a}", "{v} {a} {w}", "{a} {v} {w}", "{v} {w}, {t}", "{v} {w} {a}")
    )
    # "fast" is an adverb too, but only at the end, as in "moves left fast".
    if template == "{v} {w} {a}" and tempo == "fast" and draw.chance(0.5):
        adverb = "fast"
    text = template.replace("{v}", verb).replace("{w}", way).replace("{a}", adverb)
    text = text.replace("{t}", draw.choice(TEMPO_WORDS[tempo]))
    # Verbs such as "bounce" have no direction, whose slot leaves a space behind.
    return text.replace("  ", " ").replace(" ,", ",").rstrip()


def movement_phrase(draw: Draw, attributes: Attributes) -> str:
    """A noun phrase of an IMU recording: "a strong quick movement to the left"."""
    motion = attributes["motion"]
    if motion == "still":
        return draw.choice(NO_MOVEMENT)
    if motion in MOVEMENT_WAYS:
        kind = f"movement {draw.choice(MOVEMENT_WAYS[motion])}"
    else:
        kind = f"{VERB_FORMS[motion][0]} movement" if draw.chance(0.7) else motion
    template = draw.choice(MOVEMENTS).replace("{move}", kind)
    template = template.replace("{size}", draw.choice(STRENGTH_WORDS[attributes["size"]]))
    return template.replace("{tempo}", draw.choice(TEMPO_WORDS[attributes["tempo"]]))


def value_phrase(name: str, value: str) -> str:
    """An attribute's value as it follows "it is": "moving left", "red"."""
    if name == "thing":
        return NOUNS.get(value, value)
    if name == "motion":
        return {"still": "standing still", "toward": "moving toward us", "shake": "shaking",
                "bounce": "bouncing"}.get(value, f"moving {value}")  # fmt: skip
    return value


def with_article(name: str, value: str) -> str:
    """An attribute's value as it follows "it is" in a full sentence: "a bell", "red"."""
    words = value_phrase(name, value)
    return f"a {words}" if name == "thing" else words
