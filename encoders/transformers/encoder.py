"""Encoders from transformers: pretrained models with the preprocessing of their own processors."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from anymodal.encoders.base import Encoder
from anymodal.encoders.missing import check_missing
from anymodal.encoders.transformers.families import (
    FAMILIES,
    TOWERS,
    EncoderFamily,
    Sizes,
    Sounds,
)
from anymodal.encoders.transformers.processors import open_processor, processing_steps
from anymodal.io.feature_cache import CacheKey
from anymodal.io.fingerprints import hash_settings
from anymodal.io.protocols import MediaProcessor, ModelConfig
from anymodal.io.sources import WEIGHTS, explain_load_errors, source_of
from anymodal.media import IMU, Audio, Image, Media, Video
from anymodal.types import Features, TokenLayout

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PROCESSORS = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)

Tokens = Literal["all", "patches", "class", "projected"]


class Piece(NamedTuple):
    """One of a model's inputs: its name, the shape of one item, and the type."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype


class TransformersEncoder(Encoder):
    """A model of transformers as an encoder; `from_pretrained` opens one.

    Several inputs of a model (patches, their mask, their grid) travel as one vector per medium, so
    that a batch is a stack of tensors, as of any encoder.

    Args:
        model: the model.
        processor: what prepares its inputs.
        sizes: the length of what is read, where a family leaves it open.
        name: where they come from.
        revision: and which version of it.
        tokens: which of the tokens are the features; `class` is what the model itself sums up in,
            `projected` are all of them in the space that it has in common with its texts.
        layer: whose output they are, as in `hidden_states` of transformers; -1 for the model's.

    Raises:
        ValueError: if the model's type is of no family in `FAMILIES`, or has no such tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: MediaProcessor,
        sizes: Sizes,
        name: str = "",
        revision: str | None = None,
        tokens: Tokens = "all",
        layer: int = -1,
    ) -> None:
        super().__init__()
        self.model = model
        _check_choice(self.family, tokens, layer)
        self.tokens, self.layer = tokens, layer
        for part in self.family.unused:
            if hasattr(model, part):
                setattr(model, part, None)
        self.processor, self.sizes = processor, sizes
        self.name, self.revision = name, revision
        self.source: dict[str, object] = {"name": name, "revision": revision}
        self.media = self.family.media
        projects = tokens == "projected"
        width = self.family.projected_width if projects else self.family.width
        self.width = width(model.config)
        # A blank medium shows which inputs the processor gives, and their shapes.
        blank = self.family.prepare(processor, BLANK[self.media], sizes)
        self.pieces = [
            Piece(name, tuple(value.shape[1:]), value.dtype) for name, value in blank.items()
        ]

    @property
    def family(self) -> EncoderFamily:
        """The model's family; looked up each time, since a pickle can't hold its functions."""
        return family_of(self.model.config)

    @property
    def layout(self) -> TokenLayout:
        """The order of the tokens that were chosen."""
        shapes = {piece.name: piece.shape for piece in self.pieces}
        layout = self.family.layout(self.model.config, shapes)
        if self.tokens == "patches":
            return layout._replace(class_tokens=0)
        if self.tokens == "class":
            return TokenLayout(1)
        return layout

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str,
        *,
        revision: str | None = None,
        dtype: str = "float32",
        seconds: float = 10.0,
        frames: int | None = None,
        tokens: Tokens = "all",
        layer: int = -1,
        tower: str | None = None,
        weights: bool = True,
    ) -> TransformersEncoder:
        """Open a model and its processor; code that comes with them is never run.

        Args:
            path_or_name: a folder, or the name of a hub repository.
            revision: the hub revision to pin.
            dtype: the weights' precision.
            seconds: how much of a sound is read, by models without a window of their own.
            frames: of a clip; None for as many as the model was trained with, or 16.
            tokens: all of them, or the patches or the class token alone, where there is one;
                `projected` for all, normed and mapped as the class token is where the model
                compares it with texts, as LLaMA-Adapter V2 reads CLIP.
            layer: whose output they are; -2 for that of the last but one, as LLaVA reads CLIP.
            tower: which part of a model of several, as `audio` or `video` of PE audio-video.
            weights: without them, the model is on the meta device and no weight is read.

        Raises:
            ValueError: if the model is of no known family, lacks weights that encoding reads, or
                is to read nothing.
            OSError: if there is no such folder or repository, or it has no processor.
            ImportError: if transformers wants another library for the model.
        """
        # transformers takes seconds to import.
        from transformers import AutoConfig

        with explain_load_errors("encoder", path_or_name, revision, [["config.json"]]):
            config = AutoConfig.from_pretrained(
                path_or_name, revision=revision, trust_remote_code=False
            )
        config = _of_tower(config, tower)
        family = family_of(config)
        _check_choice(family, tokens, layer)
        if seconds <= 0 or (frames is not None and frames < 1):
            raise ValueError(f"seconds={seconds} and frames={frames}; give more than 0 of each")
        sizes = Sizes(seconds, frames or family.frames(config) or 16)
        files = [["config.json"], *([WEIGHTS] if weights else []), _PROCESSORS]
        read = _read_model if weights else _model_on_meta_device
        with explain_load_errors("encoder", path_or_name, revision, files), quiet():
            model, absent = read(path_or_name, config, dtype, revision)
        source = source_of(path_or_name, revision)
        with torch.device("cpu"):  # for the blank medium, whatever the caller's device is
            with explain_load_errors("encoder", path_or_name, revision, files):
                processor = open_processor(path_or_name, family.media, revision)
            origin = source["name"], source["revision"]
            encoder = cls(model, processor, sizes, *origin, tokens, layer)
            encoder.source = source
            if weights:
                blank = encoder.eval().prepare(BLANK[family.media])[None]
                check_missing(path_or_name, encoder, model, absent, blank)
        return encoder.eval()

    @property
    def seconds_read(self) -> float | None:
        """The model's window of a sound."""
        prepare = self.family.prepare
        if not isinstance(prepare, Sounds):
            return None
        samples = prepare.samples_read(self.processor, self.sizes)
        return float(samples / self.processor.sampling_rate)

    def prepare(self, media: Media) -> Tensor:
        """The inputs that the model's own processor makes of a medium, as one float32 tensor.

        Sounds are cut to the model's window, from the start, and a warning tells it once for each;
        clips are read at evenly spread frames, the first and the last included.

        Raises:
            TypeError: if it is given another class of media.
            ValueError: if the processor's output has no fixed shape.
        """
        if not isinstance(media, self.media):
            raise TypeError(
                f"the {self.family.label} encoder takes {self.media.__name__}, "
                f"not {type(media).__name__}"
            )
        with torch.autocast("cpu", enabled=False):  # Whisper's makes an array of what it computed
            inputs = self.family.prepare(self.processor, media, self.sizes)
        for piece in self.pieces:
            if (shape := tuple(inputs[piece.name].shape[1:])) != piece.shape:
                raise ValueError(
                    f"the processor of {self.name!r} gives {piece.name} of shape {shape} for this "
                    f"medium and {piece.shape} for others; set one size in its configuration"
                )
        if len(self.pieces) == 1:
            only: Tensor = inputs[self.pieces[0].name][0]
            return only.float()
        # Masks and grids too: whole numbers below 2**24 are exact in float32.
        return torch.cat([inputs[piece.name][0].float().flatten() for piece in self.pieces])

    def to_weights(self, batch: Tensor) -> Tensor:
        """The batch on the encoder's device; its pieces get their types when they are apart."""
        return batch.to(self.model.device)

    def _inputs(self, batch: Tensor) -> Mapping[str, Tensor]:
        """The model's inputs from a batch, in the types that it wants."""
        sizes = [torch.Size(piece.shape).numel() for piece in self.pieces]
        parts = [batch] if len(sizes) == 1 else batch.split(sizes, dim=1)
        return {
            piece.name: part.reshape(-1, *piece.shape).to(
                self.model.dtype if piece.dtype.is_floating_point else piece.dtype
            )
            for piece, part in zip(self.pieces, parts, strict=True)
        }

    def forward(self, batch: Tensor) -> Features:
        """The model's last hidden state, or what was chosen of it; padding is masked."""
        return self._features_and_pooled(batch)[0]

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor]:
        """Both in one pass."""
        return self._features_and_pooled(batch)

    def _features_and_pooled(self, batch: Tensor) -> tuple[Features, Tensor]:
        inputs: Mapping[str, Any] = self._inputs(batch)
        if self.layer != -1:
            inputs = {**inputs, "output_hidden_states": True}
        tokens, pooled, mask, layers = self.family.run(self.model, inputs)
        if self.layer != -1:
            assert layers is not None, "families with a class token give their layers"
            tokens = layers[self.layer]
        if self.tokens == "patches":
            tokens = tokens[:, 1:]
        elif self.tokens == "class":
            tokens = self.family.post_norm(self.model, tokens[:, 0])[:, None]  # (B, 1, D)
        elif self.tokens == "projected":
            assert self.family.project is not None, "checked when it was built"
            tokens = self.family.project(self.model, self.family.post_norm(self.model, tokens))
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Features(tokens, mask), pooled

    def embed(self, batch: Tensor) -> Tensor:
        """The model's own pooled output, or its joint embedding; the tokens' mean without one."""
        return self.family.run(self.model, self._inputs(batch)).pooled

    def metadata(self) -> dict[str, object]:
        """The class, the model's type, hashes of the settings of model and processor, and where
        they come from.
        """
        choice = (self.tokens, self.layer)
        return {
            **super().metadata(),
            "model": self.model.config.model_type,
            "config": hash_settings(self.model.config.to_dict()),
            "processor": hash_settings(processing_steps(self.processor)),
            "sizes": list(self.sizes),
            **({} if choice == ("all", -1) else {"tokens": list(choice)}),
            "source": self.source,
        }

    def cache_key(self, result: str) -> CacheKey:
        """The cache key of a result; the family's functions may be a user's."""
        return super().cache_key(result)._replace(code=(self.family,))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and processor, for `from_pretrained` with the same arguments."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def family_of(config: ModelConfig) -> EncoderFamily:
    """The family of a model's configuration.

    Raises:
        ValueError: if there is none.
    """
    if config.model_type not in FAMILIES:
        raise ValueError(
            f"models of type {config.model_type!r} are not known here; choose one of "
            f"{', '.join(FAMILIES)}, or add an entry to FAMILIES"
        )
    return FAMILIES[config.model_type]


