"""Swaps between two items, and edits of several at once."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combination_words import Taken, item_name, single
from anymodal.toybox.grammar.people_phrases import spoken_infinitive, spoken_motion, spoken_value
from anymodal.toybox.grammar.phrases.combinations import (
    ALL_NAMES,
    FOR_ALL,
    FOR_ALL_ALONE,
    FOR_ALL_GO,
    FOR_ALL_LIKE,
    KIND_WORDS,
    PLURAL_PROPERTIES,
    PROPERTIES,
    SWAPS,
)
from anymodal.toybox.grammar.phrases.several import PLURALS
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import MOVING, SceneSampler
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.scene import VALUES, Scene

_SWAPS = Rules(SWAPS)
_TOGETHER = (("motion", "tempo"), ("color", "size"), ("size", "tempo"))
"""Attributes that are swapped at once."""


def add_swap(
    builder: DialogueBuilder, pool: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add two edits, each after the other item; False where there are no such items."""
    draw = builder.scenes
    usable = [entry for entry in pool if "thing" in entry.item.attributes]
    if len(usable) < 2:
        return False
    pair = sorted(draw.shuffled(usable)[:2], key=lambda entry: entry.number)
    names = _swapped_names(draw, *pair)
    items = []
    for own, other in (pair, pair[::-1]):
        scene = own.item.scene.replace(**{n: other.item.attributes[n] for n in names})
        if not names or not draw.may_show(scene, own.item.modality):
            return False
        items.append(own.made_into(draw.media_item(scene, own.item.modality)))
    builder.add_typed(_swap_text(builder, pair, names, pool, bool(media)), media)
    builder.add_media_reply(items, is_edit=True)
    return True


def _swapped_names(draw: SceneSampler, a: Entry, b: Entry) -> tuple[str, ...]:
    """Attributes that two items have each in its own way; none where there are none."""
    shown, other = a.item.attributes, b.item.attributes
    names = [name for name, value in shown.items() if other.get(name, value) != value]
    if "still" in (a.item.scene.motion, b.item.scene.motion):  # its tempo would be told by nothing
        names = [name for name in names if name != "motion"]
    together = [pair for pair in _TOGETHER if all(name in names for name in pair)]
    if together and draw.chance(0.25):
        return draw.choice(together)
    return (draw.choice(names),) if names else ()


def _swap_text(
    builder: DialogueBuilder,
    pair: Sequence[Entry],
    names: tuple[str, ...],
    pool: Sequence[Entry],
    given: bool,
) -> str:
    draw = builder.scenes
    special = "_".join(names)
    if len(pool) == 2 and special in SWAPS and draw.chance(0.5):
        return _SWAPS.expand(draw, special)
    sounds = all(entry.item.modality == "audio" for entry in pair)
    kinds = ["pitch" if name == "size" and sounds else name for name in names]
    slots = {
        "p": " and ".join(draw.choice(PROPERTIES[kind]) for kind in kinds),
        "ps": " and ".join(draw.choice(PLURAL_PROPERTIES[kind]) for kind in kinds),
    }
    if len(pool) == 2 and draw.chance(0.65):
        return _SWAPS.expand(draw, "both", slots)
    slots["a"], slots["b"] = (item_name(builder, entry, pool, given) for entry in pair)
    return _SWAPS.expand(draw, "named", slots)


