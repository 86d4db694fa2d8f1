"""Requests for several media, each with a thing of its own: lists, sentences, turned orders."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.several import BARE_NOUNS, NUMBERS, PLURALS
from anymodal.toybox.grammar.phrases.several_frames import (
    ALIKE_PAIR,
    ALIKE_TRIPLE,
    ALIKE_WORDS,
    COMMA_SEPARATED,
    HEADS_ALIKE,
    HEADS_MIXED,
    NUMBERINGS,
    PAIR,
    PAIR_TURNED,
    SEPARATORS,
    TRIPLE,
    TRIPLE_TURNED,
    WORDS,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.several_items import (
    NO_REFERENCE,
    FrameWords,
    Item,
    finish,
    sample_items,
    sample_modalities,
)
from anymodal.toybox.grammar.words import Draw

RULES = Rules({
    **WORDS, "pair": PAIR, "pair_turned": PAIR_TURNED, "triple": TRIPLE,
    "triple_turned": TRIPLE_TURNED, "alike2": ALIKE_PAIR, "alike3": ALIKE_TRIPLE,
    "heads_alike": HEADS_ALIKE, "heads_mixed": HEADS_MIXED,
    "heads_orders": [t for t in HEADS_MIXED if t not in ("{i_want} {list}", "deliver {list}")],
})  # fmt: skip
_COUNTS = {
    "{w}": ("one", "two", "three", "four"),
    "{o}": ("first", "second", "third", "fourth"),
    "{t}": ("1st", "2nd", "3rd", "4th"),
    "{r}": ("i", "ii", "iii", "iv"),
}


def add_items(builder: DialogueBuilder, text: str, items: Sequence[Item]) -> None:
    """Add a request for some items, and the reply that holds them."""
    builder.add_typed(finish(text))
    builder.add_media_reply([builder.scenes.media_item(i.scene, i.modality) for i in items])


def modality_words(draw: Draw, modality: str, count: int) -> dict[str, str]:
    """Nouns, verbs and a number for several media of one modality."""
    words = {name: draw.choice(options) for name, options in ALIKE_WORDS[modality].items()}
    return words | {
        "n": draw.choice(BARE_NOUNS[modality]),
        "ns": draw.choice(PLURALS[modality]),
        "c": draw.choice(NUMBERS[count]),
    }


def expand_frame(
    draw: Draw, symbol: str, items: Sequence[Item], words: dict[str, str], commas: bool = False
) -> str:
    """A request of a symbol whose references all tell the items apart."""
    while True:
        text = RULES.expand(draw, symbol, FrameWords(draw, items, words, commas=commas))
        if NO_REFERENCE not in text:
            return text


def add_frame(builder: DialogueBuilder) -> None:
    """Two or three things in words that name each, in the order of the reply or in another."""
    draw = builder.scenes
    count = draw.choice((2, 2, 3))
    items = sample_items(draw, sample_modalities(draw, count, 0.4))
    alike = len({item.modality for item in items}) == 1
    words = modality_words(draw, items[0].modality, count) if alike else {}
    if alike and draw.chance(0.55):
        symbol = f"alike{count}"
    else:
        symbol = "pair" if count == 2 else "triple"
        symbol += "_turned" if draw.chance(0.3) else ""
    add_items(builder, expand_frame(draw, symbol, items, words, draw.chance(0.3)), items)


def add_list(builder: DialogueBuilder) -> None:
    """Two to four things in a list, with all kinds of marks."""
    draw = builder.scenes
    count = draw.choice((2, 2, 2, 3, 3, 3, 4))
    items = sample_items(draw, sample_modalities(draw, count))
    alike = len({item.modality for item in items}) == 1
    separator = draw.choice(SEPARATORS) if draw.chance(0.55) else ""
    tight = separator in COMMA_SEPARATED
    slots = FrameWords(draw, items, {}, commas=not tight and draw.chance(0.4))
    forms: tuple[str, ...]
    if alike and draw.chance(0.75):
        forms = ("x", "x", "x", "X") if tight else ("x", "x", "X", "f", "f")
        words, symbol = modality_words(draw, items[0].modality, count), "heads_alike"
    else:
        forms = ("np", "np", "do", "to") if tight else ("np", "do", "terse", "terse", "to", "s")
        words, symbol = {"c": draw.choice(NUMBERS[count])}, "heads_mixed"
    form = draw.choice(forms)
    varied = symbol == "heads_mixed" and draw.chance(0.2)
    if symbol == "heads_mixed" and (varied or form in ("do", "s")):
        symbol = "heads_orders"
    parts = [slots.of(draw.choice(forms) if varied else form, place) for place in range(count)]
    if not separator:
        marked = _numbered(draw, parts)
    else:
        marked = parts[0]
        for part in parts[1:]:
            marked = separator.replace("{a}", marked).replace("{b}", part)
        if separator == "{a}, {b}" and draw.chance(0.5):
            head, last = ", ".join(parts[:-1]), parts[-1]
            marked = f"{head}{draw.choice((' and ', ', and ', ' & '))}{last}"
    add_items(builder, expand_frame(draw, symbol, items, words | {"list": marked}), items)


def _numbered(draw: Draw, parts: Sequence[str]) -> str:
    """Items of a list, each with its mark."""
    form, between = draw.choice(NUMBERINGS)
    texts = []
    for place, part in enumerate(parts):
        marks = {"{i}": str(place + 1), "{l}": "abcd"[place]}
        marks |= {slot: row[place] for slot, row in _COUNTS.items()}
        text = form
        for slot, mark in marks.items():
            text = text.replace(slot, mark)
        texts.append(text.replace("{a}", part))
    return between.join(texts)
