"""Media that replies make from others: the model's choice, the last of a kind, and the caller's."""

from __future__ import annotations

import asyncio
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.chat.references import ReplyReferences
from anymodal.chat.session import Session
from anymodal.cli.chat_commands import ChatCommands
from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.references import MASK, SOURCE, Reference
from anymodal.heads.linear import LinearHead
from anymodal.language.reply_state import SpanReady
from anymodal.media import Image, Media
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.serving.engine import Engine
from anymodal.serving.requests import ReplyRequest
from anymodal.types import Done, Message, Target
from tests.support.language_kinds import make
from tests.support.pipelines import FAMILIES
from tests.support.tiny import compose, learn_by_heart, picture, sound


@cache
def model_with(num_pointers: int) -> AnyModal:
    """A model that draws by heart, with a decoder that looks at what its picture is made from."""
    model = compose(num_pointers, ["source"])
    pairs = [(text, number) for number, text in enumerate(("the first", "the second"))]
    samples = [
        [
            Message("user", [picture(seed), picture(seed + 1), text]),
            Message("assistant", [Target("image", "a ball", None, (number,))]),
        ]
        for seed in (0, 4, 8)
        for text, number in pairs
    ]
    samples.append(
        [Message("user", "a new one"), Message("assistant", [Target("image", "a ball")])]
    )
    twice = [Target("image", "a ball"), " and ", Target("image", "a ball", None, (0,))]
    samples.append([Message("user", "twice"), Message("assistant", twice)])
    learn_by_heart(model, samples)
    decoder = model.decoders.get("image")
    layer = decoder.family.network.get_submodule(decoder.family.input_layer)
    with torch.no_grad():  # let it look at references, as training would
        layer.weight[:, decoder.family.latent_shape[0] :].normal_()
    return model


def drawn(model: AnyModal, parts: object, **settings: object) -> np.ndarray:
    reply = model.chat(parts, seed=3, **settings)  # type: ignore[call-overload]
    (image,) = reply.media
    assert isinstance(image, Image)
    return image.pixels


ONE, TWO = picture(0), picture(1)


