"""Items of a request for several media: what is stated of each, and the words that bind it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_value,
)
from anymodal.toybox.grammar.phrases.several import BARE_NOUNS
from anymodal.toybox.grammar.phrases.several_clauses import CLAUSES, VOICE_NOUNS
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler, default_value
from anymodal.toybox.grammar.words import Draw
from anymodal.toybox.scene import VALUES, Scene

CLAUSE_RULES = {modality: Rules(words) for modality, words in CLAUSES.items()}
NO_REFERENCE = "\0"
"""Stands where an item can't be told from the others in a few words."""

_OMITTED = {"color": 0.12, "size": 0.72, "motion": 0.08, "tempo": 0.75}
_OMITTED_OF_SOUND = {"size": 0.5, "tempo": 0.5}
_ARTICLES = ("a",) * 16 + ("the", "the", "one", "")
_SHORT_MOTIONS: dict[str, tuple[str, ...]] = {
    "left": ("left", "to the left", "goes left"), "right": ("right", "to the right", "goes right"),
    "up": ("up", "upwards", "goes up"), "down": ("down", "downwards", "goes down"),
    "toward": ("closer", "coming closer", "toward us"), "shake": ("shake", "shaking", "shakes"),
    "bounce": ("bounce", "bouncing", "bounces"), "still": ("still", "not moving", "standing still"),
}  # fmt: skip
_BEHIND = ("{w}", "that is {w}", "which is {w}", "that's {w}", "({w})", "that should be {w}")
_BEHIND_LOOSE = (
    ", {w},",
    ", a {w} one,",
    ", and {w},",
    " - {w}",
    ", which is {w},",
    ", {w} please,",
)
_COLOR_BEHIND = (
    "in {w}",
    "in {w}",
    "coloured {w}",
    "with the colour {w}",
    "painted {w}",
    "of {w} colour",
    "whose colour is {w}",
)
_TEMPO_BEHIND = ("at a {w} pace", "with a {w} beat", "with a {w} rhythm")
_MOTION_BEHIND = (
    "{ing}",
    "{ing}",
    "{ing}",
    "that is {ing}",
    "which is {ing}",
    "that should {inf}",
    "that will {inf}",
    "as it is {ing}",
    "({ing})",
)
_LABELS = {"thing": ("thing", "what", "object"), "color": ("colour", "color"), "size": ("size",),
           "motion": ("motion", "movement", "does"),
           "tempo": ("tempo", "speed", "pace")}  # fmt: skip
_FORMS = frozenset((*CLAUSES["image"], "x", "X", "f", "m", "ref"))
_ENDS = re.compile(r",\s*(?=[/|;)\]+>¶.!?:]|$)|(?<=[?!])\.(?=\s|$)")
_BREAKS = re.compile(r"[ ,]*¶ *")


@dataclass
class Item:
    """A medium asked for: its scene, what is stated of it, and words for it instead of those.

    Args:
        modality: of the medium.
        scene: what it shows.
        stated: the attributes that its words state.
        words: its phrases, where they refer to another item.
    """

    modality: str
    scene: Scene
    stated: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)


def state_scene(
    draw: SceneSampler, scene: Scene, modality: str, names: Collection[str] = ()
) -> tuple[Scene, dict[str, str]]:
    """A scene with defaults where a request is silent, and what it states: always some names."""
    omitted = _OMITTED_OF_SOUND if modality == "audio" else _OMITTED
    sparse = draw.chance(0.75)
    stated = {"thing": scene.thing}
    for name in VALUES:
        if name == "thing" or name not in scene.observable(modality):
            continue
        if name not in names and draw.chance(omitted[name] if sparse else 0.2):
            candidate = scene.replace(**{name: default_value(scene, name)})
            if draw.in_split(candidate, (modality,)):
                scene = candidate
                continue
        stated[name] = getattr(scene, name)
    return scene, stated


