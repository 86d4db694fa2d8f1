"""A tiny model composed from a configuration with parts on disk, and toys for the training loop."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from anymodal.data.captioned import Captioned
from anymodal.data.preferences import PreferenceSample
from anymodal.encoders.base import like_weights
from anymodal.io.checkpoint import save_weights
from anymodal.model import AnyModal
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.training.losses import Loss, WeightedLoss
from anymodal.training.objectives import Objective
from anymodal.types import Message, Target
from tests.support.huggingface_models import bert_words
from tests.support.tiny import REPLIES, SLOTS, compose, conversations, felt, picture, sound


@cache
def _parts() -> AnyModal:
    return compose()


def write_model(folder: Path, model: AnyModal | None = None) -> Path:
    """Write tiny parts, of random weights or of a model, and the configuration for them."""
    model = model or _parts()
    model.encoders["image"].model.save_pretrained(folder / "binder")
    model.language.save_pretrained(folder / "lm")
    for name in model.decoders:
        model.decoders[name].save_pretrained(folder / name)
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump(model_config(folder)))
    return path


def write_asking_model(folder: Path) -> Path:
    """The same, with a projection that reads what is said beside a medium."""
    path = write_model(folder)
    bert_words().save_pretrained(folder / "hub" / "qformer_tokenizer")
    words = {
        "_target_": "anymodal.projection.Words.from_pretrained",
        "path_or_name": str(folder / "hub"),
        "subfolder": "qformer_tokenizer",
    }
    projection = {
        "_target_": "anymodal.projection.InstructQFormerProjection",
        "tokenizer": words,
        **{"num_tokens": SLOTS, "width": 16, "depth": 2, "heads": 4},
    }
    path.write_text(yaml.safe_dump({**model_config(folder), "projection": projection}))
    return path


def model_config(folder: Path) -> dict[str, Any]:
    """The configuration of a model whose parts lie in a folder."""
    load = {"_target_": "anymodal.decoders.DiffusionDecoder.from_pretrained"}
    outputs = {
        name: {
            "decoder": {"_part_": name},
            "head": {"_target_": "anymodal.heads.LinearHead"},
            "num_signal_tokens": 4,
            "sampling": {"steps": 2, "guidance": 2.0},
        }
        for name in ("image", "audio")
    }
    encoder = {
        "_target_": "anymodal.encoders.ImageBindEncoder",
        "model": {"_part_": "binder"},
    }
    return {
        "parts": {
            "binder": {
                "_target_": "anymodal.encoders.ImageBind.from_pretrained",
                "folder": str(folder / "binder"),
            },
            "words": {
                "_target_": "anymodal.language.LanguageModel.from_pretrained",
                "path_or_name": str(folder / "lm"),
            },
            "image": {**load, "folder": str(folder / "image")},
            "audio": {**load, "folder": str(folder / "audio")},
        },
        "language": {"_part_": "words"},
        "projection": {"_target_": "anymodal.projection.LinearProjection", "num_tokens": SLOTS},
        "modalities": {
            name: {"encoder": {**encoder, "modality": name}, **outputs.get(name, {})}
            for name in ("image", "audio", "imu")
        },
    }


def plain_conversations() -> list[list[Message]]:
    """The tiny model's replies, as plain text."""
    return [
        [Message("user", [text]), Message("assistant", [p for p in reply if isinstance(p, str)])]
        for text, reply in REPLIES.items()
    ]


def talks(count: int = 13) -> list[list[Message]]:
    """Conversations that each have a picture, a reading and a caption of their own."""
    conversation_list = []
    for seed in range(count):
        question = Message("user", [picture(seed), felt(seed), "draw a ball"])
        answer = [f"Here is ball {seed}: ", Target("image", f"a ball {seed}", picture(seed + 100))]
        conversation_list.append([question, Message("assistant", answer)])
    return conversation_list


def replies_to_media(count: int = 4) -> list[list[Message]]:
    """A few words behind a picture and a reading each."""
    said = Message("assistant", "Here it is, a ball.")
    return [[question, said] for question, _ in talks(count)]


def preferences(count: int = 6) -> list[PreferenceSample]:
    """Pairs of texts, of a text and a picture, and of two pictures, behind a medium."""
    pairs = []
    for seed in range(count):
        asked = [Message("user", [picture(seed), "what is this?"]), Message("assistant", ["Yes."])]
        asked.append(Message("user", ["draw a ball"]))
        drawn = [f"Ball {seed}: ", Target("image", "a ball", picture(seed + 100))]
        other = {
            0: ["No."],
            1: [f"Ball {seed}: "],
            2: [f"Ball {seed}: ", Target("image", "a ball", picture(seed + 200))],
        }[seed % 3]
        replies = (drawn if seed % 3 else ["Here it is, a ball."]), other
        chosen, rejected = ([*asked, Message("assistant", reply)] for reply in replies)
        pairs.append(PreferenceSample(chosen, rejected))
    return pairs


