"""Teach the nano model a modality of your own: a mat that feels where and how hard it is pressed.

    python examples/new_modality.py

`touch.py` is all there is to write for it: a class of media and its encoder, in 40 lines. `bind`
teaches that encoder to embed a scene where the model's own IMU encoder embeds it (ImageBind's
recipe). `perceive` teaches the projection's new entries to tell the language model what the mat
feels. Only they train: what the model knew before stays as it was.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from touch import Touch, TouchEncoder

from anymodal import AnyModal, Message, Modality
from anymodal.chat.batch import reply_many
from anymodal.data.captioned import Captioned
from anymodal.media import Media
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.oracles.text import score_text
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene, sample_scene
from anymodal.toybox.trajectory import trajectory
from anymodal.training.objectives import Binding
from anymodal.training.run import train_model

QUESTION = "what do you feel?"


def learn(model: AnyModal, encoder: TouchEncoder, recordings: list[Recording], steps: int) -> None:
    """Bind the encoder to the model's IMU encoder, then train the projection's entries."""
    scenes = [
        {
            "touch": Captioned("touch", Touch(r.pressure), r.caption),
            "imu": Captioned("imu", r.imu, r.caption),
        }
        for r in recordings
    ]
    bind = Binding({"touch": encoder, "imu": model.encoders["imu"]}, ["touch"], anchor="imu")
    settings = {"steps": steps, "optimizer": {"lr": 3e-3}}
    train_model(bind, scenes, trainable=["touch.*"], losses={"touch": 1}, **settings)
    talks = [
        [
            Message("user", [Touch(r.pressure), QUESTION]),
            Message("assistant", [f"I feel {r.caption}."]),
        ]
        for r in recordings
    ]
    train_model(
        model,
        talks,
        trainable=["projection.*.touch*"],
        losses={"text": 1},
        batch_size=16,
        **settings,
    )


def accuracy(model: AnyModal, recordings: list[Recording]) -> float:
    """The share of recordings whose reply states all attributes right, and no others."""
    asked = [[Touch(r.pressure), QUESTION] for r in recordings]
    replies = reply_many(model, asked, seeds=range(len(asked)), max_new_tokens=24)
    pairs = zip(replies, recordings, strict=True)
    right = [all(score_text(reply.text, r.attributes).values()) for reply, r in pairs]
    return sum(right) / len(right)


# ---- Recordings, synthesised from Toybox scenes in place of measured ones -----------------------

RATE, FRAMES, CELLS = 10, 20, 8
PRESSURE = {"small": 0.4, "big": 1.0}


class Recording(NamedTuple):
    """One scene: the mat's readings (20, 8, 8) at 10 Hz, an IMU recording, and its attributes."""

    pressure: NDArray[np.float32]
    imu: Media
    attributes: dict[str, str]  # size, motion and tempo
    caption: str  # the same in words


def record(count: int, seed: int) -> list[Recording]:
    """Random scenes of the training split."""
    recordings = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        scene = sample_scene(rng)
        attributes = scene.observable("imu")
        pressure, imu = press(scene, rng), render_scene(scene, "imu", rng)
        recordings.append(Recording(pressure, imu, attributes, caption(attributes, "imu")))
    return recordings


def press(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    """The mat's readings: a soft spot that moves as the scene does, wider as it comes nearer."""
    x, y, nearness = trajectory(scene.motion, scene.tempo, np.arange(FRAMES) / RATE).T[..., None]
    cells = np.linspace(-0.35, 0.35, CELLS)
    width = 0.12 * np.exp(nearness)
    dx, dy = rng.normal(0, 0.03, 2)
    across = np.exp(-np.square((cells - x - dx) / width))  # (frames, cells)
    along = np.exp(-np.square((cells - y - dy) / width))
    weight = PRESSURE[scene.size] * rng.uniform(0.85, 1.15)
    frames = weight * along[:, :, None] * across[:, None, :]  # (frames, cells, cells)
    return (frames + rng.normal(0, 0.02, frames.shape)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of each of the two trainings")
    parser.add_argument("--count", type=int, default=100, help="of held-out recordings")
    parser.add_argument("--out", default="touch-model", help="folder of the model that learned it")
    args = parser.parse_args()
    torch.set_num_threads(1)  # at this size, more threads mostly wait for one another
    torch.manual_seed(0)
    model, encoder = AnyModal.from_pretrained("nano"), TouchEncoder()
    model.add_modality("touch", Modality(encoder), like="imu")
    held_out = record(args.count, seed=1)
    before = accuracy(model, held_out)
    learn(model, encoder, record(1000, seed=0), args.steps)
    after = accuracy(model, held_out)
    print(f"right about all of size, motion and tempo, of {len(held_out)} held-out recordings:")
    print(f"accuracy before: {before:.0%}\naccuracy after: {after:.0%}")
    model.save_pretrained(args.out)
    model = AnyModal.from_pretrained(args.out, trusted_packages=["touch"])
    for recording in held_out[:3]:
        reply = model.chat([Touch(recording.pressure), QUESTION])
        print(f"  {recording.caption!r}: {reply.text!r}")


if __name__ == "__main__":
    main()
