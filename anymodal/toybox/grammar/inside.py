"""Twins of what is outside: the same forms, with things and words that the Toybox has."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.loose_requests import loose_generate_request
from anymodal.toybox.grammar.people_phrases import spoken_infinitive, spoken_phrase, spoken_value
from anymodal.toybox.grammar.people_phrases import spoken_motion as spoken_participle
from anymodal.toybox.grammar.phrases import inside, outside, unknown
from anymodal.toybox.grammar.phrases.people import MEDIUM_WORDS, MOVING, REQUEST, SOUNDING
from anymodal.toybox.grammar.rules import Rules, tidy
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.talk import GENERATED
from anymodal.toybox.grammar.words import Attributes, Draw, value_phrase

RULES = {
    modality: Rules(
        {
            **REQUEST,
            **MEDIUM_WORDS[modality],
            "ns": outside.PLURALS[modality],
            "moving": MOVING,
            "sounding": SOUNDING,
            "old_frame": unknown.UNKNOWN_FRAMES[modality],
            "frame": outside.FRAMES,
            "kind_frame": outside.KIND_FRAMES,
            "time_frame": outside.TIME_FRAMES,
            "count_frame": outside.COUNT_FRAMES,
            "one_frame": inside.ONE_OF,
            **outside.TALKING,
        }
    )
    for modality in GENERATED
}
"""Rules of requests that the Toybox can meet or not, by modality."""

_DETERMINERS = ("a", "a", "a", "a", "a", "", "the", "one", "my", "some")
_NO_ARTICLE = ("rain", "rainfall", "rainy weather", "drizzle of rain", "shower of rain")
_BEHIND = (", {w}", ", {w}", " ({w})", " - {w}", ", which should be {w}", ", make it {w}")


def request_text(draw: Draw, modality: str, phrase: str, bare: str | None = None) -> str:
    """A request for a medium of what a phrase names, whether the Toybox has it or not."""
    choice, slots = draw.rng.random(), {"x": phrase, "X": bare or phrase}
    if choice < 0.1:
        return loose_generate_request(draw, modality, tidy(phrase))
    symbol = "request" if choice < 0.4 else "old_frame" if choice < 0.55 else "frame"
    return RULES[modality].expand(draw, symbol, slots)


def worded_phrase(
    draw: Draw, noun: str, adjectives: Sequence[str], tails: Sequence[str] = ()
) -> str:
    """A phrase of a noun, words that may stand before it, and words behind it.

    Args:
        draw: random draws.
        noun: with or without an article of its own.
        adjectives: in the order of reading.
        tails: as in "the colour of a plum".
    """
    before, behind = [], []
    told = noun.split(" ", 1)[0] in ("the", "that", "something", "what", "who", "drops", "wet")
    for word in adjectives:
        if told or draw.chance(0.2):
            behind.append(draw.choice(_BEHIND).replace("{w}", word))
        else:
            before.append(word)
    behind += [draw.choice((", ", ", ", " ", " - ")) + tail for tail in tails]
    article = "" if told or noun in _NO_ARTICLE else draw.choice(_DETERMINERS)
    return tidy(" ".join((article, *before, noun)) + "".join(behind))


def odd_phrase(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A phrase of a thing by unusual nouns, riddles and likenings."""
    adjectives: list[str] = []
    tails: list[str] = []
    if draw.chance(0.15):
        adjectives.append(draw.choice(inside.PRETTY))
    if "size" in attributes:
        _put_size(draw, modality, attributes["size"], adjectives, tails)
    if "color" in attributes:
        _put_color(draw, attributes["color"], adjectives, tails)
    motion, tempo = attributes.get("motion"), attributes.get("tempo")
    if motion is not None:
        tails.insert(0, _motion(draw, motion))
    if tempo is not None and motion != "still":
        words = inside.TEMPO_TAILS[tempo]
        tails.append(
            draw.choice(words) if draw.chance(0.6) else spoken_value(draw, "adverb", tempo)
        )
    return worded_phrase(draw, odd_noun(draw, attributes.get("thing")), adjectives, tails)


def odd_noun(draw: Draw, thing: str | None) -> str:
    """One of the words for a thing, an unusual one mostly."""
    if thing is None:
        return "thing"
    choice = draw.rng.random()
    if choice < 0.25:
        return draw.choice(inside.RIDDLES[thing])
    if choice < 0.7:
        return draw.choice(inside.ODD_NOUNS[thing])
    return spoken_value(draw, "thing", thing)


def _put_size(
    draw: Draw, modality: str, size: str, adjectives: list[str], tails: list[str]
) -> None:
    choice = draw.rng.random()
    if choice < 0.3:
        adjectives.append(draw.choice(inside.SIZE_ADJECTIVES[size]))
    elif choice < 0.45 and modality != "audio":
        tails.append(draw.choice(inside.SIZE_TAILS[size]))
    else:
        adjectives.append(spoken_value(draw, "size", size))


