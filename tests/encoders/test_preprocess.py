"""Media become the pixels, spectrograms and windows that encoders read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from anymodal.encoders import preprocess
from tests.support.random_media import noise, pixels

MELS: dict[str, Any] = {
    "rate": 16000,
    "mel_bins": 64,
    "mel_frames": 204,
    "clips": 3,
    "clip_seconds": 2.0,
    "mean": -4.268,
    "std": 9.138,
}


class TestPreprocess:
    @settings(max_examples=50, deadline=None)
    @given(st.integers(20, 90), st.integers(20, 90), st.sampled_from([0.0, 0.5, 1.0]))
    def test_square_is_resize_then_crop(self, height: int, width: int, place: float) -> None:
        # In floats, for Pillow rounds 8-bit pictures between its two passes, whose order varies.
        picture = PILImage.fromarray(noise(height, width))
        size, short = 16, min(height, width)
        whole = picture.resize(
            (int(size * width / short), int(size * height / short)), PILImage.Resampling.BICUBIC
        )
        left, top = round((whole.width - size) * place), round((whole.height - size) * place)
        expected = np.asarray(whole.crop((left, top, left + size, top + size)))
        cut = np.asarray(preprocess.square(picture, size, place))
        np.testing.assert_allclose(cut, expected, atol=1e-5)

    def test_square_leaves_what_fits(self) -> None:
        values = pixels(16, 16, 3)
        assert np.array_equal(preprocess.square(PILImage.fromarray(values), 16), values)

    @pytest.mark.parametrize("shape", [(1, 30_000, 3), (30_000, 1, 3)])
    def test_long_images_stay_small(self, shape: tuple[int, ...]) -> None:
        assert preprocess.image_pixels(pixels(*shape), 224).shape == (3, 224, 224)

    def test_image_pixels_are_normalised(self) -> None:
        grey = preprocess.image_pixels(np.full((9, 9, 3), 255, dtype=np.uint8), 9)
        expected = (1 - np.array(preprocess.PIXEL_MEAN)) / np.array(preprocess.PIXEL_STD)
        assert grey[:, 4, 4].tolist() == pytest.approx(expected.tolist(), rel=1e-5)

    def test_crops_lie_along_the_longer_side(self) -> None:
        ramp = np.repeat(np.arange(0, 240, dtype=np.uint8)[None, :, None], 80, axis=0)
        film = np.repeat(np.repeat(ramp, 3, axis=2)[None], 4, axis=0)  # (4, 80, 240, 3)
        options = {"size": 16, "frames": 2, "clips": 2, "clip_seconds": 1.0, "crops": 3}
        cuts = preprocess.video_clips(film, 2.0, **options)
        assert cuts.shape == (6, 3, 2, 16, 16)
        means = cuts.mean(dim=(1, 2, 3, 4))
        assert means[0] < means[1] < means[2]
        torch.testing.assert_close(means[:3], means[3:])

    def test_frames_of_published_clips(self) -> None:
        frames = preprocess.frame_indices(100, 10.0, frames=2, clips=5, clip_seconds=2.0)
        assert frames.tolist() == [[0, 20], [20, 40], [40, 60], [60, 80], [80, 99]]

    @pytest.mark.parametrize(
        ("total", "fps", "expected"),
        [
            (8, 4.0, [[0, 1], [2, 3], [4, 5], [6, 7]]),
            (200, 24.0, [[0, 6], [63, 69], [125, 131], [188, 194]]),
            (4, 4.0, [[0, 1], [2, 3], [3, 3], [3, 3]]),
        ],
        ids=["the whole", "spread over a longer one", "held at its end"],
    )
    def test_frames_keep_their_pace(
        self, total: int, fps: float, expected: list[list[int]]
    ) -> None:
        rows = preprocess.frame_indices(total, fps, 2, 4, clip_seconds=2.0, frame_seconds=0.25)
        assert rows.tolist() == expected

    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(1, 5000),
        st.floats(0.01, 1000),
        st.integers(1, 4),
        st.integers(1, 7),
        st.floats(0.01, 100),
        st.none() | st.floats(0.01, 100),
    )
    def test_frames_exist_and_run_forward(
        self, total: int, fps: float, frames: int, clips: int, seconds: float, pace: float | None
    ) -> None:
        rows = preprocess.frame_indices(total, fps, frames, clips, seconds, pace)
        assert rows.shape == (clips, frames)
        assert rows.min() >= 0 and rows.max() < total
        assert (np.diff(rows, axis=1) >= 0).all() and (np.diff(rows[:, 0]) >= 0).all()

    def test_short_sound_gives_equal_clips_and_silence_behind(self) -> None:
        mels = preprocess.audio_mels(noise(16000), **MELS)
        assert mels.shape == (3, 1, 64, 204)
        assert torch.equal(mels[0], mels[1]) and torch.equal(mels[0], mels[2])
        frames = 1 + (16000 - 400) // 160
        assert mels[0, 0, :, frames:].unique().tolist() == pytest.approx([4.268 / 9.138])

    def test_short_sound_starts_over(self) -> None:
        sound = noise(12000)
        mels = preprocess.audio_mels(sound, **MELS, repeat=True)
        whole = np.tile(sound, 3)[:32000]
        assert torch.equal(mels, preprocess.audio_mels(whole, **MELS))

    def test_clips_of_long_sound_run_from_start_to_end(self) -> None:
        wave = noise(16000 * 7)
        mels = preprocess.audio_mels(wave, **MELS)
        for clip, start in enumerate((0, 40000, 80000)):
            alone = preprocess.audio_mels(wave[start : start + 32000], **{**MELS, "clips": 1})
            torch.testing.assert_close(mels[clip], alone[0])

    def test_constant_offset_is_inaudible(self) -> None:
        wave = noise(32000)
        shifted = preprocess.audio_mels(wave + np.float32(0.25), **MELS)
        torch.testing.assert_close(
            shifted, preprocess.audio_mels(wave, **MELS), atol=1e-3, rtol=1e-3
        )

    def test_higher_tone_fills_a_higher_bin(self) -> None:
        time = np.arange(32000) / 16000
        peaks = [
            preprocess.audio_mels(np.sin(2 * np.pi * hertz * time).astype(np.float32), **MELS)
            .mean(dim=(0, 1, 3))
            .argmax()
            for hertz in (300, 1000, 4000)
        ]
        assert peaks[0] < peaks[1] < peaks[2]

    def test_empty_media_are_refused(self) -> None:
        with pytest.raises(ValueError, match="without samples"):
            preprocess.audio_mels(noise(0), **MELS)
        with pytest.raises(ValueError, match="without readings"):
            preprocess.imu_windows(noise(6, 0), samples=40, clips=1)

    def test_imu_keeps_gravity_and_holds_the_last_reading(self) -> None:
        readings = np.zeros((6, 10), dtype=np.float32)
        readings[2], readings[3] = preprocess.STANDARD_GRAVITY, np.arange(10)
        (window,) = preprocess.imu_windows(readings, samples=14, clips=1)
        assert window.dtype == torch.float32
        assert window[2].tolist() == pytest.approx([1.0] * 14)
        assert window[3].tolist() == [*range(10), 9, 9, 9, 9]

    def test_imu_clips_run_from_start_to_end(self) -> None:
        readings = np.tile(np.arange(100, dtype=np.float32), (6, 1))
        windows = preprocess.imu_windows(readings, samples=20, clips=3)
        assert windows[:, 3, 0].tolist() == [0, 40, 80] and windows[-1, 3, -1] == 99

    def test_heat_is_scaled_and_disparity_is_not(self) -> None:
        heat = preprocess.map_square(np.full((8, 12), 255, np.uint8), size=4, mean=0.0, std=1.0)
        assert heat.shape == (1, 4, 4) and heat.unique().tolist() == [1.0]
        depth = np.full((8, 12), 0.0713, np.float32)
        near = preprocess.map_square(depth, size=4, mean=0.0418, std=0.0295)
        assert near.unique().tolist() == pytest.approx([1.0], rel=1e-4)
