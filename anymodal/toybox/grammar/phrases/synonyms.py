"""Other words that people use for the values of attributes. Replies never use them."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

COLOR_SYNONYMS: dict[str, Words] = {
    "red": ("crimson", "scarlet", "ruby", "bright red", "dark red", "reddish", "blood red", "cherry red", "tomato red", "brick red", "ruby red", "fire engine red",
            "vermilion", "vermillion", "burgundy", "carmine", "light red", "pure red", "fiery red", "wine red", "maroon", "lipstick red", "red coloured",
            "red-coloured", "red colored", "all red", "completely red"),
    "orange": ("bright orange", "dark orange", "tangerine", "pumpkin orange", "orangey", "tangerine coloured", "carrot orange",
               "light orange", "sunset orange", "orange coloured", "orange-coloured", "orange colored", "burnt orange", "traffic cone orange", "pure orange",
               "orangish", "all orange"),
    "yellow": ("bright yellow", "lemon yellow", "canary yellow", "sunny yellow", "yellowish", "sunflower yellow", "banana yellow", "sun yellow", "light yellow",
               "pale yellow", "butter yellow", "yellow coloured", "yellow-coloured", "yellow colored", "pure yellow", "honey yellow", "buttercup yellow", "golden", "golden yellow", "all yellow"),
    "green": ("emerald", "bright green", "dark green", "grass green", "lime green", "greenish", "jade", "forest green", "emerald green", "leaf green", "mint green", "apple green",
              "light green", "pea green", "frog green", "moss green", "green coloured", "green-coloured", "green colored", "pure green", "bottle green", "all green"),
    "cyan": ("turquoise", "aqua", "bright cyan", "aquamarine", "aqua coloured", "cyan coloured", "cyan-coloured", "light cyan", "dark cyan", "turquoise coloured",
             "pure cyan", "cyanish", "all cyan"),
    "blue": ("navy", "navy blue", "dark blue", "royal blue", "bright blue", "cobalt", "azure", "sapphire", "cobalt blue", "ocean blue", "midnight blue", "bluish",
             "cornflower blue", "sapphire blue", "marine blue", "electric blue", "blue coloured", "blue-coloured", "blue colored", "pure blue", "denim blue", "ultramarine", "all blue"),
    "purple": ("violet", "lilac", "lavender", "dark purple", "bright purple", "mauve", "amethyst", "grape purple", "light purple", "royal purple",
               "purplish", "purple coloured", "purple-coloured", "purple colored", "lavender coloured", "violet coloured", "aubergine", "pure purple", "all purple"),
    "pink": ("hot pink", "bright pink", "rosy", "bubblegum pink", "pinkish", "fuchsia", "rose pink", "candy pink", "light pink", "pale pink", "baby pink", "flamingo pink", "neon pink",
             "barbie pink", "pink coloured", "pink-coloured", "pink colored", "rosy pink", "pastel pink", "pure pink", "shocking pink", "all pink"),
}  # fmt: skip
SIZE_SYNONYMS: dict[str, Words] = {
    "small": ("mini", "wee", "teeny", "teeny tiny", "miniature", "itty bitty", "smallish", "very small", "really tiny", "little bitty", "minuscule", "pretty small", "super small",
              "teensy", "diminutive", "small-sized", "small sized", "itsy bitsy", "pint-sized", "petite", "tiny little", "extra small", "weeny", "teeny weeny", "titchy", "microscopic",
              "pocket-sized", "rather small", "quite small", "so small", "fairly small", "tiny tiny"),
    "big": ("giant", "enormous", "massive", "gigantic", "great big", "jumbo", "really big", "very big", "humongous", "mighty big", "super big", "ginormous", "pretty big", "extra large",
            "colossal", "immense", "oversized", "vast", "monumental", "big-sized", "large-sized", "whopping", "very large", "monstrous", "hefty",
            "rather big", "quite big", "big fat", "big old", "large sized", "sizeable", "big big", "hulking", "titanic"),
}  # fmt: skip
PITCH_SYNONYMS: dict[str, Words] = {
    "small": ("high-pitched", "squeaky", "shrill", "very high", "high pitched", "piping", "treble", "really high", "piercing"),
    "big": ("low-pitched", "bassy", "very deep", "really low", "low pitched", "rumbling", "very low", "booming"),
}  # fmt: skip
TEMPO_SYNONYMS: dict[str, Words] = {
    "slow": ("leisurely", "unhurried", "sluggish", "very slow", "really slow", "super slow", "lazy", "slow-paced", "slowish", "pretty slow", "quite slow", "lento", "adagio",
             "ever so slow", "dawdling", "slow slow"),
    "fast": ("speedy", "swift", "very fast", "super fast", "really quick", "hasty", "brisk", "hurried", "fast-paced", "zippy", "lively", "presto", "allegro", "frantic", "very quick",
             "lightning fast", "really fast", "hectic", "fast fast", "pretty fast", "breakneck"),
}  # fmt: skip
ADVERB_SYNONYMS: dict[str, Words] = {
    "slow": ("slowly", "really slowly", "very slowly", "at a slow pace", "in slow motion", "sluggishly", "at a leisurely pace", "unhurriedly", "super slowly", "at low speed", "ever so slowly",
             "lazily", "slow", "at a slow speed", "at a snail's pace", "in slowmo", "quite slowly", "slow and easy"),
    "fast": ("quickly", "fast", "really fast", "super fast", "at high speed", "swiftly", "in a hurry", "speedily", "briskly", "at a fast pace", "at a brisk pace", "very quickly", "at top speed",
             "hurriedly", "at full speed", "in fast motion", "hastily", "as fast as possible", "real quick", "at a quick pace", "at lightning speed"),
}  # fmt: skip
SEEN_NOUNS: dict[str, Words] = {
    "ball": ("ball", "toy ball", "beach ball", "rubber ball", "bouncy ball", "soccer ball", "play ball", "round ball", "tennis ball", "ball toy"),
    "bell": ("bell", "church bell", "hand bell", "doorbell", "handbell", "cowbell", "school bell", "jingle bell", "door bell", "ship's bell"),
    "bird": ("bird", "birdie", "songbird", "birdy", "garden bird", "wild bird", "song bird"),
    "bee": ("bee", "honeybee", "bumblebee", "honey bee", "bumble bee", "worker bee", "queen bee", "bzzz bee"),
    "clock": ("clock", "wall clock", "alarm clock", "timepiece", "grandfather clock", "cuckoo clock", "kitchen clock", "timekeeper", "mantel clock", "tick-tock clock"),
    "drum": ("drum", "drum", "bongo drum", "bongo", "bass drum", "snare drum", "kettledrum", "toy drum", "kettle drum", "snare"),
    "duck": ("duck", "duckling", "ducky", "rubber duck", "duckie", "mallard", "mallard duck", "toy duck", "bath duck", "rubber ducky", "quacking duck"),
    "flute": ("flute", "wooden flute", "pan flute", "bamboo flute", "concert flute", "panpipe", "toy flute"),
    "heart": ("heart", "love heart", "heart shape", "valentine heart", "valentine's heart", "heart symbol", "sweetheart", "heart icon"),
    "rain": ("rain cloud", "raincloud", "rainy cloud", "cloud with rain", "rain", "rainfall", "downpour", "rain shower", "raining cloud", "drizzle"),
    "siren": ("siren", "police siren", "alarm siren", "fire siren", "ambulance siren", "warning siren", "air raid siren", "emergency siren", "fire engine siren"),
    "car": ("car", "automobile", "toy car", "auto", "motorcar", "sports car", "race car", "racing car", "motor car", "sedan", "family car"),
}  # fmt: skip
HEARD_NOUNS: dict[str, Words] = {
    "ball": ("knocking ball", "ball hitting the floor"), "bell": ("ringing bell", "chiming bell"), "bird": ("singing bird", "chirping bird", "birdsong", "tweeting bird"),
    "bee": ("buzzing bee", "humming bee"), "clock": ("ticking clock", "tick-tock clock", "tick of a clock"), "drum": ("drumbeat", "drum beat", "drumming", "beaten drum"),
    "duck": ("quacking duck", "duck's quack"), "flute": ("flute tone", "flute note"), "heart": ("heartbeat", "beating heart", "pounding heart"),
    "rain": ("rain", "rainfall", "pouring rain", "downpour", "raindrops", "pattering rain"), "siren": ("wailing siren", "howling siren"),
    "car": ("car engine", "car horn", "engine of a car", "honking car"),
}  # fmt: skip
"""Nouns for a thing that is heard."""
NOUN_SYNONYMS: dict[str, Words] = {
    name: SEEN_NOUNS[name] + HEARD_NOUNS[name] for name in SEEN_NOUNS
}
APPOSED: dict[str, Words] = {
    "ball": ("ball, the round toy,", "toy, namely a ball,", "ball (the toy)", "round thing, a ball,"),
    "bell": ("bell, the kind you ring,", "thing you ring, a bell,", "bell (ding dong)", "bell, ding dong,"),
    "bird": ("bird, the animal that flies,", "animal with feathers, a bird,", "bird (tweet tweet)", "bird, you know, the animal,"),
    "bee": ("bee, the insect,", "insect, a bee i mean,", "bee (the one that makes honey)", "bee, bzz bzz,"),
    "clock": ("clock, the thing that tells the time,", "thing that tells the time, a clock,", "clock (tick tock)", "clock, tick tock,"),
    "drum": ("drum, the instrument,", "instrument, a drum,", "drum (boom boom)", "drum, boom boom,"),
    "duck": ("duck, the animal,", "animal, a duck to be precise,", "duck (quack quack)", "duck, quack quack,"),
    "flute": ("flute, the instrument,", "instrument, namely a flute,", "flute (the instrument)", "instrument you blow into, a flute,"),
    "heart": ("heart, the symbol of love,", "symbol of love, a heart,", "heart (like on a valentine card)", "heart, for my love,"),
    "rain": ("rain cloud, the wet kind,", "cloud, one with rain,", "cloud that brings rain", "rain cloud (the wet one)"),
    "siren": ("siren, the alarm,", "alarm, a siren,", "siren (nee naw nee naw)", "siren, nee naw,"),
    "car": ("car, the one with four wheels,", "vehicle, namely a car,", "car (the vehicle)", "vehicle, a car that is,", "car, vroom,"),
}  # fmt: skip
"""Nouns with a word of explanation behind them."""
UNCOUNTED = (
    "rain",
    "rainfall",
    "drizzle",
    "birdsong",
    "drumming",
    "raindrops",
    "pouring rain",
    "pattering rain",
)
"""Nouns that have no article."""

VOICES: dict[str, Words] = {
    "ball": ("knock", "thud", "thump", "hit the floor"), "bell": ("ring", "chime", "ding", "toll", "go ding dong", "sound", "clang"), "bird": ("sing", "chirp", "tweet", "go tweet tweet", "whistle", "sing its song", "warble"),
    "bee": ("buzz", "hum", "go bzzz"), "clock": ("tick", "go tick tock", "tick tock", "tick away"), "drum": ("beat", "thump", "go boom", "sound", "go boom boom", "pound"),
    "duck": ("quack", "go quack", "quack quack", "say quack"), "flute": ("play", "play a tone", "sound", "whistle", "toot"), "heart": ("beat", "pound", "thump", "go boom boom", "throb"),
    "rain": ("pour", "patter", "drip", "pitter patter", "splash"), "siren": ("wail", "howl", "go nee naw", "sound", "go off", "blare"), "car": ("honk", "start its engine", "go vroom", "beep", "rev its engine", "toot"),
}  # fmt: skip
"""What a thing does when it sounds."""

_TRAVEL = (
    ("drive", "driving"), ("fly", "flying"), ("float", "floating"), ("drift", "drifting"), ("travel", "travelling"), ("run", "running"), ("go", "going"), ("move", "moving"),
    ("head", "heading"), ("roll", "rolling"), ("glide", "gliding"), ("slide", "sliding"), ("race", "racing"), ("zoom", "zooming"), ("cruise", "cruising"), ("wander", "wandering"),
)  # fmt: skip
_SIDES = (
    ("", ""), ("", "wards"), ("to the ", ""), ("towards the ", ""), ("to the ", " side"), ("off to the ", ""), ("away to the ", ""), ("over to the ", ""), ("toward the ", " edge"), ("", "ward"),
    ("out on the ", ""), ("across to the ", ""),
)  # fmt: skip
PEOPLE_GO: dict[str, tuple[tuple[str, str, str], ...]] = {
    "left": tuple((*v, f"{w}left{e}") for v in _TRAVEL for w, e in _SIDES),
    "right": tuple((*v, f"{w}right{e}") for v in _TRAVEL for w, e in _SIDES),
    "up": (("fly", "flying", "up"), ("float", "floating", "up"), ("climb", "climbing", ""), ("ascend", "ascending", ""),
           ("rise", "rising", "up"), ("go", "going", "upwards"), ("move", "moving", "upward"), ("lift", "lifting", "up"),
           ("shoot", "shooting", "up"), ("head", "heading", "up"), ("rise", "rising", ""), ("soar", "soaring", "upwards"), ("climb", "climbing", "up"),
           ("take off", "taking off", "upwards"), ("rise", "rising", "into the air"), ("drift", "drifting", "upward"), ("travel", "travelling", "up"),
           ("go", "going", "up and up"), ("float", "floating", "up into the sky"), ("slide", "sliding", "up"), ("rise", "rising", "to the top"), ("levitate", "levitating", "up")),
    "down": (("fall", "falling", "down"), ("drop", "dropping", "down"), ("float", "floating", "down"), ("fall", "falling", ""),
             ("descend", "descending", ""), ("sink", "sinking", "down"), ("go", "going", "downwards"),
             ("move", "moving", "downward"), ("come", "coming", "down"), ("slide", "sliding", "down"), ("sink", "sinking", ""), ("sink", "sinking", "to the bottom"),
             ("drift", "drifting", "down"), ("plunge", "plunging", "down"), ("tumble", "tumbling", "down"), ("fall", "falling", "to the ground"), ("travel", "travelling", "down"),
             ("head", "heading", "downwards"), ("glide", "gliding", "down"), ("plummet", "plummeting", ""), ("go", "going", "down and down")),
    "toward": (("approach", "approaching", ""), ("come", "coming", "at me"), ("come", "coming", "nearer"),
               ("get", "getting", "closer"), ("fly", "flying", "toward me"), ("move", "moving", "towards us"),
               ("approach", "approaching", "the camera"), ("come", "coming", "towards the camera"),
               ("get", "getting", "nearer"), ("drive", "driving", "toward us"), ("approach", "approaching", "the viewer"), ("come", "coming", "nearer and nearer"),
               ("approach", "approaching", "us"), ("come", "coming", "closer and closer"), ("head", "heading", "toward the camera"), ("rush", "rushing", "toward us"), ("float", "floating", "towards me"),
               ("draw", "drawing", "nearer"), ("go", "going", "toward the viewer"), ("come", "coming", "toward the screen"), ("move", "moving", "nearer"), ("get", "getting", "nearer to us")),
    "shake": (("vibrate", "vibrating", ""), ("wobble", "wobbling", ""), ("shiver", "shivering", ""), ("shake", "shaking", ""),
              ("jiggle", "jiggling", ""), ("tremble", "trembling", ""), ("quiver", "quivering", ""), ("wiggle", "wiggling", ""), ("shudder", "shuddering", ""),
              ("rattle", "rattling", ""), ("jitter", "jittering", ""), ("quake", "quaking", ""), ("shake", "shaking", "all over"), ("shake", "shaking", "like a leaf"), ("tremble", "trembling", "all over"),
              ("judder", "juddering", ""), ("shake", "shaking", "in place"), ("wobble", "wobbling", "like jelly"), ("vibrate", "vibrating", "like a phone")),
    "bounce": (("bounce", "bouncing", ""), ("jump", "jumping", ""), ("hop", "hopping", ""), ("bounce", "bouncing", "around"),
               ("jump", "jumping", "about"), ("hop", "hopping", "about"), ("bounce", "bouncing", "about"), ("jump", "jumping", "around"), ("hop", "hopping", "around"), ("leap", "leaping", ""),
               ("bounce", "bouncing", "like on a trampoline"), ("hop", "hopping", "on the spot"), ("jump", "jumping", "on the spot"), ("boing", "boinging", "")),
}  # fmt: skip
"""Infinitive, participle and direction of each motion but rest."""

GENUS: dict[str, Words] = {
    "ball": ("toy", "thing", "object"), "bell": ("object", "thing", "instrument"), "bird": ("animal", "creature"), "bee": ("insect", "animal", "creature"), "clock": ("object", "thing"),
    "drum": ("instrument", "thing"), "duck": ("animal", "creature"), "flute": ("instrument", "thing"), "heart": ("shape", "symbol", "thing"), "rain": ("subject", "motif", "weather"),
    "siren": ("thing", "object", "alarm"), "car": ("vehicle", "thing", "object"),
}  # fmt: skip
"""Words for the kind that a thing is of."""

STILL_SYNONYMS: Words = (
    "standing still",
    "not moving",
    "motionless",
    "staying still",
    "keeping still",
    "at rest",
    "not moving at all",
    "completely still",
    "perfectly still",
    "frozen, not moving",
    "sitting still",
    "resting, not moving",
    "that stands still",
)
STILL_INFINITIVES: Words = ("stand still", "stay still", "keep still", "stop moving", "not move", "sit still", "remain still", "be still", "not move at all", "be motionless", "hold still")  # fmt: skip

BESIDE_WORDS: Words = (
    "very", "really", "super", "at", "a", "in", "the", "pace", "motion", "speed", "hurry", "bright", "dark", "deep", "blood", "grass",
    "hot", "royal", "toy", "beach", "church", "hand", "wall", "alarm", "love", "wooden", "rubber", "police", "with", "cloud", "extra",
    "pretty", "mighty", "pitched", "bitty", "lemon", "canary", "sunny", "lime", "bubblegum", "great",
    "cherry", "tomato", "brick", "fire", "engine", "fiery", "wine", "lipstick", "shade", "of", "coloured", "colored", "all", "completely", "pumpkin", "carrot", "sunset", "burnt", "traffic", "cone", "pure",
    "light", "sunflower", "banana", "sun", "pale", "butter", "honey", "buttercup", "forest", "leaf", "mint", "apple", "pea", "frog", "moss", "bottle", "ocean", "midnight", "cornflower", "marine", "electric",
    "denim", "grape", "candy", "baby", "flamingo", "neon", "barbie", "pastel", "shocking", "rose", "sized", "size", "rather", "quite", "so", "fairly", "fat", "old", "itsy",
    "paced", "snail", "ever", "lightning", "and", "easy", "top", "full", "as", "possible", "real", "like", "mad", "s", "play", "round", "bouncy", "soccer", "tennis", "door", "school", "jingle", "ship", "kind", "you",
    "ring", "garden", "wild", "song", "animal", "that", "flies", "worker", "queen", "insect", "bzzz", "bumble", "grandfather", "cuckoo", "kitchen", "mantel", "tick", "tock", "thing", "tells", "time",
    "bass", "kettle", "instrument", "bath", "quacking", "pan", "bamboo", "concert", "shape", "valentine", "symbol", "icon", "shower", "ambulance", "warning", "air", "raid", "emergency", "sports", "race",
    "racing", "motor", "family", "drive", "to", "work", "vehicle", "namely", "ringing", "chiming", "singing", "chirping", "tweeting", "buzzing", "humming", "ticking", "beaten", "beat", "tone", "note", "beating",
    "pounding", "pouring", "pattering", "wailing", "howling", "horn", "honking", "hitting", "floor", "knocking", "quack",
)  # fmt: skip
"""Words that stand beside the one that names a value, and name none."""
DIRECTION_WORDS: Words = ("left", "leftwards", "right", "rightwards", "up", "upward", "upwards", "down", "downward", "downwards", "leftward", "rightward",
                          "nearer", "closer", "toward")  # fmt: skip
"""Words that name a motion whatever the verb is."""
