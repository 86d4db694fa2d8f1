"""The official `openai` client against a server: every endpoint, streamed and whole."""

from __future__ import annotations

import asyncio
import io
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from PIL import Image as Pillow

from anymodal.media import Audio, Image, Video, load
from anymodal.media.base import data_uri
from anymodal.model import AnyModal
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from anymodal.types import Message
from tests.support.serving import make_sound, model_to_serve, serving

QUICK: dict[str, Any] = {"steps": 2, "guidance": 1.0}
SETTINGS = dict.fromkeys(("image", "audio", "video"), QUICK)
DRAW = "draw a small blue ball"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def url(model: AnyModal) -> Iterator[str]:
    with serving([model_to_serve(model)]) as url:
        yield f"{url}/v1"


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def ask(client: openai.OpenAI, text: Any, **more: Any) -> ChatCompletion:
    extra = {**QUICK, **more.pop("extra_body", {})}
    return client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": text}], seed=3, extra_body=extra, **more
    )


def duck() -> Image:
    scene = Scene("duck", "orange", "big", "still", "slow")
    medium = render_scene(scene, "image", np.random.default_rng(0))
    assert isinstance(medium, Image)
    return medium


def test_a_text_is_answered_as_in_python(client: openai.OpenAI, model: AnyModal) -> None:
    answer = ask(client, "what can you do?")
    (choice,) = answer.choices
    assert choice.message.content == model.chat("what can you do?").text
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert answer.model == "nano" and answer.object == "chat.completion" and answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    short = ask(client, "what can you do?", max_completion_tokens=3)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None and short.usage.completion_tokens == 3


def test_sampling_choices_and_stops_reach_the_model(client: openai.OpenAI, model: AnyModal) -> None:
    how = {"temperature": 1.5, "top_p": 0.9}
    answer = ask(client, "what can you do?", n=3, **how)
    wanted = [model.chat("what can you do?", seed=seed, **how).text for seed in (3, 4, 5)]
    assert [choice.message.content for choice in answer.choices] == wanted
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    cut = ask(client, "what can you do?", stop=["hear s", "never"]).choices[0].message.content
    assert cut and cut == model.chat("what can you do?").text.partition("hear s")[0]


def test_media_stand_in_their_fields_and_in_order(client: openai.OpenAI, model: AnyModal) -> None:
    reply = ask(client, DRAW).choices[0].message
    wanted = model.chat(DRAW, seed=3, sampling=SETTINGS)
    extra = reply.model_extra or {}
    (image,), parts = extra["images"], extra["parts"]
    assert reply.content == wanted.text
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert parts[1] == image and image["image_url"]["url"].startswith("data:image/png;base64,")
    picture = load(b64decode(image["image_url"]["url"].partition(",")[2]))
    assert isinstance(picture, Image) and np.array_equal(picture.pixels, wanted.media[0].pixels)

    heard = ask(client, "play the sound of a bell").choices[0].message
    assert heard.audio is not None and heard.audio.transcript == ""
    assert isinstance(load(b64decode(heard.audio.data)), Audio)
    flac = ask(client, "play the sound of a bell", audio={"format": "flac", "voice": "alloy"})
    sound = flac.choices[0].message.audio
    assert sound is not None and b64decode(sound.data)[:4] == b"fLaC"
    small = ask(client, "play the sound of a bell", audio={"format": "opus", "voice": "alloy"})
    assert b64decode(small.choices[0].message.audio.data)[:4] == b"OggS"  # type: ignore[union-attr]
    (part,) = [each for each in small.choices[0].message.parts if each["type"] == "audio_url"]  # type: ignore[attr-defined]
    assert part["audio_url"]["url"].startswith("data:audio/ogg;base64,")

    seen = ask(client, "make a video of a duck moving left").choices[0].message
    (video,) = (seen.model_extra or {})["videos"]
    assert isinstance(load(b64decode(video["video_url"]["url"].partition(",")[2])), Video)


