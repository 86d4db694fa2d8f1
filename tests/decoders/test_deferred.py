"""Decoders that a chat opens when something is asked of them."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anymodal import AnyModal
from anymodal.cli.options import add_model, open_model
from anymodal.composition import SHIPPED, OpenOnFirstUse
from anymodal.decoders.base import Decoder
from anymodal.decoders.choosing import ChoosingDecoder
from anymodal.decoders.deferred import DeferredDecoder, interface
from anymodal.decoders.references import MASK, Reference
from anymodal.decoders.retrieval import RetrievalDecoder
from anymodal.io.checkpoint import CheckpointError, read_manifest
from anymodal.media import Image
from tests.support.paths import ROOT

DRAW = "draw a small red ball"


def nano() -> AnyModal:
    return AnyModal.from_pretrained("nano")


def waiting(path: str | Path) -> AnyModal:
    return AnyModal.from_pretrained(path, build_part=OpenOnFirstUse(path))


def is_open(model: AnyModal) -> dict[str, bool]:
    return {
        name: not isinstance(decoder, DeferredDecoder) or bool(decoder._decoders)
        for name, decoder in model.decoders.items()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "nano", tmp_path / "nano"))


def test_only_the_decoder_that_is_asked_is_opened_and_replies_are_the_same() -> None:
    deferred, whole = waiting("nano"), nano()
    assert is_open(deferred) == {"image": False, "audio": False, "video": False}
    assert deferred.chat("what can you do?").text == whole.chat("what can you do?").text
    assert not any(is_open(deferred).values())
    drawn = [model.chat(DRAW, seed=3) for model in (deferred, whole)]
    assert is_open(deferred) == {"image": True, "audio": False, "video": False}
    assert drawn[0].text == drawn[1].text
    pictures = [reply.media[0].pixels for reply in drawn]
    assert np.array_equal(*pictures)


def test_a_decoder_on_disk_remakes_what_a_mask_tells() -> None:
    deferred, whole = waiting("nano"), nano()
    picture = whole.chat(DRAW, seed=3).media[0]
    white = np.zeros_like(picture.pixels)
    white[:, 32:] = 255
    references = {"image": Reference(Image(white), MASK)}
    conversation = ["draw a big green drum", picture]
    made = [
        model.chat(conversation, references=references, seed=3).media[0].pixels
        for model in (deferred, whole)
    ]
    assert np.array_equal(*made)
    properties = {name for name, each in vars(Decoder).items() if isinstance(each, bool)}
    told = vars(deferred.decoders.get("audio")).keys() | vars(DeferredDecoder).keys()
    # Of a decoder that isn't open media are new: those that find some don't wait.
    assert properties - told == {"can_wait", "synthesizes", "takes_ranks"}


def test_settings_are_checked_before_anything_is_opened() -> None:
    model = waiting("nano")
    with pytest.raises(ValueError, match="steps=0"):
        model.chat(DRAW, sampling={"image": {"steps": 0}})
    assert not any(is_open(model).values())


def test_a_manifest_tells_what_its_decoders_tell() -> None:
    manifest = read_manifest(SHIPPED / "nano")
    for name, decoder in nano().decoders.items():
        told, now = manifest[f"decoder.{name}"]["interface"], interface(decoder)
        # It was measured before the weights were rounded to float16.
        assert told["spec"].pop("scale") == pytest.approx(now["spec"].pop("scale"), rel=1e-3)
        assert told == now


def test_a_saved_model_s_decoders_wait_too(tmp_path: Path) -> None:
    nano().save_pretrained(tmp_path / "saved", with_parts=True)
    model = waiting(tmp_path / "saved")
    assert not any(is_open(model).values())


def test_a_file_that_is_missing_is_told_at_once(folder: Path) -> None:
    (folder / "audio_decoder/transformer/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks transformer/diffusion_pytorch_model"):
        waiting(folder)


def test_other_weights_are_told_when_they_are_opened(folder: Path) -> None:
    file = folder / "image_decoder/transformer/diffusion_pytorch_model.safetensors"
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    model = waiting(folder)
    with pytest.raises(CheckpointError, match=r"decoder.image.weights: .* saved, .* now"):
        model.chat(DRAW)
    assert model.chat("what can you do?").text


def test_what_a_manifest_does_not_tell_is_opened_at_once(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["parts"]["decoder.video"]["interface"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    model = waiting(folder)
    assert is_open(model) == {"image": False, "audio": False, "video": True}


@pytest.mark.parametrize(("dtype", "opened"), [(None, False), ("bfloat16", True)])
def test_with_a_precision_the_command_opens_all(dtype: str | None, opened: bool) -> None:
    parser = argparse.ArgumentParser()
    add_model(parser)
    options = ["--device", "cpu", *(["--dtype", dtype] if dtype else [])]
    args = parser.parse_args(options)
    assert set(is_open(open_model(args, defer_decoders=True)).values()) == {opened}


def test_a_reply_in_words_imports_no_diffusers(tmp_path: Path) -> None:
    code = (
        "import sys; from anymodal import cli; cli.main(['chat', 'what can you do?'])\n"
        "sys.exit(bool({'diffusers', 'lightning', 'scipy.stats'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_decoder_on_disk_passes_on_all_that_it_is_asked(folder: Path) -> None:
    methods = {name for name, each in vars(Decoder).items() if callable(each) and name[0] != "_"}
    by_others = {"slots", "encode_references", "loss", "synthesized"}
    of_choosing = {"of_captions", "choice_logits"}  # which doesn't wait
    assert methods - vars(DeferredDecoder).keys() == by_others | of_choosing
    assert not ChoosingDecoder.can_wait and not RetrievalDecoder.can_wait
    waits, opened = (model.decoders.get("image") for model in (waiting(folder), nano()))
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, *opened.family.latent_shape, generator=generator)
    conditioning = opened.unconditional(2)
    losses = [
        each.losses(latents, conditioning, torch.Generator().manual_seed(2))
        for each in (waits, opened)
    ]
    assert torch.equal(*losses) and losses[0].shape == (2,)
    assert torch.isclose(
        opened.loss(latents, conditioning, torch.Generator().manual_seed(2)), losses[0].mean()
    )
