"""Requests for several media that share a thing or an attribute, or that refer to one another."""

from __future__ import annotations

import re

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.people_phrases import spoken_motion, spoken_value
from anymodal.toybox.grammar.phrases.attributes import NOUNS, Words
from anymodal.toybox.grammar.phrases.several import NUMBERS, ONE_OF, TIMES
from anymodal.toybox.grammar.phrases.several_frames import WORDS
from anymodal.toybox.grammar.phrases.several_shared import (
    BOTH,
    BOTH_SENSES,
    COPIES_MORE,
    COPIES_TWO,
    EACH_PAIR,
    EACH_TRIPLE,
    IN_COLORS,
    LIKE_FIRST,
    ONE_THING,
    ONE_THING_THREE,
    PACED_IT,
    SAME_BUT,
    SAME_THING,
    SHARED_TAIL,
    SPREAD,
    VERSIONS_PAIR,
    VERSIONS_TRIPLE,
)
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import SceneSampler, default_value
from anymodal.toybox.grammar.several_frames import (
    add_frame,
    add_items,
    expand_frame,
    modality_words,
)
from anymodal.toybox.grammar.several_items import (
    FrameWords,
    Item,
    item_phrase,
    sample_modalities,
    state_scene,
)
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
    "copies2": (*COPIES_MORE, *COPIES_TWO), "one2": ONE_THING, "one3": ONE_THING_THREE,
    "paced": PACED_IT,
    **{f"{symbol}:motion": _behind_only(options) for symbol, options in _TABLES.items()},
})  # fmt: skip
_SENSES = {pair: Rules({"s": options}) for pair, options in BOTH_SENSES.items()}
_VARIED = {"image": ("color", "color", "size"), "audio": ("size", "tempo"),
           "video": ("color", "color", "size", "motion", "motion")}  # fmt: skip


def _value(draw: Draw, modality: str, name: str, scene: Scene) -> str:
    """The word for a value of a scene, as it follows "it is"."""
    if name == "motion":
        return spoken_motion(draw, scene.motion)
    kind = "pitch" if name == "size" and modality == "audio" and draw.chance(0.3) else name
    return spoken_value(draw, kind, getattr(scene, name))


def _allowed(draw: SceneSampler, scene: Scene, modality: str) -> bool:
    """Whether a scene may stand beside one of the split; a held-out one has few like it."""
    return draw.unseen or draw.in_split(scene, (modality,))


def _noun(thing: str) -> str:
    return NOUNS.get(thing, thing)


def _several_things(
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
    names = [n for n in _VARIED[modalities[0]] if all(n in OBSERVABLE[m] for m in modalities)]
    name = draw.choice(names)
    items = _several_things(draw, modalities, name, shared)
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
            f"T{place}": _noun(item.scene.thing),
            f"w{place}": _value(draw, item.modality, name, item.scene),
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
    """Whether items can have the defaults in all but their thing and an attribute; then they do."""
    plain = []
    for item in items:
        scene = item.scene
        for other in [n for n in ("color", "size", "motion", "tempo") if n != name]:
            scene = scene.replace(**{other: default_value(scene, other)})
        plain.append(scene)
    if not all(_allowed(draw, s, i.modality) for s, i in zip(plain, items, strict=True)):
        return False
    for item, scene in zip(items, plain, strict=True):
        item.scene = scene
    return True


def add_versions(builder: DialogueBuilder) -> None:
    """One thing with several values of an attribute: "two balls, one red, one blue, both big"."""
    draw = builder.scenes
    modality = draw.choice(("image", "audio", "video"))
    name = draw.choice(_VARIED[modality])
    while True:
        scene, stated = state_scene(draw, draw.sample((modality,)), modality, (name,))
        scenes = [scene.replace(**{name: value}) for value in draw.shuffled(VALUES[name])]
        scenes = [each for each in scenes if _allowed(draw, each, modality)]
        if len(scenes) > 1 and name in stated:
            break
    scenes = scenes[: draw.choice((2, 2, 3))]
    count = len(scenes)
    del stated[name]
    if name == "motion":
        stated.pop("tempo", None)
        scenes = [each.replace(tempo=default_value(each, "tempo")) for each in scenes]
    values = [_value(draw, modality, name, each) for each in scenes]
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
        shared = _value(draw, modality, tail, scene)
    told = {key: value for key, value in stated.items() if key != tail}
    noun = _noun(scene.thing)
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
        "x": item["x1"], "X": item["X1"], "Ts": f"{_noun(scene.thing)}s", "d": str(count),
        "c": draw.choice(NUMBERS[count][:3]), "times": draw.choice(TIMES[count]),
    }  # fmt: skip
    text = _RULES.expand(draw, "copies2" if count == 2 and draw.chance(0.6) else "copies", words)
    add_items(builder, text, [Item(modality, scene, {})] * count)


