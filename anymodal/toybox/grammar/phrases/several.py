"""Rules of requests for several media in one message."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

PLURALS: dict[str, Words] = {
    "image": ("pictures", "pictures", "pics", "images", "drawings", "sketches", "photos"),
    "audio": ("sounds", "sounds", "noises", "audios", "recordings", "sound clips"),
    "video": ("videos", "videos", "vids", "clips", "gifs", "animations", "movies"),
}
SEVERAL_RULES: dict[str, Words] = {
    # --- things of one modality: {l} is a list such as "a red ball and a blue car" ---------------
    "things": (
        "4: {v} {l}", "2: {v} me {l}", "2: {c} {ns}: {l}", "{ns} of {l}", "{ns}: {l}", "{get} [me|us|] {ns} of {l}", "{get} [me|us|] {c} {ns}: {l}", "{get} [me|] {c} {ns}, {l}", "{open} {v} {l}", "{open} {get} [me|] {ns} of {l}",
        "{v} {l}, in that order", "{v} {l}, one after the other", "{v} {l}, each on its own", "{c} separate {ns}: {l}", "{ns} of {l}, please", "{i_want} {ns} of {l}", "{i_want} {c} {ns}: {l}", "can i have {ns} of {l}?", "could i get {c} {ns}, {l}?",
        "{v} {c} things: {l}", "a {n} each of {l}", "{ns} pls: {l}", "first {f}", "{v} first {f}", "{v} {f}", "{l}", "{l}, {c} {ns}", "{l} as {ns}", "{l}, a {n} each", "{v} {l} {close}", "{hello} {v} {l}",
        "a {n} of {al}", "{get} me a {n} of {al}", "{i_want} a {n} of {al}", "one {n} of {ol}", "{ns}. {l}", "{v} {l}, not in one {n} but in {c} {ns}", "more than one please: {ns} of {l}",
    ),
    "open": ("4: can you", "2: could you", "please", "pls", "would you", "can u", "i want you to", "now", "ok,", "could you please", "let's", "next,"),
    "close": ("4: please", "pls", "thanks", "thx", "now", "for me", "if you can", "in that order", "in this order", "one by one"),
    "hello": ("hi,", "hey,", "hello,", "hi!", "good morning,"),
    "get": ("3: make", "2: give", "2: show", "create", "generate", "produce", "send", "do", "get"),
    "i_want": ("3: i want", "2: i need", "i'd like", "i would like", "we need", "i'd love"),
    # --- one thing in several modalities: {ml} is a list such as "a picture and the sound" -------
    "media": (
        "3: {get} [me|us|] {ml} of {x}", "3: {ml} of {x}", "{ml} of {x} {close}", "{open} {get} [me|] {ml} of {x}", "{i_want} {ml} of {x}", "{x}: {ml}", "{x}: {ml}, in that order", "{ml} of {x}, in that order", "{x} as {ml}",
        "can i have {ml} of {x}?", "could i get {ml} of {x}?", "{pl} of {x}", "{pl}: {x}", "{X} {pl}", "4: {chain}", "2: {open} {chain}", "{chain} {close}", "2: {order}", "{hello} {chain}", "{i_want} {x}, {ml}", "{ml} please. of {x}",
        "do you have {ml} of {x}?", "{get} {x} as {ml}", "everything about {x}: {ml}", "{ml}, all of {x}", "{x}. {ml}", "{x}! {ml}!", "all of these of {x}: {ml}", "one thing, {c} media: {x}, {ml}", "{ml} showing the same thing, {x}",
    ),
    "order": ("first {m1}, then {m2} of {x}", "{m1} first and then {m2} of {x}", "{m2} of {x}, but first {m1}", "{m2} of {x}, but before that {m1}", "start with {m1} of {x}, then {m2}", "{m2} after {m1}, of {x}",
              "before {m2}, {m1} of {x}", "{m1} of {x} and after that {m2}", "{x}: {m1} first, then {m2}", "{m1} of {x}, followed by {m2}", "of {x}, first {m1} and second {m2}"),
    # --- different things in different modalities ------------------------------------------------
    "mixed": ("4: {a1} and {a2}", "2: {a1}, then {a2}", "{a1}. then {a2}", "{a1}, and also {a2}", "{a1} plus {a2}", "first {a1}, then {a2}", "{a1} and after that {a2}", "{a1} & {a2}", "{open} {a1} and {a2}?", "{a1} and {a2} {close}",
              "two things: {a1} and {a2}", "{a2}, but first {a1}", "both please: {a1}, {a2}", "{a1} + {a2}", "{hello} {a1} and {a2}", "{a1} as well as {a2}", "{a1}, {a2}"),
    # --- versions of one thing -------------------------------------------------------------------
    "colors": ("4: {versions}", "3: {v} {x} in {values}", "{ns} of {x} in {values}", "a {n} of {x} in {values}"),
    "versions": ( "{c} {ns} of {x}: {values}", "{get} me {c} {n} versions of {x}: {values}", "{v} {x} {times}: {values}", "a {n} of {x} {times}, {values}",
                  "{v} {x} as {values}", "{open} {v} {x}, {values}?", "{ns} of {x}, once {once}"),
    "copies": ("2: {c} {ns} of {x}", "{c} different {ns} of {x}", "{v} {x} {times}", "{get} me {c} {ns} of {x}", "{open} {v} {x} {times}", "{i_want} {c} {ns} of {x}", "a {n} of {x}, {times}", "{ns} of {x}, {times}", "{c} {ns}, all of {x}",
               "a {n} of {x} {times} please", "{c} tries at a {n} of {x}"),
}  # fmt: skip
"""Alternatives by symbol; {c} is how many, {ns} a plural, {x} a thing."""
NUMBERS: dict[int, Words] = {
    2: ("two", "two", "2", "a pair of", "a couple of"),
    3: ("three", "three", "3"),
    4: ("four", "4"),
}
TIMES: dict[int, Words] = {
    2: ("twice", "two times", "2 times", "2x"),
    3: ("three times", "3 times", "3x"),
    4: ("four times", "4x"),
}
MAKE_SHORT: dict[str, Words] = {
    "image": ("draw {x}", "draw {x}", "paint {x}", "sketch {x}", "a picture of {x}", "a pic of {x}", "make a drawing of {x}"),
    "audio": ("play {x}", "play the sound of {x}", "the sound of {x}", "let me hear {x}", "a sound of {x}", "the noise of {x}"),
    "video": ("film {x}", "animate {x}", "a video of {x}", "a clip of {x}", "make a vid of {x}", "a gif of {x}"),
}  # fmt: skip
MAKE_IT: dict[str, Words] = {
    "image": ("draw it", "paint it", "sketch it", "a picture of it"),
    "audio": ("play it", "play its sound", "let me hear it", "the sound of it", "make its noise"),
    "video": ("film it", "animate it", "a clip of it", "make a video of it", "show it in a video"),
}  # fmt: skip
ONE_OF: dict[str, Words] = {
    "image": ("a picture", "a pic", "an image", "a drawing", "the picture", "a sketch"),
    "audio": ("the sound", "a sound", "the noise", "audio", "a recording"),
    "video": ("a video", "a vid", "a clip", "a gif", "the video", "an animation"),
}
BARE_NOUNS: dict[str, Words] = {
    "image": ("picture", "pic", "image", "drawing"),
    "audio": ("sound", "audio", "noise"),
    "video": ("video", "vid", "clip", "gif"),
}
