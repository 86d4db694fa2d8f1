"""Frames of questions about one medium.

Symbols: {it} words for the medium, {list} what is asked for, {n} how many, {v} a value, {a} and {b} two.
"""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- lists ---------------------------------------------------------------------------------------

JOINTS: Words = (", ", ", ", ", ", " + ", "/", " / ", " & ", "; ", " | ", " and ", " and ", " plus ", " - ", "\n", " n ", ",", " ... ", ". ", " then ", " -> ", " as well as ", " also ")  # fmt: skip
"""Between fields."""
LAST_JOINTS: Words = (" and ", " and ", " and ", ", and ", " & ", " plus ", ", also ", " as well as ", " and also ", " n ", " and then ", " and, of course, ", ", and finally ")  # fmt: skip
"""Before the last of a list with commas."""
QUESTION_JOINTS: Words = (" and ", " and ", "? ", ", ", "? and ", ", and ", " & ", " + ", "; ", " / ", ". ", " n ", ", also ", "? also ", " plus ")  # fmt: skip
"""Between questions."""
NUMBERED: Words = ("{n}) {x}", "{n}. {x}", "#{n} {x}", "({n}) {x}", "- {x}", "* {x}", "{x}?", "{x}: ?", "{x} = ?", "{x}: ___", "[{x}]", "{n}: {x}", "{x} -> ?", "{x}=", "{n} - {x}", "> {x}", "{x}...")  # fmt: skip
"""An item of a list; {n} its number."""

