"""Entries in the shapes that data sets are published in."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anymodal.media import Image, Video
from anymodal.types import Message, Target
from tests.support.entries import QUESTION, SEEN, read, share, talk
from tests.support.tiny import sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, seen in enumerate(SEEN):
        seen.save(folder / f"{number}.png")
    sound(seconds=0.1).save(folder / "a.wav")
    Video(SEEN[0].pixels[None].repeat(2, 0), 4).save(folder / "v.mp4")
    return folder


# ---- Published shapes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "1", "image": "0.png", "conversations": share("<image>\nwhat?", "red")},  # LLaVA
        {"id": 1, "image": "0.png", "conversations": share("<image>\nwhat?", "red"), "model": ""},
        {"image": "0.png", "conversations": share("what?", "red")},  # no mark: shown first
        {"images": ["0.png"], "conversations": share("<image>what?", "red")},  # LLaMA-Factory
        {"images": ["0.png"], "messages": talk("<image>what?", "red"), "tools": "", "videos": None},
        {"images": "0.png", "messages": talk("<image>what?", "red")},
        {"images": [{"path": "0.png", "bytes": None}], "messages": talk("<image>what?", "red")},
        {
            "image": ["0.png"],
            "conversations": share("<image>\nwhat?", "red"),
            "width": 8,
            "height": 8,
        },
        {"input_image": ["0.png"], "conversations": share("<image>\nwhat?", "red")},  # NExT-GPT
        {"image_name": "0.png", "conversation": share("what?", "red")},
        {
            **{"id": 3, "image_name": "0.png", "caption": "red"},  # NExT-GPT's copy of LLaVA's
            "conversations": share("<image>\nwhat?", "red"),
        },
        {  # TRL
            "messages": talk(
                [
                    {"index": 0, "text": None, "type": "image"},
                    {"index": None, "text": "what?", "type": "text"},
                ],
                [{"index": None, "text": "red", "type": "text"}],
            ),
            "images": ["0.png"],
        },
        {  # OpenAI, Qwen-VL
            "messages": talk(
                [{"type": "image", "image": "0.png"}, {"type": "text", "text": "what?"}], "red"
            )
        },
        {"messages": talk([{"type": "image_url", "image_url": {"url": "0.png"}}, "what?"], "red")},
        {
            "messages": [{"from": "user", "value": "<image>what?"}, talk("", "red")[1]],
            "image": "0.png",
        },
    ],
)
def test_a_question_about_a_picture(folder: Path, entry: dict[str, Any]) -> None:
    assert read(folder, entry) == [("user", [SEEN[0], "what?"]), QUESTION]


def test_media_of_several_kinds_and_numbers(folder: Path) -> None:
    entry: dict[str, Any] = {
        "images": ["0.png", "1.png"],
        "audios": ["a.wav"],
        "videos": ["v.mp4"],
        "messages": talk("<audio><image>then<video>and\n<image>\nwhat?", "red"),
    }
    (_, asked), _ = read(folder, entry)
    kinds = [part if isinstance(part, str) else part.kind for part in asked]
    assert kinds == ["audio", "image", "then", "video", "and", "image", "what?"]
    assert [part for part in asked if isinstance(part, Image)] == SEEN[:2]
    film = {"video": "v.mp4", "data_source": "x", "conversations": share("<video>\nwhat?", "red")}
    assert read(folder, film)[0][1][0].kind == "video"
    heard = {"audio": "a.wav", "conversations": share("<audio>what?", "red")}
    assert read(folder, heard)[0][1][0].kind == "audio"


@pytest.mark.parametrize("asked", ["<image>\nwhat?", "what?\n<image>"])
def test_llava_s_mark_for_any_file(folder: Path, asked: str) -> None:
    """As LLaVA-Video's: there `<image>` stands for the film."""
    entry = {"id": "1", "video": "v.mp4", "data_source": "x", "conversations": share(asked, "red")}
    (_, content), _ = read(folder, entry)
    assert sorted(getattr(part, "kind", part) for part in content) == ["video", "what?"]


