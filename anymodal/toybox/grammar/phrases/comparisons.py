"""Questions that compare media of a conversation, and requests to describe all of some.

In a template {s} and {o} are all items in question, as a subject and as an object, {a} and {b} one
each, {p} an attribute's name, {c} a comparative, {v} a verb phrase with it, {w} a value; [x|y] is
one of two texts.
"""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

PROPERTIES: dict[str, Words] = {
    "thing": ("thing", "thing", "object", "toy", "subject"), "color": ("colour", "colour", "color", "color", "shade"), "size": ("size",),
    "motion": ("movement", "motion", "direction", "way of moving"), "tempo": ("speed", "tempo", "pace"), "pitch": ("pitch", "tone", "pitch"), "strength": ("strength", "force"),
}  # fmt: skip
COMPARATIVES: dict[tuple[str, str], Words] = {
    ("size", "big"): ("bigger", "bigger", "larger"), ("size", "small"): ("smaller", "smaller", "tinier"),
    ("pitch", "big"): ("lower", "deeper", "deeper", "bigger"), ("pitch", "small"): ("higher", "higher", "higher pitched", "smaller"),
    ("strength", "big"): ("stronger", "stronger", "bigger"), ("strength", "small"): ("weaker", "gentler", "weaker", "smaller"),
    ("tempo", "fast"): ("faster", "faster", "quicker", "speedier"), ("tempo", "slow"): ("slower", "slower", "less quick"),
}  # fmt: skip
SUPERLATIVES: dict[tuple[str, str], Words] = {
    ("size", "big"): ("biggest", "largest"), ("size", "small"): ("smallest", "tiniest"), ("pitch", "big"): ("lowest", "deepest"), ("pitch", "small"): ("highest", "highest"),
    ("strength", "big"): ("strongest",), ("strength", "small"): ("weakest", "gentlest"), ("tempo", "fast"): ("fastest", "quickest"), ("tempo", "slow"): ("slowest",),
}  # fmt: skip
MORE_VERBS: dict[tuple[str, str], Words] = {
    ("size", "big"): ("takes up more room", "is the giant", "has the larger size", "is the big one", "needs more space", "fills more of the frame", "came out larger", "is more huge"),
    ("size", "small"): ("takes up less room", "is the tiny one", "has the smaller size", "is the little one", "needs less space", "came out smaller", "is less big"),
    ("pitch", "big"): ("sounds deeper", "has the deeper voice", "has the lower tone", "goes down lower", "is more bassy", "is the deep one"),
    ("pitch", "small"): ("sounds higher", "has the higher tone", "is more squeaky", "is the high one", "has the higher note", "is the squeaky one"),
    ("strength", "big"): ("was shaken harder", "has more force", "is the stronger movement", "has the bigger swing", "was more powerful", "is the strong one"),
    ("strength", "small"): ("was done more softly", "has less force", "is the weaker movement", "was more gentle", "is the gentle one"),
    ("tempo", "fast"): ("goes faster", "is in more of a hurry", "has the higher tempo", "is the quick one", "has more speed", "would win a race", "runs quicker", "is the speedy one"),
    ("tempo", "slow"): ("goes slower", "is in less of a hurry", "has the lower tempo", "is the slow one", "has less speed", "would lose a race", "drags more", "dawdles"),
}  # fmt: skip