def test_media_are_read_and_a_reply_can_be_sent_back(
    client: openai.OpenAI, model: AnyModal
) -> None:
    picture = duck()
    url = data_uri("image/png", picture.encode(".png"))
    first: list[Any] = [
        {"role": "system", "content": ""},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            {"type": "text", "text": "what is this?"},
        ]},
    ]  # fmt: skip
    answer = client.chat.completions.create(model="nano", messages=first[1:], seed=3)
    asked = [Message("user", [picture, "what is this?"])]
    reply = model.chat(asked, seed=3)
    assert answer.choices[0].message.content == reply.text

    drawn = ask(client, DRAW).choices[0].message
    history: list[Any] = [{"role": "user", "content": DRAW}, drawn,
                          {"role": "user", "content": "make it green"}]  # fmt: skip
    again = client.chat.completions.create(
        model="nano", messages=history, seed=3, extra_body={"extra_body": QUICK}
    )
    before = model.chat(DRAW, seed=3, sampling=SETTINGS)
    talk = [Message("user", DRAW), before, Message("user", "make it green")]
    wanted = model.chat(talk, seed=3, sampling=SETTINGS)
    assert again.choices[0].message.content == wanted.text and "green" in wanted.text
    assert again.usage is not None and again.usage.prompt_tokens_details is not None
    # As others keep it: the text, and the pictures in a field of their own.
    plain = {"role": "assistant", "content": drawn.content, "images": drawn.model_extra["images"]}  # type: ignore[index]
    other = client.chat.completions.create(
        model="nano", messages=[history[0], plain, history[2]], seed=3, extra_body=QUICK
    )
    assert other.choices[0].message.content == wanted.text


def drawn(client: openai.OpenAI, messages: list[Any], **body: Any) -> np.ndarray:
    """The pixels of a reply's one picture."""
    answer = client.chat.completions.create(
        model="nano", messages=messages, seed=0, extra_body={"steps": 4, **body}
    )
    (part,) = (answer.choices[0].message.model_extra or {})["images"]
    image = load(b64decode(part["image_url"]["url"].partition(",")[2]))
    assert isinstance(image, Image)
    return image.pixels.astype(int)


def is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for the rounding of another pass."""
    return bool(np.abs(one - other).max() <= 2)


def red_and_blue(model: AnyModal) -> list[dict[str, Any]]:
    """Parts of two pictures."""
    pictures = [
        model.chat(f"draw a small {name} ball", seed=1).media[0] for name in ("red", "blue")
    ]
    links = [data_uri("image/png", each.encode(".png")) for each in pictures]
    return [{"type": "image_url", "image_url": {"url": link}} for link in links]


def test_references_count_in_the_whole_conversation(client: openai.OpenAI, model: AnyModal) -> None:
    assert model.history_turns is not None
    first, last = red_and_blue(model)
    talk: list[Any] = [
        {"role": "user", "content": [first, {"type": "text", "text": "what is it?"}]}
    ]
    for _ in range(model.history_turns + 1):
        talk += [{"role": "assistant", "content": "a ball."}, {"role": "user", "content": "and?"}]
    talk[-1]["content"] = [last, {"type": "text", "text": "draw a big green drum"}]
    by_number = {n: drawn(client, talk, references={"image": n}) for n in (0, 1, -1)}
    assert is_same(by_number[1], by_number[-1]) and not is_same(by_number[0], by_number[1])
    with pytest.raises(openai.BadRequestError, match="medium 2 of 2 in this conversation"):
        drawn(client, talk, references={"image": 2})


def test_strength_is_about_the_media_that_there_are(client: openai.OpenAI, model: AnyModal) -> None:
    parts: list[Any] = [red_and_blue(model)[0], {"type": "text", "text": "draw a big green drum"}]
    messages: list[Any] = [{"role": "user", "content": parts}]
    # All decoders take it, and there is nothing that a sound or a clip could start from.
    everywhere = drawn(client, messages, strength=0.5)
    assert is_same(everywhere, drawn(client, messages, sampling={"image": {"strength": 0.5}}))
    assert not is_same(everywhere, drawn(client, messages))
    parts.pop(0)
    with pytest.raises(openai.BadRequestError, match="no image or audio or video to be one"):
        drawn(client, messages, strength=0.5)


def test_sounds_and_movements_are_read(client: openai.OpenAI) -> None:
    scene = Scene("bell", "red", "big", "still", "slow")
    sound = render_scene(scene, "audio", np.random.default_rng(0)).encode(".wav")
    samples = np.zeros((6, 400), np.float32)
    samples[2] = 9.81
    table = io.BytesIO()
    np.save(table, samples)
    parts: list[Any] = [
        {"type": "input_audio", "input_audio": {
            "data": b64encode(sound).decode(), "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": data_uri("audio/wav", sound)}},
        {"type": "input_imu", "input_imu": {
            "data": b64encode(table.getvalue()).decode(), "format": "npy", "sample_rate": 200}},
    ]  # fmt: skip
    for part in parts:
        answer = ask(client, [part, {"type": "text", "text": "what is this?"}])
        assert answer.choices[0].message.content


def collect(chunks: Any) -> tuple[str, list[Any], list[ChatCompletionChunk]]:
    """The text of a stream, its parts' notes, and all chunks."""
    seen = list(chunks)
    deltas = [chunk.choices[0].delta for chunk in seen if chunk.choices]
    text = "".join(delta.content or "" for delta in deltas)
    return text, [part for d in deltas for part in (d.model_extra or {}).get("parts", [])], seen


