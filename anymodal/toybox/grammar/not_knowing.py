"""What is outside of the Toybox gets a plain answer and no medium; what only seems so gets one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anymodal.toybox.conditions.outside import OUTSIDE
from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.people_phrases import spoken_phrase, spoken_value
from anymodal.toybox.grammar.people_requests import people_request
from anymodal.toybox.grammar.phrases import unknown
from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import Draw, capitalize, value_phrase
from anymodal.toybox.scene import COLORS, THINGS

_FRAMES = Rules(unknown.UNKNOWN_FRAMES)


def add_unknown(builder: DialogueBuilder) -> bool:
    """A request or a question that is outside of the Toybox, and a plain answer."""
    draw = builder.scenes
    choice = draw.rng.random()
    for limit, add in _UNKNOWN:
        if choice < limit:
            add(builder)
            return True
    raise AssertionError("the shares don't sum to one")


def _add_refusal(builder: DialogueBuilder, text: str, *replies: Words, name: str = "") -> None:
    """Add a message and its answer: a sentence of each of some collections."""
    draw = builder.scenes
    builder.add_typed(text)
    sentences = [draw.choice(words).replace("{x}", name) for words in replies]
    builder.add_reply(capitalize(" ".join(sentences)))


def unknown_noun(draw: Draw) -> str:
    """A thing that the Toybox doesn't have."""
    return draw.choice(unknown.UNKNOWN_THINGS)