WHICH: Words = (
    "3: which one {v}?", "2: which {v}?", "3: which of {o} {v}?", "which of the two {v}?", "who {v}?", "3: which {v}, {a} or {b}?", "2: who {v}, {a} or {b}?", "{a} or {b}: which {v}?", "tell me which one {v}",
    "what is {c}, {a} or {b}?", "2: is {a} or {b} {c}?", "can you tell which one {v}?", "so which one {v}?", "{c}: which one?", "{c} one?", "the {c} one is?", "which's the {c} one of {o}?",
    "first or second, which {v}?", "{a} vs {b}, which {v}?", "{a} / {b}: {c}?", "{c}: {a} or {b}?", "i wonder which of {o} {v}", "my son asks which one {v}", "[hm|ok|well|hey], which of {o} {v}?", "if you look at {o}, which one {v}?",
    "would you say {a} or {b} is {c}?", "one of {o} {v}. which?", "2: between {a} and {b}, which {v}?", "out of {o}, which {v}?", "of {o}, who {v}?", "compare {o}: which {v}?", "do you know which {v}?", "point to the {c} one",
    "name the one that {v}", "which number {v}?", "put {a} beside {b}. which one {v}?", "pick the {c} one of {o}", "i can't tell which one {v}. can you?", "whats {c} then, {a} or {b}?", "is it {a} or {b} that {v}?",
    "please say which of {o} {v}", "could you tell me which {v}: {a} or {b}?", "{a} and {b}, who {v}?", "which one of {o} do you find {c}?", "quick question: which of {o} {v}?", "we bet on it: which one {v}, {a} or {b}?",
    "a) {a} b) {b} which {v}?", "1) {a} 2) {b}: {c} one?", "{a}; {b}; {c} = ?", "which file {v}?", "in which of {o} is it {c}?", "where is it {c}, in {a} or in {b}?", "who's the {c} of {o}?", "say, which one {v}",
    "from {o}, which is more {x}?", "which is the more {x} one?", "the one that {v}, is that {a} or {b}?", "help me out, which of {o} {v}", "and which one {v}?", "{a}, {b}: who {v}?", "which one {v}, would you say?", "guess which one {v}",
)  # fmt: skip
"""{x} is the plain value."""
THAN: Words = (
    "4: is {a} {c} than {b}?", "is {a} {c} than {b} or not?", "tell me if {a} is {c} than {b}", "would you say {a} is {c} than {b}?", "{a} is {c} than {b}, isn't it?", "compared to {b}, is {a} {c}?", "{a} {c} than {b}?",
    "2: was {a} {c} than {b}?", "i think {a} is {c} than {b}, [right|no|true|correct|am i right]?", "am i right that {a} is {c} than {b}?", "does {a} seem {c} than {b} to you?", "next to {b}, is {a} the {c} one?", "so {a} is {c} than {b}?",
    "is it true that {a} is {c} than {b}?", "my brother says {a} is {c} than {b}. is he right?", "in {p}, is {a} {c} than {b}?", "is {a} any {c} than {b}?", "is {a} a bit {c} than {b} is?", "{a} isn't {c} than {b}, is it?", "isn't {a} {c} than {b}?",
    "check: {a} {c} than {b}, yes or no", "yes or no: {a} is {c} than {b}", "of {a} and {b}, is the former {c}?", "if i put {a} next to {b}, is {a} {c}?", "could it be that {a} is {c} than {b}?", "do you find {a} {c} than {b}?",
    "please check whether {a} is {c} than {b}", "looks to me like {a} is {c} than {b}, or?", "{a} seems {c} than {b}, doesn't it?", "hm is {a} really {c} than {b}?", "whether {a} is {c} than {b}, that i'd like to know", "{a}, is it {c} than {b}?",
    "is {a} more {x} than {b}?", "would {a} count as {c} than {b}?", "dear, is {a} {c} than {b}?", "{a} {c} as {b}?", "we have {a} and {b}; is {a} the {c} of the two?", "did {a} come out {c} than {b}?",
)  # fmt: skip
WHICH_HAS: Words = (
    "2: which one is {w}?", "which is {w}?", "2: which of {o} is {w}?", "where is {w}?", "which one has {w}?", "{w}: which one?", "tell me which one is {w}", "is {w} the first or the second?", "which number is {w}?", "who of them is {w}?",
    "say which one is {w}", "is {a} or {b} {w}?", "is it {a} or {b} that is {w}?", "who is {w}, {a} or {b}?", "{a} or {b}, which is {w}?", "one of {o} is {w}, but which?", "only one of {o} is {w}. which one?", "i look for the one that is {w}",
    "out of {o}, which is {w}?", "the one that is {w}, is it {a} or {b}?", "{w} = {a} or {b}?", "which one would you call {w}?", "so who's {w}?", "do you know which of {o} is {w}?", "point me to the one that is {w}", "and which one was {w}?",
    "[hey|ok|hmm], which of {o} is {w} now?", "i forgot which one is {w}", "can you say which of {o} is {w}?", "number of the one that is {w}?", "which file is {w}?", "between {a} and {b}, which is {w}?", "there's one that is {w}: which?",
    "the question is which of {o} is {w}", "remind me which one is {w}", "which of you two is {w}, {a} or {b}?", "first or second: {w}?", "is {w} to be found in {a} or in {b}?", "please name the one that is {w}", "{w}?? which one",
)  # fmt: skip
FIND_THING: Words = (
    "3: which one is {w}?", "where is {w}?", "find {w}", "can you find {w}?", "point out {w}", "which one shows {w}?", "in which of {o} is {w}?", "is {w} the first or the second?", "is {w} in {a} or in {b}?", "which of {o} has {w} in it?", "spot {w} for me",
    "{w}, where?", "{w}: which one?", "i'm looking for {w}, which one is it?", "where did {w} go, {a} or {b}?", "which one did i send {w} in?", "who of them is {w}?", "show of hands, which is {w}?", "my kid wants to know which one is {w}", "{w} - {a} or {b}?",
    "what number is {w}?", "one of {o} is {w}, which?", "where can i find {w}?", "which file has {w}?", "is it {a} or {b} with {w}?", "tell me where {w} is", "which one would be {w} then?", "{w} is in which one?", "locate {w}",
)  # fmt: skip
WHICH_MOVES: Words = (
    "which one is moving?", "which of {o} is in motion?", "one of {o} moves, which?", "who moves, {a} or {b}?", "which one isn't standing around?", "where does something happen?", "which of {o} goes somewhere?", "does {a} or {b} move?",
    "is it {a} or {b} that moves?", "the one with movement?", "which has any movement in it?", "who's on the move?", "which of {o} is not at rest?", "only one of {o} moves. which one?", "point me to the moving one", "moving one = ?",
)  # fmt: skip
WHICH_RESTS: Words = (
    "which one doesn't move?", "which one stands still?", "which of {o} is at rest?", "one of {o} does not move, which?", "who stays put, {a} or {b}?", "which one just sits there?", "where does nothing happen?", "is it {a} or {b} that stands still?",
    "the motionless one?", "which has no movement in it?", "which of {o} is frozen?", "who isn't moving?", "only one of {o} rests. which one?", "tell me which doesn't go anywhere", "idle one = ?",
)  # fmt: skip
DIFFERENCE: Words = (
    "2: what's the difference?", "2: what is the difference between {o}?", "2: how do {s} differ?", "what differs?", "what is different between {o}?", "what's different?", "compare {o}", "2: compare {a} with {b}", "{a} vs {b}?", "{a} versus {b}: differences?",
    "where is the difference?", "in what way are {s} different?", "can you compare {o}?", "difference?", "how are {s} different?", "find the differences", "list the differences", "how does {a} differ from {b}?", "how is {a} different from {b}?",
    "tell {o} apart for me", "what sets {o} apart?", "how can i tell {o} apart?", "what distinguishes {a} from {b}?", "what does not match?", "where do {s} disagree?", "in which points do {s} differ?", "name all that's different",
    "i see two that look nearly alike. what's not the same?", "do you see any difference?", "is there a difference between {o}?", "are there differences?", "what makes {a} different from {b}?", "what isn't the same in {o}?", "delta between {a} and {b}?",
    "put {a} and {b} side by side, what differs?", "which attributes differ?", "what's not equal?", "hm, i can't see how {s} differ. can you?", "differences, please", "explain the difference to me", "what would i have to change in {a} to get {b}?",
    "hold {a} against {b}. what's different", "anything different?", "what separates {a} from {b}?", "contrast {a} and {b}", "give me the differences of {o}", "any differences worth telling?", "what is other about {b} than about {a}?",
)  # fmt: skip
CHANGED: Words = (
    "what changed?", "what did you change?", "what is different now?", "what's new in it?", "what changed from before to now?", "compare it to what it was before", "how does it differ from before?", "old vs new?", "before and after, what's different?",
    "which part did you change?", "how is the new version different from the old one?", "what have you altered?", "diff to the last version?", "what happened to it?", "so what's different to the one before?", "compare old and new",
)  # fmt: skip
"""Of an item before and after an edit; the other phrases for versions too."""
DID_CHANGE: Words = (
    "did the {p} change?", "has the {p} changed?", "did you change the {p}?", "is the {p} another one now?", "is the {p} different from before?", "the {p} changed, didn't it?", "{p} changed?", "have you altered the {p}?",
    "is there a new {p} now?", "did its {p} change when you made it again?", "was there any change in {p}?", "tell me if the {p} is different now",
)  # fmt: skip
DID_STAY: Words = (
    "did the {p} stay the same?", "is the {p} still the same?", "same {p} as before?", "has it kept its {p}?", "did you keep the {p}?", "the {p} is as before, right?", "is the {p} unchanged?", "you left the {p} alone, didn't you?",
    "does it have the same {p} as before?", "did the {p} survive?", "the {p} didn't change, did it? is it the same?",
)  # fmt: skip
NOW_OR_BEFORE: Words = (
    "is the old or the new one {c}?", "which version {v}?", "was it {c} before or is it now?", "which one {v}, the old or the new one?", "old or new: which {v}?",
    "when was it {c}, then or now?", "which of the two versions {v}?", "does the new one or the one before look {c}?",
)  # fmt: skip
NOW_THAN: Words = (
    "is it {c} now?", "is it {c} than before?", "is the new one {c} than the old one?", "did it get {c}?", "it got {c}, didn't it?", "{c} than before?", "has it become {c}?", "so it is {c} than it was?", "is that {c} than the last version?",
    "would you say it is {c} now than it was?", "did you make it {c}?",
)  # fmt: skip
SAME: dict[str, Words] = {
    "all": (
        "2: do {s} have the same {p}?", "2: same {p}?", "2: is the {p} the same?", "do {s} share the same {p}?", "are {s} of the same {p}?", "same {p} or not?", "does {a} have the same {p} as {b}?", "has {a} the same {p} as {b}?", "is the {p} of {a} the same as that of {b}?",
        "{p}: same?", "{p} equal in {a} and {b}?", "do {s} agree in {p}?", "{s} have the same {p}, right?", "{s} have the same {p}, don't they?", "don't {s} have the same {p}?", "is {a} like {b} in {p}?",
        "does the {p} match?", "do {s} match in {p}?", "would you say the {p} is the same?", "{a} and {b}, same {p}?", "am i right that {s} have the same {p}?", "i think {s} have the same {p}. do they?", "as for the {p}, are {s} alike?", "{p} wise, are {s} the same?",
        "at least the same {p}?", "{p} match, yes or no", "is it one and the same {p}?", "does {b} have {a}'s {p}?", "{p} of {a} == {p} of {b}?", "tell me if {s} have the same {p}", "is there only one {p} here?", "{s} don't have the same {p}, do they?",
        "the {p} isn't the same, is it?", "are {s} twins in {p}?", "check that {s} have the same {p}", "with regard to {p}, do {s} match?", "2: are {s} the same in {p}?", "do {s} come in the same {p}?", "so {p} is identical?",
        "what about the {p}, the same?", "and the {p}? the same too?", "is {a}'s {p} also {b}'s?", "comparing {o}: same {p}?", "{p} alike?", "did i get the same {p} twice?", "does the {p} stay the same from {a} to {b}?", "could you check if {s} have one {p}?",
    ),
    "thing": (
        "are {s} the same thing?", "same thing?", "do {s} show the same thing?", "is it twice the same thing?", "are {s} the same toy?", "is the thing in {a} also in {b}?", "is {a} the same thing as {b}?", "is it one and the same thing in {a} and {b}?",
        "does {b} show what {a} shows?", "do {s} belong to the same thing?", "is what we have in {a} the same as in {b}?", "same one in {o}?", "are {s} of one and the same thing?", "are {s} one kind of thing?",
    ),
    "color": (
        "are {s} the same color?", "do the colours of {o} match?", "are {s} in one colour?", "is {a} the same colour as {b}?", "does {a} match {b} in colour?", "are {s} painted alike?", "is {a} as colourful as {b}, i mean the same colour?",
        "colours the same?", "do the colors go together, i mean are they one?", "are {s} equally coloured?", "one colour for {o}?", "{s} aren't the same colour, are they?", "is {a} painted like {b}?",
    ),
    "size": (
        "are {s} the same size?", "are {s} equally big?", "is {a} as big as {b}?", "is {a} the same size as {b}?", "are {s} of equal size?", "{s} aren't the same size, are they?", "are {s} as big as each other?",
        "just as big?", "are {s} equal in size?", "{a} is as large as {b}, isn't it?", "would {a} fit exactly over {b}, size wise?",
    ),
    "pitch": ("are {s} equally high?", "is {a} as high as {b}?", "is {a} as deep as {b}?", "the same note in {o}?", "are {s} on one note?", "do {s} sound equally deep?", "{s} aren't equally high, are they?"),
    "strength": ("are {s} equally strong?", "is {a} as strong as {b}?", "did i move it as hard in {o}?", "were {s} equally forceful?", "{s} aren't equally strong, are they?"),
    "tempo": (
        "are {s} equally fast?", "are {s} at one speed?", "is {a} as fast as {b}?", "is {a} as quick as {b}?", "do {s} keep the same pace?", "{s} are equally fast, aren't they?", "{s} aren't equally fast, are they?",
        "does {a} keep up with {b}, same speed?", "would a race of {o} be a draw?", "just as fast?", "do {s} tick at one pace?",
    ),
    "motion": (
        "do {s} move the same way?", "do {s} make the same movement?", "is it the same motion?", "does {a} move like {b}?", "does {a} move the same way as {b}?", "do {s} go the same way?", "do {s} head the same way?", "are {s} moving in the same way?",
        "does {a} do what {b} does?", "does {a} make the same movement as {b}?", "is {a} going where {b} goes?", "did {a} move just like {b}?", "do {s} do the same?", "is the movement in {a} that of {b}?", "{s} don't move the same way, do they?",
        "do {s} behave the same, moving I mean?", "does {a} copy the movement of {b}?",
    ),
}  # fmt: skip
"""Yes where the attribute is the same; "pitch" and "strength" are the sizes of sounds and movements."""
DIFFERS: Words = (
    "2: is the {p} different?", "do {s} have different {p}s?", "do {s} differ in {p}?", "different {p}?", "is there a difference in {p}?", "any difference in {p}?", "does the {p} differ?", "does {a} differ from {b} in {p}?", "is the {p} of {a} another than that of {b}?",
    "are {s} different in {p}?", "2: has {a} another {p} than {b}?", "{p}: different?", "{p} differs?", "{p} not the same?", "isn't the {p} different?", "the {p} is different, isn't it?", "i think the {p} differs, right?", "would you say {s} have different {p}s?", "two different {p}s?",
    "is {b} unlike {a} in {p}?", "does the {p} change from {a} to {b}?", "{p} mismatch?", "do {s} disagree in {p}?", "are there two {p}s here?", "tell me if the {p} is different",
)  # fmt: skip
ARE_BOTH: Words = (
    "2: are both {w}?", "both {w}?", "{s} are both {w}, [right|aren't they|no|correct|true]?", "2: are {a} and {b} both {w}?", "is each of {o} {w}?", "are both of them {w}?", "would you call both {w}?", "is it {w} in both?", "is {a} {w} and {b} too?",
    "{a} is {w}, and so is {b}, right?", "i guess both are {w}?", "so both are {w}?", "tell me if both are {w}", "both of {o} {w}?", "{w}, both of them?", "is {b} {w} like {a}?", "{w} in {a} and also in {b}?", "2x {w}?", "twice {w}, correct?", "am i right, both {w}?",
    "do {s} both count as {w}?", "check: both {w}", "can you confirm that both are {w}?", "is it true that {s} are both {w}?", "all {w}?", "{a} and {b}: {w} both times?", "are {s} {w}, the one and the other?", "aren't both {w}?", "they're both {w}, or am i wrong?",
)  # fmt: skip
IS_ANY: Words = (
    "is one of {o} {w}?", "is any of {o} {w}?", "is either of {o} {w}?", "is at least one of {o} {w}?", "is there one that is {w}?", "any that is {w}?", "is {a} or {b} {w}, at least one of them?", "do i have one that is {w}?", "is one {w}?", "is there anything {w} in {o}?",
)  # fmt: skip
COMMON: Words = (
    "what's the same?", "what is the same in {o}?", "2: what does {a} have in common with {b}?", "what do {s} share?", "which attributes do {s} share?", "in what are {s} alike?", "how are {s} alike?", "in common?",
    "common attributes?", "what is common to {o}?", "what connects {o}?", "what unites {o}?", "similarities?", "any similarities between {o}?", "where do {s} agree?", "what matches?", "list what {s} have in common", "what is equal in {o}?", "how is {a} similar to {b}?",
    "in what way is {a} like {b}?", "tell me what {s} share", "is there something that {s} share?", "which things match in {o}?", "what stays the same from {a} to {b}?", "name what's alike", "intersection of {a} and {b}?",
    "what didn't change between {o}?", "in which points are {s} the same?", "overlap?", "what binds {o} together?", "how do {s} resemble each other?", "what similarity is there?", "which features are found in {a} as well as in {b}?", "is anything the same in {o}?", "so what is it that {s} share?",
    "{a} and {b}: what's common?", "{a} + {b}, shared?", "what could you say of {a} and of {b} alike?", "what links {a} and {b}?", "find what {s} share", "i want to know what {s} have in common",
)  # fmt: skip
IDENTICAL: Words = (
    "2: are {s} identical?", "identical?", "are {s} exactly the same?", "is {a} exactly like {b}?", "is everything the same?", "are {s} the same in every way?", "is {a} a copy of {b}?", "all the same?", "are {s} alike in all points?", "is {b} the same as {a} in everything?",
    "are {s} equal?", "{a} == {b}?", "same in all respects?", "completely the same?", "do {s} match in everything?", "is it exactly the same one twice?", "are {s} duplicates?", "a perfect match?", "can i throw one of {o} away because they are identical?", "{s} are identical, aren't they?",
)  # fmt: skip
IDENTICAL_BUT: Words = (
    "not counting the {p}, are {s} equal?", "are {s} the same but for the {p}?", "leaving the {p} aside, is everything the same?", "same except {p}?", "if we forget the {p}, are {s} identical?", "besides {p}, all equal?",
    "without the {p}, would {s} be the same?", "is the {p} the only difference?", "other than {p}: same?", "never mind the {p}, are {s} otherwise alike?", "everything the same, {p} aside?",
)  # fmt: skip
VALUES_OF: Words = (
    "2: what are the {p}s of {a} and {b}?", "name the {p} of {a} and of {b}", "{p} of {a} and {b}, in that order?", "2: {p} of {a} vs {b}?", "the {p}s of {o}, one after the other", "which {p} has {a}, and which has {b}?", "list the {p}s in order", "{p} for each please", "tell me the {p} of each",
    "{p} of each?", "both {p}s?", "what {p} does each of {o} have?", "what {p} do {s} have?", "{a}: {p}? {b}: {p}?", "{p}: {a}, {b}", "what is the {p} of {a} and what is that of {b}?", "first {p}, second {p}?", "compare the {p}s of {o}", "compare {o} by {p}", "{p} comparison?", "say the {p} of {a}, then of {b}",
    "how do {s} compare in {p}?", "i need the {p} of {a} and the {p} of {b}", "give me the {p} of {a} followed by that of {b}", "{p}s please: {a} then {b}", "the {p} of the one and of the other?", "read me the {p}s of {o}", "{p}: 1) {a} 2) {b}", "and the {p}s?", "write the {p}s down in order",
)  # fmt: skip
ALREADY_NAMED: Words = (
    "{a} and {b}: {t}", "{a} vs {b}, {t}", "compare {a} and {b}: {t}", "take {a} and {b}. {t}", "looking at {a} and {b}, {t}", "about {a} and {b}: {t}", "{t} i mean {a} and {b}", "{a}, {b}: {t}", "for {a} and {b}: {t}", "[hey|ok|now] {a} and {b}, {t}",
    "i'm thinking of {a} and {b}. {t}", "when you compare {a} to {b}, {t}", "between {a} and {b}: {t}", "{a} + {b}: {t}", "{a} / {b} - {t}", "with {a} next to {b}: {t}",
)  # fmt: skip
"""Around questions that don't name their items, where it isn't clear which are meant."""
LEAD_INS: Words = (
    "and ",
    "but ",
    "ok and ",
    "ok. ",
    "hm ",
    "also ",
    "next: ",
    "another question: ",
    "and tell me: ",
    "alright, ",
    "aha. ",
    "so ",
    "thanks. ",
    "",
)
"""Before a question that follows another one."""

