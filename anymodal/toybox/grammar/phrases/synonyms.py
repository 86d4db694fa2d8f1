"""Other words that people use for the values of attributes. Replies never use them."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

COLOR_SYNONYMS: dict[str, Words] = {
    "red": ("crimson", "scarlet", "ruby", "bright red", "dark red", "reddish", "blood red"),
    "orange": ("bright orange", "dark orange", "tangerine", "pumpkin orange", "orangey"),
    "yellow": ("bright yellow", "lemon yellow", "canary yellow", "sunny yellow", "yellowish"),
    "green": ("emerald", "bright green", "dark green", "grass green", "lime green", "greenish"),
    "cyan": ("turquoise", "aqua", "bright cyan", "aquamarine"),
    "blue": ("navy", "navy blue", "dark blue", "royal blue", "bright blue", "cobalt"),
    "purple": ("violet", "lilac", "lavender", "dark purple", "bright purple"),
    "pink": ("hot pink", "bright pink", "rosy", "bubblegum pink", "pinkish"),
}
SIZE_SYNONYMS: dict[str, Words] = {
    "small": ("mini", "wee", "teeny", "teeny tiny", "miniature", "itty bitty", "smallish", "very small",
              "really tiny", "little bitty", "minuscule", "pretty small", "super small"),
    "big": ("giant", "enormous", "massive", "gigantic", "great big", "jumbo", "really big", "very big",
            "humongous", "mighty big", "super big", "ginormous", "pretty big", "extra large"),
}  # fmt: skip
PITCH_SYNONYMS: dict[str, Words] = {
    "small": ("high-pitched", "squeaky", "shrill", "very high"),
    "big": ("low-pitched", "bassy", "very deep", "really low"),
}
TEMPO_SYNONYMS: dict[str, Words] = {
    "slow": ("leisurely", "unhurried", "sluggish", "very slow", "really slow"),
    "fast": ("speedy", "swift", "very fast", "super fast", "really quick", "hasty"),
}
ADVERB_SYNONYMS: dict[str, Words] = {
    "slow": (
        "slowly",
        "really slowly",
        "very slowly",
        "at a slow pace",
        "in slow motion",
        "sluggishly",
    ),
    "fast": (
        "quickly",
        "fast",
        "really fast",
        "super fast",
        "at high speed",
        "swiftly",
        "in a hurry",
    ),
}
NOUN_SYNONYMS: dict[str, Words] = {
    "ball": ("ball", "toy ball", "beach ball"),
    "bell": ("bell", "church bell", "hand bell", "doorbell"),
    "bird": ("bird", "birdie", "songbird"),
    "bee": ("bee", "honeybee", "bumblebee"),
    "clock": ("clock", "wall clock", "alarm clock"),
    "drum": ("drum", "drum", "bongo drum"),
    "duck": ("duck", "duckling", "ducky", "rubber duck"),
    "flute": ("flute", "wooden flute"),
    "heart": ("heart", "love heart"),
    "rain": ("rain cloud", "raincloud", "rainy cloud", "cloud with rain"),
    "siren": ("siren", "police siren", "alarm siren"),
    "car": ("car", "automobile", "toy car", "auto"),
}

VOICES: dict[str, Words] = {
    "ball": ("knock", "thud"), "bell": ("ring", "chime", "ding"), "bird": ("sing", "chirp", "tweet"),
    "bee": ("buzz", "hum"), "clock": ("tick", "go tick tock"), "drum": ("beat", "thump", "go boom"),
    "duck": ("quack", "quack"), "flute": ("play", "play a tone"), "heart": ("beat", "pound"),
    "rain": ("pour", "patter"), "siren": ("wail", "howl"), "car": ("honk", "start its engine"),
}  # fmt: skip
"""What a thing does when it sounds."""

PEOPLE_GO: dict[str, tuple[tuple[str, str, str], ...]] = {
    "left": tuple((*v, w) for v in (("drive", "driving"), ("fly", "flying"), ("float", "floating"),
                                    ("drift", "drifting"), ("travel", "travelling"), ("run", "running"),
                                    ("go", "going"), ("move", "moving"), ("head", "heading"))
                  for w in ("left", "leftwards", "to the left", "towards the left", "from right to left")),
    "right": tuple((*v, w) for v in (("drive", "driving"), ("fly", "flying"), ("float", "floating"),
                                     ("drift", "drifting"), ("travel", "travelling"), ("run", "running"),
                                     ("go", "going"), ("move", "moving"), ("head", "heading"))
                   for w in ("right", "rightwards", "to the right", "towards the right", "from left to right")),
    "up": (("fly", "flying", "up"), ("float", "floating", "up"), ("climb", "climbing", ""), ("ascend", "ascending", ""),
           ("rise", "rising", "up"), ("go", "going", "upwards"), ("move", "moving", "upward"), ("lift", "lifting", "up"),
           ("shoot", "shooting", "up"), ("head", "heading", "up")),
    "down": (("fall", "falling", "down"), ("drop", "dropping", "down"), ("float", "floating", "down"), ("fall", "falling", ""),
             ("descend", "descending", ""), ("sink", "sinking", "down"), ("go", "going", "downwards"),
             ("move", "moving", "downward"), ("come", "coming", "down"), ("slide", "sliding", "down")),
    "toward": (("approach", "approaching", ""), ("come", "coming", "at me"), ("come", "coming", "nearer"),
               ("get", "getting", "closer"), ("fly", "flying", "toward me"), ("move", "moving", "towards us"),
               ("approach", "approaching", "the camera"), ("come", "coming", "towards the camera"),
               ("get", "getting", "nearer"), ("drive", "driving", "toward us")),
    "shake": (("vibrate", "vibrating", ""), ("wobble", "wobbling", ""), ("shiver", "shivering", ""), ("shake", "shaking", ""),
              ("jiggle", "jiggling", ""), ("tremble", "trembling", ""), ("quiver", "quivering", "")),
    "bounce": (("bounce", "bouncing", ""), ("jump", "jumping", ""), ("hop", "hopping", ""), ("bounce", "bouncing", "around"),
               ("jump", "jumping", "about"), ("hop", "hopping", "about")),
}  # fmt: skip
"""Infinitive, participle and direction of each motion but rest."""

STILL_SYNONYMS: Words = (
    "standing still",
    "not moving",
    "motionless",
    "staying still",
    "keeping still",
    "at rest",
)
STILL_INFINITIVES: Words = ("stand still", "stay still", "keep still", "stop moving", "not move")

BESIDE_WORDS: Words = (
    "very", "really", "super", "at", "a", "in", "the", "pace", "motion", "speed", "hurry", "bright", "dark", "deep", "blood", "grass",
    "hot", "royal", "toy", "beach", "church", "hand", "wall", "alarm", "love", "wooden", "rubber", "police", "with", "cloud", "extra",
    "pretty", "mighty", "pitched", "bitty", "lemon", "canary", "sunny", "lime", "bubblegum", "great",
)  # fmt: skip
"""Words that stand beside the one that names a value, and name none."""
DIRECTION_WORDS: Words = ("left", "leftwards", "right", "rightwards", "up", "upward", "upwards", "down", "downward", "downwards",
                          "nearer", "closer", "toward")  # fmt: skip
"""Words that name a motion whatever the verb is."""