def sample_items(draw: SceneSampler, modalities: Sequence[str]) -> list[Item]:
    """Items of some modalities that often share a thing or a value, and differ in others."""
    shared = draw.choice(
        ((), (), (), ("thing",), ("thing",), ("color",), ("size", "tempo"), ("motion", "color"))
    )
    items: list[Item] = []
    first: Scene | None = None
    for modality in modalities:
        for _ in range(40):
            scene = draw.sample((modality,))
            if first is not None and shared:
                scene = scene.replace(**{name: getattr(first, name) for name in shared})
                if not draw.in_split(scene, (modality,)):
                    continue
            item = Item(modality, *state_scene(draw, scene, modality, shared))
            if all((item.modality, item.stated) != (i.modality, i.stated) for i in items):
                break
        items.append(item)
        first = first or item.scene
    return items


def sample_modalities(draw: Draw, count: int, alike: float = 0.45) -> list[str]:
    """Modalities of some items: one for all, or several."""
    kinds = ("image", "audio", "video")
    if draw.chance(alike):
        return [draw.choice(kinds)] * count
    if count == 2 or (count == 3 and draw.chance(0.6)):
        return draw.shuffled(kinds)[:count]
    return [draw.choice(kinds) for _ in range(count)]


def item_phrase(
    draw: Draw,
    modality: str,
    stated: dict[str, str],
    *,
    bare: bool = False,
    commas: bool = False,
) -> str:
    """A noun phrase of an item, whose attributes stand before it or behind it in many ways.

    Args:
        draw: random draws.
        modality: of the item.
        stated: what to say of it.
        bare: no article.
        commas: parts may stand between commas.
    """
    noun = spoken_value(draw, "thing", stated["thing"])
    article = "" if bare else draw.choice(_ARTICLES)
    if stated["thing"] == "rain" and draw.chance(0.55):
        noun, article = "rain", "" if bare else draw.choice(("", "", "the", "some"))
    before: list[str] = []
    behind: list[str] = []
    for name in ("tempo", "size", "color"):
        if name not in stated or (name == "tempo" and "motion" in stated):
            continue
        kind = "pitch" if name == "size" and modality == "audio" and draw.chance(0.45) else name
        word = spoken_value(draw, kind, stated[name])
        if bare or draw.chance(0.62):
            before.append(word)
        else:
            behind.append(_behind(draw, kind, word, commas))
    if len(before) > 1 and draw.chance(0.2):
        before.reverse()
    if "motion" in stated:
        behind.append(_moving(draw, stated, bare))
    if len(behind) > 1 and "motion" not in stated and draw.chance(0.5):
        behind.reverse()
    return tidy(" ".join((article, *before, noun, *behind)))


def _behind(draw: Draw, name: str, word: str, commas: bool) -> str:
    if commas and draw.chance(0.6):
        return draw.choice(_BEHIND_LOOSE).replace("{w}", word)
    own = {"color": _COLOR_BEHIND, "tempo": _TEMPO_BEHIND}.get(name, ())
    forms = own if own and draw.chance(0.5) else _BEHIND[1:]
    return draw.choice(forms).replace("{w}", word)


def _moving(draw: Draw, stated: dict[str, str], bare: bool) -> str:
    motion = stated["motion"]
    tempo = None if motion == "still" else stated.get("tempo")
    form = "{ing}" if bare else draw.choice(_MOTION_BEHIND)
    if "{inf}" in form:
        return form.replace("{inf}", spoken_infinitive(draw, motion, tempo))
    return form.replace("{ing}", spoken_motion(draw, motion, tempo))


