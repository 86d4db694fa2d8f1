"""Requests for several media in one message: of several things, modalities or versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.people_phrases import spoken_motion, spoken_phrase, spoken_value
from anymodal.toybox.grammar.people_requests import RULES
from anymodal.toybox.grammar.phrases.several import (
    BARE_NOUNS,
    MAKE_IT,
    MAKE_SHORT,
    NUMBERS,
    ONE_OF,
    PLURALS,
    SEVERAL_RULES,
    TIMES,
)
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler, observable_in
from anymodal.toybox.grammar.several_alike import add_like_first, add_one_thing, add_paced
from anymodal.toybox.grammar.several_frames import add_frame, add_list
from anymodal.toybox.grammar.several_shared import add_copies, add_values_apart, add_versions
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.scene import DEFAULTS, VALUES, Scene

_RULES = Rules(SEVERAL_RULES)


def add_several(builder: DialogueBuilder) -> None:
    """Add a request for several media, in one of many ways, and the reply that holds them."""
    draw = builder.scenes
    production = draw.choice(_PRODUCTIONS)
    production(builder)


def _stated_scene(scenes: SceneSampler, modality: str) -> tuple[Scene, dict[str, str]]:
    scene = scenes.sample((modality,))
    return scenes.omit_defaults(scene, scene.observable(modality), (modality,), (modality,))


def _listed(draw: Draw, items: Sequence[str]) -> str:
    last = draw.choice((" and ", " and ", " and ", ", ", " plus ", " & ", " and then ", ", then "))
    return ", ".join(items[:-1]) + last + items[-1]


def _words_of(draw: Draw, modality: str, count: int = 0) -> dict[str, str]:
    """Verbs and nouns of a modality, and a number."""
    slots = {name: RULES[modality].expand(draw, name) for name in ("v", "n")}
    slots["ns"] = draw.choice(PLURALS[modality])
    if count:
        slots |= {"c": draw.choice(NUMBERS[count]), "times": draw.choice(TIMES[count])}
    return slots


def _add_things(builder: DialogueBuilder) -> None:
    """Several things, a medium of one modality each."""
    draw = builder.scenes
    modality, count = draw.choice(GENERATED), draw.choice((2, 2, 2, 3, 3, 4))
    pairs = [_stated_scene(draw, modality) for _ in range(count)]
    pairs = [(scene, {**stated, "thing": scene.thing}) for scene, stated in pairs]
    phrases = [spoken_phrase(draw, modality, stated) for _, stated in pairs]
    of_each = [f"a {slots_noun(draw, modality)} of {phrase}" for phrase in phrases[1:]]
    slots = _words_of(draw, modality, count) | {
        "l": _listed(draw, phrases),
        "f": ", then ".join(phrases),
        "al": _listed(draw, [phrases[0], *of_each]),
        "ol": _listed(draw, [phrases[0], *(f"one of {phrase}" for phrase in phrases[1:])]),
    }
    symbol = "things"
    text = _RULES.expand(draw, symbol, slots)
    # A list alone, without a verb or a noun, asks for pictures.
    while modality != "image" and text in (slots["l"], tidy(slots["l"])):
        text = _RULES.expand(draw, symbol, slots)
    builder.add_typed(text)
    builder.add_media_reply([draw.media_item(scene, modality) for scene, _ in pairs])


def slots_noun(draw: Draw, modality: str) -> str:
    """A noun without an article for a medium."""
    return draw.choice(BARE_NOUNS[modality])


def _add_media_of_one(builder: DialogueBuilder) -> None:
    """One thing in several modalities, in the order asked for."""
    draw = builder.scenes
    order = draw.shuffled(GENERATED)[: draw.choice((2, 2, 3))]
    scene = draw.sample(order)
    scene, stated = draw.omit_defaults(scene, observable_in(scene, order), order, order)
    stated["thing"] = scene.thing
    if (
        "video" in order and "tempo" in stated and scene.motion == "still"
    ):  # what rests has no pace in words
        del stated["tempo"]
        scene = scene.replace(tempo=DEFAULTS["tempo"])
    if "video" in order and "tempo" in stated:
        stated["motion"] = scene.motion
    nouns = [draw.choice(ONE_OF[modality]) for modality in order]
    plain = [slots_noun(draw, modality) for modality in order]
    slots = {
        "x": spoken_phrase(draw, "video", stated),
        "X": spoken_phrase(draw, "video", stated, bare=True),
        "ml": _listed(draw, nouns),
        "m1": nouns[0],
        "m2": " and ".join(nouns[1:]),
        "pl": draw.choice((" + ", " and ", "+", " & ")).join(plain),
        "c": draw.choice(NUMBERS[len(order)]),
        "chain": _chain(draw, order, stated),
    }
    builder.add_typed(_RULES.expand(draw, "media", slots))
    builder.add_media_reply([draw.media_item(scene, modality) for modality in order])


def _chain(draw: Draw, order: Sequence[str], stated: dict[str, str]) -> str:
    """Verbs one after another: "draw a duck, play it and film it bouncing"."""
    later: dict[str, str] = {}
    if "video" in order[1:] and stated.get("motion", "still") != "still" and draw.chance(0.6):
        later = {name: stated[name] for name in ("motion", "tempo") if name in stated}
    first = {name: value for name, value in stated.items() if name not in later}
    start = draw.choice(MAKE_SHORT[order[0]])
    texts = [start.replace("{x}", spoken_phrase(draw, "video", first))]
    for modality in order[1:]:
        text = draw.choice(MAKE_IT[modality])
        if later and modality == "video":
            text += f" {spoken_motion(draw, later['motion'], later.get('tempo'))}"
        texts.append(text)
    return _listed(draw, texts)


def _add_mixed(builder: DialogueBuilder) -> None:
    """Two things, each in a modality of its own."""
    draw = builder.scenes
    order = [draw.choice(GENERATED), draw.choice(GENERATED)]
    pairs = [_stated_scene(draw, modality) for modality in order]
    slots = {}
    for place, (modality, (scene, stated)) in enumerate(zip(order, pairs, strict=True), start=1):
        phrase = spoken_phrase(draw, modality, {**stated, "thing": scene.thing})
        slots[f"a{place}"] = draw.choice(MAKE_SHORT[modality]).replace("{x}", phrase)
    builder.add_typed(_RULES.expand(draw, "mixed", slots))
    items = [draw.media_item(scene, m) for m, (scene, _) in zip(order, pairs, strict=True)]
    builder.add_media_reply(items)


_VERSIONED = {"image": ("color", "size"), "audio": ("size", "tempo"), "video": ("color", "size")}


def _add_versions(builder: DialogueBuilder) -> None:
    """One thing with several values of an attribute, a medium each."""
    draw = builder.scenes
    modality = draw.choice(GENERATED)
    name = draw.choice(_VERSIONED[modality])
    scene, stated = _stated_scene(draw, modality)
    options = [
        value for value in VALUES[name] if draw.may_show(scene.replace(**{name: value}), modality)
    ]
    values = draw.shuffled(options)[: draw.choice((2, 2, 3))]
    stated = {**stated, "thing": scene.thing}
    stated.pop(name, None)
    words = [spoken_value(draw, name, value) for value in values]
    phrase = spoken_phrase(draw, modality, stated)
    slots = _words_of(draw, modality, len(values)) | {
        "x": phrase, "values": draw.choice((" and ", " and then ")).join(words),
        "once": " and once ".join(words),
    }  # fmt: skip
    builder.add_typed(_RULES.expand(draw, "colors" if name == "color" else "versions", slots))
    scenes = [scene.replace(**{name: value}) for value in values]
    builder.add_media_reply([draw.media_item(each, modality) for each in scenes])


def _add_copies(builder: DialogueBuilder) -> None:
    """The same thing several times."""
    draw = builder.scenes
    modality, count = draw.choice(GENERATED), draw.choice((2, 2, 3))
    scene, stated = _stated_scene(draw, modality)
    slots = _words_of(draw, modality, count)
    slots["x"] = spoken_phrase(draw, modality, {**stated, "thing": scene.thing})
    builder.add_typed(_RULES.expand(draw, "copies", slots))
    builder.add_media_reply([draw.media_item(scene, modality) for _ in range(count)])


_PRODUCTIONS: tuple[Callable[[DialogueBuilder], None], ...] = (
    *(_add_things,) * 5, *(_add_media_of_one,) * 4, *(_add_mixed,) * 3, *(_add_versions,) * 2,
    _add_copies,
    *(add_frame,) * 13, *(add_list,) * 9, *(add_values_apart,) * 5, *(add_versions,) * 4,
    *(add_one_thing,) * 5, *(add_like_first,) * 4, *(add_paced,) * 2, *(add_copies,) * 2,
)  # fmt: skip
"""Ways to ask for several media, each as often as it is drawn."""
