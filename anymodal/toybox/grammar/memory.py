"""Facts and media of earlier turns: told, asked for, used again, and forgotten."""

from __future__ import annotations

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.counts import add_count, made_entries
from anymodal.toybox.grammar.people_phrases import spoken_phrase
from anymodal.toybox.grammar.people_requests import RULES
from anymodal.toybox.grammar.phrases.memory import (
    ABOUT_MISSING,
    FACTS_ABOUT_USER,
    FAVOURITE_REQUESTS,
    FIRST_MADE,
    FORGOT,
    GREETED,
    LAST_MADE,
    MISSING,
    NOT_TOLD,
    NOTED,
    NOTHING_THERE,
)
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA
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
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.several import slots_noun
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
    add_pair_comparison,
    add_plain_talk,
    add_several_media,
)
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import capitalize
from anymodal.toybox.scene import DEFAULT_COLOR, DEFAULTS, VALUES, Scene


def add_fact(builder: DialogueBuilder) -> bool:
    """Something that the user tells of themselves, once."""
    draw = builder.scenes
    names = [name for name in FACTS_ABOUT_USER if name not in builder.facts]
    if not names:
        return False
    name = draw.choice(names)
    values, forms, _, _ = FACTS_ABOUT_USER[name]
    value = draw.choice(values)
    pair = {key: told for key, told in builder.facts.items() if key in VALUES}
    pair[name] = value
    if name in VALUES and not draw.unseen and shows_held_out(pair):
        return False
    builder.facts[name] = value
    builder.add_typed(draw.choice(forms).replace("{v}", value))
    forms = GREETED if name == "name" and draw.chance(0.6) else NOTED
    builder.add_reply(draw.choice(forms).replace("{v}", value))
    return True


def add_fact_question(builder: DialogueBuilder) -> bool:
    """A question about something that the user has told, or hasn't."""
    draw = builder.scenes
    name = draw.choice(list(FACTS_ABOUT_USER))
    if builder.facts and draw.chance(0.7):
        name = draw.choice(list(builder.facts))
    _, _, questions, answers = FACTS_ABOUT_USER[name]
    builder.add_typed(draw.choice(questions))
    if name not in builder.facts:
        builder.add_reply(draw.choice(FORGOT if builder.forgets else NOT_TOLD), {})
        return True
    value = builder.facts[name]
    expected = {name: value} if name in VALUES else None
    builder.add_reply(draw.choice(answers).replace("{v}", value), expected)
    return True


def add_favourite_request(builder: DialogueBuilder) -> bool:
    """A request for an item by a fact that the user has told."""
    draw = builder.scenes
    names = [name for name in FAVOURITE_REQUESTS if name in builder.facts]
    if not names:
        return False
    name = draw.choice(names)
    modality = "image" if name == "color" or draw.chance(0.6) else draw.choice(GENERATED)
    scene, stated = _favourite_scene(draw, name, builder.facts[name])
    if not draw.may_show(scene, modality):
        return False
    text = draw.choice(FAVOURITE_REQUESTS[name])
    verb, noun = RULES[modality].expand(draw, "v"), slots_noun(draw, modality)
    text = text.replace("{v}", verb).replace("{n}", noun)
    builder.add_typed(text.replace("{x}", spoken_phrase(draw, modality, stated)))
    builder.add_media_reply([draw.media_item(scene, modality)])
    return True


def _favourite_scene(draw: SceneSampler, name: str, value: str) -> tuple[Scene, dict[str, str]]:
    """A scene with a favourite value, and the attributes that the words state."""
    thing = value if name == "thing" else draw.choice(VALUES["thing"])
    color = value if name == "color" else DEFAULT_COLOR[thing]
    scene = Scene(**{**DEFAULTS, "thing": thing, "color": color})
    stated = {} if name == "thing" else {"thing": thing}
    if name == "color" and draw.chance(0.5):
        scene = scene.replace(size=draw.choice(VALUES["size"]))
        stated["size"] = scene.size
    return scene, stated


