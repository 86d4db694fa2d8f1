"""Plans name the parts that they cannot plan, of which some are somebody's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anymodal.config import ConfigError
from anymodal.decoders import Decoder
from anymodal.encoders import Encoder
from anymodal.media import Media
from anymodal.tools.plan import answering, meta_models
from anymodal.types import Conditioning, ConditioningSpec, Features
from tests.support.composed import write_model


class Smell(Media):
    """A medium that nobody here has."""

    kind, suffix, saves = "scent", ".scent", ()

    def html(self) -> str:
        return ""

    def _encode(self, suffix: str) -> bytes:
        return b""

    @classmethod
    def _decode(cls, blob: Any, fmt: Any, limits: Any, **hints: Any) -> Smell:
        return cls()


class Nose(Encoder):
    media, width = Smell, 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 4)

    def prepare(self, media: Any) -> torch.Tensor:
        return torch.zeros(3, 2)

    def forward(self, batch: torch.Tensor) -> Features:
        values = self.layer(batch)
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layer(batch).mean(1)


class Scent(Decoder):
    """A decoder of somebody's own, which no pipeline of diffusers stands behind."""

    media = Smell

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.spec = ConditioningSpec(2, 4)
        self.layer, self.fails = torch.nn.Linear(4, 1_000_000), fails

    def prepare(self, media: Any) -> torch.Tensor:
        return torch.zeros(4)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def embed_captions(self, captions: Any) -> Conditioning:
        made = torch.zeros(len(captions), 2, 4)
        return Conditioning(made, torch.ones(made.shape[:2], dtype=torch.bool))

    def losses(self, batch: Any, conditioning: Any, generator: Any = None) -> torch.Tensor:
        return self.layer(conditioning.embeds).flatten(1).mean(1)

    def sample(self, conditioning: Conditioning, **settings: Any) -> list[Any]:
        if self.fails:
            raise KeyError("a table that isn't there")
        self.layer(conditioning.embeds)
        return [Smell()]

    def save_pretrained(self, folder: Any) -> None:
        raise NotImplementedError

    def metadata(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("fails", [False, True])
def test_parts_of_ones_own_are_planned_or_named(tmp_path: Path, fails: bool) -> None:
    config = yaml.safe_load(write_model(tmp_path).read_text())
    here = {"_target_": f"{__name__}.Nose"}, {"_target_": f"{__name__}.Scent", "fails": fails}
    head = {"_target_": "anymodal.heads.LinearHead"}
    smell = {"encoder": here[0], "decoder": here[1], "head": head, "num_signal_tokens": 2}
    config["modalities"]["smell"] = smell
    model = meta_models.compose_model(config, {}, ["tests"])
    need = answering.inference(model, 16)
    told = {reason.split(" (")[0]: reason for reason in need.unknown}
    assert "there is no Smell here" in told.pop("encoders.smell")
    if fails:
        assert "a table that isn't there" in told.pop("decoders.smell")
    else:
        assert need.of("activations", "decoders.smell") >= 2 * 4_000_000
    assert not told, "movements are planned, too"
    assert need.of("weights", "decoders.smell") >= 16_000_000


class Peeks(Nose):
    """An encoder whose constructor looks at a value."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = float(self.layer.weight.abs().max())


def test_a_part_that_cannot_be_built_without_values_is_named(tmp_path: Path) -> None:
    config = yaml.safe_load(write_model(tmp_path).read_text())
    config["modalities"]["smell"] = {"encoder": {"_target_": f"{__name__}.Peeks"}}
    with pytest.raises(ConfigError, match="Peeks can't be planned.*give it a classmethod"):
        meta_models.compose_model(config, {}, ["tests"])
