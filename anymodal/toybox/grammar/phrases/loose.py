"""Templates and words of `loose_requests`: verbs, nouns and frames that are drawn independently."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- nouns, verbs and tools of each modality -----------------------------------------------------

CALLED: dict[str, Words] = {
    "image": ("a picture", "a picture", "an image", "a drawing", "a painting", "a sketch", "a photo",
              "a portrait", "an illustration", "a doodle", "a poster", "a postcard", "a sticker"),
    "audio": ("a sound", "a sound", "a noise", "a tone", "a recording", "an audio clip", "a jingle",
              "a sample", "an audio file", "a ringtone", "a sound effect"),
    "video": ("a video", "a video", "a clip", "a film", "a movie", "an animation", "a scene",
              "a video clip", "a gif", "a short film"),
}  # fmt: skip
TO_MAKE: dict[str, tuple[tuple[str, str], ...]] = {
    "image": (("draw", "drawn"), ("paint", "painted"), ("sketch", "sketched"), ("doodle", "doodled"),
              ("illustrate", "illustrated"), ("depict", "depicted"), ("portray", "portrayed")),
    "audio": (("play", "played"), ("imitate", "imitated"), ("mimic", "mimicked"),
              ("sound out", "made to sound"), ("voice", "voiced")),
    "video": (("film", "filmed"), ("animate", "animated"), ("record", "recorded"),
              ("shoot", "shot on video"), ("capture on video", "captured on video")),
}  # fmt: skip
"""Infinitive and participle."""

TO_SENSE: dict[str, Words] = {
    "image": (
        "look at a picture of",
        "see an image of",
        "look at a drawing of",
        "see, in a picture,",
        "have a look at",
    ),
    "audio": ("hear", "hear", "listen to", "listen to", "hear a bit of", "hear the noise of"),
    "video": ("watch", "watch", "watch a clip of", "see a film of", "watch a movie of"),
}
TOOLS: dict[str, Words] = {
    "image": ("a pencil", "a pen", "a brush", "crayons", "oil paint", "a sheet of paper", "a canvas",
              "your pencil", "a marker", "some chalk"),
    "audio": ("the speaker", "the loudspeaker", "headphones", "the microphone", "the radio",
              "your voice", "the stereo"),
    "video": ("a camera", "the camera", "the screen", "a projector", "the tv", "your phone camera"),
}  # fmt: skip

REFERRED: dict[str, Words] = {
    "image": ("this picture", "the picture", "this image", "this photo", "the drawing", "my picture",
              "the photo that i took", "the attached image", "the picture above", "this drawing",
              "what you see", "what is in the picture", "the thing in this picture", "this"),
    "audio": ("this sound", "the sound", "this noise", "the noise", "my recording", "this recording",
              "the attached sound", "what you hear", "what is playing", "the thing that you hear",
              "the audio", "what makes this noise", "this"),
    "video": ("this video", "the video", "this clip", "the clip", "my film", "this movie",
              "the attached video", "what you see", "the thing in the film", "the footage",
              "what happens here", "this"),
    "imu": ("this movement", "the movement", "my movement", "what you feel", "this motion",
            "what i just did", "the motion of my hand", "this"),
}  # fmt: skip
SENSED: dict[str, tuple[str, str, str]] = {
    "image": ("see", "seeing", "seen"),
    "audio": ("hear", "hearing", "heard"),
    "video": ("see", "watching", "seen"),
    "imu": ("feel", "feeling", "felt"),
}

# --- requests that name the thing: {x} it, {n} a media item, {v}, {p} to make, {s} to sense it ---

GET: Words = ("make", "make me", "give me", "get me", "create", "prepare", "produce", "bring me",
              "send me", "find me", "think of", "generate", "do", "build me", "hand me",
              "let me have", "try", "deliver", "fetch me", "make us", "show me")  # fmt: skip
WANT_OPENERS: Words = ("i want", "i need", "i'd love", "we need", "i am looking for", "i wish for",
               "i am after", "i could use", "it is time for", "how about", "is there",
               "any chance of", "what about", "i ask for", "i hope for", "i came for",
               "my friend wants", "my sister needs", "we would love", "ready for", "i'd pay for",
               "nothing but", "can there be", "i miss", "next, ", "first of all ")  # fmt: skip
WISH: Words = ("i want to", "i hope to", "i'd love to", "we want to", "allow me to", "i came to",
               "i am ready to", "my friend wants to", "it is time to", "i wish i could", "can we",
               "i'd be happy to", "i need to", "my brother hopes to", "we came to", "is it ok to",
               "i can't wait to", "everybody wants to", "may we", "could i", "help me")  # fmt: skip
OF: Words = ("of", "of", "of", "with", "showing", "about", "that has", "for")

NAMED: Words = (
    "{v} {x}", "{v} {x}", "{get} {n} {of} {x}", "{get} {n} {of} {x}", "{get} {n} {of} {x}",
    "{want} {n} {of} {x}", "{want} {n} {of} {x}", "{wish} {s} {x}", "{wish} {s} {x}",
    "with {t}, {v} {x}", "use {t} to {v} {x}", "{v} {x} with {t}", "{x} as {n}", "{x}, {p}",
    "{x} should be {p}", "{x} in {n}", "{x}: {n}", "{n}: {x}", "{n} {of} {x}", "{x}. {v} it",
    "{x}! {v} it", "{x}? {v} it", "think of {x} and {v} it", "{x} has to be {p}", "can {x} be {p}?",
    "{get} {n}, the subject is {x}", "the subject is {x}, so {v} it", "why not {v} {x}?",
    "i bet you can {v} {x}", "your task is to {v} {x}", "{x}, and {n} is what i need",
    "{n} where there is {x}", "there is {x} in my head, {v} it", "there should be {x} in {n}",
    "{wish} {s} {x}, so {v} it", "{v} something for me, namely {x}", "{n} please, and make it {x}",
    "the best {N} has {x}", "{x} is missing, {v} it", "i have no {N} of {x}", "{x}, {x}, {v} {x}",
    "you know {x}? {v} that", "nobody has {p} {x}, so do it", "{v}: {x}", "{N}, {x}", "{x}, {N}",
    "a person who likes {x} wants {n}", "is {x} easy to {v}?", "{want} {n}. it is {x} that i mean",
)  # fmt: skip

# --- requests about the thing in a given media item, {r} -----------------------------------------

ABOUT: Words = (
    "{v} {r}", "{v} {r}", "{get} {n} of {r}", "{get} {n} from {r}", "{want} {n} of {r}",
    "{want} {n} that goes with {r}", "{n} of {r}", "{n} for {r}", "{r} as {n}", "{r}, but as {n}",
    "turn {r} into {n}", "change {r} into {n}", "convert {r} to {n}", "translate {r} to {n}",
    "make {n} out of {r}", "{r} should become {n}", "{r} needs {n}", "{r}: {v} it", "{r}? {v} it",
    "use {r} to make {n}", "from {r} to {n}", "add {n} to {r}", "which {N} goes with {r}?",
    "with {t}, {v} {r}", "{v} whatever belongs to {r}", "{v} the thing", "{v} that thing",
    "{wish} {s} it", "{wish} {s} the thing", "{r} has no {N}, {v} one", "{r} must be {p}",
    "based on {r}, {get} {n}", "you got {r}, now {v} it", "find out what it is and {v} it",
    "what {N} do you make of {r}?", "{n} that fits {r}", "let {r} be {p}", "could {r} be {p}?",
    "take {r} and {v} it", "{v} it, i mean {r}", "{n} now", "{N} please", "as {n} please",
)  # fmt: skip
ABOUT_ONLY: dict[tuple[str, str], Words] = {
    ("image", "audio"): ("how might {r} sound?", "how loud is it? let it be heard",
                         "{r} is silent, change that", "make {r} audible", "it must have a voice"),
    ("video", "audio"): ("how might {r} sound?", "{r} is mute, change that", "add sound",
                         "where is the sound of {r}?", "make {r} audible", "it must have a voice"),
    ("audio", "image"): ("how might the thing look?", "what looks like that? {v} it", "show me who it is",
                         "give this noise a face", "make {r} visible", "what face has this sound?"),
    ("audio", "video"): ("film whoever makes {r}", "the scene for {r}, filmed", "animate whoever it is"),
    ("image", "video"): ("bring {r} to life", "set {r} in motion", "i want {r} in motion, filmed",
                         "make {r} come alive"),
    ("video", "image"): ("freeze {r}", "a frame of {r}", "give me one frame of {r}", "a photo from {r}",
                         "a screenshot of {r}", "hold {r} and draw it"),
}  # fmt: skip

# --- requests to describe a given media item -----------------------------------------------------

SAY: Words = ("tell me", "say", "explain", "let me know", "write", "report", "spell out",
              "find out", "i need to know", "i want to know", "i'd like to know", "can you say",
              "please say", "try to say", "i ask you", "do you know", "are you able to tell",
              "teach me", "inform me", "remind me", "show off and say")  # fmt: skip
BRIEF: Words = ("in a sentence", "in a few words", "in plain words", "in short", "in your own words",
                "briefly", "as you would tell a child", "as exactly as you can", "with all details",
                "in one line", "and be exact")  # fmt: skip
DESCRIBED: Words = (
    "{say} what {r} is", "{say} what {r} is", "{say} what you {s}", "{say} what can be {p}",
    "{say} something about {r}", "{say} about {r}", "what do we {s}?", "what is {r}?",
    "what is {r} about?", "what does {r} tell you?", "any idea what {r} is?", "what can be {p}?",
    "i wonder what {r} is", "i do not know what {r} is, do you?", "help me understand {r}",
    "what am i {i}?", "what are we {i}?", "identify {r}", "{r}: what is it?", "{r} in words",
    "describe {r}", "describe {r}", "describe what you {s}", "caption {r}", "a caption please",
    "a description of {r}", "a word on {r}?", "your thoughts on {r}?", "analyse {r}", "{r}?",
    "put {r} into words", "what would you say {r} is?", "what comes to mind?", "recognise {r}",
    "what did i {s}?", "what did you {s}?", "and what do you {s} now?", "what have i sent?",
    "what have i given you?", "name everything you {s}", "what do you notice?", "look into {r}",
    "what do you think {r} is?", "do you recognise {r}?", "do you {s} anything?", "talk about {r}",
    "i can't {s} anything, what is it?", "i did not {s} it, what was it?", "what was {r}?",
)  # fmt: skip

# --- irrelevant talk around a request ------------------------------------------------------------

_PEOPLE = ("i", "we", "my mother", "my father", "my sister", "my brother", "my daughter", "my son",
           "my friend", "my teacher", "my boss", "my neighbour", "my aunt", "my uncle", "the baby",
           "our class", "our team", "the whole family", "somebody here", "my wife", "my husband",
           "the man next door", "a friend of mine", "my grandfather", "the children")  # fmt: skip
_DO = ("am tired", "feel well", "have time", "sit at the table", "can't sleep", "like surprises",
       "need something new", "wait for the bus", "had a long day", "have nothing to do",
       "want to laugh", "write a book", "learn a lot", "have a party", "come home late",
       "work in a shop", "live in the city", "love toys", "cook dinner", "read the news",
       "have a new phone", "have an empty room", "sit in the kitchen", "asked for help",
       "feel bored", "need a present", "play a game", "talk about you", "clean the house",
       "forgot my glasses", "have a cold", "go to school", "drink some tea")  # fmt: skip
_ASIDE = ("it is a test", "it is monday", "it is late", "the weather is bad", "the room is dark",
          "the house is quiet", "this is for work", "this is for school", "it is my birthday",
          "the party starts soon", "there is no hurry", "it will be fun", "i know it is hard",
          "money is no problem", "that would help", "the phone is new", "my desk is empty",
          "this is my last wish", "the class is waiting", "nobody knows", "i am serious",
          "it is important", "dinner is ready", "the window is open", "i trust you")  # fmt: skip
CLAUSE_PARTS: tuple[Words, Words, Words] = (_PEOPLE, _DO, _ASIDE)
OPENINGS: Words = ("well, ", "hm, ", "so, ", "oh, ", "one more thing: ", "my friend, ", "dear model, ",
                   "question: ", "a favour: ", "listen now: ", "alright, ", "you there, ",
                   "excuse me, ", "sorry, ", "if you can, ", "as i said, ", "for once, ", "again: ",
                   "a wish: ", "request: ", "today ", "tonight ", "anyway, ", "by the way, ")  # fmt: skip
CLOSINGS: Words = (", for my sister", ", for my mother", ", if you can", ", if possible", ", for a friend",
                   ", before dinner", ", as a present", ", will you", ", my dear", ", now",
                   ", thank you", ", thanks", ", for the party", ", for my room", ", like a pro",
                   ", you know how", ", just for fun", ", when you have time", ", for school",
                   ", for the baby", ", as always", ", if that is ok", ", do it well")  # fmt: skip
