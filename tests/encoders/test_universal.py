"""The universal encoder: OneLLM's sizes, CLIP's numbers, sets of points, and folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymodal.encoders import UniversalEncoder, UniversalTrunk
from anymodal.encoders.universal.points import furthest, group_points
from anymodal.encoders.universal.tokenizers import Patches, Tokenizer, TrunkSizes, build_tokenizer
from anymodal.media import IMU, Audio, Depth, Image, Normal, PointCloud, Video
from anymodal.model import AnyModal
from anymodal.tools.embed.opening import open_encoders
from anymodal.tools.plan import answering
from anymodal.tools.plan.meta_models import compose_model
from anymodal.training.trainable import freeze_all_but
from anymodal.types import Message
from tests.support import huggingface_models as tiny
from tests.support import universal_models
from tests.support.composed import model_config, write_model
from tests.support.random_media import noise, pixels
from tests.support.runs import text_loss

CLOUD = PointCloud(noise(60, 3), pixels(60, 3))


@pytest.fixture(scope="module")
def model() -> UniversalTrunk:
    torch.manual_seed(0)
    return universal_models.new()


def large(folder: Path) -> str:
    """A folder of which only the configuration is there, of CLIP ViT-L/14."""
    folder.mkdir()
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
              "num_attention_heads": 16, "image_size": 224, "patch_size": 14}  # fmt: skip
    hf.CLIPConfig(vision_config=vision).save_pretrained(folder)
    return str(folder)


def test_sizes_are_those_of_onellm(tmp_path: Path) -> None:
    planned = UniversalTrunk.from_pretrained(large(tmp_path / "large"), weights=False)
    assert planned.width == 1024
    shapes = {key: tuple(value.shape) for key, value in planned.tokenizers.state_dict().items()}
    assert shapes["audio.conv.weight"] == (1024, 1, 16, 16)
    assert shapes["imu.conv.weight"] == (1024, 6, 10) and "imu.conv.bias" not in shapes
    named = {key.split(".")[0] for key in shapes}
    assert named == {"audio", "imu", "points"}  # what is shown as a picture has nothing of its own
    media = {
        "image": Image(pixels(9, 9, 3)),
        "depth": Depth(np.abs(noise(9, 9))),
        "normal": Normal(noise(9, 9, 3).clip(-1, 1)),
        "video": Video(pixels(2, 9, 9, 3), fps=2),
        "audio": Audio(noise(1, 16000), 16000),
        "points": CLOUD,
        "imu": IMU(noise(6, 100), 100.0),
    }
    counts = {}
    for name, medium in media.items():
        piece = UniversalEncoder(planned, name).prepare(medium)[:1].to("meta")
        counts[name] = planned.features(name, piece[None]).values.shape[1] - 1
    pictures = dict.fromkeys(("image", "depth", "normal", "video"), 256)
    assert counts == {**pictures, "audio": 1212, "points": 1024, "imu": 391}


@torch.no_grad()
def test_pictures_get_clips_own_tokens(tmp_path: Path) -> None:
    clip = tiny.write(tiny.clip, tmp_path / "clip")
    trunk = UniversalTrunk.from_pretrained(tmp_path / "clip", {"image": None})
    picture = pixels(40, 52, 3)
    batch = UniversalEncoder(trunk, "image").prepare(Image(picture))[None]
    processor = hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    given = processor(PILImage.fromarray(picture), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(batch[0], given, rtol=0, atol=0.05)  # it rounds between its steps
    vision = clip.vision_model
    own = vision(batch[0])
    expected = vision.post_layernorm(own.last_hidden_state)
    torch.testing.assert_close(trunk.features("image", batch).values, expected)
    torch.testing.assert_close(trunk.embed("image", batch), own.pooler_output)


@torch.no_grad()
def test_frames_stand_in_order_unless_they_are_averaged(model: UniversalTrunk) -> None:
    film = torch.randn(1, 3, 3, 16, 16)
    forth, back = (model.features("video", clip).values for clip in (film, film.flip(1)))
    assert forth.shape == (1, 3 * 5, 16) and not torch.allclose(forth, back)
    same, reverse = (model.features("film", clip).values for clip in (film, film.flip(1)))
    assert same.shape == (1, 5, 16)
    torch.testing.assert_close(same, reverse)
    single = torch.stack([model.features("image", film[:, i : i + 1]).values for i in range(3)])
    torch.testing.assert_close(same, single.mean(dim=0))
    pooled = torch.stack([model.embed("image", film[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model.embed("video", film), pooled.mean(dim=0))


def test_maps_are_shown_as_pictures(model: UniversalTrunk) -> None:
    def prepared(name: str, medium: Any) -> Tensor:
        return UniversalEncoder(model, name).prepare(medium)

    ramp = np.linspace(0, 255, 16).round().astype(np.uint8)[None].repeat(16, axis=0)  # (16, 16)
    grey = prepared("image", Image(np.stack([ramp] * 3, axis=2)))
    for scale in (1.0, 1e-20, 1e30):  # whatever the unit
        depth = Depth(ramp.astype(np.float32) * np.float32(scale) + np.float32(scale))
        torch.testing.assert_close(prepared("depth", depth), grey, rtol=0, atol=1e-4)
    flat = prepared("depth", Depth(np.ones((4, 4), np.float32)))
    torch.testing.assert_close(flat, prepared("image", Image(np.zeros((4, 4, 3), np.uint8))))
    facing = np.stack([ramp] * 3, axis=2).astype(np.float32) / 127.5 - 1
    torch.testing.assert_close(prepared("normal", Normal(facing)), grey)


class TestPoints:
    sizes = {"most": 40, "groups": 12, "neighbours": 5}

    @settings(max_examples=40, deadline=None)
    @given(st.integers(1, 80), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
    def test_their_order_changes_nothing(
        self, count: int, colored: bool, gridded: bool, random: Any
    ) -> None:
        rng = np.random.default_rng(random.randrange(2**32))
        points = rng.standard_normal((count, 3)).astype(np.float32)
        if gridded:  # many equal coordinates, distances and points
            points = points.round()
        colors = rng.integers(0, 256, (count, 3), dtype=np.uint8) if colored else None
        order = rng.permutation(count)
        shuffled = group_points(
            points[order], None if colors is None else colors[order], **self.sizes
        )
        assert np.array_equal(group_points(points, colors, **self.sizes), shuffled)

    def test_place_and_size_change_nothing_but_rounding(self) -> None:
        here = group_points(CLOUD.points, CLOUD.colors, **self.sizes)
        there = group_points(4 * CLOUD.points + 2, CLOUD.colors, **self.sizes)
        assert here.shape == (12, 5, 9) and np.isfinite(here).all()
        np.testing.assert_allclose(here, there, atol=1e-5)

    def test_groups_hold_the_nearest_around_centres_that_lie_far_apart(self) -> None:
        cells = np.array([[x, y, z] for x in (0, 9) for y in (0, 9) for z in (0, 9)], np.float32)
        points = (cells[:, None] + noise(1, 5, 3)).reshape(-1, 3)  # 8 heaps of 5 points
        found = group_points(points, None, most=99, groups=8, neighbours=5)
        assert np.abs(found[..., :3]).max() < 0.2  # each group is one heap
        centres = found[:, 0, 3:6]
        apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(8)
        assert apart.min() > 0.8
        assert not found[..., 6:].any()
        np.testing.assert_allclose(found[:, 0, :3], 0, atol=1e-7)  # nearest to itself

    def test_furthest_points_are_each_furthest_from_those_before(self) -> None:
        line = np.array([[0.0, 0, 0], [1, 0, 0], [2.1, 0, 0], [-2, 0, 0]])
        assert furthest(line, 4).tolist() == [2, 3, 0, 1]
        assert sorted(furthest(np.ones((5, 3)), 5).tolist()) == [0, 1, 2, 3, 4]

    def test_small_clouds_repeat_themselves(self) -> None:
        one = group_points(np.ones((1, 3), np.float32), None, **self.sizes)
        assert one.shape == (12, 5, 9) and not one.any()
        same = group_points(np.full((7, 3), 0.1, np.float32), None, **self.sizes)
        np.testing.assert_allclose(same, 0, atol=1e-12)
        two = group_points(np.eye(2, 3, dtype=np.float32), None, **self.sizes)
        np.testing.assert_array_equal(two[0], two[2])
        np.testing.assert_array_equal(two[:, 0], two[:, 2])
        assert not np.array_equal(two[0], two[1])

    def test_their_tokens_are_blind_to_the_order_within_a_group(
        self, model: UniversalTrunk
    ) -> None:
        batch = UniversalEncoder(model, "points").prepare(CLOUD)[None]
        turned = batch.flip(3)  # (B, P, groups, neighbours, 9)
        values = model.features("points", batch).values
        torch.testing.assert_close(model.features("points", turned).values, values)


class TestFolders:
    def test_tokenizers_of_a_clip_are_drawn_by_a_rule(self, tmp_path: Path) -> None:
        tiny.write(tiny.clip, tmp_path / "clip")
        wanted = {name: universal_models.MODALITIES[name] for name in ("audio", "imu", "points")}
        first, second = (
            UniversalTrunk.from_pretrained(tmp_path / "clip", wanted) for _ in range(2)
        )
        states = first.state_dict(), second.state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert first.tokenizers["audio"].conv.weight.std().item() == pytest.approx(1 / 16, rel=0.1)
        assert first.source["name"] == "clip"
        planned = UniversalTrunk.from_pretrained(tmp_path / "clip", wanted, weights=False)
        assert {key: value.shape for key, value in planned.state_dict().items()} == {
            key: value.shape for key, value in states[0].items()
        }
        assert all(value.is_meta for value in planned.state_dict().values())

    def test_saved_ones_open_as_they_were_and_take_further_modalities(
        self, model: UniversalTrunk, tmp_path: Path
    ) -> None:
        model.save_pretrained(tmp_path)
        other = UniversalTrunk.from_pretrained(tmp_path)
        assert other.modalities == model.modalities
        state = other.state_dict()
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
        identities = [UniversalEncoder(m, "audio").metadata() for m in (model, other)]
        assert identities[0] == identities[1] != UniversalEncoder(model, "imu").metadata()
        further = {"watch": {"kind": "imu", "samples": 20}, "imu": {"samples": 40}}
        wider = UniversalTrunk.from_pretrained(tmp_path, further)
        assert wider.modalities.keys() - model.modalities.keys() == {"watch"}
        encoder = UniversalEncoder(wider, "watch")
        batch = encoder.prepare(IMU(noise(6, 100), 100.0))[None]
        assert encoder(batch).values.shape == (1, 1 + 11, 16)
        again = UniversalTrunk.from_pretrained(tmp_path, further)
        assert torch.equal(encoder.embed(batch), again.embed("watch", batch))

    def test_a_clip_without_texts_opens_and_an_incomplete_one_does_not(
        self, tmp_path: Path
    ) -> None:
        vision = hf.CLIPVisionModel(hf.CLIPVisionConfig(**universal_models.VISION))
        vision.save_pretrained(tmp_path / "vision")
        trunk = UniversalTrunk.from_pretrained(tmp_path / "vision", {"image": None})
        assert torch.equal(trunk.post_norm.weight, vision.post_layernorm.weight)
        file = tmp_path / "vision" / "model.safetensors"
        weights = load_file(file)
        (gone,) = [key for key in weights if key.endswith("post_layernorm.bias")]
        save_file({k: v for k, v in weights.items() if k != gone}, file, {"format": "pt"})
        with pytest.raises(ValueError, match=r"lacks 1 weights, as .*post_layernorm\.bias"):
            UniversalTrunk.from_pretrained(tmp_path / "vision", {"image": None})

    def test_files_are_embedded_by_it(self, model: UniversalTrunk, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path)
        found = open_encoders(str(tmp_path))
        kinds = {"image", "video", "audio", "points", "depth", "normal", "imu"}
        assert found.keys() == kinds

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"smell": None}, "'smell'; choose kind: one of image, normal, depth, video"),
            ({"imu": {"kernal": 3}}, "'kernal'; it takes samples, seconds, kernel, stride, clips"),
            ({"imu": {"kernel": 401}}, "samples=400 is less than kernel=401; change one of them"),
            ({"audio": {"stride": 0}}, "stride=0; give more than 0"),
            ({"video": {"frames": 0}}, "frames=0"),
            ({"points": {"groups": -1}}, "groups=-1"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(
        self, given: dict[str, Any], says: str, tmp_path: Path
    ) -> None:
        with pytest.raises(ValueError, match=says):
            UniversalTrunk.from_pretrained(large(tmp_path / "large"), given, weights=False)

    def test_other_folders_are_refused(self, model: UniversalTrunk, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path / "ours")
        with pytest.raises(ValueError, match="has samples=40 in the tokenizer of 'imu', not 80"):
            UniversalTrunk.from_pretrained(tmp_path / "ours", {"imu": {"samples": 80}})
        with pytest.raises(ValueError, match="modality 'smell' is unknown; choose from image"):
            UniversalEncoder(model, "smell")
        (tmp_path / "ours" / "model.safetensors").unlink()
        with pytest.raises(ValueError, match="has no model.safetensors"):
            UniversalTrunk.from_pretrained(tmp_path / "ours")
        tiny.write(tiny.siglip, tmp_path / "other")
        with pytest.raises(ValueError, match="is a 'siglip'; the trunk is a CLIP"):
            UniversalTrunk.from_pretrained(tmp_path / "other")
        with pytest.raises(OSError, match="nowhere"):
            UniversalTrunk.from_pretrained(tmp_path / "nowhere")


class Doubled(Tokenizer):
    """Somebody's own: a picture's rows as tokens."""

    kind = "rows"
    media = Image

    def __init__(self, trunk: TrunkSizes, rows: int = 4) -> None:
        super().__init__()
        self.rows = rows
        self.linear = torch.nn.Linear(3, trunk.width)
        self.positions = torch.nn.Parameter(torch.empty(1 + rows, trunk.width))

    def prepare(self, media: Image) -> Tensor:
        index = np.linspace(0, len(media.pixels) - 1, self.rows).astype(int)
        return torch.from_numpy(media.pixels[index].mean(axis=1) / 255).float()[None]

    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        return self.linear(batch)


def test_a_tokenizer_of_ones_own_is_named_by_its_kind() -> None:
    trunk = universal_models.new(scan={"kind": "rows", "rows": 3})
    encoder = UniversalEncoder(trunk, "scan")
    batch = encoder.prepare(Image(pixels(9, 5, 3)))[None]
    assert encoder(batch).values.shape == (1, 4, 16)
    assert build_tokenizer("scan", {"kind": "rows"}, TrunkSizes(8, 16)).settings == {
        "kind": "rows",
        "rows": 4,
    }


def test_a_model_shares_it_and_trains_a_tokenizer_alone(tmp_path: Path) -> None:
    write_model(tmp_path)
    tiny.write(tiny.clip, tmp_path / "clip")
    config = model_config(tmp_path)
    del config["parts"]["binder"]
    names = ("image", "points", "imu")
    config["modalities"] = {
        name: {
            "encoder": {
                "_target_": "anymodal.encoders.UniversalEncoder",
                "model": {"_part_": "trunk"},
                "modality": name,
            }
        }
        for name in names
    }
    config["parts"]["trunk"] = {
        "_target_": "anymodal.encoders.UniversalTrunk.from_pretrained",
        "path_or_name": str(tmp_path / "clip"),
        "modalities": {name: universal_models.MODALITIES[name] for name in names},
    }
    for name in ("image", "audio"):
        del config["parts"][name]
    model = AnyModal.compose(config)
    planned = compose_model(config, {})
    assert all(weight.is_meta for weight in planned.parameters())
    assert {n: w.shape for n, w in planned.named_parameters()} == {
        n: w.shape for n, w in model.named_parameters()
    }
    (left_out,) = answering.inference(planned, 64).unknown
    assert left_out.startswith("encoders.points (") and "no PointCloud here" in left_out
    freeze_all_but(model, ["encoders.*.tokenizers.points.*"])
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert len(trained) == 5 and all("tokenizers.points." in name for name in trained)
    talk = [[Message("user", [CLOUD, "what is this?"]), Message("assistant", ["A ball."])]]
    text_loss(model, talk).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    loss = text_loss(model, talk)
    for parts in (False, True):  # beside CLIP, and with all of it
        model.save_pretrained(tmp_path / f"model-{parts}", with_parts=parts)
        other = AnyModal.from_pretrained(tmp_path / f"model-{parts}")
        torch.testing.assert_close(text_loss(other, talk), loss)
    manifest = json.loads((tmp_path / "model-True" / "manifest.json").read_text())
    assert manifest["parts"]["encoder.points"]["source"]["name"] == "clip"
