"""Requests after one that took attributes over: more of them, another source, the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combination_words import (
    Taken,
    item_name,
    properties_of,
    property_names,
)
from anymodal.toybox.grammar.phrases.combinations import FOLLOW
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.types import Entry
from anymodal.toybox.scene import Scene

_RULES = Rules(FOLLOW)
_PLAIN = ("color", "size", "tempo")


class TakingOver(NamedTuple):
    """A request by which an item got attributes of others.

    Attributes:
        base: the item that got them.
        phrase: words for it.
        taken: what it got.
        others: items that it could have got them from.
        pool: all that could be named then.
    """

    base: Entry
    phrase: str
    taken: Taken
    others: Sequence[Entry]
    pool: Sequence[Entry]


def add_follow_up(builder: DialogueBuilder, before: TakingOver) -> bool:
    """Add a request that goes on from one that took attributes over, where one fits.

    Args:
        builder: the conversation, whose last item is the result.
        before: the request that it goes on from.
    """
    options = (_add_more, _add_other_source, _add_reverse)
    return any(add(builder, before) for add in builder.scenes.shuffled(options)[:2])


def _reply(
    builder: DialogueBuilder, symbol: str, slots: dict[str, str], scene: Scene, source: Entry
) -> bool:
    """Add a request and its reply, unless the result is held out or like the last one."""
    draw, last = builder.scenes, builder.entries[-1].item
    target = source.item.modality if symbol == "reverse" else last.modality
    if not draw.may_show(scene, target) or scene.observable(target) == last.attributes:
        return False
    builder.add_typed(_RULES.expand(draw, symbol, slots))
    builder.add_media_reply([draw.media_item(scene, target)], is_edit=True, source=source)
    return True


def _add_more(builder: DialogueBuilder, before: TakingOver) -> bool:
    """Another attribute of the same source."""
    draw, result, taken = builder.scenes, builder.entries[-1], before.taken
    shown = taken.source.item.attributes
    now = result.item.attributes
    names = [n for n in _PLAIN if now.get(n, shown.get(n)) != shown.get(n) and n in shown]
    if not names:
        return False
    more = taken._replace(names=(draw.choice(names),))
    target = result.item.modality
    slots = {
        "p": property_names(draw, more, target),
        "b": taken.phrase,
        "its": draw.choice(("the", "its", "that")),
        "bp": properties_of(draw, (more,), target),
    }
    value = {more.names[0]: shown[more.names[0]]}
    return _reply(builder, "also", slots, result.item.scene.replace(**value), result)


def _add_other_source(builder: DialogueBuilder, before: TakingOver) -> bool:
    """The same attributes of another source."""
    draw, result, taken = builder.scenes, builder.entries[-1], before.taken
    fitting = [e for e in before.others if all(n in e.item.attributes for n in taken.names)]
    if not fitting or "motion" in taken.names:
        return False
    source = draw.choice(fitting)
    other = Taken(source, item_name(builder, source, before.pool, True), taken.names)
    values = {name: source.item.attributes[name] for name in taken.names}
    slots = {"bp": properties_of(draw, (other,), result.item.modality)}
    return _reply(builder, "instead", slots, result.item.scene.replace(**values), result)


def _add_reverse(builder: DialogueBuilder, before: TakingOver) -> bool:
    """The same between the two, the other way round."""
    base, phrase, taken = before.base, before.phrase, before.taken
    source = taken.source
    shown, result = base.item.attributes, builder.entries[-1]
    fits = result.item.modality == base.item.modality == source.item.modality
    if not fits or "motion" in taken.names or not all(n in shown for n in taken.names):
        return False
    target = source.item.modality
    slots = {
        "a": phrase,
        "b": taken.phrase,
        "p": property_names(builder.scenes, taken, target),
    }
    if any(
        words in ("it", "that", "this", "that one", "this one") for words in (phrase, taken.phrase)
    ):
        return False
    values = {name: shown[name] for name in taken.names}
    return _reply(builder, "reverse", slots, source.item.scene.replace(**values), source)
