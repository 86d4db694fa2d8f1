"""Conversations about what is outside of the Toybox, or only seems so."""

from __future__ import annotations

from dataclasses import replace

from anymodal.toybox.conditions.outside import OUTSIDE
from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.inside import add_inside
from anymodal.toybox.grammar.people_requests import people_request
from anymodal.toybox.grammar.phrases import outside, unknown
from anymodal.toybox.grammar.phrases.people import REQUEST
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.steps import add_generation
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.unknown_requests import (
    add_extras,
    add_known_and_unknown,
    add_refusal,
    add_unknown_color,
    add_unknown_kind,
    add_unknown_motion,
    add_unknown_thing,
    unknown_noun,
    with_indefinite,
)

_TALKING = Rules({**REQUEST, **outside.TALKING})
_TASKS = Rules(outside.TASKS)
_QUESTIONS = Rules(outside.ASKED)
_NO_VERBS = unknown.each_word(
    "i any tl;dr what what's how def select when continue: wikipedia spell"
)


def add_unknown(builder: DialogueBuilder) -> bool:
    """A request or a question that is outside of the Toybox, and a plain answer."""
    draw = builder.scenes
    choice = draw.rng.random()
    for limit, add in _UNKNOWN:
        if choice < limit:
            add(builder)
            return True
    raise AssertionError("the shares don't sum to one")


def _add_ability(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.3):
        text = draw.choice(unknown.ABILITY_FRAMES).replace("{v}", draw.choice(unknown.ABILITIES))
    else:
        task = _TASKS.expand(draw, "task")
        asks = task.endswith("?") or task.split(" ", 1)[0].lower() in _NO_VERBS
        text = _TALKING.expand(draw, "asking" if asks else "doing", {"q": task, "cmd": task})
    add_refusal(builder, text, unknown.NO_ABILITY, unknown.KNOWN_ABILITIES)


def _add_question(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.3):
        text = draw.choice(unknown.QUESTION_FRAMES).replace("{q}", draw.choice(unknown.QUESTIONS))
    else:
        asked = _QUESTIONS.expand(draw, "question")
        if draw.chance(0.25):
            asked = asked.rstrip("?")
        text = _TALKING.expand(draw, "asking", {"q": asked})
    add_refusal(builder, text, unknown.NO_ANSWER, unknown.KNOWN_ABILITIES)


def _add_edit(builder: DialogueBuilder) -> None:
    """A medium, then an edit of it to something that there isn't."""
    draw = builder.scenes
    name = draw.choice(("color", "color", "thing", "thing", "motion"))
    add_generation(
        builder, {"thing": None, "color": draw.choice(("image", "video"))}.get(name, "video")
    )
    if name == "motion":
        infinitive, participle = draw.choice(unknown.UNKNOWN_MOTIONS)
        text = (
            draw.choice(outside.EDITS[name]).replace("{i}", infinitive).replace("{p}", participle)
        )
        add_refusal(builder, text, unknown.NO_MOTION, unknown.KNOWN_MOTIONS, name=infinitive)
        return
    noun = unknown_noun(draw)
    word = with_indefinite(noun) if name == "thing" else draw.choice(unknown.UNKNOWN_COLORS)
    replies = {"thing": (unknown.NO_THING, unknown.KNOWN_THINGS),
               "color": (unknown.NO_COLOR, unknown.KNOWN_COLORS)}[name]  # fmt: skip
    add_refusal(builder, draw.choice(outside.EDITS[name]).replace("{x}", word), *replies, name=word)


def _add_foreign(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.2):
        add_refusal(builder, draw.choice(unknown.GIBBERISH), unknown.NO_SENSE)
        return
    verbs, things, phrases = draw.choice(list(unknown.FOREIGN.values()))
    text = draw.choice(phrases)
    if draw.chance(0.6):
        text = f"{draw.choice(verbs)} {draw.choice(things)}"
    add_refusal(builder, text, unknown.NO_LANGUAGE)


def _add_unanswerable(builder: DialogueBuilder) -> None:
    """A question that a given medium of the Toybox can't answer, or its twin that it can."""
    draw = builder.scenes
    modality = draw.choice(list(unknown.SCARCE_QUESTIONS))
    item = draw.media_item(draw.sample((modality,)), modality)
    if draw.chance(0.2):
        builder.add_question(item.attributes, modality, [item])
        return
    questions, replies = unknown.SCARCE_QUESTIONS[modality]
    if draw.chance(0.7):
        questions = outside.SCARCE["any" if draw.chance(0.4) else modality]
    text = draw.choice(questions)
    if draw.chance(0.35):
        text = _TALKING.expand(draw, "asking", {"q": text})
    builder.add_typed(text, [item])
    builder.add_reply(draw.choice(replies), {})


_UNKNOWN = (
    (0.32, add_unknown_thing),
    (0.41, add_unknown_color),
    (0.49, add_unknown_motion),
    (0.56, add_extras),
    (0.61, add_known_and_unknown),
    (0.68, add_unknown_kind),
    (0.76, _add_ability),
    (0.84, _add_question),
    (0.88, _add_edit),
    (0.93, _add_foreign),
    (1.01, _add_unanswerable),
)
"""What is unknown, with cumulated shares."""


def outside_of_it(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three messages outside of the Toybox, some between requests that can be met."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 1, 2, 3))):
        if scenes.chance(0.25):
            add_inside(builder)
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
    """A request that can be met, of a form that is refused too, or beside an unknown thing."""
    builder = DialogueBuilder(scenes)
    if scenes.chance(0.2):
        add_unknown(builder)
    if scenes.chance(0.7):
        add_inside(builder)
        return builder.build("tempting")
    modality = scenes.choice(GENERATED)
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, stated = scenes.omit_defaults(scene, names, (modality,), (modality,))
    frame = scenes.choice(unknown.TEMPTING).replace("{u}", unknown_noun(scenes))
    request = people_request(scenes, modality, stated).rstrip("?.! ")
    builder.add_typed(tidy(frame).replace("{r}", request))
    builder.add_media_reply([scenes.media_item(scene, modality)])
    return builder.build("tempting")