def test_a_stream_tells_text_progress_media_and_usage(
    client: openai.OpenAI, model: AnyModal
) -> None:
    stream = client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": DRAW}], seed=3, stream=True,
        stream_options={"include_usage": True}, extra_body=QUICK,
    )  # fmt: skip
    text, notes, chunks = collect(stream)
    assert text == model.chat(DRAW, seed=3, sampling=SETTINGS).text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [note["status"] for note in notes] == ["started", "in_progress", "in_progress",
                                                  "completed"]  # fmt: skip
    assert {note["index"] for note in notes} == {1} and notes[1]["steps"] == 2
    extras = [chunk.choices[0].delta.model_extra or {} for chunk in chunks if chunk.choices]
    images = [image for extra in extras for image in extra.get("images", [])]
    assert len(images) == 1 and images[0]["image_url"] == notes[-1]["image_url"]
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens > 0
    assert len({chunk.id for chunk in chunks}) == 1


def test_streams_of_several_choices_and_the_typed_helper(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": "hello"}], n=2, stream=True
    )
    texts = ["", ""]
    for chunk in stream:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts[0] and texts[1] == texts[0], "greedy"
    with client.chat.completions.stream(
        model="nano", messages=[{"role": "user", "content": "hello"}]
    ) as events:
        last = events.get_final_completion()
    assert last.choices[0].message.content == texts[0]


def test_the_asynchronous_client_asks_many_at_once(url: str, model: AnyModal) -> None:
    async def main() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

            async def one(text: str) -> str | None:
                answer = await client.chat.completions.create(
                    model="nano", messages=[{"role": "user", "content": text}], extra_body=QUICK
                )
                return answer.choices[0].message.content

            async def streamed(text: str) -> str:
                told = ""
                async for chunk in await client.chat.completions.create(
                    model="nano", messages=[{"role": "user", "content": text}], stream=True
                ):
                    told += chunk.choices[0].delta.content or ""
                return told

            return await asyncio.gather(*(one(t) for t in asked), *(streamed(t) for t in asked))

    asked = ["hello", "what can you do?", "thank you", "who are you?"]
    wanted = [model.chat(text).text for text in asked]
    assert asyncio.run(main()) == wanted * 2


