"""Comparisons of media: of two, before and after a change, of three, and descriptions of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.compared import Compared, joined_values, labels_of
from anymodal.toybox.grammar.comparing_questions import (
    ComparingQuestion,
    ask_both,
    ask_common,
    ask_difference,
    ask_identical,
    ask_more_than,
    ask_odd_one,
    ask_same,
    ask_values,
    ask_which_has,
    ask_which_is_more,
    ask_which_moves,
)
from anymodal.toybox.grammar.inquiries import statement
from anymodal.toybox.grammar.phrases import comparisons as words_for
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.scene import VALUES


def add_comparison(
    builder: DialogueBuilder,
    pair: Sequence[Entry],
    media: Sequence[MediaItem] = (),
    among: Sequence[Entry] = (),
) -> bool:
    """Add one or two questions that compare two items; False if they have nothing in common.

    Args:
        builder: the conversation.
        pair: the items, in the conversation's order.
        media: those of them that are shown with the question.
        among: the items that words must tell them from, where "they" isn't clear.
    """
    if not _add_one(Compared(builder, pair, media, among), _PAIR_KINDS):
        return False
    if builder.scenes.chance(0.25):
        lead_in = builder.scenes.choice(words_for.LEAD_INS)
        again = Compared(builder, pair, (), among, lead_in, at_hand=True)
        _add_one(again, _PAIR_KINDS)
    return True


def add_version_comparison(builder: DialogueBuilder, before: Entry, after: Entry) -> bool:
    """Add a question that compares an item with what it was before an edit."""
    return _add_one(Compared(builder, (before, after)), _VERSION_KINDS)


def add_comparison_of_all(
    builder: DialogueBuilder, entries: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add a question that compares three items; False if they have nothing in common."""
    return _add_one(Compared(builder, entries, media), _THREE_KINDS)


def _add_one(items: Compared, kinds: Sequence[tuple[float, ComparingQuestion]]) -> bool:
    """Add a question of one of some kinds, drawn by weight among those that fit."""
    shown = [entry.item.attributes for entry in items.entries]
    common = [name for name in shown[0] if all(name in each for each in shown)]
    if len(items.modalities) > 1 and "imu" in items.modalities and "size" in common:
        common.remove("size")  # a movement's strength is no size of a thing
    if not common:
        return False
    differing = [name for name in common if len({each[name] for each in shown}) > 1]
    draw, left = items.builder.scenes, list(kinds)
    while left:
        place = draw.rng.random() * sum(weight for weight, _ in left)
        # The first kind whose weights with those before it reach the place.
        totals = accumulate(weight for weight, _ in left)
        number = next((n for n, total in enumerate(totals) if place < total), len(left) - 1)
        if left.pop(number)[1](items, common, differing):
            return True
    return False


_PAIR_KINDS: tuple[tuple[float, ComparingQuestion], ...] = (
    (20.0, ask_which_is_more(words_for.WHICH)),
    (11.0, ask_more_than(words_for.THAN)),
    (13.0, ask_which_has),
    (4.0, ask_which_moves),
    (11.0, ask_difference(words_for.DIFFERENCE)),
    (15.0, ask_same(None, "yes")),
    (7.0, ask_same(words_for.DIFFERS, "no")),
    (9.0, ask_both),
    (9.0, ask_common),
    (6.0, ask_identical),
    (8.0, ask_values),
)
_VERSION_KINDS: tuple[tuple[float, ComparingQuestion], ...] = (
    (3.0, ask_which_is_more(words_for.NOW_OR_BEFORE)),
    (3.0, ask_more_than(words_for.NOW_THAN)),
    (3.0, ask_difference(words_for.CHANGED)),
    (3.0, ask_same(words_for.DID_CHANGE, "no")),
    (3.0, ask_same(words_for.DID_STAY, "yes")),
)
_THREE_KINDS: tuple[tuple[float, ComparingQuestion], ...] = (
    (3.0, ask_which_is_more(words_for.MOST, superlative=True)),
    (3.0, ask_odd_one),
    (2.0, ask_which_has),
    (2.0, ask_same(words_for.ALL_SAME, "yes")),
    (1.0, ask_values),
)


def add_description_of_all(builder: DialogueBuilder, media: Sequence[MediaItem]) -> None:
    """Add a request to describe all of some given media, and a sentence for each."""
    draw, entries = builder.scenes, [Entry(n, item, "user") for n, item in enumerate(media)]
    builder.add_typed(draw.choice(words_for.BOTH), media)
    sentences, values = [], dict[str, list[str]]()
    for label, entry in zip(labels_of(entries), entries, strict=True):
        facts = entry.item.attributes
        if entry.item.modality == "imu":
            text = describe(facts, "imu", draw.rng)[:-1]
            sentences.append(f"The {label}: {text[0].lower()}{text[1:]}.")
        else:
            sentences.append(statement(f"the {label}", facts))
        for name, value in facts.items():
            values.setdefault(name, []).append(value)
    expected = {name: joined_values(name, values[name]) for name in VALUES if name in values}
    builder.add_reply(" ".join(sentences), expected)
