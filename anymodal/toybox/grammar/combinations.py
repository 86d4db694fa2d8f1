"""Requests that take something of several items at hand: mixtures, likeness, new things."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.combination_follow_ups import TakingOver, add_follow_up
from anymodal.toybox.grammar.combination_words import (
    Taken,
    clause,
    field_value,
    fields,
    item_name,
    properties_of,
    property_names,
    single,
    thing_of,
    whole_names,
)
from anymodal.toybox.grammar.people_phrases import spoken_motion, spoken_phrase, spoken_value
from anymodal.toybox.grammar.people_requests import RULES
from anymodal.toybox.grammar.phrases.combinations import REQUESTS
from anymodal.toybox.grammar.rules import Rules
from anymodal.toybox.grammar.scenes import MOVING, SceneSampler
from anymodal.toybox.grammar.several import slots_noun
from anymodal.toybox.grammar.swaps import add_swap
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.scene import DEFAULT_COLOR, DEFAULTS, OBSERVABLE, VALUES, Scene

_REQUESTS = Rules(REQUESTS)
_TAKEN = ("color", "size", "motion", "tempo")


def add_combination(
    builder: DialogueBuilder, pool: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add a request that takes something of items of a pool; False where there is none.

    Args:
        builder: the conversation.
        pool: the items that may be named, all those that names must tell apart.
        media: shown with the request; then they are the pool.
    """
    choice = builder.scenes.rng.random()
    if choice < 0.2 and len(pool) > 1 and add_swap(builder, pool, media):
        return True
    add = _add_new_thing if len(pool) == 1 or choice > 0.7 else _add_taking
    return any(add(builder, pool, media) for _ in range(4))


def _take(
    draw: SceneSampler, values: dict[str, str], target: str, sources: Sequence[Entry], timed: bool
) -> list[tuple[Entry, tuple[str, ...]]] | None:
    """Choose attributes of one or two sources, and put them into the values.

    Args:
        draw: random draws.
        values: of the scene in the making; they are changed.
        target: the modality that will show it.
        sources: where attributes may come from.
        timed: whether the scene has a tempo of its own.
    """
    taken: list[tuple[Entry, tuple[str, ...]]] = []
    used: set[str] = set()
    limit = 2 if draw.chance(0.35) else 1
    for source in draw.shuffled(sources)[:limit]:
        shown = source.item.attributes
        names = [n for n in _TAKEN if n in shown and n in OBSERVABLE[target] and n not in used]
        names = [n for n in names if (n, shown[n]) != ("motion", "still")]
        chosen = set(draw.shuffled(names)[: draw.choice((1, 1, 1, 2, 2, 3))])
        if "motion" in chosen and "tempo" in names and draw.chance(0.5):
            chosen.add("tempo")
        if not chosen or all(values[name] == shown[name] for name in chosen):
            continue
        used |= chosen
        values |= {name: shown[name] for name in chosen}
        taken.append((source, tuple(name for name in _TAKEN if name in chosen)))
    for source, chosen_names in taken:
        # What moves like another without a pace of its own takes that too.
        if "motion" in chosen_names and "tempo" not in used and not timed:
            values["tempo"] = source.item.attributes["tempo"]
    return taken or None


def _state(
    draw: SceneSampler, values: dict[str, str], target: str, used: set[str], share: float
) -> dict[str, str]:
    """Choose attributes that the words state beside, and put them into the values."""
    stated = {}
    free = [name for name in _TAKEN if name in OBSERVABLE[target] and name not in used]
    if "motion" in free and values["motion"] == "still" and ("tempo" in used or draw.chance(0.6)):
        stated["motion"] = draw.choice(MOVING)
    elif free and draw.chance(share):
        name = draw.choice(free)
        still = values["motion"] == "still" and target == "video"
        if not (name == "tempo" and still):
            options = MOVING if name == "motion" else VALUES[name]
            stated[name] = draw.choice([v for v in options if v != values[name]])
    values |= stated
    return stated


def _stated_words(draw: SceneSampler, name: str, value: str, target: str) -> str:
    if name == "motion":
        return spoken_motion(draw, value)
    kind = "pitch" if name == "size" and target == "audio" and draw.chance(0.5) else name
    return spoken_value(draw, kind, value)