def _read_model(
    path_or_name: str, config: ModelConfig, dtype: str, revision: str | None
) -> tuple[PreTrainedModel, Iterable[str]]:
    """A model, and the names of the weights that its checkpoint lacks."""
    from transformers import AutoModel

    model, report = AutoModel.from_pretrained(
        path_or_name,
        config=config,
        dtype=getattr(torch, dtype),
        output_loading_info=True,
        revision=revision,
        trust_remote_code=False,
    )
    return model, report["missing_keys"]


def _model_on_meta_device(
    path_or_name: str, config: ModelConfig, dtype: str, revision: str | None
) -> tuple[PreTrainedModel, Iterable[str]]:
    from transformers import AutoModel

    with torch.device("meta"):
        return AutoModel.from_config(config, dtype=getattr(torch, dtype)), ()


def _of_tower(config: ModelConfig, tower: str | None) -> ModelConfig:
    """The configuration of a model's tower, or the model's own where it has none.

    A tower that was saved apart is what `tower` asks for, too.

    Raises:
        ValueError: if it has several and none of them is asked for, or has no such one, or wants
            timm and there is none.
    """
    kind = config.model_type
    if kind in TOWERS:
        if tower not in TOWERS[kind]:
            raise ValueError(
                f"tower={tower!r} of a {kind!r}; give tower= one of {', '.join(TOWERS[kind])}"
            )
        return _with_timm(getattr(config, f"{tower}_config"))
    if tower is not None and all(towers.get(tower) != kind for towers in TOWERS.values()):
        raise ValueError(f"tower={tower!r}: a {kind!r} has no towers; leave it out")
    return _with_timm(config)


