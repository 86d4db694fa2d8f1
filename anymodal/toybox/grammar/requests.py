"""User messages: requests for media, edits and questions, from templates."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.loose_requests import (
    loose_conversion_request,
    loose_describe_request,
    loose_generate_request,
)
from anymodal.toybox.grammar.phrases.attributes import (
    MORE_PITCH,
    MORE_SIZE,
    MORE_TEMPO,
    PITCH_WORDS,
    SIZE_WORDS,
    TEMPO_WORDS,
)
from anymodal.toybox.grammar.phrases.questions import ASK, ASK_STRENGTH, DESCRIBE_IT
from anymodal.toybox.grammar.phrases.requests import (
    AGAIN_VERBS,
    EDIT_COLOR,
    EDIT_MOTION,
    EDIT_PITCH,
    EDIT_SIZE,
    EDIT_TEMPO,
    EDIT_THING,
    FIRST_VERBS,
    FOLLOW,
    GIVEN_VERBS,
    GREETINGS,
    IT_QUESTIONS,
    IT_VERBS,
    IT_WANTS,
    LIKE_THIS,
    MAKE_VERBS,
    MEDIA_NOUNS,
    MOVE_PICTURE,
    NEXT_VERBS,
    POLITE,
    SEVERAL,
    SHOW_MOVING,
    WANT,
)
from anymodal.toybox.grammar.words import (
    Attributes,
    Draw,
    as_typed,
    infinitive,
    look_phrase,
    noun_phrase,
    participle,
    sound_phrase,
    value_phrase,
    visual_phrase,
)
from anymodal.toybox.scene import TEMPOS

_LOOSE = 0.35
"""The share of requests that are put together freely, by `loose_requests`."""


def _polite(draw: Draw, verb: str, *, follow: bool = False) -> str:
    if follow and draw.chance(0.6):
        return draw.choice(FOLLOW) + verb
    template = draw.choice(POLITE)
    # "draw me a ball for me" and "draw it, but red for me" aren't English.
    if "for me" in template and any(word in verb for word in (",", " me ", " that ")):
        template = "{v}"
    text = template.replace("{v}", verb)
    return draw.choice(GREETINGS) + text if not follow and draw.chance(0.06) else text


def generate_request(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A request for a media item of a thing that the words name."""
    if draw.chance(_LOOSE):
        phrase = noun_phrase(draw, modality, attributes, compact=True)
        return as_typed(draw, loose_generate_request(draw, modality, phrase))
    moves = attributes.get("motion", "still") != "still"
    verb = draw.chance(0.65)
    templates = MAKE_VERBS[modality] if verb else WANT[modality]
    # "show me a ball moving left" asks for a video; of a ball at rest it would ask for an image.
    if modality == "video" and moves and draw.chance(0.3):
        verb, templates = True, SHOW_MOVING
    template = draw.choice(templates)
    inner = not template.endswith("{x}")
    phrase = noun_phrase(draw, modality, attributes, compact=inner)
    text = template.replace("{x}", phrase)
    return as_typed(draw, _polite(draw, text) if verb else text)


def edit_request(draw: Draw, modality: str, attributes: Attributes, *, follow: bool) -> str:
    """A request to change one thing, or a motion and its tempo, where the modality stays."""
    names = set(attributes)
    if names == {"color"}:
        text = draw.choice(EDIT_COLOR).replace("{v}", attributes["color"])
    elif names == {"size"}:
        text = _edit_size(draw, modality, attributes["size"])
    elif names == {"tempo"}:
        text = _edit_tempo(draw, attributes["tempo"])
    elif "motion" in names:
        text = motion_request(draw, attributes["motion"], attributes.get("tempo"))
    else:
        phrase = f"a {value_phrase('thing', attributes['thing'])}"
        text = draw.choice(EDIT_THING).replace("{x}", phrase)
    return as_typed(draw, _with_follow_up(draw, text) if follow else text)


def _edit_size(draw: Draw, modality: str, size: str) -> str:
    if modality == "audio" and draw.chance(0.6):
        return draw.choice(EDIT_PITCH).replace("{more}", draw.choice(MORE_PITCH[size]))
    text = draw.choice(EDIT_SIZE).replace("{more}", draw.choice(MORE_SIZE[size]))
    return text.replace("{v}", draw.choice(SIZE_WORDS[size]))