def add_edit_of_all(
    builder: DialogueBuilder, pool: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add an edit that gives some items the same value of an attribute."""
    draw = builder.scenes
    group = _group(draw, pool)
    names = [n for n in ("color", "size", "tempo", "motion") if _all_show(group, n)]
    if not names:
        return False
    name = draw.choice(names)
    sources = [e for e in pool if name in e.item.attributes and name != "motion"]
    source = draw.choice(sources) if sources and draw.chance(0.3) else None
    options = MOVING if name == "motion" else VALUES[name]
    value = source.item.attributes[name] if source else draw.choice(options)
    scenes = [_changed(entry, name, value) for entry in group]
    if all(s.observable(e.item.modality) == e.item.attributes
           for s, e in zip(scenes, group, strict=True)):  # fmt: skip
        return False
    if not all(draw.may_show(s, e.item.modality) for s, e in zip(scenes, group, strict=True)):
        return False
    items = [
        entry.made_into(draw.media_item(scene, entry.item.modality))
        for scene, entry in zip(scenes, group, strict=True)
    ]
    it = _group_name(builder, group, pool, bool(media))
    builder.add_typed(_all_text(builder, it, name, value, source, group, pool, bool(media)), media)
    builder.add_media_reply(items, is_edit=True)
    return True


def _group(draw: SceneSampler, pool: Sequence[Entry]) -> list[Entry]:
    """All items of a pool, of a kind, or two of them; in their order."""
    usable = [entry for entry in pool if "thing" in entry.item.attributes]
    if len(usable) == len(pool) <= 3 and draw.chance(0.6):
        return usable
    kind = draw.choice(usable).item.modality if usable else ""
    same = [entry for entry in usable if entry.item.modality == kind]
    if 2 <= len(same) <= 4 and draw.chance(0.7):
        return same
    return sorted(draw.shuffled(usable)[:2], key=lambda entry: entry.number)


def _all_show(group: Sequence[Entry], name: str) -> bool:
    """Return True where an attribute of all items can be changed."""
    if len(group) < 2:
        return False
    if name == "motion":
        return all(entry.item.modality == "video" for entry in group)
    return all(name in entry.item.attributes for entry in group)


def _changed(entry: Entry, name: str, value: str) -> Scene:
    scene = entry.item.scene.replace(**{name: value})
    return scene if "tempo" in entry.item.attributes else scene.replace(tempo="slow")


def _group_name(
    builder: DialogueBuilder, group: Sequence[Entry], pool: Sequence[Entry], given: bool
) -> str:
    """Words for a group of items, empty where it is clear who is meant."""
    draw = builder.scenes
    kinds = {entry.item.modality for entry in group}
    is_kind = len(kinds) == 1 and len(group) == sum(e.item.modality in kinds for e in pool)
    count = "two" if len(group) == 2 else "all"
    ways = [count] * 3 if len(group) == len(pool) else []
    ways += [f"kind_{count}"] * 2 if is_kind else []
    if len(group) == 2 and (not ways or draw.chance(0.2)):
        ways = ["named"]
    if not ways:
        ways = ["kind_all"]
    text = draw.choice(ALL_NAMES[draw.choice(ways)])
    kind = group[0].item.modality
    text = text.replace("{ks}", draw.choice(PLURALS[kind])).replace("{k}", KIND_WORDS[kind][0])
    for slot, entry in zip(("{a}", "{b}"), group, strict=False):
        text = text.replace(slot, item_name(builder, entry, pool, given)) if slot in text else text
    return text


def _all_text(
    builder: DialogueBuilder,
    it: str,
    name: str,
    value: str,
    source: Entry | None,
    group: Sequence[Entry],
    pool: Sequence[Entry],
    given: bool,
) -> str:
    """A request that gives a group of items a value, in words or as another has it."""
    draw = builder.scenes
    if source is not None:
        taken = Taken(source, item_name(builder, source, pool, given), (name,))
        like = single(draw, "r", name, taken, group[0].item.modality)
        return tidy(draw.choice(FOR_ALL_LIKE).replace("{it}", it).replace("{r}", like))
    if name == "motion" and draw.chance(0.6):
        words = spoken_infinitive(draw, value)
        return tidy(draw.choice(FOR_ALL_GO).replace("{it}", it).replace("{g}", words))
    sounds = all(entry.item.modality == "audio" for entry in group)
    kind = "pitch" if name == "size" and sounds and draw.chance(0.6) else name
    words = spoken_motion(draw, value) if name == "motion" else spoken_value(draw, kind, value)
    alone = len(group) == len(pool) and draw.chance(0.25)
    text = draw.choice(FOR_ALL_ALONE if alone else FOR_ALL)
    return tidy(text.replace("{it}", it).replace("{v}", words))
