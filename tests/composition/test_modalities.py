"""Which modality reads and makes a class of media; wrong kinds of parts and names are refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from anymodal.config import ConfigError
from anymodal.modality import Modality
from anymodal.model import AnyModal
from anymodal.types import Message, Target
from tests.support import tiny
from tests.support.composed import model_config
from tests.support.own_encoders import Colours, Photo, PhotoColours


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


def test_a_second_encoder_reads_a_class_of_its_own(parts: Path) -> None:
    model = AnyModal.compose(parts)
    with pytest.raises(ValueError, match="Image is read already, by 'image'.*class of its own"):
        model.add_modality("photo", Modality(Colours()))
    model.add_modality("photo", Modality(PhotoColours()))
    asked = [Photo(tiny.picture().pixels), tiny.picture(), "what?"]
    items = model.prompts.build([Message("user", asked)], reply=True).media
    assert [item.modality for item in items] == ["photo", "image"]
    assert model.chat(asked, max_new_tokens=2) is not None


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
