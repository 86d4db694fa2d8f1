"""A speaker that beeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from anymodal.decoders.speech.base import Speaker, check_sound
from anymodal.media import Speech


class Beeper(Speaker):
    """A speaker of somebody's own: a hundred samples for each letter.

    Args:
        loudness: of the beep; 0 is silence.
    """

    voices = ("low", "high")
    max_characters = 60

    def __init__(self, loudness: float = 0.5) -> None:
        super().__init__()
        self.loudness = nn.Parameter(torch.tensor(loudness))

    @classmethod
    def from_pretrained(cls, folder: str, *, weights: bool = True) -> Beeper:
        loudness = json.loads((Path(folder) / "beep.json").read_text())
        return cls(loudness) if weights else cls().to("meta")

    def speak(self, text: str, *, voice: Any = None, seed: int = 0, pace: float = 1.0) -> Speech:
        length = round(100 * len(text) / pace)
        tone = np.sin(np.arange(length) * (0.2 if voice == "high" else 0.1))
        samples = (tone * self.loudness.item()).astype(np.float32)
        check_sound(samples, text)
        speech = Speech(samples, 8000)
        speech.text = text
        return speech

    def save_pretrained(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "beep.json").write_text(json.dumps(self.loudness.item()))

    def metadata(self) -> dict[str, object]:
        return {"class": "Beeper", "source": {"name": "beeper", "licence": "mit"}}
