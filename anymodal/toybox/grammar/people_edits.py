"""Edits as people type them: bare values, corrections, contrasts, again, undo and redo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_phrase,
    spoken_value,
    third_person,
)
from anymodal.toybox.grammar.phrases.attributes import MORE_PITCH, MORE_SIZE, MORE_TEMPO
from anymodal.toybox.grammar.phrases.people_edits import (
    AGAIN,
    EDIT_TWO,
    EDITS,
    FIELDS,
    FRONTED,
    OTHER_WAY,
    SPEED,
    TALES,
    TO_MODALITY,
)
from anymodal.toybox.grammar.referring import fronting_phrase
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, default_value, shows_held_out
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import Draw, value_phrase
from anymodal.toybox.scene import DEFAULTS, VALUES, Scene

_RULES = Rules(
    {**EDITS, "edit_two": EDIT_TWO, "other_way": OTHER_WAY, "again": AGAIN, **TO_MODALITY}
)
OPPOSITES = {"left": "right", "right": "left", "up": "down", "down": "up"}
"""Motions and their opposites."""


def edit_text(
    draw: Draw, name: str, before: Scene, after: Scene, modality: str, it: str = "it"
) -> str:
    """A request to change one attribute of an item.

    Args:
        draw: random draws.
        name: of the attribute.
        before: the scene of the item.
        after: the scene with the new value.
        modality: of the item.
        it: words for the item.
    """
    value, old = getattr(after, name), getattr(before, name)
    slots = {"it": it}
    slots["attr"] = draw.choice(FIELDS[name])
    if name == "motion":
        opposite = OPPOSITES.get(old) == value
        if opposite and it == "it" and draw.chance(0.4):
            return _RULES.expand(draw, "other_way")
        slots["v"] = slots["going"] = spoken_motion(draw, value)
        slots["go"], slots["w"] = spoken_infinitive(draw, value), spoken_motion(draw, old)
        slots["goes"], slots["d"] = third_person(draw, value), spoken_motion(draw, value)
        if value in OPPOSITES:
            slots["attr"] = draw.choice(FIELDS["direction"])
            slots["d"] = draw.choice((value, value, slots["d"]))
    elif name == "thing":
        slots["x"] = spoken_phrase(draw, modality, {"thing": value})
        slots["n"] = spoken_value(draw, "thing", value)
        slots["w"] = value_phrase(name, old)
    else:
        spoken = "pitch" if name == "size" and modality == "audio" and draw.chance(0.4) else name
        more = {"size": MORE_SIZE, "pitch": MORE_PITCH, "tempo": MORE_TEMPO}
        slots["v"], slots["w"] = spoken_value(draw, spoken, value), spoken_value(draw, spoken, old)
        if spoken in more:
            slots["more"] = draw.choice(more[spoken][value])
        slots["attr"] = draw.choice(FIELDS[spoken])
        slots["speed"] = draw.choice(SPEED.get(value, ("",)))
        if name in ("size", "tempo"):
            tale = draw.choice(TALES[name, value]) if spoken == name else "{it} {more}"
            for slot in ("v", "it", "more"):
                tale = tale.replace(f"{{{slot}}}", slots[slot])
            slots["tale"] = tale
    text = _RULES.expand(draw, f"edit_{name}", slots).replace("\\n", "\n")
    return _with_name(draw, text, it)


def _with_name(draw: Draw, text: str, it: str) -> str:
    """An edit with words for its item, which must be named if it isn't at hand."""
    if it in ("it", "that") or it in text:
        return text
    if " it " not in f" {text} " and draw.chance(0.3):
        return f"{it}: {text}"
    return fronted(draw, text, it)


def fronted(draw: Draw, text: str, it: str) -> str:
    """A text about "it" with the item's name before or after it."""
    return draw.choice(FRONTED).replace("{text}", text.rstrip(".")).replace("{it}", it)


