"""Words that ask for an attribute: what people call it, and their questions, in each modality.

Symbols: {it} words for the medium or the thing in it. `[a|b]` is one of some texts.
"""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- fields: names of an attribute, alone --------------------------------------------------------

FIELDS: dict[str, Words] = {
    "thing": ("6: thing", "5: object", "4: name", "subject", "item", "identity", "kind of thing", "what", "main object", "figure", "motif", "type", "thing type", "content", "label"),
    "thing.audio": ("4: thing", "3: object", "4: source", "3: name", "what", "sound source", "origin", "noisemaker", "type of sound", "kind of sound", "who or what", "identity", "instrument or thing"),
    "color": ("6: colour", "6: color", "3: hue", "3: shade", "tint", "tone", "colouring", "coloring", "paint", "col", "colr", "fill colour", "which colour"),
    "size": ("7: size", "2: dimensions", "scale", "measure", "big or small", "large or little", "how big", "how large", "proportions", "extent", "size class", "bigness"),
    "size.audio": ("4: size", "4: pitch", "2: high or low", "tone height", "big or small", "how high", "how deep", "register", "note height", "deep or high", "frequency", "how low or high"),
    "size.imu": ("4: strength", "3: force", "2: size", "intensity", "magnitude", "power", "amplitude", "how strong", "how hard", "strong or weak", "gentle or strong", "vigour", "how big"),
    "motion": ("4: motion", "4: movement", "4: direction", "heading", "action", "path", "way", "what it does", "type of motion", "kind of movement", "where to", "course", "which way", "activity", "trajectory"),
    "motion.imu": ("4: motion", "4: movement", "4: direction", "gesture", "kind of movement", "type of motion", "which way", "where to", "path", "way", "move", "side", "motion class"),
    "tempo": ("4: speed", "4: tempo", "4: pace", "velocity", "how fast", "how quick", "fast or slow", "quickness", "rate", "slow or fast", "swiftness", "speediness"),
    "tempo.audio": ("4: tempo", "4: speed", "4: pace", "rhythm", "beat", "how fast", "how quick", "fast or slow", "bpm, roughly", "rate", "slow or quick", "beat speed"),
}  # fmt: skip
"""Names by attribute, and by attribute and modality where that has names of its own."""

# --- objects: of "tell me", "i want to know" -----------------------------------------------------

OBJECTS: dict[str, Words] = {
    "thing": ("3: what it is", "2: what thing it is", "the thing", "the object", "its name", "the name of it", "what we have there", "what that is", "what it's called", "what it is called", "what object it is", "what's in it",
              "which thing it shows", "what is on it", "what i sent", "what kind of thing it is", "the thing itself", "what is there", "what can be seen", "which object i see", "the name of the thing"),
    "thing.audio": ("3: what it is", "2: what makes the sound", "the source", "where the noise comes from", "what i hear", "what is making the noise", "which thing it is", "what that is", "the thing", "what's sounding", "its name",
                    "what could make such a noise", "what the noise is", "the origin of it", "what you hear", "what is heard", "the thing behind it"),
    "color": ("4: its colour", "3: the colour", "its color", "the color", "what colour it is", "which colour it has", "what color it is", "the hue", "its hue", "the shade", "its shade", "which shade it is", "its tint", "how it is coloured", "in what colour it is",
              "which colour you see", "what hue it has", "the paint it wears", "the colour of it", "what colour it has", "in which color it comes"),
    "size": ("4: its size", "3: the size", "how big it is", "how large it is", "whether it is big or small", "if it is big or small", "its dimensions", "the dimensions", "whether it's small or big", "if it's large or little", "the measure of it", "what size it has",
             "which size it is", "how much room it takes", "how tiny or huge it is", "whether it is a big one or a small one", "how much of the frame it fills", "the scale of it"),
    "size.audio": ("3: its size", "3: its pitch", "the pitch", "whether it is high or low", "if it is high or low", "how deep it sounds", "how high it is", "how big it is", "whether it's a big one or a little one", "if it sounds big or small", "the size", "how low or high it goes",
                   "whether it's deep or high", "what pitch it has", "which pitch it has", "if it's a little one or a big one"),
    "size.imu": ("3: its strength", "3: the strength", "how strong it is", "how strong it was", "how hard it went", "whether it is strong or weak", "if it was gentle or strong", "the force", "how much force there was", "its intensity", "the magnitude", "how big it is",
                 "if it was a strong one or a weak one", "the power of it", "how forceful it was", "whether it was a big move or a small one"),
    "motion": ("3: how it moves", "2: its movement", "the movement", "its direction", "the direction", "which way it goes", "where it goes", "where it's headed", "where it is heading", "what it does", "what it's doing", "what it is up to", "its motion", "where it's off to",
               "in which direction it goes", "the way it moves", "what motion it makes", "the direction it takes", "how it gets around", "whether it moves and how", "which direction it is going", "the path it takes", "what happens to it", "where to it goes"),
    "motion.imu": ("3: how it moves", "2: the movement", "the direction", "which way it goes", "which way it went", "where it was moved", "the gesture", "what gesture it is", "how it was moved", "what i did with it", "the kind of movement", "what sort of motion it is",
                   "in which direction it went", "where my hand went", "what was done with the phone", "the motion", "how i moved it", "to which side it went"),
    "tempo": ("3: its speed", "2: its pace", "the speed", "the pace", "the tempo", "how fast it is", "how fast it goes", "how quickly it moves", "whether it is fast or slow", "if it is fast or slow", "how quick it is", "its tempo", "whether it hurries or takes its time", "if it's quick or slow",
              "at which speed it goes", "how rapid it is", "at what pace it goes", "what speed it has", "how swift it is"),
    "tempo.audio": ("3: its tempo", "2: its speed", "the tempo", "the pace", "the speed", "how fast it goes", "how fast it is", "how quick the beat is", "whether it is fast or slow", "if it's fast or slow", "how quickly it repeats", "the rhythm", "its pace", "at which tempo it goes",
                    "how rapid it is", "whether it's a quick one or a slow one", "what tempo it has"),
}  # fmt: skip
"""Noun phrases and clauses, by attribute as `FIELDS`."""

