"""The oracle of free texts, on sentences written by hand."""

from __future__ import annotations

import pytest

from anymodal.toybox.oracles.words import has_word, has_words, says_unknown

UNKNOWN = (
    "I don't know cats.", "I do not know what a castle is.",
    "Sorry, I can only draw twelve things.",
    "I can't do that.", "That is not something I know.", "I’ve never heard of a dragon.",
    "I only know balls, bells and ten other things.", "I am unable to translate.",
    "A cat? That's not one of the things I know.", "No idea, I am afraid.", "That is beyond me.",
    "I know only eight colours, and black is none of them.", "I can’t answer that.",
    "I just draw things, play sounds and make videos.", "A dragon is not in my world.",
    "Unfortunately I have no trees.", "I'm not able to smell anything.",
    "I wasn't taught capitals.",
    "I haven't learned to make music.", "Grey is a colour that I do not have.",
    "That is outside what I can do.", "I couldn't tell you.", "I don't understand the question.",
    "A 3D model? My world has only pictures, sounds and videos.", "Weather is unknown to me.",
    "Nano knows twelve things, and a piano is not among them.", "All I know are twelve things.",
    "I cannot play a guitar, but I can play a flute.", "Sorry, a horse is not in my world.",
    "My videos are two seconds long, I can't make longer ones.", "I have never seen a cat.",
)  # fmt: skip
KNOWN = (
    "Here is a red ball.", "I am glad you like it.", "Of course, a purple duck for you.",
    "A big blue car, as you asked.", "It is a drum.", "Yes, I can draw that.", "No, it is a bell.",
    "Sure! I know bells well.", "I drew a green clock, not a red one.", "Done, it goes left.",
    "The ball does not move, it is still.", "Sorry for the wait, here is your bee.",
    "You can't miss it: a yellow car.", "This is not a duck but a bee.",
    "Hello! What shall I draw?",
    "Only a red ball, as you said.", "Not a photo of a real one: an orange bird.",
    "I am sorry. Shall I try again?", "I am sorry to hear that.", "A bee says buzz.",
    "I can make pictures, sounds and videos.", "Once there was a toy that wanted to be heard.",
)  # fmt: skip


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_reply_says_that_it_does_not_know(text: str) -> None:
    assert says_unknown(text)


@pytest.mark.parametrize("text", KNOWN)
def test_a_reply_says_nothing_of_the_kind(text: str) -> None:
    assert not says_unknown(text)


@pytest.mark.parametrize(
    ("word", "text", "occurs"),
    [
        ("slow", "It moves SLOWLY.", True), ("up", "It goes upwards", True),
        ("up", "once upon a time", False), ("ball", "two balls", True),
        ("ball", "a balloon", False), ("rain", "a rainbow", False), ("big", "The bigger one", True),
        ("no", "It is not.", False), ("no", "No, it is red.", True), ("red", "reddish", False),
        ("bee", "it has been", False), ("car", "a carrot", False), ("1", "11", False),
        ("doesn't move", "It doesn’t  move.", True), ("first", "The first.", True),
        ("bird", "the bird's song", True), ("heart", "a heartbeat", True),
    ],
)  # fmt: skip
def test_words_occur_with_common_endings(word: str, text: str, occurs: bool) -> None:
    assert has_word(text, word) is occurs


def test_every_word_of_one_list_and_one_of_the_other() -> None:
    assert has_words("A red bee that shakes.", ["red", "bee"], ["shake", "shaking"])
    assert not has_words("A red bee.", ["red", "bee"], ["shake", "shaking"])
    assert not has_words("A bee that shakes.", ["red", "bee"], ["shakes"])
    assert has_words("anything")


def test_a_list_of_values_is_no_answer() -> None:
    assert not has_words("I know ball, bell, bird, bee and clock.", ["bee"])
    assert not has_words("I know small and big.", [], ["big"])
    assert not has_words("Slow or fast?", ["fast"])
    assert has_words("The flute is big, the drum is small.", ["flute"], ["big"])
    assert has_words("A bee, not a bell or a ball.", ["bee"])
