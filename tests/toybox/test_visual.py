"""The Toybox's pictures, videos and IMU recordings, and the oracles that read them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy import ndimage

from anymodal.toybox.oracles.imu import read_imu
from anymodal.toybox.oracles.visual import read_image, read_video
from anymodal.toybox.renderers.icons import ICONS
from anymodal.toybox.renderers.imu import GRAVITY, IMU_RATE, METRES, kinematics, render_imu
from anymodal.toybox.renderers.visual import FPS, NUM_FRAMES, RADIUS, render_image, render_video
from anymodal.toybox.scene import COLORS, MOTIONS, SIZES, TEMPOS, THINGS, VALUES, Scene
from anymodal.toybox.trajectory import AMPLITUDE, trajectory

Media = Any
Told = list[dict[str, str]]

FIGURES = [Scene(t, c, s, "still", "slow") for t in THINGS for c in COLORS for s in SIZES]
# Things and colours go round at different paces, so that all meet all moves and sizes.
MOVES = [
    Scene(THINGS[(n + 5 * k) % 12], COLORS[(n // 4 + 3 * k) % 8], size, motion, tempo)
    for n, (motion, tempo, size) in enumerate(
        (m, t, s) for m in MOTIONS for t in TEMPOS for s in SIZES
    )
    for k in range(6)
]


def shares(told: Iterable[dict[str, str]], read: Iterable[dict[str, str]]) -> dict[str, float]:
    """For each attribute, the share that is read as it was told."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for truth, answer in zip(told, read, strict=True):
        asked.update(truth.keys())
        right.update(name for name in truth if answer.get(name) == truth[name])
    return {name: right[name] / asked[name] for name in asked}


def noisy(pixels: Media, rng: np.random.Generator) -> Media:
    return (pixels + rng.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8)


def blurred(pixels: Media, rng: np.random.Generator) -> Media:
    return ndimage.gaussian_filter(pixels, (*[0] * (pixels.ndim - 3), 1, 1, 0))


def tinted(pixels: Media, rng: np.random.Generator) -> Media:
    return (pixels + rng.uniform(-8, 8, 3)).clip(0, 255).astype(np.uint8)


def graded(pixels: Media, rng: np.random.Generator) -> Media:
    ramp = rng.uniform(-20, 20) * np.linspace(-1, 1, pixels.shape[-2])[:, None]
    return (pixels + ramp).clip(0, 255).astype(np.uint8)


def generated(pixels: Media, rng: np.random.Generator) -> Media:
    """About what a small diffusion model does to a picture."""
    return noisy(tinted(blurred(pixels, rng), rng), rng)


def jpeg(pixels: Media, rng: np.random.Generator) -> Media:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=50)
    return np.asarray(Image.open(file))


def wide(pixels: Media, rng: np.random.Generator) -> Media:
    """Three times as large, and half as wide again."""
    padded = np.pad(pixels, ((0, 0), (16, 16), (0, 0)), mode="edge")
    return np.asarray(Image.fromarray(padded).resize((288, 192), Image.Resampling.BICUBIC))


def h264(frames: Media, rng: np.random.Generator) -> Media:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as source:
        return np.stack([f.to_ndarray(format="rgb24") for f in source.decode(video=0)])


@pytest.fixture(scope="module")
def images() -> tuple[Told, Told]:
    rng = np.random.default_rng(11)
    scenes = FIGURES * 4
    return [s.observable("image") for s in scenes], [
        read_image(render_image(s, rng)) for s in scenes
    ]


@pytest.fixture(scope="module")
def videos() -> tuple[Told, Told]:
    rng = np.random.default_rng(12)
    return [s.observable("video") for s in MOVES], [read_video(render_video(s, rng)) for s in MOVES]


@pytest.fixture(scope="module")
def recordings() -> tuple[Told, Told]:
    rng = np.random.default_rng(13)
    scenes = MOVES * 4
    return [s.observable("imu") for s in scenes], [
        read_imu(render_imu(s, rng), IMU_RATE) for s in scenes
    ]


