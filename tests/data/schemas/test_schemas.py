"""Rows of every schema, as their publishers write them, become the samples that they mean."""

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
from anymodal.data.preferences import Preferences
from anymodal.data.schemas import Reading, name_of_schema
from anymodal.data.schemas.preferences import both_entries
from anymodal.io.message_parts import PartReader
from anymodal.tools.dataset.media_values import map_media
from anymodal.types import Message, Target
from tests.support.entries import QUESTION, SEEN, share, talk
from tests.support.tiny import sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, seen in enumerate(SEEN):
        seen.save(folder / f"{number}.png")
    return folder


def write(folder: Path, entry: dict[str, Any]) -> Path:
    (folder / "d.json").write_text(json.dumps([entry]))
    return folder / "d.json"


def read(folder: Path, entry: dict[str, Any], **how: Any) -> list[tuple[str, list[Any]]]:
    return [(m.role, m.content) for m in Conversations(write(folder, entry), **how)[0]]


# ---- One request and its reply -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "schema"),
    [
        ({"instruction": "what?", "input": "", "output": "red", "images": ["0.png"]}, "Alpaca"),
        ({"instruction": "what?", "output": "red", "image": "0.png"}, "Alpaca"),
        ({"query": "<image>what?", "response": "red", "images": ["0.png"]}, "query and response"),
        ({"query": "what?", "response": "red", "image": "0.png", "history": []}, "query and resp"),
        ({"question": "what?", "answer": "red", "image": "0.png"}, "question and answer"),
        (
            {"images": ["0.png"], "conversation": [{"human": "<image>what?", "assistant": "red"}]},
            "conversations",
        ),
    ],
)
def test_a_question_about_a_picture(folder: Path, entry: dict[str, Any], schema: str) -> None:
    assert read(folder, entry) == [("user", [SEEN[0], "what?"]), QUESTION]
    assert str(name_of_schema(entry)).startswith(schema)


def test_input_and_history(folder: Path) -> None:
    entry = {"instruction": "add", "input": "1, 2", "output": 3, "system": "be brief"}
    entry["history"] = [["hi", "yo"]]
    assert read(folder, entry) == [
        ("system", ["be brief"]),
        ("user", ["hi"]),
        ("assistant", ["yo"]),
        ("user", ["add\n1, 2"]),
        ("assistant", ["3"]),
    ]


# ---- Turns -------------------------------------------------------------------------------------

CALL = {"name": "aqi", "arguments": {"city": "Rome"}}


def test_turns_of_tools_are_texts_of_both_sides(folder: Path) -> None:
    call, result = json.dumps(CALL), json.dumps({"aqi": 10})
    swift = [
        {"role": "user", "content": "air?"},
        {"role": "tool_call", "content": call},
        {"role": "tool_call", "content": call},
        {"role": "tool_response", "content": result},
        {"role": "tool", "content": result},
        {"role": "assistant", "content": "good"},
    ]
    expected = [
        ("system", ["[{}]"]),
        ("user", ["air?"]),
        ("assistant", [f"{call}\n{call}"]),
        ("user", [f"{result}\n{result}"]),
        ("assistant", ["good"]),
    ]
    assert read(folder, {"messages": swift, "tools": "[{}]"}) == expected
    function = {"name": "aqi", "arguments": json.dumps(CALL["arguments"])}
    calls = [{"id": n, "type": "function", "function": function} for n in "ab"]
    openai = [
        {"role": "user", "content": "air?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": result},
        {"role": "tool", "tool_call_id": "b", "content": result},
        {"role": "assistant", "content": "good"},
    ]
    assert read(folder, {"messages": openai, "tools": [{}]}) == expected
    factory = [
        {"from": "human", "value": "air?"},
        {"from": "function_call", "value": call},
        {"from": "observation", "value": result},
        {"from": "gpt", "value": "good"},
    ]
    roles = [role for role, _ in read(folder, {"conversations": factory, "system": "s"})]
    assert roles == ["system", "user", "assistant", "user", "assistant"]


