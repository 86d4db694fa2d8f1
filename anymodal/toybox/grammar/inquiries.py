"""Questions about a conversation's media: of one attribute or of several at once."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.phrases.references import (
    ASK_OF,
    COMPOUND,
    DESCRIBE_OF,
    IS_OF,
    PARTS,
)
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import Attributes, capitalize, value_phrase, with_article
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


def add_question_of_one(builder: DialogueBuilder, media: Sequence[MediaItem]) -> None:
    """Add a question about one of several given media, which its words name."""
    first = len(builder.entries)
    entries = [Entry(first + place, item, "user") for place, item in enumerate(media)]
    entry = builder.scenes.choice(entries)
    add_inquiry_of(builder, entry, builder.refer(entry, entries), media)
