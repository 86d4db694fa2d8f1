"""Encoders from transformers give what their models give, from what their processors make."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file
from torch import Tensor

from anymodal.encoders import TransformersEncoder
from anymodal.encoders.transformers.encoder import _with_timm
from anymodal.encoders.transformers.families import FAMILIES, Sizes
from anymodal.encoders.transformers.processors import PillowProcessor, processing_steps
from anymodal.io.feature_cache import FeatureCache
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.language.prompt import MediaReference
from anymodal.media import Audio, Image, Media, Video
from anymodal.model import AnyModal
from anymodal.tools.embed.opening import open_encoders
from anymodal.training.objectives import Dialogue
from anymodal.types import Message
from tests.encoders.test_encoders import noise, pixels
from tests.support import huggingface_models as tiny
from tests.support.composed import model_config, write_model
from tests.support.runs import text_loss

MEDIA: dict[type[Media], Media] = {
    Image: Image(pixels(40, 52, 3)),
    Audio: Audio(noise(1, 9000), rate=16000),
    Video: Video(pixels(9, 40, 36, 3), fps=4.0),
}
Inputs = Mapping[str, Any]


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pair(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, TransformersEncoder, Path]:
    """A model, the encoder opened from where it was saved, and that folder."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("hub") / family
    model = tiny.write(tiny.FAMILIES[family], folder)
    return model, TransformersEncoder.from_pretrained(str(folder), seconds=0.5), folder


