"""Templates of replies that hold media: words first, then the media item."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

# --- replies: words first, then the medium -------------------------------------------------------

_REPLY_ANY: Words = (
    "Here is {x}: ", "Here is {x}: ", "Here it is, {x}: ", "Here you go, {x}: ",
    "Sure, here is {x}: ", "Of course, {x}: ", "Yes, {x}: ", "Okay, {x}: ", "Sure, {x}: ",
    "With pleasure, {x}: ", "This is {x}: ", "There you go, {x}: ", "Good idea, {x}: ",
    "For you, {x}: ", "Okay, this is {x}: ", "Gladly, here is {x}: ", "As you wish, {x}: ",
    "Done, {x}: ", "All done, here is {x}: ", "No problem, {x}: ", "Let me try, {x}: ",
    "One moment, {x}: ", "Of course, here is {x}: ", "I made this for you, {x}: ",
)  # fmt: skip
REPLY: dict[str, Words] = {
    "image": (
        *_REPLY_ANY, "Here is a picture of {x}: ", "This is a picture of {x}: ", "I drew {x}: ",
        "I painted {x}: ", "I made a picture of {x}: ", "I will draw {x}: ", "Let me draw {x}: ",
        "A picture of {x}: ", "My drawing of {x}: ", "Sure, I can draw {x}: ",
        "Your picture of {x}: ", "Here is an image of {x}: ", "Look, {x}: ",
    ),
    "audio": (
        *_REPLY_ANY, "Listen to {x}: ", "I will play {x}: ", "Let me play {x}: ",
        "You will hear {x}: ", "Now you can hear {x}: ", "I am playing {x}: ", "Listen, {x}: ",
        "It sounds like this, {x}: ", "It goes like this, {x}: ", "I made {x}: ",
        "Sure, I can play {x}: ",
    ),
    "video": (
        *_REPLY_ANY, "Here is a video of {x}: ", "This is a video of {x}: ", "I filmed {x}: ",
        "I made a video of {x}: ", "Watch {x}: ", "A video of {x}: ", "A clip of {x}: ",
        "Here is a clip of {x}: ", "Sure, I can film {x}: ", "Your video of {x}: ",
        "Let me film {x}: ", "Look, {x}: ",
    ),
}  # fmt: skip
REPLY_CHANGED: Words = ("Now it is {x}: ", "Here it is now, {x}: ", "Changed, {x}: ",
                        "Now, {x}: ", "Here is the new one, {x}: ")  # fmt: skip
REPLY_NEXT: dict[str, Words] = {
    "image": (" and here is {x}: ", " and this is {x}: ", " and {x}: ",
              " and here is a picture of {x}: ", " then {x}: "),
    "audio": (" and here is {x}: ", " and this is {x}: ", " and {x}: ", " and listen to {x}: ",
              " then {x}: "),
    "video": (" and here is {x}: ", " and this is {x}: ", " and {x}: ",
              " and here is a video of {x}: ", " then {x}: "),
}  # fmt: skip
REPLY_TAIL: Words = (" I hope you like it.", " Do you like it?", " What else can I do?",
                     " Shall I change it?", " Is that what you wanted?")  # fmt: skip