@pytest.mark.parametrize("medium", ["images", "videos", "recordings"])
def test_oracles_read_what_was_told(medium: str, request: pytest.FixtureRequest) -> None:
    told, read = request.getfixturevalue(medium)
    found = shares(told, read)
    assert min(found.values()) >= 0.99, found
    assert sum(a.keys() == b.keys() for a, b in zip(told, read, strict=True)) >= 0.99 * len(told)


@pytest.mark.parametrize("medium", ["images", "videos", "recordings"])
def test_oracles_are_at_chance_on_scrambled_labels(
    medium: str, request: pytest.FixtureRequest
) -> None:
    told, read = request.getfixturevalue(medium)
    order = np.random.default_rng(5).permutation(len(told))
    # Only what both tell is compared: a still scene has no tempo, so no chance of a match either.
    pairs = [(told[i], answer) for i, answer in zip(order, read, strict=True)]
    for name in told[0].keys() | told[-1].keys():
        both = [(a[name], b[name]) for a, b in pairs if name in a and name in b]
        share = np.mean([a == b for a, b in both])
        chance = 1 / len(VALUES[name])
        assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / len(both)), (name, share)


@pytest.mark.parametrize("spoil", [noisy, blurred, tinted, graded, generated, jpeg, wide])
def test_pictures_are_read_through_damage(
    spoil: Callable[[Media, np.random.Generator], Media],
) -> None:
    rng = np.random.default_rng(21)
    read = [read_image(spoil(render_image(scene, rng), rng)) for scene in FIGURES]
    assert min(shares([s.observable("image") for s in FIGURES], read).values()) >= 0.98


@pytest.mark.parametrize("spoil", [generated, h264])
def test_videos_are_read_through_damage(
    spoil: Callable[[Media, np.random.Generator], Media],
) -> None:
    rng = np.random.default_rng(22)
    scenes = MOVES[::3]
    read = [read_video(spoil(render_video(scene, rng), rng), FPS) for scene in scenes]
    assert min(shares([s.observable("video") for s in scenes], read).values()) >= 0.96


@pytest.mark.parametrize(("frames", "fps", "size"), [(16, 8, 64), (50, 25, 96), (7, 4, 64)])
def test_videos_are_read_at_other_rates_and_sizes(frames: int, fps: float, size: int) -> None:
    rng = np.random.default_rng(23)
    scenes = MOVES[::5]
    read = [read_video(render_video(s, rng, frames, fps, size), fps) for s in scenes]
    assert min(shares([s.observable("video") for s in scenes], read).values()) >= 0.97


@pytest.mark.parametrize("rate", [50, 100, 400])
def test_recordings_are_read_at_other_rates(rate: int) -> None:
    rng = np.random.default_rng(24)
    read = [read_imu(render_imu(scene, rng, rate=rate), rate) for scene in MOVES]
    assert min(shares([s.observable("imu") for s in MOVES], read).values()) >= 0.99


def test_media_have_their_shapes_and_follow_their_seed() -> None:
    scene = Scene("bee", "cyan", "small", "shake", "fast")
    for draw, shape, dtype in (
        (render_image, (64, 64, 3), np.uint8),
        (render_video, (NUM_FRAMES, 64, 64, 3), np.uint8),
        (render_imu, (6, 400), np.float32),
    ):
        medium = draw(scene, np.random.default_rng(3))
        assert medium.shape == shape and medium.dtype == dtype
        assert np.array_equal(medium, draw(scene, np.random.default_rng(3)))
        assert not np.array_equal(medium, draw(scene, np.random.default_rng(4)))


def test_a_clip_from_an_image_begins_with_it_and_is_read_like_others() -> None:
    for seed, scene in enumerate(MOVES):
        frames = render_video(scene, np.random.default_rng(seed), from_image=True)
        assert np.array_equal(frames[0], render_image(scene, np.random.default_rng(seed)))
        told = scene.observable("video")
        del told["size"]  # a thing ends partly outside the frame, or twice as large as it began
        assert told.items() <= read_video(frames).items()


