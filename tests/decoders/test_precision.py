"""Models in other precisions, and where `from_pretrained` puts their parts."""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anymodal.cli.options import open_model
from anymodal.composition.placement import place, widen_for
from anymodal.decoders import DiffusionDecoder
from anymodal.distributed import devices
from anymodal.encoders import Encoder, ImageBind, PooledEncoder, TransformersEncoder
from anymodal.encoders.imagebind.encoder import ImageBindEncoder
from anymodal.encoders.imagebind.views import VIEWS
from anymodal.media import Depth, Image, Media, Thermal, Video
from anymodal.model import AnyModal
from anymodal.types import Features
from tests.support import huggingface_models, universal_models
from tests.support.composed import model_config, write_model
from tests.support.pipelines import FAMILIES
from tests.support.tiny import REPLIES, felt, picture, sound, tiny_model

OTHERS = [torch.bfloat16, torch.float16, torch.float64]
ASKED: list[Any] = [
    *REPLIES,
    *([each, "what is this?"] for each in (picture(1), sound(2), felt(3))),
]


def precisions(module: nn.Module) -> set[torch.dtype]:
    return {each.dtype for each in module.parameters()}


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_a_whole_model_answers(dtype: torch.dtype) -> None:
    model = copy.deepcopy(tiny_model()).to(dtype)
    for asked in ASKED:
        assert model.chat(asked, seed=1).role == "assistant"
    assert [type(each).kind for each in model.chat("draw and play a ball").media] == [
        "image",
        "audio",
    ]
    assert len(model.chat([["hello"], [picture(), "what is this?"]])) == 2


MEDIA: Mapping[type[Media], Callable[[], Media]] = {
    type(each): lambda each=each: each for each in (picture(), sound(), felt())
} | {
    Video: lambda: Video(torch.zeros(4, 16, 16, 3, dtype=torch.uint8).numpy(), 2.0),
    Depth: lambda: Depth(torch.rand(16, 16).numpy()),
    Thermal: lambda: Thermal(torch.zeros(16, 16, dtype=torch.uint8).numpy()),
}


@pytest.fixture(scope="module")
def binder() -> ImageBind:
    torch.manual_seed(0)
    return ImageBind.preset("nano").eval()


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
@pytest.mark.parametrize("name", VIEWS)
def test_every_trunk_of_imagebind_encodes(binder: ImageBind, name: str, dtype: torch.dtype) -> None:
    view = ImageBindEncoder(binder, name)
    batch = view.prepare(MEDIA[view.media]())[None]
    with torch.no_grad():
        wanted, embeds = view(batch).values, view.embed(batch)
        other = copy.deepcopy(view).to(dtype)
        pooled = PooledEncoder(other, binder.embedding)
        assert pooled(pooled.to_weights(batch)).values.dtype == dtype
        found = other(batch).values
        assert found.dtype == dtype
        tolerance = 0.1 * float(wanted.abs().max())
        torch.testing.assert_close(found.float(), wanted, rtol=0, atol=tolerance)
        torch.testing.assert_close(other.embed(batch).float(), embeds, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("family", sorted(huggingface_models.FAMILIES))
def test_every_family_of_transformers_encodes(family: str, tmp_path: Path) -> None:
    folder = tmp_path / family
    huggingface_models.write(huggingface_models.FAMILIES[family], folder)
    encoder = TransformersEncoder.from_pretrained(str(folder), seconds=0.5)
    batch = encoder.prepare(MEDIA[encoder.media]())[None]
    dtype = torch.bfloat16
    other = copy.deepcopy(encoder).to(dtype)
    with torch.no_grad():
        assert other(other.to_weights(batch)).values.dtype == dtype
        assert other.embed(batch).isfinite().all()


class Touch(Encoder):
    """A user's own encoder, which knows nothing of precisions."""

    media, width = Image, 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def prepare(self, media: Any) -> Tensor:
        return torch.tensor(media.pixels[0, :2]).float()

    def forward(self, batch: Tensor) -> Features:
        values = self.layer(batch)
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: Tensor) -> Tensor:
        return self(batch).values[:, 0]


