"""Pointers: media that a reply names before the span that is made from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.language.generation import generate
from anymodal.language.kv_cache import PrefixCache
from anymodal.language.pointers import OutputKind, OwnPointers, PendingMedium, PointedMedium
from anymodal.language.reply_state import Prompt, SpanReady
from anymodal.language.sampling import Sampling
from anymodal.language.signal_tokens import Signals
from anymodal.language.text_stream import TextToken
from anymodal.media import Image
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, Target
from tests.language.test_signals import tiny_language
from tests.support.tiny import compose, picture, sound

LANGUAGE = tiny_language()
SIGNALS = Signals.add_to(LANGUAGE, {"picture": 3, "clip": 1}, ["picture"], pointers=3)
MEDIA = [Image(np.full((2, 2, 3), value, np.uint8)) for value in range(3)]
POINTERS = {
    SIGNALS.pointer(0): PointedMedium(MEDIA[0], ("picture",)),
    SIGNALS.pointer(1): PointedMedium(MEDIA[1], ("picture", "clip")),
}


@settings(deadline=None, max_examples=60)
@given(
    likely=st.lists(st.floats(-8, 8), min_size=8, max_size=8),
    sampling=st.builds(
        Sampling,
        max_new_tokens=st.integers(1, 14),
        temperature=st.sampled_from([0.0, 0.5, 1.5]),
        max_spans=st.none() | st.integers(0, 3),
        modalities=st.sampled_from([None, ["clip"], ["picture"]]),
    ),
    seed=st.integers(0, 2**31),
    names_own=st.booleans(),
)
def test_a_pointer_is_followed_by_a_span_from_what_it_names(
    likely: list[float], sampling: Sampling, seed: int, names_own: bool
) -> None:
    """Whatever the scores of the tokens, and whatever the settings and limits of a reply."""
    ids = LANGUAGE.encode_text("a red ball")
    with torch.no_grad():
        own = OwnPointers(2, {"picture": OutputKind(Image, ("clip",))} if names_own else {})
        prompt = Prompt(LANGUAGE.embed(ids), list(ids), POINTERS, own)
        hidden = LANGUAGE(prompt.embeds[None])[0, -1]
        LANGUAGE.output_rows.copy_(torch.tensor(likely)[:, None] * hidden / hidden.square().sum())
    cache = PrefixCache(LANGUAGE)
    generator = torch.Generator().manual_seed(seed)
    events = list(generate(LANGUAGE, SIGNALS, prompt, sampling, generator=generator, cache=cache))
    reply = [key for key in cache.keys[len(ids) :] if isinstance(key, int)]
    assert len(reply) <= sampling.max_new_tokens
    spans = iter(event for event in events if isinstance(event, SpanReady))
    pointed: list[int] = []
    pointers, made, last = dict(POINTERS), 0, -1
    for token in reply:
        last, before = token, last
        if SIGNALS.is_pointer(token) and before in (SIGNALS.span("picture")[-1],) and names_own:
            # Behind a picture stands its own, which names it from now on.
            assert token == SIGNALS.pointer(2 + made - 1)
            pointers[token] = PointedMedium(PendingMedium(made - 1, Image), ("clip",))
        elif SIGNALS.is_pointer(token):
            pointed.append(token)
        elif token in SIGNALS.starts:
            span = next(spans)
            made += 1
            assert len(span.hidden) == len(span.embeds) == SIGNALS.counts[span.name]
            assert list(span.references) == [pointers[each].media for each in pointed]
            assert all(span.name in pointers[each].outputs for each in pointed)
            assert len(set(pointed)) == len(pointed)
            pointed = []
        else:
            assert not pointed, "a text behind a pointer"
    assert not pointed and next(spans, None) is None
    texts = [token for event in events if isinstance(event, TextToken) for token in event.ids]
    assert not any(SIGNALS.first_id <= token < SIGNALS.stop_id for token in texts)


def test_media_are_marked_and_targets_name_them() -> None:
    model = compose(num_pointers=2, references=["source"])
    made = picture(3)
    messages = [
        Message("user", [picture(1), sound(), "now green"]),
        Message("assistant", ["Here: ", Target("image", "a green ball", made, (0,))]),
        Message("user", "and red"),
        Message("assistant", [Target("image", "a red ball", picture(4), (2,))]),
    ]
    prompt = model.prompts.build(messages, reply=False)
    signals = model.signals
    tokens = [token for token in prompt.ids if signals.is_pointer(token)]
    zero, one = signals.pointer(0), signals.pointer(1)
    # The two of the user; the reply's, what is made from it and its own (2, counted around); that
    # again, where it is shown; the second reply's, and its own.
    assert tokens == [zero, one, zero, zero, zero, zero, one]
    assert [item.number for item in prompt.media] == [0, 1, 2]
    for item in prompt.media:
        assert prompt.ids[item.start - 1] == signals.pointer(item.number)
    places = [i for i, token in enumerate(prompt.ids) if token in signals.starts]
    assert [prompt.labels[i - 1] for i in places] == [zero, zero]
    supervised = [i for i, label in enumerate(prompt.labels) if signals.is_pointer(label)]
    assert supervised == [i - 1 for i in places]
    pointed = model.prompts.pointed_media(prompt)
    assert {token: item.media for token, item in pointed.items()} == {zero: made}
    assert pointed[zero].outputs == ("image",)  # no decoder looks at sounds


def test_a_target_names_one_of_its_own_message() -> None:
    model = compose(num_pointers=4, references=["source"])
    first, second = picture(3), picture(4)
    targets = [Target("image", "a ball", first), Target("image", "a red ball", second, (1,))]
    messages = [Message("user", [picture(1), "a ball, and red"]), Message("assistant", targets)]
    prompt = model.prompts.build(messages, reply=False)
    tokens = [token for token in prompt.ids if model.signals.is_pointer(token)]
    assert tokens == [model.signals.pointer(number) for number in (0, 1, 1, 2)]
    chosen = [token for token in prompt.labels if model.signals.is_pointer(token)]
    assert chosen == [model.signals.pointer(1)], "the others follow by construction"
    assert [span.number for span in prompt.spans] == [1, 2]
    batch = Dialogue(model).collate([messages])
    assert batch.references("image") == [[], [first]]


def test_a_target_points_at_nothing_that_its_decoder_does_not_look_at() -> None:
    model = compose(num_pointers=4, references=["source"])
    target = Target("image", "its picture", picture(3), (0, 1))
    messages = [Message("user", [sound(), picture(1), "draw it"]), Message("assistant", [target])]
    prompt = model.prompts.build(messages, reply=False)
    chosen = [token for token in prompt.labels if model.signals.is_pointer(token)]
    assert chosen == [model.signals.pointer(1)], "no reply could write the sound's"


def test_without_pointers_a_prompt_is_what_it_was() -> None:
    plain, wide = compose(), compose(references=["source"])
    target = Target("image", "a green ball", picture(3), (0,))
    messages = [Message("user", [picture(1), "now green"]), Message("assistant", [target])]
    without = [messages[0], Message("assistant", [Target("image", "a green ball", picture(3))])]
    first = plain.prompts.build(without, reply=False)
    for model in (plain, wide):
        assert model.prompts.build(messages, reply=False).ids == first.ids
        assert model.prompts.pointed_media(first) == {}


@pytest.mark.parametrize(
    ("pointers", "number", "says"),
    [(2, 0, "only the last 2 of 3"), (2, 3, "3 stand before it"), (0, 3, "3 stand before it")],
)
def test_what_is_not_shown_by_then_is_refused(pointers: int, number: int, says: str) -> None:
    model = compose(num_pointers=pointers, references=["source"])
    media = [picture(seed) for seed in range(3)]
    # Number 3 is the target itself: a decoder would learn from its own result.
    target = Target("image", "a ball", picture(4), (number,))
    with pytest.raises(ValueError, match=f"medium {number} .* {says}"):
        model.prompts.build([Message("user", media), Message("assistant", [target])], reply=False)


def test_a_target_with_references_is_written_and_read() -> None:
    target = Target("image", "a ball", None, (0, 2))
    message = Message("assistant", [target])
    assert Message.from_dict(message.to_dict()) == message
    with pytest.raises(ValueError, match="numbers of media"):
        Message.from_dict(
            {"role": "assistant", "content": [
                {"type": "target", "modality": "image", "caption": "a ball", "references": [-1]}
            ]}
        )  # fmt: skip


def test_too_many_pointers_are_refused() -> None:
    with pytest.raises(ValueError, match="num_pointers=257; give 0 to 256"):
        Signals({}, [], 5, pointers=257)
