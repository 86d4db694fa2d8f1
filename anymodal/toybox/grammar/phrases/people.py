"""Rules of requests as people type them. Symbols: {x} the thing, {X} it without an article."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- words of each modality: {n} a noun, {v} a verb that makes, {ving}, {sense} ------------------

MEDIUM_WORDS: dict[str, dict[str, Words]] = {
    "image": {
        "n": ("4: picture", "4: pic", "3: image", "2: drawing", "2: sketch", "painting", "photo", "img",
              "illustration", "doodle", "artwork", "portrait", "cartoon", "icon", "graphic", "snapshot",
              "watercolour", "still picture", "jpg", "poster", "piece of art"),
        "v": ("5: draw", "2: paint", "2: sketch", "doodle", "illustrate", "design", "scribble", "depict"),
        "ving": ("3: drawing", "painting", "sketching", "doodling", "illustrating", "designing"),
        "ved": ("drawn", "painted", "sketched"),
        "sense": ("see", "look at", "have a look at", "get a look at"),
        "get": ("4: {base_get}", "draw", "upload"),
        "of": ("7: of", "with", "showing", "featuring", "depicting"),
        "special": ("what does {x} look like?", "how does {x} look?", "what would {x} look like?",
                    "show me what {x} looks like", "can you visualise {x}?", "visualize {x}",
                    "do you know what {x} looks like? {v} it", "imagine {x}. now {v} it",
                    "show {x}", "let me see {x}", "can i see {x}?", "have you got {x}? show me"),
    },
    "audio": {
        "n": ("4: sound", "3: noise", "2: audio", "sound effect", "recording", "sound clip", "sfx", "mp3",
              "audio clip", "sample", "sound file", "soundbite", "ringtone", "wav"),
        "v": ("4: play", "imitate", "mimic", "reproduce", "simulate"),
        "ving": ("3: playing", "imitating", "mimicking", "simulating"),
        "ved": ("played", "imitated"),
        "sense": ("3: hear", "3: listen to", "have a listen to"),
        "get": ("3: {base_get}", "play", "record"),
        "of": ("8: of", "from", "for", "with"),
        "special": ("what does {x} sound like?", "how does {x} sound?", "what sound does {x} make?",
                    "what noise does {x} make?", "which sound comes from {x}?", "make a noise like {x}",
                    "how would {x} sound?", "let me hear {x}", "lemme hear {x}", "sound of {X}",
                    "make the sound {x} makes", "do you know how {x} sounds? play it", "sound like {x}",
                    "i forgot what {x} sounds like", "i've never heard {x}, play it for me"),
    },
    "video": {
        "n": ("4: video", "4: vid", "3: clip", "2: animation", "2: gif", "2: movie", "film", "short clip",
              "short film", "short video", "video clip", "mp4", "cartoon clip"),
        "v": ("3: animate", "3: film", "record", "shoot", "make a movie with", "make a vid with"),
        "ving": ("animating", "filming", "recording", "shooting"),
        "ved": ("animated", "filmed", "recorded"),
        "sense": ("2: watch", "see a video of", "watch a clip of", "see a clip with"),
        "get": ("4: {base_get}", "film", "shoot", "record"),
        "of": ("7: of", "with", "showing", "featuring", "about"),
        "special": ("{x}, on video", "{x} on film", "let me watch {x}", "lemme watch {x}",
                    "i want to watch {x}", "{X} - {n}", "animated {X}",
                    "{x}, as {a} {n}", "can i watch {x}?", "roll the camera: {x}", "action! {x}, on camera"),
    },
}  # fmt: skip
"""Words by symbol, for each modality."""

# --- frames --------------------------------------------------------------------------------------

REQUEST: dict[str, Words] = {
    "request": (
        "8: {cmd}", "5: {open} {cmd}", "4: {cmd} {close}", "5: {terse}", "6: {want}", "3: {want} {close}",
        "5: {ask}", "2: {ask} {close}", "3: {special}", "2: {two}", "3: {wordy}", "2: {turned}",
        "{hello} {cmd}", "{hello} {want}", "{hello} {ask}", "{hello} {open} {cmd}",
    ),
    "cmd": (
        "5: {v} {x}", "2: {v} me {x}", "4: {get} [me|us|] {a} {n} {of} {x}", "2: {get} [me|us|] {x} as {a} {n}",
        "{get} [me|] {x}, [as a|a] {n}", "try to {v} {x}", "try {ving} {x}", "{v} {x} [in|as] {a} {n}",
        "{get} [me|us|] {a} {n}, [with {x} in it|{x} in it|with {x} on it]", "[start|get] {ving}: {x}",
        "{get} {a} {n} [that shows|that has|where there is|with nothing but] {x}", "go ahead and {v} {x}",
        "{get} [me|] {a} [simple|nice|cool|cute|good|pretty|random|new|single] {n} {of} {x}",
    ),
    "a": ("6: a", "the", "one", "some"),
    "base_get": ("4: make", "3: give", "3: show", "2: create", "2: generate", "get", "send", "produce", "render",
            "do", "gimme", "bring", "craft", "prepare", "build", "find", "post", "drop"),
    "open": (
        "5: can you", "3: could you", "2: please", "2: pls", "plz", "can u", "could u", "would you", "will you",
        "would you please", "can you please", "could you please", "can you pls", "kindly", "just", "now", "ok",
        "okay", "so", "hey", "yo", "hey can you", "could you maybe", "can you maybe",
        "u should", "you should", "you have to", "you must", "you need to", "i want you to", "i need you to",
        "i'd like you to", "i would like you to", "let's", "do me a favor and", "do me a favour and", "go",
        "are you able to", "is it possible to", "are you able to maybe", "would it be possible to",
        "why don't you", "how about you", "mind if i ask you to", "be so kind and", "be a dear and",
        "as a next thing,", "first,", "to start,", "for starters", "i'm asking you to",
        "maybe you could", "perhaps you can", "i bet you can", "i dare you to", "feel free to", "next:",
    ),
    "close": (
        "5: please", "3: pls", "2: plz", "thanks", "thx", "ty", "thank you", "for me", "if you can", "if possible",
        ", ok?", "ok", "when you have a sec", "asap", "now", "would you?", ", will you?",
        "or something", "or so", "if you don't mind", ", cheers", ", would be great", "lol", "haha", "tho", "bro",
        "mate", "my friend", "for my kid", "for my daughter", "for school", "for work", "for a card", "for fun",
        "for my wallpaper", "for my project", "for a birthday", "thanks in advance", ", much appreciated",
        "tia", "!!", "if u can", "if that's ok", "if it's not too hard", "and nothing else", "today",
        "for a friend", ", buddy", "dear", "man", "soon", "kindly", "as you like it",
    ),
    "hello": (
        "2: hi,", "2: hey,", "hello,", "hello!", "hi!", "hi there,", "good morning,", "good evening.", "yo,", "heya,",
        "sup,", "hi nano,", "hey nano,", "ok nano,", "hey you,", "hiya!", "hello there.", "hi again,", "greetings.",
        "hi, how are you?", "hey there!", "dear nano,", "good day,", "ahoy,", "howdy,",
    ),
    "terse": (
        "5: {X} {n}", "3: {n} of {X}", "2: {n} {X}", "2: {X}, {n}", "{n}: {X}", "{X} {n} {close}", "{n} of {x}",
        "{x} {n}", "{X} - {n}", "{v} {X}", "{v} {X} {close}", "{get} {X} {n}", "new {n}: {X}", "one {X} {n}",
        "{X} {n} now", "need {X} {n}", "want {X} {n}", "{n} with {X}", "{n} pls, {X}", "{n}? {X}", "{X} ({n})",
        "1 {n} of {x}", "1x {n} {X}", "{n} = {X}", "some {X} {n}",
    ),
    "want": (
        "4: {i_want} {a} {n} {of} {x}", "2: {i_want} to {sense} {x}", "{i_want} {x} {ved}", "{i_want} {x} as {a} {n}",
        "2: [i'd like|i would like] {a} {n} {of} {x}", "[let me|lemme] {sense} {x}", "[i'd love|i would love] to {sense} {x}",
        "[i was hoping for|i'm looking for|im looking for|i'm after|i am after|how about|what about|i could use] {a} {n} {of} {x}",
        "[need|want] {a} {n} {of} {x}", "[wanna|wanna] {sense} {x}", "i wanna {sense} {x}", "we need {a} {n} {of} {x}",
        "[all i want is|what i need is|what i want is|i'd be happy with|i'm in the mood for] {a} {n} {of} {x}",
        "{x} is what i want [a {n} of|to {sense}]", "i wish i had {a} {n} {of} {x}", "i think i want {a} {n} {of} {x}",
        "i [really|just|kinda|only] want {a} {n} {of} {x}", "[time for|next thing:|let's have] {a} {n} {of} {x}",
    ),
    "i_want": ("4: i want", "2: i need", "i wanna have", "i'd like", "id like", "i would like", "we want", "i require",
               "i do want", "i really want", "i desire"),
    "ask": (
        "3: can i [get|have|see|please have|pls have] {a} {n} {of} {x}?", "[could|may] i [get|have|please have] {a} {n} {of} {x}?",
        "do you have {a} {n} {of} {x}?", "have you got {a} {n} {of} {x}?", "is there {a} {n} {of} {x}?",
        "any chance of {a} {n} {of} {x}?", "any chance you could {v} {x}?", "can you do {a} {n} {of} {x}?",
        "would you mind {ving} {x}?", "do you mind {ving} {x}?", "how about {ving} {x}?", "what about {a} {n} {of} {x}?",
        "do you think you could {v} {x}?", "could i trouble you for {a} {n} {of} {x}?", "are you good at {ving} {x}? show me",
        "can you {v} {x}?", "could you {v} {x}?", "can u {v} {x}", "do you know how to {v} {x}? do it", "is {x} something you can {v}?",
        "who can {v} {x} for me?", "why not {v} {x}?", "shall we {v} {x}?", "mind {ving} {x}?", "would {a} {n} {of} {x} be possible?",
        "where can i [get|find] {a} {n} {of} {x}?", "can we have {a} {n} {of} {x}?", "could there be {a} {n} {of} {x}?",
        "what do i have to do to get {a} {n} {of} {x}?", "you know {x}? {v} one",
    ),
    "two": (
        "{talk}. {cmd}", "{talk}. {open} {cmd}", "{talk}. {want}", "i have {x} in mind. {v} it", "i'm thinking of {x}. {v} it [for me|]",
        "{talk}! {ask}", "i like {x}. {get} [me|] {a} {n} of one", "{a} {n}, please. it should be {x}", "{get} {a} {n}. {x}",
        "{i_want} {a} {n}. make it {x}", "{cmd}. {talk}", "{want}. {talk}", "{get} {a} {n}. it should show {x}",
        "i need {a} {n}. {x} it is", "it's {x} that i want. {get} {a} {n}", "{x}. just that. {v} it", "{x}? yes. {v} that",
        "one thing. {cmd}", "first request: {x}. {n}, please", "{talk}, {cmd}", "{talk} so {open} {cmd}",
    ),
    "wordy": (
        "[i was wondering|i wonder] [if|whether] you could [maybe|possibly|perhaps|] {v} {x}",
        "[i was wondering|i wonder] [if|whether] i could [get|have] {a} {n} {of} {x}",
        "it would be [great|awesome|lovely|nice|cool|amazing|super] if you could [{v} {x}|{get} me {a} {n} {of} {x}]",
        "if it's not too much [trouble|work|to ask], [please|could you] {v} {x}", "if you have time, {cmd}", "whenever you're ready, {cmd}",
        "for my [presentation|homework|blog|website|slides|story|game|album|invitation|class|report|channel] i need {a} {n} {of} {x}",
        "i'm [working on|making|preparing] [a card|a game|a book|a talk|a website|a lesson] and need {a} {n} {of} {x}",
        "my [kid|daughter|son|niece|nephew|mom|dad|grandma|wife|husband|boss|teacher|friend|cat] [wants|would love|asked for|needs] {a} {n} {of} {x}",
        "[please|kindly] provide [me with|] {a} {n} {of} {x}", "i would be [very|so|really] [grateful|thankful|happy] for {a} {n} {of} {x}",
        "i'd appreciate {a} {n} {of} {x}", "your mission: {v} {x}", "task: {v} {x}",
        "here is what i want you to do: {v} {x}", "today i'd like to see if you can {v} {x}", "let me test you: {v} {x}",
        "i've been told you can {v} things, so {v} {x}", "i heard you can {v} {x}, [is that true? show me|prove it|show me]",
        "since you're so good at it, {v} {x}", "not sure if you can, but {v} {x}",
        "i know this is silly but can you {v} {x}?", "sorry to bother you, could you {v} {x}?", "excuse me, {open} {cmd}",
    ),
    "turned": (
        "{x}, that's what i want {a} {n} of", "of {x} i want {a} {n}", "{x} - can you {v} that?", "{a} {n}, please, of {x}",
        "{x}, please, as {a} {n}", "as {a} {n}, {x}", "in {a} {n}, show {x}", "{x}: {v} it", "{x}! {v} it!", "{x}, {ved}, please",
        "{x} please, {a} {n}", "with {x} in it, {a} {n}", "{x}. {n}. now", "{x}, can you {v} it?", "{x}, could you {v} one?",
        "{a} {n} [i'd like|i want|i need] of {x}", "{a} {n}. of what? {x}", "{x} i'd like to {sense}", "{x} - {v} that for me",
    ),
    "talk": (
        "my name is ben", "i'm bored", "i am so bored", "the weather is nice", "nice to meet you", "this is fun", "what a day",
        "i'm new here", "first time here", "just testing", "this is a test", "testing testing", "i have a question", "ok here we go", "let's try something",
        "let's play", "i got an idea", "i have an idea", "i can't decide", "my kid is here", "we are at school", "i'm at work", "i'm on the bus",
        "you're great", "i love this", "you did well before", "i need your help", "help me out", "i have to do homework", "my friend told me about you",
        "it's my birthday", "it's late", "i can't sleep", "coffee first", "lol ok", "haha", "hmm", "let me think", "oh well", "whatever",
        "let's see what you can do", "show me your skills", "i'm curious", "surprise me", "be creative", "don't worry if it's not perfect", "take your time",
        "no hurry", "i'm in a good mood", "i had a long day", "today is friday", "my phone is new", "the party is tomorrow", "we're having fun",
    ),
}  # fmt: skip
"""Alternatives by symbol; {n}, {v}, {ving}, {ved}, {sense} and {special} are a modality's."""

