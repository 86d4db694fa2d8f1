"""The grammar: every kind of conversation with its weight, and sampling of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from anymodal.toybox.grammar import multi_turn, talk
from anymodal.toybox.grammar.scenes import SceneSampler
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
from anymodal.toybox.scene import VALUES

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
    }


_PRODUCTIONS = _productions()

KINDS: dict[str, float] = {kind: weight for kind, (weight, _) in _PRODUCTIONS.items()}
"""Every kind of conversation, with its weight."""

_NAMES = list(KINDS)
_CUMULATIVE = np.cumsum(list(KINDS.values())) / sum(KINDS.values())


def sample_dialogue(
    rng: np.random.Generator, *, kind: str | None = None, unseen: bool = False
) -> ReferenceDialogue:
    """Sample a conversation whose answers are known.

    Args:
        rng: decides everything.
        kind: one of `KINDS`; drawn by weight if None.
        unseen: speak of held-out scenes, as far as the kind's media can show them; without it no
            held-out pair occurs anywhere in the conversation.

    Raises:
        ValueError: for a kind that there isn't.
    """
    if kind is None:
        kind = _NAMES[int(np.searchsorted(_CUMULATIVE, rng.random(), side="right"))]
    if kind not in _PRODUCTIONS:
        raise ValueError(f"no conversations of kind {kind!r}; choose one of {', '.join(KINDS)}")
    return _PRODUCTIONS[kind][1](SceneSampler(Draw(rng), unseen))


def join_dialogues(dialogues: Sequence[ReferenceDialogue]) -> ReferenceDialogue:
    """Conversations one after another, as one, with the last one's `from_input`."""
    return ReferenceDialogue(
        turns=tuple(turn for dialogue in dialogues for turn in dialogue.turns),
        kind="; ".join(dialogue.kind for dialogue in dialogues),
        answers=tuple(answer for dialogue in dialogues for answer in dialogue.answers),
        from_input=dialogues[-1].from_input,
    )


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
