"""The forms of a part of a message: what is read, and what is refused by name."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as pil

from anymodal.chat.messages import conversation_of
from anymodal.media import (
    Audio,
    Depth,
    Limits,
    Media,
    Thermal,
    Video,
)
from anymodal.media.base import data_uri
from anymodal.types import Message
from tests.support.messages import data_url, parts, turn
from tests.support.tiny import felt, picture, sound

KINDS = [picture(), sound(seconds=0.1), felt(), Video(picture().pixels[None].repeat(2, 0), 4.0)]


@pytest.mark.parametrize("medium", KINDS, ids=lambda medium: medium.kind)
def test_every_kind_in_every_form(medium: Media, tmp_path: Path) -> None:
    """Of OpenAI's API, of its like, and of our transcripts; what a file holds is what is read."""
    kind, path = medium.kind, medium.save(tmp_path / "a b%20é")
    wanted = [Media.kinds[kind].load(path)]
    data = base64.b64encode(path.read_bytes()).decode()
    encoded = f"data:{kind}/whatever;base64,{data}"
    forms: list[Any] = [
        *({"type": f"{kind}_url", f"{kind}_url": {"url": u}} for u in (encoded, path.as_uri())),
        {"type": f"{kind}_url", f"{kind}_url": {"url": str(path), "detail": "low"}},
        {"type": f"{kind}_url", f"{kind}_url": encoded},
        {"type": f"input_{kind}", f"input_{kind}": {"data": data, "format": "any"}},
        {"type": f"input_{kind}", f"{kind}_url": encoded},
        *({"type": kind, kind: source} for source in (encoded, str(path), path, path.as_uri())),
        *({"type": kind, key: str(path)} for key in ("url", "path", "file")),
        {"type": kind, kind: path.read_bytes()},
        {"type": kind, kind: wanted[0]},
        {"type": kind, kind: {"bytes": path.read_bytes(), "path": "old/name"}},
        {"kind": kind, "file": str(path)},
        {"file": str(path)},
        *(path, path.read_bytes(), bytearray(path.read_bytes())),
    ]
    for form in forms:
        assert parts([form]) == wanted == parts(form), form
        assert parts(turn("look", {"type": "text", "text": "at"}, form)) == [
            "look",
            "at",
            *wanted,
        ]
    for content in ([BytesIO(path.read_bytes())], BytesIO(path.read_bytes())):
        assert parts(content) == wanted
    with path.open("rb") as file:
        assert Message("user", file).content == [file] and parts(file) == wanted


def test_messages_as_dictionaries(tmp_path: Path) -> None:
    talk = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": "hi", "seed": 3, "name": None},
        {"role": "assistant", "content": None, "tool_calls": [], "refusal": None},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "yes", "annotations": []}],
        },
        Message("user", [tmp_path / "a.png"]),
    ]
    picture().save(tmp_path / "a.png")
    assert conversation_of(talk) == [
        Message("system", "be kind"),
        Message("user", "hi"),
        Message("assistant"),
        Message("assistant", "yes"),
        Message("user", picture()),
    ]
    assert conversation_of(talk[1]) == [Message("user", "hi")]


def test_a_file_s_content_tells_its_kind() -> None:
    encoded = base64.b64encode(picture().encode(".png")).decode()
    for data in (encoded, f"data:application/octet-stream;base64,{encoded}"):
        file = {"filename": "a.png", "file_data": data}
        assert parts([{"type": "file", "file": file}]) == [picture()]
        assert parts([{"type": "input_file", **file}]) == [picture()]


