"""Requests that state attributes one by one: as fields, one ahead of the rest, in sentences."""

from __future__ import annotations

import re

from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_noun,
    spoken_phrase,
    spoken_value,
)
from anymodal.toybox.grammar.phrases.people import MEDIUM_WORDS, REQUEST
from anymodal.toybox.grammar.phrases.people_forms import (
    AHEAD,
    FIELD_LEADS,
    FIELD_TAILS,
    FIELDS,
    JOINS,
    LABELS,
    NUMBERS,
    SENTENCE_OPENERS,
    SENTENCES,
    SEPARATORS,
)
from anymodal.toybox.grammar.phrases.synonyms import GENUS
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.words import Attributes, Draw
from anymodal.toybox.scene import VALUES

_RULES = {
    modality: Rules(
        {
            **REQUEST,
            **words,
            **{f"ahead_{name}": frames for name, frames in AHEAD.items()},
            **{f"sentence_{name}": frames for name, frames in SENTENCES.items()},
            "opener": SENTENCE_OPENERS,
            "lead": FIELD_LEADS,
        }
    )
    for modality, words in MEDIUM_WORDS.items()
}
_SLOW_DOWN = re.compile(r"\b(slow) (?=down\b)|\b(right) (?=now\b)")


def field_request(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A request as a list of its facts: "bee / red / video", "type: sound; thing: duck"."""
    facts = [(name, _fact(draw, modality, name, attributes)) for name in attributes]
    lead = ""
    if draw.chance(0.35):
        lead = _RULES[modality].expand(draw, "lead", {"a": "a"}) + " "
    elif modality != "image" or "thing" not in attributes or draw.chance(0.7):
        facts.append(("medium", _RULES[modality].expand(draw, "n")))
    field = draw.choice(FIELDS)
    entries = [
        field.replace("{l}", draw.choice(LABELS[name])).replace("{w}", words)
        for name, words in draw.shuffled(facts)
    ]
    if draw.chance(0.2):
        marks, separator = draw.choice(NUMBERS), draw.choice((" ", "\n", "\n", ", "))
        entries = [mark + entry for mark, entry in zip(marks, entries, strict=False)]
    else:
        separator = draw.choice(SEPARATORS)
    text = lead + separator.join(entries) + draw.choice(FIELD_TAILS)
    return _SLOW_DOWN.sub(lambda match: f"{match[1] or match[2]}, ", text)


def _fact(draw: Draw, modality: str, name: str, attributes: Attributes) -> str:
    value = attributes[name]
    if name == "thing":
        return spoken_noun(draw, modality, value, bare=True)
    if name == "motion":
        going = spoken_motion if draw.chance(0.6) else spoken_infinitive
        return going(draw, value)
    return spoken_value(draw, name, value)


def ahead_request(draw: Draw, modality: str, attributes: Attributes) -> str | None:
    """A request that states one attribute apart from the thing, mostly ahead of it."""
    names = [name for name in AHEAD if name in attributes]
    if not names or "thing" not in attributes:
        return None
    name = draw.choice(names)
    rest = {key: value for key, value in attributes.items() if key != name}
    slots = {"g": draw.choice(GENUS[attributes["thing"]])}
    if name == "motion":
        tempo = rest.pop("tempo", None)
        slots["go"] = spoken_infinitive(draw, attributes[name], tempo)
        slots["w"] = spoken_motion(draw, attributes[name], tempo)
    else:
        slots["w"] = spoken_value(draw, name, attributes[name])
    slots["x0"] = spoken_phrase(draw, modality, rest)
    slots["X0"] = spoken_phrase(draw, modality, rest, bare=True)
    return _RULES[modality].expand(draw, f"ahead_{name}", slots)


def sentences_request(draw: Draw, modality: str, attributes: Attributes) -> str | None:
    """A request for a thing, and a sentence for each other attribute."""
    names = [name for name in VALUES if name in attributes and name != "thing"]
    if not names or "thing" not in attributes:
        return None
    noun = spoken_noun(draw, modality, attributes["thing"], bare=True)
    slots = {"N": noun, "g": draw.choice(GENUS[attributes["thing"]])}
    rules, text = _RULES[modality], ""
    pace = attributes.get("tempo") if draw.chance(0.5) else None
    for name in draw.shuffled(names):
        if name == "motion":
            slots["go"] = spoken_infinitive(draw, attributes[name], pace)
            slots["w"] = spoken_motion(draw, attributes[name], pace)
        elif name == "tempo" and pace is not None and "motion" in attributes:
            continue
        else:
            slots["w"] = spoken_value(draw, name, attributes[name])
        text += draw.choice(JOINS) + rules.expand(draw, f"sentence_{name}", slots)
    return tidy(rules.expand(draw, "opener", slots)) + text
