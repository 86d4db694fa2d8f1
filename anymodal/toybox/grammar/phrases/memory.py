"""What people tell of themselves, and questions about it and about earlier turns."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words
from anymodal.toybox.scene import COLORS, THINGS

NAMES: Words = ("Ben", "Anna", "Tom", "Lea", "Max", "Mia", "Paul", "Emma", "Noah", "Lisa", "Leo", "Nina", "Sam", "Eva", "Jack", "Zoe", "Omar", "Lina", "Ravi", "Maya",
                "Ken", "Yuki", "Carlos", "Sofia", "Ivan", "Olga", "Ali", "Fatima", "Wei", "Mei", "Finn", "Ida", "Hugo", "Clara", "Oscar", "Alice", "Bob", "Kate", "Peter", "Sarah")  # fmt: skip
PETS: Words = (
    "Rex",
    "Bella",
    "Luna",
    "Milo",
    "Coco",
    "Simba",
    "Daisy",
    "Rocky",
    "Lucky",
    "Nala",
    "Bruno",
    "Kitty",
    "Oreo",
    "Teddy",
    "Ruby",
    "Max",
)
CITIES: Words = (
    "Paris",
    "Rome",
    "Berlin",
    "London",
    "Madrid",
    "Vienna",
    "Oslo",
    "Tokyo",
    "Cairo",
    "Lima",
    "Delhi",
    "Boston",
    "Chicago",
    "Lagos",
    "Athens",
    "Prague",
)
AGES: Words = (
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "twelve",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
)
ANIMALS: Words = ("dog", "cat", "hamster", "parrot", "rabbit", "pony")

FACTS_ABOUT_USER: dict[str, tuple[Words, Words, Words, Words]] = {
    "name": (NAMES, ("my name is {v}", "i'm {v}", "i am {v}", "call me {v}", "hi, i'm {v}", "you can call me {v}", "hello, my name is {v}", "{v} here", "it's {v} speaking"),
             ("what's my name?", "what is my name?", "do you remember my name?", "who am i?", "how am i called?", "tell me my name", "do you know my name?", "say my name"),
             ("Your name is {v}.", "You are {v}.", "It is {v}.")),
    "pet": (PETS, ("my dog is called {v}", "my cat's name is {v}", "i have a dog, {v}", "our pet is called {v}", "my pet is {v}", "we have a cat called {v}"),
            ("what's my pet called?", "what is the name of my pet?", "do you remember my pet's name?", "how is my pet called?", "my pet's name?"),
            ("Your pet is called {v}.", "It is {v}.", "Your pet is {v}.")),
    "city": (CITIES, ("i live in {v}", "i'm from {v}", "greetings from {v}", "i am in {v} now", "we live in {v}", "writing from {v}", "i come from {v}"),
             ("where do i live?", "where am i from?", "which city am i in?", "do you remember where i live?", "what city did i mention?", "my city?"),
             ("You live in {v}.", "In {v}.", "You said {v}.")),
    "age": (AGES, ("i am {v} years old", "i'm {v} years old", "i turned {v}", "i'm {v}", "my age is {v}", "today i turn {v}"),
            ("how old am i?", "what is my age?", "do you remember how old i am?", "my age?", "what age did i tell you?"),
            ("You are {v} years old.", "You are {v}.", "You said {v}.")),
    "color": (COLORS, ("my favourite colour is {v}", "my favorite color is {v}", "i love {v}", "the colour i like best is {v}", "{v} is my favourite colour", "i like {v} most of all colours"),
              ("what's my favourite colour?", "what is my favorite color?", "which colour do i like best?", "do you remember my favourite colour?", "my favourite colour?"),
              ("Your favourite colour is {v}.", "You like {v} best.", "It is {v}.")),
    "thing": (THINGS, ("my favourite toy is a {v}", "my favourite thing is a {v}", "of all toys i like the {v} best", "the {v} is my favourite toy", "i'd always take a {v}"),
              ("what's my favourite toy?", "what is my favorite toy?", "which toy do i like best?", "do you remember my favourite thing?", "my favourite toy?"),
              ("Your favourite toy is a {v}.", "You like the {v} best.", "It is a {v}.")),
}  # fmt: skip
"""By kind of fact: its values, and the forms that tell it, ask for it and answer."""
NOTED: Words = (
    "Nice to know.",
    "I will remember that.",
    "Thanks for telling me.",
    "Good to know.",
    "Okay, I keep that in mind.",
    "Noted.",
    "How nice.",
)
GREETED: Words = (
    "Nice to meet you, {v}.",
    "Hello {v}!",
    "Hi {v}! What can I make for you?",
    "Welcome, {v}.",
)
NOT_TOLD: Words = (
    "You did not tell me.",
    "I do not know, you have not told me.",
    "You have not told me that.",
    "I do not know that, you never said it.",
)
FORGOT: Words = ("I do not remember, our talk is long and I forgot how it began.", "I no longer know that, I forgot the beginning of our talk.",
                 "That was too long ago, I do not remember it.", "Sorry, I only remember the last part of our talk.")  # fmt: skip
FAVOURITE_REQUESTS: dict[str, Words] = {
    "color": ("{v} {x} in my favourite colour", "{v} {x} in my favorite color please", "make {x} in the colour i like", "{v} {x}, in my favourite colour", "can you {v} {x} in the color i like best?"),
    "thing": ("{v} my favourite toy", "{v} my favorite thing please", "{v} the toy i like best", "now {v} my favourite toy", "can you {v} my favourite thing?", "a {n} of my favourite toy"),
}  # fmt: skip

FIRST_MADE: Words = ("what did you make first?", "what was the first thing you made?", "what was the first thing i asked for?", "what did i ask for first?", "what was your first {k}?", "what did you make at the beginning?",
                     "do you remember the first thing you made?", "what did we start with?", "how did we begin?", "which thing came first?",
                     "what was the very first one?", "what was number one?", "the first thing you made was...?", "tell me what you made first", "remind me what you made first", "remind me what i asked for first", "what did i want first?", "what was my first wish?", "what was my first request?", "my very first request, what was it?", "which thing did i ask for at the start?", "what did you make me at the start?", "what did you make to begin with?", "what was the first {k} from you?", "your first {k} was of...?",
                     "what was the first {k} that you made?", "first {k}: what was it?", "the first {k} you made, what was it?", "do you remember your first {k}?", "can you recall the first {k} you made?", "what did our talk begin with?", "with what did we begin?", "what came at the very beginning?", "what was the earliest {k} of yours?", "what was the oldest thing you made?", "what did i get first from you?", "what did you give me first?", "what was made first?", "which one was first?", "who came first?", "what came first?", "first one was?",
                     "first output?", "first item?", "the first of all was what?", "way back at the start, what did you make?", "i forgot what i asked for first", "i forget, what was first?", "please, what you made first?", "what you have made at first?", "describe the first thing you made", "describe your very first {k}", "in the beginning there was...?")  # fmt: skip
LAST_MADE: Words = (
    "what did you make last?", "what was the last thing you made?", "what have you just made?", "what did you just do?", "what is it that you made?", "what did i just ask for?", "what was that last one?",
    "what did you make just now?", "what did you make a moment ago?", "what was your latest {k}?", "what was your last {k}?", "your last {k} was of...?", "what was the last {k} from you?", "your latest work is what?", "what is the newest thing you made?", "what is the latest one?", "the last one was what?", "last one was?", "last output?", "latest output?", "last item?", "tell me what you just made", "tell me what you made last", "remind me what you just made", "remind me what i just asked for",
    "remind me of the last one", "describe what you just made", "describe your last {k}", "describe the last thing you made", "what came last?", "what was made last?", "what did i get last?", "what did you give me last?", "what was my last wish?", "what was my last request?", "what did i order last?", "i forgot what you just made", "sorry, what was that you made?", "what was it you made just now?", "what have i got from you just now?", "and the last thing you made is...?", "please, what you made last?", "what you did just now?", "can you say what you just made?", "sum up what you just made", "what did you make again just now?"
)  # fmt: skip
NOTHING_THERE: Words = (
    "I have not made anything yet.",
    "There is nothing here yet.",
    "Nothing so far. Just ask me for something.",
)
ABOUT_MISSING: Words = ("what is in the {k}?", "describe the {k}", "make the {k} blue", "what colour is the {k}?", "play the {k} again", "what about the {k} i sent?", "tell me about the {k}", "is the {k} big?",
                        "can you change the {k}?", "look at the {k} again", "remember the {k}?", "what did the {k} show?", "the {k} from before, in red", "undo the {k}", "compare the {k} with the other one")  # fmt: skip
MISSING: Words = (
    "A {k}? There is none here.",
    "I do not know which {k} you mean, there is none.",
    "You have not given me a {k}, and I made none.",
)
"""About media that a conversation doesn't have."""
