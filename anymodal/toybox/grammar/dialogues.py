"""The grammar: every kind of conversation with its weight, and sampling of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from anymodal.toybox.grammar import memory, multi_turn, not_knowing, talk
from anymodal.toybox.grammar.normalized import is_reserved
from anymodal.toybox.grammar.people import PEOPLE
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.single_turn import (
    INPUTS,
    OUTPUTS,
    audio_image_matching,
    image_animation,
    multi_media,
    single_turn,
)
from anymodal.toybox.grammar.types import DialogueTurn, MediaItem, ReferenceDialogue
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.oracles.text import read_text
from anymodal.toybox.paraphrases import is_paraphrase
from anymodal.toybox.scene import THINGS, VALUES

_Production = Callable[[SceneSampler], ReferenceDialogue]

_GROUPS = (
    (1.0, ("image", "audio")),
    (1.0, ("image", "video")),
    (1.0, ("audio", "video")),
    (2.0, ("image", "audio", "video")),
)
"""Weights of requests for several media."""


def _productions() -> dict[str, tuple[float, _Production]]:
    """Every kind of conversation: its weight and its production."""
    kinds: dict[str, tuple[float, _Production]] = {}
    for source in INPUTS:
        for target in OUTPUTS:
            weight = 5.0 if source == "text" else 2.0
            if target == "text":
                weight = 10.0 if source == "text" else 3.0
            kinds[f"{source}>{target}"] = weight, partial(single_turn, source=source, target=target)
    kinds["image+imu>video"] = 2.0, image_animation
    kinds["image+audio>text"] = 6.0, audio_image_matching
    for weight, group in _GROUPS:
        kinds[f"text>{'+'.join(group)}"] = weight, partial(multi_media, targets=group)
    for name in VALUES:
        kinds[f"edit:{name}"] = 2.0, partial(multi_turn.single_edit, name=name)
    return kinds | {
        "edit:chain": (4.0, multi_turn.edit_chain),
        "switch": (3.0, multi_turn.modality_switch),
        "retell": (2.0, multi_turn.description_of_generated),
        "ask": (10.0, multi_turn.question_series),
        "verify": (6.0, multi_turn.verification),
        "describe>make": (2.0, multi_turn.description_then_generation),
        "mixed": (3.0, multi_turn.request_amid_talk),
        "react": (5.0, multi_turn.reaction),
        "talk": (12.0, talk.plain_talk),
        "unknown": (1.5, talk.unknown_thing),
        **PEOPLE,
        "long": (6.0, memory.long_conversation),
        "recall": (10.0, memory.recollection),
        "forgotten": (3.0, memory.forgotten),
        "outside": (12.0, not_knowing.outside_of_it),
        "outside:file": (4.0, not_knowing.outside_file),
        "tempting": (6.0, not_knowing.tempting),
    }


_PRODUCTIONS = _productions()

KINDS: dict[str, float] = {kind: weight for kind, (weight, _) in _PRODUCTIONS.items()}
"""Every kind of conversation, with its weight."""

MAX_POINTED = 32
"""References are to one of so many last media, as many as nano has pointers."""
_TRIES = 1000
_THING_WORDS = (*THINGS, "auto")  # parts of all words for things
_NAMES = list(KINDS)
_CUMULATIVE = np.cumsum(list(KINDS.values())) / sum(KINDS.values())


def sample_dialogue(
    rng: np.random.Generator,
    *,
    kind: str | None = None,
    unseen: bool = False,
    slips: bool = True,
) -> ReferenceDialogue:
    """Sample a conversation whose answers are known.

    No user's message is a sentence of the measuring sets (`is_reserved`) or has the form of a
    paraphrase (`is_paraphrase`), and without `unseen` no message states a held-out pair.

    Args:
        rng: decides everything.
        kind: one of `KINDS`; drawn by weight if None.
        unseen: speak of held-out scenes, as far as the kind's media can show them; without it no
            held-out pair occurs anywhere in the conversation.
        slips: whether messages that are put together as people type them have slips of the fingers
            and short forms.

    Raises:
        ValueError: for a kind that there isn't.
    """
    if kind is None:
        kind = _NAMES[int(np.searchsorted(_CUMULATIVE, rng.random(), side="right"))]
    if kind not in _PRODUCTIONS:
        raise ValueError(f"no conversations of kind {kind!r}; choose one of {', '.join(KINDS)}")
    for _ in range(_TRIES):
        dialogue = _PRODUCTIONS[kind][1](SceneSampler(Draw(rng), unseen, slips))
        if not _is_excluded(dialogue, unseen):
            return dialogue
    raise RuntimeError(f"no conversation of kind {kind!r} in {_TRIES} tries is one to train on")


def _is_excluded(dialogue: ReferenceDialogue, unseen: bool) -> bool:
    """True where a user's message is of a measuring set, or a message states a held-out pair."""
    texts = [turn.text for turn in dialogue.turns if turn.role == "user"]
    if any(is_reserved(text) or is_paraphrase(text) for text in texts):
        return True
    if any(_reaches_too_far(dialogue)):
        return True
    return not unseen and any(_states_held_out(turn.text) for turn in dialogue.turns)


