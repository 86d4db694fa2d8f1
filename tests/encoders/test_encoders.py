"""The contract of every encoder.

A new encoder joins the suite with one line in `ENCODERS`.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymodal.encoders import AnyResEncoder, Encoder, ImageBind, ImageBindEncoder
from tests.support import huggingface_models, universal_models
from tests.support.imagebind_models import TRUNKS, small_view
from tests.support.paths import ROOT as REPOSITORY
from tests.support.random_media import ODD_MEDIA

ENCODERS: dict[str, Callable[[], Encoder]] = {
    "imagebind-image": lambda: small_view("image"),
    "imagebind-video": lambda: small_view("video"),
    "imagebind-audio": lambda: small_view("audio"),
    "imagebind-imu": lambda: small_view("imu"),
    "imagebind-depth": lambda: small_view("depth"),
    "imagebind-thermal": lambda: small_view("thermal"),
    **{
        name: functools.partial(huggingface_models.open_saved, build)
        for name, build in huggingface_models.FAMILIES.items()
    },
    **{
        name: functools.partial(huggingface_models.from_parts, build)
        for name, build in huggingface_models.FROM_PARTS.items()
    },
    **{
        f"universal-{name}": functools.partial(universal_models.open_saved, name)
        for name in universal_models.MODALITIES
    },
    "any-res": lambda: AnyResEncoder(
        huggingface_models.from_parts(huggingface_models.clip_vision), [[32, 64], [64, 64]]
    ),
}


class TestContract:
    # No test changes an encoder's weights, so one is built for all tests of its kind.
    @pytest.fixture(scope="class", params=ENCODERS.values(), ids=ENCODERS)
    def build(self, request: pytest.FixtureRequest) -> Callable[[], Encoder]:
        torch.manual_seed(0)
        builder: Callable[[], Encoder] = request.param
        return builder

    @pytest.fixture(scope="class")
    def encoder(self, build: Callable[[], Encoder]) -> Encoder:
        return build().eval()

    @pytest.fixture(scope="class")
    def batch(self, encoder: Encoder) -> Tensor:
        return encoder.collate([encoder.prepare(media) for media in ODD_MEDIA[encoder.media]])

    def test_prepare_gives_finite_tensors_of_one_shape(self, encoder: Encoder) -> None:
        media = ODD_MEDIA[encoder.media]
        items = [encoder.prepare(each) for each in media]
        assert len({item.shape for item in items}) == 1 or encoder.token_runs(media[0])
        assert all(item.dtype == torch.float32 and item.isfinite().all() for item in items)

    def test_prepare_repeats_itself(self, encoder: Encoder) -> None:
        media = ODD_MEDIA[encoder.media][-1]
        torch.testing.assert_close(encoder.prepare(media), encoder.prepare(media), rtol=0, atol=0)

    def test_prepare_refuses_other_media(self, encoder: Encoder) -> None:
        other = next(kind for kind in ODD_MEDIA if kind is not encoder.media)
        with pytest.raises(TypeError, match=encoder.media.__name__):
            encoder.prepare(ODD_MEDIA[other][0])

    def test_forward_gives_features(self, encoder: Encoder, batch: Tensor) -> None:
        values, mask = encoder(batch)
        assert values.shape == (len(batch), mask.shape[1], encoder.width)
        assert mask.dtype == torch.bool and mask.shape == values.shape[:2]
        assert mask.any(dim=1).all() and values.isfinite().all()

    def test_items_of_a_batch_do_not_touch(self, encoder: Encoder, batch: Tensor) -> None:
        pair = batch[-2:]
        for run in (lambda x: encoder(x).values, lambda x: encoder(x).mask, encoder.embed):
            singles = torch.cat([run(item[None]) for item in pair])
            torch.testing.assert_close(run(pair), singles, rtol=1e-4, atol=1e-5)

    def test_different_media_differ(self, encoder: Encoder, batch: Tensor) -> None:
        first, second = encoder.embed(batch[-2:])
        assert not torch.allclose(first, second)

    def test_eval_is_deterministic(self, encoder: Encoder, batch: Tensor) -> None:
        assert torch.equal(encoder(batch).values, encoder(batch).values)
        assert torch.equal(encoder.embed(batch), encoder.embed(batch))

    def test_both_results_of_one_pass_are_those_of_two(
        self, encoder: Encoder, batch: Tensor
    ) -> None:
        features, embeds = encoder.features_and_embedding(batch)
        assert torch.equal(features.values, encoder(batch).values)
        assert torch.equal(features.mask, encoder(batch).mask)
        assert embeds is None or torch.equal(embeds, encoder.embed(batch))

    def test_embeddings_have_a_length(self, encoder: Encoder, batch: Tensor) -> None:
        embeds = encoder.embed(batch)
        assert embeds.ndim == 2 and len(embeds) == len(batch)
        lengths = embeds.norm(dim=1)
        assert lengths.isfinite().all() and (lengths > 0).all()

    def test_both_outputs_train_it(self, encoder: Encoder, batch: Tensor) -> None:
        for loss in (
            lambda: encoder(batch).values.square().mean(),
            lambda: encoder.embed(batch)[:, 0].sum(),
        ):
            encoder.zero_grad()
            loss().backward()
            grads = [p.grad for p in encoder.parameters() if p.grad is not None]
            assert any(grad.abs().sum() > 0 for grad in grads)
            assert all(grad.isfinite().all() for grad in grads)

    def test_saved_weights_give_the_same(
        self, build: Callable[[], Encoder], encoder: Encoder, batch: Tensor, tmp_path: Path
    ) -> None:
        save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
        torch.manual_seed(1)
        other = build().eval()
        assert not torch.equal(other.embed(batch), encoder.embed(batch))
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(other.embed(batch), encoder.embed(batch))
        assert torch.equal(other(batch).values, encoder(batch).values)

    def test_identity_is_json_and_stable(
        self, build: Callable[[], Encoder], encoder: Encoder
    ) -> None:
        assert json.loads(json.dumps(encoder.metadata())) == build().metadata()


def test_views_and_sizes_have_identities_of_their_own() -> None:
    wider = ImageBind({**TRUNKS, "imu": {**TRUNKS["imu"], "width": 32}}, embedding=24)
    views = [small_view("image"), small_view("video"), small_view("imu")]
    identities = [view.metadata() for view in (*views, ImageBindEncoder(wider, "imu"))]
    assert len({json.dumps(identity) for identity in identities}) == 4


def test_bare_import_is_refused() -> None:
    root = REPOSITORY
    code = "import encoders"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0 and "import anymodal.encoders" in result.stderr


def test_package_loads_nothing_until_used() -> None:
    code = "import sys, anymodal.encoders; sys.exit('torch' in sys.modules)"
    root = REPOSITORY
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
