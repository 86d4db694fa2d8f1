"""What people type: requests for media, edits and questions."""

from __future__ import annotations

from collections.abc import Sequence

from anymodal.toybox.grammar.loose_requests import loose_about, loose_described, loose_named
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
    Draw,
    Facts,
    infinitive,
    look,
    participle,
    plain_value,
    show,
    sound,
    typed,
)
from anymodal.toybox.scene import TEMPOS

_LOOSE = 0.35
"""How many requests follow no fixed form."""


def _polite(draw: Draw, verb: str, *, follow: bool = False) -> str:
    if follow and draw.chance(0.6):
        return draw.one(FOLLOW) + verb
    form = draw.one(POLITE)
    if "for me" in form and any(word in verb for word in (",", " me ", " that ")):
        form = "{v}"
    text = form.replace("{v}", verb)
    return draw.one(GREETINGS) + text if not follow and draw.chance(0.06) else text


def _article(noun: str) -> str:
    return f"a {noun}"


def make_request(draw: Draw, modality: str, said: Facts) -> str:
    """A request for a medium of a thing that the words name."""
    if draw.chance(_LOOSE):
        phrase = (sound if modality == "audio" else show)(draw, said, compact=True)
        return typed(draw, loose_named(draw, modality, phrase))
    moves = said.get("motion", "still") != "still"
    verb = draw.chance(0.65)
    forms = MAKE_VERBS[modality] if verb else WANT[modality]
    if modality == "video" and moves and draw.chance(0.3):
        verb, forms = True, SHOW_MOVING
    form = draw.one(forms)
    inner = not form.endswith("{x}")
    phrase = (sound if modality == "audio" else show)(draw, said, compact=inner)
    text = form.replace("{x}", phrase)
    return typed(draw, _polite(draw, text) if verb else text)


def edit_request(draw: Draw, modality: str, said: Facts, *, follow: bool) -> str:
    """A request to change one thing, or a motion and its tempo, where the modality stays."""
    names = set(said)
    if names == {"color"}:
        text = draw.one(EDIT_COLOR).replace("{v}", said["color"])
    elif names == {"size"}:
        text = _edit_size(draw, modality, said["size"])
    elif names == {"tempo"}:
        other = TEMPOS[1 - TEMPOS.index(said["tempo"])]
        text = draw.one(EDIT_TEMPO).replace("{more}", draw.one(MORE_TEMPO[said["tempo"]]))
        text = text.replace("{v}", draw.one(TEMPO_WORDS[said["tempo"]])).replace("{other}", other)
    elif "motion" in names:
        text = motion_request(draw, said["motion"], said.get("tempo"))
    else:
        phrase = _article(plain_value("thing", said["thing"]))
        text = draw.one(EDIT_THING).replace("{x}", phrase)
    return typed(draw, _followed(draw, text) if follow else text)


def _edit_size(draw: Draw, modality: str, size: str) -> str:
    if modality == "audio" and draw.chance(0.6):
        return draw.one(EDIT_PITCH).replace("{more}", draw.one(MORE_PITCH[size]))
    text = draw.one(EDIT_SIZE).replace("{more}", draw.one(MORE_SIZE[size]))
    return text.replace("{v}", draw.one(SIZE_WORDS[size]))


def motion_request(draw: Draw, motion: str, tempo: str | None) -> str:
    """A request that something move so, as "make it bounce slowly"."""
    form = draw.one(EDIT_MOTION)
    if "{ing}" in form:
        return form.replace("{ing}", participle(draw, motion, tempo))
    return form.replace("{v}", infinitive(draw, motion, tempo))


def _followed(draw: Draw, text: str) -> str:
    alone = text.startswith(("now ", "and ", "too ", "that ", "not ", "i ", "i'd ", "please "))
    return text if alone else draw.one(FOLLOW) + text


def it_request(
    draw: Draw, given: str, wanted: str, said: Facts, *, follow: bool, moving: bool = False
) -> str:
    """A request for a medium of the thing in another medium, with what should be different.

    Args:
        draw: chance.
        given: modality of the medium at hand.
        wanted: modality to be made.
        said: the attributes that the words tell.
        follow: the medium at hand was made in the turn before.
        moving: whether the words may ask for a video by asking for motion alone.
    """
    same = given == wanted
    only = set(said)
    if same and said and (len(only) == 1 or only == {"motion", "tempo"}) and draw.chance(0.7):
        return edit_request(draw, wanted, said, follow=follow)
    if moving and "motion" in only and only <= {"motion", "tempo"} and draw.chance(0.5):
        text = motion_request(draw, said["motion"], said.get("tempo"))
        return typed(draw, _followed(draw, text) if follow else text)
    if "thing" in said:
        return _thing_request(draw, wanted, said, follow=follow)
    text, polite = _it_base(draw, given, wanted, same, follow)
    if said:
        text = _with_changes(draw, text, changes(draw, wanted, said), same)
    if polite:
        text = _polite(draw, text, follow=follow)
    elif follow:
        text = _followed(draw, text)
    return typed(draw, text)


