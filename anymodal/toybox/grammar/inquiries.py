"""Questions about a conversation's media: of one attribute or of several at once."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar import question_words as words
from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.phrases.inquiries import ASK_OF, COMPOUND, DESCRIBE_OF, IS_OF, PARTS
from anymodal.toybox.grammar.phrases.question_talk import FILES
from anymodal.toybox.grammar.phrases.questions import ANSWER
from anymodal.toybox.grammar.question_words import PRONOUNS
from anymodal.toybox.grammar.types import Entry, MediaItem
from anymodal.toybox.grammar.words import Attributes, capitalize, value_phrase, with_article
from anymodal.toybox.scene import VALUES

_PLAIN = 0.3
"""The share of questions that are of the plain kind."""


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
    it = _name_of(builder, entry, it, media)
    choice = draw.rng.random()
    if choice < 0.2:
        _add_whole(builder, entry, it, media)
    elif choice < 0.45 or len(shown) == 1:
        _add_single(builder, entry, it, media)
    elif choice < 0.55:
        _add_either(builder, entry, it, media)
    elif choice < 0.8:
        _add_compound(builder, entry, it, media)
    else:
        _add_check(builder, entry, it, media)


def _name_of(builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]) -> str:
    """Words for an item: those given, or for the only file given also others of its kind."""
    if len(media) == 1 and it in PRONOUNS and builder.scenes.chance(0.4):
        return builder.scenes.choice(FILES[entry.item.modality])
    return it


def _ask(builder: DialogueBuilder, text: str, entry: Entry, media: Sequence[MediaItem]) -> None:
    """Add a question with what may be said around it."""
    given = bool(media)
    text = words.with_talk(builder.scenes, text, entry.item.modality, given=given)
    builder.add_typed(text, media)


def _unnamed(shown: Attributes, it: str) -> list[str]:
    """The attributes that the words for an item don't tell already; all if there are no others."""
    names = [name for name, value in shown.items() if value_phrase(name, value) not in it]
    return names or list(shown)


def _add_whole(builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]) -> None:
    """Add a request for a description."""
    draw = builder.scenes
    if draw.chance(_PLAIN):
        text = draw.choice(DESCRIBE_OF).replace("{it}", it)
    else:
        text = words.named_text(words.whole_question(draw, it), it)
    _ask(builder, text, entry, media)
    builder.add_description(entry.item.attributes, entry.item.modality)


def _add_single(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]
) -> None:
    """Add a question about one attribute."""
    draw, shown = builder.scenes, entry.item.attributes
    made = entry.role == "assistant"
    name = draw.choice(_unnamed(shown, it))
    if draw.chance(_PLAIN):
        text = draw.choice(ASK_OF[name]).replace("{it}", it)
    else:
        text = words.medium_question(draw, [name], entry.item.modality, shown, it, made=made)
    _ask(builder, text, entry, media)
    _answer(builder, name, shown)


def _answer(builder: DialogueBuilder, name: str, shown: Attributes) -> None:
    """Add a reply that tells one attribute."""
    answer = builder.scenes.choice(ANSWER[name]).replace("{v}", value_phrase(name, shown[name]))
    builder.add_reply(capitalize(answer), {name: shown[name]})


def _add_either(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]
) -> None:
    """Add a question which of two values is right; now and then neither is."""
    draw, shown = builder.scenes, entry.item.attributes
    name = draw.choice(_unnamed(shown, it))
    others = draw.shuffled(words.other_values(name, shown))
    neither = len(others) > 1 and draw.chance(0.12)
    guesses = others[:2] if neither else draw.shuffled([shown[name], others[0]])
    first, second = words.alternatives(draw, name, entry.item.modality, shown, guesses)
    _ask(builder, words.either_question(draw, first, second, it), entry, media)
    _answer(builder, name, shown)


def add_compound_question(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem] = ()
) -> None:
    """Add a question about two or more attributes of an item at once, and its answer."""
    _add_compound(builder, entry, _name_of(builder, entry, it, media), media)


def _add_compound(
    builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]
) -> None:
    draw, shown = builder.scenes, entry.item.attributes
    made = entry.role == "assistant"
    names = _unnamed(shown, it)
    names = draw.shuffled(names if len(names) > 1 else list(shown))
    if draw.chance(_PLAIN):
        names = names[: draw.choice((2, 3))]
        text = _plain_compound(builder, names, it)
    else:
        names = names[: draw.choice((2, 2, 3, 3, 4, 5))]
        text = words.medium_question(draw, names, entry.item.modality, shown, it, made=made)
    _ask(builder, text, entry, media)
    facts = {name: shown[name] for name in names}
    builder.add_reply(statement("It", facts), facts)


def _plain_compound(builder: DialogueBuilder, names: Sequence[str], it: str) -> str:
    """A question about two or three attributes from whole sentences."""
    draw = builder.scenes
    text = draw.choice(COMPOUND[len(names)])
    for place, name in enumerate(names, start=1):
        direct, indirect = PARTS[name]
        # What is asked second is of "it", since the first has named the item.
        subject = it if place == 1 else "it"
        text = text.replace(f"{{d{place}}}", draw.choice(direct).replace("{it}", subject))
        text = text.replace(f"{{o{place}}}", draw.choice(indirect))
    if it not in PRONOUNS and "{it}" not in text and it not in text:
        text = f"{text.rstrip('?')} of {{it}}"
    return text.replace("{it}", it)


def statement(subject: str, facts: Attributes) -> str:
    """A sentence that states attributes: "It is a duck, red and small."."""
    parts = [with_article(name, facts[name]) for name in VALUES if name in facts]
    thing = [parts.pop(0)] if "thing" in facts else []
    rest = [" and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)]
    text = ", ".join(part for part in (*thing, *rest) if part)
    return capitalize(f"{subject} is {text}.")


def _add_check(builder: DialogueBuilder, entry: Entry, it: str, media: Sequence[MediaItem]) -> None:
    """Add a yes-no question about an attribute."""
    draw, shown = builder.scenes, entry.item.attributes
    made = entry.role == "assistant"
    name = draw.choice(_unnamed(shown, it))
    actual = with_article(name, shown[name])
    if name == "motion" and draw.chance(0.15):
        verdict, guessed = "no" if shown[name] == "still" else "yes", "moving"
        text = words.moves_question(draw, it)
    else:
        verdict = "yes" if draw.chance(0.5) else "no"
        guess = shown[name] if verdict == "yes" else builder.other_value(name, shown)
        guessed = with_article(name, guess)
        if draw.chance(_PLAIN):
            text = draw.choice(IS_OF).replace("{it}", it).replace("{v}", guessed)
        else:
            text = words.check_question(draw, name, guess, entry.item.modality, it, made=made)
    _ask(builder, text, entry, media)
    reply = f"Is it {guessed}? It is {actual}, so {verdict}."
    builder.add_reply(reply, {"answer": verdict, name: shown[name]})


def add_question_of_one(builder: DialogueBuilder, media: Sequence[MediaItem]) -> None:
    """Add a question about one of several given media, which its words name."""
    first = len(builder.entries)
    entries = [Entry(first + place, item, "user") for place, item in enumerate(media)]
    entry = builder.scenes.choice(entries)
    add_inquiry_of(builder, entry, builder.refer(entry, entries), media)