FIELD_FRAMES: Words = (
    "8: {list}?", "4: {list}", "3: {list} please", "2: {list} pls", "2: just {list}", "give me {list}", "i need {list}", "need {list}", "tell me {list}", "{list}, thanks", "{list}, quick", "quick: {list}", "only {list}", "in words: {list}", "{list}, in words",
    "{list} - all of that please", "report {list}", "what about {list}?", "fill in: {list}", "please name {list}", "write down {list}", "i want {list}", "get me {list}", "extract {list}", "list {list}", "read off {list}", "determine {list}", "{list} for my notes", "the {list}?",
    "the {list} please", "{list} would do", "{list}, nothing else", "want to know {list}", "return {list}", "output {list}", "{list}? thx", "{list}?? in a word", "note {list} for me", "state {list}", "say {list}", "{list} - what do you say?", "specify {list}", "identify {list}",
    "missing in my table: {list}", "and {list}?", "and the {list}?", "its {list}?", "2: its {list}", "{list} again?", "{list} now?", "{list} there?", "{list}...?", "{list} of this?", "{list} of it?", "what {list}?", "which {list}?", "for the form: {list}", "{list}, if you can", "all i need: {list}", "check {list} for me", "i'm after {list}", "{list}, go", "could you note {list}?", "question: {list}?", "data: {list}", "classify: {list}", "label it: {list}", "tags: {list}",
)  # fmt: skip
FIELD_FRAMES_OF: Words = (
    "5: {it}: {list}?", "4: {list} of {it}?", "3: {list} of {it}", "2: {it}: {list}", "{it} - {list}?", "for {it}: {list}", "{list} of {it} please", "give me {list} of {it}", "tell me {list} of {it}", "about {it}: {list}?", "{list} for {it}", "{it}, {list}?", "i need {list} of {it}",
    "in {it}: {list}?", "what about {it}? {list}", "{list}? i mean of {it}", "as to {it}: {list}?", "{it}: {list} please", "what's the {list} of {it}?", "{it} ({list})?", "{list} -> {it}?", "{it} = {list}?", "regarding {it}, {list}?", "get {list} from {it}", "read {list} off {it}", "3: {it}'s {list}?", "{it}'s {list} please", "2: {list} in {it}?", "and {it}'s {list}?", "and {list} of {it}?", "{list} from {it}?", "{list}, {it}?", "{it}: its {list}?", "what {list} has {it}?", "which {list} for {it}?", "say the {list} of {it}",
)  # fmt: skip
OBJECT_FRAMES: Words = (
    "4: tell me {list}", "3: i want to know {list}", "2: can you tell me {list}?", "2: please tell me {list}", "2: do you know {list}?", "i'd like to know {list}", "i would like to know {list}", "say {list}", "please say {list}", "could you tell me {list}?", "i'm wondering {list}", "i wonder {list}",
    "let me know {list}", "what i want to know is {list}", "all i want to know is {list}", "i need to know {list}", "explain to me {list}", "write {list}", "describe {list}", "find out {list}", "figure out {list}", "guess {list}", "would you tell me {list}?", "please to tell me {list}", "can u say {list}?",
    "give me {list}", "i just need {list}", "we want to hear {list}", "work out {list} for me", "please say to me {list}", "my question is {list}", "have a look and tell me {list}", "be so kind and tell me {list}", "i can't make out {list}", "help me with {list}", "mention {list}", "i ask me {list}",
    "can you make out {list}?", "are you able to tell {list}?", "any idea {list}?", "in one sentence: {list}", "remind me {list}", "would you mind telling me {list}?", "kindly state {list}", "check {list}", "it interests me {list}", "you have to tell me {list}", "answer me {list}", "i have to write down {list}",
    "please confirm {list}", "name {list}", "i forgot {list}", "tell my grandma {list}", "can you read off {list}?", "could i get {list}?", "i'm curious {list}", "only tell me {list}", "just say {list}",
)  # fmt: skip
OBJECT_FRAMES_OF: Words = (
    "about {it}: tell me {list}", "{it}: tell me {list}", "i mean {it}, tell me {list}", "look at {it} and tell me {list}", "for {it} i want to know {list}", "{it}, can you tell me {list}?", "take {it} and say {list}", "{it} - please tell me {list}", "as for {it}, i want to know {list}",
    "what about {it}, do you know {list}?", "concerning {it}: {list}", "{it}? say {list}", "now {it}: {list}", "let's talk about {it}: {list}", "i'd like to know {list}, of {it}", "with {it}, say {list}", "one thing about {it}: {list}?",
)  # fmt: skip
DIRECT_FRAMES: Words = ("12: {list}?", "3: {list}", "hey, {list}?", "and {list}?", "so, {list}?", "hm, {list}?", "please, {list}?", "ok so {list}?", "well, {list}?", "{list}, please?", "{list}, do you think?", "{list}, would you say?", "{list} again?", "question: {list}?", "tell me, {list}?", "i ask myself, {list}?", "{list}, can you tell?", "{list}, any idea?",
                        "say, {list}?", "excuse me, {list}?", "{list}??", "{list}, in your opinion?", "quick one: {list}?", "guess: {list}?", "help me: {list}?", "oh, {list}?", "now {list}?", "just wondering, {list}?", "{list}, exactly?", "be honest, {list}?", "{list}, i wonder?")  # fmt: skip
DIRECT_FRAMES_OF: Words = ("3: {it}: {list}?", "about {it}: {list}?", "in {it}: {list}?", "{it}, {list}?", "{list}? i mean {it}", "{it} - {list}?", "look at {it}, {list}?", "back to {it}: {list}?", "what about {it}? {list}?", "{list}, in {it}?", "now {it}. {list}?", "and {it}: {list}?")  # fmt: skip

# --- scope ---------------------------------------------------------------------------------------

NOT_THESE: Words = (
    "not {not}, just {list}", "not {not}, only {list}", "i don't care about {not}. {list}", "never mind {not}, i want {list}", "{list}, but not {not}", "skip {not}. {list}", "forget {not}. just {list}", "i know {not} already. {list}?", "leave out {not}, tell me {list}", "without {not}: {list}", "{list}. not {not}, please",
    "i can see {not} myself, so {list}", "no need for {not}, only {list}", "{not} is clear. {list}?", "don't tell me {not}, but {list}", "{not} i don't need. {list}", "everything but {not}: {list}", "apart from {not}: {list}",
)  # fmt: skip
"""Questions that say what they don't ask for: {not} an object."""