ODD_ONE: Words = (
    "which one is not {w}?", "which of {o} isn't {w}?", "who is not {w}?", "find the one that is not {w}", "all but one are {w}, which is the other?", "one is not like the others, it isn't {w}. which?",
    "which one doesn't fit, as it isn't {w}?", "the one that's not {w}?", "not {w}: which one?",
)  # fmt: skip
ODD_IN: Words = (
    "which one has another {p}?", "which is the odd one out in {p}?", "odd one out by {p}?", "whose {p} is different from the rest?", "one has a different {p}. which?", "two have the same {p}, which one doesn't?", "which does not fit in {p}?",
    "which one stands out by its {p}?",
)  # fmt: skip
MOST: Words = (
    "2: which is the {st}?", "which one is {st}?", "{st} one?", "who is the {st}?", "which of {o} is the {st}?", "the {st} of {o} is which?", "name the {st} one", "out of all, which is {st}?", "tell me which is the {st}", "point to the {st}",
    "{st} of the lot?", "which is the {st} of the three?", "find the {st} one", "who wins, which is {st}?", "can you say which one of {o} is {st}?", "{st} file?", "and the {st}, which one is that?",
)  # fmt: skip
ALL_SAME: Words = (
    "do {s} all have the same {p}?", "all the same {p}?", "is the {p} the same in all of {o}?", "same {p} everywhere?", "one {p} for all?", "does every one have the same {p}?", "are {s} all of one {p}?", "{p} equal in all three?", "do {s} match in {p}?",
)  # fmt: skip

BOTH: Words = ("describe both", "describe them", "describe all of them", "what are these?", "what are they?", "tell me about each of them", "one after the other: what are they?", "tell me what they are", "name them all",
               "list what i sent", "a sentence for each please", "describe each one", "describe them in order", "identify them", "what's all this?", "what did i attach?",
               "go through them one by one", "what have we here? each of them", "what do i have here?", "caption each file", "say something about each", "first this, then that: what are they?", "who is who?", "sum them up one by one",
               "in order please: what are these", "identify each in the order sent", "what's in each of them?", "tell me what's what", "i sent you some files, describe each", "a line for every file", "label them for me in order", "can you go over all of them?",
               "explain each of these", "list the contents in order", "what is the one and what is the other?", "contents?", "describe what you got from me, in order", "each in a sentence")  # fmt: skip
