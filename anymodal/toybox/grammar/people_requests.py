"""Requests for one medium as people type them: terse, polite, wordy, turned round, negated."""

from __future__ import annotations

from collections.abc import Mapping

from anymodal.toybox.grammar.people_forms import (
    ahead_request,
    field_request,
    sentences_request,
)
from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_phrase,
    spoken_value,
    voice_phrases,
)
from anymodal.toybox.grammar.phrases.people import (
    CONTRAST,
    MEDIUM_WORDS,
    MOVING,
    NOT_BINARY,
    NOT_MEDIUM,
    NOT_THING,
    NOT_VALUE,
    REQUEST,
    SOUNDING,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.words import Attributes, Draw, value_phrase
from anymodal.toybox.scene import VALUES

_NEGATIONS = {
    **CONTRAST,
    "not_value": NOT_VALUE,
    "not_binary": NOT_BINARY,
    "not_thing": NOT_THING,
    "not_medium": NOT_MEDIUM,
    "moving": MOVING,
    "sounding": SOUNDING,
}
RULES = {
    modality: Rules({**REQUEST, **words, **_NEGATIONS}) for modality, words in MEDIUM_WORDS.items()
}
"""Rules of requests for a medium of each modality."""


def people_request(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A request for a medium of a thing, in any of the ways that people ask."""
    choice = draw.rng.random()
    for limit, write in _FORMS:
        if choice < limit:
            text = write(draw, modality, attributes)
            if text is not None:
                return text
            break
    return _framed_request(draw, modality, attributes)


_FORMS = ((0.1, field_request), (0.19, ahead_request), (0.28, sentences_request))
"""Forms that state attributes one by one, with cumulated shares."""


def _framed_request(draw: Draw, modality: str, attributes: Attributes) -> str:
    rules = RULES[modality]
    if modality == "video" and "motion" in attributes and draw.chance(0.2):
        looks = {n: v for n, v in attributes.items() if n not in ("motion", "tempo")}
        motion, tempo = attributes["motion"], attributes.get("tempo")
        slots = {
            "x0": spoken_phrase(draw, modality, looks),
            "go": spoken_infinitive(draw, motion, tempo),
            "going": spoken_motion(draw, motion, tempo),
        }
        return rules.expand(draw, "moving", slots)
    if modality == "audio" and "thing" in attributes and draw.chance(0.12):
        return rules.expand(draw, "sounding", voice_phrases(draw, attributes))
    return rules.expand(draw, "request", phrase_slots(draw, modality, attributes))


def phrase_slots(draw: Draw, modality: str, attributes: Attributes) -> dict[str, str]:
    """The thing with an article and without."""
    return {
        "x": spoken_phrase(draw, modality, attributes),
        "X": spoken_phrase(draw, modality, attributes, bare=True),
    }


def negated_request(scenes: SceneSampler, modality: str, attributes: Attributes) -> str:
    """A request that also says what is not meant: another value, or another kind of medium."""
    rules = RULES[modality]
    names = [name for name in attributes if _other_value(scenes, name, attributes)]
    if not names or scenes.chance(0.3):
        other = scenes.choice([name for name in MEDIUM_WORDS if name != modality])
        slots = {
            **phrase_slots(scenes, modality, attributes),
            "n2": noun_of(scenes, other),
            "v2": scenes.choice({"image": ("draw", "paint"), "audio": ("play",),
                                 "video": ("film", "animate")}[other]),
        }  # fmt: skip
        return rules.expand(scenes, "not_medium", slots)
    name = scenes.choice(names)
    wrong = _other_value(scenes, name, attributes)
    assert wrong is not None
    slots = {"x": _contrast(scenes, modality, attributes, name, wrong)}
    # Such a phrase may hold sentences, so it stands at the end; alone it asks for a picture.
    return rules.expand(scenes, "contrast" if modality != "image" else "contrast_image", slots)


def noun_of(draw: Draw, modality: str) -> str:
    """A noun for a medium."""
    return RULES[modality].expand(draw, "n")


def _contrast(
    scenes: SceneSampler, modality: str, attributes: Attributes, name: str, wrong: str
) -> str:
    """A phrase of some attributes and of a value that one of them hasn't."""
    rest = {key: value for key, value in attributes.items() if key != name}
    slots: dict[str, str] = {}
    if name == "thing":
        slots["x"] = spoken_phrase(scenes, modality, attributes)
        slots["w"] = value_phrase("thing", wrong)
        return RULES[modality].expand(scenes, "not_thing", slots)
    if name == "motion":
        rest.pop("tempo", None)
        slots["w"] = spoken_motion(scenes, wrong)
        slots["r"] = spoken_motion(scenes, attributes["motion"], attributes.get("tempo"))
    else:
        slots["w"] = spoken_value(scenes, name, wrong)
        slots["r"] = spoken_value(scenes, name, attributes[name])
    slots["x"] = spoken_phrase(scenes, modality, attributes)
    slots["x0"] = spoken_phrase(scenes, modality, rest)
    binary = len(VALUES[name]) == 2 and scenes.chance(0.6)
    return RULES[modality].expand(scenes, "not_binary" if binary else "not_value", slots)


def _other_value(scenes: SceneSampler, name: str, attributes: Mapping[str, str]) -> str | None:
    """Another value of an attribute that may be named beside the others, if there is one."""
    others = [
        value
        for value in VALUES[name]
        if value != attributes[name] and not shows_held_out({**attributes, name: value})
    ]
    return scenes.choice(others) if others else None
