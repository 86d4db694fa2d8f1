"""Questions about a conversation's media: of one attribute, of several at once, of two items."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.phrases.references import (
    ASK_OF,
    BOTH,
    COMPOUND,
    DESCRIBE_OF,
    DIFFERENCE,
    IS_OF,
    KINDS_OF_MEDIA,
    ORDINALS,
    PARTS,
    PITCH_MORE,
    SAME_ASK,
    STRENGTH_MORE,
    THAN_ASK,
    WHICH_ASK,
    WHICH_HAS,
    WHICH_MORE,
)
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import Attributes, Draw, capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES

PRONOUNS = ("it", "this", "that", "this one", "that one")


def add_inquiry_of(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem] = ()
) -> None:
    """Add a question about one item, in any of the ways that people ask, and its answer.

    Args:
        builder: the conversation.
        entry: the item.
        it: words that name it.
        media: shown with the question.
    """
    draw, shown = builder.scenes, entry.item.attributes
    builder.focus = entry.number
    choice = draw.rng.random()
    if choice < 0.25:
        builder.add_typed(draw.choice(DESCRIBE_OF).replace("{it}", it), media)
        builder.add_description(shown, entry.item.modality)
    elif choice < 0.55 or len(shown) == 1:
        name = draw.choice(_unnamed(shown, it))
        builder.add_typed(draw.choice(ASK_OF[name]).replace("{it}", it), media)
        answer = draw.choice(ANSWER[name]).replace("{v}", value_phrase(name, shown[name]))
        builder.add_reply(capitalize(answer), {name: shown[name]})
    elif choice < 0.8:
        add_compound_question(builder, entry, it, media)
    else:
        _add_check(builder, shown, it, media)


def _unnamed(shown: Attributes, it: str) -> list[str]:
    """The attributes that the words for an item don't tell already; all if there are no others."""
    names = [name for name, value in shown.items() if value_phrase(name, value) not in it]
    return names or list(shown)


def add_compound_question(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem] = ()
) -> None:
    """Add a question about two or three attributes of an item at once, and its answer."""
    draw, shown = builder.scenes, entry.item.attributes
    names = _unnamed(shown, it)
    names = draw.shuffled(names if len(names) > 1 else list(shown))[: draw.choice((2, 3))]
    count = len(names)
    text = draw.choice(COMPOUND[count])
    for place, name in enumerate(names, start=1):
        direct, indirect = PARTS[name]
        # What is asked second is of "it", since the first has named the item.
        subject = it if place == 1 else "it"
        text = text.replace(f"{{d{place}}}", draw.choice(direct).replace("{it}", subject))
        text = text.replace(f"{{o{place}}}", draw.choice(indirect))
    if it not in PRONOUNS and "{it}" not in text and it not in text:
        text = f"{text.rstrip('?')} of {{it}}"
    builder.add_typed(text.replace("{it}", it), media)
    facts = {name: shown[name] for name in names}
    builder.add_reply(statement("It", facts), facts)


