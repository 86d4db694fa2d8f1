"""Conversations as people have them: their own words, several media, references and corrections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combinations import add_combination, add_edit_of_both
from anymodal.toybox.grammar.comparisons import add_comparison
from anymodal.toybox.grammar.inquiries import add_compound_question
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.several import add_several
from anymodal.toybox.grammar.steps import (
    Step,
    add_again,
    add_attachments,
    add_conversion,
    add_earlier_edit,
    add_generation,
    add_item_inquiry,
    add_last_edit,
    add_undo,
)
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry, ReferenceDialogue

_Production = Callable[[SceneSampler], ReferenceDialogue]


def request(scenes: SceneSampler) -> ReferenceDialogue:
    """A request for one medium."""
    builder = DialogueBuilder(scenes)
    add_generation(builder)
    return builder.build("people")


def edits(scenes: SceneSampler) -> ReferenceDialogue:
    """A request, then one to four edits, conversions or repetitions."""
    builder = DialogueBuilder(scenes)
    add_generation(builder)
    for _ in range(scenes.choice((1, 1, 2, 3, 4))):
        _add_one(builder, (add_last_edit,) * 5 + (add_conversion, add_again, add_earlier_edit))
    return builder.build("people:edit")


def undoing(scenes: SceneSampler) -> ReferenceDialogue:
    """A request, then edits that are taken back."""
    builder = DialogueBuilder(scenes)
    while True:
        add_generation(builder)
        if add_undo(builder):
            return builder.build("people:undo")


def several(scenes: SceneSampler) -> ReferenceDialogue:
    """A request for several media, then sometimes something about one of them."""
    builder = DialogueBuilder(scenes)
    add_several(builder)
    return _follow_up(builder, 0.35).build("several")


def attachments(scenes: SceneSampler) -> ReferenceDialogue:
    """Given media with a question or a request about some of them, then sometimes another."""
    builder = DialogueBuilder(scenes)
    add_attachments(builder)
    return _follow_up(builder, 0.4).build("attachments")


def _follow_up(builder: DialogueBuilder, probability: float) -> DialogueBuilder:
    """The conversation, sometimes with a turn about one of its media."""
    if builder.scenes.chance(probability):
        _add_one(builder, (add_earlier_edit, add_item_inquiry, add_conversion))
    return builder


def own_media(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three requests, then questions about what was made."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 2, 2, 3))):
        add_generation(builder)
    for _ in range(scenes.choice((1, 1, 2))):
        _add_one(builder, (add_item_inquiry,))
    return builder.build("own")


def compound_question(scenes: SceneSampler) -> ReferenceDialogue:
    """A question about several attributes of a given medium at once."""
    builder = DialogueBuilder(scenes)
    while True:
        modality = scenes.choice((*GENERATED, "imu"))
        item = scenes.media_item(scenes.sample((modality,)), modality)
        if len(item.attributes) > 1:
            add_compound_question(builder, Entry(0, item, "user"), "it", [item])
            return builder.build("compound", item.attributes)


_PairStep = Callable[..., bool]


def of_two(scenes: SceneSampler, kind: str, steps: Sequence[_PairStep]) -> ReferenceDialogue:
    """Two media, given at once or made one after the other, and something about both."""
    while True:
        builder = DialogueBuilder(scenes)
        if scenes.chance(0.5):
            modality = scenes.choice((*GENERATED, *(("imu",) if kind == "compare" else ())))
            media = [scenes.media_item(scenes.sample((modality,)), modality) for _ in range(2)]
            pair = [Entry(number, item, "user") for number, item in enumerate(media)]
            if scenes.choice(steps)(builder, pair, media):
                return builder.build(kind)
            continue
        modality = scenes.choice(GENERATED)
        for _ in range(2):
            add_generation(builder, modality if scenes.chance(0.8) else None)
        if scenes.choice(steps)(builder, builder.entries):
            return builder.build(kind)


def _add_one(builder: DialogueBuilder, steps: Sequence[Step]) -> None:
    """Add one of some steps, of those that fit."""
    for step in builder.scenes.shuffled(steps):
        if step(builder):
            return


PEOPLE: dict[str, tuple[float, _Production]] = {
    "people": (50.0, request),
    "people:edit": (24.0, edits),
    "people:undo": (5.0, undoing),
    "several": (16.0, several),
    "attachments": (14.0, attachments),
    "own": (8.0, own_media),
    "compound": (6.0, compound_question),
    "compare": (10.0, partial(of_two, kind="compare", steps=(add_comparison,))),
    "combine": (
        7.0,
        partial(of_two, kind="combine", steps=(add_combination, add_combination, add_edit_of_both)),
    ),
}
"""Kinds of conversation with their weight and production."""
