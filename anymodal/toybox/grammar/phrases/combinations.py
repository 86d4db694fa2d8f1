"""Words of requests that take something of two or more media, of swaps, and of edits of all."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

OWN_NAMES: dict[str, Words] = {
    "number": ("#{i}", "no. {i}", "no {i}", "number {i}", "number {w}", "nr {i}", "the {o}", "the {o} one", "the {o}"),
    "kind_number": ("{k} {i}", "{k} #{i}", "{k} no. {i}", "{k} number {i}", "the {o} {k}", "{k} {w}"),
    "file_number": ("file {i}", "attachment {i}", "upload {i}", "my {o} file", "the {o} attachment", "the {o} file", "the {o} upload"),
    "user": ("mine", "my {k}", "my own {k}", "what i sent", "my upload", "the {k} i uploaded", "the {k} i attached", "my file", "the {k} of mine", "the {k} i gave you"),
    "assistant": ("yours", "your {k}", "the {k} of yours", "what you made", "your own {k}", "the {k} you made", "the {k} you did", "the {k} from you"),
    "thing": ("the {t}", "the {t}", "the {t}", "that {t}", "the {t} {k}", "the {k} of the {t}", "the {k} with the {t}", "the {t} in the {k}", "the {t}"),
    "imu": ("my phone", "my phone", "the phone", "my movement", "the movement", "my phone's movement", "the motion file", "the imu", "the sensor log", "the motion log", "my recorded movement", "the phone log"),
}  # fmt: skip
"""Ways to name a medium: {i} its number, {w} the number in words, {o} its ordinal, {k} its kind, {t} the thing."""
NUMBER_WORDS: Words = ("one", "two", "three", "four", "five", "six", "seven", "eight")  # fmt: skip
KIND_WORDS: dict[str, Words] = {
    "image": ("picture", "pic", "image", "photo", "img", "drawing", "picture"),
    "audio": ("sound", "audio", "noise", "recording", "sound file", "clip of sound", "sound"),
    "video": ("video", "clip", "film", "vid", "animation", "movie", "video"),
    "imu": ("movement", "motion log", "movement"),
}

PROPERTIES: dict[str, Words] = {
    "thing": ("thing", "object", "toy", "shape", "thing", "subject", "figure"),
    "color": ("colour", "color", "colour", "color", "colour", "color", "hue", "paint", "tint", "shade"),
    "size": ("size", "size", "size", "size", "scale", "dimensions", "proportions"),
    "pitch": ("pitch", "pitch", "tone", "size", "tone height", "note"),
    "strength": ("strength", "force", "size", "strength", "power"),
    "motion": ("movement", "motion", "direction", "movement", "motion", "path", "way of moving"),
    "tempo": ("speed", "tempo", "pace", "speed", "tempo", "rhythm", "rate", "velocity"),
    "looks": ("looks", "look", "appearance", "colour and size", "size and colour"),
    "moving": ("exact movement", "whole movement", "movement and speed", "motion and tempo", "direction and speed", "path and pace"),
}  # fmt: skip

CLAUSES: dict[str, Words] = {
    "same": ("same", "same", "very same", "exact same", "selfsame", "identical"),
    # --- behind a noun or "be" -------------------------------------------------------------------
    "r_color": ("the {same} {p} as {b}", "the {p} of {b}", "coloured like {b}", "{val} like {b}", "in the {p} of {b}", "as {val} as {b}", "in the {same} {p} as {b}", "painted like {b}", "the {p} that {b} has", "{val}, like {b}",
                "in {bp}", "of the {same} {p} as {b}", "in the {p} that {b} has", "in the {val} of {b}", "the {same} {val} as {b}", "colored like {b}", "with {bp}", "matching {b} in {p}"),
    "r_size": ("as {val} as {b}", "the size of {b}", "the {same} size as {b}", "just as {val} as {b}", "exactly as {val} as {b}", "in the size of {b}", "as {val} as {b} is", "sized like {b}", "of the {same} size as {b}", "{val} like {b}",
               "no bigger and no smaller than {b}", "with the size of {b}", "in {bp}", "equally {val} as {b}", "same size as {b}", "every bit as {val} as {b}", "of {bp}"),
    "r_pitch": ("as {val} as {b}", "just as {val} as {b}", "at the pitch of {b}", "in the {same} pitch as {b}", "with the tone of {b}", "pitched like {b}", "{val} like {b}", "exactly as {val} as {b}", "in {bp}", "as {val} sounding as {b}", "in the tone of {b}", "with {bp}"),
    "r_strength": ("as {val} as {b} is strong", "as {val} as {b}", "with the strength of {b}", "with {bp}", "sized by {b}", "as {val} as {b} was", "the size that {b} has"),
    "r_tempo": ("as {val} as {b}", "at the speed of {b}", "just as {val} as {b}", "at the {same} speed as {b}", "in the tempo of {b}", "with the {p} of {b}", "at {bp}", "{val} like {b}", "in the {same} tempo as {b}", "as {val} as {b} is", "at the pace of {b}",
                "exactly as {val} as {b}", "keeping the pace of {b}", "no faster and no slower than {b}", "in {bp}", "with {bp}", "at the {p} that {b} has"),
    "r_motion": ("moving like {b}", "doing what {b} does", "that moves like {b}", "going where {b} goes, at its speed", "moving just like {b}", "with the exact movement of {b}", "moving as {b} did", "that does what {b} does",
                 "copying {b}'s movement", "following the movement of {b}", "moved like {b}", "moving exactly like {b}", "behaving like {b}"),
    "r_looks": ("that looks like {b}, just another thing", "looking like {b} in colour and size", "as {size} and {color} as {b}", "with {bp}", "dressed like {b}, same size", "in the colour of {b} and just as {size}"),
    # --- said of what was just named ---------------------------------------------------------------
    "s_color": ("in the {same} colour", "in its colour", "of the {same} colour", "{same} colour too", "in that colour", "just as {val}", "equally {val}", "also {val}"),
    "s_size": ("just as {val}", "equally {val}", "in the {same} size", "{same} size too", "of that size", "as {val} too", "exactly as {val}"),
    "s_pitch": ("just as {val}", "equally {val}", "at the {same} pitch", "in that tone", "{same} pitch too"),
    "s_strength": ("just as {val}", "equally {val}", "of the {same} strength"),
    "s_tempo": ("just as {val}", "equally {val}", "at the {same} speed", "at that speed", "at its pace", "{same} tempo too", "in that tempo"),
    "s_motion": ("moving the {same} way", "with the {same} movement", "going that way", "in the {same} direction", "with its movement", "going the {same} way"),
    # --- said of the only thing in mind -------------------------------------------------------------
    "t_color": ("in that colour", "in that {same} colour", "in this colour", "in the {same} colour", "of the {same} colour", "in exactly that {val}", "wearing that colour", "in this very {p}", "same {p}", "in the {val} of that", "with that {p}"),
    "t_size": ("of that size", "in that size", "just as {val}", "equally {val}", "as {val} as that", "the {same} size", "of exactly this size", "same size", "in this very size", "that {val}", "this {val}"),
    "t_pitch": ("just as {val}", "equally {val}", "at that pitch", "as {val} as that", "in the {same} tone", "same pitch", "in this very tone"),
    "t_strength": ("as {val} as that", "as {val} as the movement is strong", "with that strength", "just as {val}"),
    "t_tempo": ("at that speed", "at this pace", "equally {val}", "just as {val}", "as {val} as that", "at the {same} tempo", "same speed", "in that {same} tempo", "at this very speed", "that {val}"),
    "t_motion": ("moving like that", "doing that", "doing the same", "moving exactly like this", "moving the {same} way", "that does the same", "doing just that", "with that movement", "moving like this one", "doing it the same way"),
    # --- as verbs -----------------------------------------------------------------------------------
    "g_motion": ("move like {b}", "do what {b} does", "do the same as {b}", "do exactly what {b} does", "move just like {b}", "follow the movement of {b}", "copy the movement of {b}", "move as {b} did", "imitate the movement of {b}", "behave like {b}", "do it like {b}"),
}  # fmt: skip
"""Clauses of one attribute: {p} its name, {val} its value, {b} its source, {bp} "the colour of" that."""

REQUESTS: dict[str, Words] = {
    "please": ("", "", "", "", "", "", "please", "pls", "if you can", "thanks", "would you", "ok?", "if that's possible", "dear", ":)"),
    "lead": ("", "", "", "", "", "", "", "now", "next", "ok", "and", "ok now", "then", "hey", "so", "well,", "hmm", "alright,", "and now"),
    # --- {a} gets {bp}: its modality stays ---------------------------------------------------------
    "edit": (
        "give {a} {bp}", "{bp} for {a}", "apply {bp} to {a}", "use {bp} for {a}", "{a} should have {bp}", "{a} wants {bp}", "let {a} have {bp}", "{a} but with {bp}", "{a} with {bp}",
        "copy {bp} to {a}", "transfer {bp} to {a}", "take {bp} and put it on {a}", "{a} needs {bp}", "{a} deserves {bp}", "i want {a} with {bp}", "i'd like {a} to have {bp}", "{a}, only with {bp}", "can {a} have {bp}?",
        "could {a} get {bp}?", "{a} would look better with {bp}", "{a} gets {bp}", "lend {bp} to {a}", "how about {a} with {bp}?", "what if {a} had {bp}?", "what would {a} be like with {bp}?", "let {a} borrow {bp}", "keep {a} but use {bp}",
        "same as {a}, but {bp}", "{a} again, with {bp}", "i need {a} with {bp}", "redo {a} with {bp}", "remake {a}, taking {bp}", "change {a}: {bp}", "{a}: {bp}", "{a} + {bp}", "{a} / {bp}", "{bp} -> {a}", "{bp} => {a}", "{a} <- {bp}",
        "{bp} onto {a}", "set {a} to {bp}", "would you give {a} {bp}?", "everything as in {a}, except {bp}", "i'm thinking of {a} with {bp}", "i like {bp}, use that on {a}", "i like {bp}. can {a} have it?", "{bp} suits {a}, do that", "{bp}, but on {a}",
        "all stays as in {a} but it gets {bp}", "kindly give {a} {bp}", "do {a} over, with {bp}", "could you make {a} with {bp}", "please show {a} with {bp}", "try {a} with {bp}", "to {a} give {bp}", "it would be great if {a} had {bp}",
        "mix {a} with {bp}", "combine: {a}, {bp}", "combine {a} with {bp}", "merge {bp} into {a}", "take {a} and add {bp}", "i wish {a} had {bp}", "make {a} take {bp}", "{a} must have {bp}", "{a} shall have {bp}", "let us see {a} with {bp}",
        "{a}! with {bp}!", "and {bp} on {a}", "{a} w {bp}", "give me {a} with {bp}", "show me {a} with {bp}", "what about {a} with {bp}", "my kid wants {a} with {bp}", "of {a} change only one thing: it takes {bp}", "start from {a} and use {bp}",
    ),
    # --- one source, whose attributes have names {p} -------------------------------------------------
    "edit_one": (
        "{a} with the same {p} as {b}", "give {a} the same {p} as {b}", "{a} should have the same {p} as {b}", "match the {p} of {a} to {b}", "match {a} to {b} in {p}", "same {p} as {b} for {a}", "{a}: same {p} as {b}",
        "{a}, but the {p} from {b}", "{a} and {b}: the first of these with the other's {p}", "{b} has the {p} that i want for {a}", "copy the {p} from {b} to {a}", "copy {p}: {b} -> {a}", "{p} of {a} = {p} of {b}", "{a}.{p1} = {b}.{p1}",
        "the {p} of {a} should be that of {b}", "the {p} of {a} should be like the {p} of {b}", "make the {p} of {a} the same as {b}", "replace the {p} of {a} by that of {b}", "change the {p} of {a} to that of {b}", "see the {p} of {b}? use it for {a}",
        "look at {b}, i want its {p} on {a}", "take {b}, take its {p}, give it to {a}", "i like the {p} of {b}. now {a} like that", "{a} like {b}, in {p}", "i'd love {a} to share the {p} of {b}", "{a} having the {p} which {b} has", "what {p} has {b}? give it to {a}",
        "{b} -> {p} -> {a}", "steal the {p} of {b} for {a}", "{a}, as regards {p} like {b}", "adjust the {p} of {a} so that it fits {b}", "align {p} of {a} with {b}", "sync the {p} of {a} to {b}", "in {p}, {a} should equal {b}", "{a} ({p}: {b})",
        "let {a} and {b} have the same {p}: that of {b}", "as to the {p}: {a} like {b}", "only the {p} of {b}, the rest is {a}", "from {b} the {p}, all else from {a}", "{p} from {b}, rest from {a}", "{p} of {b}, everything else of {a}", "all of {a} except the {p}, which is from {b}",
    ),
    "edit_clause": (
        "4: {a} {k}", "i want {a} {k}", "{a}, but {k}", "{a} but {k}", "can i have {a} {k}?", "i'd like {a} {k}", "{a}, only {k}", "show me {a} {k}", "could you do {a} {k}?", "try {a} {k}", "how about {a} {k}?", "i need {a} {k}", "the same as {a}, but {k}",
        "keep {a}, just {k}", "redo {a} {k}", "{a} please, {k}", "do {a} again, {k}", "let me have {a} {k}", "imagine {a} {k}", "give me {a} {k}", "what about {a}, {k}?", "{a}... {k}", "{a} - {k}", "leave {a} as it is, only {k}",
    ),
    "edit_be": (
        "3: make {a} {r}", "{a} should be {r}", "{a} wants to be {r}", "let {a} be {r}", "can {a} be {r}?", "{a} must be {r}", "could {a} be {r}?", "i want {a} to be {r}", "{a} has to be {r}", "turn {a} {r}", "what if {a} were {r}?", "{a} ought to be {r}",
        "i'd like {a} to be {r}", "{a} is supposed to be {r}", "would you make {a} {r}?", "have {a} be {r}", "why isn't {a} {r}? make it so", "i think {a} should be {r}", "get {a} {r}", "please make {a} {r}", "it'd be fun if {a} was {r}", "shouldn't {a} be {r}?",
    ),
    "edit_go": (
        "3: let {a} {g}", "make {a} {g}", "have {a} {g}", "{a} should {g}", "can {a} {g}?", "i want {a} to {g}", "{a} wants to {g}", "could {a} {g}?", "i'd like {a} to {g}", "get {a} to {g}", "what if {a} could {g}?", "teach {a} to {g}", "{a} has to {g}", "now {a} should {g} too",
        "take {a} and make it {g}", "{a} must {g}", "have {a}, please, {g}", "i'm curious to see {a} {g}", "tell {a} to {g}", "may {a} {g}?", "{a}: {g}",
    ),
    # --- {t} is the thing of an item, in a named modality --------------------------------------------
    "make": (
        "3: {v} {t} with {bp}", "{an} of {t} with {bp}", "make {an} of {t} with {bp}", "{t} as {an}, with {bp}", "can you {v} {t} with {bp}?", "i'd like {an} of {t} with {bp}", "take {t} and {v} it with {bp}", "{an}: {t}, {bp}", "{an} please: {t} with {bp}", "{an} with {t} and {bp}",
        "{an}! {t}! {bp}!", "{v} {t}, using {bp}", "{v} {t}, but use {bp}", "turn {t} into {an} with {bp}", "{t} + {bp} = {an}", "{t} + {bp}, as {an}", "{t} + {bp} -> {an}", "{an} that has {t} with {bp}", "use {t} and {bp} for {an}", "combine {t} and {bp} in {an}", "combine {t} and {bp} into {an}",
        "mix {t} and {bp} into {an}", "could you {v} {t}, giving it {bp}?", "{v} me {t} and give it {bp}", "i want to see {an} where {t} has {bp}", "{an} in which {t} gets {bp}", "{v} {t}. take {bp}.", "i need {an}: {t} having {bp}", "make {n}, {t}, {bp}", "{n}: {t}; {bp}", "{n} of {t}, {bp}",
        "{n} with {t} and with {bp}", "from {t} and {bp} make {an}", "build {an} from {t} and {bp}", "new {n}: {t} with {bp}", "one {n} of {t} with {bp}", "{t} with {bp} ({n})", "{t}, {bp}, {n}", "output: {an} of {t} with {bp}", "would you kindly {v} {t} with {bp}", "it should become {an}: {t} with {bp}",
        "{v} what you get from {t} with {bp}", "with {bp}, {v} {t}", "using {bp}, {v} {t}", "{v}: {t}, {bp}", "please {v} the following: {t} with {bp}", "let us make {an} of {t}, taking {bp}", "if i take {t} and {bp}, what does it look like as {an}?", "put together {t} and {bp} in {an}",
        "for my project: {an} of {t} with {bp}", "{an}, {t} in it, {bp} on it", "i'd love {an} of {t}, borrowing {bp}", "{an} of {t} having {bp}", "{n} where {t} has {bp}", "do {an}: {t}, with {bp}", "go {v} {t} with {bp}", "show {t} with {bp} as {an}",
    ),
    "make_clause": (
        "4: {v} {t} {k}", "2: {an} of {t} {k}", "make {an} of {t} {k}", "can you {v} {t} {k}?", "i'd like {an} of {t} {k}", "{v} {t}, {k}", "{t} as {an}, {k}", "{t} {k}, as {an}", "{an} please: {t} {k}", "could you {v} {t} {k}", "i want {an} with {t} {k}", "{n} of {t} {k}", "{n}: {t} {k}",
        "show me {an} with {t} {k}", "take {t} and {v} it {k}", "please {v} {t} {k}", "{an} that shows {t} {k}", "turn {t} into {an}, {k}", "let me have {an} of {t} {k}", "{an} in which {t} is {k}", "would you {v} {t} {k}?", "need {an} of {t} {k}", "{v} me {t} {k}", "new {n}, {t} {k}",
    ),
    "make_go": (
        "2: make {an} where {t} gets to {g}", "{an} in which {t} should {g}", "let {t} {g} in {an}", "film how {t} would {g}", "take {t} and make it {g}", "let {t} {g}", "have {t} {g}", "can {t} {g}?", "i want {t} to {g}", "make {t} {g}", "could you make {t} {g}?",
        "{t} should {g}", "{t} should {g} in {an}", "could {t} {g} in {an}?", "animate {t} so that it will {g}", "bring {t} to life: it should {g}", "i'd like to see {t} {g}", "get {t} to {g}",
    ),
    "fields": (
        "{f}", "{f}", "{an}: {f}", "{n}: {f}", "make {an}: {f}", "combine: {f}", "mix: {f}", "new {n}: {f}", "{f}. make {an} of that", "{v} this: {f}", "{v} one with {f}", "build {an} from: {f}", "{n} = {f}", "{n} wanted. {f}", "{f}, as {an}", "{f} -> {n}", "output {n}: {f}", "one {n}, {f}", "render {an}: {f}",
        "spec for {an}: {f}", "recipe: {f}. result: {an}", "{f}, please {v}", "i want {an} with {f}", "let's combine them into {an}: {f}",
    ),
    "fields_bare": ("{f}", "{f}", "{fields}"),
    # --- {x} is a thing named in words ---------------------------------------------------------------
    "new": (
        "3: {v} {x} {k}", "2: {an} of {x} {k}", "{v} {x} with {bp}", "{an} of {x} with {bp}", "{v} me {x} {k}", "can you {v} {x} {k}?", "could you {v} {x} {k} please", "i'd like {an} of {x} {k}", "now {an} of {x} {k}", "next {v} {x} {k}", "{an} with {x} {k}", "{n} of {x} {k}", "{n}: {x} {k}",
        "{x} {k}, as {an}", "{x} {k}, can you {v} it?", "{x}, {k}; {v} it", "{x}, {k}. {n} please", "make {an} of {x} {k}", "i want {an} of {x} {k}", "and {an} of {x} {k}", "use {bp} to {v} {x}", "take {bp} and {v} {x}", "with {bp}, {v} {x}", "using {bp}, {v} {x}", "{x} + {bp}, {n}", "{n}: {x}; {bp}",
        "{n}, {x}, {bp}", "{v} {x}, {k}", "please {v} {x}, {k}", "would you {v} {x} {k}?", "{v} {x} and give it {bp}", "{v} {x} but take {bp}", "i like {bp}, {v} {x} with it", "i like {bp}! could you {v} {x} like that?", "{x} should have {bp}, {v} it", "{v} {x} that has {bp}", "show me {an} of {x} having {bp}",
        "do {an} of {x} {k}", "one more {n}: {x} {k}", "another {n}: {x} {k}", "a new {n}, {x} {k}", "how about {an} of {x} {k}?", "my daughter wants {an} of {x} {k}", "lovely. now {v} {x} {k}", "{an} please, {x} {k}", "{v} also {x} {k}", "same {p} as {b}, but {v} {x}", "{v} {x}. {p} like {b}", "{v} {x}. same {p} as {b}.",
        "{n}: {x}, {p}: {b}", "{v}({x}, {p} of {b})", "{x} with {bp}, {n}", "think of {x} {k} and {v} it", "there should be {an} of {x} {k}", "{x} as {an}, {k}", "let me get {an} with {x} {k}", "be so kind and {v} {x} {k}", "you know {bp}? {v} {x} with that", "what would {x} look like {k}? make {an}", "{v} {x}, keep {bp}",
        "from {b} take the {p}, and {v} {x}", "{p} of {b}, thing: {x}, {n}", "{n} with {x}, {p} from {b}", "a companion for {b}: {v} {x} {k}", "to go with {b}, {v} {x} {k}", "pair {b} with {an} of {x} {k}",
    ),
    "new_bare": ("3: {x} {k}", "now {x} {k}", "and {x} {k}", "{x} {k} please", "{x} with {bp}", "give me {x} {k}", "i want {x} {k}", "how about {x} {k}?", "next, {x} {k}", "can i have {x} {k}?", "make {x} {k}", "{x}, {k}", "then {x}, {k}", "also {x} {k}", "i'd like {x} {k}", "one more: {x} {k}", "do {x} {k}", "{x}, same {p} as {b}", "{x}, {p} of {b}", "and {x}, {k}, too"),
    "extra": ("but {e}", ", but {e}", ", {e}", "only {e}", ", and {e}", "but make it {e}", ", just {e}", "though {e}", "({e})", ", yet {e}", "- {e}", "and {e}", ", except {e}", ". {e} though", ", {e} please", "and let it be {e}"),
    "extra_go": ("{e}", ", {e}", ", {e} please", "and {e}", "({e})", ", and it should be {e}", "- {e}", "while {e}", ". it is {e}"),
}  # fmt: skip
JOINTS: Words = (" and ", " and ", " and ", ", ", " & ", " plus ", " + ", " and also ")  # fmt: skip
FIELD_SEPARATORS: Words = (", ", ", ", "; ", " / ", " | ", " + ", " and ", " ~ ", ". ", " & ", " - ", ", ")  # fmt: skip
FIELD_SIGNS: Words = ("{p}: {b}", "{p} = {b}", "{p} from {b}", "{p} of {b}", "{p} <- {b}", "{b} -> {p}", "{b}: {p}", "the {p} from {b}", "the {p} of {b}", "{b} for the {p}", "{p} by {b}", "{p} as in {b}", "{b} gives the {p}", "use {b} for {p}", "{p}({b})")  # fmt: skip
"""Fields of a list: {p} an attribute's name, {b} its source."""
FIELD_VALUES: Words = ("{p}: {v}", "{v}", "{p} {v}", "but {v}", "{p} = {v}", "make it {v}")  # fmt: skip
THING_OF: dict[str, Words] = {
    "image": ("the thing in {a}", "the thing of {a}", "what's in {a}", "whatever {a} shows", "the object in {a}", "the thing from {a}", "what you see in {a}", "the toy in {a}", "{a}'s thing", "what {a} shows"),
    "audio": ("the thing in {a}", "the thing that makes {a}", "whatever makes {a}", "what you hear in {a}", "the thing from {a}", "the source of {a}", "what is heard in {a}", "the thing behind {a}", "whatever you hear in {a}", "the object from {a}"),
    "video": ("the thing in {a}", "the thing of {a}", "what moves in {a}", "the object in {a}", "whatever {a} shows", "the thing from {a}", "the toy in {a}", "what's in {a}"),
}  # fmt: skip