def by_hand(frame: np.ndarray, short: int | None, size: int) -> Tensor:
    """A picture (3, size, size) resized and cropped by Pillow, from -1 to 1."""
    picture = PILImage.fromarray(frame)
    if short is not None:
        scale = short / min(picture.size)
        width, height = (int(side * scale) for side in picture.size)
        picture = picture.resize((width, height), PILImage.Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    else:
        picture = picture.resize((size, size), PILImage.Resampling.BILINEAR)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1


def inputs_of(family: str, encoder: TransformersEncoder, medium: Any) -> Inputs:
    """What a user of transformers alone would give the model."""
    processor = encoder.processor
    if family == "dinov3_vit":
        return {"pixel_values": by_hand(medium.pixels, None, 32)[None]}
    if isinstance(medium, Image):
        return processor(images=[PILImage.fromarray(medium.pixels)], return_tensors="pt")  # type: ignore[no-any-return]
    if family == "pe_video":  # as many frames as are asked for
        return encoder._inputs(encoder.prepare(medium)[None])
    if isinstance(medium, Video):
        frames = [by_hand(medium.frames[index], 36, 32) for index in (0, 3, 5, 8)]
        return {"pixel_values_videos": torch.stack(frames)[None]}
    wave = medium.mono().resample(processor.sampling_rate).samples[0]
    if family == "pe_audio":
        wave = wave[:504]  # half a second, in whole steps of its codec
        return processor(wave, sampling_rate=1000, return_tensors="pt")  # type: ignore[no-any-return]
    if hasattr(encoder.model, "feature_extractor"):
        wave = wave[:8000]  # half a second
    return processor(wave, sampling_rate=processor.sampling_rate, return_tensors="pt")  # type: ignore[no-any-return]


def joint(tower: str, method: str) -> Callable[[Any, Inputs], tuple[Tensor, Tensor]]:
    return lambda model, inputs: (
        getattr(model, tower)(**inputs).last_hidden_state,
        getattr(model, method)(**inputs).pooler_output,
    )


def pooling(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    given = model(**inputs)
    return given.last_hidden_state, given.pooler_output


def whisper(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model.encoder(**inputs).last_hidden_state
    return states, states[:, :29].mean(dim=1)  # 9000 samples are 28.1 steps of 20 ms


def waves(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model(**inputs).last_hidden_state
    return states, states.mean(dim=1)


def classing(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model(**inputs).last_hidden_state
    return states, states[:, 0]


def vjepa2(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states = model.get_vision_features(**inputs)
    return states, states.mean(dim=1)


def clap(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    states, pooled = joint("audio_model", "get_audio_features")(model, inputs)
    return states.flatten(2).mT, pooled


def pe_audio(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    return model.audio_encoder(**inputs).last_hidden_state, model.get_audio_embeds(**inputs)


def pe_video(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    given = model(torch.ones(1, 3, dtype=torch.long), **inputs)
    return given.video_outputs.last_hidden_state, given.video_embeds


def blip2(model: Any, inputs: Inputs) -> tuple[Tensor, Tensor]:
    return pooling(model.vision_model, inputs)


OWN: dict[str, Callable[[Any, Inputs], tuple[Tensor, Tensor]]] = {
    "clip": joint("vision_model", "get_image_features"),
    "blip-2": blip2,
    "instructblip": blip2,
    "siglip": joint("vision_model", "get_image_features"),
    "siglip2": joint("vision_model", "get_image_features"),
    "clap": clap,
    "clap-fused": clap,
    "whisper": whisper,
    **dict.fromkeys(("wav2vec2", "wav2vec2-layer", "hubert", "wavlm", "data2vec-audio"), waves),
    "vit": classing,
    "deit": classing,
    "vjepa2": vjepa2,
    "pe_audio": pe_audio,
    "pe_video": pe_video,
}
"""A model's own last hidden state and its own embedding; most others pool."""


class TestEveryFamily:
    @torch.no_grad()
    def test_tokens_and_embedding_are_the_models_own(
        self, family: str, pair: tuple[Any, TransformersEncoder, Path]
    ) -> None:
        model, encoder, _ = pair
        medium = MEDIA[encoder.media]
        tokens, pooled = OWN.get(family, pooling)(model, inputs_of(family, encoder, medium))
        batch = encoder.prepare(medium)[None]
        # Where a test can only resize by Pillow as well, its rounding to 8 bits is the same.
        torch.testing.assert_close(encoder(batch).values, tokens, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(encoder.embed(batch), pooled, rtol=1e-4, atol=1e-5)

    def test_a_saved_one_opens_and_has_its_identity(
        self, pair: tuple[Any, TransformersEncoder, Path], tmp_path: Path
    ) -> None:
        _, encoder, folder = pair
        encoder.save_pretrained(tmp_path / folder.name)
        other = TransformersEncoder.from_pretrained(str(tmp_path / folder.name), seconds=0.5)
        assert other.metadata() == encoder.metadata()
        batch = encoder.prepare(MEDIA[encoder.media])[None]
        torch.testing.assert_close(other.embed(batch), encoder.embed(batch))

    def test_what_it_has_no_use_for_is_not_kept(
        self, family: str, pair: tuple[Any, TransformersEncoder, Path]
    ) -> None:
        model, encoder, _ = pair
        names = {name.split(".")[1] for name, _ in encoder.named_parameters()}
        assert not names & {"text_model", "decoder", "predictor", "text_projection"}
        assert encoder.family is FAMILIES[model.config.model_type]

    def test_it_runs_in_half_precision(self, pair: tuple[Any, TransformersEncoder, Path]) -> None:
        _, encoder, folder = pair
        half = TransformersEncoder.from_pretrained(str(folder), dtype="bfloat16", seconds=0.5)
        batch = encoder.prepare(MEDIA[encoder.media])[None]
        rough, exact = half.embed(batch), encoder.embed(batch)
        assert rough.dtype == torch.bfloat16
        assert torch.cosine_similarity(rough.float(), exact).item() > 0.95

    def test_files_are_embedded_by_it(self, pair: tuple[Any, TransformersEncoder, Path]) -> None:
        _, encoder, folder = pair
        (found,) = open_encoders(str(folder)).items()
        assert found[0] == encoder.media.kind and isinstance(found[1], TransformersEncoder)


@torch.no_grad()
def test_pe_video_gives_its_own() -> None:
    model, processor = tiny.pe_video()
    texts = torch.ones(1, 3, dtype=torch.long)
    frames = [by_hand(MEDIA[Video].frames[index], None, 32) for index in (0, 3, 5, 8)]
    given = model.eval()(texts, torch.stack(frames)[None])
    encoder = TransformersEncoder(model, processor, Sizes(0.5, 4))
    batch = encoder.prepare(MEDIA[Video])[None]
    torch.testing.assert_close(encoder(batch).values, given.video_outputs.last_hidden_state)
    torch.testing.assert_close(encoder.embed(batch), given.video_embeds)
    assert model.text_model is None and model.text_video_head is None


def test_what_wants_timm_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is as wide as its checkpoint, of which transformers takes no notice in a part."""
    frames = hf.TimmWrapperConfig(architecture="vit_pe_core_large_patch14_336", num_classes=24)
    config = hf.PeVideoConfig(video_config={"vision_config": frames})
    assert _with_timm(hf.CLIPConfig()).model_type == "clip"
    config.save_pretrained(tmp_path)
    (tmp_path / "video_preprocessor_config.json").write_text("{}")
    known = importlib.util.find_spec
    there: list[Any] = [known("json")]
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: there[-1] if name == "timm" else known(name)
    )
    assert _with_timm(config).video_config.vision_config.num_labels == 24
    there.append(None)
    for weights in (True, False):
        with pytest.raises(ValueError, match=r"wants timm: pip install 'anymodal\[timm\]'"):
            TransformersEncoder.from_pretrained(str(tmp_path), weights=weights)


@torch.no_grad()
def test_a_tower_of_several_opens_by_its_name(tmp_path: Path) -> None:
    model = tiny.write(tiny.pe_audio_video, tmp_path / "both")

    def opened(name: str, tower: str | None) -> TransformersEncoder:
        return TransformersEncoder.from_pretrained(str(tmp_path / name), seconds=0.5, tower=tower)

    encoder = opened("both", "audio")
    batch = encoder.prepare(MEDIA[Audio])[None]
    expected = model.get_audio_embeds(**encoder._inputs(batch))
    torch.testing.assert_close(encoder.embed(batch), expected)
    if tiny.TIMM:
        film = opened("both", "video")
        frames = film.prepare(MEDIA[Video])[None]
        _, seen = pe_video(model.video_model, film._inputs(frames))
        torch.testing.assert_close(film.embed(frames), seen)
    encoder.save_pretrained(tmp_path / "apart")
    for tower in (None, "audio"):
        torch.testing.assert_close(opened("apart", tower).embed(batch), expected)
    planned = TransformersEncoder.from_pretrained(
        str(tmp_path / "both"), seconds=0.5, tower="audio", weights=False
    )
    assert planned.pieces == encoder.pieces
    with pytest.raises(ValueError, match="tower=None of a 'pe_audio_video'; give .* audio, video"):
        opened("both", None)
    with pytest.raises(ValueError, match="a 'pe_audio' has no towers; leave it out"):
        opened("apart", "video")


@torch.no_grad()
def test_tokens_and_their_layer_can_be_chosen(tmp_path: Path) -> None:
    model = tiny.write(tiny.clip, tmp_path / "tiny")

    def opened(**settings: Any) -> TransformersEncoder:
        return TransformersEncoder.from_pretrained(str(tmp_path / "tiny"), **settings)

    batch = opened().prepare(MEDIA[Image])[None]
    given = model.vision_model(batch, output_hidden_states=True)
    patches = opened(tokens="patches", layer=-2)
    torch.testing.assert_close(patches(batch).values, given.hidden_states[-2][:, 1:])
    assert patches(batch).mask.shape == (1, 16)
    summed = opened(tokens="class")
    torch.testing.assert_close(summed(batch).values[:, 0], given.pooler_output)
    assert len({str(e.metadata()) for e in (opened(), patches, summed)}) == 3
    torch.testing.assert_close(summed.embed(batch), opened().embed(batch))
    planned = TransformersEncoder.from_pretrained(
        str(tmp_path / "tiny"), tokens="patches", layer=-2, weights=False
    )
    assert (planned.tokens, planned.layer) == ("patches", -2)
    with pytest.raises(ValueError, match="choose all, patches, class"):
        opened(tokens="patch")
    tiny.write(tiny.whisper, tmp_path / "sound")
    with pytest.raises(ValueError, match="has no class token"):
        TransformersEncoder.from_pretrained(str(tmp_path / "sound"), tokens="class")


def test_thread_like_pictures_cost_no_more_than_others() -> None:
    encoder = tiny.opened(tiny.clip)
    picture = pixels(4, 40_000, 3)
    batch = torch.stack(
        [encoder.prepare(Image(picture)), encoder.prepare(Image(picture[:, 18_000:22_000]))]
    )
    torch.testing.assert_close(batch[0], batch[1])


def test_sizes_belong_to_the_identity(tmp_path: Path) -> None:
    tiny.write(tiny.vjepa2, tmp_path / "tiny")
    four = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"))
    eight = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"), frames=8)
    assert (four.sizes.frames, eight.sizes.frames) == (4, 8)
    assert eight.prepare(MEDIA[Video]).shape == (8, 3, 32, 32)
    assert four.metadata() != eight.metadata()


@pytest.mark.parametrize("build", [tiny.clip, tiny.siglip, tiny.dinov2])
def test_a_backend_is_no_part_of_the_identity(build: tiny.Build) -> None:
    """Settings tell the same steps to a processor of its own and to the one in its place."""
    own = build()[1]
    other = PillowProcessor(own.to_dict(), moving=False)
    assert processing_steps(other) == processing_steps(own)
    picture = PILImage.fromarray(pixels(40, 52, 3))
    one, two = (made(images=picture, return_tensors="pt") for made in (own, other))
    assert torch.equal(one["pixel_values"], two["pixel_values"])
    smaller = PillowProcessor({**own.to_dict(), "size": {"height": 16, "width": 16}}, moving=False)
    assert processing_steps(smaller) != processing_steps(own)


def test_padding_is_masked() -> None:
    encoder = tiny.opened(tiny.siglip2)
    wide, square = (
        encoder.prepare(Image(pixels(10, 90, 3))),
        encoder.prepare(Image(pixels(9, 9, 3))),
    )
    _, mask = encoder(torch.stack([wide, square]))
    assert mask.sum(dim=1).tolist() != [20, 20] and mask[:, 0].all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seconds": 0.0}, "seconds=0.0"),
        ({"frames": 0}, "frames=0"),
    ],
)
def test_sizes_out_of_range_are_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    tiny.write(tiny.dinov2, tmp_path)
    with pytest.raises(ValueError, match=says):
        TransformersEncoder.from_pretrained(str(tmp_path), **change)


def test_a_processor_without_a_fixed_size_is_named(tmp_path: Path) -> None:
    tiny.write(tiny.dinov2, tmp_path / "tiny")
    path = tmp_path / "tiny" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_center_crop": False}))
    encoder = TransformersEncoder.from_pretrained(str(tmp_path / "tiny"))
    with pytest.raises(ValueError, match="'tiny' gives pixel_values of shape"):
        encoder.prepare(Image(pixels(20, 60, 3)))


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    tiny.write(tiny.clip, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights, as visual_projection\.weight"):
        TransformersEncoder.from_pretrained(str(tmp_path))


def without(folder: Path, *names: str) -> None:
    """Take weights from a checkpoint."""
    weights = load_file(folder / "model.safetensors")
    for name in names:
        del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("family", "spare", "needed"),
    [
        ("dinov2", ["embeddings.mask_token"], "layernorm.weight"),
        ("dinov2_with_registers", ["embeddings.mask_token"], "embeddings.register_tokens"),
        ("dinov3_vit", ["embeddings.mask_token"], "embeddings.register_tokens"),
        ("vit", ["pooler.dense.weight", "pooler.dense.bias"], "embeddings.cls_token"),
        ("wav2vec2", ["masked_spec_embed"], "feature_projection.projection.weight"),
        ("hubert", ["masked_spec_embed"], "encoder.layer_norm.bias"),
        ("clip", ["logit_scale", "text_projection.weight"], "vision_model.pre_layrnorm.bias"),
        ("siglip", ["logit_bias"], "vision_model.head.probe"),
        ("whisper", ["decoder.layers.0.fc1.weight"], "encoder.layers.1.fc2.bias"),
        ("clap", ["logit_scale_t"], "audio_model.audio_encoder.batch_norm.running_mean"),
    ],
)
@torch.no_grad()
def test_only_what_encoding_reads_must_be_there(
    family: str, spare: list[str], needed: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tiny.write(tiny.FAMILIES[family], tmp_path)
    whole = TransformersEncoder.from_pretrained(str(tmp_path), seconds=0.5)
    without(tmp_path, *spare)
    found = [TransformersEncoder.from_pretrained(str(tmp_path), seconds=0.5) for _ in range(2)]
    medium = MEDIA[whole.media]
    for encoder in found:
        batch = encoder.prepare(medium)[None]
        torch.testing.assert_close(encoder.embed(batch), whole.embed(batch))
        torch.testing.assert_close(encoder(batch).values, whole(batch).values)
        assert all(weight.requires_grad for weight in encoder.parameters())
    assert weights_fingerprint(found[0]) == weights_fingerprint(
        found[1]
    )  # what is missing isn't random
    without(tmp_path, needed)
    with pytest.raises(ValueError, match=rf"lacks 1 weights, as {needed}"):
        TransformersEncoder.from_pretrained(str(tmp_path), seconds=0.5)


@torch.no_grad()
def test_silence_behind_a_sound_changes_nothing_where_a_mask_is_read() -> None:
    encoder = tiny.opened(tiny.FAMILIES["wav2vec2-layer"])
    wave = noise(1, 4000)
    values, mask = encoder(encoder.prepare(Audio(wave, 16000))[None])
    inputs = encoder.processor(wave[0], sampling_rate=16000, return_tensors="pt")
    alone = encoder.model(inputs["input_values"]).last_hidden_state
    assert mask.sum() == alone.shape[1] < mask.shape[1]
    torch.testing.assert_close(values[mask], alone[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        encoder.embed(encoder.prepare(Audio(wave, 16000))[None]),
        alone.mean(dim=1), rtol=1e-3, atol=1e-4,
    )  # fmt: skip


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match="'bert' are not known here; choose one of clip"):
        TransformersEncoder.from_pretrained(str(tmp_path))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> AnyModal:
    """A model that sees through a SigLIP 2 and hears through a Whisper."""
    folder = tmp_path_factory.mktemp("composed")
    write_model(folder)
    config = model_config(folder)
    del config["modalities"]["imu"], config["parts"]["binder"]
    for name, build in (("image", tiny.siglip2), ("audio", tiny.whisper)):
        tiny.write(build, folder / f"{name}-tower")
        config["modalities"][name]["encoder"] = {
            "_target_": "anymodal.encoders.TransformersEncoder.from_pretrained",
            "path_or_name": str(folder / f"{name}-tower"),
        }
    torch.manual_seed(0)
    return AnyModal.compose(config)


def talk() -> list[list[Message]]:
    asked = Message("user", [MEDIA[Image], MEDIA[Audio], "what is this?"])
    return [[asked, Message("assistant", ["This is a ball."])]]


def test_a_model_is_composed_of_them_and_saved(composed: AnyModal, tmp_path: Path) -> None:
    loss = text_loss(composed, talk())
    loss.backward()
    assert all(p.grad is not None for p in composed.projection.parameters() if p.requires_grad)
    composed.save_pretrained(tmp_path / "model", with_parts=True)
    other = AnyModal.from_pretrained(tmp_path / "model")
    torch.testing.assert_close(text_loss(other, talk()), loss)


def test_what_is_cached_of_frozen_encoders_keeps_its_mask(composed: AnyModal) -> None:
    fresh = composed.encode("audio", [MEDIA[Audio]])
    composed.encoders["audio"].requires_grad_(False)
    dialogue = Dialogue(composed)
    dialogue.feature_cache = FeatureCache()
    for _ in range(2):  # computed, then remembered
        kept = dialogue.features("audio", [MediaReference("audio", MEDIA[Audio], 0)])
        assert torch.equal(kept.mask, fresh.mask) and not fresh.mask.all()
        assert torch.equal(kept.values, fresh.values)


def test_media_are_prepared_in_full_precision_within_a_run_in_half() -> None:
    encoder = tiny.opened(tiny.whisper)
    sound = Audio(np.sin(np.arange(8000, dtype=np.float32))[None], 16000)
    plain = encoder.prepare(sound)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.prepare(sound), plain)