def add_one_thing(builder: DialogueBuilder) -> None:
    """One thing in several modalities, by verbs and pronouns: "draw a bee and let me hear it"."""
    draw = builder.scenes
    order = draw.shuffled(("image", "audio", "video"))[: draw.choice((2, 2, 2, 3))]
    scene, stated = _scene_in(draw, order)
    items = [Item(modality, scene, stated) for modality in order]
    pair = (order[0], order[1])
    widest = next(modality for modality in ("video", "image", "audio") if modality in order)
    told = [Item(widest, scene, stated)]
    x = FrameWords(draw, told, {}, commas=draw.chance(0.25))
    words = {"x": x["x1"], "X": x["X1"], "f": x["f1"]}
    words |= {f"n{place}i": draw.choice(ONE_OF[m]) for place, m in enumerate(order, start=1)}
    if len(order) == 2 and draw.chance(0.2):
        text = _SENSES[pair].expand(draw, "s", words)
    else:
        # What is said of the thing first is said of it in all media.
        for place, item in enumerate(items):
            item.words.update(words if place == 0 else {})
        frame = FrameWords(draw, items, words)
        text = _RULES.expand(draw, f"one{len(order)}", frame)
    add_items(builder, text, items)


def _scene_in(draw: SceneSampler, order: list[str]) -> tuple[Scene, dict[str, str]]:
    """A scene that every modality of some can show, and what is stated of it."""
    widest = next(modality for modality in ("video", "image", "audio") if modality in order)
    while True:
        scene, stated = state_scene(draw, draw.sample(order), widest)
        if widest == "image" and "audio" in order and draw.chance(0.25):
            stated["tempo"] = scene.tempo
        elif "tempo" not in stated:
            scene = scene.replace(tempo=default_value(scene, "tempo"))
        if draw.in_split(scene, order):
            return scene, stated


def add_like_first(builder: DialogueBuilder) -> None:
    """Two media, the second told by the first: "in the same colour", "the same but small"."""
    draw = builder.scenes
    if draw.chance(0.5):
        items = _same_value(draw)
    elif draw.chance(0.5):
        items = _same_but(draw)
    else:
        items = _same_thing(draw)
    add_items(builder, expand_frame(draw, "pair", items, {}, draw.chance(0.2)), items)


def _same_value(draw: SceneSampler) -> list[Item]:
    """Two things, the second with a value of the first."""
    options = (
        ("image", "image"),
        ("image", "video"),
        ("video", "image"),
        ("video", "video"),
        ("audio", "audio"),
    )
    modalities = draw.choice(options)
    names = [n for n in _VARIED[modalities[0]] if n in OBSERVABLE[modalities[1]]]
    name = draw.choice(names)
    items = _several_things(draw, list(modalities), name, True)
    if not items:
        return _same_but(draw)
    first, second = items
    rest = {key: value for key, value in second.stated.items() if key != name}
    if second.modality == "video":
        rest.pop("tempo", None)
        other = first.scene if name == "motion" else None
        tempo = other.tempo if other else default_value(second.scene, "tempo")
        second.scene = second.scene.replace(tempo=tempo)
    word = _value(draw, second.modality, name, first.scene)
    x = item_phrase(draw, second.modality, {k: v for k, v in rest.items() if k != "motion"})
    template = draw.choice(LIKE_FIRST[name]).replace("{w}", word)
    text = template.replace("{t}", x)
    if "motion" in rest and name != "motion":
        text += f", {spoken_motion(draw, rest['motion'])}"
    second.words = _as_words(text)
    return [first, second]


