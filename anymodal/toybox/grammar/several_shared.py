"""Requests for several media that share a thing or an attribute, or whose values are told apart."""

from __future__ import annotations

import re

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.item_phrases import item_phrase
from anymodal.toybox.grammar.people_phrases import spoken_motion, spoken_value
from anymodal.toybox.grammar.phrases.attributes import NOUNS, Words
from anymodal.toybox.grammar.phrases.several import NUMBERS, TIMES
from anymodal.toybox.grammar.phrases.several_frames import WORDS
from anymodal.toybox.grammar.phrases.several_shared import (
    BOTH,
    COPIES_MORE,
    COPIES_TWO,
    EACH_PAIR,
    EACH_TRIPLE,
    IN_COLORS,
    SHARED_TAIL,
    SPREAD,
    VERSIONS_PAIR,
    VERSIONS_TRIPLE,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, default_value
from anymodal.toybox.grammar.several_frames import add_frame, add_items, modality_words
from anymodal.toybox.grammar.several_items import FrameWords, Item, state_scene
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.scene import OBSERVABLE, VALUES, Scene

_ADJECTIVE = re.compile(
    r"\ba \{w|\{w\d\} (and (a |one )?\{w\d\} )?\{T|\{w\d\} (one|kind)|one \{w1\} and|not \{w"
)
"""A value before a noun, where a movement can't stand."""


def _behind_only(options: Words) -> Words:
    return tuple(text for text in options if not _ADJECTIVE.search(text))


_TABLES = {
    "each2": EACH_PAIR, "each3": EACH_TRIPLE, "shared": BOTH,
    "versions2": VERSIONS_PAIR, "versions3": VERSIONS_TRIPLE, "colors": IN_COLORS,
}  # fmt: skip
_RULES = Rules({
    **WORDS, **_TABLES, "spread": SPREAD, "copies": COPIES_MORE,
    "copies2": (*COPIES_MORE, *COPIES_TWO),
    **{f"{symbol}:motion": _behind_only(options) for symbol, options in _TABLES.items()},
})  # fmt: skip
VARIED = {"image": ("color", "color", "size"), "audio": ("size", "tempo"),
          "video": ("color", "color", "size", "motion", "motion")}  # fmt: skip
"""Attributes by modality whose values requests tell apart, each as often as it is drawn."""


def value_word(draw: Draw, modality: str, name: str, scene: Scene) -> str:
    """The word for a value of a scene, as it follows "it is"."""
    if name == "motion":
        return spoken_motion(draw, scene.motion)
    kind = "pitch" if name == "size" and modality == "audio" and draw.chance(0.3) else name
    return spoken_value(draw, kind, getattr(scene, name))


def may_stand_beside(draw: SceneSampler, scene: Scene, modality: str) -> bool:
    """True for a scene that may stand beside one of the split; a held-out one has few like it."""
    return draw.unseen or draw.in_split(scene, (modality,))


def usual_noun(thing: str) -> str:
    return NOUNS.get(thing, thing)


def things_with_value(
    draw: SceneSampler, modalities: list[str], name: str, shared: bool
) -> list[Item]:
    """Items of different things that all state an attribute; none where the split has none."""
    for _ in range(80):
        scenes = [draw.sample((modality,)) for modality in modalities]
        things = {scene.thing for scene in scenes}
        if shared:
            scenes = [s.replace(**{name: getattr(scenes[0], name)}) for s in scenes]
        values = {getattr(scene, name) for scene in scenes}
        several = len(values) == (1 if shared else min(len(scenes), len(VALUES[name])))
        fits = all(
            name in scene.observable(modality) and draw.in_split(scene, (modality,))
            for scene, modality in zip(scenes, modalities, strict=True)
        )
        if len(things) == len(scenes) and several and fits:
            break
    else:
        return []
    told = (name, "motion") if name == "tempo" else (name,)
    items = [
        Item(m, *state_scene(draw, s, m, told)) for s, m in zip(scenes, modalities, strict=True)
    ]
    for item in items:
        for other in [n for n in item.stated if n not in ("thing", name)]:
            if draw.chance(0.6) and other != "motion":
                usual = item.scene.replace(**{other: default_value(item.scene, other)})
                if draw.in_split(usual, (item.modality,)):
                    item.scene = usual
                    del item.stated[other]
    return items


def add_values_apart(builder: DialogueBuilder) -> None:
    """Several things, then the value of each, or one for all: "a ball and a bell, both red"."""
    draw = builder.scenes
    count, shared = draw.choice((2, 2, 2, 3)), draw.chance(0.4)
    if draw.chance(0.7):
        modalities = [draw.choice(("image", "audio", "video"))] * count
    else:
        modalities = draw.choice(
            (["image", "video"], ["video", "image"], ["image", "audio"], ["audio", "video"])
        )
    alike = len(set(modalities)) == 1
    names = [n for n in VARIED[modalities[0]] if all(n in OBSERVABLE[m] for m in modalities)]
    name = draw.choice(names)
    items = things_with_value(draw, modalities, name, shared)
    if not items:
        return add_frame(builder)
    count = len(items)
    words: dict[str, str] = {}
    phrases = []
    for place, item in enumerate(items, start=1):
        hidden = (name, "tempo") if name == "motion" else (name,)
        rest = {key: value for key, value in item.stated.items() if key not in hidden}
        thing = Item(item.modality, item.scene, rest)
        if name == "motion" and "tempo" in item.stated:  # a pace without its movement is unclear
            item.scene = item.scene.replace(tempo=default_value(item.scene, "tempo"))
        phrase = FrameWords(draw, [thing], {})
        phrases.append(phrase["x1"] if alike else phrase["np1"])
        words |= {
            f"t{place}": phrases[-1],
            f"T{place}": usual_noun(item.scene.thing),
            f"w{place}": value_word(draw, item.modality, name, item.scene),
        }
    if shared:
        last = draw.choice((" and ", " and ", ", ", " plus "))
        words["tl"] = f"{', '.join(phrases[:-1])}{last}{phrases[-1]}"
        words |= {"both": "both" if count == 2 else "all", "W": words["w1"]}
    symbol = ("shared" if shared else f"each{count}") + (":motion" if name == "motion" else "")
    while True:
        text = _RULES.expand(draw, symbol, words)
        if all(phrase in text for phrase in phrases) or (alike and _made_plain(draw, items, name)):
            break
    if alike:
        words = modality_words(draw, modalities[0], count) | {"l": text}
        text = _RULES.expand(draw, "spread", words)
    elif text.startswith(phrases[0]) and shared and draw.chance(0.4):
        text = f"{_RULES.expand(draw, 'i_want')} {text}"
    add_items(builder, text, items)


def _made_plain(draw: SceneSampler, items: list[Item], name: str) -> bool:
    """True where items can have defaults in all but their thing and an attribute; then they do."""
    plain = []
    for item in items:
        scene = item.scene
        for other in [n for n in ("color", "size", "motion", "tempo") if n != name]:
            scene = scene.replace(**{other: default_value(scene, other)})
        plain.append(scene)
    if not all(may_stand_beside(draw, s, i.modality) for s, i in zip(plain, items, strict=True)):
        return False
    for item, scene in zip(items, plain, strict=True):
        item.scene = scene
    return True


def add_versions(builder: DialogueBuilder) -> None:
    """One thing with several values of an attribute: "two balls, one red, one blue, both big"."""
    draw = builder.scenes
    modality = draw.choice(("image", "audio", "video"))
    name = draw.choice(VARIED[modality])
    while True:
        scene, stated = state_scene(draw, draw.sample((modality,)), modality, (name,))
        scenes = [scene.replace(**{name: value}) for value in draw.shuffled(VALUES[name])]
        scenes = [each for each in scenes if may_stand_beside(draw, each, modality)]
        if len(scenes) > 1 and name in stated:
            break
    scenes = scenes[: draw.choice((2, 2, 3))]
    count = len(scenes)
    del stated[name]
    if name == "motion":
        stated.pop("tempo", None)
        scenes = [each.replace(tempo=default_value(each, "tempo")) for each in scenes]
    values = [value_word(draw, modality, name, each) for each in scenes]
    # A movement stands behind the noun, where the values go, so it comes behind them.
    tail = next(
        (
            n
            for n in ("motion", "size", "color")
            if n in stated and (n == "motion" or draw.chance(0.5))
        ),
        "",
    )
    shared = ""
    if tail == "motion":
        shared = spoken_motion(draw, scene.motion, stated.pop("tempo", None))
    elif tail:
        shared = value_word(draw, modality, tail, scene)
    told = {key: value for key, value in stated.items() if key != tail}
    noun = usual_noun(scene.thing)
    adjectives = [
        spoken_value(draw, key, told[key])
        for key in draw.shuffled(("tempo", "size", "color"))
        if key in told
    ]
    bare = " ".join((*adjectives, noun))
    words = modality_words(draw, modality, count) | {
        "t": item_phrase(draw, modality, told), "wa": _listed(values), "ws": ", ".join(values),
        "T": bare, "Ts": f"{bare}s", "W": shared, "both": "both" if count == 2 else "all",
        "wo": f"{values[0]}, then {', then '.join(values[1:])}",
        **{f"w{place}": value for place, value in enumerate(values, start=1)},
    }  # fmt: skip
    symbol = "colors" if name == "color" and draw.chance(0.3) else f"versions{count}"
    text = _RULES.expand(draw, symbol + (":motion" if name == "motion" else ""), words)
    if tail:
        text += draw.choice(SHARED_TAIL).replace("{W}", shared).replace("{both}", words["both"])
    text = _RULES.expand(draw, "spread", words | {"l": text})
    add_items(builder, text, [Item(modality, each, {}) for each in scenes])


def _listed(values: list[str]) -> str:
    return f"{', '.join(values[:-1])} and {values[-1]}"


def add_copies(builder: DialogueBuilder) -> None:
    """The same medium two or three times."""
    draw = builder.scenes
    modality, count = draw.choice(("image", "audio", "video")), draw.choice((2, 2, 3))
    scene, stated = state_scene(draw, draw.sample((modality,)), modality)
    item = FrameWords(draw, [Item(modality, scene, stated)], {})
    words = modality_words(draw, modality, count) | {
        "x": item["x1"], "X": item["X1"], "Ts": f"{usual_noun(scene.thing)}s", "d": str(count),
        "c": draw.choice(NUMBERS[count][:3]), "times": draw.choice(TIMES[count]),
    }  # fmt: skip
    text = _RULES.expand(draw, "copies2" if count == 2 and draw.chance(0.6) else "copies", words)
    add_items(builder, text, [Item(modality, scene, {})] * count)