def _edit_tempo(draw: Draw, tempo: str) -> str:
    text = draw.choice(EDIT_TEMPO).replace("{more}", draw.choice(MORE_TEMPO[tempo]))
    text = text.replace("{v}", draw.choice(TEMPO_WORDS[tempo]))
    # "not so fast" names the tempo to be left.
    return text.replace("{other}", TEMPOS[1 - TEMPOS.index(tempo)])


def motion_request(draw: Draw, motion: str, tempo: str | None) -> str:
    """A request for a motion, as "make it bounce slowly"."""
    template = draw.choice(EDIT_MOTION)
    if "{ing}" in template:
        return template.replace("{ing}", participle(draw, motion, tempo))
    return template.replace("{v}", infinitive(draw, motion, tempo))


def _with_follow_up(draw: Draw, text: str) -> str:
    # "and now" before "please make it red" or "not so fast" reads badly.
    alone = text.startswith(("now ", "and ", "too ", "that ", "not ", "i ", "i'd ", "please "))
    return text if alone else draw.choice(FOLLOW) + text


def conversion_request(
    draw: Draw,
    source: str,
    target: str,
    attributes: Attributes,
    *,
    follow: bool,
    moving: bool = False,
) -> str:
    """A request for another media item of the thing in one at hand, with changes.

    Args:
        draw: random draws.
        source: modality of the item at hand.
        target: modality to generate.
        attributes: those that the words state.
        follow: the item at hand was generated in the turn before.
        moving: whether the words may ask for a video by asking for motion alone.
    """
    same = source == target
    only = set(attributes)
    # One change of the same item is an edit, mostly; a new thing replaces the old one.
    if same and attributes and (len(only) == 1 or only == {"motion", "tempo"}) and draw.chance(0.7):
        return edit_request(draw, target, attributes, follow=follow)
    if moving and "motion" in only and only <= {"motion", "tempo"} and draw.chance(0.5):
        text = motion_request(draw, attributes["motion"], attributes.get("tempo"))
        return as_typed(draw, _with_follow_up(draw, text) if follow else text)
    if "thing" in attributes:
        return _thing_request(draw, target, attributes, follow=follow)
    text, polite = _base_request(draw, source, target, same, follow)
    if attributes:
        text = _with_changes(draw, text, changes(draw, target, attributes), same)
    if polite:
        text = _polite(draw, text, follow=follow)
    elif follow:
        text = _with_follow_up(draw, text)
    return as_typed(draw, text)


def _base_request(
    draw: Draw, source: str, target: str, same: bool, follow: bool
) -> tuple[str, bool]:
    """The request without changes, and whether polite words may stand around it."""
    if not same and draw.chance(_LOOSE):
        return loose_conversion_request(draw, source, target, follow=follow), False
    questions = IT_QUESTIONS.get((source, target), ())
    if questions and draw.chance(0.35):
        return draw.choice(questions), False
    if not same and draw.chance(0.15):
        return draw.choice(IT_WANTS[target]), False
    # Drawn pool first, then template, so that a small pool comes as often as a large one.
    pools: list[Sequence[str]] = [AGAIN_VERBS[target] if same else IT_VERBS[target]]
    if not follow:
        pools.append(GIVEN_VERBS[source, target])
    elif same:
        pools.append(IT_VERBS[target])
    return draw.choice(draw.choice(pools)), True


def _with_changes(draw: Draw, text: str, change: str, same: bool) -> str:
    # To copy an item with a change is a contrast more often than to convert it with one.
    joint = draw.choice((", ", ", but ", ", only ") if same else (", ", ", ", ", but "))
    if text.endswith("?"):
        return f"{text[:-1]}{joint}{change}?"
    return f"{text}{joint}{change}"


def changes(draw: Draw, target: str, attributes: Attributes) -> str:
    """Changed attributes as a list: "small, in red and moving left"."""
    items = []
    if "color" in attributes:
        items.append(draw.choice((f"in {attributes['color']}", attributes["color"])))
    if "size" in attributes:
        words = PITCH_WORDS if target == "audio" and draw.chance(0.3) else SIZE_WORDS
        items.append(draw.choice(words[attributes["size"]]))
    if "motion" in attributes:
        items.append(participle(draw, attributes["motion"], attributes.get("tempo")))
    elif "tempo" in attributes:
        tempo = draw.choice(TEMPO_WORDS[attributes["tempo"]])
        items.append(draw.choice((tempo, f"at a {tempo} pace")))
    items = draw.shuffled(items)
    return ", ".join(items[:-1]) + (" and " if len(items) > 1 else "") + items[-1]


