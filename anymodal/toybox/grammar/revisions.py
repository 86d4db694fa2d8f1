"""Steps that take changes back, put them in again, and correct what was said."""

from __future__ import annotations

from collections.abc import Mapping

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.inquiries import add_inquiry_of
from anymodal.toybox.grammar.people_edits import add_edit, edit_text, edited_scene, value_words
from anymodal.toybox.grammar.people_phrases import spoken_phrase
from anymodal.toybox.grammar.phrases.people_edits import (
    FIELDS,
    FIRST_AGAIN,
    NOT_BUT,
    ONLY_ONE,
    REDO,
    UNDO,
    UNDO_MORE,
    UNDO_TWO,
    UNDO_VALUE,
    WHOLE,
    WRONG_ONE,
)
from anymodal.toybox.grammar.reviews import add_past_question
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.scene import DEFAULTS, VALUES, Scene


def add_undo(builder: DialogueBuilder) -> bool:
    """One to three edits of the last item or of an earlier one, then ways back and forth."""
    scenes = builder.scenes
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    versions = [builder.entries[-1]]
    makeable = [entry for entry in builder.entries if entry.item.modality in GENERATED]
    if makeable and scenes.chance(0.3):
        versions = [scenes.choice(makeable)]
    for _ in range(scenes.choice((1, 1, 2, 2, 3))):
        entry = builder.entries[-1] if len(versions) > 1 else versions[0]
        it = "it" if entry == builder.entries[-1] else builder.refer(entry)
        if entry.item.modality not in GENERATED or not add_edit(builder, entry, it):
            break
        versions.append(builder.entries[-1])
    if len(versions) == 1:
        return False
    _walk(builder, versions)
    return True


def _walk(builder: DialogueBuilder, versions: list[Entry]) -> None:
    """Go back and forth among versions, from the last one on; sometimes ask in between."""
    scenes, last = builder.scenes, len(versions) - 1
    place, was_undo = last, False
    for _ in range(scenes.choice((1, 1, 2, 2, 3))):
        if scenes.chance(0.12):
            add_inquiry_of(builder, builder.entries[-1], scenes.choice(("it", "it", "that")))
        elif scenes.chance(0.12) and not was_undo:
            add_past_question(builder)
        moves = [(place - 1, UNDO_MORE if was_undo else UNDO)] * 4 * (place > 0)
        moves += [(place - 2, UNDO_TWO)] * (place > 1)
        moves += [(0, FIRST_AGAIN)] * (place > 0) * min(place, 2)
        moves += [(place + 1, REDO)] * 4 * (place < last)
        left = versions[place].item.attributes
        place, forms = scenes.choice(moves)
        text = scenes.choice(forms)
        if forms not in (UNDO_TWO, FIRST_AGAIN) and scenes.chance(0.2):
            text = _by_value(builder, versions, place, left) or text
        was_undo = forms is UNDO or forms is UNDO_MORE
        _add_version(builder, text, versions[place])


def _by_value(
    builder: DialogueBuilder, versions: list[Entry], place: int, left: Mapping[str, str]
) -> str | None:
    """Words that name a version by the only value that differs, which no other version has.

    Args:
        builder: the conversation.
        versions: of the item.
        place: of the version.
        left: the attributes of the version that it takes the place of.
    """
    draw, shown = builder.scenes, versions[place].item.attributes
    if sum(shown.get(name) != value for name, value in left.items()) != 1:
        return None
    others = [entry.item.attributes for n, entry in enumerate(versions) if n != place]
    names = [n for n in ("color", "size", "tempo") if all(shown.get(n) != o.get(n) for o in others)]
    names = [name for name in names if name in shown]
    return draw.choice(UNDO_VALUE).replace("{v}", shown[draw.choice(names)]) if names else None


def _add_version(builder: DialogueBuilder, text: str, version: Entry) -> None:
    """Add a request for an earlier version, and a reply with what it showed, made from it."""
    builder.add_typed(text)
    item = MediaItem(version.item.scene, version.item.modality)
    builder.add_media_reply([item], source=version)


def _changed(scene: Scene, values: Mapping[str, str]) -> Scene:
    """A scene with other values; what stood still had no tempo to keep."""
    if scene.motion == "still" and values.get("motion", "still") != "still":
        values = {"tempo": DEFAULTS["tempo"], **values}
    return scene.replace(**values)


