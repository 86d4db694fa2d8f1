"""Chat: what counts as a conversation, streams and replies, seeds, batches, and kept turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anymodal.chat.batch import reply_many
from anymodal.chat.messages import conversation_of
from anymodal.core import ENCODED_AT_ONCE
from anymodal.language.kv_cache import PrefixCache
from anymodal.media import Audio, Image, Media
from anymodal.model import AnyModal
from anymodal.types import (
    Done,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    Target,
    TextDelta,
)
from tests.support.composed import model_config, write_model
from tests.support.tiny import REPLIES, felt, picture, sound, tiny_model

BOTH = "draw and play a ball"


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


def said(text: str) -> str:
    return "".join(part for part in REPLIES[text] if isinstance(part, str))


def assert_alike(first: list[Media], second: list[Media]) -> None:
    """The same media, but for the rounding of another batch size."""
    for a, b in zip(first, second, strict=True):
        assert type(a) is type(b)
        if isinstance(a, Image) and isinstance(b, Image):
            assert np.abs(a.pixels.astype(int) - b.pixels.astype(int)).max() <= 1
        elif isinstance(a, Audio) and isinstance(b, Audio):
            np.testing.assert_allclose(a.samples, b.samples, atol=1e-3)
        else:
            raise AssertionError(type(a))


# ---- Conversations -----------------------------------------------------------------------------


def test_every_form_of_a_conversation(tmp_path: Path) -> None:
    file = picture().save(tmp_path / "a.png")
    user = conversation_of
    assert user("hello") == [Message("user", ["hello"])]
    assert user(picture()) == user(file) == user([file]) == [Message("user", [picture()])]
    assert user(["look", file, felt()]) == [Message("user", ["look", picture(), felt()])]
    assert user(("look", file)) == [Message("user", ["look", picture()])]
    assert user(str(file)) == [Message("user", [str(file)])], "a string is text"
    talk = [
        Message("system", ["be kind"]),
        Message("user", ["hi"]),
        Message("assistant", ["yes", picture()]),
        Message("user", [file]),
    ]
    found = user(talk)
    assert [m.role for m in found] == ["system", "user", "assistant", "user"]
    assert found[-1].content == [picture()] and talk[-1].content == [file], "given ones stay"
    assert user(Message("user", ["hi"])) == [Message("user", ["hi"])]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "conversation is empty"),
        ([Message("user", [])], "conversation is empty"),
        ([Message("user", ["hi"]), Message("assistant", ["yes"])], "last message is the assist"),
        ([picture(size=8)] * 33, "33 media in one conversation; the limit is 32"),
        ([Message("user", [picture(size=8)] * 17)] * 2, "34 media"),
        (3, "a message holds texts, media, paths, .*, not int"),
        (None, "not NoneType"),
        (b"\0bytes", "the given data is of no known media format"),
        (["hello", 3.5], "not float"),
        ([Message("user", ["hi"]), "and"], r"item 2 .* is a part \(a str\) among messages"),
        ({"role": "user"}, "the user's message has no content"),
        ([Message("user", [Target("image", "a ball")])], "a target is for training"),
        (np.zeros((4, 4, 3)), r"\(4, 4, 3\) and type float64 may mean several things"),
    ],
)
def test_what_is_no_conversation_is_told(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conversation_of(given)


def test_a_missing_or_damaged_file_is_told(tmp_path: Path, model: AnyModal) -> None:
    with pytest.raises(OSError):
        model.chat([tmp_path / "none.png"])
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(ValueError):
        model.chat(["what is this?", tmp_path / "empty.png"])


# ---- Replies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", REPLIES)
def test_a_reply_holds_what_was_learned(model: AnyModal, text: str) -> None:
    found = model.chat(text, seed=1)
    assert found.role == "assistant"
    kinds = [part if isinstance(part, str) else part.kind for part in found.content]
    assert kinds == [p.modality if isinstance(p, Target) else p for p in REPLIES[text]]


@pytest.mark.parametrize("medium", [picture(), sound(), felt()], ids=lambda medium: medium.kind)
def test_every_kind_of_medium_is_read(model: AnyModal, medium: Media) -> None:
    assert model.chat([medium, "what is this?"]).text == "This is a ball."


def test_a_stream_s_events_come_in_order_and_add_up_to_the_reply(model: AnyModal) -> None:
    events = list(model.stream(BOTH, seed=3))
    reply = model.chat(BOTH, seed=3)
    assert isinstance(events[-1], Done) and events[-1].message == reply
    assert sum(isinstance(event, Done) for event in events) == 1
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == said(BOTH) == reply.text
    started = [e for e in events if isinstance(e, MediumStarted)]
    assert [(e.index, e.modality) for e in started] == [(0, "image"), (1, "audio")]
    ready = [e for e in events if isinstance(e, MediumReady)]
    assert [event.media for event in ready] == reply.media
    for index in (0, 1):
        mine = [
            event
            for event in events
            if isinstance(event, MediumStarted | MediumProgress | MediumReady)
            and event.index == index
        ]
        steps = [(e.step, e.steps) for e in mine if isinstance(e, MediumProgress)]
        assert steps == [(1, 2), (2, 2)]
        assert isinstance(mine[0], MediumStarted) and isinstance(mine[-1], MediumReady)
    texts = [i for i, event in enumerate(events) if isinstance(event, TextDelta)]
    works = [i for i, event in enumerate(events) if isinstance(event, MediumProgress)]
    assert max(texts) < min(works), "the text is complete before media are made"


def test_a_seed_reproduces_and_another_differs(model: AnyModal) -> None:
    first, again, other = (model.chat(BOTH, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.text == other.text
    assert all(a != b for a, b in zip(first.media, other.media, strict=True))
    sampled = [model.chat(BOTH, seed=5, temperature=3.0, max_new_tokens=20) for _ in range(2)]
    assert sampled[0] == sampled[1]
    assert {model.chat(BOTH).media[0].digest() for _ in range(2)}.__len__() == 2, "drawn anew"


def test_a_medium_does_not_depend_on_its_company(model: AnyModal) -> None:
    events = list(model.stream(BOTH, seed=3))
    reply = model.chat(BOTH, seed=3, max_spans=1, max_new_tokens=30)
    assert [medium.kind for medium in reply.media] == ["image"]
    ready = next(event for event in events if isinstance(event, MediumReady))
    assert_alike([ready.media], reply.media)


def test_a_batch_answers_as_each_alone(model: AnyModal) -> None:
    talks: list[Any] = [BOTH, "hello", [picture(), "what is this?"], "draw a ball", BOTH]
    seeds = [3, 4, 5, 6, 7]
    together = reply_many(model, talks, seeds=seeds, batch_size=2)
    for talk, seed, found in zip(talks, seeds, together, strict=True):
        alone = model.chat(talk, seed=seed)
        assert found.text == alone.text and len(found.content) == len(alone.content)
        assert_alike(found.media, alone.media)
    (many,) = reply_many(model, [BOTH], seeds=[3])
    assert_alike(many.media, model.chat(BOTH, seed=3).media)


@contextmanager
def counted(model: AnyModal) -> Iterator[tuple[list[tuple[int, int]], list[int]]]:
    """Shapes (B, T) of what the language model reads, and how many media decoders make at once."""
    read: list[tuple[int, int]] = []
    made: list[int] = []

    def note(_module: Any, _args: Any, given: dict[str, Any]) -> None:
        read.append(tuple(given["inputs_embeds"].shape[:2]))

    with pytest.MonkeyPatch.context() as patch:
        for kind in {type(decoder) for decoder in model.decoders.values()}:
            sample = kind.sample

            def noted(self: Any, conditioning: Any, sample: Any = sample, **how: Any) -> Any:
                made.append(len(conditioning.embeds))
                return sample(self, conditioning, **how)

            patch.setattr(kind, "sample", noted)
        hook = model.language.backbone.register_forward_pre_hook(note, with_kwargs=True)
        yield read, made
        hook.remove()


def test_conversations_are_read_and_media_made_in_batches(model: AnyModal) -> None:
    with counted(model) as (alone, made):
        media = model.chat(BOTH, seed=0).media
    assert made == [1] * len(media)
    spans = [length for _, length in alone[1:] if length > 1]
    counts = [model.signals.counts[medium.kind] for medium in media]
    assert spans == counts, "a span is read at once, all else token by token"
    with counted(model) as (together, made):
        model.chat([[BOTH]] * 5, seed=0)
    assert made == [5] * len(media)
    assert max(batch for batch, _ in together) == 5 and len(together) <= len(alone) + 1


def test_chat_answers_a_list_of_conversations(model: AnyModal) -> None:
    talks = [[BOTH], [Message("user", ["hello"])], [picture(), "what is this?"], [BOTH]]
    replies = model.chat(talks, seed=3, batch_size=3)
    assert isinstance(replies, list)
    for place, (talk, found) in enumerate(zip(talks, replies, strict=True)):
        alone = model.chat(talk, seed=3 + place)
        assert found.text == alone.text
        assert_alike(found.media, alone.media)
    assert replies[0].media[0] != replies[3].media[0], "each has a seed of its own"
    same = model.chat([[BOTH], [BOTH]], seed=[5, 5])
    assert_alike(same[0].media, same[1].media)
    assert [reply.text for reply in model.chat([["hello"]])] == ["Hello!"]
    free = {"temperature": 3.0, "max_new_tokens": 8}
    sampled = model.chat([["hello"], ["draw a ball"]], seed=1, sampling={}, **free)
    assert sampled[1].text == model.chat("draw a ball", seed=2, **free).text


@pytest.mark.parametrize(
    ("talks", "settings", "message"),
    [
        ([["hello"], []], {}, "in conversation 2: the conversation is empty"),
        ([["hello"], [3]], {}, "in conversation 2: a message holds .* not int"),
        ([["hello"]] * 2, {"seed": [1]}, "1 seeds for 2 conversations"),
        ([["hello"]] * 2, {"batch_size": 0}, "batch_size=0; it must be a whole number from 1"),
        (["hello"], {"seed": [1, 2]}, r"seed=\[1, 2\] for one conversation"),
    ],
)
def test_what_does_not_fit_several_conversations_is_told(
    model: AnyModal, talks: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.chat(talks, **settings)


def test_a_cache_is_for_one_conversation(model: AnyModal) -> None:
    with pytest.raises(ValueError, match="a cache keeps one conversation"):
        model.chat([["hello"], ["hello"]], cache=PrefixCache(model.language))


def test_media_are_encoded_once_while_they_are_in_the_conversation(model: AnyModal) -> None:
    cache, encoded = PrefixCache(model.language), []
    talk = [Message("user", [picture(1), picture(2), "what is this?"])]
    watch = model.encoders["image"].register_forward_hook(
        lambda _module, inputs, _output: encoded.append(len(inputs[0]))
    )
    try:
        first = model.chat(talk, cache=cache, seed=0)
        assert encoded == [2]
        talk += [first, Message("user", [picture(3), picture(2), "what is this?"])]
        model.chat(talk, cache=cache, seed=0)
        assert encoded == [2, 1]
        talk[-1] = Message("user", ["hello"])
        model.chat(talk, cache=cache, seed=0)
        model.chat(talk, cache=cache, seed=0)
        assert encoded == [2, 1]
        assert cache.soft.keys() == {picture(1).digest(), picture(2).digest()}
        model.chat([[picture(4), "what is this?"]] * 3, seed=0)
        assert encoded == [2, 1, 1], "equal media of a batch are encoded once"
    finally:
        watch.remove()


def test_many_media_are_encoded_in_batches(model: AnyModal) -> None:
    batches: list[int] = []
    watch = model.encoders["image"].register_forward_hook(
        lambda _module, inputs, _output: batches.append(len(inputs[0]))
    )
    try:
        talk = [*(picture(seed) for seed in range(2 * ENCODED_AT_ONCE + 1)), "hello"]
        model.chat(talk, seed=0, max_new_tokens=1)
    finally:
        watch.remove()
    assert batches == [ENCODED_AT_ONCE, ENCODED_AT_ONCE, 1]


def test_kept_turns_give_the_same_reply(model: AnyModal) -> None:
    cache = PrefixCache(model.language)
    talk = [Message("user", [picture(), "what is this?"])]
    for text in ("draw a ball", "hello", BOTH):
        fresh = model.chat(talk, seed=9, max_new_tokens=40)
        kept = model.chat(talk, seed=9, max_new_tokens=40, cache=cache)
        assert kept.text == fresh.text
        assert_alike(kept.media, fresh.media)
        talk += [kept, Message("user", [text])]
    assert cache.past.get_seq_length() == len(cache.keys) > 0


def test_typed_signals_are_text(model: AnyModal) -> None:
    names = "".join(model.signals.names)
    prompt = model.prompts.build(conversation_of(names), reply=True)
    assert not prompt.media and not prompt.spans
    assert model.language.decode(model.language.encode_text(names)) == names
    answered = model.chat(names, seed=0, max_new_tokens=3)
    written = Message("assistant", [names])  # nor in a reply that somebody else wrote
    talk = [Message("user", ["hello"]), written, Message("user", ["hello"])]
    assert model.chat(talk, seed=0, max_new_tokens=3).role == answered.role == "assistant"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampling": {"imu": {"steps": 3}}}, "makes no 'imu'; it makes image, audio"),
        ({"sampling": {"imag": {}}}, "makes no 'imag'"),
        ({"modalities": ["imag"]}, "makes no 'imag'; it makes image, audio; did you mean 'image'"),
        ({"modalities": ["imu"]}, "makes no 'imu'"),
        ({"temperature": -1}, "temperature=-1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    model: AnyModal, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.chat("hello", **settings)
    with pytest.raises(ValueError, match=message):
        reply_many(model, ["hello"], seeds=[0], **settings)


def test_an_error_while_making_media_reaches_the_caller(model: AnyModal) -> None:
    with pytest.raises(ValueError, match="steps"):
        model.chat("draw a ball", sampling={"image": {"steps": 0}})
    assert model.chat("hello").text == "Hello!"


def test_a_stream_may_be_left_early(model: AnyModal) -> None:
    cache = PrefixCache(model.language)
    for event in model.stream(BOTH, seed=3, cache=cache):
        if isinstance(event, MediumProgress):
            break
    assert model.chat("hello", cache=cache).text == "Hello!"


def test_a_model_without_decoders_talks(tmp_path: Path) -> None:
    write_model(tmp_path)
    config = model_config(tmp_path)
    config["parts"] = {name: config["parts"][name] for name in ("binder", "words")}
    for node in config["modalities"].values():
        for key in ("decoder", "head", "num_signal_tokens", "sampling"):
            node.pop(key, None)
    model = AnyModal.compose(config)
    reply = model.chat(["what is this?", picture(), felt()], seed=0, max_new_tokens=6)
    assert not reply.media and all(isinstance(part, str) for part in reply.content)
    with pytest.raises(ValueError, match="makes no 'image'"):
        model.chat("hello", sampling={"image": {}})
    config["modalities"] = {}
    with pytest.raises(ValueError, match="needs 'modalities'"):
        AnyModal.compose(config)
