"""Steps of conversations: each adds an exchange to one, or says that it doesn't fit there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combinations import add_combination
from anymodal.toybox.grammar.comparisons import (
    add_comparison,
    add_comparison_of_all,
    add_description_of_all,
    add_version_comparison,
)
from anymodal.toybox.grammar.inquiries import add_inquiry_of, add_question_of_one
from anymodal.toybox.grammar.people_edits import (
    add_edit,
    again_text,
    converted_scene,
    fronted,
    modality_text,
)
from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_value,
    third_person,
)
from anymodal.toybox.grammar.people_requests import RULES, negated_request, people_request
from anymodal.toybox.grammar.phrases.people_edits import CONVERT, CONVERT_MOVING
from anymodal.toybox.grammar.referring import fronting_phrase
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.several import add_several, slots_noun
from anymodal.toybox.grammar.swaps import add_edit_of_all
from anymodal.toybox.grammar.talk import GENERATED, add_talk
from anymodal.toybox.grammar.types import Entry, MediaItem

Step = Callable[[DialogueBuilder], bool]
"""Adds an exchange; False where it doesn't fit, and then it has added nothing."""


def add_generation(builder: DialogueBuilder, modality: str | None = None) -> bool:
    """A request for a new item, which sometimes says what is not meant."""
    scenes = builder.scenes
    modality = modality or scenes.choice(GENERATED)
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, stated = scenes.omit_defaults(scene, names, (modality,), (modality,))
    request = negated_request if scenes.chance(0.12) and stated else people_request
    builder.add_typed(request(scenes, modality, stated))
    builder.add_media_reply([scenes.media_item(scene, modality)])
    return True


def add_last_edit(builder: DialogueBuilder) -> bool:
    """An edit of the last item."""
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    return add_edit(builder, builder.entries[-1])


def add_earlier_edit(builder: DialogueBuilder) -> bool:
    """An edit of any item, which the words name."""
    entries = [entry for entry in builder.entries if entry.item.modality in GENERATED]
    if not entries:
        return False
    entry = builder.scenes.choice(entries)
    return add_edit(builder, entry, builder.refer(entry))


def add_again(builder: DialogueBuilder) -> bool:
    """Another item like the last one: made anew, from nothing."""
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    item = builder.turns[-1].media[0]
    builder.add_typed(again_text(builder.scenes))
    builder.add_media_reply([MediaItem(item.scene, item.modality)])
    return True


def add_conversion(builder: DialogueBuilder) -> bool:
    """An item in another modality, perhaps with what the new one shows beside."""
    scenes, entries = builder.scenes, builder.entries
    if not entries:
        return False
    entry = entries[-1] if scenes.chance(0.5) else scenes.choice(entries)
    is_it = entry.number == builder.focus
    others = [name for name in GENERATED if name != entry.item.modality]
    modality = scenes.choice(others)
    result = converted_scene(scenes, entry, modality, {})
    if result is None:
        return False
    scene, stated = result
    if is_it and scenes.chance(0.8):
        text = modality_text(scenes, modality)
    elif (front := fronting_phrase(scenes, entries, entry)) and scenes.chance(0.2):
        builder.alone = True
        text = fronted(scenes, modality_text(scenes, modality), front)
    else:
        text, stated = _conversion_text(builder, modality, builder.refer(entry), stated)
    extras = []
    if "motion" in stated:
        extras.append(spoken_motion(scenes, stated["motion"], stated.get("tempo")))
    elif "tempo" in stated:
        extras.append(spoken_value(scenes, "tempo", stated["tempo"]))
    extras += [spoken_value(scenes, n, stated[n]) for n in ("color", "size") if n in stated]
    comma = scenes.choice((", ", ", ", ", ", " ", "; ", ". ", " - "))
    text = comma.join([text.rstrip("?") if extras else text, *extras][:2])
    builder.add_typed(", ".join([text, *extras[1:]]))
    builder.add_media_reply([scenes.media_item(scene, modality)], source=entry)
    return True


