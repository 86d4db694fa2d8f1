"""Compose a model from parts, use it, train it a little, save it, and compose it from a file.

    python examples/compose.py --out composed

The parts are small and have random weights, so what the model makes is noise. Parts of any size go
together the same way: a Hugging Face model by `LanguageModel.from_pretrained("Qwen/Qwen3-0.6B")`,
a diffusers pipeline by `DiffusionDecoder.from_pretrained(folder)`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from anymodal import AnyModal, Message, Modality
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.heads import MapperHead
from anymodal.projection import UniversalProjection
from anymodal.toybox.dataset import toybox_tokenizer
from anymodal.toybox.decoders import nano_image
from anymodal.toybox.language_model import small_language_model
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from anymodal.training.objectives import Dialogue
from anymodal.training.run import train_model
from anymodal.types import Target


def compose() -> AnyModal:
    """A model that reads pictures and sounds, and writes text and pictures."""
    language = small_language_model(toybox_tokenizer(count=200), width=128, layers=2, hidden=256)
    imagebind = ImageBind.preset("nano", modalities=["vision", "audio"]).eval()
    encoders = {name: ImageBindEncoder(imagebind, name) for name in ("image", "audio")}
    painter = DiffusionDecoder(nano_image(toybox_tokenizer(count=200, append_end=True), layers=2))
    head = MapperHead(
        input_width=language.width,
        num_signal_tokens=4,
        spec=painter.spec,
        hidden_width=64,
        depth=1,
        heads=2,
    )
    projection = UniversalProjection(
        widths={name: encoder.width for name, encoder in encoders.items()},
        output_width=language.width,
        output_scale=language.embedding_scale,
        num_tokens=4,
        width=64,
        depth=1,
        heads=2,
    )
    draws = {"decoder": painter.eval(), "head": head, "num_signal_tokens": 4}
    modalities = {
        "image": Modality(encoders["image"], **draws, sampling={"steps": 4, "guidance": 2.0}),
        "audio": Modality(encoders["audio"]),
    }
    return AnyModal(language, projection, modalities)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("composed"), help="where it is saved")
    parser.add_argument("--steps", type=int, default=60, help="of the training")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = compose()

    scene = Scene("duck", "yellow", "big", "still", "slow")
    heard, seen = (
        render_scene(scene, name, np.random.default_rng(0)) for name in ("audio", "image")
    )
    said = [heard, "draw what you hear"]
    talk = [
        Message("user", said),
        Message("assistant", ["Here is a duck.", Target("image", "a big yellow duck", seen)]),
    ]
    dialogue = Dialogue(model)
    losses = dialogue.named_losses(dialogue.collate([talk]))
    print({name: round(loss.item(), 2) for name, loss in losses.items()})

    learned = ["language.*", "projection.*", "heads.*"]
    losses = {"text": 1, "align": 1}
    steps = {"steps": args.steps, "batch_size": 2}
    train_model(model, [talk], trainable=learned, losses=losses, **steps)
    reply = model.chat(said, seed=0, max_new_tokens=32)
    print(reply)

    folder = args.out / "model"
    model.save_pretrained(folder, with_parts=True)
    again = AnyModal.from_pretrained(folder)
    print("the same reply after loading:", again.chat(said, seed=0, max_new_tokens=32) == reply)

    fresh = AnyModal.compose(folder / "config.yaml")  # the parts, and new weights between them
    print("composed from a file:", ", ".join(fresh.modalities))


if __name__ == "__main__":
    main()
