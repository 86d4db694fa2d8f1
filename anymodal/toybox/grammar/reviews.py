"""Steps that ask about the media of a conversation: which came when, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.compared import joined_values
from anymodal.toybox.grammar.counts import made_entries, with_verb
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA, ORDINALS
from anymodal.toybox.grammar.phrases.reviews import (
    ANIMALS,
    ANY_ASK,
    ASK_LAST,
    BEFORE_ASK,
    CAME_FIRST,
    EITHER_ASK,
    EVER_ASK,
    INSTRUMENTS,
    IS_LAST,
    KIND_ASK,
    NTH_MADE,
    SAME_AS_BEFORE,
    STILL_ASK,
    VERBS,
    WHEN_MADE,
)
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES

# --- which came when -----------------------------------------------------------------------------


def add_order_question(builder: DialogueBuilder) -> bool:
    """A question about the place of what was made: what was second, which came first, when."""
    draw, made = builder.scenes, made_entries(builder)
    if builder.forgets or len(made) < 2:
        return False
    choice = draw.rng.random()
    things = [entry.item.attributes["thing"] for entry in made]
    single = [entry for entry, thing in zip(made, things, strict=True) if things.count(thing) == 1]
    if choice < 0.45:
        entries, noun = made, draw.choice(("thing", "one", "thing"))
        if draw.chance(0.4):
            kind = draw.choice(made).item.modality
            entries = [entry for entry in made if entry.item.modality == kind]
            noun = draw.choice(KINDS_OF_MEDIA[kind])
        place = int(draw.rng.random() * min(len(entries), len(ORDINALS)))
        text = draw.choice(NTH_MADE).replace("{o}", ORDINALS[place]).replace("{k}", noun)
        builder.add_typed(text.replace("{n}", str(place + 1)))
        item = entries[place].item
        builder.add_reply(capitalize(f"It was {item.caption}."), item.attributes)
    elif choice < 0.75 and len(single) > 1:
        pair = draw.shuffled(single)[:2]
        early = min(pair, key=lambda entry: entry.number).item.attributes["thing"]
        text = draw.choice(CAME_FIRST)
        for slot, entry in zip(("{a}", "{b}"), pair, strict=True):
            text = text.replace(slot, value_phrase("thing", entry.item.attributes["thing"]))
        builder.add_typed(text)
        builder.add_reply(capitalize(f"the {value_phrase('thing', early)}."), {"thing": early})
    elif single and len(made) < 5:
        entry = single[-1] if draw.chance(0.4) else draw.choice(single)
        thing = value_phrase("thing", entry.item.attributes["thing"])
        builder.add_typed(draw.choice(WHEN_MADE).replace("{x}", thing))
        label = ORDINALS[made.index(entry)]
        builder.add_reply(f"The {label}.", {"which": label})
    else:
        return False
    builder.alone = True
    return True


def add_any_question(builder: DialogueBuilder) -> bool:
    """A question whether something was made at all."""
    draw, made = builder.scenes, made_entries(builder)
    if builder.forgets or not made:
        return False
    name = draw.choice(("thing", "thing", "color"))
    shown = {entry.item.attributes[name] for entry in made if name in entry.item.attributes}
    if not shown:
        return False
    others = [value for value in VALUES[name] if value not in shown]
    value = draw.choice(others if others and draw.chance(0.5) else sorted(shown))
    words = with_article(name, value) if name == "thing" else f"{value} one"
    article = "" if name == "thing" else f"{'an' if value[0] in 'aeiou' else 'a'} "
    builder.add_typed(draw.choice(ANY_ASK).replace("{x}", f"{article}{words}"))
    verdict = "yes" if value in shown else "no"
    none = f"no {value_phrase(name, value)}{' one' if name == 'color' else ''}"
    reply = f"There is {f'{article}{words}' if verdict == 'yes' else none}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: value})
    builder.alone = True
    return True


# --- the last one --------------------------------------------------------------------------------


def add_last_question(builder: DialogueBuilder) -> bool:
    """A question about the item that was made last, which is at hand."""
    draw = builder.scenes
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    item = builder.turns[-1].media[0]
    name = draw.choice(list(item.attributes))
    value, choice = item.attributes[name], draw.rng.random()
    verb = draw.choice(VERBS[item.modality])
    if choice < 0.5:
        _ask_last(builder, item, name, verb)
        return True
    if choice < 0.62:
        other = builder.other_value(name, item.attributes)
        pair = draw.shuffled([with_article(name, value), with_article(name, other)])
        text = draw.choice(EITHER_ASK).replace("{a}", pair[0]).replace("{b}", pair[1])
        builder.add_typed(text)
        answer = draw.choice(ANSWER[name]).replace("{v}", value_phrase(name, value))
        builder.add_reply(capitalize(answer), {name: value})
        return True
    verdict = "yes" if draw.chance(0.5) else "no"
    guess = value if verdict == "yes" else builder.other_value(name, item.attributes)
    words, actual = with_article(name, guess), with_article(name, value)
    forms = STILL_ASK if draw.chance(0.3) and len(builder.turns) > 2 else IS_LAST
    builder.add_typed(with_verb(draw.choice(forms), verb).replace("{v}", words))
    reply = f"Is it {words}? It is {actual}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: value})
    return True


def _ask_last(builder: DialogueBuilder, item: MediaItem, name: str, verb: tuple[str, str]) -> None:
    """Ask for an attribute of the item at hand."""
    draw, value = builder.scenes, item.attributes[name]
    forms = ASK_LAST[name]
    if name == "thing":
        kind = "animal" if value in ANIMALS else "instrument" if value in INSTRUMENTS else ""
        if kind and draw.chance(0.4):
            forms = tuple(form.replace("{kind}", kind) for form in KIND_ASK)
    builder.add_typed(with_verb(draw.choice(forms), verb))
    answer = draw.choice(ANSWER[name]).replace("{v}", value_phrase(name, value))
    builder.add_reply(capitalize(answer), {name: value})


# --- what it was before --------------------------------------------------------------------------


def add_past_question(builder: DialogueBuilder) -> bool:
    """A question about the item at hand as it was before its last change, or ever."""
    draw = builder.scenes
    if not builder.turns or len(builder.turns[-1].media) != 1:
        return False
    chain = _versions(builder)
    now = chain[-1].item.attributes
    if len(chain) < 2 or chain[-2].item.modality != chain[-1].item.modality:
        return False
    before = chain[-2].item.attributes
    common = [name for name in now if name in before]
    changed = [name for name in common if now[name] != before[name]]
    choice = draw.rng.random()
    if choice < 0.5 and changed:
        name = draw.choice(changed)
        builder.add_typed(draw.choice(BEFORE_ASK[name]))
        builder.add_reply(f"It was {with_article(name, before[name])}.", {name: before[name]})
        return True
    if choice < 0.8:
        name = draw.choice(changed if changed and draw.chance(0.5) else common)
        builder.add_typed(draw.choice(SAME_AS_BEFORE[name]))
        verdict = "yes" if now[name] == before[name] else "no"
        reply = f"It was {with_article(name, before[name])}, it is {with_article(name, now[name])}"
        expected = {"answer": verdict, name: joined_values(name, (before[name], now[name]))}
        builder.add_reply(f"{reply}, so {verdict}.", expected)
        return True
    return _add_ever(builder, chain)


def _versions(builder: DialogueBuilder) -> list[Entry]:
    """The items that the last one was made from, one from the other, and itself."""
    entries = builder.entries
    chain = [entries[-1]]
    while chain[0].item.references:
        chain.insert(0, entries[chain[0].item.references[0]])
    return chain


def _add_ever(builder: DialogueBuilder, chain: Sequence[Entry]) -> bool:
    """Ask whether any version had a value."""
    draw = builder.scenes
    name = draw.choice(("color", "size", "thing"))
    shown = [entry.item.attributes.get(name, "") for entry in chain]
    if "" in shown:
        return False
    values = list(dict.fromkeys(shown))
    others = [value for value in VALUES[name] if value not in values]
    guess = draw.choice(others if others and draw.chance(0.5) else values)
    verdict = "yes" if guess in values else "no"
    builder.add_typed(draw.choice(EVER_ASK).replace("{v}", with_article(name, guess)))
    states = ", then ".join(with_article(name, value) for value in values)
    expected = {"answer": verdict, name: joined_values(name, values)}
    builder.add_reply(f"It was {states}, so {verdict}.", expected)
    return True