def _with_stated(draw: SceneSampler, text: str, stated: dict[str, str], target: str) -> str:
    """A request with values stated behind it."""
    for name, value in stated.items():
        words = _stated_words(draw, name, value, target)
        symbol = "extra_go" if name == "motion" else "extra"
        text = f"{text.rstrip('?.')} {_REQUESTS.expand(draw, symbol, {'e': words})}"
    return text


def _words(draw: SceneSampler, takens: Sequence[Taken], target: str) -> dict[str, str]:
    """The slots of requests that what is taken fills."""
    noun = slots_noun(draw, target)
    return {
        "bp": properties_of(draw, takens, target),
        "k": clause(draw, takens, target),
        "p": property_names(draw, takens[0], target),
        "p1": takens[0].names[0],
        "b": takens[0].phrase,
        "v": RULES[target].expand(draw, "v"),
        "n": noun,
        "an": f"a {noun}",
    }


def _say(builder: DialogueBuilder, text: str, media: Sequence[MediaItem]) -> None:
    """Add a request with what people say before and behind it."""
    draw = builder.scenes
    lead, tail = _REQUESTS.expand(draw, "lead"), _REQUESTS.expand(draw, "please")
    text = text if text.startswith(("now", "and", "next", "then", "also")) else f"{lead} {text}"
    if tail and text[-1] not in "?.!" and "please" not in text:
        text = f"{text}{draw.choice((' ', ', '))}{tail}"
    builder.add_typed(text.strip().replace(" ~ ", "\n"), media)


def _add_taking(
    builder: DialogueBuilder, pool: Sequence[Entry], media: Sequence[MediaItem]
) -> bool:
    """An item made after one, with attributes of others, perhaps in another modality."""
    draw = builder.scenes
    bases = [entry for entry in pool if "thing" in entry.item.attributes]
    if not bases:
        return False
    base = draw.choice(bases)
    shown, own = base.item.attributes, base.item.modality
    others = [entry for entry in pool if entry != base and entry.item.attributes]
    target = own if draw.chance(0.6) else draw.choice(GENERATED)
    if own == "image" and draw.chance(0.5) and any("motion" in e.item.attributes for e in others):
        target = "video"
    thing = shown["thing"]
    values = {**DEFAULTS, "color": DEFAULT_COLOR[thing], **shown}
    donors = [entry for entry in others if entry.item.attributes.get("thing", thing) != thing]
    is_thing = bool(donors) and target == own and draw.chance(0.08)
    if is_thing:
        donor = draw.choice(donors)
        chosen: list[tuple[Entry, tuple[str, ...]]] | None = [(donor, ("thing",))]
        values["thing"] = donor.item.attributes["thing"]
    else:
        chosen = _take(draw, values, target, others, "tempo" in shown and target == own)
    if chosen is None:
        return False
    used = {name for _, names in chosen for name in names}
    if own == "audio" and target == "video" and "motion" in used and "tempo" not in used:
        return False  # of the sound's pace and the movement's, which one?
    stated = {} if is_thing else _state(draw, values, target, used, 0.2)
    scene = Scene(**values)
    if not draw.may_show(scene, target):
        return False
    given = bool(media)
    takens = [Taken(e, item_name(builder, e, pool, given), names) for e, names in chosen]
    phrase = item_name(builder, base, pool, given)
    if len({phrase, *(taken.phrase for taken in takens)}) <= len(takens):
        return False
    if is_thing:
        slots = _thing_words(draw, takens[0], target) | {"a": phrase}
        text = _REQUESTS.expand(draw, draw.choice(("edit", "edit_one")), slots)
    else:
        text = _taking_text(draw, base, phrase, pool, takens, target, stated)
    _say(builder, text, media)
    is_edit = target == own
    builder.add_media_reply([draw.media_item(scene, target)], is_edit=is_edit, source=base)
    if len(takens) == 1 and not stated and not is_thing and draw.chance(0.25):
        others = [entry for entry in others if entry != takens[0].source]
        add_follow_up(builder, TakingOver(base, phrase, takens[0], others, pool))
    return True