PLURAL_PROPERTIES: dict[str, Words] = {
    "color": ("colours", "colors", "colours", "colors", "hues", "paints"),
    "size": ("sizes", "sizes", "dimensions"),
    "pitch": ("pitches", "sizes", "tones"),
    "thing": ("things", "objects", "toys"),
    "tempo": ("speeds", "tempos", "paces", "speed"),
    "motion": ("movements", "motions", "directions", "moves"),
}
SWAPS: dict[str, Words] = {
    "swap": ("swap", "swap", "exchange", "switch", "trade", "interchange", "flip", "swop"),
    "both": (
        "3: {swap} their {ps}", "2: {swap} the {ps}", "can you {swap} the {ps}?", "each in the {p} of the other", "let them {swap} {ps}", "{swap} {ps} please", "each one gets the other's {p}", "each should have the {p} of the other one",
        "could they {swap} {ps}?", "both, but with {ps} exchanged", "give each the {p} of the other", "{ps}: vice versa", "the same two, with {ps} the other way round", "turn the {ps} around: first gets second's and second gets first's", "cross over their {ps}", "the {ps} change places", "what one has for {p} goes to the other, and back", "barter: {ps}", "{swap} their {ps} and keep the rest",
        "{swap} only the {ps}", "they should {swap} {ps}", "would you {swap} their {ps}, please", "i want them to {swap} {ps}", "{ps} <-> swap", "{ps} crosswise", "mix up their {ps}: each takes the other's", "each with the other's {p}", "{p} swap", "{p} swap please", "do a {p} swap",
        "what if they {swap} {ps}?", "{swap}({p})", "the {ps} the other way around", "first one in the second's {p} and second one in the first's {p}", "let each wear the other's {p}", "they trade {ps}", "please {swap} the {ps} of these two", "{swap} the {ps} of both",
    ),
    "named": (
        "3: {swap} the {ps} of {a} and {b}", "{swap} {ps} between {a} and {b}", "{a} and {b}: {swap} their {ps}", "let {a} and {b} {swap} {ps}", "{a} with the {p} of {b}, and {b} with the {p} of {a}", "{a} gets the {p} of {b} and the other way round", "{a} and {b} with their {ps} swapped", "{a} <-> {b}: {p}",
        "{p}: {a} <-> {b}", "take {a} and {b} and {swap} their {ps}", "could {a} and {b} {swap} {ps}?", "{a} takes the {p} of {b} and vice versa", "{a} in the {p} of {b}, {b} in the {p} of {a}", "{a}, {b}: {swap} {ps}", "the {ps} of {a} and {b}, exchanged",
        "please exchange the {ps} of {a} and {b}", "{a} and {b} should {swap} {ps}", "give {a} the {p} of {b} and give {b} the {p} of {a}", "as for {a} and {b}, {swap} the {ps}", "between {a} and {b} {swap} the {ps}", "i'd like {a} and {b} to {swap} {ps}", "{swap} {a} and {b} in {p}", "swap({a}, {b}, {p})",
    ),
    "motion": ("each goes the other's way, keeping its own speed", "swap their moves, each keeps its speed", "each one in the other one's direction", "they swap ways", "let their directions change places, not their speeds"),
    "motion_tempo": ("each should do what the other does", "swap movement and speed", "each doing what the other one did", "let each imitate the other", "exchange movement and tempo"),
    "color_size": ("swap their looks", "exchange colour and size", "swap colors and sizes", "each looks like the other did: colour and size", "trade looks, but stay the thing they are", "switch both colour and size"),
    "size_tempo": ("swap pitch and speed", "swap sizes and speeds", "each as high and as fast as the other", "exchange both pitch and tempo", "trade size and tempo"),
}  # fmt: skip