@pytest.mark.parametrize("key", ["system", "system_prompt"])
def test_a_system_key_is_said_first(folder: Path, key: str) -> None:
    entry = {key: "be brief", "conversations": share("hi", "yo")}
    assert read(folder, entry) == [
        ("system", ["be brief"]),
        ("user", ["hi"]),
        ("assistant", ["yo"]),
    ]
    assert len(read(folder, {**entry, key: ""})) == 2
    twice = [{"from": "system", "value": "be kind"}, *share("hi", "yo")]
    with pytest.raises(ValueError, match=f"stands twice, under '{key}'"):
        read(folder, {**entry, "conversations": twice})


@pytest.mark.parametrize("said", ["use the <image> tag", "<image>", "<video></video> and <audio>"])
def test_a_mark_that_a_reply_quotes_is_text(folder: Path, said: str) -> None:
    for entry in (
        {"image": "0.png", "conversations": share("<image>\nwhich tag?", said)},
        {"conversations": share("which tag?", said)},
        {"images": ["0.png"], "messages": talk("<image>which tag?", said)},
    ):
        assert read(folder, entry)[1] == ("assistant", [said])


def test_t2m_and_mosit_as_they_are_before_they_are_prepared(folder: Path) -> None:
    told = {"input_modality": "text", "output_modality": "text"}
    asked, said = share("play it", "Here.")
    said = {**said, "caption": "a bell", "output_modality": "audio"}  # type: ignore[assignment]
    raw = {
        **{"image_name": "t2x0001.wav", "output_modality": "audio"},
        "conversation": [{**asked, **told}, said],
    }
    assert read(folder, raw)[1] == ("assistant", ["Here.", Target("audio", "a bell")])
    prepared = {
        **{"audio_captions": ["a bell"], "audio_caption_embeddings": ["1.wav.npy"]},
        **{"conversations": [asked, {**said, "value": "Here. <audio>"}], "source_data": {"x": 1}},
    }
    assert read(folder, prepared)[1] == ("assistant", ["Here.", Target("audio", "a bell")])
    mosit = {
        "image_list": [
            {"image_name": f"{n}.png", "data_source": "x", "caption": f"c{n}"} for n in range(2)
        ],
        **{"video_list": [], "audio_list": []},
        "conversation": share(
            "Like <Image>0.png</Image>, but red",
            "Look: <Image>1.png</Image>",
            "And <Image>1.png</Image>?",
            "Yes",
        ),
    }
    assert read(folder, mosit, load_targets=True) == [
        ("user", ["Like", SEEN[0], ", but red"]),
        ("assistant", ["Look:", Target("image", "c1", SEEN[1])]),
        ("user", ["And", SEEN[1], "?"]),
        ("assistant", ["Yes"]),
    ]
    other = share("Like <Image>0.png</Image>", "<Image>a red cat</Image>")
    with pytest.raises(ValueError, match="image 'a red cat' is none of 'image_list'"):
        read(folder, {**mosit, "conversation": other})
    with pytest.raises(ValueError, match="1 <image> and 2 of it under 'image_list'"):
        read(folder, {**mosit, "conversation": share("<Image>0.png</Image>?", "No")})
    with pytest.raises(ValueError, match="0 <image> and 2 of it under 'image_list'"):
        read(folder, {**mosit, "conversation": share("Hi", "Hello")})


def test_written_messages_are_entries(folder: Path) -> None:
    messages = [
        Message("system", "be kind"),
        Message("user", [SEEN[0], "louder", sound(seconds=0.01)]),
        Message("assistant", ["Here: ", Target("image", "a ball", SEEN[1]), SEEN[2]]),
    ]
    entry = {"messages": [message.to_dict() for message in messages]}
    assert read(folder, entry) == [(m.role, m.content) for m in messages]
    target = messages[2].to_dict()["content"][1]
    with pytest.raises(ValueError, match="a target stands in a reply"):
        read(folder, {"messages": talk([target], "hm")})


