"""Accuracy per component: oracle, probes, decoder, head, and all of a model."""

from __future__ import annotations

import pytest
import torch

from anymodal.model import AnyModal
from anymodal.toybox import probes
from anymodal.toybox.diagnosis import (
    decoder_accuracy,
    diagnose,
    diagnosis_table,
    head_accuracy,
    oracle_accuracy,
)
from anymodal.toybox.scene import MOTIONS
from anymodal.toybox.scoring import SceneSet
from anymodal.types import Conditioning
from tests.support.tiny import tiny_model


def test_a_decoder_alone_is_measured_on_captions():
    decoder = tiny_model().decoders["image"]
    accuracy = decoder_accuracy(decoder, SceneSet(3), steps=2, guidance=2.0, batch_size=2)
    assert set(accuracy.shares["by_attribute"]) == {"thing", "color", "size"}
    assert "image: decoder on captions" in diagnosis_table([accuracy])


def test_the_oracle_is_right_about_rendered_media():
    assert oracle_accuracy("imu", SceneSet(20)).shares["share"] > 0.97


def test_a_probe_reads_what_features_hold_and_nothing_else(monkeypatch):
    monkeypatch.setattr(probes, "PROBE_SAMPLES", 120)
    media = [*SceneSet(120, seed=1).media("imu"), *SceneSet(40).media("imu")]
    attributes = {item.digest(): observed for item, observed in media}

    def motions(media):
        values = [attributes[item.digest()]["motion"] for item in media]
        return torch.eye(len(MOTIONS))[[MOTIONS.index(motion) for motion in values]]

    def constant(media):
        return torch.ones(len(media), 3)

    right, blind = (
        probes.probe_accuracy("imu", read, SceneSet(40), "probe")["by_attribute"]
        for read in (motions, constant)
    )
    assert right["motion"] == 1
    assert blind["motion"] < 0.5


def test_every_component_of_a_tiny_model_is_measured(monkeypatch):
    monkeypatch.setattr(probes, "PROBE_SAMPLES", 24)
    names = [result.name for result in diagnose(tiny_model(), SceneSet(2))]
    assert names[:9] == [
        "image: oracle on rendered media",
        "image: encoder, linear probe",
        "image: soft tokens, linear probe",
        "image: language model on captions",
        "image>text: full chain",
        "image: autoencoder alone",
        "image: decoder on captions",
        "image: head, nearest caption",
        "text>image: full chain",
    ]
    assert names[-1] == "imu>text: full chain"


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
    assert least <= head_accuracy(model, "audio", SceneSet(24)).shares["share"] <= most
