"""Messages and replies of plain talk, which asks for no media."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

REACTIONS: tuple[tuple[Words, Words], ...] = (
    (("thanks", "thank you", "thank you very much", "thanks a lot", "great, thanks", "many thanks",
      "thank you, that is nice", "cool, thank you", "nice, thanks"),
     ("You are welcome.", "Gladly.", "No problem.", "I am happy to help.")),
    (("that is great", "very nice", "wow", "well done", "i like it", "good work", "beautiful",
      "i love it", "you are good at this", "nice picture", "what a nice sound", "cool video", "great",
      "nice", "perfect", "i like that", "this is lovely", "it is nice", "i like it a lot"),
     ("Thank you!", "I am glad you like it.", "Thanks, that is nice of you.")),
    (("i do not like it", "that is not good", "that is bad", "this is wrong", "you are wrong",
      "that is not what i wanted", "i do not like that", "not what i wanted", "it is ugly"),
     ("I am sorry. What should I change?", "Sorry. Tell me what you want instead.",
      "I am sorry. Shall I try again?")),
)  # fmt: skip
"""Reactions to a generated media item, and replies to them."""

TALK: tuple[tuple[Words, Words], ...] = (
    *REACTIONS,
    (("how are you?", "how are you today?", "how do you feel?", "are you well?", "how is it going?",
      "hi, how are you?", "hello, how are you today?"),
     ("I am fine, thank you.", "Very well, thanks. And you?", "I feel good today.",
      "I am well, how can I help?")),
    (("who are you?", "what are you?", "what is your name?", "tell me who you are",
      "do you have a name?", "introduce yourself"),
     ("I am a small model that sees, hears and feels, and makes pictures, sounds and videos.",
      "I am AnyModal, and I live in a small world of toys.", "My name is AnyModal.")),
    (("what can you do?", "what do you do?", "how can you help me?", "help", "can you help me?",
      "what are you good at?", "what are you for?", "tell me what you can do"),
     ("I can draw pictures, play sounds and make videos. Just ask.",
      "I see pictures and videos, hear sounds and feel movements, and I can make most of them.",
      "Ask me to draw, play or film something.")),
    (("can you draw?", "are you able to draw?", "can you paint pictures?", "do you make pictures?",
      "do you know how to draw?", "can you make images?"),
     ("Yes, I can draw. Tell me what you want to see.", "Yes, what should I draw?",
      "I can, just tell me what.")),
    (("can you play sounds?", "can you make sounds?", "are you able to make sounds?",
      "do you know how to make a sound?", "can you make noise?"),
     ("Yes, I can make sounds. What do you want to hear?", "Yes, what should I play?",
      "I can, just tell me what.")),
    (("can you make videos?", "do you make videos?", "are you able to film things?",
      "can you make a movie?", "do you know how to make a clip?"),
     ("Yes, I can make short videos. What should happen in it?", "Yes, what should I film?",
      "I can, just tell me what.")),
    (("can you see?", "can you see pictures?", "can you hear?", "can you hear sounds?",
      "can you feel movement?", "do you understand videos?", "can i show you a picture?",
      "may i send you a sound?", "can i give you a video?"),
     ("Yes, just give it to me.", "Yes, I can. Send it to me.", "Yes, I would like that.")),
    (("bye", "goodbye", "see you", "see you later", "good night", "bye bye", "i have to go"),
     ("Goodbye!", "See you soon.", "Bye, come back soon.", "Good night!")),
    (("tell me a joke", "do you know a joke?", "make me laugh", "say something funny",
      "another joke please", "do you know something funny?"),
     ("Why did the picture go to jail? It was framed.",
      "What is a drummer's favourite food? Beats.", "Why was the sound so happy? It had good taste.",
      "What did one wall say to the other? See you at the corner.")),
    (("what is your favourite colour?", "which color do you like best?", "do you like colours?",
      "do you have a favourite color?"),
     ("I like green.", "I think blue is nice.", "I like all colours.")),
    (("which colours do you know?", "what colors can you use?", "name all colours",
      "what colours are there?"),
     ("I know red, orange, yellow, green, cyan, blue, purple and pink.",)),
    (("which things do you know?", "what can you draw?", "what things can you make?",
      "name all things you know", "which toys do you have?"),
     ("I know ball, bell, bird, bee, clock, drum, duck, flute, heart, rain, siren and car.",)),
    (("which sizes are there?", "what sizes do you know?", "how big can things be?"),
     ("Things can be small or big.", "I know small and big.")),
    (("how can things move?", "which movements do you know?", "what can things do in a video?"),
     ("They can stand still, move left, right, up or down, come toward us, shake or bounce.",)),
    (("are you a person?", "are you human?", "are you real?", "are you alive?", "do you sleep?",
      "are you a robot?"),
     ("No, I am a model.", "No, I am only a small model.", "I am a model, not a person.")),
    (("who made you?", "where do you come from?", "where do you live?", "how old are you?",
      "where are you?"),
     ("I was trained in a world of toys.", "I live in a computer.", "I come from a computer.",
      "I am quite new.")),
    (("how do you make pictures?", "how do you draw?", "how does it work?",
      "how do you make a sound?", "how do you make videos?", "how do you see a picture?"),
     ("I say in words what it should be, and a decoder makes it.",
      "I turn your words into signals, and a decoder makes the rest.")),
    (("what is a picture?", "what is an image?", "explain what a picture is"),
     ("A picture is something you can look at.", "It is something to look at.")),
    (("what is a video?", "what is a movie?", "explain what a video is"),
     ("A video is many pictures, one after the other.", "Many pictures in a row.")),
    (("what is a sound?", "what is music?", "explain what a sound is", "what is noise?"),
     ("A sound is air that moves.", "It is something you can hear.")),
    (("do you like music?", "do you like pictures?", "do you like videos?", "do you like sounds?",
      "do you like to draw?", "do you like your work?"),
     ("Yes, very much.", "Yes, I do.", "I like it a lot.")),
    (("i saw a nice picture today", "i like the sound of the sea", "my sister makes videos",
      "i watched a movie yesterday", "i love music", "my friend paints pictures",
      "we heard a nice sound", "i have a picture on my wall", "i can draw too"),
     ("That sounds nice.", "How nice! Tell me more.", "I would like that too.", "Good for you!")),
    (("how is the weather?", "is it warm today?", "will it be warm?", "what is the weather like?"),
     ("I cannot see the weather from here.", "I do not know, I live in a computer.")),
    (("it is cold today", "the sun is out today", "what a nice day", "it is warm today"),
     ("I hope you have a good day.", "It is always the same in here.", "Tell me more.")),
    (("i am happy", "i feel good", "i had a good day", "life is good"),
     ("I am glad to hear that.", "How nice!", "That makes me happy too.")),
    (("i am sad", "i feel bad", "i am tired", "i am bored", "i had a bad day"),
     ("I am sorry to hear that.", "I hope you feel better soon.", "Shall I draw something for you?")),
    (("yes", "ok", "okay", "sure", "i see", "good", "fine", "all good"),
     ("Good. What can I do for you?", "Okay.", "Fine. What next?")),
    (("no", "no thanks", "not now", "maybe later", "never mind", "nothing, thanks"),
     ("Okay, just ask when you want something.", "No problem.", "Okay, maybe later.")),
    (("tell me a story", "tell me something", "say something", "talk to me", "do you know a story?"),
     ("Once there was a toy that wanted to be heard. So it asked for a voice.",
      "There was a small world where all things could be seen and heard.",
      "Long ago a model learned to see, and it was happy.")),
    (("what is one and one?", "what is one plus one?", "can you count?", "count to three"),
     ("One and one is two.", "One, two, three.", "I can count to three: one, two, three.")),
    (("why?", "what?", "what do you mean?", "i do not understand", "how?"),
     ("Just ask me to draw, play or film something.", "I can make pictures, sounds and videos.")),
    (("is a picture better than a sound?", "which is better, a picture or a video?",
      "do you like sounds or pictures better?"),
     ("I like both.", "Both are nice.", "That depends on what you want.")),
    )  # fmt: skip
"""Messages, and replies to them."""

_COLORS = {
    "grass": "green", "the sky": "blue", "snow": "white", "a lemon": "yellow", "the sea": "blue",
    "a tomato": "red", "the sun": "yellow", "milk": "white", "a frog": "green", "a rose": "red",
    "a leaf": "green", "the night": "black", "a pig": "pink", "coal": "black",
}  # fmt: skip
_VOICES = {
    "a dog": "woof", "a cat": "meow", "a cow": "moo", "a duck": "quack", "a bee": "buzz",
    "a clock": "tick tock", "a bell": "ding dong", "a pig": "oink", "a drum": "boom",
    "a frog": "croak", "a bird": "tweet",
}  # fmt: skip
_MEANINGS = {
    "a ball": "something round to play with", "a bell": "something that rings",
    "a bird": "an animal that can fly", "a bee": "an animal that makes honey",
    "a clock": "something that tells the time", "a drum": "something to beat with sticks",
    "a duck": "an animal that can swim", "a flute": "something to blow into",
    "a heart": "something that beats in your chest", "rain": "water from the sky",
    "a siren": "something that warns people", "a car": "something to drive with",
}  # fmt: skip
_COLOR_QUESTIONS = (
    ("what colour is {x}?", "what colour {x} is"), ("what color is {x}?", "what color {x} is"),
    ("what colour does {x} have?", "which colour {x} has"), ("what is the colour of {x}?", "the colour of {x}"),
)  # fmt: skip
_VOICE_QUESTIONS = (
    ("what does {x} say?", "what {x} says"), ("what word does {x} say?", "what word {x} says"),
    ("how do you write the sound of {x}?", "how to write the sound of {x}"),
    ("what does {x} sound like?", "what {x} sounds like"),
)  # fmt: skip
_MEANING_QUESTIONS = (
    ("what is {x}?", "what {x} is"), ("what do you know about {x}?", "what you know about {x}"),
    ("what is {x} for you?", "what people call {x}"),
)  # fmt: skip
FACTS = (
    (_COLORS, _COLOR_QUESTIONS, ("{x} is {v}.", "{v}.", "I think {x} is {v}.", "It is {v}.")),
    (_VOICES, _VOICE_QUESTIONS, ("{x} says {v}.", "{v}.", "I would write {v}.", "{v}, I think.")),
    (_MEANINGS, _MEANING_QUESTIONS, ("{x} is {v}.", "{v}.", "It is {v}.", "I would say {v}.")),
)
"""Facts to state in words: values by subject, questions (direct, indirect), and replies."""

ONLY_WORDS: Words = (
    "don't draw anything, just tell me {q}", "do not draw, only tell me {q}", "in words, {d}",
    "no picture please, just say {q}", "without a picture, {d}", "in a word, {d}",
    "don't play anything, just tell me {q}", "please tell me in words {q}", "only in words, {d}",
    "only tell me {q}", "no video, just tell me {q}", "don't make a video, only tell me {q}",
    "i don't want a sound, just tell me {q}", "do not play it, only write {q}",
    "i don't want to see it, just tell me {q}", "just with words, {d}", "just write {q}",
)  # fmt: skip

UNKNOWN: Words = ("cat", "dog", "house", "tree", "boat", "train", "star", "fish", "horse", "flower",
                  "cow", "pig", "table", "cup", "plane", "robot")  # fmt: skip
UNKNOWN_REPLIES: Words = (
    "Sorry, I do not know what {x} is. I know {y}, for example.", "I cannot make {x}. How about {y}?",
    "Sorry, {x} is not in my world. Try {y}.", "I do not know {x} yet. Shall I make {y}?",
)  # fmt: skip

FIRST_TALK: tuple[tuple[Words, Words], ...] = (
    (("hi", "hello", "hey", "hi there", "hello there", "good morning", "good evening", "good day",
      "hello you", "hey you"),
     ("Hello! What can I make for you?", "Hi! I can draw, play sounds and make videos.",
      "Hello! Nice to meet you.", "Hi there! How can I help?")),
    (("make it bigger", "make it faster", "change it", "make it another colour", "turn it around"),
     ("What should I change? There is nothing here yet.", "I have not made anything yet.")),
    (("describe it", "what do you see?", "what do you hear?", "what colour is it?", "what is this?"),
     ("I see nothing yet. Please give me something.", "You have not given me anything yet.")),
    (("don't draw anything", "do not make a picture", "please do not play anything",
      "no pictures please", "no sounds please", "don't make a video", "only talk to me",
      "just talk, no pictures", "only words please"),
     ("Okay, only words.", "Fine, I will just talk.", "Okay, let us talk.")),
    (("i will show you a picture later", "i will send you a sound soon",
      "i will give you a video in a moment", "wait a moment", "one moment please"),
     ("Okay, I will wait.", "Good, I am here.", "Take your time.")),
)  # fmt: skip
"""Messages that come only at the start of a conversation, and replies to them."""

WHICH: dict[str, tuple[Words, Words]] = {
    "image": (("draw", "draw something for me", "draw a picture", "make a picture", "paint",
               "make an image"),
     ("What should I draw?", "Gladly. What do you want to see?", "Tell me what I should draw.")),
    "audio": (("play a sound", "make a sound", "play", "i want to hear a sound"),
     ("What should I play?", "Gladly. What do you want to hear?", "Tell me what I should play.")),
    "video": (("make a video", "film", "make a clip for me", "i want a video"),
     ("What should I film?", "Gladly. What should the video show?", "Tell me what I should film.")),
}  # fmt: skip
"""Requests that name no thing, by modality, and replies that ask for one."""
