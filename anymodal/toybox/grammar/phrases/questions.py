"""Templates of questions about media and scenes, and of their answers."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- questions -----------------------------------------------------------------------------------

DESCRIBE_IT: dict[str, Words] = {
    "any": ("describe it", "describe it please", "can you describe it?", "tell me about it",
            "describe this", "what is it?", "what is this?", "tell me what this is",
            "say what this is", "put it in words", "what have we here?", "please describe this",
            "could you describe this for me?", "describe it in words", "what is that?",
            "explain what this is", "do you know what this is?",
            "give me the details", "sum it up in a sentence", "all about it, please", "what's this?", "tell me all you can",
            "write a caption for it", "what can you say about it?", "everything about it?", "how would you put it?",
            "a short description please", "your description?", "what's it like?", "report what you have", "details please"),
    "image": ("what do you see?", "what is in the picture?", "describe the picture",
              "what does the picture show?", "tell me what you see", "what can you see here?",
              "what is this a picture of?"),
    "audio": ("what do you hear?", "describe the sound", "what makes this sound?",
              "what sound is this?", "tell me what you hear", "what can you hear here?",
              "which sound is that?"),
    "video": ("what do you see?", "what happens in the video?", "describe the video",
              "what does the video show?", "tell me what you see", "what is going on here?",
              "what happens here?"),
    "imu": ("describe the movement", "what do you feel?", "what movement is this?",
            "what movement do you feel?", "tell me what you feel", "what kind of movement is it?",
            "which movement is that?"),
}  # fmt: skip
ASK: dict[str, Words] = {
    "thing": ("what thing is it?", "which thing is that?", "what is the thing?", "what thing is this?",
              "what is it called?", "what kind of thing is it?", "thing?",
              "the object?", "name the object", "what's its name?", "which object is this?", "the name of the thing?", "and the thing?",
              "how is it called?", "tell me which thing it is", "say what thing it is"),
    "color": ("what colour is it?", "what color is it?", "which colour does it have?",
              "which color is it?", "what is its colour?", "tell me its colour",
              "what is the color?", "do you know its colour?", "colour?", "hue?", "which shade is it?", "what hue is it?",
              "and the colour?", "in what colour?", "its shade?", "how is it coloured?", "name the colour", "the colour please",
              "of what colour is it?", "what tint does it have?"),
    "size": ("how big is it?", "is it big or small?", "what size is it?", "is it small or big?",
             "what is its size?", "tell me its size", "is it large or small?", "size?", "and the size?", "the dimensions?",
             "how large is it?", "is it a big one or a little one?", "which size?", "how much room does it take?", "big or small?",
             "the size please", "tell me if it is big or small", "of what size is it?"),
    "motion": ("how does it move?", "where does it go?", "which way does it move?",
               "what is it doing?", "in which direction does it move?", "how is it moving?",
               "what does it do?", "direction?", "movement?", "where is it headed?", "where is it off to?",
               "what is it up to?", "which way?", "and the movement?", "where to?", "what motion is it?", "the direction please",
               "which direction does it take?", "tell me how it moves"),
    "tempo": ("how fast is it?", "is it fast or slow?", "is it slow or fast?", "what pace is it?",
              "what is its pace?", "tell me its pace", "how quick is it?", "speed?",
              "tempo?", "and the speed?", "how fast does it go?", "at what speed?", "fast or slow?",
              "the pace please", "tell me how fast it is", "which tempo does it have?"),
}  # fmt: skip
ASK_STRENGTH: Words = ("how strong is it?", "is it strong or gentle?", "how big was it?",
                       "is it big or small?", "how big is the movement?", "strength?",
                       "how hard was it?", "strong or weak?", "with how much force?", "and the strength?", "how forceful is it?",
                       "the intensity?", "weak or strong?", "was it a strong one or a weak one?", "tell me how strong it is", "how powerful was it?")  # fmt: skip
ANSWER: dict[str, Words] = {
    "thing": ("It is a {v}.", "A {v}.", "That is a {v}.", "I think it is a {v}.", "This is a {v}.",
              "It is a {v}, I think."),
    "color": ("It is {v}.", "{v}.", "The colour is {v}.", "Its colour is {v}.", "It looks {v}.",
              "I think it is {v}.", "It has a {v} colour."),
    "size": ("It is {v}.", "{v}.", "Its size is {v}.", "I think it is {v}.", "It is a {v} one."),
    "motion": ("It is {v}.", "{v}.", "I think it is {v}.", "I would say it is {v}."),
    "tempo": ("It is {v}.", "{v}.", "The pace is {v}.", "I think it is {v}.", "Its pace is {v}."),
}  # fmt: skip
NOT_SAID: Words = ("You did not say.", "I do not know, you did not tell me.",
                   "That I cannot know.", "You did not tell me that.")  # fmt: skip
TELL: Words = ("there is {x}.", "i have {x}.", "i saw {x} today.", "imagine {x}.", "think of {x}.",
               "my friend has {x}.", "in my room there is {x}.", "look, {x}.", "i found {x}.",
               "we saw {x}.", "here is a story about {x}.", "i dreamed of {x}.", "{x} is here.",
               "yesterday i saw {x}.")  # fmt: skip
TELL_BACK: Words = ("what did i tell you about?", "what did i say?", "can you repeat that?",
                    "what is it?", "what am i talking about?", "say it again",
                    "what do you know about it?", "tell me what i said",
                    "describe it to me")  # fmt: skip

BELONG: Words = (
    "do they belong together?", "does this sound belong to this picture?",
    "do these two belong together?", "does the sound fit the picture?", "do they match?",
    "is this the sound of the thing in the picture?", "is that what it sounds like?",
    "does the picture match the sound?", "do the picture and the sound fit?",
    "is it the same thing?", "do these fit together?", "are they the same thing?",
    "tell me if they belong together", "is this sound made by this thing?",
)  # fmt: skip
BELONG_SAID: Words = (  # what is seen and heard first: who has said it finds the verdict in it
    "I see a {a}, I hear a {b}, so {v}.", "It looks like a {a}, it sounds like a {b}, so {v}.",
    "The picture shows a {a}, the sound is a {b}, so {v}.",
)  # fmt: skip
