"""Conversations that compare media: given or made, two or more, before and after an edit."""

from __future__ import annotations

from collections.abc import Callable

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.comparisons import add_comparison, add_comparison_of_all
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.several import add_several
from anymodal.toybox.grammar.steps import (
    add_edit_comparison,
    add_generation,
    add_last_edit,
    add_pair_comparison,
)
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry, MediaItem, ReferenceDialogue

_GIVEN = (*GENERATED, "imu")


def _given(scenes: SceneSampler, modality: str) -> MediaItem:
    return scenes.media_item(scenes.sample((modality,)), modality)


def _alike(scenes: SceneSampler, other: MediaItem, modality: str) -> MediaItem:
    """A given item that shares an attribute with another, so that answers are balanced."""
    for _ in range(4):
        item = _given(scenes, modality)
        name = scenes.choice(list(other.attributes))
        scene = item.scene.replace(**{name: other.attributes[name]})
        if scenes.in_split(scene, (modality,)):
            return scenes.media_item(scene, modality)
    return _given(scenes, modality)


def _two_given(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    modality = scenes.choice(_GIVEN)
    other = modality if scenes.chance(0.65) else scenes.choice(_GIVEN)
    first = _given(scenes, modality)
    second = _alike(scenes, first, other) if scenes.chance(0.5) else _given(scenes, other)
    media = [first, second]
    pair = [Entry(number, item, "user") for number, item in enumerate(media)]
    return add_comparison(builder, pair, media)


def _two_made(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    modality = scenes.choice(GENERATED)
    for _ in range(2):
        add_generation(builder, modality if scenes.chance(0.8) else None)
    return add_comparison(builder, builder.entries)


def _made_and_given(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    modality = scenes.choice(GENERATED)
    add_generation(builder, modality)
    made = builder.entries[0]
    item = _alike(scenes, made.item, modality if scenes.chance(0.65) else scenes.choice(_GIVEN))
    return add_comparison(builder, [made, Entry(1, item, "user")], [item])


def _among_several(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    modality = scenes.choice(GENERATED)
    for _ in range(scenes.choice((3, 3, 4))):
        add_generation(builder, modality if scenes.chance(0.6) else None)
    return add_pair_comparison(builder)


def _several_at_once(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    add_several(builder)
    return add_pair_comparison(builder)


def _versions(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    add_generation(builder)
    return add_last_edit(builder) and add_edit_comparison(builder)


def _three_given(scenes: SceneSampler, builder: DialogueBuilder) -> bool:
    modality = scenes.choice(_GIVEN)
    media = [_given(scenes, modality)]
    media += [_alike(scenes, media[0], modality) for _ in range(2)]
    entries = [Entry(number, item, "user") for number, item in enumerate(media)]
    return add_comparison_of_all(builder, entries, media)


_WAYS: tuple[Callable[[SceneSampler, DialogueBuilder], bool], ...] = (
    *(_two_given,) * 5, *(_two_made,) * 5, *(_made_and_given,) * 3, *(_among_several,) * 3,
    _several_at_once, *(_versions,) * 2, *(_three_given,) * 2,
)  # fmt: skip


def comparison(scenes: SceneSampler) -> ReferenceDialogue:
    """Media of a conversation, and a question or two that compare some of them."""
    while True:
        builder = DialogueBuilder(scenes)
        if scenes.choice(_WAYS)(scenes, builder):
            return builder.build("compare")