MOVING: Words = (
    "[make|let|have] {x0} {go}", "can you make {x0} {go}?", "i want {x0} to {go}", "show me {x0} {going}",
    "{x0} should {go}", "let me see {x0} {going}", "i want to see {x0} {going}", "{x0} {going}", "[pls|please] make {x0} {go}",
    "i wanna see {x0} {go}", "could you show {x0} {going}?", "watch {x0} {go}", "{x0}, {going}", "what does it look like when {x0} is {going}?",
)  # fmt: skip
"""Requests for a video by motion alone: {x0} the thing, {go} an infinitive, {going} a participle."""

SOUNDING: Words = (
    "[make|let|have] {voice}", "let me hear {voice}", "i want to hear {voice}", "can you make {voice}?", "can i hear {voice}?",
    "i'd like to hear {voice}", "please let {voice}", "lemme hear {voice}", "i wanna hear {voice}",
)  # fmt: skip
"""Requests for audio by what a thing does: {voice} as in "a duck quack"."""

# --- negation and contrast: {w} the word that isn't meant, {r} the right one, {x0} without both ---

NOT_VALUE: Words = (
    "{x}, not {w}", "{x} - not {w}!", "{x0}, {r} not {w}", "{x0}, {r} instead of {w}", "{x0}, not {w} but {r}", "{x0}. not {w}, {r}",
    "{x0} that is not {w} but {r}", "{x0}, {r} rather than {w}", "{x0}. don't make it {w}, make it {r}", "{x0}, {r} and not {w}",
    "{x}, please not {w}", "{x}, anything but {w}", "{x0}, but {r}, not {w}", "{x0}, {r} though, not {w}", "{x0} ({r}, not {w})",
    "{x0}, but {r} instead of {w}", "{x}. no {w} please", "{x0}: {r}, never {w}",
)  # fmt: skip
NOT_BINARY: Words = ("{x0}, but don't make it {w}", "{x0}, not too {w}", "{x0} that isn't {w}", "{x0}, just not {w}", "{x0} that is not {w}",
                     "{x0}, and not a {w} one", "{x0}. it shouldn't be {w}", "{x0}, not {w}", "{x0} but not {w}")  # fmt: skip
