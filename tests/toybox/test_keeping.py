"""What an edit keeps: near perfect on the Toybox's own pairs, and bad on unrelated pictures."""

from __future__ import annotations

import numpy as np
import pytest

from anymodal.media import Image
from anymodal.toybox.dataset import ToyboxEdits
from anymodal.toybox.keeping import (
    figure,
    frame_ssim,
    ground_ssim,
    match_size,
    measure_edit,
    reconstruct,
    silhouette_overlap,
    ssim_map,
)
from anymodal.toybox.renderers.visual import render_image
from anymodal.toybox.scene import SIZES, sample_scene
from tests.support.tiny import tiny_model


def picture(seed: int, **attributes: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return render_image(sample_scene(rng, **attributes), rng)


def test_a_toybox_edit_keeps_everything_and_an_unrelated_picture_does_not() -> None:
    edits = ToyboxEdits("image", 24, seed=3, unseen=True, plain=0.0)
    kept, lost = [], []
    for index in range(24):
        sample = edits[index]
        source = sample.references[0]
        result = sample.media
        assert isinstance(source, Image) and isinstance(result, Image)
        kept.append(measure_edit(source.pixels, result.pixels, result.pixels))
        lost.append(measure_edit(source.pixels, picture(100 + index), result.pixels))
    assert all(each["centre kept"] == each["area kept"] == 1 for each in kept)
    assert min(each["ground SSIM"] for each in kept) > 0.99
    assert np.mean([each["target SSIM"] for each in kept]) == pytest.approx(1)
    assert np.mean([each["centre kept"] for each in lost]) < 0.3
    assert np.mean([each["area kept"] for each in lost]) < 0.3
    assert np.mean([each["target SSIM"] for each in lost]) < 0.8


def test_another_colour_leaves_centre_and_area() -> None:
    for seed in range(12):
        scene = sample_scene(np.random.default_rng(seed), color="red")
        source, result = (
            render_image(scene.replace(color=color), np.random.default_rng(seed))
            for color in ("red", "cyan")
        )
        measures = measure_edit(source, result, source)
        assert measures["centre kept"] == measures["area kept"] == 1


def test_a_spoilt_ground_and_a_missing_figure_are_measured() -> None:
    source = picture(0)
    noisy = source + np.random.default_rng(0).normal(0, 12, source.shape)
    assert ground_ssim(source, source) == pytest.approx(1)
    assert ground_ssim(source, noisy.clip(0, 255).astype(np.uint8)) < 0.6
    empty = np.full_like(source, 236)
    measures = measure_edit(source, empty, source)
    assert measures["centre kept"] == measures["area kept"] == 0 and "centre px" not in measures
    assert silhouette_overlap(empty, source) == 0


def test_ssim_is_one_for_the_same_and_zero_for_noise() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    assert frame_ssim(first, first) == pytest.approx(1)
    assert abs(frame_ssim(first, second)) < 0.1
    # One window by equation 13 itself.
    a, b = (image[3:10, 3:10, 0].astype(float).ravel() for image in (first, second))
    c1, c2 = 6.5025, 58.5225
    covariance = np.cov(a, b)
    value = ((2 * a.mean() * b.mean() + c1) * (2 * covariance[0, 1] + c2)) / (
        (a.mean() ** 2 + b.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)
    )
    alone = ssim_map(first[..., :1], second[..., :1])
    assert alone[6, 6] == pytest.approx(value)
    with pytest.raises(ValueError, match="can't be compared"):
        frame_ssim(first, second[:-1])


@pytest.mark.parametrize(("size", "overlap"), [("big", 0.94), ("small", 0.91)])
def test_silhouettes_of_fresh_renders_overlap(size: str, overlap: float) -> None:
    pairs, others = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, size=size)
        first, second = (render_image(scene, rng) for _ in range(2))
        pairs.append(silhouette_overlap(first, second))
        other = next(x for x in ("ball", "flute", "bird") if x != scene.thing)
        others.append(silhouette_overlap(first, render_image(scene.replace(thing=other), rng)))
    assert np.mean(pairs) == pytest.approx(overlap, abs=0.03)
    assert np.mean(others) < 0.7


def test_pictures_of_any_size_are_measured() -> None:
    large = match_size(picture(1, size=SIZES[1]), 128)
    assert large.shape == (128, 128, 3) and figure(large).shape == (64, 64)
    assert silhouette_overlap(large, picture(1, size=SIZES[1])) > 0.9


def test_an_autoencoder_alone_gives_pictures_back() -> None:
    decoder = tiny_model().decoders["image"]
    result = reconstruct(decoder, Image(picture(0)))
    assert result.dtype == np.uint8 and result.ndim == 3 and result.shape[-1] == 3
