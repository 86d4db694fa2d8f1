"""Requests for things, colors, movements and kinds that the Toybox lacks, and their refusals."""

from __future__ import annotations

import re

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.inside import (
    RULES,
    colored,
    known_phrase,
    moving_text,
    odd_noun_only,
    request_text,
    worded_phrase,
)
from anymodal.toybox.grammar.people_phrases import (
    spoken_infinitive,
    spoken_motion,
    spoken_phrase,
    spoken_value,
)
from anymodal.toybox.grammar.phrases import inside, outside, unknown
from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.rules import tidy
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.words import Draw, capitalize, value_phrase
from anymodal.toybox.scene import COLORS, THINGS

_THING = re.compile(r"\bthing\b")
_VOWEL = re.compile(r"(?!uni|ufo|uku|use|eu)[aeiou]")


def add_refusal(builder: DialogueBuilder, text: str, *replies: Words, name: str = "") -> None:
    """Add a message and its answer: a sentence of each of some collections."""
    draw = builder.scenes
    builder.add_typed(text)
    typed = builder.turns[-1].text.lower()
    # What is named back stands in the message; a slip in it must not be made good.
    if name and name.removeprefix("an ").removeprefix("a ").removeprefix("the ") not in typed:
        replies = (unknown.NO_ABILITY, *replies[1:])
    sentences = [draw.choice(words).replace("{x}", name) for words in replies]
    builder.add_reply(capitalize(" ".join(sentences)))


def unknown_noun(draw: Draw) -> str:
    """A thing that the Toybox doesn't have."""
    return draw.choice(unknown.UNKNOWN_THINGS)


def with_indefinite(noun: str) -> str:
    """A noun with "a" or "an"."""
    return f"an {noun}" if _VOWEL.match(noun) else f"a {noun}"


def add_unknown_thing(builder: DialogueBuilder) -> None:
    """Add a request for an unknown thing, and its refusal."""
    draw = builder.scenes
    modality, choice = draw.choice(GENERATED), draw.rng.random()
    if choice < 0.06:
        riddle = draw.choice(inside.OUTSIDE_RIDDLES)
        add_refusal(
            builder, request_text(draw, modality, riddle), unknown.NO_ABILITY, unknown.KNOWN_THINGS
        )
        return
    if choice < 0.3 and modality == "audio":
        text, name = _unknown_sound(draw)
    elif choice < 0.3 and modality == "video":
        noun = unknown_noun(draw)
        motion, tempo = (
            draw.sample(("video",), moves=True).motion,
            draw.choice((None, "slow", "fast")),
        )
        go = spoken_infinitive(draw, motion, tempo)
        going = spoken_motion(draw, motion, tempo)
        text = moving_text(draw, _unknown_phrase(draw, "image", noun)[0], go, going)
        name = with_indefinite(noun)
    else:
        phrase, bare, name = _unknown_words(draw, modality)
        text = request_text(draw, modality, phrase, bare)
        if choice > 0.92:  # in the frames of questions and tasks
            slots = {"x": phrase, "X": bare}
            text = RULES[modality].expand(
                draw, "doing", {"cmd": RULES[modality].expand(draw, "cmd", slots)}
            )
        elif choice > 0.86:
            asked = draw.choice(outside.KNOWN_QUESTIONS[modality]).replace("{x}", phrase)
            text = RULES[modality].expand(draw, "asking", {"q": tidy(asked)})
    add_refusal(builder, text, unknown.NO_THING, unknown.KNOWN_THINGS, name=name)


def _unknown_sound(draw: Draw) -> tuple[str, str]:
    """A request for a sound of an unknown thing, and what it names."""
    if draw.chance(0.5):
        name = draw.choice(unknown.UNKNOWN_SOUNDS)
        return request_text(draw, "audio", name), name
    noun, verb, participle = draw.choice(unknown.UNKNOWN_VOICES)
    name = with_indefinite(noun)
    if draw.chance(0.5):
        voice = {"voice": f"{name} {verb}", "voice_to": f"{name} to {verb}"}
        return RULES["audio"].expand(draw, "sounding", voice), name
    return request_text(draw, "audio", f"{name} {participle}"), name


def _unknown_words(draw: SceneSampler, modality: str) -> tuple[str, str, str]:
    """A phrase of an unknown thing, one without an article, and what it names."""
    choice = draw.rng.random()
    if choice < 0.1:
        name = draw.choice(unknown.NAMED)
        color = f" in {draw.choice(COLORS)}" if modality != "audio" and draw.chance(0.15) else ""
        return name + color, name + color, name
    if choice < 0.16:
        name = draw.choice(unknown.SUBSTANCES)
        color = f"{draw.choice(COLORS)} " if modality != "audio" and draw.chance(0.3) else ""
        return draw.choice(("", "some ")) + color + name, color + name, name
    noun = unknown_noun(draw)
    if choice < 0.22 and noun[-1] not in "sxzyhfo" and not noun.endswith(("man", "child", "foot")):
        number = draw.choice(
            ("two", "three", "some", "many", "a few", "lots of", "five", "a pair of")
        )
        return f"{number} {noun}s", f"{number} {noun}s", with_indefinite(noun)
    return *_unknown_phrase(draw, modality, noun), with_indefinite(noun)


def _unknown_phrase(draw: SceneSampler, modality: str, noun: str) -> tuple[str, str]:
    """A phrase of an unknown thing with known attributes, with an article and without."""
    shown = draw.sample((modality,)).observable(modality)
    facts = {n: v for n, v in shown.items() if n != "thing" and draw.chance(0.3)}
    if modality == "video" and "motion" not in facts:
        facts.pop("tempo", None)
    words = f"{draw.choice(inside.PRETTY)} {noun}" if draw.chance(0.12) else noun
    phrase = spoken_phrase(draw, modality, facts)
    bare = spoken_phrase(draw, modality, facts, bare=True) if draw.chance(0.7) else noun
    return tidy(_THING.sub(words, phrase)), tidy(_THING.sub(words, bare))