def is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for the rounding of another pass."""
    return bool(np.abs(one.astype(int) - other).max() <= 1)


def test_a_reply_points_at_what_its_picture_is_made_from() -> None:
    model = model_with(3)
    for number, text in enumerate(("the first", "the second")):
        request = [ONE, TWO, text]
        by_number = [drawn(model, request, references={"image": n}) for n in (0, 1)]
        assert not is_same(*by_number)
        assert is_same(drawn(model, request), by_number[number])
    alone = drawn(model, "a new one")
    assert is_same(alone, drawn(model, "a new one", references={"image": []}))


def test_a_batch_and_an_engine_point_as_one_turn_does() -> None:
    model = model_with(3)
    conversations = [[ONE, TWO, "the second"], ["a new one"], [TWO, ONE, "the first"]]
    alone = [drawn(model, each) for each in conversations]
    together = model.chat(conversations, seed=[3, 3, 3])
    for message, pixels in zip(together, alone, strict=True):
        (image,) = message.media
        assert is_same(image.pixels, pixels)

    async def ask() -> list[Message]:
        engine = Engine(model)
        try:
            requests = [ReplyRequest(each, seed=3) for each in conversations]
            streams = [await engine.submit(request) for request in requests]
            events = [event for stream in streams async for event in stream]
            return [event.message for event in events if isinstance(event, Done)]
        finally:
            engine.close()

    for message, pixels in zip(asyncio.run(ask()), alone, strict=True):
        (image,) = message.media
        assert is_same(image.pixels, pixels)


def test_a_picture_is_made_from_one_of_the_same_reply() -> None:
    model = model_with(3)
    reply = model.chat("twice", seed=3)
    first, second = reply.media
    assert isinstance(first, Image) and isinstance(second, Image) and reply.text == " and "
    # The same two orders, the second of them with the first picture or without any.
    given = model.chat("twice", seed=3, references={"image": first}).media[1]
    alone = model.chat("twice", seed=3, references={"image": []}).media[1]
    assert isinstance(given, Image) and isinstance(alone, Image)
    assert is_same(second.pixels, given.pixels) and not is_same(second.pixels, alone.pixels)
    for other in model.chat([["twice"], ["a new one"]], seed=[3, 3])[0].media, ask_engine(model)[0]:
        for one, picture_there in zip((first, second), other, strict=True):
            assert isinstance(picture_there, Image)
            assert is_same(one.pixels, picture_there.pixels)


def ask_engine(model: AnyModal) -> list[list[object]]:
    async def ask() -> list[list[object]]:
        engine = Engine(model)
        try:
            stream = await engine.submit(ReplyRequest("twice", seed=3))
            events = [event async for event in stream]
            return [list(event.message.media) for event in events if isinstance(event, Done)]
        finally:
            engine.close()

    return asyncio.run(ask())


def test_without_pointers_the_last_of_the_kind_counts() -> None:
    model = model_with(0)
    last = drawn(model, [ONE, TWO, "the first"])
    assert is_same(last, drawn(model, [ONE, TWO, "the first"], references={"image": -1}))
    assert not is_same(last, drawn(model, [ONE, TWO, "the first"], references={"image": []}))


def test_a_caller_gives_a_file_or_a_medium(tmp_path: Path) -> None:
    model = model_with(0)
    ONE.save(tmp_path / "one.png")
    first = drawn(model, "a new one", references={"image": ONE})
    assert is_same(first, drawn(model, "a new one", references={"image": tmp_path / "one.png"}))
    named = [Reference(ONE, "source")]
    assert is_same(first, drawn(model, "a new one", references={"image": named}))


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({"image": 2}, "medium 2 of 2"),
        ({"image": "photo.png"}, "is no medium"),
        ({"image": None}, r"None is no medium; give one, .* or \[\] for none"),
        ({"image": True}, "True is no medium"),
        ({"image": sound()}, "looks at image as 'source'"),
        ({"image": [ONE, TWO]}, "2 media, and its decoder looks at image"),
        ({"audio": ONE}, "looks at nothing"),
        ([ONE], "give them by output"),
        ({"clip": ONE}, "this model makes image, audio"),
        ({"image": [Reference(ONE, "voice")]}, "'voice'"),
    ],
)
def test_references_that_do_not_fit_are_refused(references: Any, message: str) -> None:
    model = model_with(0)
    with pytest.raises(ValueError, match=message):
        model.stream([ONE, TWO, "the first"], references=references)


def test_of_several_pictures_the_last_is_the_start() -> None:
    language = make("llama")
    klein = DiffusionDecoder(FAMILIES["flux_2_klein"].build(), size=16, references=[SOURCE])
    head = LinearHead(input_width=language.width, num_signal_tokens=4, spec=klein.spec)
    image = Modality(decoder=klein, head=head, num_signal_tokens=4)
    model = AnyModal(language, None, {"image": image})
    talk, mask = [Message("user", [ONE, TWO, "?"])], Reference(ONE, MASK)
    hidden = torch.zeros(4, model.language.width)

    def shown(references: Any = None, **settings: object) -> list[Media]:
        chosen = ReplyReferences(
            model, talk, references, points=False, settings={"image": settings}
        )
        made_from = chosen.of(SpanReady("image", hidden, hidden), 0)
        return [each.media for each in made_from if isinstance(each, Reference)]

    assert shown() == [ONE, TWO] == shown({"image": [ONE, TWO]}, strength=0.6)
    assert shown(strength=0.6) == [TWO, ONE]
    assert shown({"image": mask}) == [TWO, ONE, ONE]
    assert shown({"image": [ONE, TWO, mask]}) == [ONE, TWO, ONE]


@pytest.mark.parametrize("pointers", [0, 3])
def test_a_mask_says_which_part_of_the_last_picture_is_made_anew(
    pointers: int, tmp_path: Path
) -> None:
    model = model_with(pointers)
    white = np.zeros_like(TWO.pixels)
    white[:, white.shape[1] // 2 :] = 255
    mask = Reference(Image(white), MASK)
    text = "a new one"
    made = drawn(model, [ONE, TWO, text], references={"image": mask})
    named = [Reference(TWO), mask]
    assert is_same(made, drawn(model, [ONE, TWO, text], references={"image": named}))
    assert not is_same(made, drawn(model, [ONE, TWO, text], references={"image": TWO}))
    session = Session(model, tmp_path / "out", seed=3)
    TWO.save(tmp_path / "two.png")
    mask.media.save(tmp_path / "mask.png")
    session.attach(tmp_path / "two.png")
    commands = ChatCommands(session, list, io.StringIO())
    commands.do(f"/reference image.mask {tmp_path / 'mask.png'}")
    list(session.ask(text))
    (image,) = session.turns[-1].reply.media
    assert isinstance(image, Image)
    assert is_same(image.pixels, drawn(model, [TWO, text], references={"image": mask}))
    with pytest.raises(ValueError, match="nothing in the conversation that it could be of"):
        model.chat(text, references={"image": mask})
    with pytest.raises(ValueError, match="looks at nothing|takes no"):
        model.chat([ONE, text], references={"audio": mask})


def test_a_session_says_what_a_reply_is_made_from(tmp_path: Path) -> None:
    model = model_with(3)
    session = Session(model, tmp_path, seed=3)
    ONE.save(tmp_path / "one.png")
    session.attach(tmp_path / "one.png")
    for answer in (session.ask("a new one", {"image": 0}), session.retry(3)):
        list(answer)
        (image,) = session.turns[-1].reply.media
        assert isinstance(image, Image)
        assert is_same(image.pixels, drawn(model, [ONE, "a new one"], references={"image": 0}))


def test_a_reference_is_typed(tmp_path: Path) -> None:
    model = model_with(0)
    session = Session(model, tmp_path, seed=3)
    ONE.save(tmp_path / "one.png")
    commands = ChatCommands(session, list, io.StringIO())
    plain = drawn(model, "a new one", references={"image": []})
    first = drawn(model, "a new one", references={"image": ONE})
    for value, expected in ((str(tmp_path / "one.png"), first), ("none", plain), ("-1", None)):
        session.reset()
        commands.do(f"/reference image {value}")
        if expected is None:
            with pytest.raises(ValueError, match="medium -1 of 0"):
                list(session.ask("a new one"))
            assert session.references == {"image": -1}  # as it was before the message
            continue
        list(session.ask("a new one"))
        (image,) = session.turns[-1].reply.media
        assert isinstance(image, Image) and is_same(image.pixels, expected)
        assert session.references == {}
    with pytest.raises(ValueError, match="name a modality"):
        commands.do("/reference image")
    with pytest.raises(FileNotFoundError):
        commands.do("/reference image nowhere.png")


def test_what_is_forced_is_made_from_the_last_of_the_kind() -> None:
    model = model_with(3)

    async def ask(**more: object) -> Message:
        engine = Engine(model)
        try:
            request = ReplyRequest([ONE, TWO, "x"], seed=3, forced=["image"], **more)  # type: ignore[arg-type]
            events = [event async for event in await engine.submit(request)]
            return next(event.message for event in events if isinstance(event, Done))
        finally:
            engine.close()

    replies = [asyncio.run(ask()), asyncio.run(ask(references={"image": -1}))]
    without = asyncio.run(ask(references={"image": []}))
    first, second, plain = (each.media[0].pixels for each in (*replies, without))  # type: ignore[attr-defined]
    assert is_same(first, second) and not is_same(first, plain)


def test_a_model_with_pointers_is_saved_and_opened(tmp_path: Path) -> None:
    model = model_with(3)
    model.save_pretrained(tmp_path)
    again = AnyModal.from_pretrained(tmp_path)
    assert again.signals.pointers == 3
    parts = [ONE, TWO, "the second"]
    assert is_same(drawn(model, parts), drawn(again, parts))


def test_what_a_caller_starts_from_is_there_where_a_reply_points_at_nothing() -> None:
    model = model_with(3)
    start = {"image": {"strength": 0.5}}
    made = drawn(model, [ONE, TWO, "a new one"], sampling=start)
    named = drawn(model, [ONE, TWO, "a new one"], sampling=start, references={"image": 1})
    assert is_same(made, named)
    assert not is_same(made, drawn(model, [ONE, TWO, "a new one"]))
    pointed = drawn(model, [ONE, TWO, "the first"], sampling=start)
    first = drawn(model, [ONE, TWO, "the first"], sampling=start, references={"image": 0})
    assert is_same(pointed, first)


def test_a_setting_of_all_media_is_about_the_references_of_any() -> None:
    model = model_with(0)
    everywhere = {name: {"strength": 0.5} for name in ("image", "audio")}
    made = drawn(model, [ONE, "a new one"], sampling=everywhere)
    alone = drawn(model, [ONE, "a new one"], sampling={"image": {"strength": 0.5}})
    assert is_same(made, alone)
    with pytest.raises(ValueError, match="no image or audio to be one"):
        model.stream("a new one", sampling=everywhere)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no audio to be one"):
        model.stream([ONE, "a new one"], sampling={"audio": {"strength": 0.5}})


def test_a_part_of_what_was_only_played_is_refused_until_it_is_named() -> None:
    language = make("llama")
    pipeline = FAMILIES["stable_audio_3"].build()
    decoder = DiffusionDecoder(pipeline, seconds=1.0, references=[SOURCE])
    head = LinearHead(input_width=language.width, num_signal_tokens=4, spec=decoder.spec)
    audio = Modality(decoder=decoder, head=head, num_signal_tokens=4)
    model = AnyModal(language, None, {"audio": audio})
    settings = {"audio": {"span": [0.0, None]}}
    messages = [Message("user", [sound(), "?"])]
    with pytest.raises(ValueError, match=r"name it, as references={'audio': -1}"):
        ReplyReferences(model, messages, settings=settings)
    ReplyReferences(model, messages, {"audio": -1}, settings=settings)


def answered(session: Session, answer: Any) -> np.ndarray:
    list(answer)
    (image,) = session.turns[-1].reply.media
    assert isinstance(image, Image)
    return image.pixels


def test_a_message_keeps_what_its_media_are_made_from(tmp_path: Path) -> None:
    model = model_with(0)
    first = drawn(model, "a new one", references={"image": ONE})
    plain = drawn(model, "a new one", references={"image": []})
    session = Session(model, tmp_path, seed=3)
    assert is_same(answered(session, session.ask("a new one", {"image": ONE})), first)
    assert is_same(answered(session, session.edit("a new one")), first)
    session.references["image"] = []  # said since: it is for the next message, not for the last
    assert is_same(answered(session, session.retry(3)), first)
    assert session.references == {"image": []}
    assert is_same(answered(session, session.edit("a new one")), plain)
    assert is_same(answered(session, session.retry(3)), plain)


def test_a_saved_message_keeps_what_its_media_are_made_from(tmp_path: Path) -> None:
    model, path = model_with(0), tmp_path / "one.png"
    ONE.save(path)
    TWO.save(tmp_path / "two.png")
    session, again = Session(model, tmp_path, seed=3), Session(model, tmp_path)
    session.attach(tmp_path / "two.png")
    for references, same in ({"image": path}, ONE), ({"image": []}, []), ({"image": 0}, 0):
        made = answered(session, session.ask("a new one", references))
        assert is_same(
            made, answered(session, session.retry(session.seed + len(session.turns) - 1))
        )
        again.load(session.save(tmp_path / "saved"))
        retried = answered(again, again.retry(session.turns[-1].seed))
        assert is_same(made, retried), same
    answered(session, session.ask("a new one", {"image": ONE}))
    again.load(session.save(tmp_path / "saved"))
    for attempt in again.retry(3), again.edit("a new one"):
        with pytest.raises(ValueError, match="the image of this message .* /reference image FILE"):
            list(attempt)
    again.references = {"image": ONE}
    last = session.turns[-1].seed
    made = answered(session, session.retry(last))
    assert is_same(answered(again, again.retry(last)), made) and not again.references


def test_a_number_counts_in_a_whole_conversation(tmp_path: Path) -> None:
    model = model_with(0)
    ONE.save(tmp_path / "one.png")
    TWO.save(tmp_path / "two.png")
    session = Session(model, tmp_path, seed=3)
    model.history_turns = 1
    try:
        for name in ("one", "two", "two"):
            session.attach(tmp_path / f"{name}.png")
            answered(session, session.ask("a new one", {"image": []}))
        assert not any(each == ONE for message in session.messages for each in message.media)
        made = answered(session, session.ask("a new one", {"image": 0}))
        talk = [*session._visible(3), session.turns[3].question]
        expected = model.chat(talk, seed=6, references={"image": ONE}).media[0]
        assert isinstance(expected, Image) and is_same(made, expected.pixels)
        with pytest.raises(ValueError, match="medium 8 of 7"):
            list(session.ask("a new one", {"image": 8}))
    finally:
        model.history_turns = None
