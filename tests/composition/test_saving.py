"""Models that are saved and opened again, whatever their parts are and wherever they come from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anymodal.config import ConfigError
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import Encoder, ImageBind, ImageBindEncoder
from anymodal.heads import LinearHead
from anymodal.io import checkpoint
from anymodal.io.checkpoint import CheckpointError
from anymodal.language.model import LanguageModel
from anymodal.media import IMU, Image
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.projection import LinearProjection, UniversalProjection
from anymodal.types import Features, Message, Target
from tests.support import tiny
from tests.support.composed import model_config, write_model

LORA = {"r": 2, "alpha": 4, "dropout": 0.0}


class Trunk(nn.Module):
    """A network of somebody else, with a buffer that training changes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        values = self.layer(x)
        return self.norm(values.transpose(1, 2)).transpose(1, 2)


class Colours(Encoder):
    """The mean colour of each row of a picture; of random weights, which no file holds."""

    media: Any = Image

    def __init__(self, width: int = 6, *, rows: int = 2) -> None:
        super().__init__()
        self.width, self.rows = width, rows
        self.trunk = Trunk(width)

    def prepare(self, media: Any) -> Tensor:
        pixels = torch.tensor(np.array(media.pixels[: self.rows])).float() / 255
        return pixels.mean(1)

    def forward(self, batch: Tensor) -> Features:
        values = self.trunk(batch)
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return self(batch).values.mean(1)


