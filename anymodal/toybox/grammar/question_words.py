"""Words of questions about one medium: fields, objects, direct questions and alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anymodal.toybox.grammar.people_phrases import spoken_infinitive, spoken_motion, spoken_value
from anymodal.toybox.grammar.phrases import question_frames as frames
from anymodal.toybox.grammar.phrases.asking import (
    CHOICE_WORDS,
    CLASSES,
    DIRECTS,
    FIELDS,
    MADE_CHECKS,
    MADE_DIRECTS,
    OBJECTS,
    OF_CLASS,
    OF_MINE,
    OF_RAIN,
    OPEN_ENDS,
    WHO,
)
from anymodal.toybox.grammar.phrases.question_talk import GIVEN_LEADS, LEADS, TAILS
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.words import Attributes, Draw, value_phrase, with_article
from anymodal.toybox.scene import VALUES

PRONOUNS = ("it", "this", "that", "this one", "that one")
_ANIMALS = ("bird", "bee", "duck")
_TABLES = {"field": FIELDS, "object": OBJECTS, "direct": DIRECTS}


def _rules() -> Rules:
    """Rules of all questions: `field:size.audio`, `direct:size`, and frames by their name."""
    tables: dict[str, Sequence[str]] = {
        f"{form}:{key}": words for form, table in _TABLES.items() for key, words in table.items()
    }
    tables |= {
        f"named:{key}": tuple(text for text in words if "{it}" in text)
        for key, words in DIRECTS.items()
    }
    for symbol, table in (("open", OPEN_ENDS), ("made", MADE_DIRECTS)):
        tables |= {f"{symbol}:{name}": words for name, words in table.items()}
    tables["made:check"] = MADE_CHECKS
    tables |= {f"check:{key}": words for key, words in frames.CHECKS_OF.items()}
    for form, words in zip(_TABLES, OF_CLASS, strict=True):
        tables[f"{form}:class"] = words
    tables |= {"named:class": OF_CLASS[2][:2], "who": WHO, "rain": OF_RAIN}
    tables |= {
        name.lower(): getattr(frames, name)
        for name in (
            "FIELD_FRAMES", "FIELD_FRAMES_OF", "OBJECT_FRAMES", "OBJECT_FRAMES_OF", "DIRECT_FRAMES",
            "DIRECT_FRAMES_OF", "NOT_THESE", "WHOLE", "WHOLE_WITH_LIST", "EITHER", "CHECKS",
            "MOVES_AT_ALL", "ALL",
        )
    }  # fmt: skip
    return Rules(tables)


_RULES = _rules()


def _key(name: str, modality: str, table: Mapping[str, object]) -> str:
    """The key of an attribute's words in a modality."""
    own = f"{name}.{modality}"
    return own if own in table else name


def part(
    draw: Draw, form: str, name: str, modality: str, shown: Attributes, it: str, *, named: bool
) -> str:
    """A field, an object or a question of one attribute.

    Args:
        draw: random draws.
        form: "field", "object" or "direct".
        name: of the attribute.
        modality: of the medium.
        shown: by the medium.
        it: words for it.
        named: whether a direct question must hold these words.
    """
    slots = {"it": it}
    if name == "thing" and draw.chance(0.22):
        thing = shown["thing"]
        if form == "direct" and thing in _ANIMALS and modality != "audio" and draw.chance(0.3):
            return _RULES.expand(draw, "who", slots)
        if form == "direct" and thing == "rain" and not named:
            return _RULES.expand(draw, "rain", slots)
        symbol = "named" if named and form == "direct" else form
        slots["c"] = draw.choice(CLASSES[thing])
        return _RULES.expand(draw, f"{symbol}:class", slots)
    if form != "object" and name != "thing" and draw.chance(0.1):
        first, second = alternatives(draw, name, modality, shown)
        text = f"{first} or {second}"
        return text if form == "field" or not named else f"is {it} {text}"
    symbol = "named" if named and form == "direct" else form
    return _RULES.expand(draw, f"{symbol}:{_key(name, modality, _TABLES[form])}", slots)


def alternatives(
    draw: Draw, name: str, modality: str, shown: Attributes, guesses: Sequence[str] = ()
) -> tuple[str, str]:
    """Words for two values of an attribute: the right one and another, mostly."""
    if not guesses:
        guesses = draw.shuffled([shown[name], draw.choice(other_values(name, shown))])
    key = _key(name, modality, CHOICE_WORDS)
    if key not in CHOICE_WORDS:
        first, second = (with_article(name, value) for value in guesses)
        if name == "thing" and draw.chance(0.4):
            return first.removeprefix("a "), second.removeprefix("a ")
        return first, second
    words = [CHOICE_WORDS[key][value] for value in guesses]
    place = int(draw.rng.random() * min(len(options) for options in words))
    return words[0][place], words[1][place]


def other_values(name: str, shown: Attributes) -> list[str]:
    """All values of an attribute but the one that is shown."""
    return [value for value in VALUES[name] if value != shown[name]]