def value_fields(draw: Draw, modality: str, stated: dict[str, str]) -> str:
    """The values of an item one beside the other, as "bell, red, up" or "colour: red"."""
    words = {}
    for name, value in stated.items():
        if name == "thing" and value == "rain":
            words[name] = draw.choice(("rain", "rain", "rain cloud"))
        elif name == "motion":
            words[name] = draw.choice(_SHORT_MOTIONS[value])
        else:
            kind = "pitch" if name == "size" and modality == "audio" and draw.chance(0.3) else name
            words[name] = spoken_value(draw, kind, value)
    choice = draw.rng.random()
    if choice < 0.06 and len(words) > 1:
        rows = [f"{draw.choice(_LABELS[name])} {word}" for name, word in words.items()]
        return ", ".join(draw.shuffled(rows))
    thing = words.pop("thing")
    if choice < 0.45:
        names = ("size", "color") if "motion" in words else ("tempo", "size", "color")
        adjectives = " ".join(words.pop(name) for name in names if name in words)
        head = f"{adjectives} {thing}".strip()
        return draw.choice((", ", ", ", " ")).join((head, *words.values()))
    rest = draw.shuffled(list(words.values()))
    if choice < 0.5 and rest:
        return f"{thing} ({', '.join(rest)})"
    return draw.choice((", ", ", ", " ")).join((thing, *rest))


class ItemWords(dict[str, str]):
    """The phrases of an item, each made when a rule asks for it."""

    def __init__(self, draw: Draw, item: Item, commas: bool) -> None:
        super().__init__(item.words)
        self._draw, self._item, self._commas = draw, item, commas

    def __bool__(self) -> bool:
        return True

    def __contains__(self, symbol: object) -> bool:
        return symbol in ("x", "X", "f", "voice") or super().__contains__(symbol)

    def __missing__(self, symbol: str) -> str:
        draw, modality, stated = self._draw, self._item.modality, self._item.stated
        if symbol == "f":
            text = value_fields(draw, modality, stated)
        elif symbol == "voice":
            text = draw.choice(VOICE_NOUNS[stated["thing"]]).replace("{x}", self["x"])
        else:
            bare = symbol == "X"
            text = item_phrase(draw, modality, stated, bare=bare, commas=self._commas and not bare)
        self[symbol] = text
        return text


class FrameWords(dict[str, str]):
    """The words of several items by form and place: "do1", "np2", made when a rule asks for them.

    Args:
        draw: random draws.
        items: in the order of the reply.
        words: others, by symbol.
        commas: parts of phrases may stand between commas.
    """

    def __init__(
        self, draw: Draw, items: Sequence[Item], words: dict[str, str], *, commas: bool = False
    ) -> None:
        super().__init__(words)
        self._draw, self._items = draw, items
        self._words = [ItemWords(draw, item, commas) for item in items]

    def __bool__(self) -> bool:
        return True

    def __contains__(self, symbol: object) -> bool:
        assert isinstance(symbol, str)
        return super().__contains__(symbol) or symbol[:-1] in _FORMS

    def __missing__(self, symbol: str) -> str:
        form, place = symbol[:-1], int(symbol[-1]) - 1
        text = self.of(form, place)
        self[symbol] = text
        return text

    def of(self, form: str, place: int) -> str:
        """A form of the item at a place."""
        modality = self._items[place].modality
        if form in ("x", "X", "f"):
            return self._words[place][form]
        if form == "m":
            return self._draw.choice(BARE_NOUNS[modality])
        if form == "ref":
            return _reference(self._draw, self._items, place)
        return CLAUSE_RULES[modality].expand(self._draw, form, self._words[place])


def _reference(draw: Draw, items: Sequence[Item], place: int) -> str:
    """A few words that tell an item from the others."""
    item = items[place]
    options = []
    if len({i.modality for i in items}) == len(items):
        options.append(f"the {draw.choice(BARE_NOUNS[item.modality])}")
    if len({i.scene.thing for i in items}) == len(items) and not item.words:
        options.append(f"the {item.scene.thing}")
    for name in ("color", "size"):
        values = {i.stated.get(name, "") for i in items}
        if len(values) == len(items) and "" not in values and not item.words:
            options.append(f"the {item.stated[name]} one")
    return draw.choice(options) if options else NO_REFERENCE


def finish(text: str) -> str:
    """A message without commas where something else ends, and with its line breaks."""
    return _BREAKS.sub("\n", _ENDS.sub("", tidy(text)))