def test_a_user_s_encoder_gets_batches_in_its_own_precision() -> None:
    encoder = Touch().to(torch.bfloat16)
    assert encoder(encoder.to_weights(encoder.prepare(picture())[None])).values.dtype == (
        torch.bfloat16
    )
    assert encoder.to_weights(torch.ones(1, dtype=torch.long)).dtype == torch.long


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_of_decoders_computes(name: str) -> None:
    torch.manual_seed(0)
    known = FAMILIES[name]
    first = DiffusionDecoder(known.build(), **known.options).eval()
    with torch.no_grad():
        asked = first.embed_captions(["a big red ball"])
    for dtype in (torch.bfloat16, None):
        decoder = copy.deepcopy(first).to(dtype or torch.bfloat16)
        if dtype is None and "audioldm" not in name:  # the vocoder is in the autoencoder's
            decoder.pipeline.vae.float()  # alone, as some need it
        seeded = torch.Generator().manual_seed(0)
        assert decoder.sample(asked, steps=2, guidance=3.0, generator=seeded)
        with torch.no_grad():
            medium = torch.zeros(1, *decoder.family.media_shape)
            assert decoder.loss(medium, asked, seeded).isfinite()


def test_a_decoder_moved_midway_forgets_what_it_remembered() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(FAMILIES["sigma"].build()).eval()
    before = decoder.unconditional(1).embeds
    decoder.to(torch.bfloat16)
    assert decoder.unconditional(1).embeds.dtype == torch.bfloat16
    decoder.to(torch.float32)
    after = decoder.unconditional(1).embeds
    assert after.dtype == torch.float32 and not torch.equal(before, after)


# ---- from_pretrained ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("placed")
    path = write_model(home / "parts", tiny_model())
    model = AnyModal.compose(model_config(path.parent))
    model.save_pretrained(home / "model", with_parts=True)
    return home / "model"


@pytest.mark.parametrize("given", ["bfloat16", "torch.bfloat16", torch.bfloat16])
def test_a_precision_for_all(folder: Path, given: Any) -> None:
    model = AnyModal.from_pretrained(folder, dtype=given, device="cpu")
    assert precisions(model) == {torch.bfloat16}
    kept = [each for name, each in model.named_buffers() if name.endswith("inv_freq")]
    assert kept and all(each.dtype == torch.float32 for each in kept)
    assert model.chat([picture(), "what is this?"], seed=1).role == "assistant"


@pytest.mark.parametrize("given", [None, "auto", {}, {"": "auto"}])
def test_the_precision_of_the_files(folder: Path, given: Any) -> None:
    assert precisions(AnyModal.from_pretrained(folder, dtype=given)) == {torch.float32}


