"""Edits and preferences as types of their own, and rows of any keys."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.data.conversations import Conversations
from anymodal.data.edits import Edits
from anymodal.data.entries import EntryReader
from anymodal.data.preferences import Preferences, RatedReply
from anymodal.data.schemas import Reading, name_of_schema
from anymodal.data.schemas.implicit_prompts import implicit_turns
from anymodal.data.schemas.preferences import both_entries, take_scores
from anymodal.io.message_parts import PartReader
from anymodal.tools.dataset.media_values import map_media
from anymodal.types import Message, Target
from tests.support.entries import SEEN, share, talk, write_entry


@pytest.mark.parametrize(
    "entry",
    [
        {"instruction": "bluer", "source_image": "0.png", "target_image": "1.png"},
        {
            **{"task_type": "edit", "instruction": "bluer"},
            **{"input_images": ["0.png"], "output_image": "1.png"},
        },
        {
            **{"original_prompt": "a lake", "original_image": "0.png", "edit_prompt": "bluer"},
            "edited_image": "1.png",  # InstructPix2Pix
        },
    ],
)
def test_edits(folder: Path, entry: dict[str, Any]) -> None:
    sample = Edits(write_entry(folder, entry))[0]
    assert (sample.instruction, sample.sources) == ("bluer", (SEEN[0],))
    assert (sample.modality, sample.result, sample.caption) == ("image", SEEN[1], "bluer")
    asked, reply = sample.conversation()
    assert reply.content == [Target("image", "bluer", SEEN[1], references=(0,))]
    assert Conversations(write_entry(folder, entry), load_targets=True)[0] == [asked, reply]
    assert Edits(write_entry(folder, {**entry, "caption": "a sea"}))[0].caption == "a sea"
    assert name_of_schema(entry) == "edits"


def test_what_is_no_edit_is_refused(folder: Path) -> None:
    for entry, says in (
        ({"image": "0.png", "caption": "a"}, "the row is no edit"),
        ({"instruction": "a", "output_image": "0.png"}, "the edit has no source"),
        (
            {
                **{"instruction": "a", "edit": "b"},
                **{"source_image": "0.png", "target_image": "1.png"},
            },
            "stands twice, under instruction and edit",
        ),
    ):
        with pytest.raises(ValueError, match=says):
            Edits(write_entry(folder, entry))[0]


def test_a_rejected_reply_may_be_empty(folder: Path) -> None:
    entry = {"messages": talk("what?", "red"), "rejected_messages": talk("what?", "")}
    assert Preferences(write_entry(folder, entry))[0].rejected[-1].text == ""


CHOSEN, REJECTED = Message("assistant", "red"), Message("assistant", "blue")


@pytest.mark.parametrize(
    "entry",
    [
        {"messages": talk("what?", "red"), "rejected_response": "blue"},
        {"messages": talk("what?", "red"), "rejected_messages": talk("what?", "blue")},
        {
            "conversations": share("what?", "x")[:1],
            **{"chosen": share("what?", "red")[1], "rejected": share("what?", "blue")[1]},
        },
        {"instruction": "what?", "input": "", "chosen": "red", "rejected": "blue"},
        {"prompt": "what?", "chosen": "red", "rejected": "blue"},
        {"chosen": talk("what?", "red"), "rejected": talk("what?", "blue")},
        {  # OpenAI
            "input": {"messages": talk("what?", "")[:1], "tools": [], "parallel_tool_calls": True},
            "preferred_output": talk("", "red")[1:],
            "non_preferred_output": talk("", "blue")[1:],
        },
        {
            "prompt": talk("what?", "red")[:1],
            **{"chosen": talk("", "red")[1:], "rejected": talk("", "blue")[1:]},
        },
        {
            **{"ds_name": "RLAIF-V", "question": "what?", "chosen": "red", "rejected": "blue"},
            **{"origin_dataset": "VQAv2", "origin_split": "{}", "idx": "0"},
        },
        {"text": json.dumps({"question": "what?", "chosen": "red", "rejected": "blue"}), "idx": 0},
        {"text": {"question": "what?", "chosen": "red", "rejected": "blue"}},
        {"chosen": "what? red", "rejected": "what? blue"},
        {
            "chosen": "\n\nHuman: what?\n\nAssistant: red",
            "rejected": "\n\nHuman: what?\n\nAssistant: blue",
        },
        {
            **{"prompt": "what?", "prompt_id": "1", "messages": talk("what?", "red")},
            **{"chosen": talk("what?", "red"), "rejected": talk("what?", "blue")},
            **{"score_chosen": 8.5, "score_rejected": 6.0},
        },
        {
            **{"input": "what?", "chosen": "red", "rejected": "blue", "rating": None},
            **{"chosen-rating": 5.0, "rejected-rating": 4.0, "chosen-model": "a"},
        },
        {
            **{"prompt": "\n\nHuman: what?\n\nAssistant:"},
            **{"chosen": "red", "rejected": "blue"},  # HH-RLHF, divided
        },
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "what? "}]}],
            **{"chosen": talk("what?", "red"), "rejected": talk("what?", "blue")},
        },
        {
            "prompt": "what?",
            **{"chosen": json.dumps(talk("what?", "red")), "rejected": "blue"},
        },
        {"messages": talk("what?", "red"), "chosen": "red", "rejected": "blue"},
        {
            "conversations": talk("what?", "red"),
            "rejected_conversations": talk("what?", "blue"),  # POVID
        },
    ],
)
def test_preferences_of_texts(folder: Path, entry: dict[str, Any]) -> None:
    sample = Preferences(write_entry(folder, entry))[0]
    asked = [Message("user", "what?")]
    assert (sample.chosen, sample.rejected) == ([*asked, CHOSEN], [*asked, REJECTED])
    assert sample.common == 1 and name_of_schema(entry) == "preferences"
    with pytest.raises(ValueError, match=r"has a rejected reply \((rejected|non_preferred|text)"):
        Conversations(write_entry(folder, entry))[0]


@pytest.mark.parametrize(
    "text", ['{"role": "admin", "name": "Bo"}', '[{"from": "Bo", "to": "Al"}]', '{"role": "user"}']
)
def test_a_reply_in_json_is_a_text(folder: Path, text: str) -> None:
    """Not turns, whose keys it may have."""
    sample = Preferences(write_entry(folder, {"prompt": "a", "chosen": text, "rejected": "b"}))[0]
    assert sample.chosen[-1] == Message("assistant", text)


SYSTEM = {"role": "system", "content": "be kind"}
BEFORE = talk("who?", "me")


@pytest.mark.parametrize(
    ("prompt", "begins"),
    [("what?", [SYSTEM]), ([SYSTEM, *talk("what?", "")[:1]], []), ("what?", BEFORE)],
)
def test_a_whole_conversation_holds_its_prompt_once(
    folder: Path, prompt: object, begins: list[Any]
) -> None:
    sides = {
        "chosen": [*begins, *talk("what?", "red")],
        "rejected": [*begins, *talk("what?", "blue")],
    }
    sample = Preferences(write_entry(folder, {"prompt": prompt, **sides}))[0]
    told = [(message.role, message.text) for message in sample.chosen]
    context = begins or [SYSTEM]
    assert told == [(t["role"], t["content"]) for t in [*context, *talk("what?", "red")]]
    assert sample.common == len(told) - 1, "nothing of the request is there twice"


def test_a_reply_of_several_turns_is_rejected_from_the_request_on(folder: Path) -> None:
    call = {"function": {"name": "look", "arguments": {}}}
    chosen = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "it is red"},
        {"role": "assistant", "content": "red"},
    ]
    entry = {"prompt": talk("what?", "")[:1], "chosen": chosen, "rejected": talk("", "blue")[1:]}
    sample = Preferences(write_entry(folder, entry))[0]
    assert [message.text for message in sample.rejected] == ["what?", "blue"]
    assert len(sample.chosen) == 4 and sample.common == 1


@pytest.mark.parametrize("marked", [False, True])
def test_both_sides_are_shown_the_media_of_a_list(folder: Path, marked: bool) -> None:
    asked = talk("<image>what?" if marked else "what?", "")[:1]
    replies = {"chosen": talk("", "red")[1:], "rejected": talk("", "blue")[1:]}
    entry = {"images": ["0.png"], "prompt": asked, **replies}
    sample = Preferences(write_entry(folder, entry))[0]
    assert [side[0].media for side in (sample.chosen, sample.rejected)] == [[SEEN[0]]] * 2
    assert sample.common == 1


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"prompt": "who?", "chosen": talk("what?", "a"), "rejected": talk("what?", "b")},
            "doesn't hold the prompt 'who\\?'",
        ),
        (
            {"messages": talk("what?", "c"), "chosen": "a", "rejected": "b"},
            "end with the reply 'c', and the chosen one is another",
        ),
        (
            {"prompt": "what?", "chosen": "a", "rejected": "b", "chosen_score": 3},
            "there is chosen_score and no rejected_score",
        ),
        (
            {
                "prompt": [SYSTEM, *talk("what?", "")[:1]],
                "chosen": [{**SYSTEM, "content": "be short"}, *talk("what?", "a")],
                "rejected": "b",
            },
            "different system messages",
        ),
    ],
)
def test_sides_that_contradict_their_row_are_refused(
    folder: Path, entry: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Preferences(write_entry(folder, entry))[0]


def test_preferences_of_media(folder: Path) -> None:
    entry = {"prompt": "a sea", "chosen_image": "0.png", "rejected_image": "1.png"}
    sample = Preferences(write_entry(folder, entry), load_targets=True)[0]
    assert [m[-1].content for m in (sample.chosen, sample.rejected)] == [
        [Target("image", "a sea", seen)] for seen in SEEN[:2]
    ]
    entry = {"images": ["0.png"], "messages": talk("<image>what?", "red")}
    entry["rejected_images"] = ["1.png"]
    sample = Preferences(write_entry(folder, entry))[0]
    assert sample.common == 0, "the media that are shown differ"
    assert [m[0].media for m in (sample.chosen, sample.rejected)] == [[SEEN[0]], [SEEN[1]]]


@pytest.mark.parametrize(
    ("rated", "scores", "margin"),
    [
        ({}, None, None),
        ({"chosen_score": 3, "rejected_score": "1.5"}, (3, 1.5), 1.5),
        ({"score_chosen": 3, "score_rejected": 1, "margin": 0.5}, (3, 1), 0.5),
        ({"margin": 2}, None, 2),
    ],
)
def test_scores_stand_beside_a_pair(folder: Path, rated: Any, scores: Any, margin: Any) -> None:
    entry = {"prompt": "what?", "chosen": "red", "rejected": "blue", **rated}
    sample = Preferences(write_entry(folder, entry))[0]
    assert (sample.scores, sample.margin) == (scores, margin)


def test_an_implicit_prompt_ends_with_a_whole_word() -> None:
    both = implicit_turns("The sky is blue.", "The sky is black.")
    assert [[turn["content"] for turn in turns] for turns in both] == [
        ["The sky is", "blue."],
        ["The sky is", "black."],
    ]
    with pytest.raises(ValueError, match="there is no prompt"):
        implicit_turns("Yes, it is.", "No.")


@pytest.mark.parametrize("first", [0, 1])
def test_the_better_of_two_labelled_media_is_chosen(folder: Path, first: int) -> None:
    entry = {"caption": "a sea", "image_0": "0.png", "image_1": "1.png"}
    labels = {"label_0": first, "label_1": 1 - first}
    sample = Preferences(write_entry(folder, {**entry, **labels}), load_targets=True)[0]
    chosen, rejected = SEEN[:2][:: 1 if first else -1]
    assert sample.chosen[-1].content == [Target("image", "a sea", chosen)]
    assert sample.rejected[-1].content == [Target("image", "a sea", rejected)]
    with pytest.raises(ValueError, match="neither medium is the better one"):
        Preferences(write_entry(folder, {**entry, "label_0": 0.5}))[0]
    with pytest.raises(ValueError, match="the same, as far as they are read; load_targets: true"):
        Preferences(write_entry(folder, {**entry, **labels}))[0]


RATED = Message("user", "what?"), Message("assistant", "red")


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    "entry",
    [
        {"prompt": "what?", "completion": "red"},
        {"prompt": talk("what?", "red")[:1], "completion": talk("what?", "red")[1:]},
        {"messages": talk("what?", "red")},
        {"conversations": share("what?", "red")},
        {"instruction": "what?", "input": "", "completion": "red"},
    ],
)
def test_rated_replies(folder: Path, entry: dict[str, Any], value: bool) -> None:
    labels = [{"label": value}, {"kto_tag": value}]
    if "completion" in entry:
        labels += [{"label": int(value)}, {"label": str(value)}]  # as in CSV
    for label in labels:
        sample = Preferences(write_entry(folder, {**entry, **label}))[0]
        assert sample == RatedReply([*RATED], value)
        assert name_of_schema({**entry, **label}) == "rated replies"
    with pytest.raises(ValueError, match="rates its reply, .* list label or kto_tag in ignore"):
        Conversations(write_entry(folder, {**entry, **labels[0]}))[0]
    if "completion" not in entry:
        path = write_entry(folder, {**entry, **labels[0]})
        assert Conversations(path, ignore=["label"])[0] == [*RATED]


def test_history_stays_with_a_preference(folder: Path) -> None:
    entry = {"query": "what?", "history": [["hi", "yo"]], "chosen": "red", "rejected": "blue"}
    sample = Preferences(write_entry(folder, entry))[0]
    assert [message.text for message in sample.chosen] == ["hi", "yo", "what?", "red"]
    assert sample.common == 3


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"messages": talk("a", "b")}, "there is no rejected reply"),
        ({"messages": talk("a", "b"), "rejected_response": "b"}, "are the same"),
        ({"messages": talk("a", "b")[:1], "rejected": "b"}, "there is no chosen reply"),
        ({"prompt": "a", "rejected_image": "0.png"}, "rejected_image and no chosen_image"),
        (
            {"messages": talk("a", "b"), "rejected_response": "c", "rejected": "d"},
            "stands twice, under rejected and rejected_response",
        ),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "score": 1}, "'score', which is not read"),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c", "chosen_score": 1, "rejected_score": 2},
            "is rated lower than the rejected one, by 1; exchange them",
        ),
        (
            {
                **{"prompt": "a", "chosen": "b", "rejected": "c"},
                **{"score_chosen": "good", "score_rejected": 1},
            },
            "score_chosen is 'good'; give a number",
        ),
        ({"chosen": "a", "rejected": "b"}, "there is no prompt"),
        ({"prompt": "a", "completion": "b", "label": "good"}, "label is 'good'; give true"),
        ({"prompt": "a", "completion": "", "label": True}, "there is no reply to rate"),
        ({"messages": talk("a", "b"), "kto_tag": "maybe"}, "kto_tag is 'maybe'; give true"),
        ({"prompt": "a", "completion": "b", "label": 1, "score": 1}, "'score', which is not read"),
    ],
)
def test_what_is_no_preference_is_refused(folder: Path, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Preferences(write_entry(folder, entry))[0]


KEYS = [
    *("instruction", "input", "output", "query", "response", "history", "question", "answer"),
    *("label", "class", "text_list", "image_info", "texts", "images", "image", "messages", "tools"),
    *("objects", "chosen", "rejected", "rejected_response", "rejected_messages", "prompt", "edit"),
    *("source_image", "target_image", "chosen_image", "rejected_image", "caption", "conversations"),
    *("completion", "kto_tag", "text", "image_0", "image_1", "label_0", "margin", "chosen_score"),
]
INNER = [
    *("from", "value", "role", "content", "loss", "tool_calls", "function", "name", "arguments"),
    *("ref", "bbox", "bbox_type", "image_name", "matched_text_index", "type", "text", "image"),
    *("path", "bytes", "start", "seconds", "human", "assistant"),
]
WORDS = ["human", "gpt", "tool", "user", "assistant", "0.png", "<image>", "<bbox>", "real", "image"]
WILD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), WILD, min_size=1, max_size=5))
def test_any_row_is_a_sample_or_a_value_error(folder: Path, entry: dict[str, Any]) -> None:
    reader = EntryReader(PartReader(folder=folder), Reading(), True)
    for read in (
        lambda: reader.read(entry),
        lambda: [reader.read(each) for each in both_entries(take_scores(entry)[0])],
        lambda: name_of_schema(entry),
        lambda: map_media(entry, lambda value, kind: value),
    ):
        with contextlib.suppress(ValueError, OSError):
            read()
