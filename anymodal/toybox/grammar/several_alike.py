"""Requests for several media of one thing, or whose second one is told by the first."""

from __future__ import annotations

import re

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.item_phrases import item_phrase
from anymodal.toybox.grammar.people_phrases import spoken_motion, spoken_value
from anymodal.toybox.grammar.phrases.several import ONE_OF
from anymodal.toybox.grammar.phrases.several_frames import WORDS
from anymodal.toybox.grammar.phrases.several_shared import (
    BOTH_SENSES,
    LIKE_FIRST,
    ONE_THING,
    ONE_THING_THREE,
    PACED_IT,
    SAME_BUT,
    SAME_THING,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, default_value
from anymodal.toybox.grammar.several_frames import add_items, expand_frame
from anymodal.toybox.grammar.several_items import (
    FrameWords,
    Item,
    sample_modalities,
    state_scene,
)
from anymodal.toybox.grammar.several_shared import (
    VARIED,
    may_stand_beside,
    things_with_value,
    usual_noun,
    value_word,
)
from anymodal.toybox.scene import OBSERVABLE, VALUES, Scene

_RULES = Rules({**WORDS, "one2": ONE_THING, "one3": ONE_THING_THREE, "paced": PACED_IT})
_SENSES = {pair: Rules({"s": options}) for pair, options in BOTH_SENSES.items()}


def add_one_thing(builder: DialogueBuilder) -> None:
    """One thing in several modalities, by verbs and pronouns: "draw a bee and let me hear it"."""
    draw = builder.scenes
    order = draw.shuffled(("image", "audio", "video"))[: draw.choice((2, 2, 2, 3))]
    scene, stated = _scene_in(draw, order)
    items = [Item(modality, scene, stated) for modality in order]
    pair = (order[0], order[1])
    widest = next(modality for modality in ("video", "image", "audio") if modality in order)
    told = [Item(widest, scene, stated)]
    x = FrameWords(draw, told, {}, commas=draw.chance(0.25))
    words = {"x": x["x1"], "X": x["X1"], "f": x["f1"]}
    words |= {f"n{place}i": draw.choice(ONE_OF[m]) for place, m in enumerate(order, start=1)}
    if len(order) == 2 and draw.chance(0.2):
        text = _SENSES[pair].expand(draw, "s", words)
    else:
        # What is said of the thing first is said of it in all media.
        for place, item in enumerate(items):
            item.words.update(words if place == 0 else {})
        frame = FrameWords(draw, items, words)
        text = _RULES.expand(draw, f"one{len(order)}", frame)
    add_items(builder, text, items)


def _scene_in(draw: SceneSampler, order: list[str]) -> tuple[Scene, dict[str, str]]:
    """A scene that every modality of some can show, and what is stated of it."""
    widest = next(modality for modality in ("video", "image", "audio") if modality in order)
    while True:
        scene, stated = state_scene(draw, draw.sample(order), widest)
        if widest == "image" and "audio" in order and draw.chance(0.25):
            stated["tempo"] = scene.tempo
        elif "tempo" not in stated:
            scene = scene.replace(tempo=default_value(scene, "tempo"))
        if draw.in_split(scene, order):
            return scene, stated


def add_like_first(builder: DialogueBuilder) -> None:
    """Two media, the second told by the first: "in the same colour", "the same but small"."""
    draw = builder.scenes
    if draw.chance(0.5):
        items = _same_value(draw)
    elif draw.chance(0.5):
        items = _same_but(draw)
    else:
        items = _same_thing(draw)
    add_items(builder, expand_frame(draw, "pair", items, {}, draw.chance(0.2)), items)


def _same_value(draw: SceneSampler) -> list[Item]:
    """Two things, the second with a value of the first."""
    options = (
        ("image", "image"),
        ("image", "video"),
        ("video", "image"),
        ("video", "video"),
        ("audio", "audio"),
    )
    modalities = draw.choice(options)
    names = [n for n in VARIED[modalities[0]] if n in OBSERVABLE[modalities[1]]]
    name = draw.choice(names)
    items = things_with_value(draw, list(modalities), name, True)
    if not items:
        return _same_but(draw)
    first, second = items
    rest = {key: value for key, value in second.stated.items() if key != name}
    if second.modality == "video":
        rest.pop("tempo", None)
        other = first.scene if name == "motion" else None
        tempo = other.tempo if other else default_value(second.scene, "tempo")
        second.scene = second.scene.replace(tempo=tempo)
    word = value_word(draw, second.modality, name, first.scene)
    x = item_phrase(draw, second.modality, {k: v for k, v in rest.items() if k != "motion"})
    template = draw.choice(LIKE_FIRST[name]).replace("{w}", word)
    text = template.replace("{t}", x)
    if "motion" in rest and name != "motion":
        text += f", {spoken_motion(draw, rest['motion'])}"
    second.words = _as_words(text)
    return [first, second]


def _as_words(text: str) -> dict[str, str]:
    """A phrase in all forms that frames ask for."""
    bare = re.sub(r"^(a|an|the|one|some) ", "", text)
    return {"x": text, "X": bare, "f": bare, "voice": f"the sound of {text}"}


def _same_but(draw: SceneSampler) -> list[Item]:
    """A medium, and the same with another value."""
    modality = draw.choice(("image", "audio", "video"))
    name = draw.choice(VARIED[modality])
    while True:
        scene, stated = state_scene(draw, draw.sample((modality,)), modality, (name,))
        options = [scene.replace(**{name: v}) for v in VALUES[name] if v != getattr(scene, name)]
        options = [each for each in options if may_stand_beside(draw, each, modality)]
        if options:
            break
    other = draw.choice(options)
    if name == "motion" and scene.motion == "still":
        other = other.replace(tempo=default_value(other, "tempo"))
    word = value_word(draw, modality, name, other)
    text = draw.choice(SAME_BUT).replace("{T}", usual_noun(scene.thing)).replace("{w}", word)
    return [Item(modality, scene, stated), Item(modality, other, {}, _as_words(text))]


def _same_thing(draw: SceneSampler) -> list[Item]:
    """A thing, and the same in another modality."""
    while True:
        order = sample_modalities(draw, 2, 0.0)
        scene, stated = _scene_in(draw, order[:1])
        second = scene
        tail = ""
        if order[1] == "video":
            second = scene.replace(motion=draw.choice(VALUES["motion"]))
            tail = f" {spoken_motion(draw, second.motion)}"
            second = second.replace(tempo=default_value(scene, "tempo"))
        elif order[1] == "audio":
            second = scene.replace(tempo=draw.choice(VALUES["tempo"]))
            tail = draw.choice((", {w}", " ({w})", " at a {w} pace")).replace(
                "{w}", spoken_value(draw, "tempo", second.tempo)
            )
        if order[0] == "audio":
            second = second.replace(color=default_value(second, "color"))
        if may_stand_beside(draw, second, order[1]):
            break
    text = draw.choice(SAME_THING).replace("{T}", usual_noun(scene.thing)) + tail
    return [
        Item(order[0], scene, stated),
        Item(order[1], second, {"thing": scene.thing}, _as_words(text)),
    ]


def add_paced(builder: DialogueBuilder) -> None:
    """Attributes for the second medium alone: "draw a red ball and play it slowly"."""
    draw = builder.scenes
    first, second = draw.choice(
        (("image", "audio"), ("image", "video"), ("audio", "video"), ("video", "audio"))
    )
    while True:
        scene, stated = state_scene(draw, draw.sample((first,)), first, ())
        if first == "audio":
            scene = scene.replace(color=default_value(scene, "color"), tempo="slow")
            stated.pop("tempo", None)
        sampled = draw.sample((second,), moves=True)
        if second == "video":
            slow = draw.chance(0.6)
            other = scene.replace(motion=sampled.motion, tempo="slow" if slow else sampled.tempo)
            go = spoken_motion(draw, other.motion, None if slow else other.tempo)
        else:
            other = scene.replace(tempo=sampled.tempo)
            go = spoken_value(draw, "adverb", other.tempo)
        if may_stand_beside(draw, scene, first) and may_stand_beside(draw, other, second):
            break
    items = [Item(first, scene, stated), Item(second, other, {})]
    add_items(builder, _RULES.expand(draw, "paced", FrameWords(draw, items, {"go": go})), items)