NOT_THING: Words = ("{x}, not a {w}", "not a {w} but {x}", "{x} instead of a {w}", "{x} rather than a {w}", "not a {w}, {x}", "{x}, and not a {w}",
                    "no {w}, {x}", "{x} - i don't want a {w}", "{x}, please no {w}", "{x} and no {w}")  # fmt: skip
NOT_MEDIUM: Words = (
    "{cmd}, not a {n2}", "{cmd}, no {n2}", "no {n2}, just the {n}: {x}", "no {n2} please, {want}", "i don't want a {n2}. {cmd}", "don't {v2} it, {v} it: {x}",
    "not a {n2}, a {n} of {x}", "{x}, just the {n}, no {n2}", "{n} only, no {n2}: {x}", "{x} but only as a {n}, not as a {n2}", "{cmd} instead of a {n2}",
    "a {n} of {x} and no {n2}", "i don't need a {n2}, only a {n} of {x}", "forget the {n2}, {cmd}", "please {v} {x}. no {n2}!", "{n} rather than {n2}: {x}",
    "{want}, not a {n2}", "skip the {n2}, just {v} {x}", "without a {n2}, just {v} {x}", "{cmd}. a {n}, not a {n2}",
)  # fmt: skip
CONTRAST: dict[str, Words] = {
    "contrast": ("2: {v} {x}", "{open} {v} {x}", "{i_want} a {n} of {x}", "{get} me a {n} of {x}", "{n} of {x}", "{n}: {x}", "a {n}, {x}",
                 "{hello} {v} {x}", "can i get a {n} of {x}"),
    "contrast_image": ("6: {contrast}", "{x}"),
}  # fmt: skip
"""Frames of requests around a phrase that may hold sentences."""
