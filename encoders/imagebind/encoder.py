"""ImageBind: one embedding space for six modalities (Girdhar et al. 2023, arXiv 2305.05665).

An independent implementation with the names and shapes of the published state dict, so that a
checkpoint a user has downloaded loads as it is: `anymodal convert imagebind` makes a folder of it.
The published weights are for non-commercial use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from anymodal.encoders.base import Encoder, like_weights
from anymodal.encoders.imagebind import blocks
from anymodal.encoders.imagebind.config import (
    TrunkConfig,
    preset_configs,
    select_entries,
    trunk_config,
)
from anymodal.encoders.imagebind.views import VIEWS, View
from anymodal.io.checkpoint import MANIFEST, log_licence, read_manifest, write_manifest
from anymodal.io.folder_check import check_folder
from anymodal.io.recorded import Recorded
from anymodal.io.sources import source_of
from anymodal.media import Media
from anymodal.types import Features

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
PART = "imagebind"
"""The name of the weights in a manifest."""
TRUNK_OF = {"image": "vision", "video": "vision"}
"""The trunk of a modality that has none of its own name."""

# Functions of one trunk's config each, of that trunk's own class.
STEMS: dict[str, Callable[..., nn.Module]] = {
    "vision": lambda c: blocks.vision_stem(c.size, c.patch, c.frames, c.width),
    "text": lambda c: blocks.TextTokens(c.context, c.vocab_size, c.width),
    "audio": lambda c: blocks.patch_stem(
        "rgbt_stem", c.mel_bins, c.mel_frames, c.kernel, c.stride, c.width
    ),
    "depth": lambda c: blocks.patch_stem("depth_stem", c.size, c.size, c.patch, c.patch, c.width),
    "thermal": lambda c: blocks.patch_stem("rgbt_stem", c.size, c.size, c.patch, c.patch, c.width),
    "imu": lambda c: blocks.imu_stem(c.samples, c.kernel, c.width),
}
HEADS: dict[str, Callable[..., nn.Module]] = {
    "text": lambda c, embedding: blocks.text_head(c.width, embedding),
    "imu": lambda c, embedding: blocks.head(c.width, embedding, c.head_dropout),
}


class ImageBind(Recorded, nn.Module):
    """Six transformer trunks, or some of them, with one joint embedding.

    Shapes: B batch, S clips, N tokens of a trunk with its class token, D its width, E `embedding`.
    A batch with one dimension more than a single item's holds clips in dimension 1.

    Args:
        trunks: config, or its fields, of each trunk, by name: vision, text, audio, depth,
            thermal, imu.
        embedding: width of the joint embedding.

    Attributes:
        origin: where the weights come from and their licence, where that is known; it goes
            wherever they are saved.
        source: the folder they were opened from, and their licence.

    Raises:
        ValueError: if there is no trunk, or one that is unknown or has unknown fields.
    """

    origin: Mapping[str, object] | None = None
    source: Mapping[str, object] | None = None

    def __init__(
        self, trunks: Mapping[str, TrunkConfig | Mapping[str, object]], embedding: int = 1024
    ) -> None:
        super().__init__()
        if not trunks:
            raise ValueError("an ImageBind needs at least one trunk")
        self.trunks = {name: trunk_config(name, config) for name, config in trunks.items()}
        self.embedding = embedding
        self.modality_preprocessors = nn.ModuleDict()
        self.modality_trunks = nn.ModuleDict()
        self.modality_heads = nn.ModuleDict()
        self.modality_postprocessors = nn.ModuleDict()
        for name, c in self.trunks.items():
            self.modality_preprocessors[name] = STEMS[name](c)
            self.modality_trunks[name] = blocks.TransformerTrunk(
                c.width, c.blocks, c.heads, c.kv_bias, c.pre_norm, c.drop_path
            )
            build = HEADS.get(name)
            self.modality_heads[name] = (
                build(c, embedding) if build else blocks.head(c.width, embedding)
            )
            self.modality_postprocessors[name] = blocks.postprocessor(
                c.logit_scale, c.learned_scale
            )

    @classmethod
    def preset(
        cls,
        name: str,
        modalities: Sequence[str] | None = None,
        embedding: int | None = None,
        **changes: Mapping[str, object],
    ) -> Self:
        """A new model of a known size, `huge` or `nano`, with all trunks or those in `modalities`.

        `changes` are fields of single trunks: `preset("nano", text={"vocab_size": 2000})`.

        Raises:
            ValueError: if the preset, a trunk or a field is unknown.
        """
        width, trunks = preset_configs(name, modalities, changes)
        return cls(trunks, width if embedding is None else embedding)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""
        trunks = {name: asdict(config) for name, config in self.trunks.items()}
        return {"embedding": self.embedding, "trunks": trunks}

    def trunk_of(self, modality: str) -> str:
        """The name of the trunk that takes a modality.

        Raises:
            ValueError: if this model has no such trunk.
        """
        name = TRUNK_OF.get(modality, modality)
        select_entries(self.trunks, [name], "trunk")
        return name

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Embeddings (B, E) by modality: unit length times the modality's scale, mean over clips.

        The product of two modalities' embeddings is the logits of section 3.2, equation 1.
        """
        return {modality: self._embed(modality, batch) for modality, batch in inputs.items()}

    def features(self, modality: str, batch: Tensor) -> Features:
        """The trunk's tokens (B, S * N, D), with the class token and before the head.

        Clips keep their order along the tokens and get fixed sinusoids of their place added,
        because what the tokens are mixed with next may not tell their order: averaged over clips,
        as the published embedding is, a movement to the left equals one to the right.
        """
        return self._features_of(*self._encode(modality, batch))

    def features_and_embedding(self, modality: str, batch: Tensor) -> tuple[Features, Tensor]:
        """`features`, and the embedding that `forward` gives, in one pass."""
        tokens, clips = self._encode(modality, batch)
        return self._features_of(tokens, clips), self._embed_tokens(modality, tokens, clips)

    def _features_of(self, tokens: blocks.Tokens, clips: int | None) -> Features:
        values, mask = tokens.values, tokens.mask
        if clips is not None:
            values = values.reshape(-1, clips, *values.shape[1:])  # (B, S, N, D)
            places = blocks.sinusoids(clips, values.shape[-1], like=values)
            values = (values + places[:, None]).flatten(1, 2)  # (B, S * N, D)
            mask = mask.reshape(len(values), -1)  # (B, S * N)
        return Features(values, mask)

    def _encode(self, modality: str, batch: Tensor) -> tuple[blocks.Tokens, int | None]:
        """The trunk's output, clips folded into the batch, and the number of clips if any."""
        name = self.trunk_of(modality)
        clips = None
        if batch.ndim > self.trunks[name].ndim:
            clips = batch.shape[1]
            batch = batch.flatten(0, 1)  # (B * S, ...)
        batch = like_weights(batch, self.modality_preprocessors[name])
        tokens: blocks.Tokens = self.modality_preprocessors[name](batch)
        values = self.modality_trunks[name](tokens.values, tokens.causal)
        return tokens._replace(values=values), clips

    def _embed(self, modality: str, batch: Tensor) -> Tensor:
        return self._embed_tokens(modality, *self._encode(modality, batch))

    def _embed_tokens(self, modality: str, tokens: blocks.Tokens, clips: int | None) -> Tensor:
        name = self.trunk_of(modality)
        rows = torch.arange(len(tokens.pooled_index))
        pooled = tokens.values[rows, tokens.pooled_index]  # (B * S, D)
        embeds: Tensor = self.modality_postprocessors[name](self.modality_heads[name](pooled))
        if clips is not None:
            embeds = embeds.reshape(-1, clips, self.embedding).mean(dim=1)  # (B, E)
        return embeds

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json`, `model.safetensors`, and the manifest of weights of known origin."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(json.dumps(self.config, indent=2) + "\n")
        # safetensors refuses views that aren't contiguous.
        weights = {key: value.contiguous() for key, value in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)
        if self.origin is not None:
            write_manifest(folder, {PART: self.origin})

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        modalities: Sequence[str] | None = None,
        *,
        weights: bool = True,
    ) -> Self:
        """Open a model, or only the trunks in `modalities`, in float32 and in eval mode.

        A licence that forbids commercial use is logged as a warning.

        Args:
            folder: what `save_pretrained` wrote.
            modalities: names of trunks; None for all of them.
            weights: without them, the model is on the meta device and no weight is read.

        Raises:
            ValueError: if a file is missing, a trunk is unknown or a weight does not fit.
        """
        folder = Path(folder)
        if weights and folder.is_dir():
            check_folder(folder)
        if not (folder / CONFIG_FILE).is_file():
            raise ValueError(f"{str(folder)!r} has no {CONFIG_FILE}; save_pretrained writes it")
        config = json.loads((folder / CONFIG_FILE).read_text())
        model = cls._on_meta_device(config, modalities)
        if weights:
            model._read_weights(folder)
        return model

    @classmethod
    def _on_meta_device(
        cls, config: Mapping[str, Any], modalities: Sequence[str] | None = None
    ) -> Self:
        """A model of the constructor's arguments, or only some trunks, without values."""
        trunks = config["trunks"]
        trunks = select_entries(trunks, list(trunks) if modalities is None else modalities, "trunk")
        with torch.device("meta"):  # no values are drawn that a file replaces
            return cls(trunks, config["embedding"]).eval()

    def _read_weights(self, folder: Path) -> None:
        """Take the place of values on the meta device by those of a folder."""
        if not (folder / WEIGHTS_FILE).is_file():
            raise ValueError(f"{str(folder)!r} has no {WEIGHTS_FILE}; save_pretrained writes it")
        with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
            weights = {
                key: file.get_tensor(key).float()
                for key in list(file.keys())
                if key.split(".")[1] in self.trunks  # modality_trunks.TRUNK.…, and the like
            }
        try:
            self.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise ValueError(
                f"{str(folder)!r}: the weights differ from the config: {error}"
            ) from None
        if (folder / MANIFEST).is_file():
            self.origin = read_manifest(folder).get(PART)
        terms = ("licence", "commercial_use")
        self.source = source_of(str(folder), None) | {
            key: value for key, value in (self.origin or {}).items() if key in terms
        }
        if self.origin is not None and not self.origin.get("commercial_use", True):
            log_licence(str(folder), self.origin)


class ImageBindEncoder(Encoder):
    """One modality of an ImageBind as an encoder; several may share one model.

    Args:
        model: the ImageBind.
        modality: image, video, audio, imu, depth or thermal.
        clips: how many clips a recording is read in, spread evenly over it; None for the model's
            own number. Of a recording that is longer than an only clip, the rest is left out, with
            a warning.

    Raises:
        ValueError: if there is no such modality, the model lacks its trunk, or it has no clips.
    """

    def __init__(self, model: ImageBind, modality: str, clips: int | None = None) -> None:
        super().__init__()
        self.view: View = select_entries(VIEWS, [modality], "modality")[modality]
        self.model, self.modality = model, modality
        self.config = model.trunks[model.trunk_of(modality)]
        if clips is not None:
            if not hasattr(self.config, "clips") or modality == "image":
                raise ValueError(f"clips={clips} of {modality!r}, which has none; leave it out")
            self.config = trunk_config(
                model.trunk_of(modality), {**asdict(self.config), "clips": clips}
            )
        self.media = self.view.media
        self.width = self.config.width

    def prepare(self, media: Media) -> Tensor:
        """Preprocessing as published, at the sizes of the model's config.

        Shapes: image (3, H, W); video (clips * crops, 3, frames, H, W); audio (clips, 1, mel
        bins, mel frames); imu (clips, 6, samples); depth and thermal (1, H, W). Depth values are
        disparities.

        Raises:
            TypeError: if it is given another class of media.
        """
        if not isinstance(media, self.media):
            raise TypeError(
                f"the {self.modality} encoder takes {self.media.__name__}, "
                f"not {type(media).__name__}"
            )
        return self.view.prepare(media, self.config)

    @property
    def seconds_read(self) -> float | None:
        """The length of an only clip; more of them are spread over a recording."""
        return self.view.seconds_read(self.config)

    def forward(self, batch: Tensor) -> Features:
        """The trunk's tokens, clips in order: see `ImageBind.features`."""
        return self.model.features(self.modality, batch)

    def embed(self, batch: Tensor) -> Tensor:
        """The joint embedding (B, E), scaled as published: see `ImageBind.forward`."""
        return self.model({self.modality: batch})[self.modality]  # type: ignore[no-any-return]

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor]:
        """Both in one pass: see `ImageBind.features_and_embedding`."""
        return self.model.features_and_embedding(self.modality, batch)

    def metadata(self) -> dict[str, object]:
        """Class, modality, a hash of the trunk's config, and the weights' source and licence."""
        text = json.dumps([self.model.embedding, asdict(self.config)], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        metadata = {**super().metadata(), "modality": self.modality, "config": digest}
        if self.model.source is not None:
            metadata["source"] = self.model.source
        origin = self.model.origin or {}
        return metadata | {
            key: origin[key] for key in ("licence", "commercial_use") if key in origin
        }


def views(model: ImageBind) -> list[ImageBindEncoder]:
    """An encoder of every modality whose trunk a model has."""
    return [
        ImageBindEncoder(model, name) for name in VIEWS if TRUNK_OF.get(name, name) in model.trunks
    ]
