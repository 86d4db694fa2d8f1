"""Conversations of several turns: edits, questions and descriptions that follow media."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.talk import REACTIONS, WHICH
from anymodal.toybox.grammar.requests import conversion_request, describe_request, generate_request
from anymodal.toybox.grammar.scenes import SceneSampler, default_value
from anymodal.toybox.grammar.single_turn import add_perception, story_text
from anymodal.toybox.grammar.talk import GENERATED, add_exchange, add_talk
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import as_typed, noun_phrase
from anymodal.toybox.scene import Scene

EDITABLE = {
    "thing": GENERATED,
    "color": ("image", "video"),
    "size": GENERATED,
    "motion": ("video",),
    "tempo": ("audio", "video"),
}
"""The modalities in which an edit of an attribute shows."""

Step = tuple[str, tuple[str, ...]]
"""A modality to generate, and the attributes that change in it."""


def _edit_sequence(scenes: SceneSampler, steps: Sequence[Step]) -> DialogueBuilder:
    """A generated media item, then edits of it, one a turn."""
    builder = DialogueBuilder(scenes)
    # A tempo shows in a video only of what moves, so its edits need a motion throughout.
    moves = any("tempo" in edits for _, edits in steps)
    modalities = {modality for modality, _ in steps}
    last = steps[-1][0]
    # Sampled from the last state back to the first: the last answer must be of the split.
    scene = scenes.sample(modalities if last == "audio" else (last,), moves=moves)
    states = [scene]
    for _, edits in steps[:0:-1]:
        if edits:
            scene = scenes.variant(scene, edits, modalities, moves=moves)
        states.insert(0, scene)
    visible: set[str] = set()
    for index, ((modality, edits), state) in enumerate(zip(steps, states, strict=True)):
        attributes = _stated_attributes(scenes, state, modality, edits, visible)
        if index == 0:
            builder.add_request(generate_request(scenes, modality, attributes))
        else:
            builder.add_request(_follow_up(scenes, steps[index - 1][0], modality, attributes))
        # Without an edit the same modality is another try: it is made from nothing.
        is_new = index == 0 or (modality == steps[index - 1][0] and not edits)
        source = None if is_new else builder.entries[-1]
        item = scenes.media_item(state, modality)
        builder.add_media_reply([item], is_edit=index > 0, source=source)
        visible |= set(state.observable(modality))
        if index < len(steps) - 1 and scenes.chance(0.15):
            _add_interlude(builder, state, modality)
    return builder


def _stated_attributes(
    scenes: SceneSampler,
    scene: Scene,
    modality: str,
    edits: Collection[str],
    visible: Collection[str],
) -> dict[str, str]:
    """The attributes that a request states: its edits, and new ones not at their default."""
    attributes = {}
    for name, value in scene.observable(modality).items():
        omit = name != "thing" and value == default_value(scene, name) and scenes.chance(0.6)
        if name in edits or (name not in visible and not omit):
            attributes[name] = value
    if modality == "video" and "tempo" in attributes and "motion" not in {*visible, *attributes}:
        attributes["motion"] = scene.motion  # a tempo needs a motion that it is of
    return attributes


def _follow_up(scenes: SceneSampler, source: str, target: str, attributes: dict[str, str]) -> str:
    return conversion_request(
        scenes, source, target, attributes, follow=True, moving=target == "video"
    )


def _add_interlude(builder: DialogueBuilder, scene: Scene, modality: str) -> None:
    """Add something between two requests: a reaction, a question about the item, or talk."""
    choice = builder.scenes.rng.random()
    if choice < 0.3:
        add_exchange(builder, REACTIONS)
    elif choice < 0.65:
        _add_inquiry(builder, scene, modality)
    else:
        add_talk(builder)


def _add_inquiry(builder: DialogueBuilder, scene: Scene, modality: str) -> None:
    """Add a request to describe the item of a scene, or a question about it."""
    attributes = scene.observable(modality)
    if builder.scenes.chance(0.4):
        builder.add_request(describe_request(builder.scenes, modality))
        builder.add_description(attributes, modality)
    else:
        builder.add_question(attributes, modality)


def single_edit(scenes: SceneSampler, name: str) -> ReferenceDialogue:
    """A generated media item, then the same with one attribute changed."""
    modality = scenes.choice(EDITABLE[name])
    return _edit_sequence(scenes, [(modality, ()), (modality, (name,))]).build(f"edit:{name}")


def edit_chain(scenes: SceneSampler) -> ReferenceDialogue:
    """A generated media item, then two or three edits, some of which change the modality."""
    modality = scenes.choice(GENERATED)
    steps: list[Step] = [(modality, ())]
    for _ in range(scenes.choice((2, 2, 3))):
        if scenes.chance(0.25):
            modality = scenes.choice([other for other in GENERATED if other != modality])
            edits: tuple[str, ...] = ()
        else:
            names = [name for name, modalities in EDITABLE.items() if modality in modalities]
            edits = tuple(scenes.shuffled(names)[: scenes.choice((1, 1, 1, 2))])
        steps.append((modality, edits))
    return _edit_sequence(scenes, steps).build("edit:chain")


def modality_switch(scenes: SceneSampler) -> ReferenceDialogue:
    """A generated media item, then the same thing in another modality, perhaps with a change."""
    first, second = scenes.shuffled(GENERATED)[:2]
    names = _editable_in(first, second)
    edits = (scenes.choice(names),) if scenes.chance(0.2) else ()
    return _edit_sequence(scenes, [(first, ()), (second, edits)]).build("switch")


def _editable_in(first: str, second: str) -> list[str]:
    """Attributes other than the thing whose edits show in both modalities."""
    return [
        name
        for name, modalities in EDITABLE.items()
        if name != "thing" and first in modalities and second in modalities
    ]


def description_of_generated(scenes: SceneSampler) -> ReferenceDialogue:
    """A generated media item, then a description of it or a question about it."""
    builder = DialogueBuilder(scenes)
    modality = scenes.choice(GENERATED)
    scene = _add_generation(builder, modality)
    _add_inquiry(builder, scene, modality)
    return builder.build("retell")


def _add_generation(builder: DialogueBuilder, modality: str) -> Scene:
    """Add a request for a media item and the reply that holds it; its scene comes back."""
    scenes = builder.scenes
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, attributes = scenes.omit_defaults(scene, names, (modality,), (modality,))
    builder.add_request(generate_request(scenes, modality, attributes))
    builder.add_media_reply([scenes.media_item(scene, modality)])
    return scene


def question_series(scenes: SceneSampler) -> ReferenceDialogue:
    """A description of a given media item, or a question about it, then more questions."""
    source = scenes.choice((*GENERATED, "imu"))
    builder = DialogueBuilder(scenes)
    attributes = add_perception(builder, scenes, source)
    for _ in range(scenes.choice((1, 1, 2))):
        builder.add_question(attributes, source)
    return builder.build("ask")


def verification(scenes: SceneSampler) -> ReferenceDialogue:
    """Yes-no questions about a given media item, a generated one, or a scene in words."""
    builder = DialogueBuilder(scenes)
    source = scenes.choice((*GENERATED, "imu", "text"))
    if source == "text":
        attributes = scenes.sample(("video",)).observable("video")
        builder.add_yes_no_question(attributes, before=story_text(scenes, attributes))
    elif source != "imu" and scenes.chance(0.3):
        attributes = _add_generation(builder, source).observable(source)
        builder.add_yes_no_question(attributes)
    else:
        item = scenes.media_item(scenes.sample((source,)), source)
        attributes = item.attributes
        builder.add_yes_no_question(attributes, [item])
    for _ in range(scenes.choice((0, 1, 2))):
        builder.add_yes_no_question(attributes)
    return builder.build("verify")


def description_then_generation(scenes: SceneSampler) -> ReferenceDialogue:
    """A given media item is described, then generated again with changes or in another modality."""
    source, target = scenes.choice(GENERATED), scenes.choice(GENERATED)
    builder = DialogueBuilder(scenes)
    names = _editable_in(source, target)
    edits = [scenes.choice(names)] if source == target or scenes.chance(0.3) else []
    moves = "tempo" in edits
    modalities = (source, target) if target == "audio" else (target,)
    scene = scenes.sample(modalities, moves=moves)
    source_scene = scenes.variant(scene, edits, (source,), moves=moves) if edits else scene
    visible = source_scene.observable(source)
    attributes = _stated_attributes(scenes, scene, target, edits, visible)
    item = scenes.media_item(source_scene, source)
    builder.add_request(describe_request(scenes, source), [item])
    builder.add_description(item.attributes, source)
    builder.add_request(_follow_up(scenes, source, target, attributes))
    builder.add_media_reply([scenes.media_item(scene, target)], source=builder.entries[0])
    return builder.build("describe>make")


def request_amid_talk(scenes: SceneSampler) -> ReferenceDialogue:
    """A request among plain talk: after it, before it, or as the answer to "of what?"."""
    modality = scenes.choice(GENERATED)
    builder = DialogueBuilder(scenes)
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, attributes = scenes.omit_defaults(scene, names, (modality,), (modality,))
    text = generate_request(scenes, modality, attributes)
    choice = scenes.rng.random()
    if choice < 0.3:
        messages, replies = WHICH[modality]
        builder.add_request(as_typed(scenes, scenes.choice(messages)))
        builder.add_reply(scenes.choice(replies))
        # Asked what to make, people name the thing alone.
        if scenes.chance(0.7) and "thing" in attributes:
            text = as_typed(scenes, noun_phrase(scenes, modality, attributes))
    elif choice < 0.7:
        add_talk(builder)
    builder.add_request(text)
    builder.add_media_reply([scenes.media_item(scene, modality)])
    if choice > 0.5:
        add_talk(builder)
    return builder.build("mixed")


def reaction(scenes: SceneSampler) -> ReferenceDialogue:
    """A generated media item, then a reaction to it, which asks for nothing."""
    builder = _edit_sequence(scenes, [(scenes.choice(GENERATED), ())])
    add_exchange(builder, REACTIONS)
    return builder.build("react")