def _edit_two(builder: DialogueBuilder, entry: Entry, it: str) -> tuple[str, Scene] | None:
    """A request to change two attributes, and the scene; None where there are no two."""
    draw, scene, modality = builder.scenes, entry.item.scene, entry.item.modality
    names = [name for name in ("color", "size", "tempo", "motion") if name in entry.item.attributes]
    if len(names) < 2:
        return None
    first, second = draw.shuffled(names)[:2]
    for _ in range(8):
        values = {
            name: draw.choice([v for v in VALUES[name] if v != getattr(scene, name)])
            for name in (first, second)
        }
        if "tempo" in values and "still" in (scene.motion, values.get("motion")):
            continue  # what stands still has no tempo
        after = scene.replace(**values)
        if scene.motion == "still" and "motion" in values:
            after = after.replace(tempo=DEFAULTS["tempo"])
        if draw.may_show(after, modality):
            words = {s: value_words(draw, n, values[n]) for s, n in (("v", first), ("w", second))}
            text = _RULES.expand(draw, "edit_two", {**words, "it": it})
            return _with_name(draw, text.replace("\\n", "\n"), it), after
    return None


def value_words(draw: Draw, name: str, value: str) -> str:
    """One of the words for a value that stand behind "it is"."""
    return spoken_motion(draw, value) if name == "motion" else spoken_value(draw, name, value)


def again_text(draw: Draw) -> str:
    """A request for another item like the last one."""
    return _RULES.expand(draw, "again")


def modality_text(draw: Draw, modality: str) -> str:
    """A request for the item at hand in another modality."""
    return _RULES.expand(draw, modality)


def edited_scene(
    scenes: SceneSampler, scene: Scene, modality: str, names: list[str]
) -> tuple[str, Scene] | None:
    """One attribute of an item and the scene with another value of it; None if there is none."""
    moving = scene.motion != "still"
    for name in scenes.shuffled(names):
        options = [value for value in VALUES[name] if value != getattr(scene, name)]
        if name == "motion" and moving and scenes.chance(0.3) and scene.motion in OPPOSITES:
            options = [OPPOSITES[scene.motion]]
        for value in scenes.shuffled(options):
            after = scene.replace(**{name: value})
            if name == "motion" and not moving:  # what stood still had no tempo to keep
                after = after.replace(tempo=DEFAULTS["tempo"])
            if scenes.may_show(after, modality):
                return name, after
    return None


def edit_names(scene: Scene, modality: str) -> list[str]:
    """The attributes of an item that an edit may change."""
    return list(scene.observable(modality))


def converted_scene(
    scenes: SceneSampler, entry: Entry, modality: str, changes: Mapping[str, str]
) -> tuple[Scene, dict[str, str]] | None:
    """The scene of an item in another modality, and the attributes to be stated.

    What the item doesn't show is left at its default or stated. None if no such scene may be shown.
    """
    shown = entry.item.attributes
    if "thing" not in {**shown, **changes}:
        return None
    for _ in range(8):
        scene = entry.item.scene.replace(**changes)
        stated = dict(changes)
        for name in ("color", "size", "motion", "tempo"):
            if name in shown or name in changes:
                continue
            usual = default_value(scene, name)
            stated_often = 0.6 if name == "motion" else 0.4
            value = scenes.choice(VALUES[name]) if scenes.chance(stated_often) else usual
            scene = scene.replace(**{name: value})
            if value != usual and name in scene.observable(modality):
                stated[name] = value
        result = scene.observable(modality)
        stated = {name: value for name, value in stated.items() if name in result}
        if scenes.unseen or not shows_held_out(result):
            return scene, stated
    return None


def add_edit(
    builder: DialogueBuilder, entry: Entry, it: str = "it", media: Sequence[MediaItem] = ()
) -> bool:
    """Add an edit of one or two attributes of an item, and the reply that is made from the item."""
    scenes, modality = builder.scenes, entry.item.modality
    front = None
    if it != "it" and not media and scenes.chance(0.25):
        front = fronting_phrase(scenes, builder.entries, entry)
        it = "it" if front or scenes.chance(0.3) else it
        front = front or builder.refer(entry)
        builder.alone = True
    result = _edit_two(builder, entry, it) if scenes.chance(0.15) else None
    if result is None:
        names = edit_names(entry.item.scene, modality)
        edit = edited_scene(scenes, entry.item.scene, modality, names)
        if edit is None:
            return False
        name, after = edit
        result = edit_text(scenes, name, entry.item.scene, after, modality, it), after
    text, after = result
    builder.add_typed(fronted(scenes, text, front) if front and it == "it" else text, media)
    builder.add_media_reply([scenes.media_item(after, modality)], is_edit=True, source=entry)
    return True
