"""Questions that compare media of a conversation, and requests to describe all of some."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

WHICH_MORE: dict[tuple[str, str], Words] = {
    ("size", "big"): ("bigger", "larger", "the big one", "the bigger one", "the larger one"),
    ("size", "small"): ("smaller", "the small one", "the smaller one", "the tiny one"),
    ("tempo", "fast"): ("faster", "quicker", "the fast one", "the faster one", "the quicker one"),
    ("tempo", "slow"): ("slower", "the slow one", "the slower one"),
}
PITCH_MORE: dict[str, Words] = {
    "small": ("higher", "the higher one", "higher in pitch"),
    "big": ("lower", "deeper", "the deeper one"),
}
STRENGTH_MORE: dict[str, Words] = {
    "small": ("weaker", "gentler", "the gentle one"),
    "big": ("stronger", "the stronger one", "the strong one"),
}
WHICH_ASK: Words = ("which is {m}?", "which one is {m}?", "which of them is {m}?", "which of the two is {m}?", "who is {m}?", "{m}: which one?", "can you tell which is {m}?", "tell me which one is {m}",
                    "what is {m}, the first or the second?", "which one's {m}?", "do you know which one is {m}?", "is the first or the second one {m}?", "which is {m}, the first or the second?", "first or second, which is {m}?",
                    "compare them: which is {m}?", "so which one is {m}?", "which one would you say is {m}?")  # fmt: skip
THAN_ASK: Words = (
    "is {a} {m} than {b}?",
    "is {a} {m} than {b} or not?",
    "tell me if {a} is {m} than {b}",
    "would you say {a} is {m} than {b}?",
    "{a} is {m} than {b}, isn't it?",
    "compared to {b}, is {a} {m}?",
)
SAME_ASK: dict[str, Words] = {
    "thing": ("are they the same thing?", "same thing?", "do both show the same thing?", "is it twice the same thing?", "are both the same toy?", "do they show the same?"),
    "color": ("do they have the same colour?", "same colour?", "are they the same color?", "is the color the same?", "do their colours match?", "same color or not?", "are both in one colour?"),
    "size": ("are they the same size?", "same size?", "do they have the same size?", "are both equally big?", "is one of them bigger or are they the same size?", "is the size the same?"),
    "tempo": ("do they have the same speed?", "same speed?", "are they equally fast?", "same tempo?", "is the pace the same?", "are both at one speed?"),
    "motion": ("do they move the same way?", "same movement?", "do both make the same movement?", "is it the same motion?", "do they move alike?"),
}  # fmt: skip
WHICH_HAS: Words = ("which one is {v}?", "which is {v}?", "which of them is {v}?", "where is {v}?", "which one shows {v}?", "{v}: which one?", "find {v}", "tell me which one is {v}", "can you find {v}?", "is {v} the first or the second?",
                    "which number is {v}?", "point out {v}", "who of them is {v}?", "say which one is {v}")  # fmt: skip
DIFFERENCE: Words = ("what's the difference?", "what is the difference?", "how do they differ?", "what differs?", "what is different between them?", "spot the difference", "compare them", "compare the two", "what changed between them?",
                     "where is the difference?", "in what way are they different?", "can you compare them?", "difference?", "how are they different?")  # fmt: skip

BOTH: Words = ("describe both", "describe them", "describe all of them", "what are these?", "what are they?", "tell me about each of them", "one after the other: what are they?", "tell me what they are", "name them all",
               "list what i sent", "a sentence for each please", "describe each one", "describe them in order", "identify them", "what's all this?", "what did i attach?")  # fmt: skip