def add_redirection(builder: DialogueBuilder) -> bool:
    """An edit of a named item, then the same edit of another one, which was meant."""
    scenes = builder.scenes
    makeable = [entry for entry in builder.entries if entry.item.modality in GENERATED]
    if len(makeable) < 2:
        return False
    wrong, right = scenes.shuffled(makeable)[:2]
    names = [name for name in wrong.item.attributes if name in right.item.attributes]
    edit = edited_scene(scenes, wrong.item.scene, wrong.item.modality, names)
    if edit is None:
        return False
    name, after = edit
    value = getattr(after, name)
    meant = _changed(right.item.scene, {name: value})
    if right.item.attributes[name] == value or not scenes.may_show(meant, right.item.modality):
        return False
    it = builder.refer(wrong)
    text = edit_text(scenes, name, wrong.item.scene, after, wrong.item.modality, it)
    builder.add_typed(text)
    items = [scenes.media_item(after, wrong.item.modality)]
    builder.add_media_reply(items, is_edit=True, source=wrong)
    right_words = builder.refer(right)
    builder.add_typed(scenes.choice(WRONG_ONE).replace("{it}", right_words))
    items = [scenes.media_item(meant, right.item.modality)]
    builder.add_media_reply(items, is_edit=True, source=right)
    return True


def add_correction(builder: DialogueBuilder) -> bool:
    """An edit, then another one in its place, or one of two changes taken back."""
    scenes = builder.scenes
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    entry = builder.entries[-1]
    scene, modality = entry.item.scene, entry.item.modality
    names: list[str] = [
        n for n in ("color", "size", "tempo", "motion") if n in entry.item.attributes
    ]
    if modality not in GENERATED or len(names) < 2:
        return False
    a, b = scenes.shuffled(names)[:2]
    if "tempo" in (a, b) and ("motion" in (a, b) or scene.motion == "still"):
        return False
    values: dict[str, str] = {
        n: scenes.choice([v for v in VALUES[n] if v != getattr(scene, n)]) for n in (a, b)
    }
    only_a, only_b = (_changed(scene, {n: values[n]}) for n in (a, b))
    both = _changed(scene, values)
    if not all(scenes.may_show(each, modality) for each in (only_a, only_b, both)):
        return False
    draw_both = scenes.chance(0.5)
    first, second = (both, only_a) if draw_both else (only_a, only_b)
    words = {"v": value_words(scenes, a, values[a]), "w": value_words(scenes, b, values[b])}
    fields = {"a": scenes.choice(FIELDS[a][:2]), "b": scenes.choice(FIELDS[b][:2])}
    if draw_both:
        builder.add_typed(f"{scenes.choice(('', 'make it ', 'now '))}{words['v']} and {words['w']}")
        text = _filled(scenes.choice(ONLY_ONE), fields)
    else:
        builder.add_typed(edit_text(scenes, a, scene, only_a, modality))
        swapped = {"v": words["w"], "w": words["v"], "a": fields["a"]}
        text = _filled(scenes.choice(NOT_BUT), swapped)
    builder.add_media_reply([scenes.media_item(first, modality)], is_edit=True, source=entry)
    builder.add_typed(text)
    builder.add_media_reply([scenes.media_item(second, modality)], is_edit=True, source=entry)
    return True


def _filled(form: str, slots: Mapping[str, str]) -> str:
    for name, text in slots.items():
        form = form.replace(f"{{{name}}}", text)
    return form


def add_whole_edit(builder: DialogueBuilder) -> bool:
    """An edit that states its new value beside the thing, as in "green heart"."""
    scenes = builder.scenes
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    entry = builder.entries[-1]
    modality, scene = entry.item.modality, entry.item.scene
    if modality not in GENERATED:
        return False
    names: list[str] = [n for n in ("color", "size", "tempo") if n in entry.item.attributes]
    edit = edited_scene(scenes, scene, modality, names)
    if edit is None:
        return False
    name, after = edit
    thing = {"thing": scene.thing, name: getattr(after, name)}
    phrase = spoken_phrase(scenes, modality, thing, bare=True)
    words = {"t": scene.thing, "v": value_words(scenes, name, getattr(after, name)), "x": phrase}
    builder.add_typed(_filled(scenes.choice(WHOLE), words))
    builder.add_media_reply([scenes.media_item(after, modality)], is_edit=True, source=entry)
    return True