def test_turns_with_loss_false_are_not_learned(folder: Path) -> None:
    turns: list[dict[str, Any]] = [*talk("a", "b"), *talk("c", "<image>"), *talk("d", "e")]
    turns[1]["loss"], turns[3]["loss"], turns[5]["loss"] = False, 0, 1
    entry = {"messages": turns, "image_captions": ["red"]}
    messages = Conversations(write(folder, entry))[0]
    assert [message.supervised for message in messages] == [True, False, True, False, True, True]
    assert messages[3].content == [Target("image", "")], "without a caption to align to"


# ---- Regions -----------------------------------------------------------------------------------


def test_regions_are_written_into_the_texts(folder: Path) -> None:
    entry: dict[str, Any] = {
        "images": ["0.png", "1.png"],
        "messages": talk("<image><image>Where is the <ref-object>?", "<bbox> and <bbox>"),
        "objects": {"ref": ["dog"], "bbox": [[0, 2, 8, 4], [4, 4]]},
    }
    user, reply = read(folder, entry)
    assert user[1][2] == "Where is the dog?" and reply[1] == ["[0, 250, 1000, 500] and [500, 500]"]
    entry["objects"] |= {"bbox": [[0, 0.25, 1, 0.5], [0.5, 0.5]], "bbox_type": "norm1"}
    assert read(folder, entry)[1] == reply
    entry["objects"] |= {"bbox": [[0, 2, 8, 4], [4, 4]], "bbox_type": "real", "image_id": [1, 0]}
    assert read(folder, entry)[1] == reply
    for wrong, says in (
        ({"bbox": [[0, 2, 8, 4]]}, "2 <bbox> in the turns and 1 in objects"),
        ({"bbox": [[0, 2, 80, 4], [4, 4]]}, "leads out of the medium"),
        ({"bbox": [[0, 2, 8], [4, 4]]}, "not a point of two numbers or a box of four"),
        ({"bbox": [[0, "a"], [4, 4]]}, "its coordinates are numbers"),
        ({"image_id": [2, 0]}, "is of medium 2, and 2 are shown"),
        ({"bbox_type": "norm"}, "bbox_type is 'norm'; known are real, norm1, norm1000"),
        ({"color": 1}, "objects with the key 'color'"),
    ):
        with pytest.raises(ValueError, match=says):
            read(folder, {**entry, "objects": {**entry["objects"], **wrong}})


# ---- Documents ---------------------------------------------------------------------------------


def test_documents_with_matched_media(folder: Path) -> None:
    """As MMC4 has them."""
    infos = [
        {"image_name": "1.png", "matched_text_index": 2, "matched_sim": 0.3, "raw_url": "x"},
        {"image_name": "0.png", "matched_text_index": 1, "face_detections": None},
    ]
    entry = {
        **{"text_list": ["A.", "B.", "C.", "D."], "image_info": infos, "url": "x"},
        **{"similarity_matrix": [[0.1]], "could_have_url_duplicate": 0},
    }
    assert read(folder, entry) == [
        ("user", ["A.", SEEN[0]]),
        ("assistant", ["B."]),
        ("user", [SEEN[1]]),
        ("assistant", ["C.\nD."]),
    ]
    made = read(folder, entry, make=True)
    assert made == [
        ("user", ["A.\nB."]),
        ("assistant", [Target("image", "B.")]),
        ("user", ["C."]),
        ("assistant", [Target("image", "C.")]),
    ]
    made = read(folder, entry, make=True, load_targets=True)
    assert made[1][1] == [Target("image", "B.", SEEN[0])]
    infos[0]["matched_text_index"] = 4
    with pytest.raises(ValueError, match="matched_text_index is 4; there are 4 texts"):
        read(folder, entry)


