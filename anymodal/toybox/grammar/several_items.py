"""Items of a request for several media: their stated attributes, and the words of their frames."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from anymodal.toybox.grammar.item_phrases import item_phrase, value_fields
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