def test_captions_in_every_shape(folder: Path) -> None:
    for key in ("image", "images", "image_name", "input_image"):
        for file in ("0.png", ["0.png"]):
            entry = {"caption": "a ball", key: file, "id": 3, "image_id": 4}
            assert read(folder, entry, ask="What?") == [
                ("user", [SEEN[0], "What?"]),
                ("assistant", ["a ball"]),
            ]


# ---- Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"conversations": share("<image>\nwhat?", "red")},
            "1 <image> in what is asked and 0 files of image",
        ),
        ({"messages": talk("<video>what?", "red"), "images": []}, "1 <video> .* 0 files of video"),
        ({"image": "", "conversations": share("<image>\nwhat?", "red")}, "1 <image> .* 0 files"),
        (
            {"image": "0.png", "conversations": share("<image><audio>what?", "red")},
            "1 <audio> .* 0",
        ),
        (
            {"image": ["0.png", "0.png"], "conversations": share("<image>compare", "red")},
            "1 <image> in what is asked and 2 files of image under 'image'",
        ),
        (
            {"images": ["0.png", "1.png"], "messages": talk("compare", "red")},
            "0 <image> .* 2 files",
        ),
        (
            {"image": "0.png", "conversations": share("<image>", "a", "<image>", "b")},
            "2 <image> .* 1 files",
        ),
        ({"image": "0.png", "conversations": share("<image>a", "b")[1:]}, "0 <image> .* 1 files"),
        (
            {"video": "v.mp4", "image": "0.png", "conversations": share("<image><image>?", "a")},
            "2 <image> .* 1 files of image",
        ),
        ({"video": "v.mp4", "conversations": share("a <image> b", "c")}, "1 <image> .* 0 files"),
        (
            {"output_image": "0.png", "conversations": share("draw", "Sure.")},
            "0 <image> in the replies and 1 named to be made",
        ),
        (
            {"image_captions": ["a", "b"], "conversations": share("draw", "<image>")},
            "1 <image> in the replies and 2 named",
        ),
        (
            {"image_captions": "a", "conversations": share("draw", "<image>", "more", "<image>")},
            "2 <image> in the replies and 1 named",
        ),
        (
            {"image_captions": "a", "conversations": share("draw <image>", "<image>")},
            "1 <image> in what is asked and 0 files",
        ),
        (
            {
                "output_image": ["0.png", "1.png"],
                "image_captions": ["a"],
                "conversations": share("draw", "<image><image>"),
            },
            "2 files .* and 1 captions",
        ),
        (
            {"image": "0.png", "images": ["0.png"], "conversations": share("<image>", "a")},
            "named twice, under 'image' and 'images'",
        ),
        (
            {"image": "0.png", "image_list": [{}], "conversations": share("<image>", "a")},
            "named twice",
        ),
        (
            {"image_list": ["0.png"], "conversations": share("<image>", "a")},
            "holds '0.png', not an",
        ),
        (
            {"image_list": [{"image_nme": "0.png"}], "conversations": share("<image>", "a")},
            "'image_list' has an object with the key 'image_nme'.*'image_name'",
        ),
        (
            {"imges": ["0.png"], "conversations": share("what?", "red")},
            "a conversation with the key 'imges', which is not read; did you mean 'images'",
        ),
        ({"img": "0.png", "conversations": share("what?", "red")}, "'img', which is not read"),
        ({"media": ["0.png"], "messages": talk("what?", "red")}, "'media', which is not read"),
        ({"objects": {"bbox": [[1, 2]]}, "messages": talk("a", "b")}, "0 <bbox> .* and 1 in objec"),
        ({"rejected_response": "c", "messages": talk("a", "b")}, "Preferences does"),
        ({"num_frames": 8, "conversations": share("a", "b")}, "'num_frames', which is not read"),
        (
            {"conversations": [{"human": "a", "says": "b"}]},
            "turn 1 comes with the key 'says'",
        ),
        ({"conversations": [{**share("a", "b")[1], "loss": "no"}]}, "a turn's loss is 'no'"),
        ({"conversations": [{**share("a", "b")[1], "loss": False}]}, "has no reply to learn from"),
        ({"conversations": [{"from": "gpt", "response": "a"}]}, "with the key 'response'"),
        ({"conversations": [{"from": "function_cal", "value": "a"}]}, "from 'function_cal'"),
        ({"conversations": [{"from": "Human", "value": "a"}]}, "'Human'; did you mean 'human'"),
        ({"conversations": [{"from": ["human"], "value": "a"}]}, r"from \['human'\]"),
        (
            {"conversations": [{"from": "human", "role": "user", "value": "a"}]},
            "both 'from' and 'r",
        ),
        ({"conversations": share("a", "b"), "messages": talk("a", "b")}, "the turns stand twice"),
        ({"conversations": share("a", "b")[:1]}, "has no reply to learn from"),
        ({"conversations": []}, "the conversation is empty"),
        ({"conversations": share("a", "b"), "caption": "c"}, "is none of its replies"),
        ({"conversations": [{"from": "human", "value": True}]}, "a turn's value is True"),
        ({"conversations": [{"from": "human", "value": {"a": 1}}]}, "a turn's value is {'a': 1}"),
        ({"system": ["a"], "conversations": share("a", "b")}, r"system is \['a'\]"),
        ({"image": 3, "conversations": share("<image>", "b")}, "the file of 'image' is 3"),
        ({"images": [["0.png"]], "messages": talk("<image>", "b")}, r"'image' is \['0.png'\]"),
        (
            {"images": [{"size": "0.png"}], "messages": talk("<image>", "b")},
            "a part that is image has no image",
        ),
        ({"image": "../0.png", "conversations": share("<image>", "b")}, "lies outside"),
        ({"image": "/etc/passwd", "conversations": share("<image>", "b")}, "lies outside"),
        ({"messages": talk([{"type": "image", "image": "/etc/passwd"}], "b")}, "lies outside"),
        ({"messages": talk([{"type": "image", "image": "file:///etc/passwd"}], "b")}, "outside"),
        (
            {"image": "https://a.example/0.png", "conversations": share("<image>", "b")},
            "remote URL",
        ),
        ({"image": "a.wav", "conversations": share("<image>", "b")}, "a.wav holds WAV"),
        ({"messages": talk([{"type": "imag"}], "b")}, "no part has the type 'imag'"),
        ({"messages": talk([3], "b")}, "not int"),
        (
            {"conversations": share("Picture 1: <img>0.png</img>\nwhat?", "b")},
            "Qwen-VL's <img>FILE",
        ),
        ({"conversations": share("<audio>a.wav</audio>what?", "b")}, "read with audio_list alone"),
        (
            {"output_modality": "smell", "conversations": share("a", "b")},
            "output_modality is 'smell'",
        ),
        (
            {"conversations": [{**share("a", "b")[1], "output_modality": ["image"]}]},
            "output_modality",
        ),
        (
            {"conversations": [{**share("a", "b")[1], "caption": "x"}]},
            "without the output_modality",
        ),
        (
            {"video_id": "v", "q": "a", "a": "b"},
            "neither .* there is video_id, q, a",
        ),  # Video-ChatGPT
        ({"instruction": "a", "output": ["b"]}, r"output is \['b'\]; give a text"),
        ({"query": "a", "response": "b", "image_url": "0.png"}, "'image_url', which is not read"),
        ({"query": "a", "response": "b", "history": [["a"]]}, r"history holds \['a'\], not a pair"),
        ({}, "there is nothing"),
        ({"caption": "a"}, "one caption and 0 files"),
        ({"caption": "a", "image": "0.png", "audio": "a.wav"}, "one caption and 2 files"),
        ({"caption": "a", "image": "0.png", "system": "b"}, "a caption with the key 'system'"),
        ({"caption": ["a", "b"], "image": "0.png"}, "the caption is"),
    ],
)
def test_what_is_not_read_is_refused_by_name(folder: Path, entry: Any, says: str) -> None:
    with pytest.raises(ValueError, match=rf"^d\.json, entry 0: .*{says}"):
        read(folder, entry)


WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["<image>", "0.png"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "image",
                        "images",
                        "image_list",
                        "image_name",
                        "image_captions",
                        "caption",
                        "from",
                    )
                ],
            )
            | st.sampled_from(
                ["conversations", "messages", "value", "content", "role", "type", "text"]
            )
            | st.sampled_from(
                ["output_image", "output_modality", "system", "id", "file", "kind", "data"]
            ),
            inner | st.just("human") | st.just("gpt") | st.just("image"),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["image", "images", "messages", "caption", "image_list"]), WILD)
)
def test_any_json_is_a_conversation_or_a_value_error(folder: Path, entry: Any) -> None:
    with contextlib.suppress(ValueError, OSError):
        assert read(folder, entry)


# ---- Nothing to learn --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"image": "0.png", "caption": ""}, "the caption is empty"),
        ({"image": "0.png", "text": "  "}, "the caption is empty"),
        ({"image": "0.png", "caption": float("inf")}, "the caption is inf"),
        ({"image": "0.png", "label": " "}, "the label is ''; give a name"),
        ({"image": "0.png", "label": float("nan")}, "the label is nan; give a name"),
        # As pandas writes whole numbers of a column that lacks some.
        ({"image": "0.png", "label": "1.0"}, "the label '1' is none of labels: none"),
        ({"image": "0.png", "label": 1.0}, "the label 1 is none of labels: none"),
        ({"question": "what?", "answer": ""}, "the conversation's replies are empty"),
        ({"messages": talk("what?", "")}, "the conversation's replies are empty"),
    ],
)
def test_an_empty_reply_is_not_learned(folder: Path, entry: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(folder, entry)


def test_replies_that_may_be_empty(folder: Path) -> None:
    """Silence has an empty transcript, and one of several turns may say nothing."""
    assert read(folder, {"audio": "a.wav", "transcription": ""})[-1] == ("assistant", [""])
    turns = [*talk("what?", ""), *talk("and now?", "red")]
    assert [role for role, _ in read(folder, {"messages": turns})] == ["user", "assistant"] * 2


def test_labels_with_a_point_have_the_name_of_their_number(folder: Path) -> None:
    for label in (1, 1.0, "1", "1.0"):
        for names in (["red", "blue"], {0: "red", 1: "blue"}):
            entry = {"image": "0.png", "label": label}
            assert read(folder, entry, labels=names)[-1] == ("assistant", ["blue"])


def test_a_name_may_have_a_point_itself(folder: Path) -> None:
    for label in ("1.0", " 1.0", 1.0):
        entry = {"image": "0.png", "label": label}
        assert read(folder, entry, labels=["1.0", "1.5", "2.0"])[-1] == ("assistant", ["1.0"])
        assert read(folder, entry, labels={"1.0": "old"})[-1] == ("assistant", ["old"])


@pytest.mark.parametrize(
    "entry",
    [
        {"prompt": "what?", "completion": "red"},
        {"prompt": talk("what?", "red")[:1], "completion": talk("what?", "red")[1:]},
        {"__index_level_0__": 3, "Unnamed: 0": 3, "query": "what?", "response": "red"},
    ],
)
def test_a_prompt_and_its_completion(folder: Path, entry: Any) -> None:
    assert read(folder, entry) == [("user", ["what?"]), ("assistant", ["red"])]
