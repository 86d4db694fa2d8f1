"""Scoring: what oracles measure, against what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from anymodal.media import Audio, Image, Video
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from anymodal.toybox.scoring import chance_level, read_attributes, score, score_reply

BELL = Scene("bell", "red", "big", "still", "fast")


@pytest.mark.parametrize("modality", ["image", "audio", "video", "imu"])
def test_a_rendered_medium_is_judged_right(modality):
    told = BELL.replace(motion="left").observable(modality)
    medium = render_scene(BELL.replace(motion="left"), modality, np.random.default_rng(0))
    assert score(read_attributes(modality, medium), told) == dict.fromkeys(told, True)


def test_what_is_absent_or_of_another_kind_is_all_wrong():
    told = BELL.observable("image")
    wrong = dict.fromkeys(told, False)
    sound = render_scene(BELL, "audio", np.random.default_rng(0))
    assert score_reply("image", None, told) == wrong
    assert score_reply("image", sound, told) == wrong
    assert score_reply("image", "a red bell", told) == wrong
    assert score_reply("text", sound, told) == wrong


def test_a_medium_that_no_oracle_can_read_is_wrong_but_no_error():
    short = Audio(np.zeros((1, 10), np.float32), 16000)
    empty = Image(np.full((64, 64, 3), 200, np.uint8))
    assert score_reply("audio", short, {"thing": "bell"}) == {"thing": False}
    assert score_reply("image", empty, {"thing": "bell"}) == {"thing": False}


def test_a_text_loses_by_what_it_adds():
    assert score_reply("text", "A red bell.", {"thing": "bell"}) == {"thing": True, "color": False}


def test_chance_levels():
    assert chance_level("answer", {"answer": "yes"}) == 1 / 2
    assert chance_level("color", {"color": "red"}) == 1 / 8
    assert chance_level("thing", {"thing": "ball and bell"}) == 1 / 66


def test_media_of_other_shapes_than_rendered_are_judged():
    video = render_scene(BELL.replace(motion="left"), "video", np.random.default_rng(0))
    twice = Video(video.frames.repeat(2, 0), 2 * video.fps)
    assert read_attributes("video", twice)["motion"] == "left"