def test_modalities_say_what_a_reply_may_hold(client: openai.OpenAI) -> None:
    extra = {"modalities": ["text"], **QUICK}
    reply = ask(client, DRAW, extra_body=extra).choices[0].message
    assert reply.content and "parts" not in (reply.model_extra or {})
    extra["modalities"] = ["text", "image"]
    assert "images" in (ask(client, DRAW, extra_body=extra).choices[0].message.model_extra or {})
    for wrong, says in ((["image"], "always has text"), (["text", "smell"], "makes no 'smell'")):
        with pytest.raises(openai.BadRequestError, match=says) as refused:
            ask(client, DRAW, extra_body={"modalities": wrong})
        assert refused.value.param == "modalities"


def test_responses_hold_texts_and_images(client: openai.OpenAI, model: AnyModal) -> None:
    asked: Any = {"model": "nano", "extra_body": {**QUICK, "seed": 3}}
    plain = client.responses.create(input="what can you do?", **asked)
    assert plain.output_text == model.chat("what can you do?").text
    assert plain.status == "completed" and plain.usage and plain.usage.output_tokens > 0
    short = client.responses.create(input="hello", max_output_tokens=2, **asked)
    assert short.status == "incomplete" and short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"

    drawn = client.responses.create(input=DRAW, tools=[{"type": "image_generation"}], **asked)
    wanted = model.chat(DRAW, seed=3, sampling=SETTINGS)
    assert [item.type for item in drawn.output] == ["message", "image_generation_call"]
    call: Any = drawn.output[1]
    picture = load(b64decode(call.result))
    assert isinstance(picture, Image)
    # In a batch of the engine's, so that the last bit may be rounded otherwise.
    assert np.abs(picture.pixels.astype(int) - wanted.media[0].pixels).max() <= 1
    items: list[Any] = [{"role": "user", "content": DRAW}, *drawn.output,
                        {"role": "user", "content": "make it green"}]  # fmt: skip
    again = client.responses.create(input=items, **asked)
    talk = [Message("user", DRAW), wanted, Message("user", "make it green")]
    assert again.output_text == model.chat(talk, seed=3, sampling=SETTINGS).text

    url = data_uri("image/png", duck().encode(".png"))
    shown: list[Any] = [{"role": "user", "content": [
        {"type": "input_image", "image_url": url, "detail": "auto"},
        {"type": "input_text", "text": "what is this?"}]}]  # fmt: skip
    seen = client.responses.create(input=shown, **asked)
    assert seen.output_text == model.chat([duck(), "what is this?"]).text
    for wrong, says in (({"previous_response_id": "resp_1"}, "isn't supported"),
                        ({"input": [{"type": "web_search_call"}]}, "isn't read here")):  # fmt: skip
        with pytest.raises(openai.BadRequestError, match=says):
            client.responses.create(**{"input": "hello", **asked, **wrong})


def test_responses_are_streamed_as_the_typed_helper_reads_them(client: openai.OpenAI) -> None:
    kinds, text = [], ""
    with client.responses.stream(
        model="nano", input=DRAW, extra_body={**QUICK, "seed": 3}
    ) as events:
        for event in events:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        last = events.get_final_response()
    assert last.output_text == text and [item.type for item in last.output] == [
        "message", "image_generation_call"
    ]  # fmt: skip
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.image_generation_call.generating") == 2
    assert kinds.count("response.output_item.done") == 2


