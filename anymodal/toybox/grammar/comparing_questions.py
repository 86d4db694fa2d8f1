"""Questions that compare media: which is more, what differs, what is shared, which is odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anymodal.toybox.grammar.compared import Compared, joined_values
from anymodal.toybox.grammar.inquiries import statement
from anymodal.toybox.grammar.phrases import comparisons as words_for
from anymodal.toybox.grammar.phrases.references import ORDINALS
from anymodal.toybox.grammar.words import capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES

ComparingQuestion = Callable[[Compared, list[str], list[str]], bool]
"""Adds a question about attributes that all have and those that differ; False if none fits."""
_ORDERED = ("size", "tempo")
_PLAIN = {
    ("pitch", "big"): "low", ("pitch", "small"): "high",
    ("strength", "big"): "strong", ("strength", "small"): "weak",
}  # fmt: skip


def _comparison_slots(items: Compared, name: str, value: str) -> dict[str, str]:
    """Words for more of an attribute, as they fit the modalities of the items."""
    draw = items.builder.scenes
    spoken = items.spoken(name)
    key = spoken, value
    comparative = draw.choice(words_for.COMPARATIVES[key])
    verb = draw.choice(words_for.MORE_VERBS[key]) if draw.chance(0.35) else f"is {comparative}"
    return {"c": comparative, "v": verb, "x": _PLAIN.get(key, value), "p": spoken,
            "st": draw.choice(words_for.SUPERLATIVES[key])}  # fmt: skip


def ask_which_is_more(forms: Sequence[str], superlative: bool = False) -> ComparingQuestion:
    """Questions which item has more of an attribute; of two that are equal, rarely."""

    def add(items: Compared, common: list[str], differing: list[str]) -> bool:
        draw = items.builder.scenes
        equal = not superlative and draw.chance(0.12)
        pool = [name for name in (common if equal else differing) if name in _ORDERED]
        name = draw.choice(pool) if pool else ""
        values = items.values(name) if name else []
        wanted = [value for value in dict.fromkeys(values) if values.count(value) == 1]
        if not name or not (wanted or len(items.entries) == 2):
            return False
        value = draw.choice(wanted or VALUES[name])
        items.ask(forms, name, _comparison_slots(items, name, value))
        which = items.labels[values.index(value)] if wanted else "neither"
        items.answer(name, which=which)
        return True

    return add


def ask_more_than(forms: Sequence[str]) -> ComparingQuestion:
    """Questions whether one item has more of an attribute than the other."""

    def add(items: Compared, common: list[str], differing: list[str]) -> bool:
        draw = items.builder.scenes
        pool = [name for name in differing if name in _ORDERED]
        if not pool and draw.chance(0.9):  # of what is equal the verdict is always no
            return False
        if not pool or draw.chance(0.05):
            pool = [name for name in common if name in _ORDERED]
        if not pool:
            return False
        name = draw.choice(pool)
        value = draw.choice(VALUES[name])
        is_version = forms is words_for.NOW_THAN
        slots = _comparison_slots(items, name, value)
        asked = items.ask(forms, name, slots, in_order=is_version)
        # Of versions the new one is asked about, else the one that is named first.
        first, second = reversed(asked) if is_version else asked
        has_more = first.item.attributes[name] == value != second.item.attributes[name]
        items.answer(name, "yes" if has_more else "no")
        return True

    return add


def ask_which_has(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question which item has a value that no other has."""
    draw = items.builder.scenes
    if not differing:
        return False
    name = draw.choice(differing)
    values = items.values(name)
    single = [value for value in values if values.count(value) == 1]
    if not single:
        return False
    value = draw.choice(single)
    if name == "thing":
        items.ask(words_for.FIND_THING, name, {"w": f"the {value_phrase(name, value)}"})
    else:
        items.ask(words_for.WHICH_HAS, name, {"w": value_phrase(name, value)})
    _answer_which(items, name, items.labels[values.index(value)], value)
    return True