def _put_color(draw: Draw, color: str, adjectives: list[str], tails: list[str]) -> None:
    if draw.chance(0.3):
        forms = inside.LIKE_FORMS if draw.chance(0.6) else inside.KNOWN_LIKE_FORMS
        like = draw.choice(inside.COLOR_LIKE[color])
        tails.append(draw.choice(forms).replace("{l}", like).replace("{c}", color))
    else:
        adjectives.append(spoken_value(draw, "color", color))


def _motion(draw: Draw, motion: str) -> str:
    if draw.chance(0.5):
        return spoken_participle(draw, motion)
    return draw.choice(inside.MOTION_TAILS[motion])[1]


def known_phrase(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A phrase of a thing of the Toybox, in usual words or in unusual ones."""
    phrase = spoken_phrase if draw.chance(0.45) else odd_phrase
    return phrase(draw, modality, attributes)


def add_inside(builder: DialogueBuilder) -> None:
    """A request of a form that what is outside has too, and its medium."""
    draw = builder.scenes
    modality = draw.choice(GENERATED)
    scene = draw.sample((modality,))
    names = scene.observable(modality)
    scene, stated = draw.omit_defaults(scene, names, (modality,), (modality,))
    builder.add_typed(_inside_text(draw, modality, stated))
    builder.add_media_reply([draw.media_item(scene, modality)])


def _inside_text(draw: SceneSampler, modality: str, stated: Attributes) -> str:
    rules, choice = RULES[modality], draw.rng.random()
    if modality == "video" and stated.get("motion", "still") != "still" and choice < 0.3:
        return _moving_text(draw, stated)
    phrase = known_phrase(draw, modality, stated)
    slots = {"x": phrase, "X": phrase}
    if choice < 0.4:
        if modality == "image" or draw.chance(0.5):
            slots["k"] = tidy(f"a {rules.expand(draw, 'n')}")
            return rules.expand(draw, "kind_frame", slots)
        times = f"{draw.choice(inside.SHORT_TIMES)} {rules.expand(draw, 'n')} of {phrase}"
        return rules.expand(draw, draw.choice(("doing", "asking")), {
            "cmd": f"make {times}", "q": f"can you make {times}?"})  # fmt: skip
    if choice < 0.47:
        return rules.expand(draw, "one_frame", slots)
    if choice < 0.55:
        return rules.expand(draw, "doing", {"cmd": rules.expand(draw, "cmd", slots)})
    if choice < 0.63:
        asked = draw.choice(outside.KNOWN_QUESTIONS[modality]).replace("{x}", phrase)
        return rules.expand(draw, "asking", {"q": tidy(asked)})
    if choice < 0.72:
        words = inside.ALONE if modality != "audio" else inside.ALONE_TO_HEAR
        phrase = f"{phrase}{draw.choice((', ', ' '))}{draw.choice(words)}"
    elif choice < 0.77 and modality != "audio" and set(stated) == {"thing", "color"}:
        phrase = colored(draw, odd_noun_only(draw, stated["thing"]), stated["color"])
    return request_text(draw, modality, phrase)


def _moving_text(draw: Draw, stated: Attributes) -> str:
    """A request for a video whose frame is that of a motion."""
    looks = {name: value for name, value in stated.items() if name not in ("motion", "tempo")}
    motion, tempo = stated["motion"], stated.get("tempo")
    if draw.chance(0.5):
        going, go = (spoken_participle(draw, motion, tempo), spoken_infinitive(draw, motion, tempo))
    else:
        go, going = draw.choice(inside.MOTION_TAILS[motion])
        tail = f", {draw.choice(inside.TEMPO_TAILS[tempo])}" if tempo else ""
        go, going = go + tail, going + tail
    return moving_text(draw, known_phrase(draw, "video", looks), go, going)


def moving_text(draw: Draw, phrase: str, go: str, going: str) -> str:
    """A request for a video of what a phrase names, in which it moves."""
    if draw.chance(0.4):
        return RULES["video"].expand(draw, "moving", {"x0": phrase, "go": go, "going": going})
    frames = unknown.MOTION_FRAMES if draw.chance(0.3) else outside.MORE_MOTION_FRAMES
    text = draw.choice(frames).replace("{x}", phrase)
    return tidy(text.replace("{i}", go).replace("{p}", going))


def odd_noun_only(draw: Draw, thing: str) -> str:
    """A noun for a thing that bears adjectives."""
    nouns = inside.ODD_NOUNS[thing] if draw.chance(0.3) else (value_phrase("thing", thing),)
    return draw.choice(nouns)


def colored(draw: Draw, noun: str, color: str) -> str:
    """A phrase of a thing in a color, whether the Toybox has it or not."""
    return tidy(draw.choice(outside.COLORED).replace("{n}", noun).replace("{c}", color))