def statement(subject: str, facts: Attributes) -> str:
    """A sentence that states attributes: "It is a duck, red and small."."""
    words = [with_article(name, facts[name]) for name in VALUES if name in facts]
    thing = [words.pop(0)] if "thing" in facts else []
    rest = [" and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)]
    text = ", ".join(part for part in (*thing, *rest) if part)
    return capitalize(f"{subject} is {text}.")


def _add_check(
    builder: DialogueBuilder, shown: Attributes, it: str, media: Sequence[MediaItem]
) -> None:
    """Add a yes-no question about an attribute."""
    draw = builder.scenes
    name = draw.choice(_unnamed(shown, it))
    verdict = "yes" if draw.chance(0.5) else "no"
    guess = shown[name] if verdict == "yes" else builder.other_value(name, shown)
    words, actual = with_article(name, guess), with_article(name, shown[name])
    text = draw.choice(IS_OF).replace("{it}", it).replace("{v}", words)
    builder.add_typed(text, media)
    reply = f"Is it {words}? It is {actual}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: shown[name]})


# --- of several items ----------------------------------------------------------------------------


def labels_of(entries: Sequence[Entry]) -> list[str]:
    """A name for each of some items: its kind where all differ, else its place."""
    kinds = [entry.item.modality for entry in entries]
    if len(set(kinds)) == len(kinds):
        return [KINDS_OF_MEDIA[kind][0] for kind in kinds]
    return list(ORDINALS[: len(kinds)])


def joined_values(name: str, values: Sequence[str]) -> str:
    """Values of an attribute as the oracle of texts reads them together."""
    return " and ".join(value for value in VALUES[name] if value in values)


def _each(entries: Sequence[Entry], name: str) -> str:
    """A clause that says an attribute of each item: "the first is red, the second is blue"."""
    parts = zip(labels_of(entries), entries, strict=True)
    return ", ".join(
        f"the {label} is {with_article(name, entry.item.attributes[name])}"
        for label, entry in parts
    )


def add_comparison(
    builder: DialogueBuilder, pair: Sequence[Entry], media: Sequence[MediaItem] = ()
) -> bool:
    """Add a question that compares two items; False if they have nothing in common."""
    first, second = (entry.item.attributes for entry in pair)
    common = [name for name in first if name in second]
    if not common:
        return False
    draw = builder.scenes
    choice = draw.rng.random()
    differing = [name for name in common if first[name] != second[name]]
    ordered = [name for name in differing if name in ("size", "tempo")]
    if choice < 0.35 and ordered:
        _add_which_more(builder, pair, draw.choice(ordered), media)
    elif choice < 0.5 and ordered:
        _add_than(builder, pair, draw.choice(ordered), media)
    elif choice < 0.65 and differing:
        _add_which_has(builder, pair, draw.choice(differing), media)
    elif choice < 0.8:
        _add_difference(builder, pair, differing, media)
    else:
        _add_same(builder, pair, draw.choice(common), media)
    return True


def _comparative(draw: Draw, pair: Sequence[Entry], name: str, value: str) -> str:
    """Words for more of an attribute, as they fit the modalities of two items."""
    modalities = {entry.item.modality for entry in pair}
    if name == "size" and modalities == {"audio"} and draw.chance(0.6):
        return draw.choice(PITCH_MORE[value])
    if name == "size" and modalities == {"imu"}:
        return draw.choice(STRENGTH_MORE[value])
    return draw.choice(WHICH_MORE[name, value])


def _add_which_more(
    builder: DialogueBuilder, pair: Sequence[Entry], name: str, media: Sequence[MediaItem]
) -> None:
    draw = builder.scenes
    values = [entry.item.attributes[name] for entry in pair]
    place = int(draw.rng.random() * 2)
    more, label = _comparative(draw, pair, name, values[place]), labels_of(pair)[place]
    builder.add_typed(draw.choice(WHICH_ASK).replace("{m}", more), media)
    reply = f"{capitalize(_each(pair, name))}, so the {label}."
    builder.add_reply(reply, {"which": label, name: joined_values(name, values)})


def _add_than(
    builder: DialogueBuilder, pair: Sequence[Entry], name: str, media: Sequence[MediaItem]
) -> None:
    draw = builder.scenes
    values = [entry.item.attributes[name] for entry in pair]
    asked = draw.choice(VALUES[name])
    more = _comparative(draw, pair, name, asked).removeprefix("the ").removesuffix(" one")
    if not more.endswith("er"):
        more = {"big": "bigger", "small": "smaller", "fast": "faster", "slow": "slower"}[asked]
    entries = list(pair) if media else None
    names = [builder.refer(entry, entries, content=False) for entry in pair]
    text = draw.choice(THAN_ASK).replace("{a}", names[0]).replace("{b}", names[1])
    builder.add_typed(text.replace("{m}", more), media)
    verdict = "yes" if values[0] == asked else "no"
    reply = f"{capitalize(_each(pair, name))}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: joined_values(name, values)})


def _add_which_has(
    builder: DialogueBuilder, entries: Sequence[Entry], name: str, media: Sequence[MediaItem]
) -> None:
    """Add a question which item has a value that no other has."""
    draw = builder.scenes
    entry = draw.choice(entries)
    value, label = entry.item.attributes[name], labels_of(entries)[entries.index(entry)]
    words = f"the {value_phrase(name, value)}" if name == "thing" else value_phrase(name, value)
    forms = [f for f in WHICH_HAS if name == "thing" or f.startswith(("which", "tell"))]
    builder.add_typed(draw.choice(forms).replace("{v}", words), media)
    reply = draw.choice(
        ("The {l} one is {v}.", "The {l} is {v}.", "It is the {l} one that is {v}.")
    )
    if label not in ORDINALS:
        reply = "The {l} is {v}."
    reply = reply.replace("{l}", label).replace("{v}", with_article(name, value))
    builder.add_reply(reply, {"which": label, name: value})


def _add_difference(
    builder: DialogueBuilder,
    pair: Sequence[Entry],
    names: Sequence[str],
    media: Sequence[MediaItem],
) -> None:
    builder.add_typed(builder.scenes.choice(DIFFERENCE), media)
    expected = {
        name: joined_values(name, [entry.item.attributes[name] for entry in pair]) for name in names
    }
    reply = capitalize(". ".join(_each(pair, name) for name in names) or "I see no difference")
    builder.add_reply(f"{reply}.", expected)


def _add_same(
    builder: DialogueBuilder, pair: Sequence[Entry], name: str, media: Sequence[MediaItem]
) -> None:
    builder.add_typed(builder.scenes.choice(SAME_ASK[name]), media)
    values = [entry.item.attributes[name] for entry in pair]
    verdict = "yes" if values[0] == values[1] else "no"
    reply = f"{capitalize(_each(pair, name))}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: joined_values(name, values)})


def add_description_of_all(builder: DialogueBuilder, media: Sequence[MediaItem]) -> None:
    """Add a request to describe all of some given media, and a sentence for each."""
    draw, entries = builder.scenes, [Entry(n, item, "user") for n, item in enumerate(media)]
    builder.add_typed(draw.choice(BOTH), media)
    sentences, values = [], dict[str, list[str]]()
    for label, entry in zip(labels_of(entries), entries, strict=True):
        facts = entry.item.attributes
        if entry.item.modality == "imu":
            text = describe(facts, "imu", draw.rng)[:-1]
            sentences.append(f"The {label}: {text[0].lower()}{text[1:]}.")
        else:
            sentences.append(statement(f"the {label}", facts))
        for name, value in facts.items():
            values.setdefault(name, []).append(value)
    expected = {name: joined_values(name, values[name]) for name in VALUES if name in values}
    builder.add_reply(" ".join(sentences), expected)


def add_question_of_one(builder: DialogueBuilder, media: Sequence[MediaItem]) -> None:
    """Add a question about one of several given media, which its words name."""
    first = len(builder.entries)
    entries = [Entry(first + place, item, "user") for place, item in enumerate(media)]
    entry = builder.scenes.choice(entries)
    add_inquiry_of(builder, entry, builder.refer(entry, entries), media)
