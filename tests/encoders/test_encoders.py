"""The contract of every encoder, and ImageBind against the published architecture.

A new encoder joins the contract suite with one line in `ENCODERS`.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymodal.encoders import (
    Encoder,
    ImageBind,
    ImageBindEncoder,
    load_tokenizer,
    preprocess,
    tokenize,
)
from anymodal.encoders.imagebind.config import TextConfig
from anymodal.media import IMU, Audio, Depth, Image, Media, Normal, PointCloud, Thermal, Video
from tests.support import huggingface_models, universal_models
from tests.support.paths import ROOT as REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden"
RNG = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def noise(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32) * np.float32(0.1)


# Odd sizes, rates and durations, the shortest first.
MEDIA: dict[type[Media], list[Media]] = {
    Image: [Image(pixels(*size, 3)) for size in ((1, 1), (1, 900), (31, 17), (16, 16), (90, 41))],
    Video: [
        Video(pixels(frames, *size, 3), fps=fps)
        for frames, size, fps in ((1, (5, 9), 30.0), (3, (16, 16), 1.0), (40, (33, 20), 11.5))
    ],
    Audio: [
        Audio(noise(channels, samples), rate=rate)
        for channels, samples, rate in ((1, 1, 16000), (2, 333, 44100), (1, 90001, 22050))
    ],
    IMU: [
        IMU(noise(6, samples), rate=rate)
        for samples, rate in ((1, 100.0), (37, 52.5), (5000, 400.0))
    ],
    Depth: [Depth(np.abs(noise(*size))) for size in ((1, 1), (30, 71), (64, 16))],
    Thermal: [Thermal(pixels(*size)) for size in ((1, 1), (30, 71), (64, 16))],
    Normal: [Normal(noise(*size, 3).clip(-1, 1)) for size in ((1, 1), (30, 71), (64, 16))],
    PointCloud: [
        PointCloud(noise(1, 3)),
        PointCloud(noise(7, 3), pixels(7, 3)),
        PointCloud(1e30 * noise(300, 3)),
    ],
}

SMALL = {"width": 16, "blocks": 2, "heads": 2}
TRUNKS: dict[str, dict[str, Any]] = {
    "vision": {**SMALL, "size": 16, "patch": 8, "clips": 2, "crops": 3},
    "text": {**SMALL, "context": 8, "vocab_size": 40},
    "audio": {**SMALL, "drop_path": 0.5, "mel_bins": 32, "clips": 2, "stride": 16},
    "depth": {**SMALL, "size": 32, "logit_scale": 5.0},
    "thermal": {**SMALL, "size": 32, "logit_scale": 10.0},
    "imu": {**SMALL, "drop_path": 0.5, "samples": 40, "clips": 2, "clip_seconds": 1.0},
}


def small_view(modality: str) -> ImageBindEncoder:
    return ImageBindEncoder(ImageBind(TRUNKS, embedding=24), modality)


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "imagebind-image": lambda: small_view("image"),
    "imagebind-video": lambda: small_view("video"),
    "imagebind-audio": lambda: small_view("audio"),
    "imagebind-imu": lambda: small_view("imu"),
    "imagebind-depth": lambda: small_view("depth"),
    "imagebind-thermal": lambda: small_view("thermal"),
    **{
        name: functools.partial(huggingface_models.opened, build)
        for name, build in huggingface_models.FAMILIES.items()
    },
    **{
        name: functools.partial(huggingface_models.assembled, build)
        for name, build in huggingface_models.ASSEMBLED.items()
    },
    **{
        f"universal-{name}": functools.partial(universal_models.opened, name)
        for name in universal_models.MODALITIES
    },
}


class TestContract:
    @pytest.fixture(params=ENCODERS.values(), ids=ENCODERS)
    def build(self, request: pytest.FixtureRequest) -> Callable[[], Encoder]:
        torch.manual_seed(0)
        builder: Callable[[], Encoder] = request.param
        return builder

    @pytest.fixture
    def encoder(self, build: Callable[[], Encoder]) -> Encoder:
        return build().eval()

    @pytest.fixture
    def batch(self, encoder: Encoder) -> Tensor:
        return torch.stack([encoder.prepare(media) for media in MEDIA[encoder.media]])

    def test_prepare_gives_finite_tensors_of_one_shape(self, encoder: Encoder) -> None:
        items = [encoder.prepare(media) for media in MEDIA[encoder.media]]
        assert len({item.shape for item in items}) == 1
        assert all(item.dtype == torch.float32 and item.isfinite().all() for item in items)

    def test_prepare_repeats_itself(self, encoder: Encoder) -> None:
        media = MEDIA[encoder.media][-1]
        torch.testing.assert_close(encoder.prepare(media), encoder.prepare(media), rtol=0, atol=0)

    def test_prepare_refuses_other_media(self, encoder: Encoder) -> None:
        other = next(kind for kind in MEDIA if kind is not encoder.media)
        with pytest.raises(TypeError, match=encoder.media.__name__):
            encoder.prepare(MEDIA[other][0])

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


def draw(name: str, *shape: int) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


@pytest.fixture(scope="module")
def published() -> ImageBind:
    sizes = json.loads((GOLDEN / "imagebind_tiny_config.json").read_text())
    names = {"width": "embed_dim", "blocks": "num_blocks", "heads": "num_heads"}
    changes = {
        trunk: {ours: sizes[f"{trunk}_{theirs}"] for ours, theirs in names.items()}
        for trunk in TRUNKS
    }
    model = ImageBind.preset("huge", embedding=sizes["out_embed_dim"], **changes).eval()
    for name, value in model.state_dict().items():
        if name.endswith((".mask", "log_logit_scale")):
            continue
        scale = 0.02
        if value.ndim > 1:
            scale = min(0.08, 1 / math.sqrt(math.prod(value.shape[1:])))
        offset = float(value.ndim == 1 and name.endswith("weight"))
        value.copy_(draw(name, *value.shape) * np.float32(scale) + offset)
    return model


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    shapes = {
        "vision": (2, 3, 224, 224),
        "video": (1, 4, 3, 2, 224, 224),
        "audio": (2, 3, 1, 128, 204),
        "depth": (1, 1, 224, 224),
        "thermal": (1, 1, 224, 224),
        "imu": (2, 6, 2000),
    }
    inputs = {name: draw(f"in.{name}", *shape) for name, shape in shapes.items()}
    ids = np.zeros((2, 77), dtype=np.int64)
    for row, end in enumerate((9, 20)):
        words = np.random.default_rng(100 + row).integers(1, 49000, end - 1)
        ids[row, : end + 1] = [49406, *words, 49407]
    return {**inputs, "text": torch.from_numpy(ids)}


class TestParity:
    """Names, shapes and numbers of the published architecture."""

    def test_names_and_shapes_of_huge(self) -> None:
        with torch.device("meta"):
            model = ImageBind.preset("huge")
        shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
        assert shapes == json.loads((GOLDEN / "imagebind_huge_shapes.json").read_text())

    def test_names_and_shapes_of_tiny(self, published: ImageBind) -> None:
        shapes = {name: list(value.shape) for name, value in published.state_dict().items()}
        assert shapes == json.loads((GOLDEN / "imagebind_tiny_shapes.json").read_text())

    @pytest.mark.parametrize("grad", [True, False])
    def test_embeddings(self, published: ImageBind, inputs: dict[str, Tensor], grad: bool) -> None:
        golden = np.load(GOLDEN / "imagebind_tiny.npz")
        with torch.set_grad_enabled(grad):
            embeds = published(inputs)
        assert set(embeds) == set(inputs)
        for name, value in embeds.items():
            expected = golden[name]
            assert value.shape == expected.shape
            error = np.abs(value.detach().numpy() - expected).max() / np.abs(expected).max()
            assert error < 1e-4, name

    @pytest.mark.parametrize("name", ["vision", "audio", "depth", "thermal", "imu", "text"])
    @torch.no_grad()
    def test_tokens(self, published: ImageBind, inputs: dict[str, Tensor], name: str) -> None:
        golden = np.load(GOLDEN / "imagebind_tiny.npz")
        batch = inputs[name]
        clips = batch.ndim == 5
        # Clip by clip, so that no place among the clips is added to the tokens.
        values = published.features(name, batch.flatten(0, 1) if clips else batch).values
        assert list(values.shape) == list(golden[f"ntokens_{name}"])
        expected = torch.from_numpy(golden[f"tokens_{name}"])
        torch.testing.assert_close(values[:, :4, :16], expected, rtol=1e-4, atol=1e-4)


class TestImageBind:
    @pytest.fixture
    def model(self) -> ImageBind:
        torch.manual_seed(0)
        return ImageBind(TRUNKS, embedding=24).eval()

    def test_image_and_video_share_the_vision_trunk(self, model: ImageBind) -> None:
        still = torch.randn(2, 3, 16, 16)
        film = still[:, None, :, None].expand(-1, 3, -1, 2, -1, -1)  # (2, 3 clips, 3, 2, 16, 16)
        embeds = model({"image": still, "video": film, "vision": still})
        torch.testing.assert_close(embeds["image"], embeds["video"])
        torch.testing.assert_close(embeds["image"], embeds["vision"])

    def test_features_tell_the_order_of_clips_and_embeddings_do_not(self, model: ImageBind) -> None:
        film = torch.randn(1, 4, 3, 2, 16, 16)
        forth, back = model.features("video", film), model.features("video", film.flip(1))
        assert forth.values.shape == (1, 4 * 5, 16) and forth.mask.all()
        clips_forth, clips_back = forth.values.view(4, 5, 16), back.values.view(4, 5, 16)
        # The same clip at another place has other tokens ...
        assert (clips_forth - clips_back.flip(0)).abs().amax(dim=(1, 2)).min() > 0.1
        # ... that differ by its place alone.
        places = clips_forth - clips_back.flip(0)
        torch.testing.assert_close(places, places[:, :1].expand_as(places), rtol=0, atol=1e-5)
        pair = model({"video": torch.cat([film, film.flip(1)])})["video"]
        torch.testing.assert_close(pair[0], pair[1])

    def test_text_is_real_up_to_its_end_and_ignores_the_rest(self, model: ImageBind) -> None:
        ids = torch.tensor([[38, 5, 39, 0, 0, 0, 0, 0], [38, 5, 39, 7, 7, 7, 7, 7]])
        assert model.features("text", ids).mask.tolist() == [[True] * 3 + [False] * 5] * 2
        first, second = model({"text": ids})["text"]
        torch.testing.assert_close(first, second)

    def test_scales_are_the_published_ones(self, model: ImageBind) -> None:
        inputs = {
            "image": torch.randn(2, 3, 16, 16),
            "text": torch.tensor([[38, 5, 39, 0, 0, 0, 0, 0]]),
            "audio": torch.randn(2, 1, 32, 204),
            "depth": torch.randn(2, 1, 32, 32),
            "thermal": torch.randn(2, 1, 32, 32),
            "imu": torch.randn(2, 6, 40),
        }
        lengths = {name: value.norm(dim=1)[0].item() for name, value in model(inputs).items()}
        expected = {"image": 1, "text": 1 / 0.07, "audio": 20, "depth": 5, "thermal": 10, "imu": 5}
        assert lengths == pytest.approx(expected, rel=1e-4)

    def test_scale_stops_at_100(self, model: ImageBind) -> None:
        with torch.no_grad():
            model.modality_postprocessors["text"][1].log_logit_scale.fill_(9.0)
        ids = torch.tensor([[38, 5, 39, 0, 0, 0, 0, 0]])
        assert model({"text": ids})["text"].norm().item() == pytest.approx(100, rel=1e-4)

    def test_drop_path_keeps_the_mean_and_eval_skips_it(self) -> None:
        from anymodal.encoders.imagebind.blocks import DropPath

        torch.manual_seed(0)
        drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
        dropped = drop(x)
        assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
        assert dropped.mean().item() == pytest.approx(1, abs=0.05)
        assert torch.equal(dropped[:, :1, :1].expand_as(x), dropped)
        assert torch.equal(drop.eval()(x), x)

    def test_autocast_runs_every_trunk(self, model: ImageBind) -> None:
        ids = torch.tensor([[38, 5, 39, 0, 0, 0, 0, 0]])
        inputs = {"text": ids, "imu": torch.randn(1, 2, 6, 40), "image": torch.randn(1, 3, 16, 16)}
        exact = model(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(inputs)
        for name in inputs:
            assert torch.cosine_similarity(exact[name], rough[name].float()).item() > 0.99

    def test_saved_and_loaded(self, model: ImageBind, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path)
        loaded = ImageBind.from_pretrained(tmp_path)
        assert loaded.config == model.config and not loaded.training
        for name, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value), name
        assert all(value.requires_grad for value in loaded.parameters())

    def test_half_precision_files_load_as_float32(self, model: ImageBind, tmp_path: Path) -> None:
        model.half().save_pretrained(tmp_path)
        loaded = ImageBind.from_pretrained(tmp_path)
        assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
        assert loaded({"imu": torch.randn(1, 6, 40)})["imu"].isfinite().all()

    def test_some_trunks_alone_are_loaded(self, model: ImageBind, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path)
        part = ImageBind.from_pretrained(tmp_path, modalities=["imu"])
        assert list(part.trunks) == ["imu"]
        readings = torch.randn(2, 6, 40)
        torch.testing.assert_close(part({"imu": readings})["imu"], model({"imu": readings})["imu"])

    def test_weights_that_do_not_fit_are_named(self, model: ImageBind, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        config["embedding"] = 25
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"modality_heads\.vision\.2\.weight"):
            ImageBind.from_pretrained(tmp_path)

    def test_folder_without_a_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"no config\.json"):
            ImageBind.from_pretrained(tmp_path)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda: ImageBind({}), "at least one trunk"),
            (lambda: ImageBind({"smell": SMALL}), "'smell' is unknown; choose from vision"),
            (lambda: ImageBind({"imu": {**SMALL, "samplez": 4}}), "samplez"),
            (lambda: ImageBind({"imu": {**SMALL, "heads": 3}}), "not a multiple of heads=3"),
            (lambda: ImageBind({"vision": {**SMALL, "clip_seconds": None}}), "clip_seconds=None"),
            (lambda: ImageBind({"vision": {**SMALL, "frame_seconds": -1.0}}), "frame_seconds=-1.0"),
            (lambda: ImageBind({"imu": {**SMALL, "blocks": 0}}), "blocks=0"),
            (lambda: ImageBind.preset("giant"), "'giant' is unknown; choose from huge, nano"),
            (lambda: ImageBind.preset("nano", ["imu"], text={"context": 9}), "'text' is unknown"),
            (lambda: ImageBindEncoder(ImageBind({"imu": SMALL}), "audio"), "'audio' is unknown"),
            (lambda: ImageBindEncoder(ImageBind({"imu": SMALL}), "text"), "'text' is unknown"),
        ],
    )
    def test_wrong_configs_are_refused(self, wrong: Callable[[], Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            wrong()

    def test_another_trunks_config_is_refused(self) -> None:
        with pytest.raises(TypeError, match="takes a IMUConfig, not a TextConfig"):
            ImageBind({"imu": TextConfig(**SMALL)})

    @pytest.mark.parametrize(
        ("modality", "batch"),
        [
            ("image", torch.zeros(1, 3, 32, 32)),
            ("imu", torch.zeros(1, 6, 48)),
            ("text", torch.zeros(1, 9, dtype=torch.long)),
            ("smell", torch.zeros(1)),
        ],
    )
    def test_wrong_inputs_are_refused(self, model: ImageBind, modality: str, batch: Tensor) -> None:
        with pytest.raises(ValueError, match="positions|token ids|unknown"):
            model({modality: batch})

    def test_nano_takes_the_toybox_media(self) -> None:
        modalities = ("vision", "text", "audio", "imu")
        model = ImageBind.preset("nano", modalities, text={"vocab_size": 99}).eval()
        media: dict[str, Media] = {
            "image": Image(pixels(64, 64, 3)),
            "video": Video(pixels(8, 64, 64, 3), fps=4.0),
            "audio": Audio(noise(1, 32000), rate=16000),
            "imu": IMU(noise(6, 400), rate=200.0),
        }
        tokens = {"image": 65, "video": 4 * 65, "audio": 49, "imu": 51}
        for modality, medium in media.items():
            encoder = ImageBindEncoder(model, modality)
            batch = encoder.prepare(medium).unsqueeze(0)
            assert encoder(batch).values.shape == (1, tokens[modality], encoder.width)
            assert encoder.embed(batch).shape == (1, 128)
        ids = torch.zeros(1, 32, dtype=torch.long)
        assert model({"text": ids})["text"].shape == (1, 128)


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


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """CLIP's own tokenizer class with an alphabet of single letters."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    words = [*pieces, "re", "red</w>", "<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: index for index, piece in enumerate(words)}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[("r", "e"), ("re", "d</w>")])
    folder = tmp_path_factory.mktemp("clip")
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A user's own word tokenizer, without a start token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {"[UNK]": 0, "a": 1, "red": 2, "bell": 3, "[END]": 4}
    plain = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="[UNK]", eos_token="[END]"
    )
    folder = tmp_path_factory.mktemp("words")
    tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


