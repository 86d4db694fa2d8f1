"""Requests by fields, with one attribute ahead, and in several sentences: labels and frames."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- fields: {l} a label, {w} what it says -------------------------------------------------------

LABELS: dict[str, Words] = {
    "medium": ("type", "format", "medium", "output", "kind", "media", "mode", "what i want", "file type", "as", "form", "make"),
    "thing": ("thing", "object", "subject", "what", "item", "motif", "content", "topic", "name", "noun", "who or what"),
    "color": ("colour", "color", "colour", "color", "col", "hue", "paint", "tint", "c", "clr", "in colour"),
    "size": ("size", "size", "scale", "dimension", "format size", "dims", "how sized", "s"),
    "motion": ("motion", "movement", "action", "moves", "move", "what it does", "motion type", "doing", "anim", "m"),
    "tempo": ("tempo", "speed", "pace", "rate", "rhythm", "velocity", "t"),
}  # fmt: skip
"""Labels by what they stand before."""
FIELDS: Words = (
    "{w}", "{w}", "{w}", "{w}", "{l}: {w}", "{l}: {w}", "{l}: {w}", "{l}={w}", "{l} = {w}", "{l} {w}", "{l} - {w}", "{l} is {w}", "{w} ({l})", "the {l}: {w}", "{l} -> {w}", "--{l} {w}",
    "<{w}>", "<{l}> {w}", '"{l}": "{w}"', "#{w}", "*{w}*", "{l}... {w}", "({w})", "{l} => {w}", "{l}? {w}", "{l}:{w}", "{l} should be {w}", "'{w}'", "{l}, {w}", "my {l}: {w}", "{l} would be {w}",
)  # fmt: skip
SEPARATORS: Words = (
    ", ", ", ", ", ", "; ", "; ", " | ", " / ", "/", " + ", "\n", "\n", " -> ", " - ", ". ", ". ", " & ", " and ", "... ", " ", " ", "! ", ",", " > ", ";", " // ", ", and ", " , ", " -- ", "; and ", "\n\n",
)  # fmt: skip
NUMBERS: tuple[Words, ...] = (
    ("1) ", "2) ", "3) ", "4) ", "5) ", "6) "), ("1. ", "2. ", "3. ", "4. ", "5. ", "6. "), ("(1) ", "(2) ", "(3) ", "(4) ", "(5) ", "(6) "), ("#1 ", "#2 ", "#3 ", "#4 ", "#5 ", "#6 "),
    ("a) ", "b) ", "c) ", "d) ", "e) ", "f) "), ("- ",) * 6, ("* ",) * 6, ("+ ",) * 6, ("> ",) * 6, ("1 - ", "2 - ", "3 - ", "4 - ", "5 - ", "6 - "),
)  # fmt: skip
FIELD_LEADS: Words = (
    "{v} this: ", "{v} it please: ", "new {n}: ", "{n} wanted: ", "{n} | ", "one {n}. ", "{n}, please: ", "make me a {n} with these specs: ", "a {n} by this list: ", "my {n}: ", "{n}:\n", "order for a {n}:\n",
    "{n} = ", "i need a {n}, here are the details: ", "{n} - ", "please {v}: ", "here is my {n}: ", "can you {v} this? ", "{n} request. ", "the {n} i want, point by point: ", "details of the {n}: ", "specs for the {n}: ",
    "{n}. ", "{v}: ", "to {v}: ", "{n} needed -> ", "i fill in the form for a {n}: ", "create {n} ", "generate {n}: ", "{n} brief: ",
)  # fmt: skip
FIELD_TAILS: Words = ("", "", "", "", "", "", "", " please", " thx", ". that's all", ". thank you", ", pls", ". go!", ". done?", ". ok?", " ty", ". can you?", ". got it?")  # fmt: skip

# --- one attribute ahead: {x0} and {X0} are the thing without it, {g} the kind of thing ----------

_ANY_AHEAD: Words = (
    "make it {w}: a {n} of {x0}", "{w}! {x0}! {n}!", "it has to be {w}, the {X0} in the {n}", "{get} a {n} of {x0} and make it {w}", "when you {v} {x0}, make it {w}", "if you {v} {x0}, let it be {w}",
    "the {n} i want? {x0}, {w}", "{w}, please, a {n} of {x0}", "{w} is how i want the {X0} in the {n}", "{w}, that's how the {X0} should be in the {n}", "{x0}, {ved}, and {w} at that", "{v} {x0}. {w}, please",
    "{v} {x0}, and remember: {w}", "{w} it should be, {x0}, and {ved}", "so {w} it is, {x0}, as a {n}", "a {n} of {x0} - i like it {w}", "{get} a {n} of {x0}. it must be {w}, that matters most",
    "i'll say it once: {w}. now {v} {x0}", "think {w}. think {x0}. now {v} it", "{v} {x0}, make sure that it's {w}", "{x0}, {ved}, but it has to be {w}", "my only condition is {w}, the rest is {x0}, so {v} it",
    "not any {X0}, a {w} one, {ved} please", "{w}? yes. {x0}? yes. {n}? yes please", "i want it {w}. i mean {x0}. {v} it", "could {x0} be {w}? {v} it like that", "{w} - like that i want {x0} {ved}",
    "the one thing i ask: {w}. {n} of {x0}", "{get} a {n} of {x0}, {w} if possible", "on the {n} should be {x0}, {w}",
)  # fmt: skip
AHEAD: dict[str, Words] = {
    "color": (
        *_ANY_AHEAD, "{w} shall be the colour, {X0} the {g}, so {v} that", "{w}, that's the colour of the {X0} in the {n} [i want|i need|i think of|you should make]", "in {w}, please, a {n} of {x0}",
        "{w} is the colour that i want for {x0}. {v} it", "colour: {w}. {n} of {x0}", "as for the colour, {w}. {get} me a {n} of {x0}", "{w} is my favourite, so {v} {x0} in it", "{w} and nothing else is what {x0} should be in the {n}",
        "with {w} as its colour, {v} {x0}", "for the colour take {w}, for the {g} {x0}, and {v} that", "{w} is what the {X0} shall be when you {v} it", "{get} a {n} of {x0} and colour it {w}", "only {w} will do for {x0}, so {v} it",
        "dip {x0} in {w} paint and {v} it", "the colour is {w}, the {g} is {x0}, the result is a {n}", "choose {w} when you {v} {x0}", "take your {w} paint and {v} {x0}", "a {n} please, {x0}, colour of choice {w}",
        "{x0}, in {w}, {ved}", "{v} {x0} in {w}", "{x0} in {w} on a {n}", "i love {w}, so a {n} of {x0} in it", "{X0} in {w}, {n}", "{n} of {x0}, coloured {w}", "{w} for the colour, {x0} for the {n}",
    ),
    "size": (
        *_ANY_AHEAD, "the size: {w}. the {n}: {x0}", "as for size, {w}. {v} {x0}", "size {w}, {X0}, {n}", "{w} is the size of the {X0} that i'd like {ved}", "{x0}, {ved}, and {w} in size",
        "for the size choose {w}, for the {g} {x0}, and {v} it", "the {X0} in my {n} is {w}", "{n} of {x0}, size {w}", "i need it {w}: {x0}, {ved}", "a {w} one, please. {x0}, as a {n}", "{w} version of {x0}, as a {n}",
        "{x0} in {w}, as a {n}", "{v} {x0} in size {w}",
    ),
    "motion": (
        "what does {x0} do? {w}. {v} that", "{w}, that's how i want to see the {X0}, in a {n}", "{w} is what the {X0} should be doing in my {n}", "as for the motion: {w}. the {n} shows {x0}", "let it {go}, the {X0} in the {n}",
        "it should {go}. it is {x0}. {v} it", "to {go} is what the {X0} has to do in the {n}", "i want it to {go}: {x0}, {ved}", "{get} a {n} of {x0} and let it {go}", "how it moves: {w}. what it is: {x0}. {v} it",
        "i'd like to watch it {go}: {x0}, on video", "there it goes, {w}: {x0}. {v} that", "{w} is the only thing that {x0} does in the {n}", "{x0}. in the {n} it should {go}", "the way it moves is {w}, the {g} is {x0}, {v} it",
        "make it {go}, {x0}, in a {n}", "{X0}... {w}... {n}", "a {n} in which {x0} is {w}", "a {n} in which we see {x0} {w}", "{x0} has to {go} in the {n}", "could you {v} {x0} so that we see it {go}?", "a {n}: {x0}, it should {go}",
        "{v} how {x0} is {w}", "i want to see how {x0} is {w}, as a {n}", "{w}! {x0}! {n}!", "can {x0} {go}? {v} that", "a {n} please where {x0} is {w}", "when i press play, {x0} should {go}", "what i'd like to watch: {x0} {w}",
        "{n} idea: {x0} {w}", "{x0} and how it is {w}, on video", "the plot of my {n}: {x0} is {w}", "the story is simple: {x0}, {w}. {v} it", "{n} of {x0}, motion: {w}", "imagine {x0} {w}. now {v} it", "in my {n}, {x0} needs to {go}",
        "once you {v} {x0}, let it {go}", "i'd like {x0} to {go} on the screen", "{x0}, {w}, {ved}",
    ),
    "tempo": (
        *_ANY_AHEAD, "{w} is the tempo, {x0} the {g}, {v} it", "at a {w} pace, {v} {x0}", "tempo {w}, {n}, {X0}", "the speed should be {w}. {v} {x0}", "{get} a {n} of {x0}. [keep it|let it be] {w}",
        "for the pace go with {w}, for the {g} {x0}, and {v} it", "{n} of {x0}, speed: {w}", "{n} of {x0} at a {w} pace", "{x0}, {ved}, at a {w} tempo", "{w} rhythm, {X0}, {n}", "set the tempo to {w} and {v} {x0}",
        "i want the {n} of {x0} to be {w}",
    ),
}  # fmt: skip
"""Frames by the attribute {w} that stands apart."""

# --- several sentences: {N} the thing's noun -----------------------------------------------------

SENTENCE_OPENERS: Words = (
    "{i_want} [a|some|one] {n} of [a|the|] {N}", "[please|could you|can you|] {v} [a|the|some] {N}", "{get} [me|us|] a {n} of a {N}", "a {n}, please, of a {N}", "i'm thinking of a {n} with a {N} in it", "{N} {n}, please",
    "let's have a {n} of a {N}", "how about a {n} of a {N}", "my wish is a {n} of a {N}", "today it's a {n} of a {N}", "time for a {n}, and the {g} is a {N}", "a {N} is what i have in mind. {v} it", "a {n}. it shows a {N}",
    "{hello} a {n} of a {N}", "next on my list: a {n} of a {N}", "you know what a {N} is? {v} it", "i've decided: a {n} of a {N}", "we need one {n}, and a {N} should be in it", "there should be a {N} in my {n}",
    "i'd like to {sense} a {N}", "{talk}. {v} a {N}",
)  # fmt: skip
SENTENCES: dict[str, Words] = {
    "color": ("make it {w}", "the colour is {w}", "i want it {w}", "it has to be {w}", "let it be {w}", "it's {w}", "{w}, please", "colour it {w}", "it should be {w}", "make the {N} {w}", "use {w} for it", "the {N} is {w}",
              "its colour must be {w}", "i like it {w}", "{w} would be nice", "for the colour i take {w}", "it needs to be {w}", "paint it {w}", "color: {w}", "have it in {w}", "the {N} has to be {w}",
              "give it a {w} colour", "i hope it can be {w}", "the color should be {w}", "it would be nice if it was {w}", "don't forget that it is {w}"),
    "size": ("make it {w}", "it should be {w}", "i want a {w} one", "the size is {w}", "it's a {w} one", "{w}, please", "let it be {w}", "make the {N} {w}", "size: {w}", "it has to be {w}", "i like them {w}", "a {w} one",
             "it needs to be {w}", "give it a {w} size", "the {N} is {w}", "i want it {w}", "don't forget that it's {w}", "it would be nice if it was {w}"),
    "motion": ("let it {go}", "it should {go}", "it is {w}", "make it {go}", "have it {go}", "i want it to {go}", "i'd like it to {go}", "it has to {go}", "in the {n} it should {go}", "the {N} should {go}", "let me see it {w}",
               "it needs to {go}", "the {N} is {w}", "let the {N} {go}", "i want to see it {w}", "please let it {go}", "it must {go}", "show how it is {w}", "motion: {w}", "i'd love to see it {go}",
               "the idea is that it is {w}", "while we watch, it should {go}"),
    "tempo": ("make it {w}", "the tempo is {w}", "it should be {w}", "{w}, please", "keep it {w}", "the speed is {w}", "i want it {w}", "at a {w} pace", "let it be {w}", "tempo: {w}", "it has to be {w}", "i like it {w}",
              "a {w} beat", "the rhythm should be {w}", "it needs to be {w}", "give it a {w} rhythm"),
}  # fmt: skip
"""Sentences that state an attribute {w}; {go} is a motion's infinitive."""
JOINS: Words = (". ", ". ", ". ", ", ", ", and ", " and ", ". also, ", ". oh, and ", "; ", ". then ", "! ", "... ", ". and ", " - ", ". one more thing, ", ". please, ", "\n", ". ah, ", ". and please ", ", then ", ". plus, ")  # fmt: skip