# --- direct questions, without a question mark ---------------------------------------------------

DIRECTS: dict[str, Words] = {
    "thing": ("4: what is {it}", "3: what's {it}", "what thing is {it}", "which thing is {it}", "what object is {it}", "which object is {it}", "what does {it} show", "what is {it} called", "what would you call {it}", "how do you call {it}", "what is in {it}", "what's {it} of",
              "what is {it} supposed to be", "what kind of object is {it}", "what do you make of {it}", "what might {it} be", "what could {it} be", "{it} is what", "who or what is {it}", "what am i looking at", "what do you see", "what can be seen", "what have i got here", "what's shown there",
              "what did i send you", "which object can be seen", "what's the object", "what is the name of {it}", "how is {it} called", "what thing do you see", "what on earth is {it}", "what do we have here", "what's that thing"),
    "thing.audio": ("4: what is {it}", "3: what's {it}", "what makes that noise", "what makes this sound", "what am i hearing", "what do you hear", "what is {it} the sound of", "where does the sound come from", "what is making the noise", "whose sound is {it}", "what's the source",
                    "what is playing", "which thing sounds like that", "what could be making that", "what is to be heard", "what thing is {it}", "which thing is {it}", "what would you say {it} is", "what does {it} sound like to you", "who makes such a noise", "what did i record",
                    "what have i just heard", "what was that", "how is {it} called", "who or what is {it}", "what might {it} be", "what noise is {it}"),
    "color": ("4: what colour is {it}", "3: what color is {it}", "which colour does {it} have", "which colour is {it}", "what shade is {it}", "what hue is {it}", "in which colour is {it}", "what colour has {it}", "which shade does {it} have", "how is {it} coloured", "what hue does {it} have",
              "what colour do you see", "what is the colour", "what's the hue", "of what colour is {it}", "{it} is what colour", "what colour would you call {it}", "which color has {it}", "what tint has {it}", "what colour was {it} painted", "what's the shade", "in what colour does {it} come",
              "what colour does {it} wear", "whats the color", "how would you name the colour", "{it} has which colour"),
    "size": ("4: how big is {it}", "2: how large is {it}", "2: is {it} big or small", "what size is {it}", "what size has {it}", "which size does {it} have", "is {it} large or little", "is {it} a big one or a small one", "how much space does {it} take up",
             "what are the dimensions", "what is the size", "how much room does {it} take", "is {it} tiny or huge", "of what size is {it}", "does {it} look big or small", "{it} is how big", "would you call {it} big or small", "how would you put the size", "big or small, what is {it}"),
    "size.audio": ("3: how big is {it}", "2: is {it} high or low", "is {it} big or small", "how high is {it}", "how deep is {it}", "what pitch has {it}", "what pitch does {it} have", "is the pitch high or low", "is {it} deep or high", "does {it} sound big or small", "is {it} a big one or a little one",
                   "is it low or high in pitch", "what size is {it}", "how low does {it} sound", "what's the pitch", "which pitch is {it}", "is the tone high or deep", "does {it} sound high or low"),
    "size.imu": ("3: how strong is {it}", "2: how strong was {it}", "is {it} strong or weak", "was {it} strong or gentle", "how hard was {it}", "how forceful was {it}", "what strength has {it}", "was {it} a big one or a small one", "is {it} big or small", "with how much force was it done", "how much force was in {it}",
                 "how intense is {it}", "was {it} weak or strong", "how powerful is {it}", "what's the strength", "how big is {it}", "was {it} gentle or strong"),
    "motion": ("3: how does {it} move", "3: which way does {it} go", "2: where is {it} going", "2: what is {it} doing", "what does {it} do", "where's {it} headed", "where is {it} heading", "in which direction does {it} move", "in what direction does {it} travel", "where does {it} go to",
               "which direction does {it} take", "what movement does {it} make", "what's {it} up to", "what happens to {it}", "where to does {it} go", "how is {it} moving", "where is {it} off to", "which way is {it} travelling", "what motion is {it}", "does {it} move, and how",
               "what's the direction", "to where does {it} move", "{it} goes which way", "is there any movement and which", "what kind of motion do you see", "in which direction is {it} going", "what is {it} busy doing", "where {it} goes"),
    "motion.imu": ("3: how does {it} move", "3: which way does {it} go", "which way did {it} go", "what movement is {it}", "what kind of movement is {it}", "what gesture is {it}", "which gesture was {it}", "how was it moved", "where was it moved", "in which direction did it go",
                   "what did i do with it", "what was done with the phone", "what sort of motion is {it}", "which motion is {it}", "how did my hand move", "what movement do you feel", "where did it go", "to which side did it go", "what's the direction", "how have i moved it",
                   "which way was the sensor moved", "what kind of motion would you call {it}", "where to was it moved"),
    "tempo": ("4: how fast is {it}", "2: is {it} fast or slow", "2: how fast does {it} go", "how quickly does {it} move", "how quick is {it}", "what speed has {it}", "what's the speed of {it}", "what pace has {it}", "at what speed does {it} go", "does {it} hurry or take its time",
              "at which pace does {it} move", "is {it} slow or fast", "does {it} go fast or slow", "how rapid is {it}", "what's the tempo", "is {it} quick or slow", "{it} goes how fast", "how swift is {it}", "with which speed does {it} go", "what tempo has {it}", "at what pace"),
    "tempo.audio": ("4: how fast is {it}", "2: is {it} fast or slow", "how fast does {it} go", "what tempo has {it}", "at what tempo does {it} go", "what pace has {it}", "how quick is the beat", "how quickly does {it} repeat", "is the rhythm fast or slow", "is {it} slow or quick",
                    "what's the tempo", "at what pace", "which tempo is {it}", "does {it} go fast or slow", "how rapid is {it}", "what's the speed of {it}", "is {it} a fast one or a slow one", "is {it} played fast or slow", "what rhythm has {it}"),
}  # fmt: skip
"""Questions by attribute as `FIELDS`."""

