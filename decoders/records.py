"""Records of a pipeline: what a manifest says of it, and what its results are kept by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from torch import nn

from anymodal.decoders.licences import component_licences
from anymodal.decoders.noise import prediction_type
from anymodal.decoders.pipeline import Pipeline
from anymodal.io.fingerprints import tokenizer_fingerprint

if TYPE_CHECKING:
    from anymodal.decoders.families.base import Family


class PipelineRecords:
    """Settings of a pipeline and of its family, ready for JSON.

    Args:
        pipeline: a diffusers pipeline.
        family: its adapter.
    """

    def __init__(self, pipeline: Pipeline, family: Family) -> None:
        self.pipeline, self.family = pipeline, family

    @property
    def captioners(self) -> list[nn.Module]:
        """The pipeline's parts that turn captions into conditioning."""
        parts = (getattr(self.pipeline, name) for name in self.family.caption_encoders)
        return [part for part in parts if part is not None]

    @property
    def autoencoders(self) -> list[nn.Module]:
        """The pipeline's parts that turn media into latents."""
        return [getattr(self.pipeline, name) for name in self.family.autoencoders]

    @property
    def reference_encoders(self) -> list[nn.Module]:
        """The pipeline's parts beside autoencoders that references are encoded by."""
        return [getattr(self.pipeline, name) for name in self.family.reference_encoders]

    def captioning(self) -> dict[str, Any]:
        """Settings that decide the conditioning of captions."""
        return {
            "parts": [self._module_settings(part) for part in self.captioners],
            "tokenizers": [
                tokenizer_fingerprint(each, options=True) for _, each in self._tokenizers()
            ],
            "shape": self.shape(),
        }

    def encoding(self) -> dict[str, Any]:
        """Settings that decide latents."""
        first, *others = [self._module_settings(part) for part in self.autoencoders]
        return {**first, "others": others} if others else first

    def shape(self) -> dict[str, int]:
        """The conditioning's shape."""
        pooled = {} if self.family.pooled is None else {"pooled": self.family.pooled}
        return {"length": self.family.length, "width": self.family.width, **pooled}

    def metadata(self) -> dict[str, object]:
        """A manifest's entry of a decoder of this pipeline."""
        scheduler = self.pipeline.scheduler
        licences = component_licences(self.pipeline.components)
        return {
            "pipeline": type(self.pipeline).__name__,
            "scheduler": type(scheduler).__name__,
            "prediction_type": prediction_type(scheduler),
            "conditioning": self.shape(),
            "settings": {
                "scheduler": _settings(scheduler),
                "vae": _settings(self.pipeline.vae),
            },
            "words": self._tokenizer_fingerprints,
            **({"components": licences} if licences else {}),
        }

    @cached_property
    def _tokenizer_fingerprints(self) -> dict[str, Any]:
        """Cached, since large vocabularies take a while."""
        return {name: tokenizer_fingerprint(each) for name, each in self._tokenizers()}

    def _tokenizers(self) -> Iterator[tuple[str, Any]]:
        for name, part in self.pipeline.components.items():
            if name.startswith("tokenizer") and part is not None:
                yield name, part

    def _module_settings(self, module: Any) -> dict[str, Any]:
        """Settings of a pipeline's module and of its family that determine a result."""
        config = getattr(module.config, "to_dict", lambda: module.config)()
        family = {"class": type(self.family).__name__, **vars(self.family)}
        return {
            "config": {key: str(value) for key, value in config.items() if key[0] != "_"},
            "family": {
                # Without pipelines, whose text has the folders that they come from.
                key: str(value)
                for key, value in family.items()
                if not hasattr(value, "components")
            },
        }


def _settings(part: Any) -> dict[str, Any]:
    """A scheduler's or an autoencoder's configuration, without what its library notes in it."""
    plain = json.loads(json.dumps(dict(part.config), default=str))
    return {key: value for key, value in plain.items() if key[0] != "_"}