ALL_NAMES: dict[str, Words] = {
    "two": (
        "both",
        "both",
        "both",
        "both of them",
        "the two",
        "these two",
        "the two of them",
        "both of these",
    ),
    "all": (
        "all",
        "all of them",
        "all of these",
        "everything",
        "all three",
        "every one of them",
        "each of them",
    ),
    "kind_two": ("both {ks}", "both of the {ks}", "the two {ks}", "both my {ks}", "these two {ks}"),
    "kind_all": (
        "all {ks}",
        "all of the {ks}",
        "every {k}",
        "all these {ks}",
        "each {k}",
        "the {ks}, all of them",
    ),
    "named": ("{a} and {b}", "both {a} and {b}", "{a} & {b}", "{a} and also {b}", "{a} plus {b}"),
}
FOR_ALL: Words = (
    "make {it} {v}", "make {it} {v}", "now {it} {v}", "{it} {v} please", "change {it} to {v}", "now make {it} {v}", "do {it} {v}", "i want {it} {v}", "could you make {it} {v}?", "turn {it} {v}", "can {it} be {v}?", "let {it} be {v}", "have {it} {v}", "{v}, {it}",
    "{it}: {v}", "{it} -> {v}", "{it} should be {v}", "i'd like {it} {v}", "{it} again, but {v}", "the same, but {it} {v}", "n {it} {v}", "{v} for {it}", "get {it} {v}", "show me {it} {v}", "what about {it} {v}?", "{it} = {v}", "{it} must be {v}", "redo {it}, {v}",
    "how would {it} look {v}?", "set {it} to {v}", "{it} {v} now", "please have {it} {v}", "would you turn {it} {v}?", "{it} ought to be {v}", "go {v} with {it}", "{v}! {it}!", "and {it} {v} this time", "let me have {it} {v}", "{it} - {v}", "ok {it} {v} then", "{it} but {v}",
)  # fmt: skip
FOR_ALL_ALONE: Words = ("make them {v}", "now make them {v}", "do them {v}", "turn them all {v}", "they should be {v}", "can they be {v}?", "i want each {v}", "each of them {v}", "let them be {v}", "the whole lot {v}", "one after the other, {v}", "everybody {v}", "they're to be {v}")  # fmt: skip
FOR_ALL_GO: Words = ("make {it} {g}", "let {it} {g}", "have {it} {g}", "can {it} {g}?", "{it} should {g}", "now {it} should {g}", "i want {it} to {g}", "get {it} to {g}", "could {it} {g}?", "{it}: {g}", "and now let {it} {g}", "would you make {it} {g}?")  # fmt: skip
FOR_ALL_LIKE: Words = ("make {it} {r}", "make {it} {r}", "{it} {r}", "now {it} {r}", "i want {it} {r}", "{it} should be {r}", "can {it} be {r}?", "let {it} be {r}", "turn {it} {r}", "{it} {r} please", "{it}, {r}", "could you make {it} {r}?", "have {it} {r}", "redo {it} {r}", "i'd like {it} {r}", "{it} must be {r}")  # fmt: skip
FOLLOW: dict[str, Words] = {
    "also": ("and {its} {p} too", "its {p} as well", "{its} {p} as well please", "the {p} too", "take the {p} as well", "also the {p}", "and the {p}", "and also {its} {p}", "the {p} of {b} as well", "use {its} {p}, too", "and now the {p} too", "same with the {p}",
             "now also copy the {p}", "{p} as well", "+ the {p} of {b}", "and the same for the {p}", "the {p} should also be from there", "take over the {p} too", "next the {p} of {b} also", "make the {p} the same, too", "and equal {p}", "do that with the {p} too", "as well {bp}", "and with {bp}", "and {bp}",
             "i forgot: the {p} too", "oh, and {bp}", "one more: {bp}", "plus {bp}", "the {p} should fit too", "let it have {bp} as well"),
    "instead": ("no, {bp}", "i meant {bp}", "sorry, {bp}", "not that one, {bp}", "now {bp} instead", "{bp} instead", "rather {bp}", "wait, {bp}", "oops, {bp} i meant", "no no, take {bp}", "and now with {bp}", "the same with {bp}", "now once more with {bp}", "wrong one, i meant {bp}", "excuse me, it should be {bp}",
                "{bp} would be better", "try {bp}", "i'd rather have {bp}", "how about {bp}?", "what about {bp} instead?", "actually {bp}", "my mistake, {bp}", "change that to {bp}", "please use {bp} instead", "hm, better {bp}", "nope, {bp}", "or {bp}?", "correction: {bp}", "i was thinking of {bp}"),
    "reverse": ("now the other way round", "and the other way around", "and vice versa", "now vice versa", "sorry, the other way round", "no, the other way around", "i meant the other way round", "reverse the roles", "wrong way round", "swap the roles", "and now the opposite way", "now the other one likewise, after the first",
                "the other way round: {b} with {a}'s {p}", "{b} with the {p} of {a}", "now {b} with the {p} of {a}", "and {b} gets the {p} of {a}", "conversely: {b} with the {p} of {a}", "now give {b} the {p} of {a}", "you got it backwards", "just the reverse", "backwards please, i mixed them up"),
}  # fmt: skip
"""What is said after such a request: more of the source, another source, or the roles exchanged."""