def _add_unknown_thing(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    modality = draw.choice(GENERATED)
    if modality == "audio" and draw.chance(0.3):
        name = draw.choice(unknown.UNKNOWN_SOUNDS)
        text = _FRAMES.expand(draw, modality, {"x": name})
    else:
        noun = unknown_noun(draw)
        name = (
            f"an {noun}" if noun[0] in "aeiou" and noun[:3] not in ("uni", "ufo") else f"a {noun}"
        )
        words = [spoken_value(draw, "color", draw.choice(COLORS))] if draw.chance(0.3) else []
        if draw.chance(0.25):
            words.insert(0, spoken_value(draw, "size", draw.choice(("small", "big"))))
        article = draw.choice(("a", "a", "a", "the", "my", ""))
        text = _FRAMES.expand(draw, modality, {"x": " ".join([article, *words, noun])})
    _add_refusal(builder, text, unknown.NO_THING, unknown.KNOWN_THINGS, name=name)


def _add_unknown_color(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    modality, color = draw.choice(("image", "image", "video")), draw.choice(unknown.UNKNOWN_COLORS)
    noun = value_phrase("thing", draw.choice(THINGS))
    form = draw.choice(("a {c} {n}", "a {c} {n}", "a {n} in {c}", "a {n} that is {c}", "{c} {n}"))
    phrase = form.replace("{c}", color).replace("{n}", noun)
    text = _FRAMES.expand(draw, modality, {"x": phrase})
    _add_refusal(builder, text, unknown.NO_COLOR, unknown.KNOWN_COLORS, name=color)


def _add_unknown_motion(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    infinitive, participle = draw.choice(unknown.UNKNOWN_MOTIONS)
    phrase = _looks(draw, ("color",))
    text = draw.choice(unknown.MOTION_FRAMES).replace("{x}", phrase)
    text = text.replace("{i}", infinitive).replace("{p}", participle)
    _add_refusal(builder, text, unknown.NO_MOTION, unknown.KNOWN_MOTIONS, name=infinitive)


def _looks(draw: SceneSampler, names: Sequence[str]) -> str:
    """A phrase of a thing of the Toybox with some of its looks."""
    shown = draw.sample(("image",)).observable("image")
    return spoken_phrase(
        draw,
        "image",
        {n: shown[n] for n in shown if n == "thing" or (n in names and draw.chance(0.4))},
    )


def _add_extras(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    modality = draw.choice(("image", "image", "video"))
    phrase = _looks(draw, ("color", "size"))
    if draw.chance(0.35):
        other = (
            value_phrase("thing", draw.choice(THINGS)) if draw.chance(0.6) else unknown_noun(draw)
        )
        phrase = f"a {phrase.split()[-1]} {draw.choice(unknown.TOGETHER)} a {other}"
    else:
        phrase = f"{phrase} {draw.choice(unknown.EXTRAS)}"
    text = _FRAMES.expand(draw, modality, {"x": phrase})
    _add_refusal(builder, text, unknown.NO_EXTRA)


def _add_ability(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    text = draw.choice(unknown.ABILITY_FRAMES).replace("{v}", draw.choice(unknown.ABILITIES))
    _add_refusal(builder, text, unknown.NO_ABILITY, unknown.KNOWN_ABILITIES)


def _add_question(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    text = draw.choice(unknown.QUESTION_FRAMES).replace("{q}", draw.choice(unknown.QUESTIONS))
    _add_refusal(builder, text, unknown.NO_ANSWER, unknown.KNOWN_ABILITIES)


def _add_foreign(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.2):
        _add_refusal(builder, draw.choice(unknown.GIBBERISH), unknown.NO_SENSE)
        return
    verbs, things, phrases = draw.choice(list(unknown.FOREIGN.values()))
    text = draw.choice(phrases)
    if draw.chance(0.6):
        text = f"{draw.choice(verbs)} {draw.choice(things)}"
    _add_refusal(builder, text, unknown.NO_LANGUAGE)


def _add_unanswerable(builder: DialogueBuilder) -> None:
    """A question that a given medium of the Toybox can't answer."""
    draw = builder.scenes
    modality = draw.choice(list(unknown.SCARCE_QUESTIONS))
    questions, replies = unknown.SCARCE_QUESTIONS[modality]
    item = draw.media_item(draw.sample((modality,)), modality)
    builder.add_typed(draw.choice(questions), [item])
    builder.add_reply(draw.choice(replies), {})


_UNKNOWN = (
    (0.34, _add_unknown_thing),
    (0.46, _add_unknown_color),
    (0.55, _add_unknown_motion),
    (0.65, _add_extras),
    (0.75, _add_ability),
    (0.86, _add_question),
    (0.94, _add_foreign),
    (1.01, _add_unanswerable),
)
"""What is unknown, with cumulated shares."""


def outside_of_it(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three messages that are outside of the Toybox."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 1, 2, 3))):
        add_unknown(builder)
    return builder.build("outside")


def outside_file(scenes: SceneSampler) -> ReferenceDialogue:
    """A given medium that shows nothing of the Toybox, and a question or a request about it."""
    builder = DialogueBuilder(scenes)
    modality = scenes.choice(list(OUTSIDE))
    content = scenes.choice(OUTSIDE[modality])
    item = scenes.media_item(scenes.sample((modality,)), modality)
    item = replace(item, outside=content)
    builder.add_typed(scenes.choice(unknown.FILE_QUESTIONS), [item])
    reply = scenes.choice(unknown.OUTSIDE_REPLIES[content])
    if scenes.chance(0.3):
        reply = f"{reply} {scenes.choice(unknown.KNOWN_THINGS)}"
    builder.add_reply(reply)
    return builder.build("outside:file")


def tempting(scenes: SceneSampler) -> ReferenceDialogue:
    """A request that sounds odd or names an unknown thing, and can be met."""
    builder = DialogueBuilder(scenes)
    modality = scenes.choice(GENERATED)
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, stated = scenes.omit_defaults(scene, names, (modality,), (modality,))
    frame = scenes.choice(unknown.TEMPTING).replace("{u}", unknown_noun(scenes))
    request = people_request(scenes, modality, stated).rstrip("?.! ")
    builder.add_typed(frame.replace("{r}", request))
    builder.add_media_reply([scenes.media_item(scene, modality)])
    return builder.build("tempting")
