"""Templates of requests for media: new ones, conversions, edits, and several at once."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- how requests are wrapped --------------------------------------------------------------------

POLITE: Words = (
    "{v}", "{v}", "{v}", "{v}", "please {v}", "{v} please", "{v}, please", "could you {v}?",
    "can you {v}?", "can you please {v}?", "could you please {v}?", "would you {v}?",
    "will you {v}?", "i want you to {v}", "i'd like you to {v}",
    "ok, {v}", "try to {v}", "would you please {v}?", "i need you to {v}", "maybe {v}",
    "go on, {v}", "{v} for me", "can you {v} for me?", "please {v} for me", "just {v}",
    "you can {v}, can't you?", "it would be nice if you could {v}", "could you just {v}?",
)  # fmt: skip
GREETINGS: Words = ("hey, ", "hi, ", "hello, ", "hello! ", "hi there, ")
FOLLOW: Words = ("", "", "", "now ", "ok, now ", "and now ", "thanks, now ", "nice, now ",
                 "good. now ", "then ", "great, now ")  # fmt: skip

# --- requests that name the thing ----------------------------------------------------------------

MAKE_VERBS: dict[str, Words] = {
    "image": (
        "draw {x}", "draw {x}", "draw me {x}", "paint {x}", "paint me {x}", "sketch {x}",
        "make a picture of {x}", "make me a picture of {x}", "create an image of {x}",
        "give me a picture of {x}", "show me a picture of {x}", "show me {x}",
        "draw a picture of {x}", "make an image of {x}", "create a picture of {x}",
        "paint a picture of {x}", "show me an image of {x}", "make a drawing of {x}",
    ),
    "audio": (
        "play {x}", "play me {x}", "play the sound of {x}", "let me hear {x}",
        "make the sound of {x}", "give me the sound of {x}", "play a sound of {x}",
        "let me hear the sound of {x}", "make a sound like {x}", "sound like {x}",
        "create the sound of {x}", "play what {x} sounds like", "make the noise of {x}",
    ),
    "video": (
        "film {x}", "make a video of {x}", "make me a video of {x}", "show me a video of {x}",
        "animate {x}", "make a clip of {x}", "create a video of {x}", "give me a video of {x}",
        "show me a clip of {x}", "make a movie of {x}", "record a video of {x}",
        "make an animation of {x}", "create a clip of {x}",
    ),
}  # fmt: skip
SHOW_MOVING: Words = ("show me {x}", "show {x}", "let me see {x}", "show us {x}")
"""With something that moves, these ask for a video."""

WANT: dict[str, Words] = {
    "image": (
        "i want a picture of {x}", "i'd like a picture of {x}", "i want to see a picture of {x}",
        "i'd like to see a picture of {x}", "{x} please", "a picture of {x} please",
        "a picture of {x}", "a drawing of {x}", "i need a picture of {x}", "what about {x}?",
        "i would love a picture of {x}", "do you have a picture of {x}?", "{x}",
        "can i have a picture of {x}?", "may i see a picture of {x}?", "an image of {x}",
        "could i get a drawing of {x}?", "i want {x}, drawn by you",
    ),
    "audio": (
        "i want to hear {x}", "i'd like to hear {x}", "i want the sound of {x}",
        "the sound of {x} please", "the sound of {x}", "i need the sound of {x}",
        "i would love to hear {x}", "can i hear {x}?", "may i hear {x}?", "could i hear {x}?",
        "do you have the sound of {x}?", "what does {x} sound like?", "how does {x} sound?",
        "what is the sound of {x}?", "tell me with a sound what {x} sounds like",
    ),
    "video": (
        "i want a video of {x}", "i'd like a video of {x}", "i want to see a video of {x}",
        "a video of {x} please", "a video of {x}", "a clip of {x}", "i need a video of {x}",
        "i would love a video of {x}", "do you have a video of {x}?", "can i have a video of {x}?",
        "may i see a video of {x}?", "can i see a clip of {x}?", "could i get a video of {x}?",
        "i'd like to see a clip of {x}", "a movie of {x} please",
    ),
}  # fmt: skip

# --- requests about the thing in a given media item ----------------------------------------------

IT_VERBS: dict[str, Words] = {
    "image": ("draw it", "paint it", "draw a picture of it", "make a picture of it", "sketch it",
              "show me a picture of it", "make an image of it", "make a drawing of it"),
    "audio": ("play its sound", "play it", "let me hear it", "make its sound", "make it sound",
              "let me hear its sound", "play what it sounds like", "play the sound of it"),
    "video": ("film it", "make a video of it", "show me a video of it", "animate it",
              "make a clip of it", "turn it into a video", "make a movie of it",
              "show it in a video"),
}  # fmt: skip
AGAIN_VERBS: dict[str, Words] = {
    "image": ("draw it again", "draw the same thing", "draw the same thing again", "copy it",
              "make the same picture", "paint it again", "show it again", "copy the picture"),
    "audio": ("play it again", "play the same sound", "repeat it", "repeat the sound",
              "make the same sound", "let me hear it again", "play the sound again"),
    "video": ("show it again", "make the same video", "play the video again", "film it again",
              "make the clip again", "show me the same video", "repeat the video"),
}  # fmt: skip
GIVEN_VERBS: dict[tuple[str, str], Words] = {
    ("image", "image"): ("draw this", "paint this", "draw this picture again", "copy this",
                         "draw what you see", "paint what you see", "draw this thing"),
    ("audio", "image"): ("draw what you hear", "paint what you hear", "draw what makes this sound",
                         "draw the thing that makes this sound", "show me what makes this sound",
                         "make a picture of what you hear", "turn this sound into a picture"),
    ("video", "image"): ("draw what you see", "draw what you see in the video",
                         "make a picture of this video", "draw the thing in this clip",
                         "paint what you see", "turn this video into a picture", "draw this"),
    ("image", "audio"): ("play the sound of this picture", "play the sound of what you see",
                         "let me hear this picture", "play what this sounds like",
                         "turn this picture into a sound", "let me hear what you see"),
    ("audio", "audio"): ("play this again", "repeat this", "play this sound again", "play this",
                         "repeat what you hear", "play what you hear", "copy this sound"),
    ("video", "audio"): ("play the sound of this video", "play the sound of what you see",
                         "let me hear this video", "turn this clip into a sound",
                         "play what this sounds like", "let me hear what you see"),
    ("image", "video"): ("animate this", "animate this picture", "make a video of this",
                         "turn this picture into a video", "film this", "make a clip of this",
                         "turn this into a video"),
    ("audio", "video"): ("make a video of what you hear", "film what makes this sound",
                         "show me a video of what makes this sound",
                         "turn this sound into a video", "film what you hear",
                         "make a clip of what you hear"),
    ("video", "video"): ("show this again", "make this video again", "film this again",
                         "make this clip again", "repeat this video", "copy this video"),
}  # fmt: skip
IT_WANTS: dict[str, Words] = {
    "image": ("i want to see a picture of it", "i'd like a picture of it", "a picture of it",
              "i want it as a picture", "can i have a picture of it?"),
    "audio": ("i want to hear it", "i'd like to hear it", "can i hear it?", "may i hear it?",
              "i want to hear its sound", "i'd like to hear its sound"),
    "video": ("i want to see a video of it", "i'd like a video of it", "a video of it",
              "i want it as a video", "can i have a video of it?", "i want to see it in a video"),
}  # fmt: skip
IT_QUESTIONS: dict[tuple[str, str], Words] = {
    ("audio", "image"): ("what does it look like?", "how does it look?"),
    ("image", "audio"): ("what does it sound like?", "how does it sound?",
                         "what sound does it make?", "and what does it sound like?",
                         "what does this sound like?", "which sound does it make?"),
    ("video", "audio"): ("what does it sound like?", "how does it sound?",
                         "what sound does it make?", "and what does it sound like?",
                         "what does this sound like?", "which sound does it make?"),
}  # fmt: skip

# Edits of one attribute where the modality stays: {v} the word, {more} the comparative, {x} a noun.
EDIT_COLOR: Words = (
    "make it {v}", "change the colour to {v}", "change the color to {v}", "turn it {v}",
    "the same in {v}", "the same but {v}", "can it be {v}?", "i want it in {v}", "how about {v}?",
    "{v} please", "try {v}", "try it in {v}", "make this {v}", "i'd like it {v}", "in {v} please",
    "now in {v}", "give it a {v} colour", "let it be {v}", "it should be {v}", "use {v} instead",
    "color it {v}", "what about {v}?", "change it to {v}", "i like {v} better",
)  # fmt: skip
EDIT_SIZE: Words = (
    "make it {more}", "{more} please", "{more}", "can it be {more}?", "i want it {more}",
    "make it {v}", "the same but {v}", "the same but {more}", "now {more}", "it should be {more}",
    "let it be {v}", "try it {more}", "i'd like it {more}", "how about a {more} one?",
    "give me a {more} one", "a {more} one please", "i want a {v} one", "do it {more}",
    "the same, only {more}", "change the size to {v}",
)  # fmt: skip
EDIT_PITCH: Words = (
    "play it {more}", "make it {more}", "{more} please", "{more}", "make it sound {more}",
    "can you play it {more}?", "can it be {more}?", "i want it {more}", "the same but {more}",
    "now {more}", "a {more} sound please", "it should sound {more}", "try it {more}",
    "the same sound, only {more}", "let me hear it {more}",
)  # fmt: skip
EDIT_TEMPO: Words = (
    "{more} please", "{more}", "make it {more}", "can it be {more}?", "i want it {more}",
    "the same but {more}", "now {more}", "it should be {more}", "try it {more}", "do it {more}",
    "the same, only {more}", "let it be {more}", "make it {v}", "not so {other}", "too {other}",
    "that is too {other}", "at a {v} pace please", "give it a {v} pace",
)  # fmt: skip
EDIT_MOTION: Words = (
    "make it {v}", "let it {v}", "make it {v} instead", "now make it {v}", "i want it to {v}",
    "can it {v}?", "it should {v}", "show it {ing}", "film it {ing}", "let me see it {ing}",
    "the same but {ing}", "i'd like to see it {ing}", "have it {v}", "can you make it {v}?",
    "could it {v}?", "please make it {v}", "try to make it {v}", "show me how it would {v}",
)  # fmt: skip
EDIT_THING: Words = (
    "make it {x}", "{x} instead", "turn it into {x}", "replace it with {x}", "change it to {x}",
    "the same with {x}", "do the same with {x}", "now with {x}", "use {x} instead",
    "{x} instead please", "i want {x} instead", "how about {x} instead?", "make it {x} instead",
    "could it be {x}?", "the same but with {x}", "let it be {x}", "i'd rather have {x}",
    "try {x} instead", "swap it for {x}", "what about {x} instead?",
)  # fmt: skip

# --- requests with an IMU recording ({x} names the thing) ----------------------------------------

LIKE_THIS: dict[str, Words] = {
    "image": (
        "draw {x} as big as this movement is strong", "draw {x} as big as this move is strong",
        "draw {x}, and take the size from this movement", "paint {x} as strong as this movement",
        "make a picture of {x} in the size of this movement",
        "draw {x} with the size of this movement", "make a picture of {x} as big as this is strong",
        "feel this and draw {x} of that size", "draw {x} to fit this movement",
    ),
    "audio": (
        "play {x} at this pace", "play {x} at the pace of this movement", "play {x} like this",
        "let me hear {x} at this pace", "make the sound of {x} as fast as this moves",
        "play the sound of {x} to this movement", "play {x} as fast as this movement",
        "let me hear {x} with this beat", "play {x} with the beat of this movement",
        "make the sound of {x} to fit this movement",
    ),
    "video": (
        "show {x} moving like this", "show me {x} moving like this", "film {x} moving like this",
        "make a video of {x} moving like this", "make a video of {x} with this movement",
        "show {x} doing this", "animate {x} with this movement", "film {x} with this movement",
        "show me {x} doing the same", "show {x} making this movement",
        "make {x} move like this", "let {x} move like this", "show {x} moving the way you feel",
    ),
}  # fmt: skip
MOVE_PICTURE: Words = (
    "move this picture like that", "move it like this", "make it move like that",
    "make the picture move like this", "animate the picture with this movement",
    "show the picture moving like this", "let it move like this", "film it with this movement",
    "make a video of it moving like this", "show it doing this movement", "make it do this",
    "put this movement on the picture", "make a video of this picture with this movement",
    "show me this thing moving like that", "use this movement to move the picture",
    "bring the picture to life with this movement", "let this thing move the same way",
)  # fmt: skip

# --- several media in one answer -----------------------------------------------------------------

MEDIA_NOUNS: dict[str, Words] = {
    "image": ("a picture", "an image", "a drawing"),
    "audio": ("the sound", "a sound"),
    "video": ("a video", "a clip"),
}
SEVERAL: Words = (
    "give me {list} of {x}", "make {list} of {x}", "create {list} of {x}", "show me {list} of {x}",
    "i want {list} of {x}", "i'd like {list} of {x}", "i need {list} of {x}", "{list} of {x} please",
    "can i have {list} of {x}?", "could you make {list} of {x}?", "please make {list} of {x}",
    "{list} of {x}", "can you give me {list} of {x}?",
)  # fmt: skip
FIRST_VERBS: dict[str, Words] = {
    "image": ("draw {x}", "paint {x}", "make a picture of {x}", "sketch {x}"),
    "audio": ("play the sound of {x}", "let me hear {x}", "play {x}", "make the sound of {x}"),
    "video": ("film {x}", "make a video of {x}", "make a clip of {x}", "animate {x}"),
}
NEXT_VERBS: dict[str, Words] = {
    "image": ("draw it", "make a picture of it", "paint it"),
    "audio": ("play its sound", "let me hear it", "make its sound"),
    "video": ("film it", "make a video of it", "make a clip of it"),
}
