"""Training's feature cache and `anymodal embed` share what an encoder computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymodal import AnyModal
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.encoders.imagebind.blocks import TransformerTrunk
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.model import LanguageModel
from anymodal.media import Image
from anymodal.modality import Modality
from anymodal.projection import LinearProjection
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.embed.run import Report, embed_files
from anymodal.training.objectives import Dialogue
from anymodal.training.precision import allow_tf32
from anymodal.training.trainable import freeze_all_but, train_mode
from anymodal.types import Message
from tests.support.imagebind_models import TRUNKS
from tests.support.language_kinds import tiny_tokenizer
from tests.support.random_media import pixels
from tests.training.test_switches import BUILDERS


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    ImageBind(TRUNKS, embedding=24).save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "files").mkdir()
    paths = [tmp_path / "files" / f"{number}.png" for number in range(5)]
    for path in paths:
        Image(pixels(20, 30, 3)).save(path)
    return paths


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Media of every pass through a trunk."""
    sizes: list[int] = []
    forward = TransformerTrunk.forward

    def counted(self: TransformerTrunk, tokens: Tensor, *rest: object) -> Tensor:
        sizes.append(len(tokens))
        result: Tensor = forward(self, tokens, *rest)  # type: ignore[arg-type]
        return result

    monkeypatch.setattr(TransformerTrunk, "forward", counted)
    return sizes


def dialogue(weights: Path, cache: Path, trainable: str = "projection.*") -> Dialogue:
    """A run's objective on the encoder, with its cache."""
    torch.manual_seed(0)
    encoder = ImageBindEncoder(ImageBind.from_pretrained(weights), "image")
    language = LanguageModel(BUILDERS["llama"](), tiny_tokenizer()).eval()
    widths = {"image": encoder.width}
    projection = LinearProjection(widths=widths, output_width=language.width, num_tokens=2)
    model = AnyModal(language, projection, {"image": Modality(encoder=encoder)})
    objective = Dialogue(model)
    freeze_all_but(model, [trainable])
    train_mode(model)
    allow_tf32()
    objective.feature_cache = FeatureCache(folder=cache)
    objective.open_cache()
    return objective


def talks(files: list[Path]) -> list[list[Message]]:
    return [
        [Message("user", [Image.defer(path), "what?"]), Message("assistant", "a ball")]
        for path in files
    ]


def embeddings(
    files: list[Path], weights: Path, out: Path, cache: Path | None
) -> tuple[Report, NDArray[np.float32]]:
    report = embed_files(
        files, open_encoders(str(weights)), out, batch=2, workers=0, feature_cache=cache
    )
    return report, np.load(out)


def test_embed_finds_what_a_training_computed(
    weights: Path, files: list[Path], tmp_path: Path, passes: list[int]
) -> None:
    cache = tmp_path / "cache"
    _, expected = embeddings(files, weights, tmp_path / "alone.npy", None)
    objective = dialogue(weights, cache)
    objective.named_losses(objective.collate(talks(files[:4])))
    passes.clear()
    report, found = embeddings(files, weights, tmp_path / "shared.npy", cache)
    assert sum(passes) == 1 and report.shared == 4 and report.files == 5
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    passes.clear()
    again, _ = embeddings(files, weights, tmp_path / "again.npy", cache)
    assert not passes and again.shared == 5


def test_a_training_finds_what_embed_computed(
    weights: Path, files: list[Path], tmp_path: Path, passes: list[int]
) -> None:
    cache = tmp_path / "cache"
    alone = dialogue(weights, tmp_path / "other")
    expected = alone.named_losses(alone.collate(talks(files)))["text"]
    report, _ = embeddings(files, weights, tmp_path / "shared.npy", cache)
    assert report.shared == 0
    objective = dialogue(weights, cache)
    passes.clear()
    loss = objective.named_losses(objective.collate(talks(files)))["text"]
    assert not passes
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


def test_an_encoder_that_trains_keeps_nothing(
    weights: Path, files: list[Path], tmp_path: Path
) -> None:
    objective = dialogue(weights, tmp_path / "cache", "encoders.*")
    objective.named_losses(objective.collate(talks(files)))["text"].backward()
    report, _ = embeddings(files, weights, tmp_path / "out.npy", tmp_path / "cache")
    assert report.shared == 0


def test_other_weights_find_nothing(weights: Path, files: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    embeddings(files, weights, tmp_path / "one.npy", cache)
    torch.manual_seed(1)
    ImageBind(TRUNKS, embedding=24).save_pretrained(tmp_path / "others")
    report, _ = embeddings(files, tmp_path / "others", tmp_path / "two.npy", cache)
    assert report.shared == 0
