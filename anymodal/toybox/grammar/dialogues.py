"""Conversations of the Toybox: media asked for, described, edited, and plain talk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from anymodal.toybox.grammar.cells import INPUTS, OUTPUTS, belonging, cell, moved, several
from anymodal.toybox.grammar.multi_turn import (
    ask,
    chain,
    describe_then_make,
    edit,
    mixed,
    react,
    retell,
    switch,
    talk,
    unknown,
    verify,
)
from anymodal.toybox.grammar.scenes import Scenes
from anymodal.toybox.grammar.types import Dialogue, Medium, Turn
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.scene import VALUES

__all__ = ["KINDS", "Dialogue", "Medium", "Turn", "joined", "render_plain", "sample_dialogue"]

_Maker = Callable[[Scenes], Dialogue]


def _makers() -> dict[str, tuple[float, _Maker]]:
    """Every kind of conversation: its weight, and what writes it."""
    makers: dict[str, tuple[float, _Maker]] = {}
    for given in INPUTS:
        for wanted in OUTPUTS:
            asked = 3.0 if wanted == "text" else 2.0
            told = 10.0 if wanted == "text" else 5.0
            weight = told if given == "text" else asked
            makers[f"{given}>{wanted}"] = weight, partial(cell, given=given, wanted=wanted)
    makers["image+imu>video"] = 2.0, moved
    makers["image+audio>text"] = 6.0, belonging
    for weight, group in _GROUPS:
        makers[f"text>{'+'.join(group)}"] = weight, partial(several, wanted=group)
    for name in VALUES:
        makers[f"edit:{name}"] = 2.0, partial(edit, name=name)
    return makers | {
        "edit:chain": (4.0, chain),
        "switch": (3.0, switch),
        "retell": (2.0, retell),
        "ask": (10.0, ask),
        "verify": (6.0, verify),
        "describe>make": (2.0, describe_then_make),
        "mixed": (3.0, mixed),
        "react": (5.0, react),
        "talk": (12.0, talk),
        "unknown": (1.5, unknown),
    }


_GROUPS = (
    (1.0, ("image", "audio")),
    (1.0, ("image", "video")),
    (1.0, ("audio", "video")),
    (2.0, ("image", "audio", "video")),
)
_MAKERS = _makers()

KINDS: dict[str, float] = {kind: weight for kind, (weight, _) in _MAKERS.items()}
"""Every kind of conversation and how often it comes, as a weight."""

_NAMES = list(KINDS)
_STEPS = np.cumsum(list(KINDS.values())) / sum(KINDS.values())


def sample_dialogue(
    rng: np.random.Generator, *, kind: str | None = None, unseen: bool = False
) -> Dialogue:
    """A conversation whose answers are known.

    Args:
        rng: decides everything.
        kind: one of `KINDS`; by weight where not given.
        unseen: speak of held-out scenes, as far as the kind's media can show them; without it no
            held-out pair occurs anywhere in the conversation.

    Raises:
        ValueError: for a kind that there isn't.
    """
    if kind is None:
        kind = _NAMES[int(np.searchsorted(_STEPS, rng.random(), side="right"))]
    if kind not in _MAKERS:
        raise ValueError(f"no conversations of kind {kind!r}; choose one of {', '.join(KINDS)}")
    return _MAKERS[kind][1](Scenes(Draw(rng), unseen))


def joined(dialogues: Sequence[Dialogue]) -> Dialogue:
    """Conversations one after another, as one; what the last one's answer rests on is kept."""
    return Dialogue(
        turns=tuple(turn for dialogue in dialogues for turn in dialogue.turns),
        kind="; ".join(dialogue.kind for dialogue in dialogues),
        answers=tuple(answer for dialogue in dialogues for answer in dialogue.answers),
        from_input=dialogues[-1].from_input,
    )


def render_plain(dialogue: Dialogue) -> list[Turn]:
    """The conversation for a reader of text alone: what the user's side shows is put in brackets.

    Given media become their captions, media of the assistant are dropped; their captions stand at
    the head of the user's next turn, where the assistant gets to see them.
    """
    turns: list[Turn] = []
    made: tuple[Medium, ...] = ()
    for turn in dialogue.turns:
        texts = tuple(part for part in turn.parts if isinstance(part, str))
        if turn.role == "user":
            seen = (*made, *turn.media)
            texts = (*(f"({medium.caption})" for medium in seen), *texts)
        made = turn.media if turn.role == "assistant" else ()
        turns.append(Turn(turn.role, texts))
    return turns