def test_documents_in_two_columns(folder: Path) -> None:
    """As OBELICS has them; media at the end, which no text follows, teach nothing."""
    entry = {
        "texts": ["A.", None, "B.", "C.", None],
        "images": [None, "0.png", None, None, "1.png"],
        **{"metadata": "[{}]", "general_metadata": "{}"},
    }
    assert read(folder, entry) == [
        ("user", ["A.", SEEN[0]]),
        ("assistant", ["B.\nC."]),
    ]
    for wrong, says in (
        ({"texts": ["A."]}, "1 texts and 5 images"),
        ({"texts": ["A.", "B.", "C.", "D.", None]}, "a text and a medium, or neither"),
        ({"texts": ["A.", "B."], "images": [None, None]}, "no text follows a medium"),
    ):
        with pytest.raises(ValueError, match=says):
            read(folder, {**entry, **wrong})
    with pytest.raises(ValueError, match="tells no captions of its media"):
        read(folder, entry, make=True)


# ---- Labels ------------------------------------------------------------------------------------


def test_labels_are_names(folder: Path) -> None:
    entry = {"image": "0.png", "label": 1}
    asked = "What is this? Answer with one of: cat, dog."
    expected = [("user", [SEEN[0], asked]), ("assistant", ["dog"])]
    assert read(folder, entry, labels=["cat", "dog"]) == expected
    assert read(folder, {**entry, "label": "1"}, labels=["cat", "dog"]) == expected
    assert read(folder, {**entry, "label": "dog"}, labels=["cat", "dog"]) == expected
    assert read(folder, {**entry, "label": "d"}, labels={"c": "cat", "d": "dog"}) == expected
    plain = read(folder, {"image": "0.png", "class": "dog"})
    assert plain == [("user", [SEEN[0], "What is this?"]), ("assistant", ["dog"])]
    asked = "Is it one of {labels}?"
    (_, content), _ = read(folder, entry, labels=["cat", "dog"], ask=asked)
    assert content[1] == "Is it one of cat, dog?"
    made = read(folder, entry, labels=["cat", "dog"], make=True, ask="Draw a")
    assert made == [("user", ["Draw a dog"]), ("assistant", [Target("image", "dog")])]


@pytest.mark.parametrize(
    ("label", "labels", "says"),
    [
        (2, ["cat", "dog"], "the label 2 is none of cat, dog"),
        ("ant", ["cat", "dog"], "the label 'ant' is none of cat, dog"),
        (-1, ["cat"], "the label -1 is none of cat"),
        ("x", {"c": "cat"}, "the label 'x' is none of labels: c"),
        (0, None, "give them their names"),
        (None, None, "the label is None"),
        (0.5, ["cat"], "the label is 0.5"),
        ([0], ["cat"], r"the label is \[0\]"),
    ],
)
def test_other_labels_are_refused(folder: Path, label: Any, labels: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(folder, {"image": "0.png", "label": label}, labels=labels)


def test_a_caption_beside_a_label_is_not_replaced(folder: Path) -> None:
    entry = {"image": "0.png", "label": "cat", "caption": "a cat sits"}
    with pytest.raises(ValueError, match="'label', which is not read"):
        read(folder, entry)
    assert read(folder, entry, ignore=["label"])[1][1] == ["a cat sits"]


# ---- Edits and preferences ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"instruction": "bluer", "source_image": "0.png", "target_image": "1.png"},
        {
            **{"task_type": "edit", "instruction": "bluer"},
            **{"input_images": ["0.png"], "output_image": "1.png"},
        },
        {"original_image": "0.png", "edit_prompt": "bluer", "edited_image": "1.png"},
    ],
)
def test_edits(folder: Path, entry: dict[str, Any]) -> None:
    sample = Edits(write(folder, entry))[0]
    assert (sample.instruction, sample.sources) == ("bluer", (SEEN[0],))
    assert (sample.modality, sample.result, sample.caption) == ("image", SEEN[1], "bluer")
    asked, reply = sample.conversation()
    assert Conversations(write(folder, entry), load_targets=True)[0] == [asked, reply]
    assert Edits(write(folder, {**entry, "caption": "a sea"}))[0].caption == "a sea"
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
            Edits(write(folder, entry))[0]


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
        {
            "prompt": talk("what?", "red")[:1],
            **{"chosen": talk("", "red")[1:], "rejected": talk("", "blue")[1:]},
        },
    ],
)
def test_preferences_of_texts(folder: Path, entry: dict[str, Any]) -> None:
    sample = Preferences(write(folder, entry))[0]
    asked = [Message("user", "what?")]
    assert (sample.chosen, sample.rejected) == ([*asked, CHOSEN], [*asked, REJECTED])
    assert sample.common == 1 and name_of_schema(entry) == "preferences"
    with pytest.raises(ValueError, match=r"has a rejected reply \(rejected"):
        Conversations(write(folder, entry))[0]