class TestTokenize:
    def test_clip_reads_lower_case_between_start_and_end(self, clip: Any) -> None:
        first, second = tokenize(clip, ["Red", "red"], 8)
        start, end, red = (
            clip.convert_tokens_to_ids(t) for t in (clip.bos_token, clip.eos_token, "red</w>")
        )
        assert first.tolist() == second.tolist() == [start, red, end, 0, 0, 0, 0, 0]

    def test_long_texts_keep_their_end(self, clip: Any) -> None:
        ids = tokenize(clip, ["red " * 50], 8)
        assert ids.shape == (1, 8) and ids[0, -1] == clip.eos_token_id == ids.max()

    def test_typed_special_tokens_stay_text(self, clip: Any) -> None:
        (ids,) = tokenize(clip, ["red <|endoftext|> red"], 32)
        assert (ids == clip.eos_token_id).sum() == 1
        assert ids.argmax() > 3

    def test_a_tokenizer_without_a_start_has_none(self, words: Any) -> None:
        assert tokenize(words, ["a red bell", ""], 5).tolist() == [[1, 2, 3, 4, 0], [4, 0, 0, 0, 0]]

    def test_no_texts_give_no_rows(self, words: Any) -> None:
        assert tokenize(words, [], 5).shape == (0, 5)

    def test_end_tokens_that_cannot_be_found_are_refused(self, words: Any) -> None:
        other = copy.deepcopy(words)
        other.eos_token = "a"
        with pytest.raises(ValueError, match="larger than the end token's 1"):
            tokenize(other, ["red"], 5)
        other.eos_token = None
        with pytest.raises(ValueError, match="has none"):
            tokenize(other, ["red"], 5)

    def test_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="nowhere"):
            load_tokenizer(tmp_path / "nowhere")


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