def ask_which_moves(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question which item moves, or which doesn't."""
    values = items.values("motion") if "motion" in differing else []
    if len(values) != 2 or "still" not in values:
        return False
    resting = items.builder.scenes.chance(0.4)
    place = values.index("still") if resting else 1 - values.index("still")
    items.ask(words_for.WHICH_RESTS if resting else words_for.WHICH_MOVES, "motion")
    _answer_which(items, "motion", items.labels[place], values[place])
    return True


def _answer_which(items: Compared, name: str, label: str, value: str) -> None:
    """Add a reply that says which item has a value: "The second is red."."""
    forms = ("The {l} one is {v}.", "The {l} is {v}.", "It is the {l} one that is {v}.")
    reply = items.builder.scenes.choice(forms) if label in ORDINALS else forms[1]
    reply = reply.replace("{l}", label).replace("{v}", with_article(name, value))
    items.builder.add_reply(reply, {"which": label, name: value})


def ask_difference(forms: Sequence[str]) -> ComparingQuestion:
    """Questions what differs."""

    def add(items: Compared, common: list[str], differing: list[str]) -> bool:
        items.ask(forms)
        expected = {name: joined_values(name, items.values(name)) for name in differing}
        clauses = ". ".join(items.each(name) for name in differing)
        items.builder.add_reply(f"{capitalize(clauses or 'I see no difference')}.", expected)
        return True

    return add


def ask_same(forms: Sequence[str] | None, answer_if_same: str) -> ComparingQuestion:
    """Questions whether an attribute is the same, or whether it differs."""

    def add(items: Compared, common: list[str], differing: list[str]) -> bool:
        draw = items.builder.scenes
        same = [name for name in common if name not in differing]
        if not same and draw.chance(0.5):  # most items differ, so most verdicts would be one
            return False
        pool = (same if draw.chance(0.5) else differing) or common
        name = draw.choice(pool)
        spoken = items.spoken(name)
        own = words_for.SAME.get(spoken, ()) if forms is None else ()
        templates = forms or (own if own and draw.chance(0.5) else words_for.SAME["all"])
        items.ask(templates, name, {"p": spoken})
        opposite = {"yes": "no", "no": "yes"}[answer_if_same]
        items.answer(name, opposite if name in differing else answer_if_same)
        return True

    return add


def ask_both(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question whether both items, or one of them, have a value."""
    draw = items.builder.scenes
    same = [name for name in common if name not in differing]
    name = draw.choice((same if draw.chance(0.6) else differing) or common)
    values = items.values(name)
    value = draw.choice(values if draw.chance(0.8) else VALUES[name])
    any_of = draw.chance(0.15)
    forms = words_for.IS_ANY if any_of else words_for.ARE_BOTH
    items.ask(forms, name, {"w": with_article(name, value)})
    found = [each == value for each in values]
    items.answer(name, "yes" if (any(found) if any_of else all(found)) else "no")
    return True


def ask_common(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question what the items have in common."""
    shared = {name: items.values(name)[0] for name in common if name not in differing}
    items.ask(words_for.COMMON)
    reply = statement("in both it", shared) if shared else "They have nothing in common."
    items.builder.add_reply(reply, shared)
    return True


def ask_identical(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question whether the items are the same in everything, or in all but one attribute."""
    draw = items.builder.scenes
    names = list(common)
    if draw.chance((0.0, 0.0, 0.5, 0.85)[min(len(differing), 3)]):
        return False
    if differing and len(common) > 1 and draw.chance(0.75):
        name = draw.choice(differing)
        names.remove(name)
        items.ask(words_for.IDENTICAL_BUT, name, {"p": items.spoken(name)})
    else:
        items.ask(words_for.IDENTICAL)
    unlike = [name for name in names if name in differing]
    if unlike:
        expected = {name: joined_values(name, items.values(name)) for name in unlike}
        reply = f"{capitalize('. '.join(items.each(name) for name in unlike))}, so no."
        items.builder.add_reply(reply, {"answer": "no", **expected})
        return True
    facts = {name: items.values(name)[0] for name in names}
    reply = f"{statement('in both it', facts)[:-1]}, so yes."
    items.builder.add_reply(reply, {"answer": "yes", **facts})
    return True


def ask_values(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question for an attribute of each item, in order."""
    name = items.builder.scenes.choice(common)
    forms = words_for.VALUES_OF
    if len(items.entries) > 2:
        forms = tuple(form for form in forms if "{b}" not in form and "both" not in form)
    items.ask(forms, name, {"p": items.spoken(name)}, in_order=True)
    items.answer(name)
    return True


def ask_odd_one(items: Compared, common: list[str], differing: list[str]) -> bool:
    """A question which of three items is unlike the two others, and the values of all."""
    draw = items.builder.scenes
    names = [name for name in differing if len(set(items.values(name))) == 2]
    if not names:
        return False
    name = draw.choice(names)
    values = items.values(name)
    odd = next(place for place, value in enumerate(values) if values.count(value) == 1)
    usual = with_article(name, values[(odd + 1) % len(values)])
    if draw.chance(0.5):
        items.ask(words_for.ODD_ONE, name, {"w": usual})
    else:
        items.ask(words_for.ODD_IN, name, {"p": items.spoken(name)})
    items.answer(name, which=items.labels[odd])
    return True