def test_preferences_of_media(folder: Path) -> None:
    entry = {"prompt": "a sea", "chosen_image": "0.png", "rejected_image": "1.png"}
    sample = Preferences(write(folder, entry), load_targets=True)[0]
    assert [m[-1].content for m in (sample.chosen, sample.rejected)] == [
        [Target("image", "a sea", seen)] for seen in SEEN[:2]
    ]
    entry = {"images": ["0.png"], "messages": talk("<image>what?", "red")}
    entry["rejected_images"] = ["1.png"]
    sample = Preferences(write(folder, entry))[0]
    assert sample.common == 0, "the media that are shown differ"
    assert [m[0].media for m in (sample.chosen, sample.rejected)] == [[SEEN[0]], [SEEN[1]]]


def test_history_stays_with_a_preference(folder: Path) -> None:
    entry = {"query": "what?", "history": [["hi", "yo"]], "chosen": "red", "rejected": "blue"}
    sample = Preferences(write(folder, entry))[0]
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
    ],
)
def test_what_is_no_preference_is_refused(folder: Path, entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Preferences(write(folder, entry))[0]


def test_rows_of_recordings_are_told(folder: Path) -> None:
    entry = {"image": "0.png", "start": 0, "end": 3, "label": "walk"}
    assert name_of_schema(entry) == "labelled recordings"
    with pytest.raises(ValueError, match="Recordings cuts windows out of them"):
        read(folder, entry)


KEYS = [
    *("instruction", "input", "output", "query", "response", "history", "question", "answer"),
    *("label", "class", "text_list", "image_info", "texts", "images", "image", "messages", "tools"),
    *("objects", "chosen", "rejected", "rejected_response", "rejected_messages", "prompt", "edit"),
    *("source_image", "target_image", "chosen_image", "rejected_image", "caption", "conversations"),
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
        lambda: [reader.read(each) for each in both_entries(entry)],
        lambda: name_of_schema(entry),
        lambda: map_media(entry, lambda value, kind: value),
    ):
        with contextlib.suppress(ValueError, OSError):
            read()


# ---- Parts of long files -----------------------------------------------------------------------


def test_a_part_of_a_file(folder: Path) -> None:
    wave = sound(seconds=1.0)
    wave.save(folder / "long.wav")
    part = {"path": "long.wav", "start": 0.25, "seconds": 0.5}
    ((_, content), _) = read(folder, {"audio": part, "caption": "a tone"}, ask="?")
    assert content[0] == wave.cut(0.25, 0.5) and content[0].duration == pytest.approx(0.5)
    for wrong, says in (
        ({"start": 0.75}, "a part from 0.75 s on that lasts 0.5 s isn't in Audio"),
        ({"start": -1}, "isn't in Audio"),
        ({"seconds": 0}, "isn't in Audio"),
        ({"seconds": None}, "seconds is None; a part of a medium has start and seconds"),
    ):
        with pytest.raises(ValueError, match=says):
            read(folder, {"audio": {**part, **wrong}, "caption": "a tone"})
    with pytest.raises(ValueError, match="image has no duration"):
        read(folder, {"image": {**part, "path": "0.png"}, "caption": "a"})
