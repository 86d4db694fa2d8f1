"""Checkpoints of transformers open as encoders when they hold all that encoding reads."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from anymodal.encoders import TransformersEncoder
from anymodal.encoders.transformers.encoder import _with_timm
from anymodal.io.fingerprints import weights_fingerprint
from tests.support import huggingface_models as tiny
from tests.support.random_media import MEDIA


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


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match="'bert' are not known here; choose one of clip"):
        TransformersEncoder.from_pretrained(str(tmp_path))
