"""Requests in words that the training grammar doesn't have, to test with and never to train on.

None shares a template with `phrases`; the scenes and the answers are those of the same cells.
"""

from __future__ import annotations

import re

import numpy as np

from anymodal.toybox.grammar.builder import DialogueBuilder
from anymodal.toybox.grammar.normalized import normalize_text
from anymodal.toybox.grammar.scenes import SceneSampler
from anymodal.toybox.grammar.types import ReferenceDialogue
from anymodal.toybox.grammar.words import Draw, noun_phrase

NAMED: dict[str, tuple[str, ...]] = {
    "image": (
        "put {x} on paper for me", "i feel like looking at {x}, can you paint that?",
        "my wall is empty, so hang up a picture with {x} on it", "how would you draw {x}?",
        "picture time: {x}!", "get your brush and paint {x}", "what i want to look at is {x}",
        "one drawing, and on it {x}", "would a picture of {x} be possible?",
        "surprise my son with a painting of {x}",
    ),
    "audio": (
        "i have never heard {x}, let me listen", "my ears want {x}", "fill the room with {x}",
        "which noise comes from {x}? let it sound", "if {x} were here, what would i hear?",
        "let us listen to {x} together", "turn the speaker on and play {x}",
        "i would like to listen to {x} now", "one sound, please: {x}",
    ),
    "video": (
        "i would like to watch {x}", "let us watch a short film of {x}",
        "take your camera and film {x}", "put {x} on the screen, as a video",
        "could there be a little movie with {x} in it?", "what would a video of {x} look like?",
        "a short clip, and in it {x}", "i have time to watch a film of {x}",
    ),
}  # fmt: skip
"""Requests for a medium of a thing that the words name."""

GIVEN: dict[tuple[str, str], tuple[str, ...]] = {
    ("image", "text"): ("i can't see well, what did i send you?", "what would you call this?",
                        "give me a sentence about this picture", "and what might this be?",
                        "please tell a blind friend what is in this picture"),
    ("audio", "text"): ("what was that noise?", "my ears are bad, what is playing?",
                        "who or what is making that sound?", "give me a sentence about this sound",
                        "listen, and tell me what it could be"),
    ("video", "text"): ("i missed it, what happened?", "sum up this clip for me",
                        "watch this and tell me about it", "give me a sentence about this video",
                        "what is the film about?"),
    ("imu", "text"): ("i moved my phone, how did it move?", "what did my hand do?",
                      "can you tell which way i moved?", "give me a sentence about this movement",
                      "guess the movement"),
    ("image", "audio"): ("if this picture could make a noise, which one?",
                         "i wonder how that sounds, play it", "let this thing make its noise"),
    ("image", "video"): ("wake this picture up, as a video", "i would like to watch this on film",
                         "let this picture become a short film"),
    ("audio", "image"): ("who makes this noise? paint it for me", "what do you imagine? draw it",
                         "close your eyes, listen, and paint what comes to mind"),
    ("audio", "video"): ("listen to this and film the thing that you hear",
                         "i want to watch the thing that makes this noise on video"),
    ("video", "image"): ("take one picture out of this film", "pause the video and draw that",
                         "give me a still picture of the thing in the film"),
    ("video", "audio"): ("this film has no sound, so add it",
                         "the video is silent, what is its noise?",
                         "let me listen to the thing in the film"),
}  # fmt: skip
"""Questions about a medium, and requests for another medium of the same thing."""


def is_paraphrase(text: str) -> bool:
    """True for a request in one of these forms, whatever it names and however it is typed."""
    return _FORMS.fullmatch(normalize_text(text)) is not None


def _pattern(form: str) -> str:
    """A regular expression of the normal form of a request's form."""
    return normalize_text(form.replace("{x}", "slotofathing")).replace("slotofathing", ".+")


_FORMS = re.compile(
    "|".join(
        _pattern(form) for table in (NAMED, GIVEN) for forms in table.values() for form in forms
    )
)


def sample_paraphrase(rng: np.random.Generator, *, unseen: bool = False) -> ReferenceDialogue:
    """Sample a conversation of one turn whose request is in none of the grammar's templates."""
    scenes = SceneSampler(Draw(rng), unseen)
    # Three options for each target in words, or requests about given media would be most of them.
    options = [("text", target) for target in NAMED for _ in range(3)] + list(GIVEN)
    source, target = scenes.choice(options)
    if source == "text":
        return _generation(scenes, target)
    return _about_media(scenes, source, target)


def _generation(scenes: SceneSampler, target: str) -> ReferenceDialogue:
    builder = DialogueBuilder(scenes)
    scene = scenes.sample((target,))
    scene, attributes = scenes.omit_defaults(scene, scene.observable(target), (target,), (target,))
    phrase = noun_phrase(scenes, target, attributes, compact=True)
    builder.add_request(scenes.choice(NAMED[target]).replace("{x}", phrase))
    builder.add_media_reply([scenes.media_item(scene, target)])
    return builder.build("paraphrase")


def _about_media(scenes: SceneSampler, source: str, target: str) -> ReferenceDialogue:
    builder = DialogueBuilder(scenes)
    scene = scenes.sample((source,) if target == "text" else (source, target))
    item = scenes.media_item(scene, source)
    builder.add_request(scenes.choice(GIVEN[source, target]), [item])
    if target == "text":
        builder.add_description(item.attributes, source)
        return builder.build("paraphrase", item.attributes)
    result = scenes.media_item(scene, target)
    builder.add_media_reply([result])
    # Nothing states the attributes that the given item doesn't show, so any value is right.
    expected = {n: value for n, value in result.attributes.items() if n in item.attributes}
    builder.answers[-1] = (expected,)
    return builder.build("paraphrase", expected)
