"""Steps that ask how many media a conversation has: all, or those of a kind, thing or color."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA
from anymodal.toybox.grammar.phrases.reviews import (
    COUNT_ALL,
    COUNT_COLOR,
    COUNT_KIND,
    COUNT_SENT,
    COUNT_SURE,
    COUNT_THING,
    VERBS,
)
from anymodal.toybox.grammar.phrases.several import PLURALS
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry
from anymodal.toybox.grammar.words import capitalize, value_phrase
from anymodal.toybox.scene import VALUES

COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
          "eleven", "twelve")  # fmt: skip
"""Words for how many there are."""


def made_entries(builder: DialogueBuilder) -> list[Entry]:
    """The items that replies hold."""
    return [entry for entry in builder.entries if entry.role == "assistant"]


def add_count(builder: DialogueBuilder) -> bool:
    """A question how many there are: of all, of a kind, of a thing, of a color, or given ones."""
    draw, made = builder.scenes, made_entries(builder)
    sent = [entry for entry in builder.entries if entry.role == "user"]
    if builder.forgets or len(builder.entries) >= len(COUNTS):
        return False
    choice = draw.rng.random()
    if choice < 0.2:
        _reply_count(builder, draw.choice(COUNT_ALL), made, "")
    elif choice < 0.35 and sent:
        kinds = {entry.item.modality for entry in sent if entry.item.modality in GENERATED}
        kind = draw.choice(sorted(kinds)) if kinds and draw.chance(0.6) else ""
        same = [entry for entry in sent if kind in ("", entry.item.modality)]
        noun = draw.choice(PLURALS[kind][:3]) if kind else draw.choice(("files", "things", "media"))
        text = draw.choice(COUNT_SENT).replace("{ks}", noun)
        _reply_count(builder, text, same, KINDS_OF_MEDIA[kind][0] if kind else "")
    elif choice < 0.55:
        _count_thing(builder, made)
    elif choice < 0.65:
        color = _some_value(builder, made, "color")
        same = [entry for entry in made if entry.item.attributes.get("color") == color]
        _reply_count(builder, draw.choice(COUNT_COLOR).replace("{v}", color), same, "")
    else:
        modality = draw.choice(GENERATED)
        if made and draw.chance(0.6):
            modality = draw.choice(made).item.modality
        same = [entry for entry in made if entry.item.modality == modality]
        if draw.chance(0.2):
            _add_sure_count(builder, same, modality)
            return True
        text = draw.choice(COUNT_KIND).replace("{ks}", draw.choice(PLURALS[modality]))
        text = with_verb(text, draw.choice(VERBS[modality]))
        _reply_count(builder, text, same, KINDS_OF_MEDIA[modality][0])
    return True


def _some_value(builder: DialogueBuilder, entries: Sequence[Entry], name: str) -> str:
    """A value, mostly one that some item shows."""
    draw = builder.scenes
    shown = [entry.item.attributes[name] for entry in entries if name in entry.item.attributes]
    return draw.choice(shown) if shown and draw.chance(0.8) else draw.choice(VALUES[name])


def _count_words(count: int, noun: str) -> str:
    if not noun or not count:
        return COUNTS[count]
    return f"{COUNTS[count]} {noun}{'s' if count != 1 else ''}"


def _reply_count(builder: DialogueBuilder, text: str, same: Sequence[Entry], noun: str) -> None:
    builder.alone = True
    builder.add_typed(text)
    builder.add_reply(capitalize(f"{_count_words(len(same), noun)}."))


def _count_thing(builder: DialogueBuilder, made: Sequence[Entry]) -> None:
    draw = builder.scenes
    thing = _some_value(builder, made, "thing")
    same = [entry for entry in made if entry.item.attributes.get("thing") == thing]
    noun, verb = value_phrase("thing", thing), ("make", "made")
    if draw.chance(0.5):
        kind = draw.choice(GENERATED)
        if same and draw.chance(0.8):
            kind = draw.choice(same).item.modality
        same = [entry for entry in same if entry.item.modality == kind]
        verb = draw.choice(VERBS[kind])
    text = with_verb(draw.choice(COUNT_THING), verb).replace("{things}", f"{noun}s")
    _reply_count(builder, text, same, noun)


def with_verb(text: str, verb: tuple[str, str]) -> str:
    """A question with a verb, as in "draw", and its past."""
    return text.replace("{did}", verb[0]).replace("{past}", verb[1])


def _add_sure_count(builder: DialogueBuilder, same: Sequence[Entry], modality: str) -> None:
    """Ask whether there are so many."""
    draw, count = builder.scenes, len(same)
    guess = count if draw.chance(0.5) else max(0, count + draw.choice((-1, 1, 2)))
    noun = KINDS_OF_MEDIA[modality][0]
    words = draw.choice((str(guess), COUNTS[guess] if guess else "no"))
    text = draw.choice(COUNT_SURE).replace("{c}", words)
    builder.alone = True
    builder.add_typed(text.replace("{ks}", f"{noun}{'s' if guess != 1 else ''}"))
    verdict = "yes" if guess == count else "no"
    builder.add_reply(capitalize(f"{_count_words(count, noun)}, so {verdict}."))
