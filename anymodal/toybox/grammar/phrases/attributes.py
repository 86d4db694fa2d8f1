"""Words of attributes, noun phrases and descriptions of the Toybox's language."""

from __future__ import annotations

Words = tuple[str, ...]

# --- words of attributes -------------------------------------------------------------------------

NOUNS = {"rain": "rain cloud"}
"""Nouns of things whose name is none."""

SIZE_WORDS: dict[str, Words] = {
    "small": ("small", "small", "small", "little", "tiny"),
    "big": ("big", "big", "big", "large", "huge"),
}
PITCH_WORDS: dict[str, Words] = {"small": ("high",), "big": ("low", "deep")}
STRENGTH_WORDS: dict[str, Words] = {
    "small": ("small", "small", "gentle", "weak"),
    "big": ("big", "big", "strong", "large"),
}
TEMPO_WORDS: dict[str, Words] = {"slow": ("slow",), "fast": ("fast", "fast", "quick", "rapid")}
TEMPO_ADVERBS: dict[str, Words] = {
    "slow": ("slowly",),
    "fast": ("quickly", "quickly", "rapidly"),
}
MORE_SIZE: dict[str, Words] = {"small": ("smaller",), "big": ("bigger", "larger")}
MORE_PITCH: dict[str, Words] = {"small": ("higher",), "big": ("lower", "deeper")}
MORE_TEMPO: dict[str, Words] = {"slow": ("slower",), "fast": ("faster", "quicker")}

VERB_FORMS = {
    "move": ("moving", "moves"),
    "go": ("going", "goes"),
    "slide": ("sliding", "slides"),
    "come": ("coming", "comes"),
    "rise": ("rising", "rises"),
    "sink": ("sinking", "sinks"),
    "shake": ("shaking", "shakes"),
    "tremble": ("trembling", "trembles"),
    "bounce": ("bouncing", "bounces"),
}
"""Infinitive to participle and third person."""

_SIDEWAYS = ("move", "move", "go", "slide")
GO: dict[str, tuple[tuple[str, str], ...]] = {
    "left": tuple((v, w) for v in _SIDEWAYS for w in ("left", "to the left")),
    "right": tuple((v, w) for v in _SIDEWAYS for w in ("right", "to the right")),
    "up": (("move", "up"), ("go", "up"), ("rise", "")),
    "down": (("move", "down"), ("go", "down"), ("sink", "")),
    "toward": (
        ("move", "toward us"),
        ("come", "toward us"),
        ("come", "closer"),
        ("move", "closer"),
        ("come", "toward me"),
    ),
    "shake": (("shake", ""), ("shake", ""), ("tremble", "")),
    "bounce": (("bounce", ""),),
}
"""Verb and direction of each motion but rest."""

STILL_TAILS = (", still", " standing still", " not moving", " that does not move",
               " that stays still", " at rest", ", not moving", " that stands still")  # fmt: skip
STILL_VERBS = ("stand still", "stay still", "stop moving")

MOVEMENT_WAYS: dict[str, Words] = {
    "left": ("to the left",),
    "right": ("to the right",),
    "up": ("up",),
    "down": ("down",),
    "toward": ("toward us", "toward me", "closer"),
}

# --- noun phrases: {size} {color} {tempo} {adv} {pitch} {noun} -----------------------------------

LOOKS: dict[Words, Words] = {
    (): ("a {noun}",),
    ("size",): ("a {size} {noun}", "a {size} {noun}", "a {noun} that is {size}", "a {noun}, {size}"),
    ("color",): ("a {color} {noun}", "a {color} {noun}", "a {noun} in {color}",
                 "a {noun} that is {color}", "a {noun}, {color}"),
    ("color", "size"): (
        "a {size} {color} {noun}", "a {size} {color} {noun}", "a {size} {color} {noun}",
        "a {size} {noun} in {color}", "a {color} {noun}, {size}", "a {size} {noun}, {color}",
        "a {noun}, {size} and {color}", "a {noun} that is {size} and {color}",
        "a {noun}, {color} and {size}", "a {color} {noun} that is {size}",
        "a {size} {noun} that is {color}",
    ),
}  # fmt: skip
"""Words for a thing's looks; the first of each is the compact form."""