def add_review(builder: DialogueBuilder) -> bool:
    """A question about what was made: first, last, which came when, or how many."""
    draw, made = builder.scenes, made_entries(builder)
    if draw.chance(0.65):
        return draw.choice((add_count, add_count, add_order_question, add_any_question))(builder)
    is_first = draw.chance(0.5)
    text = draw.choice(FIRST_MADE if is_first else LAST_MADE)
    if "{k}" in text:
        kind = draw.choice(made).item.modality if made else "image"
        text = text.replace("{k}", KINDS_OF_MEDIA[kind][0])
        made = [entry for entry in made if entry.item.modality == kind]
    if made and not is_first and len(builder.turns[-1].media) != 1:
        return False  # what was made last is not what was said last
    builder.add_typed(text)
    builder.alone = True
    if is_first and builder.forgets:
        builder.add_reply(draw.choice(FORGOT), {})
    elif not made:
        builder.add_reply(draw.choice(NOTHING_THERE), {})
    else:
        item = made[0 if is_first else -1].item
        forms = ("It was {x}.", "{x}.", "That was {x}.", "I made {x}.")
        builder.add_reply(
            capitalize(draw.choice(forms).replace("{x}", item.caption)), item.attributes
        )
    return True


def add_missing(builder: DialogueBuilder) -> bool:
    """A question or a request about an item of a kind that isn't there."""
    draw = builder.scenes
    there = {entry.item.modality for entry in builder.entries}
    # What moves in a video is a movement too.
    absent = [n for n in KINDS_OF_MEDIA if n not in there and (n != "imu" or "video" not in there)]
    if not absent:
        return False
    kind = KINDS_OF_MEDIA[draw.choice(absent)][0]
    forms = ABOUT_MISSING
    builder.add_typed(draw.choice(forms).replace("{k}", kind))
    replies = FORGOT if builder.forgets else MISSING
    builder.add_reply(draw.choice(replies).replace("{k}", kind), {})
    return True


_STEPS: tuple[tuple[float, Step], ...] = (
    (3.0, add_generation),
    (2.5, add_last_edit),
    (2.5, add_earlier_edit),
    (1.5, add_conversion),
    (0.6, add_again),
    (4.0, add_item_inquiry),
    (1.2, add_attachments),
    (0.8, add_pair_comparison),
    (1.2, add_media_combination),
    (0.8, add_undo),
    (0.9, add_redirection),
    (0.7, add_correction),
    (0.5, add_whole_edit),
    (1.0, add_last_question),
    (0.8, add_past_question),
    (0.5, add_several_media),
    (1.5, add_fact),
    (2.0, add_fact_question),
    (1.0, add_favourite_request),
    (2.0, add_review),
    (0.4, add_missing),
    (1.5, add_plain_talk),
)
"""Steps of a long conversation, with their weights."""
_STEPS_IN_ORDER = tuple(step for _, step in _STEPS)
_TOTALS = tuple(sum(weight for weight, _ in _STEPS[: n + 1]) for n in range(len(_STEPS)))


def add_steps(builder: DialogueBuilder, turns: int) -> None:
    """Add steps at random until a conversation has so many of the user's turns."""
    draw = builder.scenes
    while len(builder.turns) < 2 * turns:
        place = draw.rng.random() * _TOTALS[-1]
        step = next(s for s, total in zip(_STEPS_IN_ORDER, _TOTALS, strict=True) if place < total)
        step(builder)


def long_conversation(scenes: SceneSampler) -> ReferenceDialogue:
    """Eight to twenty-four turns that refer to media and facts of any earlier one."""
    builder = DialogueBuilder(scenes)
    add_generation(builder)
    add_steps(builder, int(scenes.rng.integers(8, 25)))
    return builder.build("long")


def recollection(scenes: SceneSampler) -> ReferenceDialogue:
    """A few turns, then a question about something that was said or made before."""
    builder = DialogueBuilder(scenes)
    scenes.choice((add_generation, add_fact))(builder)
    add_steps(builder, int(scenes.rng.integers(2, 8)))
    options = (add_item_inquiry, add_fact_question, add_review, add_review, add_favourite_request,
               add_earlier_edit, add_earlier_edit, add_conversion, add_redirection, add_missing,
               add_past_question)  # fmt: skip
    while not scenes.choice(options)(builder):
        pass
    return builder.build("recall")


def forgotten(scenes: SceneSampler) -> ReferenceDialogue:
    """The visible rest of a conversation whose beginning is no longer shown."""
    builder = DialogueBuilder(scenes, forgets=True)
    add_generation(builder)
    add_steps(builder, int(scenes.rng.integers(2, 10)))
    while builder.turns[-1].text not in FORGOT:
        scenes.choice((add_fact_question, add_review, add_missing))(builder)
    return builder.build("forgotten")