@pytest.mark.parametrize("native", [False, True])
def test_a_processor_without_bfloat16_gets_float32_unless_told(
    folder: Path, tmp_path: Path, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnyModal.from_pretrained(folder, dtype="bfloat16").save_pretrained(tmp_path, with_parts=True)
    monkeypatch.setattr(devices, "computes_bfloat16", lambda device: native)
    args = argparse.Namespace(
        **{"model": str(tmp_path), "trusted_packages": (), "device": "cpu", "dtype": None},
        **{"provenance": True, "sign_key": None, "sign_certificates": None},
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        chatting = open_model(args, defer_decoders=True)
        served = AnyModal.from_pretrained(tmp_path, device="cpu")
        kept = AnyModal.from_pretrained(tmp_path)
    assert not [each for each in told if "bfloat16" in str(each.message)]
    part = nn.Linear(1, 1).bfloat16()  # as a decoder that is opened later
    widen_for(torch.device("cpu"), part)
    assert precisions(part) == {torch.bfloat16 if native else torch.float32}
    if native:  # as the files have them
        assert precisions(served) == precisions(kept)
        assert precisions(chatting.language.model) == {torch.bfloat16}
    else:
        assert torch.bfloat16 in precisions(kept)
        assert precisions(served) == {torch.float32}
        assert precisions(chatting) == {torch.float32}
    if not native:
        for given in ({"": None}, {"": torch.bfloat16}):  # auto and bfloat16
            with pytest.warns(UserWarning, match="no instructions for.* give dtype=float32"):
                place(kept, given, {"": torch.device("cpu")})
            assert precisions(kept.language.model) == {torch.bfloat16}


def test_a_precision_by_part(folder: Path) -> None:
    wanted = {
        "": "bfloat16",
        "decoders": "float16",
        "decoders.image": "auto",
        "decoders.audio.parts.vae": "float64",
        "language": torch.float64,
    }
    model = AnyModal.from_pretrained(folder, dtype=wanted, device_map={"": "auto", "heads": "cpu"})
    assert precisions(model.heads) == precisions(model.encoders) == {torch.bfloat16}
    assert precisions(model.decoders["image"]) == {torch.float32}
    assert precisions(model.decoders["audio"].pipeline.vae) == {torch.float64}
    assert precisions(model.decoders["audio"].pipeline.transformer) == {torch.float16}
    assert precisions(model.language) == {torch.float64}
    assert model.chat([picture(), sound(), "draw and play a ball"], seed=1).role == "assistant"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(({"dtype": value}, "give auto, float32") for value in ("bf17", "int8", 5, [], "", True)),
        ({"dtype": {3: "float32"}}, "names of parts"),
        ({"dtype": {"decoders.imag": "float32"}}, "did you mean 'decoders.image'"),
        ({"dtype": {"": "float33"}}, r"dtype\[''\]='float33'"),
        *(({"device": value}, "device=") for value in ("tpu9", "", True, [], "meta")),
        ({"device": {"": "cpu"}}, "give device_map"),
        ({"device": "cpu", "device_map": "auto"}, "not both"),
        ({"device_map": {"langage": "cpu"}}, "did you mean 'language'"),
        ({"device_map": {"decoders.image.parts.vae": "cpu"}}, "no part 'decoders.image.parts.vae'"),
        ({"device_map": {"language": "disk"}}, r"device_map\['language'\]='disk'"),
    ],
    ids=str,
)
def test_what_there_is_not_is_told(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnyModal.from_pretrained(folder, **settings)


def test_an_offloaded_decoder_keeps_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.accelerator.is_available():
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cpu"))
    decoder = DiffusionDecoder(FAMILIES["sigma"].build(), offload="leaf").eval()
    holder = nn.ModuleDict({"image": decoder, "other": nn.Linear(1, 1)})
    for wanted in ({"": torch.bfloat16}, {"image.parts.vae": torch.bfloat16}):
        with pytest.raises(ValueError, match="image is offloaded"):
            place(holder, wanted, {})
    place(holder, {"": torch.bfloat16, "image": None}, {})
    assert precisions(decoder) == {torch.float32}
    assert precisions(holder["other"]) == {torch.bfloat16}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU")
@pytest.mark.parametrize("part", ["language", "projection", "encoders", "heads", "decoders.image"])
def test_a_part_may_compute_elsewhere(folder: Path, part: str) -> None:
    model = AnyModal.from_pretrained(folder, device_map={"": "cpu", part: "cuda"})
    assert {each.device.type for each in model.get_submodule(part).parameters()} == {"cuda"}
    assert len(model.chat("draw and play a ball", seed=1).media) == 2
    assert model.chat([picture(), sound(), "what is this?"]).role == "assistant"


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_texts_and_the_universal_trunk_encode(binder: ImageBind, dtype: torch.dtype) -> None:
    ids = torch.zeros(1, binder.config["trunks"]["text"]["context"], dtype=torch.long)
    with torch.no_grad():
        assert copy.deepcopy(binder).to(dtype)({"text": ids})["text"].dtype == dtype
        for modality in ("image", "video", "audio", "depth", "imu"):
            encoder = universal_models.open_saved(modality)
            batch = encoder.prepare(MEDIA[encoder.media]())[None]
            other = encoder.to(dtype)
            assert other(batch).values.dtype == other.embed(batch).dtype == dtype