def _conversion_text(
    builder: DialogueBuilder, modality: str, it: str, stated: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """A request for a named item in a modality, and the attributes that it leaves to be stated."""
    scenes = builder.scenes
    motion, tempo = stated.get("motion"), stated.get("tempo")
    forms = CONVERT[modality] if scenes.chance(0.25) else CONVERT["any"]
    if motion is not None and scenes.chance(0.5):
        forms = CONVERT_MOVING
        stated = {name: stated[name] for name in ("color", "size") if name in stated}
        if tempo is not None:
            stated["tempo"] = tempo
    text = scenes.choice(forms)
    slots = {"it": it, "v": "", "n": ""}
    if "{v}" in text:
        slots["v"] = RULES[modality].expand(scenes, "v")
    if "{n}" in text:
        slots["n"] = slots_noun(scenes, modality)
    if motion is not None:
        slots["go"], slots["going"] = (
            spoken_infinitive(scenes, motion),
            spoken_motion(scenes, motion),
        )
        slots["goes"] = third_person(scenes, motion)
    for name, words in slots.items():
        text = text.replace(f"{{{name}}}", words)
    return text, stated


def add_item_inquiry(builder: DialogueBuilder) -> bool:
    """A question about any item, whoever it is of."""
    entries = builder.entries
    if not entries:
        return False
    entry = builder.scenes.choice(entries)
    if not entry.item.attributes:
        return False
    add_inquiry_of(builder, entry, builder.refer(entry))
    return True


def add_attachments(builder: DialogueBuilder) -> bool:
    """Given media: one or several, with a question, a comparison or a request about them."""
    scenes = builder.scenes
    count = scenes.choice((1, 2, 2, 2, 3))
    media = [_attachment(scenes) for _ in range(count)]
    first = len(builder.entries)
    entries = [Entry(first + place, item, "user") for place, item in enumerate(media)]
    if count == 1:
        add_inquiry_of(builder, entries[0], scenes.choice(("it", "this", "that", "it")), media)
        return True
    if len({item.modality for item in media}) not in (1, count):
        scenes_of = [item.scene for item in media]
        media = [scenes.media_item(scene, media[0].modality) for scene in scenes_of]
        entries = [Entry(first + place, item, "user") for place, item in enumerate(media)]
    choice = scenes.rng.random()
    if choice < 0.25:
        add_description_of_all(builder, media)
        return True
    if count == 2 and choice < 0.5 and add_comparison(builder, entries, media):
        return True
    if count == 3 and choice < 0.5 and add_comparison_of_all(builder, entries, media):
        return True
    if choice < 0.65 and add_combination(builder, entries, media):
        return True
    if choice < 0.7 and add_edit_of_all(builder, entries, media):
        return True
    if choice < 0.85 and _add_given_edit(builder, entries, media):
        return True
    add_question_of_one(builder, media)
    return True


def _attachment(scenes: SceneSampler) -> MediaItem:
    modality = scenes.choice((*GENERATED, "image", "imu"))
    return scenes.media_item(scenes.sample((modality,)), modality)


def _add_given_edit(
    builder: DialogueBuilder, entries: Sequence[Entry], media: Sequence[MediaItem]
) -> bool:
    """An edit of one of several given media, which the words name."""
    options = [entry for entry in entries if entry.item.modality in GENERATED]
    if not options:
        return False
    entry = builder.scenes.choice(options)
    it = builder.refer(entry, entries)
    return add_edit(builder, entry, it, media=media)


def _pair(builder: DialogueBuilder) -> list[Entry] | None:
    """The only two items of a conversation."""
    entries = builder.entries
    return entries if len(entries) == 2 else None


def add_pair_comparison(builder: DialogueBuilder) -> bool:
    """A comparison of the only two items, the last two, two that words name, or two versions."""
    draw, entries = builder.scenes, builder.entries
    if draw.chance(0.3) and add_edit_comparison(builder):
        return True
    pair = _pair(builder)
    if pair is None and builder.turns and len(builder.turns[-1].media) == 2:
        pair = entries[-2:]
    if pair is not None:
        return add_comparison(builder, pair)
    entries = [entry for entry in entries if entry.item.attributes]
    if len(entries) < 2:
        return False
    pair = sorted(draw.shuffled(entries)[:2])
    kinds = [entry.item.modality for entry in builder.entries]
    alike = kinds.count(pair[0].item.modality) if len({e.item.modality for e in pair}) == 1 else 0
    # Of many of a kind people don't say the numbers.
    return alike <= 4 and add_comparison(builder, pair, among=builder.entries)


def add_edit_comparison(builder: DialogueBuilder) -> bool:
    """A comparison of an item with what it was before the last edit."""
    made = builder.turns[-1].media if builder.turns else ()
    if len(made) != 1 or len(made[0].references) != 1:
        return False
    before, after = builder.entries[made[0].references[0]], builder.entries[-1]
    if before.item.modality != after.item.modality:
        return False
    return add_version_comparison(builder, before, after)


def add_media_combination(builder: DialogueBuilder) -> bool:
    """A combination of any items, or an edit of several, which the words name."""
    entries = builder.entries
    if not entries:
        return False
    add = add_edit_of_all if len(entries) > 1 and builder.scenes.chance(0.2) else add_combination
    return add(builder, entries)


def add_several_media(builder: DialogueBuilder) -> bool:
    """A request for several media."""
    add_several(builder)
    return True


def add_plain_talk(builder: DialogueBuilder) -> bool:
    """An exchange of plain talk."""
    add_talk(builder, first=not builder.turns)
    return True