# --- open ends, and what a reply made ------------------------------------------------------------

OPEN_ENDS: dict[str, Words] = {
    "thing": ("{it} is a...", "that's a...", "it is called...", "{it} shows a...", "{it}, that would be a...", "and {it} is...", "the thing is a...", "so {it} is a what"),
    "color": ("its colour is...", "it's coloured...", "{it} is painted in...", "the colour would be...", "{it} comes in...", "{it} is of the colour..."),
    "size": ("the size is...", "and size-wise", "in size {it} is...", "{it} is rather...", "size-wise, {it} is..."),
    "motion": ("it heads...", "it moves...", "{it} goes to the...", "the direction is...", "and {it} goes where", "movement-wise, {it} is..."),
    "tempo": ("its speed is...", "and speed-wise", "the tempo would be...", "{it} goes at a pace that is...", "tempo-wise, {it} is..."),
}  # fmt: skip
"""Questions that break off where the value stands."""
MADE_DIRECTS: dict[str, Words] = {
    "thing": ("what did you make there", "which thing did you choose", "what did you put in {it}", "what was it you made", "what thing did you take for {it}", "what did you end up making", "remind me what you made", "what is it that you made", "what did you produce there", "which thing is yours"),
    "color": ("what colour did you put on {it}", "which colour did you use for {it}", "what colour did you choose", "in which colour did you do {it}", "what shade did you pick", "which hue did you take", "what colour did {it} come out", "remind me which colour you used", "in what colour did {it} end up", "which paint did you take"),
    "size": ("what size did you give {it}", "how big did you make {it}", "did you make {it} big or small", "which size did you choose", "how large did {it} come out", "what size did {it} end up", "which size have you used", "remind me how big you made {it}", "how big is yours"),
    "motion": ("how did you make {it} move", "which motion did you use", "what movement did you give {it}", "where did you let {it} go", "in which direction did you send {it}", "which way does yours go", "what do you have {it} doing", "which movement did you choose", "what did you make {it} do"),
    "tempo": ("how fast did you make {it}", "which tempo did you use", "what speed did you give {it}", "did you make {it} fast or slow", "at which pace did you set {it}", "which speed did you choose", "what tempo have you applied", "how fast is yours", "remind me how fast you made {it}"),
}  # fmt: skip
"""Questions about what a reply made."""
MADE_CHECKS: Words = (
    "did you make {it} {v}?", "you made {it} {v}, right?", "did {it} come out {v}?", "did {it} turn out {v}?", "is yours {v}?", "yours is {v}, isn't it?", "you did {it} {v}, didn't you?", "is what you made {v}?", "did you keep {it} {v}?", "is {it} {v} as i wanted?", "was {it} {v} when you made it?", "have you made {it} {v}?", "you chose {v} for {it}, true?", "did you leave {it} {v}?",
)  # fmt: skip
OF_MINE: Words = ("i sent", "did i send", "did i record", "did i get", "have i got", "i recorded")
"""Words that only suit what the user gave."""

