"""Uploads: edits of images and transcriptions by the official client, and forms of strangers."""

from __future__ import annotations

import http.client
import json
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from anymodal.media import Image, Limits, load
from anymodal.model import AnyModal
from anymodal.serving.api.settings import ServerSettings
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from tests.support.serving import model_to_serve, serving
from tests.support.tiny import picture, sound

QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0}
BELL = Scene("bell", "red", "big", "still", "slow")
EDITS, TRANSCRIPTIONS = "/v1/images/edits", "/v1/audio/transcriptions"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def url(model: AnyModal) -> Iterator[str]:
    limits = Limits(max_pixels=10_000, max_bytes=200_000)
    with serving(
        [model_to_serve(model)], ServerSettings(limits=limits, max_body_bytes=400_000)
    ) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def post(url: str, path: str, body: bytes, content_type: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("POST", path, body, {"Content-Type": content_type})
    response = connection.getresponse()
    status, data = response.status, response.read()
    connection.close()
    return status, json.loads(data)


def form(*parts: tuple[str, bytes]) -> bytes:
    """The parts of a form, each with what stands behind `form-data`."""
    return b"".join(
        b"--B\r\nContent-Disposition: form-data" + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    ) + b"--B--\r\n"  # fmt: skip


def test_images_are_edited(client: openai.OpenAI, model: AnyModal) -> None:
    shown = render_scene(Scene("ball", "red", "big", "still", "slow"), "image",
                         np.random.default_rng(0))  # fmt: skip
    data = shown.encode(".png")
    extra: dict[str, Any] = {"seed": 3, "sampling": {"image": QUICK}}
    made = client.images.edit(image=data, prompt="make it green", model="nano", n=2,
                              extra_body=extra)  # fmt: skip
    assert made.data is not None and len(made.data) == 2 and made.usage is not None
    picture = load(b64decode(made.data[0].b64_json or ""))
    assert isinstance(picture, Image) and picture.pixels.shape == (64, 64, 3)
    again, other = (
        client.images.edit(image=image, prompt="make it green", model="nano", extra_body=extra)
        for image in (data, Image(np.zeros((64, 64, 3), np.uint8)).encode(".png"))
    )
    assert again.data is not None and again.data[0] == made.data[0], "of one seed"
    assert other.data is not None and other.data[0] != made.data[0], "of another image"
    both = client.images.edit(image=[data, ("../../x.png", data)], prompt="make it green",
                              response_format="url", extra_body=QUICK)  # fmt: skip
    assert both.data is not None and (both.data[0].url or "").startswith("data:image/png")
    with pytest.raises(openai.BadRequestError, match="mask: the picture has no transparency"):
        client.images.edit(image=data, mask=data, prompt="x", model="nano")
    with pytest.raises(openai.BadRequestError, match="over the limit"):
        large = Image(np.zeros((128, 128, 3), np.uint8)).encode(".png")
        client.images.edit(image=large, prompt="x", model="nano")
    with pytest.raises(openai.BadRequestError, match="leave the size as it is"):
        client.images.edit(image=data, prompt="make it green", size="64x32", extra_body=QUICK)
    for size, more, says in (("100x101", {}, "by itself this model makes 64x64"),
                             ("large", {}, "isn't WIDTHxHEIGHT"),
                             ("32x32", {"height": 32}, "'height' stands beside it")):  # fmt: skip
        with pytest.raises(openai.BadRequestError, match=says):
            client.images.edit(image=data, prompt="x", model="nano", size=size, extra_body=more)  # type: ignore[call-overload]


def test_an_object_of_a_form_may_be_json(client: openai.OpenAI) -> None:
    """The client leaves empty lists out of forms, so that `[]` for none is written so."""
    bell = render_scene(BELL, "image", np.random.default_rng(0)).encode(".png")

    def made(**body: Any) -> np.ndarray:
        answer = client.images.edit(
            model="nano",
            image=("bell.png", bell, "image/png"),
            prompt="make it green",
            extra_body={**QUICK, "seed": 3, **body},
        )
        assert answer.data is not None
        image = load(b64decode(answer.data[0].b64_json or ""))
        assert isinstance(image, Image)
        return image.pixels.astype(int)

    plain, none = made(), made(references='{"image": []}')
    assert np.abs(made(references={"image": 0}) - plain).max() <= 2 < np.abs(none - plain).max()
    few = made(sampling='{"image": {"steps": 1}}')
    assert np.abs(few - made(sampling={"image": {"steps": 1}})).max() <= 2
    assert np.abs(few - plain).max() > 2
    answer = client.images.edit(
        model="nano", image=("bell.png", bell, "image/png"), prompt='{"draw": "it"}',
        extra_body=QUICK,
    )  # fmt: skip
    assert answer.data
    with pytest.raises(openai.BadRequestError, match="references"):
        made(references="{image: []}")


def test_only_what_a_mask_leaves_clear_is_made_anew(client: openai.OpenAI) -> None:
    shown = render_scene(Scene("ball", "red", "big", "still", "slow"), "image",
                         np.random.default_rng(0))  # fmt: skip
    assert isinstance(shown, Image)
    pixels = np.dstack([shown.pixels, np.full((64, 64), 255, np.uint8)])
    pixels[:, 32:, 3] = 0  # the right half is clear
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    made = client.images.edit(
        image=[shown.encode(".png"), Image(shown.pixels[::-1].copy()).encode(".png")],
        mask=file.getvalue(), prompt="draw a big green star",  # of the first one
        model="nano", extra_body={"seed": 3, "sampling": {"image": {**QUICK, "steps": 4}}},
    )  # fmt: skip
    assert made.data is not None
    picture = load(b64decode(made.data[0].b64_json or ""))
    assert isinstance(picture, Image)
    away = np.abs(picture.pixels.astype(int) - shown.pixels).mean((0, 2))  # of each column
    assert away[:28].mean() < 8 and away[36:].mean() > 2 * away[:28].mean()


def test_audio_is_answered_in_text(client: openai.OpenAI, model: AnyModal) -> None:
    heard = render_scene(BELL, "audio", np.random.default_rng(0))
    file = ("bell.wav", heard.encode(".wav"))
    asked: Any = {"model": "nano", "file": file, "prompt": "what is this?"}
    made = client.audio.transcriptions.create(**asked)
    wanted = model.chat([load(file[1]), "what is this?"], modalities=[]).text
    assert made.text == wanted and made.usage is not None and made.usage.type == "tokens"
    assert client.audio.transcriptions.create(response_format="text", **asked) == wanted
    events = list(client.audio.transcriptions.create(stream=True, **asked))
    assert events[-1].type == "transcript.text.done" and events[-1].text == wanted
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(deltas) == wanted
    plain = client.audio.transcriptions.create(model="nano", file=file, language="en")
    assert plain.text
    for wrong, says in (({"response_format": "srt"}, "response_format"),
                        ({"timestamp_granularities": ["word"]}, "isn't supported"),
                        ({"file": ("a.wav", b"RIFF")}, "file: ")):  # fmt: skip
        with pytest.raises(openai.BadRequestError, match=says):
            client.audio.transcriptions.create(**{**asked, **wrong})


PNG = picture().encode(".png")
IMAGE = ('; name="image"; filename="a.png"', PNG)
PROMPT = ('; name="prompt"', b"a ball")
WAV = sound(seconds=0.2).encode(".wav")
WRONG: dict[str, tuple[bytes, str]] = {
    "no parts": (form(), "prompt"),
    "no image": (form(PROMPT), "no image"),
    "an image as text": (form(PROMPT, ('; name="image"', b"x")), "is a file"),
    "another file": (form(IMAGE, PROMPT, ('; name="x"; filename="y"', b"z")), "no file field"),
    "a wrong image": (form(PROMPT, ('; name="image"; filename="a"', b"\0" * 99)), "image: "),
    "sound for an image": (form(PROMPT, ('; name="image"; filename="a.png"', WAV)), "image: "),
    "many images": (form(PROMPT, *[IMAGE] * 33), "Too many files"),
    "many fields": (form(*[(f'; name="a{n}"', b"") for n in range(300)]), "Too many fields"),
    "a field twice": (form(IMAGE, PROMPT, PROMPT), "twice"),
    "a field in a text": (form(IMAGE, PROMPT, ('; name="prompt[a]"', b"b")), "twice"),
    "a deep field": (form(IMAGE, PROMPT, ('; name="' + "a[b]" * 9 + '"', b"")), "names no field"),
    "an unknown field": (form(IMAGE, PROMPT, ('; name="smell"', b"")), "no field 'smell'"),
    "no number": (form(IMAGE, PROMPT, ('; name="n"', b"many")), "n: "),
    "no name": (form(("", b"x")), "name"),
    "no end": (form(IMAGE, PROMPT)[:-20], ""),
    "no form": (b"\xff\0" * 99, "multipart"),
    "nothing": (b"", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_form_is_told_what_is_wrong(url: str, case: str) -> None:
    body, says = WRONG[case]
    status, answer = post(url, EDITS, body, "multipart/form-data; boundary=B")
    assert status == 400 and says in answer["error"]["message"], answer


def test_other_bodies_and_sizes(url: str) -> None:
    assert post(url, EDITS, b"a=b", "application/x-www-form-urlencoded")[0] == 415
    assert post(url, EDITS, b"{}", "multipart/form-data")[0] == 400
    assert post(url, EDITS, form(PROMPT), "multipart/form-data; boundary=B; charset=no")[0] == 400
    assert post(url, EDITS, b"{", "application/json")[0] == 400
    assert post(url, EDITS, b"[" * 9999, "application/json")[0] == 400
    status, answer = post(url, EDITS, b'{"prompt": "a"}', "application/json")
    assert status == 400 and "no image" in answer["error"]["message"]
    huge = form(PROMPT, ('; name="image"; filename="a"', b"x" * 500_000))
    assert post(url, EDITS, huge, "multipart/form-data; boundary=B")[0] == 413
    large = form(PROMPT, ('; name="image"; filename="a"', PNG + b"x" * 250_000))
    status, answer = post(url, EDITS, large, "multipart/form-data; boundary=B")
    assert status == 400 and "limit" in answer["error"]["message"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([EDITS, TRANSCRIPTIONS]),
    st.lists(st.tuples(st.sampled_from([
        '; name="prompt"', '; name="image"; filename="a"', '; name="file"; filename*=utf-8\'\'%ff',
        '; name="model"', '; name="n"', '; name="sampling[image][steps]"', '; name="a[]"',
        '; name=""', "; name", '; name="\xe9[', "\r\nContent-Length: -1", '; name="stream"',
        '; name="file"; filename="b"', "; filename=x", '; name="extra_body"',
    ]), st.binary(max_size=30) | st.sampled_from([b"nano", b"true", b"1", b"{}", b"[]", b"NaN"])),
        max_size=4),
    st.integers(0, 60),
)  # fmt: skip
def test_no_form_is_a_fault_of_the_server(
    url: str, path: str, parts: list[tuple[str, bytes]], cut: int
) -> None:
    body = form(*parts)
    body = body[: len(body) - cut] if cut > 30 else body
    status, answer = post(url, path, body, "multipart/form-data; boundary=B")
    assert 400 <= status < 500 and answer["error"]["message"], (status, answer)