def test_every_figure_stays_inside_the_frame() -> None:
    rng = np.random.default_rng(6)
    for thing in THINGS:
        for motion in MOTIONS:
            frames = render_video(Scene(thing, "blue", "big", motion, "slow"), rng).astype(int)
            edge = np.concatenate([frames[:, [0, -1]], frames[:, :, [0, -1]].swapaxes(1, 2)], 1)
            assert (edge > 200).mean() > 0.99, (thing, motion)


def test_every_thing_has_an_icon_of_its_own() -> None:
    assert set(ICONS) == set(THINGS)
    assert RADIUS["small"] / RADIUS["big"] == pytest.approx(0.55)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("tempo", TEMPOS)
def test_paths_are_smooth_and_centred(motion: str, tempo: str) -> None:
    t = np.arange(400) / 200
    place = trajectory(motion, tempo, t)
    assert place.shape == (400, 3)
    assert np.abs(place[:, :2]).max() <= AMPLITUDE + 1e-9
    assert np.abs(np.diff(place, axis=0)).max() < 0.02  # no jumps
    assert (np.ptp(place, axis=0) > 0.1).sum() == (motion != "still")  # along one axis


def test_fast_travel_ends_early_and_slow_travel_at_the_end() -> None:
    t = np.array([0.0, 0.9, 2.0])
    fast, slow = trajectory("right", "fast", t)[:, 0], trajectory("right", "slow", t)[:, 0]
    assert fast == pytest.approx([-AMPLITUDE, AMPLITUDE, AMPLITUDE])
    assert (
        slow[0] == -AMPLITUDE
        and slow[2] == pytest.approx(AMPLITUDE)
        and abs(slow[1]) < 0.5 * AMPLITUDE
    )


@pytest.mark.parametrize("call", [("fly", "slow"), ("left", "brisk")])
def test_unknown_moves_are_refused(call: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="choose one of"):
        trajectory(*call, np.zeros(1))


def test_what_is_felt_is_the_movement_seen() -> None:
    """The accelerometer, integrated twice, gives back the path that the video shows."""
    rng = np.random.default_rng(7)
    samples = render_imu(Scene("car", "blue", "big", "right", "fast"), rng).astype(float)
    assert samples[1].mean() == pytest.approx(GRAVITY, abs=0.3)
    resting = samples[0, 200:].mean()  # tilt and bias
    travelled = np.cumsum(np.cumsum(samples[0] - resting) / IMU_RATE) / IMU_RATE
    assert travelled[200] == pytest.approx(2 * AMPLITUDE * METRES["big"], rel=0.2)
    acceleration, velocity = kinematics("right", "fast")
    assert np.cumsum(acceleration[0]) / IMU_RATE == pytest.approx(velocity[0], abs=0.02)


def test_a_picture_without_a_figure_tells_nothing() -> None:
    blank = np.full((64, 64, 3), 240, np.uint8)
    assert read_image(blank) == {}
    assert read_video(np.stack([blank] * 8)) == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda: read_image(np.zeros((64, 64), np.uint8)),
        lambda: read_image(np.zeros((64, 64, 3))),
        lambda: read_video(np.zeros((0, 64, 64, 3), np.uint8)),
        lambda: read_video(np.zeros((8, 64, 64, 3), np.uint8), fps=0),
        lambda: read_imu(np.zeros((3, 400)), IMU_RATE),
    ],
)
def test_media_of_the_wrong_kind_are_refused(call: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="must|needs"):
        call()


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3))))
@example(np.full((1, 27, 3), 25, np.uint8) - np.eye(1, 81, dtype=np.uint8).reshape(1, 27, 3) * 25)
def test_any_picture_is_read_without_failing(pixels: Media) -> None:
    answer = read_image(pixels)
    assert set(answer) in (set(), {"thing", "color", "size"})
    assert all(answer[name] in VALUES[name] for name in answer)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.integers(2, 500), st.floats(1, 1000))
def test_any_recording_is_read_without_failing(
    seed: int, level: float, samples: int, rate: float
) -> None:
    noise = level * np.random.default_rng(seed).standard_normal((6, samples))
    answer = read_imu(noise, rate)
    assert all(answer[name] in VALUES[name] for name in answer)
