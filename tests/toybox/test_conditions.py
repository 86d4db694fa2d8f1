"""Media as people make them, for training: other light, rooms and hands, and what is outside."""

from __future__ import annotations

import numpy as np
import pytest

from anymodal.media import IMU, Audio, Image, Video
from anymodal.toybox.conditions.hands import hold_any_way, rotate_up
from anymodal.toybox.conditions.outside import OUTSIDE, render_outside
from anymodal.toybox.conditions.pictures import Light, draw_ground, draw_video
from anymodal.toybox.conditions.render import render_in_conditions
from anymodal.toybox.conditions.rooms import echo, mix, reverberate
from anymodal.toybox.dataset import ToyboxDialogues, ToyboxMedia
from anymodal.toybox.render import MODALITIES
from anymodal.toybox.renderers.imu import GRAVITY
from anymodal.toybox.renderers.visual import STYLES, Jitter, Look, draw_icon
from anymodal.toybox.scene import Scene

SCENE = Scene("duck", "red", "big", "left", "fast")
CLASSES = {"image": Image, "audio": Audio, "video": Video, "imu": IMU}


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_seed_decides_everything_and_no_two_are_alike(modality: str) -> None:
    def draw(seed: int) -> str:
        media = render_in_conditions(SCENE, modality, np.random.default_rng(seed))
        assert isinstance(media, CLASSES[modality])
        return media.digest()

    digests = [draw(seed) for seed in range(12)]
    assert digests == [draw(seed) for seed in range(12)] and len(set(digests)) == 12


def test_icons_are_turned_mirrored_and_drawn_in_styles() -> None:
    ground = np.full((3, 65, 65), 240, np.float32)
    jitter = Jitter(0.0, 0.0, 1.0, ground)

    def draw(look: Look) -> np.ndarray:
        return draw_icon("duck", "green", 0.3, jitter, look).astype(int)

    plain = draw(Look(style="flat"))  # whose light comes from no side
    assert np.abs(draw(Look(mirrored=True, style="flat")) - plain[:, ::-1]).max() <= 1
    assert np.abs(draw(Look(angle=np.pi / 2, style="flat")) - np.rot90(plain)).max() <= 1
    images = [draw(Look(style=style)) for style in STYLES]
    greens = [int(((each[..., 1] - each[..., 0]) > 40).sum()) for each in images]
    # Lines alone colour the least, hatching less than a fill.
    assert greens[STYLES.index("outline")] < 0.7 * greens[STYLES.index("flat")]
    assert len({each.tobytes() for each in images}) == len(STYLES)


def test_light_and_ground_stay_within_a_pixels_values() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ground = draw_ground(rng)
        assert ground.shape == (3, 64, 64) and ground.min() >= 0 and ground.max() <= 255
    grey = np.full((8, 8, 3), 128, np.uint8)
    dark = Light(np.full(3, 0.5), 1.0, 0.0).shine(grey)
    assert set(dark.ravel()) == {64}
    corners = Light(np.ones(3), 1.0, 0.5).shine(grey)
    assert corners[0, 0, 0] < corners[4, 4, 0] <= 128


def test_a_movement_stays_the_same_movement() -> None:
    """Light, ground and style are those of the whole clip, and left is not mirrored into right."""
    for seed in range(6):
        video = draw_video(SCENE, np.random.default_rng(seed))
        assert isinstance(video, Video)
        frames = video.frames.astype(float)
        change = np.abs(frames - np.median(frames, 0)).sum(-1)  # (T, H, W)
        places = (change * np.arange(64)).sum((1, 2)) / change.sum((1, 2))
        assert places[0] > places[-1] + 5


def test_rooms_keep_length_and_levels() -> None:
    rng = np.random.default_rng(0)
    wave = np.zeros(16000)
    wave[1000] = 1.0
    room = reverberate(wave, 16000, rng)
    assert len(room) == 16000 and room[1000] == pytest.approx(1.0)
    assert np.abs(room[:999]).max() < 1e-12 < np.abs(room[1001:]).max()
    assert len(np.flatnonzero(echo(wave, 16000, rng))) in (2, 3, 4)
    loud, soft = rng.standard_normal(4000), rng.standard_normal(4000)
    added = mix(loud, soft, 20.0) - loud
    assert np.sqrt((added**2).mean() / (loud**2).mean()) == pytest.approx(0.1, rel=1e-6)


def test_a_phone_is_tilted_and_the_movement_stays() -> None:
    for tilt in (0.0, 0.4, np.pi):
        matrix = rotate_up(tilt, 1.3)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert matrix[1, 1] == pytest.approx(np.cos(tilt))
    still = Scene("ball", "red", "big", "still", "slow")
    ups = []
    for seed in range(20):
        imu = hold_any_way(still, np.random.default_rng(seed))
        assert isinstance(imu, IMU)
        gravity = imu.samples[:3].mean(1)
        assert np.linalg.norm(gravity) == pytest.approx(GRAVITY, abs=0.5)
        ups.append(gravity[1])
    assert min(ups) < 0 < max(ups)


@pytest.mark.parametrize(("modality", "kind"), [(m, k) for m in OUTSIDE for k in OUTSIDE[m]])
def test_what_is_outside_is_an_ordinary_media_item(modality: str, kind: str) -> None:
    first, again, other = (
        render_outside(modality, kind, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert isinstance(first, CLASSES[modality])
    assert first.digest() == again.digest() != other.digest()


def test_what_is_not_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="no image of 'silence'; choose one of image empty page"):
        render_outside("image", "silence", np.random.default_rng(0))
    with pytest.raises(ValueError, match="no touch of 'silence'"):
        render_outside("touch", "silence", np.random.default_rng(0))


def test_data_sets_have_their_share_of_conditions() -> None:
    plain, varied = (ToyboxMedia("image", 60, augment_prob=prob) for prob in (0.0, 0.5))
    same = [plain[k].media.digest() == varied[k].media.digest() for k in range(60)]
    assert 15 < sum(same) < 45
    dialogues = ToyboxDialogues(4, kinds={"image>text": 1}, media_pool_size=1, augment_prob=1.0)
    again = ToyboxDialogues(4, kinds={"image>text": 1}, media_pool_size=1, augment_prob=0.0)
    assert dialogues[0][0] != again[0][0]