def _thing_words(draw: SceneSampler, taken: Taken, target: str) -> dict[str, str]:
    return {
        "bp": properties_of(draw, (taken,), target),
        "p": property_names(draw, taken, target),
        "p1": "thing",
        "b": taken.phrase,
    }


def _taking_text(
    draw: SceneSampler,
    base: Entry,
    phrase: str,
    pool: Sequence[Entry],
    takens: Sequence[Taken],
    target: str,
    stated: dict[str, str],
) -> str:
    """A request for an item with attributes of others."""
    thing = thing_of(draw, base, phrase, pool)
    slots = {**_words(draw, takens, target), "a": phrase, "t": thing}
    if draw.chance(0.15):
        beside = [
            field_value(draw, n, _stated_words(draw, n, v, target)) for n, v in stated.items()
        ]
        slots["f"] = fields(draw, thing, takens, target, beside)
        return _REQUESTS.expand(draw, _fields_symbol(base, takens, target), slots)
    symbol = draw.choice(_symbols(base, takens, target))
    if symbol.endswith("_go"):
        slots["g"] = single(draw, "g", "motion", takens[0], target)
    elif symbol == "edit_be":
        slots["r"] = single(draw, "r", takens[0].names[0], takens[0], target)
    return _with_stated(draw, _REQUESTS.expand(draw, symbol, slots), stated, target)


def _fields_symbol(base: Entry, takens: Sequence[Taken], target: str) -> str:
    same = all(entry.item.modality == target for entry in (base, *(t.source for t in takens)))
    return "fields_bare" if same else "fields"


def _symbols(base: Entry, takens: Sequence[Taken], target: str) -> tuple[str, ...]:
    """The rules that such a request may follow."""
    same, one = base.item.modality == target, len(takens) == 1
    moves = one and whole_names(takens[0]) == "moving" and target == "video"
    if not same:
        # What moves is a video, so that words for a movement need no other.
        return ("make", "make", "make_clause", *(("make_go",) * 2 if moves else ()))
    if one and len(takens[0].names) == 1 and takens[0].names[0] != "motion":
        return ("edit", "edit_one", "edit_clause", "edit_be", "make")
    if moves:
        return ("edit", "edit_one", "edit_clause", "edit_go", "edit_go", "make_go")
    if one:
        return ("edit", "edit_one", "edit_one", "edit_clause", "edit_clause", "make_clause")
    return ("edit", "edit", "edit_clause", "make", "make_clause")


def _add_new_thing(
    builder: DialogueBuilder, pool: Sequence[Entry], media: Sequence[MediaItem]
) -> bool:
    """A thing that the words name, with attributes of items."""
    draw = builder.scenes
    sources = [entry for entry in pool if entry.item.attributes]
    if not sources:
        return False
    first = draw.choice(sources).item.modality
    moves = first == "imu" and draw.chance(0.8)
    target = "video" if moves else draw.choice((*GENERATED, *(first,) * 2))
    target = target if target in GENERATED else "video"
    thing = draw.choice(VALUES["thing"])
    values = {**DEFAULTS, "thing": thing, "color": DEFAULT_COLOR[thing]}
    chosen = _take(draw, values, target, sources, False)
    if chosen is None:
        return False
    used = {name for _, names in chosen for name in names}
    stated = _state(draw, values, target, used, 0.35)
    scene = Scene(**values)
    if not draw.may_show(scene, target):
        return False
    given = bool(media)
    takens = [Taken(e, item_name(builder, e, pool, given), names) for e, names in chosen]
    said = {"thing": thing}
    for name in ("color", "size"):
        if name in stated and draw.chance(0.5):
            said[name] = stated.pop(name)
    x = f"a {spoken_phrase(draw, target, said, bare=True)}"
    slots = {**_words(draw, takens, target), "x": x}
    bare = all(taken.source.item.modality == target for taken in takens) and draw.chance(0.4)
    text = _REQUESTS.expand(draw, "new_bare" if bare else "new", slots)
    _say(builder, _with_stated(draw, text, stated, target), media)
    builder.add_media_reply([draw.media_item(scene, target)])
    return True
