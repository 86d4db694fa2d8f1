"""Conversations of one turn: the cells of the any-to-any matrix, and requests of several media.

A request states the attributes that no given media item shows; what it omits has its default. So
every request has one right answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.phrases.questions import BELONG, BELONG_SAID, NOT_SAID, TELL, TELL_BACK
from anymodal.toybox.grammar.requests import (
    animate_request,
    conversion_request,
    describe_request,
    generate_request,
    imu_conditioned_request,
    multi_media_request,
    question,
)
from anymodal.toybox.grammar.scenes import SceneSampler, observable_in
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import (
    Attributes,
    as_typed,
    capitalize,
    value_phrase,
    visual_phrase,
)
from anymodal.toybox.scene import THINGS, VALUES, Scene

OUTPUTS = ("text", "image", "audio", "video")
INPUTS = (*OUTPUTS, "imu")


def single_turn(scenes: SceneSampler, source: str, target: str) -> ReferenceDialogue:
    """A conversation of one cell of the matrix, from a source modality to a target modality."""
    if source == "text":
        return _text_question(scenes) if target == "text" else _generation(scenes, target)
    if target == "text":
        return _perception(scenes, source)
    if source == "imu":
        return _imu_conditioning(scenes, target)
    return _conversion(scenes, source, target)


def _generation(scenes: SceneSampler, target: str) -> ReferenceDialogue:
    """A media item of a thing that the words name."""
    builder = DialogueBuilder(scenes)
    scene = scenes.sample((target,))
    scene, attributes = scenes.omit_defaults(scene, scene.observable(target), (target,), (target,))
    builder.add_request(generate_request(scenes, target, attributes))
    builder.add_media_reply([scenes.media_item(scene, target)])
    return builder.build(f"text>{target}")


def _text_question(scenes: SceneSampler) -> ReferenceDialogue:
    """A question about a scene that the words describe."""
    builder = DialogueBuilder(scenes)
    every = scenes.sample(("video",)).observable("video")
    attributes = {name: every[name] for name in every if name == "thing" or scenes.chance(0.6)}
    if "motion" not in attributes:
        attributes.pop("tempo", None)
    if scenes.unseen:
        attributes = every  # the held-out pair must be among them
    story = story_text(scenes, attributes)
    choice = scenes.rng.random()
    absent = [name for name in ("color", "size", "motion") if name not in attributes]
    if choice < 0.35:
        builder.add_request(story + as_typed(scenes, scenes.choice(TELL_BACK)))
        builder.add_reply(describe(attributes, "text", scenes.rng), attributes)
    elif choice < 0.45 and absent:
        builder.add_request(story + question(scenes, "text", scenes.choice(absent)))
        builder.add_reply(scenes.choice(NOT_SAID), {})
    else:
        builder.add_question(attributes, "text", before=story)
    return builder.build("text>text")


def story_text(scenes: SceneSampler, attributes: Attributes) -> str:
    """Words that describe a scene, to stand before a question about it."""
    template = scenes.choice(TELL)
    phrase = visual_phrase(scenes, attributes, compact=not template.endswith("{x}."))
    text = template.replace("{x}", phrase)
    return (capitalize(text) if scenes.chance(0.3) else text) + " "


def add_perception(builder: DialogueBuilder, scenes: SceneSampler, source: str) -> dict[str, str]:
    """A description of a new media item, or a question about it; the attributes that it shows."""
    item = scenes.media_item(scenes.sample((source,)), source)
    if scenes.chance(0.6):
        builder.add_request(describe_request(scenes, source), [item])
        builder.add_description(item.attributes, source)
    else:
        builder.add_question(item.attributes, source, [item])
    return item.attributes


def _perception(scenes: SceneSampler, source: str) -> ReferenceDialogue:
    """A description of a media item, or a question about it."""
    builder = DialogueBuilder(scenes)
    add_perception(builder, scenes, source)
    return builder.build(f"{source}>text", builder.answers[-1][0])


def _conversion(scenes: SceneSampler, source: str, target: str) -> ReferenceDialogue:
    """The same thing in another modality, or another version of it, perhaps with changes."""
    builder = DialogueBuilder(scenes)
    # Audio shows no color and no motion, so the split is decided by what both items show.
    modalities = (source, target) if target == "audio" else (target,)
    scene = scenes.sample(modalities)
    edits = _changed_attributes(scenes, scene, source, target)
    source_scene = scenes.variant(scene, edits, (source,)) if edits else scene
    visible = source_scene.observable(source)
    new = [n for n in scene.observable(target) if n not in visible and n not in edits]
    scene, attributes = scenes.omit_defaults(scene, new, modalities, (target,))
    # A changed motion may have been still: then the result has no tempo to state.
    result = scene.observable(target)
    attributes |= {name: result[name] for name in edits if name in result}
    builder.add_request(
        conversion_request(
            scenes, source, target, attributes, follow=False, moving=target == "video"
        ),
        [scenes.media_item(source_scene, source)],
    )
    builder.add_media_reply([scenes.media_item(scene, target)], source=builder.entries[0])
    from_input = [name for name in result if name in visible and name not in attributes]
    return builder.build(f"{source}>{target}", from_input)


def _changed_attributes(scenes: SceneSampler, scene: Scene, source: str, target: str) -> list[str]:
    """The attributes of the given item that a request changes."""
    both = [name for name in scene.observable(target) if name in scene.observable(source)]
    if source != target:
        others = [name for name in both if name != "thing"]
        return [scenes.choice(others)] if others and scenes.chance(0.15) else []
    # A few copies without any change, so that an edit isn't learned as the rule.
    count = scenes.choice((0, 1, 1, 1, 1, 1, 1, 1, 2, 2))
    return scenes.shuffled(both)[:count]


def _imu_conditioning(scenes: SceneSampler, target: str) -> ReferenceDialogue:
    """A media item of a named thing that takes size, motion and tempo from an IMU recording."""
    builder = DialogueBuilder(scenes)
    scene = scenes.sample((target,), moves=target != "video")
    visible = scene.observable("imu")
    names = [name for name in scene.observable(target) if name not in visible]
    scene, attributes = scenes.omit_defaults(scene, names, (target,), (target,))
    source_scene = scene
    if target != "image" and "size" in visible and scenes.chance(0.4):
        # A stated size overrides the recording's strength, which is drawn anew.
        attributes["size"] = scene.size
        source_scene = scene.replace(size=scenes.choice(VALUES["size"]))
    request = imu_conditioned_request(scenes, target, attributes)
    builder.add_request(request, [scenes.media_item(source_scene, "imu")])
    builder.add_media_reply([scenes.media_item(scene, target)])
    from_input = [n for n in scene.observable(target) if n in visible and n not in attributes]
    return builder.build(f"imu>{target}", from_input)


def image_animation(scenes: SceneSampler) -> ReferenceDialogue:
    """A video with the looks of an image and the motion of an IMU recording."""
    builder = DialogueBuilder(scenes)
    scene = scenes.sample(("video",))
    attributes = {}
    image_scene = scene
    if scenes.chance(0.15):
        name = scenes.choice(("color", "size"))
        image_scene = scenes.variant(scene, [name], ("image",))
        attributes = {name: getattr(scene, name)}
    # The recording's strength says nothing here: size comes from the image.
    imu_scene = scene.replace(size=scenes.choice(VALUES["size"]))
    media = [scenes.media_item(image_scene, "image"), scenes.media_item(imu_scene, "imu")]
    builder.add_request(animate_request(scenes, attributes), scenes.shuffled(media))
    image = next(entry for entry in builder.entries if entry.item.modality == "image")
    builder.add_media_reply([scenes.media_item(scene, "video")], source=image)
    from_input = [name for name in scene.observable("video") if name not in attributes]
    return builder.build("image+imu>video", from_input)


def audio_image_matching(scenes: SceneSampler) -> ReferenceDialogue:
    """A question whether audio belongs to an image, and why."""
    builder = DialogueBuilder(scenes)
    scene = scenes.sample(("image", "audio"))
    match = scenes.chance(0.5)
    audio_scene = scene
    if not match:
        others = [thing for thing in THINGS if thing != scene.thing]
        audio_scene = scene.replace(thing=scenes.choice(others))
    media = [scenes.media_item(scene, "image"), scenes.media_item(audio_scene, "audio")]
    things = (scene.thing, audio_scene.thing)
    expected = {
        "answer": "yes" if match else "no",
        "thing": " and ".join(thing for thing in THINGS if thing in things),
    }
    reply = scenes.choice(BELONG_SAID).replace("{v}", expected["answer"])
    for slot, thing in zip(("{a}", "{b}"), things, strict=True):
        reply = reply.replace(slot, value_phrase("thing", thing))
    builder.add_request(as_typed(scenes, scenes.choice(BELONG)), scenes.shuffled(media))
    builder.add_reply(reply, expected)
    return builder.build("image+audio>text", expected)


def multi_media(scenes: SceneSampler, targets: Sequence[str]) -> ReferenceDialogue:
    """Several media of one scene in one reply, in the order asked for."""
    builder = DialogueBuilder(scenes)
    scene = scenes.sample(targets)
    names = observable_in(scene, targets)
    scene, attributes = scenes.omit_defaults(scene, names, targets, targets)
    if "video" in targets and "tempo" in attributes:
        attributes["motion"] = scene.motion  # a tempo alone could be the audio's
    order = scenes.shuffled(targets)
    builder.add_request(multi_media_request(scenes, order, attributes))
    builder.add_media_reply([scenes.media_item(scene, modality) for modality in order])
    return builder.build(f"text>{'+'.join(targets)}")
