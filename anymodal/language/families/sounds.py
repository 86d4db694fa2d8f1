"""Sounds as a language model's tower hears them: through transformers' own extractors."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel
from transformers.feature_extraction_utils import FeatureExtractionMixin

from anymodal.encoders.lengths import warn_if_cut
from anymodal.language.families.base import MediaReader
from anymodal.language.families.pixels import PICTURES
from anymodal.media import Audio
from anymodal.types import MediaPositions, SoftRun

Wave = np.ndarray[Any, np.dtype[np.float32]]
"""Samples of one channel."""


class SoundReader(MediaReader):
    """Reads sounds.

    Args:
        model: the language model.
        extractor: makes spectrograms.

    Attributes:
        marks: what stands before and behind a sound's soft tokens; empty for nothing.
        names: the extractor's settings, in a file that has those of pictures too.
    """

    media = Audio
    marks: tuple[str, str] = ("", "")
    names: tuple[str, ...]

    def __init__(self, model: PreTrainedModel, extractor: FeatureExtractionMixin) -> None:
        super().__init__(model)
        self.extractor: Any = extractor

    @property
    @abstractmethod
    def max_samples(self) -> int:
        """Samples of the longest sound that is heard as a whole."""

    @abstractmethod
    def count(self, samples: int) -> int:
        """Soft tokens of a sound of so many samples."""

    @property
    def seconds_read(self) -> float | None:
        """Seconds of the longest sound that is heard as a whole."""
        seconds: float = self.max_samples / self.extractor.sampling_rate
        return seconds

    def metadata(self) -> Mapping[str, object]:
        settings: dict[str, object] = json.loads(self.extractor.to_json_string())
        return {name: settings[name] for name in self.names if name in settings}

    def save_pretrained(self, folder: str | Path) -> None:
        file = Path(folder) / PICTURES  # one file has the settings of pictures and sounds
        settings = json.loads(file.read_text("utf-8")) if file.exists() else {}
        text = json.dumps({**self.metadata(), **settings}, indent=2) + "\n"
        file.write_text(text, "utf-8")

    def samples(self, media: Any) -> Wave:
        """One channel at the extractor's rate, no longer than it takes."""
        wave: Wave = media.mono().resample(self.extractor.sampling_rate).samples[0]
        return wave[: self.max_samples]

    def cut_samples(self, media: Any) -> Wave:
        """The same, with a warning where the rest is cut off."""
        warn_if_cut(media, self.seconds_read, "cut it into pieces")
        return self.samples(media)

    def positions(self, media: Any) -> MediaPositions:
        samples = len(self.samples(media))
        count = self.count(samples)
        if count < 1:
            rate, shortest = self.extractor.sampling_rate, samples + 1
            while self.count(shortest) < 1:
                shortest += 1
            raise ValueError(
                f"a sound of {samples / rate:.4f} seconds is too short for this language model; "
                f"give at least {shortest / rate:.4f} seconds"
            )
        opening, closing = ([mark] * bool(mark) for mark in self.marks)
        return (*opening, SoftRun(count), *closing)