def test_pictures_of_pillow() -> None:
    """Turned upright, transparency on white, as their files are read."""
    pixels = picture().pixels
    assert parts([pil.fromarray(pixels)]) == [picture()] == parts(pil.fromarray(pixels))
    turned = pil.fromarray(np.rot90(pixels))
    turned.getexif()[0x0112] = 6  # to be turned by 90° clockwise
    assert parts([turned]) == [picture()]
    clear = pil.new("RGBA", (4, 3), (0, 0, 0, 0))
    assert (parts([clear])[0].pixels == 255).all()
    for mode in ("1", "L", "P", "LA", "CMYK", "I;16", "YCbCr"):
        assert parts([pil.new(mode, (4, 3))])[0].pixels.shape == (3, 4, 3)
    with pytest.raises(ValueError, match="none is known to be white"):
        parts([pil.new("F", (4, 3))])
    buffer = BytesIO()
    pil.fromarray(pixels).save(buffer, "PNG")
    assert parts([pil.open(buffer)]) == [picture()], "one that is not decoded yet"
    cut = pil.open(BytesIO(buffer.getvalue()[:200]))
    with pytest.raises(ValueError, match="the given picture .* can't be decoded|cannot be decoded"):
        parts([cut])
    with pytest.raises(ValueError, match="81,000,000 pixels, over the limit"):
        parts([pil.new("1", (9000, 9000))])


def test_arrays_with_and_without_a_rate() -> None:
    pixels = picture().pixels
    assert parts([pixels]) == [picture()] == parts(torch.from_numpy(pixels))
    samples, rate = sound(seconds=0.1).samples, 16000
    heard = [Audio(samples, rate)]
    for form in (
        *((samples, rate), (rate, samples), (samples[0], rate), (samples.T, np.int64(rate))),
        *((torch.from_numpy(samples), float(rate)), (samples.astype(np.float64), rate)),
        {"type": "audio", "audio": {"array": samples[0], "sampling_rate": rate, "path": None}},
        {"type": "audio", "audio": (rate, samples)},
        {"array": samples[0].tolist(), "sampling_rate": rate},
        {"type": "audio", "audio": samples, "rate": rate},
    ):
        assert parts([form]) == heard == parts(form)
        assert len(parts(["listen", form, form])) == 3
    whole = np.array([-(2**15), 0, 2**14], np.int16)
    for found in (
        parts((rate, whole)),
        parts((rate, whole.astype(np.int32) * 2**16)),
    ):
        assert found[0].samples.tolist() == [[-1, 0, 0.5]]
    stereo = np.zeros((800, 2), np.float32)
    assert parts((stereo, 8000))[0].samples.shape == (2, 800), "the longer axis is time"
    assert parts((pixels[None].repeat(3, 0), 2)) == [Video(pixels[None].repeat(3, 0), 2)]


def test_a_kind_tells_what_an_array_is() -> None:
    depth, rows = np.ones((4, 5), np.float32), felt().samples
    for form, wanted in (
        ({"type": "imu", "imu": (rows, 200)}, felt()),
        ({"type": "imu", "imu": (200, rows)}, felt()),
        ({"type": "imu", "imu": rows, "rate": 200}, felt()),
        ({"type": "depth", "depth": depth}, Depth(depth)),
        (
            {"type": "thermal", "thermal": np.ones((4, 5), np.uint8)},
            Thermal(np.ones((4, 5), np.uint8)),
        ),
        (
            {"type": "audio", "audio": (np.ones((6, 800), np.float32), 800)},
            Audio(np.ones((6, 800), np.float32), 800),
        ),
    ):
        assert parts([form]) == [wanted]
    for form, says in (
        ({"type": "imu", "imu": rows}, "imu needs samples and rate"),
        ({"type": "imu", "imu": (rows.T, 200)}, r"samples have the shape \(400, 6\), expected"),
        ({"type": "image", "image": np.ones((4, 4, 3))}, "pixels are float64, expected uint8"),
        ({"type": "audio", "audio": (np.zeros(8000 * 601, np.float32), 8000)}, "lasts 601.0 s"),
    ):
        with pytest.raises(ValueError, match=says):
            parts([form])


