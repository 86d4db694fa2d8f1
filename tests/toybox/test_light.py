"""Files in other light, rooms and hands: what is in them stays what it is."""

from __future__ import annotations

import numpy as np
import pytest

from anymodal.media import IMU, Audio, Image
from anymodal.toybox.light import SIDE, IconView, draw_view, light_audio, light_image, light_imu
from anymodal.toybox.oracles.media import read_media
from anymodal.toybox.render import render_scene
from anymodal.toybox.renderers.imu import GRAVITY
from anymodal.toybox.scene import THINGS, Scene, sample_scene
from anymodal.toybox.tasks.light import CONDITIONS, QUESTIONS, LightSample

DUCK = Scene("duck", "green", "big", "up", "fast")
RNG = np.random.default_rng


def test_the_plain_view_reads_as_the_renderers_own() -> None:
    for index, thing in enumerate(THINGS):
        scene = sample_scene(RNG(index), thing=thing)
        ground = np.full((SIDE, SIDE, 3), 236.0)
        picture = Image(draw_view(scene, IconView(ground), RNG(index)))
        assert read_media(picture) == scene.observable("image")


@pytest.mark.parametrize("condition", CONDITIONS["image"])
def test_each_condition_changes_the_picture_and_hides_little_of_it(condition: str) -> None:
    picture, again = (light_image(DUCK, condition, RNG(3)) for _ in range(2))
    plain = light_image(DUCK, "none", RNG(3))
    assert isinstance(picture, Image) and isinstance(plain, Image)
    assert picture.digest() == again.digest() != plain.digest()
    green = picture.pixels.astype(int)
    greenest = green[..., 1] - np.maximum(green[..., 0], green[..., 2])
    assert (greenest > 20).mean() > 0.01, "the duck's colour shows"


def test_light_grounds_and_views_do_what_they_say() -> None:
    plain = light_image(DUCK, "none", RNG(3)).pixels.astype(float)
    levels = {c: light_image(DUCK, c, RNG(3)).pixels.astype(float) for c in CONDITIONS["image"]}
    assert levels["vignette"][:9, :9].mean() < 0.6 * plain[:9, :9].mean()
    assert np.ptp(levels["tint"][:9, :9].mean((0, 1))) > 20 > np.ptp(plain[:9, :9].mean((0, 1)))
    assert levels["table edge"][-9:].mean() < levels["table edge"][:9].mean() - 20
    cropped = {k: light_image(DUCK, "cropped", RNG(k)).pixels.astype(int) for k in range(6)}
    for pixels in cropped.values():
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (np.abs(edge - edge.mean(0)).max(-1) > 60).any(), "the duck lies over an edge"


@pytest.mark.parametrize("condition", CONDITIONS["audio"])
def test_a_room_and_a_background_leave_the_events(condition: str) -> None:
    scene = Scene("clock", "red", "big", "still", "fast")
    noisy, clean = light_audio(scene, condition, RNG(1)), light_audio(scene, "none", RNG(1))
    assert isinstance(noisy, Audio) and isinstance(clean, Audio)
    assert noisy.samples.shape == clean.samples.shape and np.abs(noisy.samples).max() <= 0.91
    mixed = np.corrcoef(noisy.samples[0], clean.samples[0])[0, 1]
    assert 0.5 < mixed < 0.999


def test_a_phone_is_turned_but_moves_the_same() -> None:
    turned = light_imu(DUCK, RNG(4))
    assert isinstance(turned, IMU)
    directions = []
    for seed in range(20):
        mean = light_imu(DUCK, RNG(seed)).samples[:3].mean(1)
        assert np.linalg.norm(mean) == pytest.approx(GRAVITY, abs=0.5)
        directions.append(mean / np.linalg.norm(mean))
    assert min(a @ b for a in directions for b in directions) < -0.7, "gravity lies anywhere"
    upright = render_scene(DUCK, "imu", RNG(4)).samples
    energies = [np.var(samples[:3], -1).sum() for samples in (turned.samples, upright)]
    assert energies[0] == pytest.approx(energies[1], rel=0.3)


def test_samples_take_turns_and_ask_for_what_shows() -> None:
    for modality, conditions in CONDITIONS.items():
        samples = [
            LightSample(0, f"light:{modality}", False, index) for index in range(len(conditions))
        ]
        assert tuple(sample.kind for sample in samples) == conditions
        sample = samples[0]
        request, again = sample.request(0), sample.request(0)
        assert request.media[0].digest() == again.media[0].digest()
        assert request.media[0].kind == modality
        attribute, value = next(iter(sample.score(0, request, request)["wanted"][0].items()))
        assert request.text in QUESTIONS[modality][attribute]
        assert sample.scene.observable(modality)[attribute] == value
        assert not sample.scene.held_out