def joined(draw: Draw, parts: Sequence[str], form: str) -> str:
    """Parts of a question as one text: with commas, signs, numbers or question marks."""
    if len(parts) == 1:
        return parts[0]
    if form == "direct":
        joint = draw.choice(frames.QUESTION_JOINTS)
        if len(parts) == 2 or draw.chance(0.5):
            return joint.join(parts)
        return f"{', '.join(parts[:-1])}{draw.choice(frames.LAST_JOINTS)}{parts[-1]}"
    if form == "field" and draw.chance(0.25):
        template, between = draw.choice(frames.NUMBERED), draw.choice((" ", " ", ", ", "; "))
        return between.join(
            template.replace("{n}", str(number)).replace("{x}", text)
            for number, text in enumerate(parts, start=1)
        )
    if draw.chance(0.5):
        if form == "object":
            return draw.choice((" and ", " and ", ", ", ", and ", " & ", " plus ")).join(parts)
        return draw.choice(frames.JOINTS).join(parts)
    return f"{', '.join(parts[:-1])}{draw.choice(frames.LAST_JOINTS)}{parts[-1]}"


def medium_question(
    draw: Draw, names: Sequence[str], modality: str, shown: Attributes, it: str, *, made: bool
) -> str:
    """A question about some attributes of a medium in any form.

    Args:
        draw: random draws.
        names: of the attributes.
        modality: of the medium.
        shown: by the medium.
        it: words for it.
        made: whether a reply holds it.
    """
    if len(names) == 1 and draw.chance(0.12):
        symbol = "made" if made and draw.chance(0.6) else "open"
        return named_text(f"{_RULES.expand(draw, f'{symbol}:{names[0]}', {'it': it})}?", it)
    while True:
        text = _any_question(draw, names, modality, shown, it)
        if not (made and any(words in text for words in OF_MINE)):
            return text


def named_text(text: str, it: str) -> str:
    """A question that names its medium, unless a pronoun is enough."""
    return text if it in PRONOUNS or it in text else f"{it}: {text}"


def _any_question(
    draw: Draw, names: Sequence[str], modality: str, shown: Attributes, it: str
) -> str:
    pronoun = it in PRONOUNS
    if pronoun and len(names) == len(shown) > 2 and draw.chance(0.12):
        fields = [part(draw, "field", n, modality, shown, "it", named=False) for n in names]
        return _RULES.expand(draw, "whole_with_list", {"it": it, "list": joined(draw, fields, "")})
    form = draw.choice(("field", "field", "object", "direct", "direct"))
    others = [name for name in shown if name not in names]
    if others and pronoun and form == "object" and draw.chance(0.3):
        return _negative_scope(draw, names, others, modality, shown)
    of = not pronoun and (form != "direct" or draw.chance(0.4))
    named = form == "direct" and not of and not pronoun
    parts = []
    for place, name in enumerate(names):
        inner = form
        if place and draw.chance(0.2):
            inner = draw.choice(("field", "object", "direct"))
        subject = it if place == 0 and not of and form == "direct" else "it"
        parts.append(part(draw, inner, name, modality, shown, subject, named=named and place == 0))
    text = joined(draw, parts, form)
    symbol = f"{form}_frames_of" if of else f"{form}_frames"
    return _RULES.expand(draw, symbol, {"list": text, "it": it})


def _negative_scope(
    draw: Draw, names: Sequence[str], others: Sequence[str], modality: str, shown: Attributes
) -> str:
    """A question that says what it doesn't ask for."""
    parts = [part(draw, "object", n, modality, shown, "it", named=False) for n in names]
    left = part(draw, "object", draw.choice(others), modality, shown, "it", named=False)
    slots = {"list": joined(draw, parts, "object"), "not": left}
    return _RULES.expand(draw, "not_these", slots)


def whole_question(draw: Draw, it: str) -> str:
    """A request to tell all about a medium."""
    return _RULES.expand(draw, "whole", {"it": it, "all": draw.choice(frames.ALL)})


def either_question(draw: Draw, first: str, second: str, it: str) -> str:
    """A question which of two values is right."""
    text = _RULES.expand(draw, "either", {"it": it, "a": first, "b": second})
    return named_text(text, it)


def check_question(draw: Draw, name: str, guess: str, modality: str, it: str, *, made: bool) -> str:
    """A question whether an attribute has a value."""
    slots = {"it": it, "v": _guessed(draw, name, guess, modality)}
    if name == "tempo":
        slots["adv"] = spoken_value(draw, "adverb", guess)
    if name == "motion":
        slots["inf"] = spoken_infinitive(draw, guess)
    symbol = "made:check" if made and draw.chance(0.25) else "checks"
    if draw.chance(0.45):
        symbol = f"check:{_key(name, modality, frames.CHECKS_OF)}"
    while True:
        text = _RULES.expand(draw, symbol, slots)
        if not (made and any(words in text for words in OF_MINE)):
            return named_text(text, it)


def moves_question(draw: Draw, it: str) -> str:
    """A question whether something moves at all."""
    text = _RULES.expand(draw, "moves_at_all", {"it": it})
    return named_text(text, it)


def _guessed(draw: Draw, name: str, value: str, modality: str) -> str:
    """A value as people say it, after "is it"."""
    if name == "motion":
        return spoken_motion(draw, value) if draw.chance(0.4) else value_phrase(name, value)
    if name in ("thing", "color"):
        return f"{'a ' if name == 'thing' else ''}{spoken_value(draw, name, value)}"
    words = CHOICE_WORDS[_key(name, modality, CHOICE_WORDS)][value]
    return value if draw.chance(0.4) else draw.choice(words)


def with_talk(draw: Draw, text: str, modality: str, *, given: bool) -> str:
    """A question, in one of four with something said before it or after it."""
    choice = draw.rng.random()
    if choice < 0.08 and given:
        return draw.choice(GIVEN_LEADS[modality]) + text
    if choice < 0.17:
        return draw.choice(LEADS) + text
    if choice < 0.25:
        return tidy(text.rstrip("?") + draw.choice(TAILS))
    return text