def _as_words(text: str) -> dict[str, str]:
    """A phrase in all forms that frames ask for."""
    bare = re.sub(r"^(a|an|the|one|some) ", "", text)
    return {"x": text, "X": bare, "f": bare, "voice": f"the sound of {text}"}


def _same_but(draw: SceneSampler) -> list[Item]:
    """A medium, and the same with another value."""
    modality = draw.choice(("image", "audio", "video"))
    name = draw.choice(_VARIED[modality])
    while True:
        scene, stated = state_scene(draw, draw.sample((modality,)), modality, (name,))
        options = [scene.replace(**{name: v}) for v in VALUES[name] if v != getattr(scene, name)]
        options = [each for each in options if _allowed(draw, each, modality)]
        if options:
            break
    other = draw.choice(options)
    if name == "motion" and scene.motion == "still":
        other = other.replace(tempo=default_value(other, "tempo"))
    word = _value(draw, modality, name, other)
    text = draw.choice(SAME_BUT).replace("{T}", _noun(scene.thing)).replace("{w}", word)
    return [Item(modality, scene, stated), Item(modality, other, {}, _as_words(text))]


def _same_thing(draw: SceneSampler) -> list[Item]:
    """A thing, and the same in another modality."""
    while True:
        order = sample_modalities(draw, 2, 0.0)
        scene, stated = _scene_in(draw, order[:1])
        second = scene
        tail = ""
        if order[1] == "video":
            second = scene.replace(motion=draw.choice(VALUES["motion"]))
            tail = f" {spoken_motion(draw, second.motion)}"
            second = second.replace(tempo=default_value(scene, "tempo"))
        elif order[1] == "audio":
            second = scene.replace(tempo=draw.choice(VALUES["tempo"]))
            tail = draw.choice((", {w}", " ({w})", " at a {w} pace")).replace(
                "{w}", spoken_value(draw, "tempo", second.tempo)
            )
        if order[0] == "audio":
            second = second.replace(color=default_value(second, "color"))
        if _allowed(draw, second, order[1]):
            break
    text = draw.choice(SAME_THING).replace("{T}", _noun(scene.thing)) + tail
    return [
        Item(order[0], scene, stated),
        Item(order[1], second, {"thing": scene.thing}, _as_words(text)),
    ]


def add_paced(builder: DialogueBuilder) -> None:
    """Attributes for the second medium alone: "draw a red ball and play it slowly"."""
    draw = builder.scenes
    first, second = draw.choice(
        (("image", "audio"), ("image", "video"), ("audio", "video"), ("video", "audio"))
    )
    while True:
        scene, stated = state_scene(draw, draw.sample((first,)), first, ())
        if first == "audio":
            scene = scene.replace(color=default_value(scene, "color"), tempo="slow")
            stated.pop("tempo", None)
        sampled = draw.sample((second,), moves=True)
        if second == "video":
            slow = draw.chance(0.6)
            other = scene.replace(motion=sampled.motion, tempo="slow" if slow else sampled.tempo)
            go = spoken_motion(draw, other.motion, None if slow else other.tempo)
        else:
            other = scene.replace(tempo=sampled.tempo)
            go = spoken_value(draw, "adverb", other.tempo)
        if _allowed(draw, scene, first) and _allowed(draw, other, second):
            break
    items = [Item(first, scene, stated), Item(second, other, {})]
    add_items(builder, _RULES.expand(draw, "paced", FrameWords(draw, items, {"go": go})), items)
