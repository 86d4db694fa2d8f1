"""Accuracy per component: oracle, probes, decoder, head, and all of a model."""

from __future__ import annotations

import pytest
import torch

from anymodal.model import AnyModal
from anymodal.toybox import diagnosis as ladder
from anymodal.toybox.scene import MOTIONS
from anymodal.toybox.scoring import rendered
from anymodal.types import Conditioning
from tests.support.tiny import tiny_model


def test_a_decoder_alone_is_measured_on_captions():
    decoder = tiny_model().decoders["image"]
    rung = ladder.on_captions(decoder, 3, steps=2, guidance=2.0, batch_size=2)
    assert set(rung.found["by_attribute"]) == {"thing", "color", "size"}
    assert "image: decoder on captions" in ladder.table([rung])


def test_the_oracles_rung_is_at_the_top():
    assert ladder.of_oracle("imu", 20).found["share"] > 0.97


def test_a_probe_finds_what_is_there_and_nothing_where_there_is_nothing(monkeypatch):
    monkeypatch.setattr(ladder, "LEARN", 120)
    kinds = {}
    for medium, told in [*rendered("imu", 120, seed=1), *rendered("imu", 40, seed=0)]:
        kinds[medium.digest()] = told

    def telling(media):
        told = [kinds[medium.digest()]["motion"] for medium in media]
        return torch.eye(len(MOTIONS))[[MOTIONS.index(motion) for motion in told]]

    found = ladder.probe("telling", "imu", telling, 40).found["by_attribute"]
    assert found["motion"] == 1
    blind = ladder.probe("blind", "imu", lambda media: torch.ones(len(media), 3), 40).found
    assert blind["by_attribute"]["motion"] < 0.5


def test_the_whole_ladder_of_a_tiny_model(monkeypatch):
    monkeypatch.setattr(ladder, "LEARN", 24)
    names = [rung.name for rung in ladder.climb(tiny_model(), 2)]
    assert names[:8] == [
        "image: oracle on the renderer",
        "image: encoder, probed",
        "image: soft tokens, probed",
        "image: language model, told in words",
        "image>text: the whole chain",
        "image: decoder on captions",
        "image: head, by the nearest caption",
        "text>image: the whole chain",
    ]
    assert names[-1] == "imu>text: the whole chain"


@pytest.mark.parametrize(("shift", "least", "most"), [(0, 1.0, 1.0), (1, 0.0, 0.6)])
def test_a_head_is_read_by_the_nearest_caption(monkeypatch, shift, least, most):
    model = AnyModal.from_pretrained("nano")  # whose decoders read captions to their end
    heads = model.conditioning

    def asking(name, samples):
        """What a head would give that asks for its own target, or for its neighbour's."""
        targets, _ = heads(name, samples)
        captions = [target.caption for target in (*targets[shift:], *targets[:shift])]
        embeds, mask, pooled = model.decoders[name].embed_captions(captions)
        return targets, Conditioning(embeds * mask[..., None], mask, pooled)

    monkeypatch.setattr(model, "conditioning", asking)
    assert least <= ladder.of_head(model, "audio", 24).found["share"] <= most
