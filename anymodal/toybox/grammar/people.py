"""Conversations as people have them: their own words, several media, references and corrections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combinations import add_combination
from anymodal.toybox.grammar.comparing import comparison
from anymodal.toybox.grammar.counts import add_count
from anymodal.toybox.grammar.inquiries import add_compound_question, add_inquiry_of
from anymodal.toybox.grammar.reviews import (
    add_any_question,
    add_last_question,
    add_order_question,
    add_past_question,
)
from anymodal.toybox.grammar.revisions import (
    add_correction,
    add_redirection,
    add_undo,
    add_whole_edit,
)
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
    add_media_combination,
)
from anymodal.toybox.grammar.swaps import add_edit_of_all
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry, ReferenceDialogue

_Production = Callable[[SceneSampler], ReferenceDialogue]


def request(scenes: SceneSampler) -> ReferenceDialogue:
    """A request for one medium."""
    builder = DialogueBuilder(scenes)
    add_generation(builder)
    return builder.build("people")


def edits(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three requests, then one to five edits, corrections, conversions or repetitions."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 1, 1, 2, 3))):
        add_generation(builder)
    steps: tuple[Step, ...] = (add_last_edit,) * 6 + (add_conversion,) * 3 + (add_earlier_edit,) * 2
    steps += (add_redirection, add_correction, add_whole_edit, add_again, add_past_question)
    for _ in range(scenes.choice((1, 1, 2, 3, 4, 5))):
        _add_one(builder, steps)
    return builder.build("people:edit")


def undoing(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three requests, then edits that are taken back."""
    builder = DialogueBuilder(scenes)
    while True:
        for _ in range(scenes.choice((1, 1, 2, 3))):
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
    """One to five requests and edits, then questions about what was made."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 2, 2, 3, 3))):
        add_generation(builder)
    for _ in range(scenes.choice((0, 0, 1, 2))):
        _add_one(builder, (add_last_edit, add_last_edit, add_earlier_edit, add_conversion))
    asking: tuple[Step, ...] = (add_last_question,) * 3 + (add_item_inquiry, add_past_question) * 2
    asking += (add_count, add_count, add_order_question, add_any_question)
    for _ in range(scenes.choice((1, 1, 2, 3))):
        _add_one(builder, asking)
    return builder.build("own")


def compound_question(scenes: SceneSampler) -> ReferenceDialogue:
    """A question about several attributes of a given medium at once."""
    return _of_given(scenes, add_compound_question, "compound", 2)


def file_question(scenes: SceneSampler) -> ReferenceDialogue:
    """A question of any sort about a given medium, then sometimes another about it."""
    return _of_given(scenes, add_inquiry_of, "file", 1)


def _of_given(
    scenes: SceneSampler, ask: Callable[..., None], kind: str, least: int
) -> ReferenceDialogue:
    """A question about a given medium that shows some attributes at least."""
    builder = DialogueBuilder(scenes)
    while True:
        modality = scenes.choice((*GENERATED, "imu"))
        item = scenes.media_item(scenes.sample((modality,)), modality)
        if len(item.attributes) >= least:
            break
    ask(builder, entry := Entry(0, item, "user"), "it", [item])
    if kind == "file" and scenes.chance(0.3):
        add_inquiry_of(builder, entry, "it")
        return builder.build(kind)
    return builder.build(kind, item.attributes)


def combining(scenes: SceneSampler) -> ReferenceDialogue:
    """Up to three media, given or made, and one to three requests that take something of them."""
    builder = DialogueBuilder(scenes)
    while not _add_first_combination(builder):
        builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((0, 0, 0, 1, 1, 2))):
        steps = (add_media_combination, add_last_edit, add_earlier_edit, add_conversion)
        add_media_combination(builder) if scenes.chance(0.7) else _add_one(builder, steps)
    return builder.build("combine")


def _add_first_combination(builder: DialogueBuilder) -> bool:
    """Add media and a request that takes something of them; False where none fits."""
    scenes = builder.scenes
    add = add_edit_of_all if scenes.chance(0.17) else add_combination
    given = scenes.chance(0.55)
    if not given or scenes.chance(0.1):
        modality = scenes.choice(GENERATED)
        for _ in range(scenes.choice((1, 2, 2, 2, 3)) if not given else 1):
            add_generation(builder, modality if scenes.chance(0.6) else None)
    if not given:
        return add(builder, builder.entries)
    modalities = scenes.choice((GENERATED, (*GENERATED, "image", "imu")))
    kinds = [scenes.choice(modalities) for _ in range(scenes.choice((1, 2, 2, 2, 2, 3)))]
    if scenes.chance(0.5):
        kinds = [kinds[0] if kinds[0] != "imu" else "image"] * len(kinds)
    media = [scenes.media_item(scenes.sample((kind,)), kind) for kind in kinds]
    first = len(builder.entries)
    return add(builder, [Entry(first + n, item, "user") for n, item in enumerate(media)], media)


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
    "compound": (8.0, compound_question),
    "file": (8.0, file_question),
    "compare": (12.0, comparison),
    "combine": (9.0, combining),
}
"""Kinds of conversation with their weight and production."""
