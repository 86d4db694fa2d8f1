"""Phrases of an item in a request for several media: attributes around the noun, or listed."""

from __future__ import annotations

from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_value,
)
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.words import Draw

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