# --- of a thing's class --------------------------------------------------------------------------

CLASSES: dict[str, Words] = {
    "bird": ("animal", "creature", "animal", "feathered friend"),
    "duck": ("animal", "creature", "animal", "farm animal"),
    "bee": ("insect", "bug", "animal", "creature"),
    "bell": ("instrument", "musical instrument"), "drum": ("instrument", "musical instrument"),
    "flute": ("instrument", "wind instrument", "musical instrument"),
    "car": ("vehicle", "means of transport", "vehicle"), "ball": ("toy", "plaything"),
    "clock": ("household item", "device"), "heart": ("symbol", "shape"), "rain": ("weather",),
    "siren": ("signal", "alarm"),
}  # fmt: skip
"""Words for the class of a thing, that ask for it without telling it."""
OF_CLASS: tuple[Words, Words, Words] = (
    ("4: {c}", "which {c}", "what {c}", "type of {c}", "kind of {c}", "the {c}'s name"),
    ("2: what {c} it is", "which {c} it is", "which {c} that is", "the {c}", "what kind of {c} it is", "the name of the {c}", "which {c} i sent"),
    ("3: what {c} is {it}", "3: which {c} is {it}", "which {c} do we have here", "what kind of {c} is {it}", "what {c}", "which {c} is that", "what sort of {c} is {it}", "can you name the {c}", "do you recognise the {c}", "have a guess at the {c}"),
)  # fmt: skip
"""Fields, objects and questions of a class {c}."""
OF_RAIN: Words = ("what weather is {it}", "what sort of weather is {it}", "which weather do we have")  # fmt: skip
WHO: Words = ("who is {it}", "who is that there", "who's there", "who do we have here", "who is it", "who plays in {it}", "who is the main character")  # fmt: skip
"""Questions for an animal."""

# --- alternatives --------------------------------------------------------------------------------

CHOICE_WORDS: dict[str, dict[str, Words]] = {
    "size": {"big": ("big", "large", "big", "huge"), "small": ("small", "little", "small", "tiny")},
    "size.audio": {"big": ("big", "low", "deep", "low"), "small": ("small", "high", "high", "high")},
    "size.imu": {"big": ("strong", "big", "hard", "strong"), "small": ("weak", "small", "soft", "gentle")},
    "tempo": {"fast": ("fast", "quick", "rapid", "fast"), "slow": ("slow", "slow", "slow", "leisurely")},
    "motion": {
        "still": ("standing still", "still", "not moving"), "left": ("left", "to the left", "going left"),
        "right": ("right", "to the right", "going right"), "up": ("up", "upwards", "going up"),
        "down": ("down", "downwards", "going down"), "toward": ("toward us", "coming closer"),
        "shake": ("shaking", "trembling"), "bounce": ("bouncing", "hopping"),
    },
}  # fmt: skip
"""Words for values that are offered as an alternative; the same place of two values fits together."""