class Wrapped(Colours):
    """The same around an object, of which nobody can say how it was built."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("parts"))


def config_with_colours(parts: Path) -> dict[str, Any]:
    config = model_config(parts.parent)
    config["modalities"]["image"]["encoder"] = {"_target_": f"{__name__}.Colours", "width": 5}
    config["trusted_packages"] = ["tests"]
    return config


def identical(first: AnyModal, second: AnyModal) -> None:
    left, right = first.state_dict(), second.state_dict()
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
    asked = [tiny.picture(), "what is this?"]
    replies = [m.chat(asked, seed=1, max_new_tokens=6, max_spans=1) for m in (first, second)]
    assert replies[0] == replies[1]


def unsettle(model: nn.Module) -> None:
    """Buffers that differ from what a constructor gives."""
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.add_(0.5)


# ---- Parts without files ------------------------------------------------------------------------


@pytest.mark.parametrize("with_parts", [False, True])
def test_what_has_no_file_is_saved_with_the_model(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    model = AnyModal.compose(config_with_colours(parts))
    unsettle(model)
    assert not any(p.requires_grad for p in model.encoders["image"].parameters())
    model.save_pretrained(tmp_path / "a", with_parts)
    again = AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"])
    identical(model, again)
    again.save_pretrained(tmp_path / "b", with_parts)
    identical(model, AnyModal.from_pretrained(tmp_path / "b", trusted_packages=["tests"]))


@pytest.mark.parametrize("with_parts", [False, True])
def test_what_a_configuration_built_of_random_weights_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    config = model_config(parts.parent)
    config["parts"]["movement"] = {
        "_target_": "anymodal.encoders.ImageBind.preset",
        "name": "nano",
        "modalities": ["imu"],
    }
    encoder = config["modalities"]["imu"]["encoder"]
    config["modalities"]["imu"]["encoder"] = {**encoder, "model": {"_part_": "movement"}}
    model = AnyModal.compose(config)
    model.save_pretrained(tmp_path / "a", with_parts)
    assert (tmp_path / "a" / "movement").is_dir() == with_parts
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_a_model_saved_over_its_own_parts_keeps_them(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    model.save_pretrained(tmp_path / "a", with_parts=True)
    again = AnyModal.from_pretrained(tmp_path / "a")
    again.save_pretrained(tmp_path / "a")  # the old folder goes
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_what_has_files_stays_there(parts: Path, tmp_path: Path) -> None:
    AnyModal.compose(parts).save_pretrained(tmp_path / "a")
    names = checkpoint.load_weights(tmp_path / "a" / checkpoint.WEIGHTS)
    assert {name.split(".")[0] for name in names} == {"projection", "heads", "language"}
    assert not any(name.startswith("language.model") for name in names)


def test_weights_that_changed_without_training_are_saved(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    with torch.no_grad():
        for part in (model.encoders["audio"], model.decoders["image"]):
            for weight in part.parameters():
                weight.mul_(1.1)
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


def test_another_precision_changes_no_part(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    assert not (again.config or {}).get("trained")
    assert again.language.model.dtype == torch.float32
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name].to(value.dtype)), name


# ---- Adapters -----------------------------------------------------------------------------------


def adapted(config: Any, tmp_path: Path) -> AnyModal:
    model = AnyModal.compose(config)
    if model.language.lora is None:
        model.language.enable_lora(**LORA)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    return model


@pytest.mark.parametrize("where", ["top", "node", "call"])
@pytest.mark.parametrize("with_parts", [False, True])
@pytest.mark.parametrize("merged", [False, True])
def test_adapters_merged_or_not_are_saved_and_opened(
    parts: Path, tmp_path: Path, where: str, with_parts: bool, merged: bool
) -> None:
    config = model_config(parts.parent)
    if where == "top":
        config["lora"] = LORA
    elif where == "node":
        config["parts"]["words"]["lora"] = LORA
    model = adapted(config, tmp_path)
    if merged:
        model.language.merge_adapters()
    for name in "ab":
        model.save_pretrained(tmp_path / name, with_parts)
        again = AnyModal.from_pretrained(tmp_path / name)
        identical(model, again)
        assert (again.language.lora is None) == merged
        model = again


def test_adapters_by_a_pattern_are_saved_by_name(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(
        {**model_config(parts.parent), "lora": {"target_modules": r".*[qv]_proj"}}
    )
    assert all(n.endswith(("q_proj", "v_proj")) for n in model.language.lora["target_modules"])
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


# ---- Models put together in Python -------------------------------------------------------------


def in_python(parts: Path, opened: bool = True, **settings: Any) -> AnyModal:
    folder = parts.parent
    language = LanguageModel.from_pretrained(str(folder / "lm"))
    binder = ImageBind.from_pretrained(folder / "binder")
    painter = DiffusionDecoder.from_pretrained(folder / "image", vae_slicing=True)
    encoders = {"image": Colours(7, rows=3), "imu": ImageBindEncoder(binder, "imu")}
    encoders["audio"] = ImageBindEncoder(binder, modality="audio")
    projection = UniversalProjection(
        widths={name: encoder.width for name, encoder in encoders.items()},
        output_width=language.width,
        output_scale=0.5,
        **{"num_tokens": 3, "width": 16, "depth": 1, "heads": 2},
    )
    head = LinearHead(input_width=language.width, num_signal_tokens=4, spec=painter.spec)
    modalities = {name: Modality(encoder) for name, encoder in encoders.items()}
    sampling = {"steps": 2, "guidance": 2.0}
    modalities["image"] = Modality(encoders["image"], painter, head, 4, sampling)
    return AnyModal(language, projection, modalities, **settings)


@pytest.mark.parametrize("with_parts", [False, True])
def test_a_model_put_together_in_python_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool
) -> None:
    model = in_python(parts, history_turns=3)
    unsettle(model)
    model.save_pretrained(tmp_path / "a", with_parts)
    again = AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"])
    identical(model, again)
    assert again.history_turns == 3 and again.modalities["image"].sampling == {
        "steps": 2,
        "guidance": 2.0,
    }
    assert again.encoders["imu"].model is again.encoders["audio"].model
    assert again.decoders["image"].pipeline.vae.use_slicing
    assert model.config is None
    fresh = AnyModal.compose({**again.config, "trusted_packages": ["tests"]})
    assert list(fresh.modalities) == list(model.modalities)


def test_parts_of_random_weights_are_written_beside_it(tmp_path: Path) -> None:
    model = tiny.compose()
    model.language.enable_lora(**LORA)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    identical(model, again)
    assert again.encoders["image"].model is again.encoders["imu"].model


def test_the_precision_of_such_parts_comes_back(tmp_path: Path) -> None:
    model = tiny.compose()
    model.decoders["image"].to(torch.bfloat16)
    model.language.model.to(torch.bfloat16)
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    for part in (again.decoders["image"], again.language.model):
        assert {p.dtype for p in part.parameters()} == {torch.bfloat16}


def test_merged_in_python_too(parts: Path, tmp_path: Path) -> None:
    model = in_python(parts)
    model.language.enable_lora(**LORA)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    model.language.merge_adapters()
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_part_that_knows_nothing_is_named(parts: Path, tmp_path: Path) -> None:
    model = AnyModal.compose(parts)
    encoders = {"picture": Wrapped(Trunk(6))}
    projection = LinearProjection(widths={"picture": 6}, output_width=tiny.WIDTH, num_tokens=2)
    language = LanguageModel.from_pretrained(str(parts.parent / "lm"))
    model = AnyModal(language, projection, {"picture": Modality(encoders["picture"])})
    with pytest.raises(
        ValueError, match=r"picture-encoder is a Wrapped .*'trunk', a Trunk, .*AnyModal"
    ):
        model.save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_class_within_a_function_is_refused(parts: Path, tmp_path: Path) -> None:
    class Local(Colours):
        pass

    model = AnyModal.compose(parts)
    language = LanguageModel.from_pretrained(str(parts.parent / "lm"))
    projection = LinearProjection(widths={"picture": 6}, output_width=tiny.WIDTH, num_tokens=2)
    model = AnyModal(language, projection, {"picture": Modality(Local())})
    with pytest.raises(ValueError, match="a class within a function"):
        model.save_pretrained(tmp_path / "a")


def test_an_added_encoder_that_shares_a_trunk_goes_on_sharing_it(
    parts: Path, tmp_path: Path
) -> None:
    config = model_config(parts.parent)
    binder = config["parts"].pop("binder")
    config["modalities"].pop("imu")
    config["modalities"].pop("audio")
    config["modalities"]["image"]["encoder"]["model"] = binder  # inline
    model = AnyModal.compose(config)
    model.add_modality("moves", Modality(ImageBindEncoder(model.encoders["image"].model, "imu")))
    model.save_pretrained(tmp_path / "a")
    again = AnyModal.from_pretrained(tmp_path / "a")
    identical(model, again)
    assert again.encoders["image"].model is again.encoders["moves"].model
    assert again.chat([tiny.felt(), "what?"], max_new_tokens=2) is not None
    assert IMU in again.prompts.encoders


def test_an_encoder_that_cannot_tell_is_told_of(parts: Path, tmp_path: Path) -> None:
    for model in (AnyModal.compose(parts), in_python(parts)):
        other = PhotoColours(6)
        vars(other).pop("_construction")
        how = {"_target_": f"{__name__}.PhotoColours", "width": 6}
        model.add_modality("photo", Modality(other), encoder=how)
        model.save_pretrained(tmp_path / "a")
        identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_configuration_that_opens_files_may_come_beside_parts_without_any(
    tmp_path: Path,
) -> None:
    model = tiny.compose()
    model.config = model_config(tmp_path)
    model.save_pretrained(tmp_path / "a")
    identical(model, AnyModal.from_pretrained(tmp_path / "a"))


# ---- Weights to start from ----------------------------------------------------------------------


def test_a_model_starts_from_the_folder_of_another_that_reads(parts: Path, tmp_path: Path) -> None:
    config = model_config(parts.parent)
    config["modalities"].pop("audio")  # reads less, and makes less
    config["modalities"]["image"]["encoder"] = {"_target_": f"{__name__}.Colours"}
    config["trusted_packages"] = ["tests"]
    first = AnyModal.compose(config)
    first.save_pretrained(tmp_path / "first")
    more = model_config(parts.parent)
    more["modalities"] = {
        "audio": more["modalities"]["audio"],
        "imu": more["modalities"]["imu"],
        "image": config["modalities"]["image"],
    }
    more |= {"weights": [str(tmp_path / "first")], "trusted_packages": ["tests"]}
    second = AnyModal.compose(more)
    for name in (*first.signals.names,):
        rows = [m.language.rows[m.signals.names.index(name)] for m in (first, second)]
        assert torch.equal(*rows), name
    old, new = first.state_dict(), second.state_dict()
    shared = [n for n in old if n in new and n != "language.rows"]
    assert any(n.startswith("encoders.image") for n in shared)
    assert all(torch.equal(old[n], new[n]) for n in shared)
    second.save_pretrained(tmp_path / "second")
    identical(second, AnyModal.from_pretrained(tmp_path / "second", trusted_packages=["tests"]))


def test_a_folder_that_trained_a_part_is_started_from(parts: Path, tmp_path: Path) -> None:
    first = AnyModal.compose(parts)
    with torch.no_grad():
        for weight in [*first.decoders["image"].parameters(), *first.encoders["imu"].parameters()]:
            weight.mul_(1.2)
    first.save_pretrained(tmp_path / "first")
    config = model_config(parts.parent)
    order = ("imu", "audio", "image")  # shared weights stand under another name first
    config["modalities"] = {name: config["modalities"][name] for name in order}
    config["weights"] = [str(tmp_path / "first")]
    second = AnyModal.compose(config)
    for name, value in first.state_dict().items():
        if name != "language.rows":
            assert torch.equal(value, second.state_dict()[name]), name


def test_what_the_other_model_has_and_this_one_lacks_is_named(parts: Path, tmp_path: Path) -> None:
    AnyModal.compose(parts).save_pretrained(tmp_path / "first")
    config = model_config(parts.parent)
    config["modalities"].pop("imu")
    config["weights"] = [str(tmp_path / "first")]
    with pytest.raises(
        CheckpointError, match=r"only in the checkpoint: language.rows of <\|imu\|>"
    ):
        AnyModal.compose(config)


# ---- Which modality reads and makes a class of media --------------------------------------------


def test_a_modality_of_any_name_keeps_its_spans_in_the_history(parts: Path) -> None:
    config = model_config(parts.parent)
    image = config["modalities"].pop("image")
    drawn = {key: value for key, value in image.items() if key != "encoder"}
    config["modalities"] |= {"drawing": drawn, "photo": {"encoder": image["encoder"]}}
    model = AnyModal.compose(config)
    for part in (tiny.picture(), Target("image", "", tiny.picture()), Target("drawing", "a ball")):
        talk = [Message("user", ["draw"]), Message("assistant", ["Here: ", part])]
        prompt = model.prompts.build(talk, reply=False)
        assert [span.target.modality for span in prompt.spans] == ["drawing"]
    shown = [*talk[:1], Message("assistant", [tiny.picture()]), Message("user", ["and now?"])]
    prompt = model.prompts.build(shown, reply=True)
    assert [item.modality for item in prompt.media] == ["photo"] and len(prompt.spans) == 1


@pytest.mark.parametrize("key", ["encoder", "decoder"])
def test_two_of_one_class_of_media_are_refused(parts: Path, key: str) -> None:
    config = model_config(parts.parent)
    image = copy.deepcopy(config["modalities"]["image"])
    image.pop("decoder" if key == "encoder" else "encoder")
    config["modalities"]["other"] = image
    verb = "read" if key == "encoder" else "make"
    with pytest.raises(ValueError, match=f"'image' and 'other' both {verb} Image.*leave one out"):
        AnyModal.compose(config)


def test_parts_of_two_classes_of_media_are_no_modality(parts: Path) -> None:
    model = AnyModal.compose(parts)
    audio = model.modalities["audio"]
    with pytest.raises(ValueError, match="encoder reads Image and the decoder makes Audio"):
        Modality(model.encoders["image"], audio.decoder, audio.head, 4)


class Photo(Image):
    """Pictures that an encoder of their own reads."""

    kind = "photo"


class PhotoColours(Colours):
    media = Photo


def test_a_second_encoder_reads_a_class_of_its_own(parts: Path) -> None:
    model = AnyModal.compose(parts)
    with pytest.raises(ValueError, match="Image is read already, by 'image'.*class of its own"):
        model.add_modality("photo", Modality(Colours()))
    model.add_modality("photo", Modality(PhotoColours()))
    asked = [Photo(tiny.picture().pixels), tiny.picture(), "what?"]
    items = model.prompts.build([Message("user", asked)], reply=True).media
    assert [item.modality for item in items] == ["photo", "image"]
    assert model.chat(asked, max_new_tokens=2) is not None


# ---- Replacing a decoder -------------------------------------------------------------------------


def test_assigning_parts_fails_aloud(parts: Path) -> None:
    model = AnyModal.compose(parts)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with pytest.raises(TypeError, match="replace_decoder"):
        model.decoders["image"] = other
    with pytest.raises(TypeError, match="replace_decoder"):
        del model.decoders["image"]
    with pytest.raises(TypeError, match="replace_decoder"):
        model.decoders.update({"image": other})
    with pytest.raises(TypeError):
        model.decoders.pop("image")
    with pytest.raises(TypeError, match="replace_decoder"):
        model.heads["image"] = model.heads["image"]
    with pytest.raises(TypeError, match="add_modality"):
        model.encoders["image"] = model.encoders["image"]
    with pytest.raises(AttributeError):
        model.modalities["image"].decoder = other  # type: ignore[misc]
    with pytest.raises(TypeError):
        model.modalities["image"] = model.modalities["image"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        model.modalities = {}  # type: ignore[misc]


@pytest.mark.parametrize("with_parts", [False, True])
@pytest.mark.parametrize("python", [False, True])
def test_a_replaced_decoder_draws_and_is_saved(
    parts: Path, tmp_path: Path, with_parts: bool, python: bool
) -> None:
    model = in_python(parts) if python else AnyModal.compose(parts)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with torch.no_grad():
        for weight in other.pipeline.transformer.parameters():
            weight.mul_(1.5)
    model.replace_decoder("image", other.train())
    assert model.modalities["image"].decoder is other is model.decoders["image"]
    assert not other.training and not any(p.requires_grad for p in other.parameters())
    model.save_pretrained(tmp_path / "a", with_parts)
    identical(model, AnyModal.from_pretrained(tmp_path / "a", trusted_packages=["tests"]))


def test_a_decoder_that_does_not_fit_is_refused(parts: Path) -> None:
    model = AnyModal.compose(parts)
    image, audio = model.decoders["image"], model.decoders["audio"]
    with pytest.raises(ValueError, match="no decoder is called 'imu'; there are: audio, image"):
        model.replace_decoder("imu", image)
    with pytest.raises(ValueError, match="reads Image and the decoder makes Audio"):
        model.replace_decoder("image", audio)
    other = DiffusionDecoder.from_pretrained(parts.parent / "image")
    with torch.no_grad():
        for weight in other.pipeline.text_encoder.parameters():
            weight.mul_(2.0)
    with pytest.raises(ValueError, match="the head of 'image' gives .*or a head that is built"):
        model.replace_decoder("image", other)
    assert model.decoders["image"] is image
    head = LinearHead(input_width=model.language.width, num_signal_tokens=4, spec=other.spec)
    wrong = LinearHead(input_width=model.language.width, num_signal_tokens=3, spec=other.spec)
    with pytest.raises(ValueError, match="reads 3 signal tokens and the modality has 4"):
        model.replace_decoder("image", other, wrong)
    model.replace_decoder("image", other, head)
    assert model.heads["image"] is head and model.decoders["image"] is other


@pytest.mark.parametrize(
    ("key", "place"),
    [("encoder", "image"), ("decoder", "image"), ("head", "image"), ("language", ""), ("p", "")],
)
def test_a_part_of_another_kind_is_refused(parts: Path, key: str, place: str) -> None:
    config = model_config(parts.parent)
    other = {"_part_": "binder"}
    if place:
        config["modalities"][place][key] = other
        where = f"modalities.{place}.{key}"
    else:
        where = {"p": "projection"}.get(key, key)
        config[where] = other
    with pytest.raises(ConfigError, match=f"{where} must be a .*, and what it names gives a Image"):
        AnyModal.compose(config)


def test_names_that_files_and_modules_cannot_have(parts: Path) -> None:
    for name in ("../x", "a/b", "", "a b", "é", "a\n", "1a", "a" * 65, "keys", "training", 3):
        for key in ("parts", "modalities"):
            config = model_config(parts.parent)
            config[key][name] = config[key][next(iter(config[key]))]
            with pytest.raises(ConfigError, match=rf"{key}: .* cannot name a"):
                AnyModal.compose(config)