# --- all of it -----------------------------------------------------------------------------------

WHOLE: Words = (
    "hand me {all}", "now {all}", "{all} please", "i need {all}", "{all} of {it} please", "{all}?", "write {all} of {it}", "can i have {all} of {it}?", "{all} for {it}", "{it}: {all}", "let me have {all}", "i'd like {all} of {it}", "could you write {all}?", "{all}, in words", "make {all} of {it} in words", "tell {all}",
    "tell me all about {it}", "everything you can say about {it}", "what do you notice about {it}?", "what can you tell about {it}?", "say all you know of {it}", "all you can make out in {it}", "walk me through {it}", "talk me through {it}", "fill me in on {it}", "sum {it} up", "sum up {it} for me", "summarise {it}", "summarize {it}", "brief me on {it}", "how would you describe {it}?",
    "describe {it} to a blind person", "i can't open {it}, tell me what it's like", "describe {it} to my grandma", "my screen is broken, what is {it} like?", "caption {it}", "write alt text for {it}", "caption for {it}?", "put {it} in a sentence", "tell me what you got from {it}", "analyse {it}", "analyze {it} please", "inspect {it} and report", "what exactly is {it}?", "what's all in {it}?",
    "explain what is in {it}", "say in words what {it} is", "details?", "all details", "more details on {it}", "every detail of {it}", "what's in {it}? everything please", "tell me in detail what {it} is", "spell {it} out for me", "what's your impression of {it}?", "paint {it} with words", "describe with all the details", "please to describe {it}", "can you explain me {it}?", "what we have in {it}?",
    "describe {it} fully", "full description", "long version please, what is {it}?", "what is {it} like?", "report on {it}", "everything about {it}, in words", "go on, describe {it}", "pls describe", "describe!", "what's the story with {it}?", "read {it} out to me", "whats in {it}", "what do u make of {it}", "the facts about {it}, please", "translate {it} into words", "note all you find in {it}",
)  # fmt: skip
ALL: Words = ("a rundown", "a full description", "the details", "all the details", "a caption", "a short description", "the whole story", "a summary", "a full report", "alt text", "an alt text", "the full picture in words", "a one line description", "all the facts", "a complete description", "everything", "the lowdown", "a written description", "the particulars", "an overview", "every attribute", "a sentence")  # fmt: skip
WHOLE_WITH_LIST: Words = ("describe it: {list}", "full description: {list}", "sum it up, {list}", "everything please: {list}", "describe it all, {list}", "all of it: {list}", "summary: {list}", "tell me everything: {list}", "describe {it}: {list}", "a rundown of {it}: {list}", "analyse {it}: {list}", "complete report, {list}", "the works: {list}", "{list}: the full set", "all attributes: {list}")  # fmt: skip

# --- alternatives --------------------------------------------------------------------------------

EITHER: Words = (
    "6: {a} or {b}?", "3: is {it} {a} or {b}?", "2: {it}: {a} or {b}?", "is {it} {a}, or {b}?", "would you say {a} or {b}?", "which is it, {a} or {b}?", "{a}? or {b}?", "{a}/{b}?", "{a} vs {b}?", "is {it} more {a} or more {b}?", "tell me if {it} is {a} or {b}", "tell me whether {it} is {a} or {b}", "{a}, or is it {b}?", "do you think {it} is {a} or {b}?", "so is {it} {a} or is {it} {b}?",
    "i can't tell if {it} is {a} or {b}", "is {it} {a}? or rather {b}?", "{it} is {a} or {b}?", "you say {it} is {a} or {b}?", "choose: {a} or {b}", "{a} or {b}, which one is right?", "{a} or {b}??", "we are arguing, is {it} {a} or {b}?", "my friend says {a}, i say {b}. who is right about {it}?", "1) {a} 2) {b}?", "what do you say, {a} or {b}?", "is the answer {a} or {b}?", "{a} - or {b}?", "hey is {it} {a} or {b}", "options: {a}, {b}", "either {a} or {b}, which?", "what would you call {it}, {a} or {b}?",
    "is {it} {a} or is {it} not rather {b}?", "{a}... or {b}?", "hm, {a} or {b}?", "it's {a} or {b}, what do you think?", "was {it} {a} or {b}?", "pick one: {a} / {b}", "{a} or {b}, {it}?", "does {it} count as {a} or as {b}?", "{a} | {b}?", "{it}, {a} or {b}?", "quick check: {a} or {b}?",
)  # fmt: skip