def _it_base(draw: Draw, given: str, wanted: str, same: bool, follow: bool) -> tuple[str, bool]:
    """The bare request, and whether it may be wrapped in politeness."""
    if not same and draw.chance(_LOOSE):
        return loose_about(draw, given, wanted, follow=follow), False
    questions = IT_QUESTIONS.get((given, wanted), ())
    if questions and draw.chance(0.35):
        return draw.one(questions), False
    if not same and draw.chance(0.15):
        return draw.one(IT_WANTS[wanted]), False
    pools: list[Sequence[str]] = [AGAIN_VERBS[wanted] if same else IT_VERBS[wanted]]
    if not follow:
        pools.append(GIVEN_VERBS[given, wanted])
    elif same:
        pools.append(IT_VERBS[wanted])
    return draw.one(draw.one(pools)), True


def _with_changes(draw: Draw, text: str, change: str, same: bool) -> str:
    joint = draw.one((", ", ", but ", ", only ") if same else (", ", ", ", ", but "))
    if text.endswith("?"):
        return f"{text[:-1]}{joint}{change}?"
    return f"{text}{joint}{change}"


def changes(draw: Draw, wanted: str, said: Facts) -> str:
    """What should be different, as a list: "small, in red and moving left"."""
    items = []
    if "color" in said:
        items.append(draw.one((f"in {said['color']}", said["color"])))
    if "size" in said:
        words = PITCH_WORDS if wanted == "audio" and draw.chance(0.3) else SIZE_WORDS
        items.append(draw.one(words[said["size"]]))
    if "motion" in said:
        items.append(participle(draw, said["motion"], said.get("tempo")))
    elif "tempo" in said:
        tempo = draw.one(TEMPO_WORDS[said["tempo"]])
        items.append(draw.one((tempo, f"at a {tempo} pace")))
    items = draw.shuffled(items)
    return ", ".join(items[:-1]) + (" and " if len(items) > 1 else "") + items[-1]


def _thing_request(draw: Draw, wanted: str, said: Facts, *, follow: bool) -> str:
    phrase = (sound if wanted == "audio" else show)(draw, said, compact=True)
    if draw.chance(0.5):
        return typed(draw, draw.one(EDIT_THING).replace("{x}", phrase))
    text = draw.one(FIRST_VERBS[wanted]).replace("{x}", phrase) + " instead"
    return typed(draw, _polite(draw, text, follow=follow))


def like_this_request(draw: Draw, modality: str, said: Facts) -> str:
    """A request for a medium of a named thing that takes the rest from a felt movement."""
    facts = {name: value for name, value in said.items() if name in ("thing", "size", "color")}
    phrase = (sound if modality == "audio" else look)(draw, facts, compact=True)
    return typed(draw, _polite(draw, draw.one(LIKE_THIS[modality]).replace("{x}", phrase)))


def move_picture_request(draw: Draw, said: Facts) -> str:
    """A request to move a given picture like a given movement."""
    text = draw.one(MOVE_PICTURE)
    if said:
        text += draw.one((", but ", ", ")) + changes(draw, "video", said)
    return typed(draw, _polite(draw, text))


def several_request(draw: Draw, modalities: Sequence[str], said: Facts) -> str:
    """A request for several media in one answer, in an order."""
    if draw.chance(0.5):
        nouns = [draw.one(MEDIA_NOUNS[modality]) for modality in modalities]
        form = draw.one(SEVERAL)
        phrase = show(draw, said, compact=not form.endswith("{x}"))
        return typed(draw, form.replace("{list}", _listed(nouns)).replace("{x}", phrase))
    # The motion is said with the video, as "draw a ball, play its sound and film it moving left".
    later = {
        name: said[name] for name in ("motion", "tempo") if name in said and "video" in modalities
    }
    if said.get("motion") == "still" or modalities[0] == "video" or draw.chance(0.4):
        later = {}
    first = {name: value for name, value in said.items() if name not in later}
    verbs = [draw.one(FIRST_VERBS[modalities[0]]).replace("{x}", show(draw, first, compact=True))]
    for modality in modalities[1:]:
        verb = draw.one(NEXT_VERBS[modality])
        if later and modality == "video":
            verb += f" {participle(draw, later['motion'], later.get('tempo'))}"
        verbs.append(verb)
    return typed(draw, _polite(draw, _listed(verbs, draw.one((" and ", ", then ", " and then ")))))


def _listed(items: Sequence[str], last: str = " and ") -> str:
    return ", ".join(items[:-1]) + last + items[-1]


def describe_request(draw: Draw, modality: str) -> str:
    """A request to say what a medium shows."""
    if draw.chance(_LOOSE):
        return typed(draw, loose_described(draw, modality))
    forms = DESCRIBE_IT["any"] if draw.chance(0.5) else DESCRIBE_IT[modality]
    return typed(draw, draw.one(forms))


def question(draw: Draw, modality: str, name: str) -> str:
    """A question about one attribute of something at hand."""
    strength = modality == "imu" and name == "size"
    return typed(draw, draw.one(ASK_STRENGTH if strength else ASK[name]))


def yes_no_question(draw: Draw, name: str, value: str) -> str:
    """A question whether an attribute has a value."""
    text = plain_value(name, value)
    if name == "thing":
        text = _article(text)
    forms = (
        "is it {v}?", "is it {v}?", "is this {v}?", "would you say it is {v}?",
        "it is {v}, is it not?",
    )  # fmt: skip
    return typed(draw, draw.one(forms).replace("{v}", text))
