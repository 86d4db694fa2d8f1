"""ImageBind: its trunks, scales and files, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.encoders.imagebind.config import TextConfig
from anymodal.media import IMU, Audio, Image, Media, Video
from tests.support.imagebind_models import SMALL, TRUNKS
from tests.support.random_media import noise, pixels


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
