"""Settings of one call: a negative prompt, sizes and lengths, where a pipeline takes them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anymodal.chat.batch import reply_many
from anymodal.chat.session import Session
from anymodal.cli.chat_settings import apply_setting
from anymodal.decoders import DiffusionDecoder
from anymodal.decoders.deferred import DecoderNote, DeferredDecoder, interface
from anymodal.media import Audio, Image, Video
from tests.support.decoders import generator_of, values
from tests.support.tiny import picture, tiny_model


def sample_one(decoder: DiffusionDecoder, **settings: Any) -> Any:
    with torch.no_grad():
        conditioning = decoder.embed_captions(["a ball"])
    ask = {"steps": 2, "guidance": 3.0, **settings}
    (medium,) = decoder.sample(conditioning, **ask, generator=[generator_of(7)])
    return medium


def test_a_negative_prompt_leads_elsewhere_or_is_refused(case: Any) -> None:
    _, _, decoder = case
    if not decoder.family.takes_negative_prompt:
        with pytest.raises(ValueError, match="takes no negative prompt"):
            decoder.check_settings({"negative_prompt": "a red bell"})
        return
    assert not np.array_equal(
        values(sample_one(decoder)), values(sample_one(decoder, negative_prompt="a red bell"))
    )
    with pytest.raises(ValueError, match="guidance=1.0 leads away from nothing"):
        sample_one(decoder, negative_prompt="a red bell", guidance=1.0)
    with pytest.raises(ValueError, match="negative_prompt=3"):
        decoder.check_settings({"negative_prompt": 3})


def test_what_is_made_has_the_size_that_was_asked_for(case: Any) -> None:
    _, _, decoder = case
    if decoder.media is Audio:
        whole = sample_one(decoder).duration
        assert sample_one(decoder, seconds=whole / 2).duration == pytest.approx(whole / 2, rel=0.05)
        with pytest.raises(ValueError, match="takes no 'height'; it takes steps, guidance, sec"):
            decoder.check_settings({"height": 64})
        return
    step = decoder.family.side_step
    height, width = max(step, 16), 2 * max(step, 16)
    with pytest.raises(ValueError, match="takes no 'seconds'"):
        decoder.check_settings({"seconds": 1.0})
    with pytest.raises(ValueError, match=f"height={height + 1}, but .* a multiple of {step} pix"):
        decoder.check_settings({"height": height + 1})
    medium = sample_one(decoder, height=height, width=width)
    if decoder.media is Image:
        assert medium.pixels.shape == (height, width, 3)
    if decoder.media is Video:
        assert medium.frames.shape[1:] == (height, width, 3)


def test_a_clip_has_the_frames_that_were_asked_for(case: Any) -> None:
    name, _, decoder = case
    if decoder.media is not Video or "latte" in name:
        with pytest.raises(ValueError, match="takes no 'frames'"):
            decoder.check_settings({"frames": 9})
        return
    frames = 1 + 2 * decoder.family.frame_group
    side = 1024 // decoder.family.side_step * decoder.family.side_step
    with pytest.raises(ValueError, match=r"make [\d,]+ pixels; the limit is"):
        decoder.check_settings({"frames": 897, "height": side, "width": 2 * side})
    assert len(sample_one(decoder, frames=frames).frames) == frames
    if decoder.family.frame_group > 1:
        with pytest.raises(
            ValueError, match=f"frames={frames + 1}.* the nearest below is {frames}"
        ):
            decoder.check_settings({"frames": frames + 1})


def test_a_decoder_on_disk_is_opened_to_check_what_not_every_one_takes() -> None:
    loads: list[DiffusionDecoder] = []

    def load() -> DiffusionDecoder:
        loads.append(tiny_model().decoders["image"])
        return loads[0]

    decoder = tiny_model().decoders["image"]
    note = DecoderNote.of(interface(decoder), metadata={})
    deferred = DeferredDecoder(note, load)
    deferred.check_settings({"steps": 3, "guidance": 1.0})
    assert not loads
    with pytest.raises(ValueError, match="takes no 'frames'"):
        deferred.check_settings({"frames": 3})
    assert sample_one(deferred, height=24, width=24) == sample_one(decoder, height=24, width=24)
    assert len(loads) == 1


def test_a_chat_starts_from_the_last_picture_where_it_is_told_how_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model()  # whose decoder looks at nothing
    shown, sampling = picture(3), {"image": {"strength": 0.4, "steps": 5}}

    def drawn(parts: Any, **more: Any) -> np.ndarray:
        return values(model.chat(parts, seed=1, **more).media[0])

    started = drawn([shown, "draw a ball"], sampling=sampling, references={"image": shown})
    plain = drawn("draw a ball", sampling={"image": {"steps": 5}})
    assert not np.array_equal(started, plain)
    turns = [[shown, "draw a ball"], [shown, "draw a ball"]]
    own = reply_many(model, turns, seeds=[1, 1], sampling=sampling)
    assert np.abs(values(own[0].media[0]) - started).max() <= 1
    for parts, references in (("draw a ball", None), (turns[0], {"image": []})):
        with pytest.raises(ValueError, match="'image': strength=0.4 is .*no image to be one; att"):
            model.chat(parts, sampling=sampling, references=references)
        with pytest.raises(ValueError, match=r"strength=0.4 is about a reference"):
            reply_many(model, [parts], seeds=[1], sampling=sampling, references=references)
    own_sampling = model.modalities["image"].sampling
    modality = dataclasses.replace(
        model.modalities["image"], sampling={**own_sampling, "strength": 0.4, "steps": 5}
    )
    assert modality.sampling["strength"] == 0.4
    with monkeypatch.context() as patch:  # the model's own is for all its media
        patch.setitem(model._modalities, "image", modality)
        assert np.array_equal(plain, drawn("draw a ball", sampling={"image": {"steps": 5}}))
    with pytest.raises(ValueError, match="sampling: strength=2; it must be"):
        dataclasses.replace(modality, sampling={"strength": 2})


def test_a_chat_takes_them_by_modality(tmp_path: Path) -> None:
    model = tiny_model()
    sampling = {"image": {"height": 24, "width": 24, "negative_prompt": "a bell"}}
    reply = model.chat("draw a ball", seed=1, sampling=sampling)
    assert reply.media[0].pixels.shape == (24, 24, 3)
    with pytest.raises(ValueError, match="sampling of 'image': .*Pipeline takes no 'seconds'"):
        model.chat("draw a ball", sampling={"image": {"seconds": 1.0}})
    session = Session(model, tmp_path)
    apply_setting(session, "seconds", "0.5")
    apply_setting(session, "height", "24")
    assert session.sampling == {"audio": {"seconds": 0.5}, "image": {"height": 24}}
    with pytest.raises(ValueError, match="takes no 'frames'"):
        apply_setting(session, "frames", "9")