SOUNDS: dict[Words, Words] = {
    (): ("a {noun}",),
    ("size",): ("a {size} {noun}", "a {size} {noun}", "a {noun} that is {size}", "a {pitch} {noun}",
                "a {noun} with a {pitch} sound"),
    ("tempo",): ("a {tempo} {noun}", "a {noun}, {tempo}", "a {noun} at a {tempo} pace",
                 "a {noun} with a {tempo} beat"),
    ("size", "tempo"): (
        "a {tempo} {size} {noun}", "a {size} {noun}, {tempo}", "a {size} {noun}, {tempo}",
        "a {size} {noun} at a {tempo} pace", "a {size} {noun} with a {tempo} beat",
        "a {noun}, {size} and {tempo}", "a {noun}, {tempo} and {size}",
        "a {pitch} {noun}, {tempo}", "a {noun} with a {pitch} sound, {tempo}",
        "a {tempo} {noun} with a {pitch} sound", "a {size} {tempo} {noun}",
    ),
}  # fmt: skip
"""Words for a thing's sound; the first of each is the compact form."""

MOVEMENTS: Words = (
    "a {size} {tempo} {move}", "a {size} {tempo} {move}", "a {tempo} {size} {move}",
    "a {tempo} {move}, {size}", "a {size} {move}, {tempo}", "a {move}, {size} and {tempo}",
    "a {move} that is {size} and {tempo}", "a {tempo} and {size} {move}",
)  # fmt: skip
NO_MOVEMENT: Words = ("no movement", "no movement", "nothing that moves", "something at rest")

# --- descriptions ({x} is a phrase from above) ---------------------------------------------------

DESCRIBE: dict[str, Words] = {
    "image": (
        "This is {x}.", "I see {x}.", "It is {x}.", "The picture shows {x}.", "{x}.",
        "There is {x} in the picture.", "This is a picture of {x}.", "You can see {x}.",
        "That is {x}.", "It shows {x}.", "I think it is {x}.", "In the picture there is {x}.",
        "Here I see {x}.", "This picture is of {x}.", "It looks like {x}.", "What I see is {x}.",
    ),
    "audio": (
        "This is the sound of {x}.", "I hear {x}.", "It is {x}.", "It sounds like {x}.", "{x}.",
        "The sound of {x}.", "That is the sound of {x}.", "You can hear {x}.", "That is {x}.",
        "I think it is {x}.", "This sounds like {x}.", "What I hear is {x}.", "Here I hear {x}.",
        "The sound is that of {x}.", "There is {x} in the sound.", "It must be {x}.",
    ),
    "video": (
        "This is {x}.", "I see {x}.", "It is {x}.", "The video shows {x}.", "{x}.",
        "There is {x} in the video.", "This is a video of {x}.", "You can see {x}.",
        "The clip shows {x}.", "It shows {x}.", "I think it is {x}.", "In the video I see {x}.",
        "Here I see {x}.", "This clip is of {x}.", "It looks like {x}.", "What I see is {x}.",
    ),
    "imu": (
        "This is {x}.", "I feel {x}.", "It is {x}.", "It feels like {x}.", "{x}.",
        "That is {x}.", "There is {x}.", "I think it is {x}.", "This feels like {x}.",
        "What I feel is {x}.", "Here I feel {x}.", "You can feel {x}.", "I notice {x}.",
        "It was {x}.", "That must be {x}.", "There was {x}.",
    ),
    "text": (
        "There is {x}.", "It is {x}.", "You said {x}.", "It was {x}.", "{x}.", "This is {x}.",
        "I think it is {x}.", "You told me of {x}.", "That is {x}.", "I think of {x}.",
        "You spoke of {x}.", "As you said, {x}.", "That was {x}.", "It must be {x}.",
        "What you said is {x}.", "We talk about {x}.",
    ),
}  # fmt: skip
