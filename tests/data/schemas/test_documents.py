"""Documents of texts and media, class labels, and parts of long files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anymodal.data.schemas import name_of_schema
from anymodal.types import Target
from tests.support.entries import SEEN, read
from tests.support.tiny import sound


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


def test_rows_of_recordings_are_told(folder: Path) -> None:
    entry = {"image": "0.png", "start": 0, "end": 3, "label": "walk"}
    assert name_of_schema(entry) == "labelled recordings"
    with pytest.raises(ValueError, match="Recordings cuts windows out of them"):
        read(folder, entry)


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
        ({"seconds": True}, "seconds is True; a part of a medium has start and seconds"),
        ({"seconds": None}, "seconds is None; a part of a medium has start and seconds"),
    ):
        with pytest.raises(ValueError, match=says):
            read(folder, {"audio": {**part, **wrong}, "caption": "a tone"})
    with pytest.raises(ValueError, match="image has no duration"):
        read(folder, {"image": {**part, "path": "0.png"}, "caption": "a"})