def captioned_media(modality: str = "image", count: int = 4) -> list[Captioned]:
    """Media of random content with captions."""
    make = {"image": picture, "audio": sound, "imu": felt}[modality]
    return [Captioned(modality, make(seed), f"a ball {seed}") for seed in range(count)]


def scenes(count: int = 4) -> list[dict[str, Captioned]]:
    """One caption in three media each."""
    columns = {name: captioned_media(name, count) for name in ("image", "audio", "imu")}
    return [{name: column[index] for name, column in columns.items()} for index in range(count)]


def small_tokenizer() -> Any:
    """Bytes and special tokens, each text closed."""
    return train_tokenizer(["a ball"], 261, append_end=True)


class Toy(nn.Module):
    """A linear layer on noisy numbers; a sample that holds NaN spoils its batch."""

    def __init__(self, width: int = 3, noise: float = 0.1) -> None:
        super().__init__()
        self.noise = noise
        self.frozen, self.layer = nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, batch: Tensor) -> Tensor:
        output: Tensor = self.layer(self.frozen(batch + self.noise * torch.randn_like(batch)))
        return output


class NormalisedToy(Toy):
    """A toy whose running statistics training changes beside its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))


class Square(Loss[Tensor, Tensor]):
    """The mean square."""

    def count(self, batch: Tensor) -> dict[str, int]:
        return {"": len(batch)}

    def __call__(self, batch: Tensor, states: Tensor) -> list[WeightedLoss]:
        return [WeightedLoss(states.square().mean(), len(batch))]


class Root(Square):
    """Zero, with a gradient that isn't finite."""

    def __call__(self, batch: Tensor, states: Tensor) -> list[WeightedLoss]:
        return [WeightedLoss((states - states.detach()).abs().sqrt().sum(), len(batch))]


class Rare(Square):
    """Never has anything to learn from."""

    def count(self, batch: Tensor) -> dict[str, int]:
        return {"": 0}

    def __call__(self, batch: Tensor, states: Tensor) -> list[WeightedLoss]:
        return [WeightedLoss(None, 0)]


class Regression(Objective[Tensor, Tensor]):
    """An objective that pulls a toy's output to zero."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, {"square": Square, "root": Root, "rare": Rare})

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))

    def states(self, batch: Tensor) -> Tensor:
        output: Tensor = self.model(like_weights(batch, self.model))
        return output

    def save_pretrained(self, folder: Path) -> None:
        save_weights(dict(self.model.named_parameters()), folder / "toy.safetensors")


class Numbers:
    """Samples for the toy.

    Args:
        bad: samples that hold NaN, by index.
        stop: a pair (how many reads, which signal): the process then gets the signal.
        cut: how many reads until reading fails, as where the power is cut.
        drawing: whether samples have random parts.
        slow: seconds that reading one takes.
        trace: a file that grows by a byte with every read.
    """

    def __init__(
        self,
        count: int = 7,
        bad: list[int] | None = None,
        stop: list[int] | None = None,
        cut: int | None = None,
        drawing: bool = False,
        slow: float = 0.0,
        trace: str | None = None,
    ) -> None:
        self.drawing, self.slow, self.trace = drawing, slow, trace
        self.values = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
        self.values[bad or []] = float("nan")
        self.stop, self.cut, self.reads = stop, cut, 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Tensor:
        self.reads += 1
        if self.stop and self.reads == self.stop[0]:
            os.kill(os.getpid(), self.stop[1])
        if self.cut and self.reads > self.cut:
            raise OSError("the power is cut")
        if self.trace:
            with open(self.trace, "ab") as file:
                file.write(b".")
        time.sleep(self.slow)
        if not self.drawing:
            return self.values[index]
        return self.values[index] + random.random() + np.random.random() + torch.rand(())


class Explodes:
    """Must not be built."""

    def __init__(
        self,
        size: int,
        name: str | None = None,
        share: float = 0.5,
        flag: bool = False,
        where: Path | None = None,
        parts: list[Any] | None = None,
        module: nn.Module | None = None,
        options: dict[str, float] | None = None,
        way: Literal[0, 1, 2] = 0,
        pair: tuple[int, int] = (1, 1),
        several: tuple[float, ...] = (),
    ) -> None:
        raise AssertionError("this was built")

    @classmethod
    def quietly(cls, size: int, **more: str) -> Explodes:
        return cls(size)

    def method(self) -> None:
        raise AssertionError("this was called")


class Shared:
    """Counts how often it is built."""

    num_built = 0

    def __init__(self, inner: Any = None) -> None:
        type(self).num_built += 1
        self.inner = inner


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """Let every write beyond `limit` bytes of a file fail, as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class CutTalks(list):
    """Conversations that can be read for a while only."""

    def __init__(self, cut: int = 15, varied: bool = False) -> None:
        super().__init__(talks() if varied else conversations())
        self.left = cut

    def __getitem__(self, index: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError("the power is cut")
        return super().__getitem__(index)


class CutPreferences(CutTalks):
    """Pairs that can be read for a while only."""

    def __init__(self, cut: int | None = None) -> None:
        list.__init__(self, preferences())
        self.left = 10**6 if cut is None else cut
