"""Phrases of attributes as people type them: other words, other orders, no article."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import (
    NOUNS,
    PITCH_WORDS,
    SIZE_WORDS,
    TEMPO_ADVERBS,
    TEMPO_WORDS,
    Words,
)
from anymodal.toybox.grammar.phrases.synonyms import (
    ADVERB_SYNONYMS,
    COLOR_SYNONYMS,
    NOUN_SYNONYMS,
    PEOPLE_GO,
    PITCH_SYNONYMS,
    SIZE_SYNONYMS,
    STILL_INFINITIVES,
    STILL_SYNONYMS,
    TEMPO_SYNONYMS,
    VOICES,
)
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.words import Attributes, Draw, infinitive, participle

_PLAIN = 0.7
"""The share of words that are the usual ones."""
_WORDS: dict[str, tuple[dict[str, Words], dict[str, Words]]] = {
    "color": ({}, COLOR_SYNONYMS),
    "size": (SIZE_WORDS, SIZE_SYNONYMS),
    "pitch": (PITCH_WORDS, PITCH_SYNONYMS),
    "tempo": (TEMPO_WORDS, TEMPO_SYNONYMS),
    "adverb": (TEMPO_ADVERBS, ADVERB_SYNONYMS),
    "thing": ({name: (noun,) for name, noun in NOUNS.items()}, NOUN_SYNONYMS),
}
_DETERMINERS = ("a",) * 14 + ("", "", "", "the", "one", "my", "some kind of")


def spoken_value(draw: Draw, name: str, value: str) -> str:
    """One of the words for a value, its usual one mostly."""
    usual, others = _WORDS[name]
    words = usual.get(value, (value,)) if draw.chance(_PLAIN) else others[value]
    return draw.choice(words)


def spoken_motion(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """A participle phrase of a motion: "flying up really fast"."""
    if draw.chance(0.4):
        return participle(draw, motion, tempo)
    if motion == "still":
        return draw.choice(STILL_SYNONYMS)
    _, verb, way = draw.choice(PEOPLE_GO[motion])
    return _paced(draw, f"{verb} {way}".rstrip(), tempo)


def spoken_infinitive(draw: Draw, motion: str, tempo: str | None = None) -> str:
    """An infinitive phrase of a motion: "fly up really fast"."""
    if draw.chance(0.4):
        return infinitive(draw, motion, tempo)
    if motion == "still":
        return draw.choice(STILL_INFINITIVES)
    verb, _, way = draw.choice(PEOPLE_GO[motion])
    return _paced(draw, f"{verb} {way}".rstrip(), tempo)


def _paced(draw: Draw, verb: str, tempo: str | None) -> str:
    if tempo is None:
        return verb
    adverb = spoken_value(draw, "adverb", tempo)
    return f"{verb} {adverb}" if " " in adverb or draw.chance(0.7) else f"{adverb} {verb}"


def spoken_phrase(draw: Draw, modality: str, attributes: Attributes, *, bare: bool = False) -> str:
    """A noun phrase of a thing in a modality, with all that attributes say of it.

    Args:
        draw: random draws.
        modality: in which it is asked for.
        attributes: to be stated; without a thing it is "thing" or "one".
        bare: no article and nothing behind the noun, as in "red clock".
    """
    facts = dict(attributes)
    noun = spoken_value(draw, "thing", facts["thing"]) if "thing" in facts else "thing"
    motion, tempo = facts.get("motion"), facts.get("tempo")
    before, behind = [], []
    if "size" in facts:
        name = "pitch" if modality == "audio" and draw.chance(0.25) else "size"
        before.append(spoken_value(draw, name, facts["size"]))
    if "color" in facts:
        before.append(spoken_value(draw, "color", facts["color"]))
    if len(before) == 2 and draw.chance(0.15):
        before.reverse()
    if not bare and before and draw.chance(0.2):
        behind.append(_behind(draw, before.pop(int(draw.rng.random() * len(before)))))
    if motion is not None:
        text = spoken_motion(draw, motion, None if motion == "still" else tempo)
        if draw.chance(0.15) and " " not in text:
            before.insert(0, text)
        else:
            behind.append(f"{draw.choice(('', '', '', 'that is', 'which is', ','))} {text}")
    elif tempo is not None:
        text = spoken_value(draw, "tempo", tempo)
        if bare or draw.chance(0.5):
            before.insert(0 if draw.chance(0.7) else len(before), text)
        else:
            behind.append(
                draw.choice((", {t}", "at a {t} pace", "({t})", "with a {t} beat")).replace(
                    "{t}", text
                )
            )
    article = "" if bare else draw.choice(_DETERMINERS)
    return tidy(" ".join((article, *before, noun, *behind)))


def _behind(draw: Draw, word: str) -> str:
    """An adjective behind its noun."""
    forms = (", {w}", "that is {w}", "that's {w}", "which is {w}", "({w})", ", a {w} one", "- {w}")
    return draw.choice(forms).replace("{w}", word)


def voice_phrase(draw: Draw, attributes: Attributes) -> str:
    """A thing and what it does when it sounds, as "a small duck quack fast"."""
    looks = {name: value for name, value in attributes.items() if name in ("thing", "size")}
    text = f"{spoken_phrase(draw, 'audio', looks)} {draw.choice(VOICES[attributes['thing']])}"
    return (
        f"{text} {spoken_value(draw, 'adverb', attributes['tempo'])}"
        if "tempo" in attributes
        else text
    )
