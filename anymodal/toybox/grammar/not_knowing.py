"""What is outside of the Toybox gets a plain answer and no medium; what only seems so gets one."""

from __future__ import annotations

import re
from dataclasses import replace

from anymodal.toybox.conditions.outside import OUTSIDE
from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.inside import (
    RULES,
    add_inside,
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
from anymodal.toybox.grammar.people_requests import people_request
from anymodal.toybox.grammar.phrases import inside, outside, unknown
from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.grammar.phrases.people import REQUEST
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.steps import add_generation
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import Draw, capitalize, value_phrase
from anymodal.toybox.scene import COLORS, THINGS

_TALKING = Rules({**REQUEST, **outside.TALKING})
_TASKS = Rules(outside.TASKS)
_QUESTIONS = Rules(outside.ASKED)
_NO_VERBS = unknown.each_word(
    "i any tl;dr what what's how def select when continue: wikipedia spell"
)
_THING = re.compile(r"\bthing\b")
_VOWEL = re.compile(r"(?!uni|ufo|uku|use|eu)[aeiou]")


def add_unknown(builder: DialogueBuilder) -> bool:
    """A request or a question that is outside of the Toybox, and a plain answer."""
    draw = builder.scenes
    choice = draw.rng.random()
    for limit, add in _UNKNOWN:
        if choice < limit:
            add(builder)
            return True
    raise AssertionError("the shares don't sum to one")


def _add_refusal(builder: DialogueBuilder, text: str, *replies: Words, name: str = "") -> None:
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


def _an(noun: str) -> str:
    return f"an {noun}" if _VOWEL.match(noun) else f"a {noun}"


def _add_unknown_thing(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    modality, choice = draw.choice(GENERATED), draw.rng.random()
    if choice < 0.06:
        riddle = draw.choice(inside.OUTSIDE_RIDDLES)
        _add_refusal(
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
        name = _an(noun)
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
    _add_refusal(builder, text, unknown.NO_THING, unknown.KNOWN_THINGS, name=name)


def _unknown_sound(draw: Draw) -> tuple[str, str]:
    """A request for a sound of an unknown thing, and what it names."""
    if draw.chance(0.5):
        name = draw.choice(unknown.UNKNOWN_SOUNDS)
        return request_text(draw, "audio", name), name
    noun, verb, participle = draw.choice(unknown.UNKNOWN_VOICES)
    name = _an(noun)
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
        return f"{number} {noun}s", f"{number} {noun}s", _an(noun)
    return *_unknown_phrase(draw, modality, noun), _an(noun)


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


def _add_unknown_color(builder: DialogueBuilder) -> None:
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
    _add_refusal(builder, request_text(draw, modality, phrase), *replies, name=color)


def _add_unknown_motion(builder: DialogueBuilder) -> None:
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
    _add_refusal(builder, text, unknown.NO_MOTION, unknown.KNOWN_MOTIONS, name=infinitive)


def _looks(draw: SceneSampler, modality: str, share: float = 0.5) -> str:
    """A phrase of a thing of the Toybox with some of its attributes."""
    shown = draw.sample((modality,)).observable(modality)
    return known_phrase(
        draw, modality, {n: shown[n] for n in shown if n == "thing" or draw.chance(share)}
    )


def _add_extras(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    modality = draw.choice(("image", "image", "video"))
    if draw.chance(0.35):
        first = value_phrase("thing", draw.choice(THINGS))
        other = (
            value_phrase("thing", draw.choice(THINGS)) if draw.chance(0.5) else unknown_noun(draw)
        )
        phrase = f"a {first} {draw.choice(unknown.TOGETHER)} {_an(other)}"
    else:
        phrase = f"{_looks(draw, 'image')} {draw.choice(unknown.EXTRAS)}"
    _add_refusal(builder, request_text(draw, modality, phrase), unknown.NO_EXTRA)


def _add_mixed(builder: DialogueBuilder) -> None:
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
    _add_refusal(builder, text, unknown.NO_THING, unknown.KNOWN_THINGS, name=name)


def _add_unknown_kind(builder: DialogueBuilder) -> None:
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
    _add_refusal(builder, text, unknown.NO_ABILITY, unknown.KNOWN_ABILITIES)


def _add_ability(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.3):
        text = draw.choice(unknown.ABILITY_FRAMES).replace("{v}", draw.choice(unknown.ABILITIES))
    else:
        task = _TASKS.expand(draw, "task")
        asks = task.endswith("?") or task.split(" ", 1)[0].lower() in _NO_VERBS
        text = _TALKING.expand(draw, "asking" if asks else "doing", {"q": task, "cmd": task})
    _add_refusal(builder, text, unknown.NO_ABILITY, unknown.KNOWN_ABILITIES)


def _add_question(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.3):
        text = draw.choice(unknown.QUESTION_FRAMES).replace("{q}", draw.choice(unknown.QUESTIONS))
    else:
        asked = _QUESTIONS.expand(draw, "question")
        if draw.chance(0.25):
            asked = asked.rstrip("?")
        text = _TALKING.expand(draw, "asking", {"q": asked})
    _add_refusal(builder, text, unknown.NO_ANSWER, unknown.KNOWN_ABILITIES)


def _add_edit(builder: DialogueBuilder) -> None:
    """A medium, then an edit of it to something that there isn't."""
    draw = builder.scenes
    name = draw.choice(("color", "color", "thing", "thing", "motion"))
    add_generation(
        builder, {"thing": None, "color": draw.choice(("image", "video"))}.get(name, "video")
    )
    if name == "motion":
        infinitive, participle = draw.choice(unknown.UNKNOWN_MOTIONS)
        text = (
            draw.choice(outside.EDITS[name]).replace("{i}", infinitive).replace("{p}", participle)
        )
        _add_refusal(builder, text, unknown.NO_MOTION, unknown.KNOWN_MOTIONS, name=infinitive)
        return
    noun = unknown_noun(draw)
    word = _an(noun) if name == "thing" else draw.choice(unknown.UNKNOWN_COLORS)
    replies = {"thing": (unknown.NO_THING, unknown.KNOWN_THINGS),
               "color": (unknown.NO_COLOR, unknown.KNOWN_COLORS)}[name]  # fmt: skip
    _add_refusal(
        builder, draw.choice(outside.EDITS[name]).replace("{x}", word), *replies, name=word
    )


def _add_foreign(builder: DialogueBuilder) -> None:
    draw = builder.scenes
    if draw.chance(0.2):
        _add_refusal(builder, draw.choice(unknown.GIBBERISH), unknown.NO_SENSE)
        return
    verbs, things, phrases = draw.choice(list(unknown.FOREIGN.values()))
    text = draw.choice(phrases)
    if draw.chance(0.6):
        text = f"{draw.choice(verbs)} {draw.choice(things)}"
    _add_refusal(builder, text, unknown.NO_LANGUAGE)


def _add_unanswerable(builder: DialogueBuilder) -> None:
    """A question that a given medium of the Toybox can't answer, or its twin that it can."""
    draw = builder.scenes
    modality = draw.choice(list(unknown.SCARCE_QUESTIONS))
    item = draw.media_item(draw.sample((modality,)), modality)
    if draw.chance(0.2):
        builder.add_question(item.attributes, modality, [item])
        return
    questions, replies = unknown.SCARCE_QUESTIONS[modality]
    if draw.chance(0.7):
        questions = outside.SCARCE["any" if draw.chance(0.4) else modality]
    text = draw.choice(questions)
    if draw.chance(0.35):
        text = _TALKING.expand(draw, "asking", {"q": text})
    builder.add_typed(text, [item])
    builder.add_reply(draw.choice(replies), {})


_UNKNOWN = (
    (0.32, _add_unknown_thing),
    (0.41, _add_unknown_color),
    (0.49, _add_unknown_motion),
    (0.56, _add_extras),
    (0.61, _add_mixed),
    (0.68, _add_unknown_kind),
    (0.76, _add_ability),
    (0.84, _add_question),
    (0.88, _add_edit),
    (0.93, _add_foreign),
    (1.01, _add_unanswerable),
)
"""What is unknown, with cumulated shares."""


def outside_of_it(scenes: SceneSampler) -> ReferenceDialogue:
    """One to three messages outside of the Toybox, some between requests that can be met."""
    builder = DialogueBuilder(scenes)
    for _ in range(scenes.choice((1, 1, 2, 3))):
        if scenes.chance(0.25):
            add_inside(builder)
        add_unknown(builder)
    return builder.build("outside")


def outside_file(scenes: SceneSampler) -> ReferenceDialogue:
    """A given medium that shows nothing of the Toybox, and a question or a request about it."""
    builder = DialogueBuilder(scenes)
    modality = scenes.choice(list(OUTSIDE))
    content = scenes.choice(OUTSIDE[modality])
    item = scenes.media_item(scenes.sample((modality,)), modality)
    item = replace(item, outside=content)
    builder.add_typed(scenes.choice(unknown.FILE_QUESTIONS), [item])
    reply = scenes.choice(unknown.OUTSIDE_REPLIES[content])
    if scenes.chance(0.3):
        reply = f"{reply} {scenes.choice(unknown.KNOWN_THINGS)}"
    builder.add_reply(reply)
    return builder.build("outside:file")


def tempting(scenes: SceneSampler) -> ReferenceDialogue:
    """A request that can be met, of a form that is refused too, or beside an unknown thing."""
    builder = DialogueBuilder(scenes)
    if scenes.chance(0.2):
        add_unknown(builder)
    if scenes.chance(0.7):
        add_inside(builder)
        return builder.build("tempting")
    modality = scenes.choice(GENERATED)
    scene = scenes.sample((modality,))
    names = scene.observable(modality)
    scene, stated = scenes.omit_defaults(scene, names, (modality,), (modality,))
    frame = scenes.choice(unknown.TEMPTING).replace("{u}", unknown_noun(scenes))
    request = people_request(scenes, modality, stated).rstrip("?.! ")
    builder.add_typed(tidy(frame).replace("{r}", request))
    builder.add_media_reply([scenes.media_item(scene, modality)])
    return builder.build("tempting")