def _with_timm(config: ModelConfig) -> ModelConfig:
    """The configuration of a model of which timm may build a part, as wide as it was trained.

    transformers 5 reads `num_classes` of timm's models that stand alone, of a part it does not.

    Raises:
        ValueError: if timm isn't there.
    """
    vision = getattr(getattr(config, "video_config", None), "vision_config", None)
    if vision is not None and vision.model_type == "timm_wrapper":
        if importlib.util.find_spec("timm") is None:
            raise ValueError(f"a {config.model_type!r} wants timm: pip install 'anymodal[timm]'")
        vision.num_labels = getattr(vision, "num_classes", vision.num_labels)
    return config


def _check_choice(family: EncoderFamily, tokens: str, layer: int) -> None:
    if tokens not in get_args(Tokens):
        raise ValueError(f"tokens={tokens!r} is unknown; choose {', '.join(get_args(Tokens))}")
    if tokens == "projected" and family.project is None:
        raise ValueError(
            f"tokens='projected': {family.label} has no map to a space of texts; take a whole "
            "CLIP, or another choice"
        )
    if (tokens, layer) != ("all", -1) and not family.has_cls_token:
        raise ValueError(
            f"tokens={tokens!r} and layer={layer}: {family.label} has no class token to tell "
            "apart; leave both out"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' report on what a checkpoint lacks or has too much."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


BLANK: dict[type[Media], Media] = {
    Image: Image(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()),
    Audio: Audio(torch.zeros(1, 1600).numpy(), 16000),
    Video: Video(torch.zeros(2, 32, 32, 3, dtype=torch.uint8).numpy(), 2.0),
    IMU: IMU(torch.zeros(6, 200).numpy(), 100.0),
}