@pytest.mark.parametrize(
    ("given_part", "says"),
    [
        (np.zeros(800, np.float32), r"a sound is a pair \(samples, rate\)"),
        (np.zeros((8, 8)), "Depth"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"a clip is a pair \(frames, fps\)"),
        (np.zeros((3, 8, 8), np.uint8), "move the channels last"),
        (torch.rand(3, 8, 8), "move the channels last"),
        (torch.rand(3, 8, 8, requires_grad=True), r"x\.detach\(\)\.cpu\(\)"),
        (torch.zeros(8, 8, 3, dtype=torch.bfloat16), r"\.float\(\)\.numpy\(\)"),
        ((np.zeros((6, 400), np.float32), 200), r"such as Audio.* or IMU"),
        ((np.zeros((400, 6), np.float32), 48000), "such as Audio.* or IMU"),
        ((np.zeros(400, np.float32), 250), "such as Audio.* or IMU"),
        ((np.zeros(400, np.float32), float("nan")), "such as Audio.* or IMU"),
        ((np.zeros(0, np.float32), 8000), r"shape \(0,\)"),
        ((np.zeros((8, 8, 3), np.uint8), 8000), "neither a sound"),
        ((np.zeros(9, np.uint8), 8000), "whole numbers of 16 or 32 bits"),
        ((np.zeros(9, bool), 8000), "an array of bool is no medium"),
        ((np.array(["a"]), 8000), "is no medium; give numbers"),
        ((np.zeros(8000 * 700, np.int16), 8000), "lasts 700.0 s, over the limit"),
        (np.array([picture()], object), "an array of object is no medium"),
        ({1: 2}, "a part has no type; it has 1"),
        ({}, "a part has no type; it has nothing"),
        ({"type": "file", "file": {"file_id": "x"}}, "has its content in file_data"),
        ({"type": "imageurl", "image_url": "a"}, "no part has the type 'imageurl'; .*'image_url'"),
        ({"type": ["image"]}, "no part has the type"),
        ({"kind": ["image"], "file": "a"}, "no kind of medium is"),
        ({"kind": "imge", "file": "a"}, "no kind of medium is 'imge'; did you mean 'image'"),
        ({"type": "image"}, "a part that is image has no image; give a data URL, a path"),
        ({"type": "text"}, "has the text None"),
        ({"type": "text", "text": 3}, "has the text 3"),
        ({"type": "text", "text": "a", "voice": "x"}, "has no 'voice'"),
        ({"type": "image", "image": "a", "image_url": "b"}, "twice, under image and image_url"),
        ({"type": "image", "url": "a", "file": "b"}, "twice, under url and file"),
        ({"type": "image", "image": "a.png", "max_pixels": 3}, "has no 'max_pixels'"),
        ({"type": "image_url", "image_url": {"file_id": "f"}}, "a part that is image has no image"),
        ({"type": "audio", "audio": picture()}, r"says it is audio, and it holds Image\(16×16\)"),
        ({"type": "image", "image": 3}, "not int"),
        (picture, "not function"),
        ({"type": "image_url", "image_url": "https://a.example/b.png"}, "a remote URL, and these"),
        ({"type": "image", "image": "HTTP://a.example/b.png"}, "a remote URL"),
        ({"type": "image", "image": "s3://a/b.png"}, "a remote URL"),
        ({"type": "image", "image": "file://host/b.png"}, "lies on the machine 'host'"),
        ({"type": "image", "image": "data:image/png;base64,AAA!"}, "is no base64"),
        ({"type": "image", "image": "data:image/png;base64,iVBORw0"}, "is no base64"),
        ({"type": "image", "image": "data:image/png;base64"}, "it has no comma"),
        ({"type": "image", "image": "data:image/png;base64,"}, "is empty"),
        ({"type": "image", "image": "\0"}, "no valid path"),
        ({"type": "image", "image": "a" * 5000}, "no valid path"),
        ({"type": "input_audio", "input_audio": {"data": "é"}}, "is no base64"),
        ({"type": "file", "file": "/etc/passwd"}, "has its content in file_data"),
        ({"type": "imu", "imu": {"samples": [[1, 2], [3]]}}, "lists of one length each"),
        ({"type": "imu", "imu": {"samples": [["a"]]}}, "no array of numbers"),
        ({"type": "imu", "imu": {"samples": [[0.0]] * 6}}, "imu needs samples and rate"),
        ({"type": "imu", "imu": {"samples": [[0.0]] * 6, "rat": 9}}, "'rat'; did you mean 'rate'"),
        ({"type": "imu", "imu": {"samples": [[0.0]] * 6, "rate": 1e-3}}, "rate=0.001 is out of"),
        ({"type": "audio", "audio": {"samples": [[0.0] * 999], "rate": 1}}, "lasts 999.0 s, over"),
        ({"type": "imu", "imu": {"samples": "data:,abc", "rate": 9}}, "the data URL of samples"),
        ({"type": "target", "target": {"modality": "image"}}, "a target's modality and caption"),
        ({"type": "target", "target": {"modality": "image", "caption": ""}}, "is for training"),
        ({"type": "target", "modality": "image", "caption": "", "media": "a"}, "is one medium"),
        (
            {"type": "target", "modality": "image", "caption": "", "media": {"type": "target"}},
            "a target is no medium",
        ),
    ],
)
def test_what_is_no_part_is_refused_by_name(given_part: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        conversation_of([given_part])
    with pytest.raises(ValueError, match=rf"message 2, part 2: .*{says}"):
        conversation_of([*turn("hi"), {"role": "user", "content": ["and", given_part]}])


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        ([{"role": "user"}], "the user's message has no content; it has role"),
        ([{"content": "a"}], "there is no role None"),
        ([{"role": "user", "content": "a", "nme": "x"}], "a message's 'nme' is not read"),
        ([{"role": "user", "content": "a", "tool_calls": [{}]}], "'tool_calls' is not read"),
        ([{"role": "user", "content": [["a"]]}], "not a list"),
        ({"messages": [{"role": "user", "content": "a"}]}, "a part has no type; it has messages"),
        ([*turn("a"), "b"], r"item 2 of the conversation is a part \(a str\)"),
        ([*turn("a", role="assistant")], "the last message is the assistant's own"),
        ([*turn()], "the conversation is empty"),
        (
            turn(*["data.png", {"type": "image", "image": "none.png"}] * 40),
            "40 media in one",
        ),
        ([Path("none.png")] * 33, "33 media in one conversation"),
    ],
)
def test_what_is_no_message_is_refused_by_name(talk: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        conversation_of(talk)


def test_an_imu_s_values_as_they_are_written() -> None:
    rows = felt().samples.T  # (n, 6)
    scaled = rows * np.array([1 / 9.80665] * 3 + [180 / np.pi] * 3, np.float32)
    for values in (
        {"samples": felt().samples.tolist(), "rate": 200},
        {"samples": rows.tolist(), "sample_rate": 200},
        {"samples": rows.tolist(), "sample_rate": 200, "units": "m/s^2, rad/s"},
    ):
        assert parts([{"type": "imu", "imu": values}]) == [felt()]
        assert parts([{"type": "imu", **values}]) == [felt()]
    told_units = {"samples": scaled.tolist(), "sample_rate": 200, "units": "g, deg/s"}
    (found,) = parts([{"type": "imu", "imu": told_units}])
    np.testing.assert_allclose(found.samples, felt().samples, rtol=1e-4, atol=1e-5)


def test_data_are_held_against_the_limits_before_they_are_decoded() -> None:
    written = {"role": "user", "content": [{"type": "image", "image": data_url(picture())}]}
    assert Message.from_dict(written).media == [picture()]
    with pytest.raises(ValueError, match="over the limit of 100 bytes"):
        Message.from_dict(written, limits=Limits(max_bytes=100))
    with pytest.raises(ValueError, match="256 pixels, over the limit of 255"):
        Message.from_dict(written, limits=Limits(max_pixels=255))
    huge = BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f4", "fortran_order": False, "shape": (6, 10**12)}
    )
    values = {"samples": data_uri("x", huge.getvalue()), "rate": 100}
    with pytest.raises(ValueError, match="over the limit of 256.0 MiB"):
        Message.from_dict(turn({"type": "imu", "imu": values})[0])


def test_a_stranger_s_message_names_no_files(tmp_path: Path) -> None:
    path = picture().save(tmp_path / "a.png")
    named = [{"type": "image", "image": str(path)}, {"type": "image", "image": path.as_uri()}]
    named += [{"file": str(path)}, {"type": "image_url", "image_url": {"url": f"{path}"}}]
    for part in named:
        assert Message.from_dict(turn(part)[0]).media == [picture()]
        with pytest.raises(ValueError, match="names a file, which these messages may not"):
            Message.from_dict(turn(part)[0], files=False)
    inside = turn({"type": "image", "image": data_url(picture())})[0]
    assert Message.from_dict(inside, files=False).media == [picture()]
