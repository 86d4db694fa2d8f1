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
    APPOSED,
    COLOR_SYNONYMS,
    HEARD_NOUNS,
    PEOPLE_GO,
    PITCH_SYNONYMS,
    SEEN_NOUNS,
    SIZE_SYNONYMS,
    STILL_INFINITIVES,
    STILL_SYNONYMS,
    TEMPO_SYNONYMS,
    UNCOUNTED,
    VOICES,
)
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.words import Attributes, Draw, infinitive, participle

_PLAIN = 0.6
"""The share of words that are the usual ones."""
_USUAL_NOUNS: dict[str, Words] = {name: (noun, name) for name, noun in NOUNS.items()}
_WORDS: dict[str, tuple[dict[str, Words], dict[str, Words]]] = {
    "color": ({}, COLOR_SYNONYMS),
    "size": (SIZE_WORDS, SIZE_SYNONYMS),
    "pitch": (PITCH_WORDS, PITCH_SYNONYMS),
    "tempo": (TEMPO_WORDS, TEMPO_SYNONYMS),
    "adverb": (TEMPO_ADVERBS, ADVERB_SYNONYMS),
    "thing": (_USUAL_NOUNS, SEEN_NOUNS),
    "heard": (_USUAL_NOUNS, HEARD_NOUNS),
}
_DETERMINERS = ("a",) * 16 + (
    "",
    "",
    "",
    "",
    "the",
    "one",
    "my",
    "some kind of",
    "just a",
    "some",
    "any",
    "this",
    "a single",
    "a nice",
)
_UNCOUNTED_DETERMINERS = ("",) * 6 + ("the", "some", "some", "a bit of")
_BEFORE_MOTION = (
    "",
    "",
    "",
    "",
    "that is",
    "which is",
    ",",
    "that's",
    ", and it's",
    "while it is",
    "that keeps",
    "which keeps",
    "who is",
    "that should be",
)
_BEHIND_TEMPO = (
    ", {t}",
    "at a {t} pace",
    "({t})",
    "with a {t} beat",
    "at a {t} tempo",
    "in a {t} rhythm",
    ", make it {t}",
    "- {t}",
    "that is {t}",
    "and {t} please",
    "with a {t} rhythm",
    ", {t} please",
)
_BEHIND = (
    ", {w}", "that is {w}", "that's {w}", "which is {w}", "({w})", ", a {w} one", "- {w}",
    "that looks {w}", ", {w} please,", "of the {w} kind", ", and {w}", ", make it {w},",
    "and it's {w}", "but {w}", ", {w} of course", "who is {w}", "that should be {w}",
    "(i mean a {w} one)",
)  # fmt: skip


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


def third_person(draw: Draw, motion: str) -> str:
    """A motion as it follows "it": "flies up", "stands still"."""
    if motion == "still":
        return draw.choice(("stands still", "stays still", "does not move", "rests"))
    verb, _, way = draw.choice(PEOPLE_GO[motion])
    if verb.endswith(("y", "o", "sh", "ch")):
        verb = f"{verb[:-1]}ie" if verb.endswith("y") else f"{verb}e"
    return f"{verb}s {way}".rstrip()


def _paced(draw: Draw, verb: str, tempo: str | None) -> str:
    if tempo is None:
        return verb
    adverb = spoken_value(draw, "adverb", tempo)
    return f"{verb} {adverb}" if " " in adverb or draw.chance(0.7) else f"{adverb} {verb}"


def spoken_noun(draw: Draw, modality: str, thing: str, *, bare: bool = False) -> str:
    """A noun for a thing that is seen or heard; sometimes explained, where it needn't be bare."""
    if not bare and draw.chance(0.04):
        return draw.choice(APPOSED[thing])
    return spoken_value(
        draw, "heard" if modality == "audio" and draw.chance(0.5) else "thing", thing
    )


def spoken_phrase(draw: Draw, modality: str, attributes: Attributes, *, bare: bool = False) -> str:
    """A noun phrase of a thing in a modality, with all that attributes say of it.

    Args:
        draw: random draws.
        modality: in which it is asked for.
        attributes: to be stated; without a thing it is "thing" or "one".
        bare: no article and nothing behind the noun, as in "red clock".
    """
    facts = dict(attributes)
    noun = spoken_noun(draw, modality, facts["thing"], bare=bare) if "thing" in facts else "thing"
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
            behind.append(f"{draw.choice(_BEFORE_MOTION)} {text}")
    elif tempo is not None:
        text = spoken_value(draw, "tempo", tempo)
        if bare or draw.chance(0.5):
            before.insert(0 if draw.chance(0.7) else len(before), text)
        else:
            behind.append(draw.choice(_BEHIND_TEMPO).replace("{t}", text))
    determiners = _UNCOUNTED_DETERMINERS if noun in UNCOUNTED else _DETERMINERS
    article = "" if bare else draw.choice(determiners)
    return tidy(" ".join((article, *before, noun, *behind)))


def _behind(draw: Draw, word: str) -> str:
    """An adjective behind its noun."""
    return draw.choice(_BEHIND).replace("{w}", word)


def voice_phrases(draw: Draw, attributes: Attributes) -> dict[str, str]:
    """A thing and what it does when it sounds: "a small duck quack fast", and with "to"."""
    looks = {name: value for name, value in attributes.items() if name in ("thing", "size")}
    phrase, voice = spoken_phrase(draw, "image", looks), draw.choice(VOICES[attributes["thing"]])
    if "tempo" in attributes:
        voice += f" {spoken_value(draw, 'adverb', attributes['tempo'])}"
    return {"voice": f"{phrase} {voice}", "voice_to": f"{phrase} to {voice}"}