def _thing_request(draw: Draw, target: str, attributes: Attributes, *, follow: bool) -> str:
    phrase = noun_phrase(draw, target, attributes, compact=True)
    if draw.chance(0.5):
        return as_typed(draw, draw.choice(EDIT_THING).replace("{x}", phrase))
    text = draw.choice(FIRST_VERBS[target]).replace("{x}", phrase) + " instead"
    return as_typed(draw, _polite(draw, text, follow=follow))


def imu_conditioned_request(draw: Draw, modality: str, attributes: Attributes) -> str:
    """A request for a media item of a named thing, the rest being taken from an IMU recording."""
    # Motion and tempo are the recording's, so the words must not state any.
    looks = {
        name: value for name, value in attributes.items() if name in ("thing", "size", "color")
    }
    phrase = (sound_phrase if modality == "audio" else look_phrase)(draw, looks, compact=True)
    return as_typed(draw, _polite(draw, draw.choice(LIKE_THIS[modality]).replace("{x}", phrase)))


def animate_request(draw: Draw, attributes: Attributes) -> str:
    """A request to animate a given image by a given IMU recording."""
    text = draw.choice(MOVE_PICTURE)
    if attributes:
        text += draw.choice((", but ", ", ")) + changes(draw, "video", attributes)
    return as_typed(draw, _polite(draw, text))


def multi_media_request(draw: Draw, modalities: Sequence[str], attributes: Attributes) -> str:
    """A request for several media in one reply, in an order."""
    if draw.chance(0.5):
        nouns = [draw.choice(MEDIA_NOUNS[modality]) for modality in modalities]
        template = draw.choice(SEVERAL)
        phrase = visual_phrase(draw, attributes, compact=not template.endswith("{x}"))
        return as_typed(draw, template.replace("{list}", _join_words(nouns)).replace("{x}", phrase))
    # Motion is stated with the video, as "draw a ball, play its sound and film it moving left".
    later = {
        name: attributes[name]
        for name in ("motion", "tempo")
        if name in attributes and "video" in modalities
    }
    if attributes.get("motion") == "still" or modalities[0] == "video" or draw.chance(0.4):
        later = {}
    first = {name: value for name, value in attributes.items() if name not in later}
    template = draw.choice(FIRST_VERBS[modalities[0]])
    verbs = [template.replace("{x}", visual_phrase(draw, first, compact=True))]
    for modality in modalities[1:]:
        verb = draw.choice(NEXT_VERBS[modality])
        if later and modality == "video":
            verb += f" {participle(draw, later['motion'], later.get('tempo'))}"
        verbs.append(verb)
    text = _join_words(verbs, draw.choice((" and ", ", then ", " and then ")))
    return as_typed(draw, _polite(draw, text))


def _join_words(items: Sequence[str], last: str = " and ") -> str:
    return ", ".join(items[:-1]) + last + items[-1]


def describe_request(draw: Draw, modality: str) -> str:
    """A request to describe a media item."""
    if draw.chance(_LOOSE):
        return as_typed(draw, loose_describe_request(draw, modality))
    templates = DESCRIBE_IT["any"] if draw.chance(0.5) else DESCRIBE_IT[modality]
    return as_typed(draw, draw.choice(templates))


def question(draw: Draw, modality: str, name: str) -> str:
    """A question about one attribute."""
    strength = modality == "imu" and name == "size"  # a recording has no size to ask for
    return as_typed(draw, draw.choice(ASK_STRENGTH if strength else ASK[name]))


def yes_no_question(draw: Draw, name: str, value: str) -> str:
    """A question whether an attribute has a value."""
    text = value_phrase(name, value)
    if name == "thing":
        text = f"a {text}"
    templates = (
        "is it {v}?", "is it {v}?", "is this {v}?", "would you say it is {v}?",
        "it is {v}, is it not?",
    )  # fmt: skip
    return as_typed(draw, draw.choice(templates).replace("{v}", text))
