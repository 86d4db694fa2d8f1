"""Questions that compare media of a conversation, or ask about all of some."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.captions import describe
from anymodal.toybox.grammar.inquiries import statement
from anymodal.toybox.grammar.phrases.comparisons import (
    BOTH,
    DIFFERENCE,
    PITCH_MORE,
    SAME_ASK,
    STRENGTH_MORE,
    THAN_ASK,
    WHICH_ASK,
    WHICH_HAS,
    WHICH_MORE,
)
from anymodal.toybox.grammar.phrases.references import KINDS_OF_MEDIA, ORDINALS
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import Draw, capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES


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