def test_completions_go_on_with_texts(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="nano", prompt=["hel", "good mor"], n=2, max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.choices[0].text == answer.choices[1].text and answer.usage is not None
    stream = client.completions.create(
        model="nano",
        prompt="hel",
        max_tokens=4,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].text and chunks[-1].usage is not None


def test_images_are_made(client: openai.OpenAI) -> None:
    made = client.images.generate(
        model="nano", prompt="a small red ball", n=2, extra_body={**QUICK, "seed": 1}
    )
    assert made.data is not None and len(made.data) == 2 and made.size == "64x64"  # type: ignore[comparison-overlap]
    pictures = [Pillow.open(io.BytesIO(b64decode(each.b64_json or ""))) for each in made.data]
    assert [picture.format for picture in pictures] == ["PNG", "PNG"]
    assert pictures[0].tobytes() != pictures[1].tobytes()
    jpeg = client.images.generate(
        prompt="a small red ball", output_format="jpeg", response_format="url", size="auto",
        extra_body=QUICK,
    )  # fmt: skip
    assert jpeg.data is not None and (jpeg.data[0].url or "").startswith("data:image/jpeg;base64,")
    with pytest.raises(openai.BadRequestError, match="this model makes 64x64"):
        client.images.generate(model="nano", prompt="a ball", size="1024x1024")


def test_one_sound_is_made_whatever_the_models_own_number(
    client: openai.OpenAI, model: AnyModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling: Any = model.modalities["audio"].sampling
    monkeypatch.setitem(sampling, "number", 2)
    assert isinstance(load(make_sound(client, input="a bell").content), Audio)


def test_audio_is_made(client: openai.OpenAI) -> None:
    made = make_sound(client, input="play the sound of a bell", seed=2)
    assert made.response.headers["content-type"] == "audio/wav"
    sound = load(made.content)
    assert isinstance(sound, Audio) and sound.samples.std() > 0
    assert make_sound(client, input="a bell", response_format="flac").content[:4] == b"fLaC"
    small = make_sound(client, input="play the sound of a bell", seed=2, response_format="mp3")
    assert small.response.headers["content-type"] == "audio/mpeg"
    assert isinstance(load(small.content), Audio) and len(small.content) < len(made.content) / 4
    with pytest.raises(openai.BadRequestError, match="response_format"):
        make_sound(client, input="a bell", response_format="pcm")
    with pytest.raises(openai.BadRequestError, match="is one file, and 'number' is 2; leave it"):
        make_sound(client, input="a bell", sampling={"audio": {"number": 2}})
    with pytest.raises(openai.BadRequestError, match="n: .*less than or equal to 1"):
        make_sound(client, input="a bell", n=2)
    with pytest.raises(openai.BadRequestError, match="makes no speech"):
        client.audio.speech.create(model="nano", voice="alloy", input="a bell")


def test_media_are_embedded(client: openai.OpenAI, model: AnyModal) -> None:
    picture = duck()
    part = {
        "type": "image_url",
        "image_url": {"url": data_uri("image/png", picture.encode(".png"))},
    }
    made = client.embeddings.create(model="nano", input=[part, part])  # type: ignore[list-item]
    plain = client.embeddings.create(model="nano", input=[part], encoding_format="float")  # type: ignore[list-item]
    vector = np.asarray(made.data[1].embedding)
    assert np.allclose(vector, plain.data[0].embedding, atol=1e-6) and made.data[1].index == 1
    encoder: Any = model.encoders["image"]
    wanted = encoder.embed(encoder.prepare(picture)[None])[0].detach().numpy()
    assert np.allclose(vector, wanted, atol=1e-5)
    with pytest.raises(
        openai.BadRequestError, match="embeds image, audio, video, imu, and no text"
    ):
        client.embeddings.create(model="nano", input="a ball")


def test_models_are_listed(client: openai.OpenAI) -> None:
    (known,) = client.models.list().data
    assert known.id == "nano" and known.owned_by == "anymodal"
    told = client.models.retrieve("nano").model_extra or {}
    assert told["modalities"] == {"input": ["text", "image", "audio", "video", "imu"],
                                  "output": ["text", "image", "audio", "video"]}  # fmt: skip
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'; there are: nano"):
        client.models.retrieve("other")


def test_a_client_that_leaves_cancels_its_request(url: str, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="nano", messages=[{"role": "user", "content": DRAW}], stream=True,
        extra_body={"steps": 900},
    )  # fmt: skip
    next(iter(stream))
    stream.close()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(
            model="nano", messages=[{"role": "user", "content": DRAW}], extra_body={"steps": 900}
        )
    # Both would take half a minute; what comes after them doesn't wait for them.
    answer = client.with_options(timeout=20).chat.completions.create(
        model="nano", messages=[{"role": "user", "content": DRAW}], extra_body=QUICK
    )
    assert answer.choices[0].message.content