def _reaches_too_far(dialogue: ReferenceDialogue) -> Iterator[bool]:
    """Truth values of all references: True for a medium that can't be pointed at."""
    count = 0
    for turn in dialogue.turns:
        for item in turn.media:
            yield from (count - number > MAX_POINTED for number in item.references)
        count += len(turn.media)


def _states_held_out(text: str) -> bool:
    if not any(thing in text.lower() for thing in _THING_WORDS):
        return False
    stated = read_text(text)
    single = {name: value for name, value in stated.items() if " and " not in value}
    return shows_held_out(single)


def join_dialogues(dialogues: Sequence[ReferenceDialogue]) -> ReferenceDialogue:
    """Conversations one after another, as one, with the last one's `from_input`.

    One whose beginning was forgotten stands alone: what comes before it would not be. Nothing comes
    before one whose words count on all media, such as "the first picture".
    """
    forgetting = [dialogue for dialogue in dialogues if dialogue.forgets]
    if forgetting:
        return forgetting[-1]
    starts = [place for place, dialogue in enumerate(dialogues) if dialogue.alone]
    dialogues = dialogues[max(starts, default=0) :]
    turns: list[DialogueTurn] = []
    for dialogue in dialogues:
        count = sum(len(turn.media) for turn in turns)
        turns += [_renumber(turn, count) for turn in dialogue.turns]
    return ReferenceDialogue(
        turns=tuple(turns),
        kind="; ".join(dialogue.kind for dialogue in dialogues),
        answers=tuple(answer for dialogue in dialogues for answer in dialogue.answers),
        from_input=dialogues[-1].from_input,
    )


def _renumber(turn: DialogueTurn, count: int) -> DialogueTurn:
    """A turn whose references count `count` media before its conversation."""
    parts = (
        replace(part, references=tuple(number + count for number in part.references))
        if isinstance(part, MediaItem) and part.references
        else part
        for part in turn.parts
    )
    return DialogueTurn(turn.role, tuple(parts))


def as_text(dialogue: ReferenceDialogue) -> list[DialogueTurn]:
    """The conversation as text alone, media as their captions in brackets.

    A reply's media stand at the head of the user's next turn, as in the prompt of a multimodal
    model: there the assistant gets to see them.
    """
    turns: list[DialogueTurn] = []
    generated: tuple[MediaItem, ...] = ()
    for turn in dialogue.turns:
        texts = tuple(part for part in turn.parts if isinstance(part, str))
        if turn.role == "user":
            texts = (*(f"({item.caption})" for item in (*generated, *turn.media)), *texts)
        generated = turn.media if turn.role == "assistant" else ()
        turns.append(DialogueTurn(turn.role, texts))
    return turns
