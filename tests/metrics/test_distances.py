"""Distances between sets of media, against their closed forms; what metrics refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.encoders import Encoder, ImageBindEncoder
from anymodal.media import Image, Video
from anymodal.metrics import (
    Accuracy,
    Bleu,
    Cider,
    ClipScore,
    FrechetDistance,
    KernelDistance,
    YesNo,
)
from anymodal.metrics.samples import EvaluationSample, SampleFile
from anymodal.types import Features, Message
from tests.support.samples import figures, reply_of, sample
from tests.support.tiny import picture, sound, tiny_model


class Brightness(Encoder):
    """The mean of a picture's red, as its only feature."""

    width, media = 1, Image

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor([media.pixels[..., 0].mean()])

    def forward(self, batch: Tensor) -> Features:
        return Features(batch[:, None], torch.ones(len(batch), 1, dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return batch


def flat(value: int) -> Image:
    return Image(np.full((4, 4, 3), value, np.uint8))


def against(
    folder: Path, real: list[Any], made: list[Any]
) -> list[tuple[EvaluationSample, Message]]:
    """Samples with real media in files, and replies with those that were made."""
    folder.mkdir(exist_ok=True)
    paths = [medium.save(folder / str(place)) for place, medium in enumerate(real)]
    return [
        (sample(n, media=(SampleFile(path, path.name),)), reply_of(medium))
        for n, (path, medium) in enumerate(zip(paths, made, strict=True))
    ]


def test_frechet_distance_of_two_known_gaussians(tmp_path: Path) -> None:
    # Means 10 and 30, standard deviations sqrt(2) * (2, 4): 20² + 2 * (4 - 2)² = 408.
    pairs = against(tmp_path, [flat(8), flat(12)], [flat(26), flat(34)])
    found = figures(FrechetDistance(Brightness(), batch_size=1), pairs)
    assert found == {
        "frechet_distance": pytest.approx(400 + (math.sqrt(32) - math.sqrt(8)) ** 2),
        **{"real": 2, "made": 2, "count": 2},
    }


def reader(name: str) -> Encoder:
    return ImageBindEncoder(tiny_model().encoders["image"].model, name)


def embeddings(name: str, media: list[Any]) -> np.ndarray:
    encoder = reader(name)
    with torch.inference_mode():
        found = encoder.embed(torch.stack([encoder.prepare(medium) for medium in media]))
    return found.double().numpy()


def frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real))


def clip_of(seed: int) -> Video:
    return Video(np.stack([picture(10 * seed + n).pixels for n in range(4)]), 4.0)


@pytest.mark.parametrize(
    ("name", "make", "count"), [("image", picture, 40), ("audio", sound, 20), ("video", clip_of, 6)]
)
def test_frechet_distance_is_the_closed_form(
    name: str, make: Any, count: int, tmp_path: Path
) -> None:
    real = [make(n) for n in range(count)]
    kept = [m.load(m.save(tmp_path / f"x{n}{m.suffix}")) for n, m in enumerate(real)]
    made = [make(n + 100) for n in range(count)]
    metric = FrechetDistance(reader(name), batch_size=7)
    found = figures(metric, against(tmp_path / "files", real, made))
    # Singular covariances, as of 20 media in 16 dimensions, leave the root some slack.
    expected = frechet(embeddings(name, kept), embeddings(name, made))
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    same = figures(FrechetDistance(reader(name)), against(tmp_path / "same", real, kept))
    assert same["frechet_distance"] == pytest.approx(0, abs=1e-4)


def test_kernel_distance_is_the_unbiased_discrepancy(tmp_path: Path) -> None:
    real, made = [picture(n) for n in range(9)], [picture(n + 50, 8) for n in range(9)]
    x, y = embeddings("image", real), embeddings("image", made)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    pairs = against(tmp_path, real, made)
    encoder = tiny_model().encoders["image"]
    found = figures(KernelDistance(encoder, subsets=2), pairs)
    assert found["kernel_distance"] == pytest.approx(
        within(x) + within(y) - 2 * kernel(x, y).mean(), rel=1e-4
    )
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    some = [figures(KernelDistance(encoder, subset_size=4), pairs) for _ in range(2)]
    assert some[0] == some[1] and some[0]["spread"] > 0


def test_distances_tell_what_was_not_made(tmp_path: Path) -> None:
    pairs = against(tmp_path, [flat(n) for n in range(3)], [flat(5), sound(), "nothing"])
    metric = FrechetDistance(Brightness())
    assert figures(metric, pairs) == {"real": 3, "made": 1, "count": 3, "missing": 2}
    wrong = sample(media=(SampleFile(sound().save(tmp_path / "a.wav"), "a.wav"),))
    with pytest.raises(ValueError, match=r"a\.wav is Audio"):
        metric.update(wrong, reply_of(flat(1)))
    assert metric.compute()["count"] == 3


def test_published_distances_say_what_to_install() -> None:
    from torchmetrics.utilities.imports import _TORCH_FIDELITY_AVAILABLE

    if _TORCH_FIDELITY_AVAILABLE:
        pytest.skip("it is installed, and its weights would be fetched")
    for metric in (FrechetDistance, KernelDistance):
        with pytest.raises(ConfigError, match="torch-fidelity"):
            metric()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Bleu(n_gram=0), "n_gram=0"),
        (lambda: KernelDistance(Brightness(), subsets=0), "subsets=0"),
        (lambda: KernelDistance(Brightness(), subset_size=1), "subset_size=1"),
        (lambda: FrechetDistance(Brightness(), batch_size=0), "batch_size=0"),
        (lambda: ClipScore("nowhere", frames=0), "frames=0"),
    ],
)
def test_metrics_refuse_what_cannot_work(make: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make()


def test_a_metric_says_which_key_is_missing() -> None:
    with pytest.raises(ConfigError, match="1 or more samples with `choices` and `answer`, and 0"):
        Accuracy().check([sample(answer="cat")])
    with pytest.raises(ConfigError, match="2 or more samples with `references`, and 1 of 2"):
        Cider().check([sample(1, references=("a",)), sample(2)])
    assert figures(YesNo(), []) == {"count": 0}