# --- yes or no -----------------------------------------------------------------------------------

CHECKS: Words = (
    "3: is {it} {v}?", "2: {it} is {v}, right?", "2: {v}, right?", "{v}??", "{v}, correct?", "{v}, isn't it?", "{it} is {v}, isn't it?", "{it}'s {v}, no?", "{it} is {v}, yes?", "{it} is {v}, or not?", "is that {v}?", "could {it} be {v}?", "might {it} be {v}?", "would you say {it} is {v}?", "do you think {it} is {v}?", "don't you think {it} is {v}?", "isn't {it} {v}?", "so {it} is {v}?", "{it} is {v} correct",
    "{it} is {v}?? yes or no", "yes or no: is {it} {v}?", "yes or no, {v}?", "true or false: {it} is {v}", "am i right that {it} is {v}?", "i say {it} is {v}, do you agree?", "i bet {it} is {v}", "i'd say {v}. right?", "looks like {it} is {v}, is that so?", "my sister says {it} is {v}. is she right?", "it has to be {v}, hasn't it?", "{it} must be {v}, mustn't it?", "can you confirm {it} is {v}?", "please confirm: {v}", "confirm {v}?",
    "is it correct that {it} is {v}?", "is it true {it} is {v}?", "you see that {it} is {v}, don't you?", "surely {it} is {v}?", "really {v}?", "is {it} really {v}?", "is {it} {v} at all?", "was {it} {v}?", "did i get it right that {it} is {v}?", "{it}: {v} or not?", "{v} or not?", "{v} or am i wrong?", "is {it} {v} or am i mixing it up?", "is {it} {v} or do i need glasses?", "{it} is {v} i think, true?", "check: {it} is {v}", "is {it} {v}, yes or no?",
    "{it} isn't {v}, is it?", "so {it} isn't {v}?", "so {it} is not {v} any longer?", "{it} is no longer {v}, is it?", "not {v}, is it?", "it's not {v}, or is it?", "hopefully {it} is {v}?", "tell me, is {it} {v}?", "tell me honestly if {it} is {v}", "i want to know if {it} is {v}", "let me know whether {it} is {v}", "{it} has to be {v}, agreed?", "we think {it} is {v}. are we right?", "does {it} seem {v} to you?", "is this one {v}?",
    "would {v} be right?", "can i write that {it} is {v}?", "do you agree that {it} is {v}?", "hey is {it} {v}", "excuse me, is {it} {v}?", "{it} is still {v}?", "is {it} still {v}?", "did {it} stay {v}?", "has {it} turned out {v}?", "{v} - yes?", "{v}, eh?", "{v}, innit?", "{it} be {v}?", "this {v} is, yes?", "it {v}, no?", "you sure {it} is {v}?", "are you sure that {it} is {v}?",
)  # fmt: skip
CHECKS_OF: dict[str, Words] = {
    "thing": ("is there {v} in {it}?", "do you see {v}?", "is {v} to be seen?", "is what i look at {v}?", "do i see {v}?", "that's {v}, right?", "did i send you {v}?", "does {it} show {v}?", "is {v} what i sent?", "have we got {v} here?", "is the object {v}?", "i guess it's {v}?", "is it by any chance {v}?", "could that be {v}?", "would you call that {v}?", "it looks like {v}, doesn't it?", "{v} is what i see, yes?", "can you spot {v}?", "that thing, is it {v}?", "is it maybe {v}?"),
    "thing.audio": ("am i hearing {v}?", "do you hear {v}?", "have i heard {v} there?", "could that be {v}?", "is the noise from {v}?", "does that come from {v}?", "is {v} making this noise?", "sounds like {v}, doesn't it?", "that was {v}, right?", "was that {v}?", "it sounds like {v}, agreed?", "did you hear {v}?", "is it the sound of {v}?", "was it {v} that made the noise?", "i hear {v}, don't i?", "is somebody playing {v}?", "{v} makes this, or not?", "is that maybe {v}?"),
    "color": ("a {v} one, true?", "a {v} one??", "a {v} one, isn't it?", "is the colour {v}?", "is its colour {v}?", "the colour is {v}, correct?", "do you see {v}?", "does {it} look {v}?", "is it painted {v}?", "{v} in colour??", "is {v} the right colour?", "would you call that {v}?", "is the shade {v}?", "this hue is {v}, no?", "has {it} a {v} colour?", "is it a {v} thing?", "did {it} come out {v}?", "does it have the colour {v}?"),
    "size": ("a {v} one, true?", "a {v} one??", "rather {v}, isn't it?", "a rather {v} one, would you say?", "is the size {v}?", "does {it} look {v}?", "quite {v}, don't you think?", "is it a {v} thing?", "would you call that {v}?", "pretty {v}, no?", "did {it} come out {v}?", "a {v} one, agreed?", "is it of {v} size?"),
    "size.audio": ("does {it} sound {v}?", "a rather {v} one, right?", "sounds {v}, doesn't it?", "quite {v}, isn't it?", "a {v} one??", "is it a {v} sound?", "would you call that {v}?", "pretty {v}, no?", "is the sound {v}?"),
    "size.imu": ("a {v} movement, right?", "was it a {v} movement?", "a {v} one, wasn't it?", "did i move it in a {v} way?", "quite {v}, wasn't it?", "is the movement {v}?", "would you call that {v}?", "is it a {v} move?", "rather {v}, no?"),
    "tempo": ("a rather {v} one, right?", "is the speed {v}?", "quite {v}, don't you think?", "does it go {adv}?", "does {it} move {adv}?", "is it going {adv}?", "is {it} moving {adv}?", "it goes {adv}, doesn't it?", "would you call the pace {v}?", "at a {v} pace??", "pretty {v}, isn't it?", "it moves {adv}, or not?", "a {v} one??", "is the tempo {v}?", "did it go {adv}?"),
    "tempo.audio": ("a rather {v} one, right?", "is the tempo {v}?", "quite {v}, don't you think?", "does it go {adv}?", "is it played {adv}?", "is the beat {v}?", "it goes {adv}, doesn't it?", "at a {v} pace??", "pretty {v}, isn't it?", "is the rhythm {v}?", "a {v} one??", "a {v} beat, no?", "does it repeat {adv}?"),
    "motion": ("is it {v}?", "do you see it {v}?", "it's {v}, isn't it?", "does it {inf}?", "it does {inf}, doesn't it?", "does {it} {inf}?", "can you see it {inf}?", "did it {inf}?", "is the thing {v}?", "it will {inf}, right?", "would you say it's {v}?", "{v}, yes?", "is {it} {v} or what?", "so it does {inf}?", "doesn't it {inf}?"),
    "motion.imu": ("did it {inf}?", "did i make it {inf}?", "was it {v}?", "was my phone {v}?", "does it {inf}?", "did my hand {inf}?", "it did {inf}, didn't it?", "was the phone {v} there?", "do you feel it {inf}?", "did the phone {inf}?", "have i let it {inf}?", "didn't it {inf}?", "was that it {v}?"),
}  # fmt: skip
MOVES_AT_ALL: Words = ("does {it} move?", "does {it} move at all?", "is anything moving?", "is there any movement?", "does something move there?", "any motion in {it}?", "is it moving or not?", "is there motion?", "is {it} moving at all?", "does anything happen in {it}?", "any movement, yes or no?", "moves or not?", "it moves, doesn't it?", "nothing moves, does it?", "did anything move?", "was there a movement?")  # fmt: skip
