"""Requests that take something of two items at hand: mixtures, likeness, swaps, edits of both."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.people_phrases import spoken_value
from anymodal.toybox.grammar.people_requests import RULES
from anymodal.toybox.grammar.phrases.references import (
    COMBINE,
    FOR_BOTH,
    LIKE_OTHER,
    PROPERTY,
    SWAP,
)
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.scenes import SceneSampler, shows_held_out
from anymodal.toybox.grammar.several import slots_noun
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.scene import VALUES, Scene


def add_combination(
    builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add a request that takes something of each of two items; False where there is none."""
    choice = builder.scenes.rng.random()
    if choice < 0.45:
        return _add_mixture(builder, pair, media)
    if choice < 0.75:
        return _add_likeness(builder, pair, media)
    return _add_swap(builder, pair, media)


def _allowed(scenes: SceneSampler, scene: Scene, modality: str) -> bool:
    return scenes.unseen or not shows_held_out(scene.observable(modality))


def _add_mixture(
    builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem]
) -> bool:
    """A new item with attributes of both, the rest as the one that gives the thing has it."""
    draw = builder.scenes
    a, b = draw.shuffled(pair)
    shown, other = a.item.attributes, b.item.attributes
    modality = a.item.modality
    names = [n for n in other if n != "thing" and n in shown and n != "motion"]
    if modality == "imu" or "thing" not in shown or not names:
        return False
    name = draw.choice(names)
    scene = a.item.scene.replace(**{name: other[name]})
    if not _allowed(draw, scene, modality):
        return False
    entries = list(pair) if media else None
    text = draw.choice(COMBINE)
    first_thing = draw.chance(0.5)
    (na, ea), (nb, eb) = (("thing", a), (name, b)) if first_thing else ((name, b), ("thing", a))
    for slot, value in (
        ("{pa}", draw.choice(PROPERTY[na])), ("{pb}", draw.choice(PROPERTY[nb])),
        ("{a}", builder.refer(ea, entries)), ("{b}", builder.refer(eb, entries)),
        ("{v}", RULES[modality].expand(draw, "v")), ("{n}", slots_noun(draw, modality)),
    ):  # fmt: skip
        text = text.replace(slot, value)
    builder.add_typed(tidy(text), media)
    builder.add_media_reply([draw.media_item(scene, modality)])
    return True


def _add_likeness(
    builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem]
) -> bool:
    """An edit of one item after the other."""
    draw = builder.scenes
    a, b = draw.shuffled(pair)
    shown, other = a.item.attributes, b.item.attributes
    names = [n for n in shown if n in other and shown[n] != other[n]]
    if a.item.modality == "imu" or not names:
        return False
    name = draw.choice(names)
    scene = a.item.scene.replace(**{name: other[name]})
    if name == "motion" and "tempo" in other:
        scene = scene.replace(tempo=other["tempo"])
    if not _allowed(draw, scene, a.item.modality):
        return False
    entries = list(pair) if media else None
    text = draw.choice(LIKE_OTHER[name])
    text = text.replace("{a}", builder.refer(a, entries)).replace("{b}", builder.refer(b, entries))
    builder.add_typed(tidy(text), media)
    builder.add_media_reply([draw.media_item(scene, a.item.modality)], is_edit=True, source=a)
    return True


def _add_swap(builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem]) -> bool:
    """Two edits, each after the other item."""
    draw = builder.scenes
    a, b = pair
    names = [n for n, v in a.item.attributes.items() if b.item.attributes.get(n, v) != v]
    if "still" in (a.item.scene.motion, b.item.scene.motion):  # its tempo would be told by nothing
        names = [name for name in names if name != "motion"]
    if "imu" in (a.item.modality, b.item.modality) or not names:
        return False
    name = draw.choice(names)
    items = []
    for own, other in ((a, b), (b, a)):
        scene = own.item.scene.replace(**{name: other.item.attributes[name]})
        if not _allowed(draw, scene, own.item.modality):
            return False
        items.append(own.made_into(draw.media_item(scene, own.item.modality)))
    builder.add_typed(draw.choice(SWAP[name]), media)
    builder.add_media_reply(items, is_edit=True)
    return True


def add_edit_of_both(
    builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add an edit that gives two items the same value of an attribute."""
    draw = builder.scenes
    names = [n for n in ("color", "size", "tempo") if all(n in e.item.attributes for e in pair)]
    if not names or any(entry.item.modality == "imu" for entry in pair):
        return False
    name = draw.choice(names)
    value = draw.choice(VALUES[name])
    scenes = [entry.item.scene.replace(**{name: value}) for entry in pair]
    if not all(_allowed(draw, s, e.item.modality) for s, e in zip(scenes, pair, strict=True)):
        return False
    items = [
        entry.made_into(draw.media_item(scene, entry.item.modality))
        for scene, entry in zip(scenes, pair, strict=True)
    ]
    words = spoken_value(draw, name, value)
    builder.add_typed(draw.choice(FOR_BOTH).replace("{v}", words), media)
    builder.add_media_reply(items, is_edit=True)
    return True
