"""Rules of one request among several: {x} the thing, {X} without an article, {f} its fields."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

_COMMON: dict[str, Words] = {
    "want": ("4: i want {np}", "2: i need {np}", "i'd like {np}", "i would like to {sense}", "i wanna {sense}", "i want to {sense}", "i'd love {np}", "we need {np}", "let me {sense}", "i'm after {np}",
             "i could use {np}", "i wish for {np}", "i am wanting {np}", "how about {np}", "i'd like to {sense}", "i also want {np}"),
    "ask": ("3: can you {do}?", "could you {do}?", "can i have {np}?", "could i get {np}?", "may i {sense}?", "would you {do}?", "is there {np}?", "have you got {np}?", "can i {sense}?", "{asked}?", "{asked}?", "do you have {np}?",
            "would you mind {doing}?", "what about {np}?", "may i have {np}?"),
    "s": ("6: {do}", "3: {want}", "2: {np}", "please {do}", "{np}, please", "now {do}", "{x}, {ved}", "you could {do}", "you should {do}"),
    "need": ("need {terse}", "want {terse}", "gimme {terse}", "do {terse}", "get {terse}", "pls {terse}", "{terse} pls", "{terse}"),
}  # fmt: skip
CLAUSES: dict[str, dict[str, Words]] = {
    "image": {
        **_COMMON,
        "n": ("3: picture", "2: drawing", "2: pic", "image", "sketch", "painting", "photo", "illustration"),
        "do": ("5: draw {x}", "2: draw me {x}", "2: paint {x}", "2: sketch {x}", "make a picture of {x}", "make me a drawing of {x}", "show me a picture of {x}", "do a sketch of {x}", "give me an image with {x}", "create an image of {x}",
               "put {x} in a picture", "show me how {x} looks", "generate a pic of {x}", "get me a photo of {x}", "doodle {x}", "show {x} as a drawing", "paint me {x}", "illustrate {x}", "make {x}, drawn", "send me a {n} of {x}", "add a {n} of {x}"),
        "doing": ("3: drawing {x}", "painting {x}", "sketching {x}", "making a picture of {x}", "showing me a drawing of {x}", "doing a {n} of {x}", "doodling {x}"),
        "done": ("3: drawn {x}", "painted {x}", "sketched {x}", "made a picture of {x}", "shown me a drawing of {x}", "finished a {n} of {x}", "given me a {n} of {x}"),
        "np": ("5: a {n} of {x}", "a {n} with {x}", "one {n} of {x}", "{x} as a {n}", "a {n} that shows {x}", "a {n} in which there is {x}", "a {X} {n}", "the {n} of {x}", "a {n} showing {x}", "{x} on a {n}", "some {n} of {x}", "a {n} where you see {x}"),
        "terse": ("2: {n} of {X}", "2: {X} {n}", "{n}: {f}", "{f} ({n})", "{n}, {f}", "{n} {X}", "draw {X}", "{n} {f}", "[{n}] {f}", "{f} - {n}", "{f}, {n}", "{n} = {f}", "{f}, drawn", "paint {f}", "{n} -> {f}", "draw: {f}", "{f} as {n}", "{n} ({f})"),
        "sense": ("3: see {x}", "look at {x}", "have a look at {x}", "see a {n} of {x}", "see {x} drawn"),
        "to": ("2: {x} to look at", "{x} for the eyes", "{x} to see on a {n}", "something to look at: {x}", "something to see: {X} {n}", "to look at: {f}", "to see: {X}", "one thing to look at, {x}", "for my eyes {x}", "for the eye: {x}", "on paper {x}", "for my wall {x}", "a thing to see, {x}"),
        "asked": ("what does {x} look like", "how does {x} look", "what would {x} look like"),
        "ved": ("drawn", "as a picture", "painted", "in a drawing", "sketched"),
        "it": ("draw it", "paint it", "sketch it", "make a picture of it", "show me a drawing of it", "let me see a picture of it"),
    },
    "audio": {
        **_COMMON,
        "n": ("3: sound", "2: noise", "recording", "audio", "sound clip", "sound effect"),
        "do": ("5: play {x}", "2: play me {x}", "2: let me hear {x}", "2: play the sound of {x}", "make the noise of {x}", "give me the sound of {x}", "let me listen to {x}", "imitate {x}", "show me how {x} sounds", "create a sound of {x}", "record {x}, audio only",
               "make {x} sound", "give me a recording of {x}", "get me the noise of {x}", "let us hear {x}", "play {voice}", "let me hear {voice}", "make a noise like {x}", "send me a {n} of {x}", "add a {n} of {x}"),
        "doing": ("3: playing {x}", "letting me hear {x}", "playing the sound of {x}", "making the noise of {x}", "imitating {x}", "doing a {n} of {x}", "playing {voice}"),
        "done": ("3: played {x}", "let me hear {x}", "played the sound of {x}", "made the noise of {x}", "given me the sound of {x}", "finished a {n} of {x}", "played {voice}"),
        "np": ("4: the {n} of {x}", "2: a {n} of {x}", "a {n} from {x}", "one {n} of {x}", "{x} as a {n}", "a {X} {n}", "the {n} that {x} makes", "{x} in audio", "{voice}", "{voice}", "{x} as audio", "some {n} of {x}", "a {n} with {x}"),
        "terse": ("2: {n} of {X}", "2: {X} {n}", "{n}: {f}", "{f} ({n})", "{n}, {f}", "{n} {X}", "play {X}", "{n} {f}", "[{n}] {f}", "{f} - {n}", "{f}, {n}", "{n} = {f}", "hear {X}", "play: {f}", "{n} -> {f}", "{f}, played", "{f} as {n}", "{n} ({f})"),
        "sense": ("3: hear {x}", "2: listen to {x}", "have a listen to {x}", "hear the {n} of {x}", "hear {voice}"),
        "to": ("2: {x} to hear", "{x} to listen to", "{x} for the ears", "something to hear: {x}", "something to listen to: {X} {n}", "to hear: {f}", "to listen to: {X}", "one thing to hear, {x}", "for my ears {x}", "for the ear: {x}", "from the speaker {x}", "for my headphones {x}", "a thing to listen to, {x}"),
        "asked": ("what does {x} sound like", "how does {x} sound", "what noise does {x} make"),
        "ved": ("played", "as a sound", "as audio", "to be heard", "in audio"),
        "it": ("play it", "let me hear it", "play its sound", "make its noise", "let me listen to it", "play the sound of it"),
    },
    "video": {
        **_COMMON,
        "n": ("3: video", "2: clip", "2: vid", "2: movie", "film", "animation", "gif", "short film"),
        "do": ("4: film {x}", "2: animate {x}", "make a video of {x}", "make me a clip of {x}", "show me a video of {x}", "give me a film with {x}", "create an animation of {x}", "shoot a movie of {x}", "film me {x}", "let me watch {x}", "make a movie with {x}",
               "generate a vid of {x}", "get me a gif of {x}", "put {x} in a video", "show {x} on video", "record a clip of {x}", "make a gif with {x}", "do a vid of {x}", "send me a {n} of {x}", "add a {n} of {x}"),
        "doing": ("3: filming {x}", "animating {x}", "making a video of {x}", "showing me a clip of {x}", "shooting a movie of {x}", "doing a {n} of {x}"),
        "done": ("3: filmed {x}", "animated {x}", "made a video of {x}", "shown me a clip of {x}", "shot a movie of {x}", "finished a {n} of {x}"),
        "np": ("5: a {n} of {x}", "a {n} with {x}", "one {n} of {x}", "{x} as a {n}", "a {n} that shows {x}", "a {n} in which there is {x}", "the {n} of {x}", "a {n} showing {x}", "{x} on video", "{x} in a {n}", "some {n} of {x}", "a {n} where you see {x}", "a {n} starring {x}"),
        "terse": ("2: {n} of {X}", "2: {n} {X}", "{n}: {f}", "{f} ({n})", "{n}, {f}", "film {X}", "{n} {f}", "[{n}] {f}", "{f} - {n}", "{f}, {n}", "{n} = {f}", "animate {X}", "film: {f}", "{n} -> {f}", "{f}, filmed", "{f} as {n}", "{n} ({f})"),
        "sense": ("3: watch {x}", "see a {n} of {x}", "watch a {n} of {x}", "see {x} on video", "watch a {n} with {x}"),
        "to": ("2: {x} to watch", "{x} to watch in a {n}", "something to watch: {x}", "something to watch: {n}, {f}", "to watch: {f}", "one thing to watch, {x}", "on the screen {x}, as a {n}", "for the cinema {x}", "on video {x}", "for movie night {x}", "a thing to watch, {x} in a {n}"),
        "asked": ("can you film {x}", "could there be a {n} of {x}", "what about filming {x}"),
        "ved": ("filmed", "as a video", "animated", "on film", "in a clip"),
        "it": ("film it", "animate it", "make a video of it", "make a clip of it", "show it in a video", "let me watch it on video"),
    },
}  # fmt: skip
"""Alternatives by symbol, for each modality: {do} an order, {doing} and {done} its forms, {np} a
noun phrase of the medium, {terse} a note, {to} what it is for, {s} a sentence."""

VOICE_NOUNS: dict[str, Words] = {
    "ball": ("the knock of {x}", "the thud of {x}", "{x} knocking"), "bell": ("the ringing of {x}", "the chime of {x}", "{x} ringing", "{x} chiming"),
    "bird": ("the song of {x}", "the tweet of {x}", "{x} singing", "{x} chirping"), "bee": ("the buzz of {x}", "{x} buzzing", "the hum of {x}"),
    "clock": ("the ticking of {x}", "{x} ticking", "the tick of {x}"), "drum": ("the beat of {x}", "the beating of {x}", "the thump of {x}"),
    "duck": ("the quack of {x}", "{x} quacking", "the quacking of {x}"), "flute": ("the tone of {x}", "the music of {x}", "{x} playing"),
    "heart": ("the beating of {x}", "the pounding of {x}", "{x} beating"), "rain": ("the patter of {x}", "the pouring of {x}", "the pattering of {x}"),
    "siren": ("the wail of {x}", "{x} wailing", "the howl of {x}"), "car": ("the engine of {x}", "the honk of {x}", "{x} honking"),
}  # fmt: skip
"""Noun phrases of what a thing does when it sounds."""
