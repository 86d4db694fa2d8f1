"""Conversations laid out and packed: slots, spans, what is supervised, what typed text can do."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anymodal.language.model import IGNORED
from anymodal.language.packing import LONGEST, ROW, pack
from anymodal.language.prompt import ChatPrompt, _Parts
from anymodal.media import Depth
from anymodal.model import AnyModal
from anymodal.training.objectives import Dialogue
from anymodal.types import Message, SoftRun, Target
from tests.support.tiny import DRAWN, SLOTS, conversations, felt, picture, sound, tiny_model


@pytest.fixture(scope="module")
def model() -> AnyModal:
    return tiny_model()


def own_ids(model: AnyModal, ids: list[int]) -> list[int]:
    return [token for token in ids if model.signals.first_id <= token < model.signals.stop_id]


# ---- Building ------------------------------------------------------------------------------------


def test_media_stand_where_they_were_given(model: AnyModal) -> None:
    given_media = [picture(), felt(), sound()]
    message = Message("user", [given_media[0], "then", *given_media[1:], "what?"])
    prompt = model.prompts.build([message], reply=True)
    assert [item.modality for item in prompt.media] == ["image", "imu", "audio"]
    assert [item.media for item in prompt.media] == given_media
    for item in prompt.media:
        slots = prompt.ids[item.start : item.start + SLOTS]
        assert slots == [model.signals.placeholder(item.modality)] * SLOTS
    starts = [item.start for item in prompt.media]
    assert starts[1] > starts[0] + SLOTS and starts[2] == starts[1] + SLOTS
    assert len(own_ids(model, prompt.ids)) == 3 * SLOTS
    assert set(prompt.labels) == {IGNORED} and len(prompt.labels) == len(prompt.ids)


def test_media_stand_first_where_a_model_knows_no_other_order() -> None:
    model = tiny_model()
    model.media_first = True
    model.prompts = model.build_prompt_builder()
    image, clip = picture(), sound()
    message = Message("user", ["what", image, "is this?", clip])
    ordered = Message("user", [image, clip, "what", "is this?"])
    late, first = (model.prompts.build([each], reply=True) for each in (message, ordered))
    assert late.ids == first.ids and [item.media for item in late.media] == [image, clip]
    assert message.content == ["what", image, "is this?", clip], "left as it was"


def test_keys_tell_media_apart_and_equal_ones_alike(model: AnyModal) -> None:
    def keys(medium: object) -> list:
        prompt = model.prompts.build([Message("user", [medium, "hello"])], reply=True)
        return prompt.keys()

    assert keys(picture(0)) == keys(picture(0)) != keys(picture(1))
    differ = [a != b for a, b in zip(keys(picture(0)), keys(picture(1)), strict=True)]
    assert sum(differ) == SLOTS


def test_the_reply_its_first_signals_and_its_end_are_supervised(model: AnyModal) -> None:
    drawn = Target("image", "a ball", picture())
    talk = [
        Message("system", ["be kind"]),
        Message("user", [sound(), "draw"]),
        Message("assistant", ["Here: ", drawn, " done"]),
    ]
    prompt = model.prompts.build(talk, reply=False)
    span = model.signals.span("image")
    learned = [token for token in prompt.labels if token != IGNORED]
    end = [learned[-1]]
    said = model.language.encode_text("Here: "), model.language.encode_text(" done")
    assert learned == [*said[0], span[0], *said[1], *end]
    assert end[0] in model.language.stops
    for token, label in zip(prompt.ids, prompt.labels, strict=True):
        assert label in (IGNORED, token)
    (found,) = prompt.spans
    assert found.target is drawn
    assert prompt.ids[found.start : found.start + len(span)] == span
    assert prompt.labels[found.start : found.start + len(span)] == [span[0]] + [IGNORED] * 3


def test_a_reply_that_is_not_supervised_has_no_labels(model: AnyModal) -> None:
    def learned(first: bool, second: bool) -> list[int]:
        turns = [
            Message("user", "hi"),
            Message("assistant", "hello", supervised=first),
            Message("user", "bye"),
            Message("assistant", "goodbye", supervised=second),
        ]
        prompt = model.prompts.build(turns, reply=False)
        return [label for label in prompt.labels if label != IGNORED]

    one, other = learned(True, False), learned(False, True)
    assert one and other and learned(True, True) == one + other and not learned(False, False)


def test_what_a_reply_made_is_shown_at_the_head_of_the_next_message(model: AnyModal) -> None:
    drawn, heard, given_medium = picture(3), sound(4), felt()
    for reply in (
        [Target("image", "a ball", drawn), "and", Target("audio", "a ball", heard)],
        [drawn, "and", heard],  # as a chat's own history has it
    ):
        talk = [
            Message("user", ["draw and play"]),
            Message("assistant", list(reply)),
            Message("user", [given_medium, "now red"]),
        ]
        prompt = model.prompts.build(talk, reply=True)
        assert [item.media for item in prompt.media] == [drawn, heard, given_medium]
        assert [span.target.modality for span in prompt.spans] == ["image", "audio"]
        assert all(item.start > prompt.spans[-1].start for item in prompt.media)
        assert not model.prompts.build(talk[:2], reply=False).media


def test_a_target_without_a_medium_is_not_shown(model: AnyModal) -> None:
    talk = [Message("user", ["a"]), Message("assistant", [DRAWN]), Message("user", ["b"])]
    prompt = model.prompts.build(talk, reply=True)
    assert not prompt.media and len(prompt.spans) == 1


def test_what_cannot_be_laid_out_is_told(model: AnyModal) -> None:
    with pytest.raises(ValueError, match="conversation is empty"):
        model.prompts.build([], reply=True)
    depth = Depth(torch.ones(4, 4).numpy())
    with pytest.raises(ValueError, match="no encoder of this model reads Depth; it reads Audio"):
        model.prompts.build([Message("user", [depth])], reply=True)


def test_slots_and_spans_that_do_not_match_are_told_with_both_counts(model: AnyModal) -> None:
    slots = ChatPrompt([model.signals.placeholder("image")] * 2)
    parts = _Parts([picture()], [[SoftRun(SLOTS)]], texts=[""])
    with pytest.raises(ValueError, match=f"2 placeholders and its 1 media items take {SLOTS};"):
        model.prompts._locate(slots, parts)
    spans = ChatPrompt(model.signals.span("image") * 2)
    with pytest.raises(ValueError, match="2 signal spans for 1 media to make"):
        model.prompts._locate(spans, _Parts(targets=[DRAWN]))


NAMES = [
    *tiny_model().signals.names,
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|pad|>",
    "\ue0000\ue001",
]


@given(
    texts=st.lists(
        st.lists(st.sampled_from(NAMES) | st.text(max_size=8), max_size=5).map("".join),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=40)
def test_no_typed_text_becomes_a_signal_or_placeholder(texts: list[str]) -> None:
    model = tiny_model()
    plain = model.prompts.build(
        [Message("user", []), Message("assistant", [])] * len(texts), reply=True
    )
    talk = [m for t in texts for m in (Message("user", [t]), Message("assistant", [t]))]
    prompt = model.prompts.build(talk, reply=True)
    assert not own_ids(model, prompt.ids) and not prompt.media and not prompt.spans
    reserved = model.language.template.reserved
    frame = [token for token in plain.ids if token in reserved]
    assert [token for token in prompt.ids if token in reserved] == frame
    assert model.language.decode(model.language.encode_text(texts[0])) == texts[0]


# ---- Packing -----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, ROW + 20), min_size=1, max_size=12),
    st.sampled_from([None, 32, 4096]),
)
@settings(max_examples=50)
def test_packing_keeps_every_sequence_whole(lengths: list[int], width: int | None) -> None:
    sequences = [[index * 1000 + k for k in range(length)] for index, length in enumerate(lengths)]
    packed = pack(sequences, sequences, width=width)
    assert packed.ids.shape == packed.labels.shape == packed.positions.shape
    assert packed.ids.shape[1] <= max(ROW if width is None else LONGEST, *lengths, 1)
    taken = torch.zeros_like(packed.ids)
    for (row, start), ids in zip(packed.places, sequences, strict=True):
        where = (row, slice(start, start + len(ids)))
        assert packed.ids[where].tolist() == ids
        assert packed.positions[where].tolist() == list(range(len(ids)))
        assert packed.labels[where].tolist() == [IGNORED, *ids[1:]]
        taken[where] += 1
    assert taken.max() == 1
    assert (packed.labels[taken == 0] == IGNORED).all()


def test_wide_models_get_longer_rows_and_less_padding() -> None:
    sequences = [[1] * (70 + 7 * index % 45) for index in range(64)]
    given = sum(map(len, sequences))
    plain, narrow, wide = (pack(sequences, sequences, width=w) for w in (None, 64, 4096))
    assert plain.ids.shape[1] <= ROW < wide.ids.shape[1] <= LONGEST
    assert given <= wide.ids.numel() < 1.07 * given < plain.ids.numel()
    # Attention over long rows would cost a narrow one more than padding does.
    assert narrow.ids.shape[1] < wide.ids.shape[1]
    long = [[1] * 2000, [1]]
    assert pack(long, long, width=4096).ids.shape == (2, 2000)


def hidden_of(model: AnyModal, talks: list) -> tuple[torch.Tensor, list[torch.Tensor]]:
    batch = model.prompts.lay_out(talks)
    with torch.no_grad():
        embeds = model.embed(batch.prompts, batch.packed.ids, batch.packed.places)
        hidden = model.language(embeds, positions=batch.packed.positions)
    return batch.packed.ids, [
        hidden[row, start : start + len(prompt.ids)]
        for prompt, (row, start) in zip(batch.prompts, batch.packed.places, strict=True)
    ]


def test_nothing_is_attended_to_across_a_packed_row(model: AnyModal) -> None:
    talks = [conversations()[index] for index in (2, -1, 1, 0)]
    ids, together = hidden_of(model, talks)
    assert len(ids) < len(talks), "several in a row, or this shows nothing"
    for talk, found in zip(talks, together, strict=True):
        torch.testing.assert_close(found, hidden_of(model, [talk])[1][0], rtol=1e-4, atol=1e-4)
    _, others = hidden_of(model, [conversations()[index] for index in (2, -2, 3, 0)])
    torch.testing.assert_close(others[0], together[0], rtol=1e-4, atol=1e-4)


def test_a_packed_batch_loses_what_its_conversations_lose_alone(model: AnyModal) -> None:
    dialogue = Dialogue(model)
    dialogue.use_losses({"text": 1, "align": 1})
    talks = [conversations()[index] for index in (1, -1, 5, 0)]
    with torch.no_grad():
        together = dialogue.named_losses(dialogue.collate(talks))
        alone = [dialogue.named_losses(dialogue.collate([talk])) for talk in talks]
    counts = [
        sum(x != IGNORED for x in model.prompts.lay_out([t]).prompts[0].labels[1:]) for t in talks
    ]
    text = sum(each["text"] * n for each, n in zip(alone, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(together["text"], text, rtol=1e-3, atol=1e-5)
    assert [("align" in each) for each in alone] == [True, False, True, False]
    align = (alone[0]["align"] + alone[2]["align"]) / 2  # one picture of one caption each
    torch.testing.assert_close(together["align"], align, rtol=1e-3, atol=1e-5)
