"""Plain talk: messages that ask for no media, alone and between requests."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.loose_requests import loose_generate_request
from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.phrases.requests import MAKE_VERBS, POLITE
from anymodal.toybox.grammar.phrases.small_talk import SMALL_TALK
from anymodal.toybox.grammar.phrases.stories import QUIET_TALK, STORIES, STORY_REPLIES
from anymodal.toybox.grammar.phrases.talk import (
    FACTS,
    FIRST_TALK,
    ONLY_WORDS,
    TALK,
    UNKNOWN,
    UNKNOWN_REPLIES,
    WHICH,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import (
    Draw,
    as_typed,
    capitalize,
    value_phrase,
    visual_phrase,
)
from anymodal.toybox.scene import THINGS

GENERATED = ("image", "audio", "video")
"""Modalities that the assistant generates."""

_OPENING_TALK = (*TALK, *FIRST_TALK, *WHICH.values())
_STORIES = Rules(STORIES)


def plain_talk(scenes: SceneSampler) -> ReferenceDialogue:
    """Up to three exchanges without media."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 1, 1, 2, 3))):
        add_talk(builder, first=not builder.turns)
    return builder.build("talk")


def add_talk(builder: DialogueBuilder, *, first: bool = False) -> None:
    """Add one exchange of plain talk; the first of a conversation may be one that opens it."""
    choice = builder.scenes.rng.random()
    if choice < 0.4:
        builder.add_typed(_STORIES.expand(builder.scenes, "story"))
        builder.add_reply(builder.scenes.choice(STORY_REPLIES))
    elif choice < 0.56:
        add_exchange(builder, QUIET_TALK)
    elif choice < 0.72:
        add_exchange(builder, SMALL_TALK)
    elif choice < 0.82:
        text, reply = _fact(builder.scenes)
        builder.add_request(as_typed(builder.scenes, text))
        builder.add_reply(reply)
    else:
        add_exchange(builder, _OPENING_TALK if first else TALK)


def add_exchange(builder: DialogueBuilder, exchanges: Sequence[tuple[Words, Words]]) -> None:
    """Add one of some exchanges, each with several wordings of the message and of the reply."""
    messages, replies = builder.scenes.choice(exchanges)
    message = builder.scenes.choice(messages)
    if builder.scenes.chance(0.5):
        builder.add_typed(message)
    else:
        builder.add_request(as_typed(builder.scenes, message))
    builder.add_reply(builder.scenes.choice(replies))


def _fact(draw: Draw) -> tuple[str, str]:
    """A question to be answered in words, though it names things and colors that could be shown."""
    facts, questions, replies = draw.choice(FACTS)
    name = draw.choice(list(facts))
    direct, indirect = draw.choice(questions)
    text = draw.choice(ONLY_WORDS).replace("{d}", direct).replace("{q}", indirect)
    reply = draw.choice(replies).replace("{x}", name).replace("{v}", facts[name])
    return text.replace("{x}", name), capitalize(reply)


def unknown_thing(scenes: SceneSampler) -> ReferenceDialogue:
    """A request for a thing that the Toybox doesn't have, and so a reply without media."""
    builder = DialogueBuilder(scenes)
    modality = scenes.choice(GENERATED)
    scene = scenes.sample((modality,))
    noun = scenes.choice(UNKNOWN)
    attributes = {n: v for n, v in scene.observable(modality).items() if scenes.chance(0.4)}
    attributes.pop("thing", None)
    if "motion" not in attributes:
        attributes.pop("tempo", None)
    phrase = visual_phrase(scenes, attributes, compact=True).replace("thing", noun)
    if scenes.chance(0.5):
        builder.add_request(as_typed(scenes, loose_generate_request(scenes, modality, phrase)))
    else:
        verb = scenes.choice(MAKE_VERBS[modality]).replace("{x}", phrase)
        builder.add_request(as_typed(scenes, scenes.choice(POLITE).replace("{v}", verb)))
    reply = scenes.choice(UNKNOWN_REPLIES).replace("{x}", f"a {noun}")
    # The reply offers a thing that exists; with the attributes stated it must not be held out.
    offers = [thing for thing in THINGS if not shows_held_out({**attributes, "thing": thing})]
    reply = reply.replace("{y}", f"a {value_phrase('thing', scenes.choice(offers))}")
    builder.add_reply(capitalize(reply))
    return builder.build("unknown")
