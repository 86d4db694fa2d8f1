"""Plain questions about one of a conversation's media. Symbol: {it} words that name it."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

ASK_OF: dict[str, Words] = {
    "thing": ("what is {it}?", "what thing is {it}?", "what's {it}?", "which thing is {it}?", "what thing is in {it}?", "which toy is {it}?",
              "name the thing in {it}", "{it}: what thing is it?", "what kind of thing is {it}?", "what do you call {it}?"),
    "color": ("what colour is {it}?", "what color is {it}?", "whats the color of {it}?", "which colour does {it} have?", "{it}: what colour?", "what colour was {it}?",
              "the colour of {it}?", "tell me the colour of {it}", "color of {it}?", "what color was {it} again?", "do you remember the colour of {it}?"),
    "size": ("how big is {it}?", "is {it} big or small?", "what size is {it}?", "what is the size of {it}?", "is {it} small or big?", "{it}: big or small?", "how big was {it}?",
             "how large is {it}?", "size of {it}?", "tell me the size of {it}", "was {it} big or small?"),
    "motion": ("how does {it} move?", "which way does {it} go?", "what does {it} do?", "where does {it} go?", "in which direction does {it} move?", "what is {it} doing?",
               "how did {it} move?", "{it}: which movement is it?", "which movement does {it} make?", "what movement is in {it}?"),
    "tempo": ("how fast is {it}?", "is {it} fast or slow?", "is {it} slow or fast?", "what's the speed of {it}?", "how fast was {it}?", "{it}: slow or fast?", "what pace has {it}?",
              "speed of {it}?", "at what tempo is {it}?", "was {it} fast or slow?"),
}  # fmt: skip
DESCRIBE_OF: Words = ("describe {it}", "tell me about {it}", "describe {it} for me", "what can you say about {it}?", "put {it} into words", "describe {it} in a sentence", "a description of {it} please",
                      "say something about {it}", "can you describe {it}?", "what do you know about {it}?", "explain {it}", "{it} in words please", "tell me everything about {it}",
                      "write down what {it} is like", "give me all details of {it}")  # fmt: skip
IS_OF: Words = ("is {it} {v}?", "was {it} {v}?", "is {it} {v} or not?", "would you call {it} {v}?", "am i right that {it} is {v}?", "{it} is {v}, isn't it?", "i think {it} is {v}, right?",
                "tell me if {it} is {v}", "so {it} is {v}?", "{it} is {v}, true?", "can you confirm that {it} is {v}?", "is it true that {it} is {v}?")  # fmt: skip

PARTS: dict[str, tuple[Words, Words]] = {
    "thing": (("what is {it}", "what thing is {it}", "what's {it}", "which thing is {it}"), ("what it is", "the thing", "its name", "what thing it is")),
    "color": (("what colour is {it}", "which colour does {it} have", "what color is {it}"), ("its colour", "the colour", "what colour it is", "color", "in which colour")),
    "size": (("how big is {it}", "what size is {it}", "how large is {it}", "is {it} big or small"), ("its size", "the size", "how big it is", "how big", "size", "how large")),
    "motion": (("how does {it} move", "which way does {it} go", "what does {it} do"), ("its movement", "how it moves", "the movement", "which way it goes", "how it moves")),
    "tempo": (("how fast is {it}", "is {it} fast or slow"), ("its speed", "how fast it is", "the tempo", "how fast", "speed", "its pace")),
}  # fmt: skip
"""Questions about an attribute: direct, and as the object of another verb."""
COMPOUND: dict[int, Words] = {
    2: ("{d1} and {d2}?", "{d1}, and {d2}?", "{d1}? and {d2}?", "{d1} and {o2}?", "tell me {o1} and {o2} of {it}", "{o1} and {o2} of {it}?", "{o1} and {o2}?", "i want to know {o1} and {o2}", "what are {o1} and {o2} of {it}?",
        "{d1}? {o2}?", "say {o1} and {o2}", "can you tell me {o1} and {o2}?", "{d1}, also {o2}?", "please name {o1} and {o2}", "give me {o1} plus {o2} of {it}", "{it}: {o1} and {o2}?", "do you know {o1} and {o2}?",
        "{d1}? {d2}?", "two questions: {d1} and {d2}?", "in words: {o1} and {o2}"),
    3: ("{d1}, {o2} and {o3}?", "{d1}, {d2} and {d3}?", "tell me {o1}, {o2} and {o3} of {it}", "{o1}, {o2} and {o3} of {it}?", "{o1}, {o2}, {o3}?", "i want to know {o1}, {o2} and {o3}", "{d1}? {o2}? {o3}?",
        "{d1}, {o2}, and {d3}?", "say {o1}, {o2} and {o3}", "can you tell me {o1}, {o2} and {o3}?", "please name {o1}, {o2} and {o3}", "{it}: {o1}, {o2} and {o3}?", "{d1} and {o2} and {o3}?", "three things: {o1}, {o2} and {o3}",
        "{d1}? and {o2}, and {o3}?", "list {o1}, {o2} and {o3} of {it}"),
}  # fmt: skip
"""Questions about several attributes at once: {d1} direct, {o1} as an object."""