def add_unknown_color(builder: DialogueBuilder) -> None:
    """Add a request for a thing in an unknown color, and its refusal."""
    draw = builder.scenes
    modality = draw.choice(("image", "image", "video"))
    scene = draw.sample((modality,), moves=True)
    noun, color = odd_noun_only(draw, scene.thing), draw.choice(unknown.UNKNOWN_COLORS)
    sizes = [spoken_value(draw, "size", scene.size)] if draw.chance(0.3) else []
    motions = []
    if modality == "video" and draw.chance(0.6):
        motions.append(spoken_motion(draw, scene.motion, draw.choice((None, scene.tempo))))
    if draw.chance(0.12):
        like = draw.choice(inside.OUTSIDE_LIKE)
        phrase = worded_phrase(
            draw, noun, sizes, [draw.choice(inside.LIKE_FORMS).replace("{l}", like), *motions]
        )
        replies, color = (unknown.NO_ABILITY, unknown.KNOWN_COLORS), ""
    else:
        replies = (unknown.NO_COLOR, unknown.KNOWN_COLORS)
        if sizes or motions or draw.chance(0.3):
            phrase = worded_phrase(draw, noun, [*sizes, color], motions)
        else:
            phrase = colored(draw, noun, color)
    add_refusal(builder, request_text(draw, modality, phrase), *replies, name=color)


def add_unknown_motion(builder: DialogueBuilder) -> None:
    """Add a request for a thing in an unknown movement, and its refusal."""
    draw = builder.scenes
    infinitive, participle = draw.choice(unknown.UNKNOWN_MOTIONS)
    go, going, phrase = infinitive, participle, _looks(draw, "image")
    if draw.chance(0.2):
        scene = draw.sample(("video",), moves=True)
        phrase = f"a {odd_noun_only(draw, scene.thing)}"
        joint = draw.choice(outside.WHILES)
        going = f"{spoken_motion(draw, scene.motion)} {joint} {participle}"
        other = participle if joint in ("while", "before") else infinitive
        go = f"{spoken_infinitive(draw, scene.motion)} {joint} {other}"
    elif draw.chance(0.2):
        go, going = (
            f"{words} {draw.choice(('slowly', 'quickly', 'fast'))}" for words in (go, going)
        )
    if draw.chance(0.3):
        text = request_text(draw, "video", f"{phrase} {going}")
    else:
        text = moving_text(draw, phrase, go, going)
    add_refusal(builder, text, unknown.NO_MOTION, unknown.KNOWN_MOTIONS, name=infinitive)


def _looks(draw: SceneSampler, modality: str, share: float = 0.5) -> str:
    """A phrase of a thing of the Toybox with some of its attributes."""
    shown = draw.sample((modality,)).observable(modality)
    return known_phrase(
        draw, modality, {n: shown[n] for n in shown if n == "thing" or draw.chance(share)}
    )


def add_extras(builder: DialogueBuilder) -> None:
    """Add a request for a thing beside others or in a scenery, and its refusal."""
    draw = builder.scenes
    modality = draw.choice(("image", "image", "video"))
    if draw.chance(0.35):
        first = value_phrase("thing", draw.choice(THINGS))
        other = (
            value_phrase("thing", draw.choice(THINGS)) if draw.chance(0.5) else unknown_noun(draw)
        )
        phrase = f"a {first} {draw.choice(unknown.TOGETHER)} {with_indefinite(other)}"
    else:
        phrase = f"{_looks(draw, 'image')} {draw.choice(unknown.EXTRAS)}"
    add_refusal(builder, request_text(draw, modality, phrase), unknown.NO_EXTRA)


def add_known_and_unknown(builder: DialogueBuilder) -> None:
    """A request for what there is and what there isn't: all of it is refused."""
    draw = builder.scenes
    modality = draw.choice(GENERATED)
    known = _looks(draw, modality)
    phrase, bare, name = _unknown_words(draw, modality)
    if draw.chance(0.6):
        both = draw.choice(outside.BOTH).replace("{a}", known).replace("{b}", phrase)
        text = request_text(draw, modality, both)
    else:
        texts = [
            request_text(draw, modality, known),
            request_text(draw, draw.choice(GENERATED), phrase, bare),
        ]
        text = draw.choice(outside.JOINTS).join(t.rstrip("?.! ") for t in draw.shuffled(texts))
    add_refusal(builder, text, unknown.NO_THING, unknown.KNOWN_THINGS, name=name)


def add_unknown_kind(builder: DialogueBuilder) -> None:
    """A request for a kind of medium, a length, a number or a way to play that there isn't."""
    draw = builder.scenes
    modality = draw.choice(GENERATED)
    form = draw.choice(("kind", "kind", "kind", "time", "time", "count", "tempo"))
    if form in ("time", "tempo"):
        modality = "audio" if form == "tempo" else draw.choice(("audio", "video"))
    slots = {"x": _looks(draw, modality), "k": draw.choice(outside.KINDS),
             "d": draw.choice(outside.TIMES), "m": draw.choice(outside.COUNTS)}  # fmt: skip
    if form == "tempo":
        phrase = f"{_looks(draw, modality, 0.2)} {draw.choice(outside.TEMPOS)}"
        text = request_text(draw, modality, phrase)
    else:
        text = RULES[modality].expand(draw, f"{form}_frame", slots)
    add_refusal(builder, text, unknown.NO_ABILITY, unknown.KNOWN_ABILITIES)
