"""One transformer for every modality, behind light tokenizers (Han et al. 2024, arXiv:2312.03700).

OneLLM's encoder, section 3.1: a CLIP that has learned to see is a transformer that reads whatever
a few weights bring into its width. It stays frozen; the tokenizers of new modalities learn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anymodal.encoders.base import Encoder
from anymodal.encoders.imagebind.blocks import sinusoids
from anymodal.encoders.imagebind.config import select_entries
from anymodal.encoders.transformers.encoder import quiet
from anymodal.encoders.universal.kinds import KINDS
from anymodal.encoders.universal.tokenizers import Tokenizer, TrunkSizes, build_tokenizer
from anymodal.io.checkpoint import compare_shapes, load_weights, log_licence, read_manifest
from anymodal.io.fingerprints import hash_settings
from anymodal.io.folder_check import check_folder
from anymodal.io.protocols import ModelConfig
from anymodal.io.recorded import Recorded
from anymodal.io.sources import WEIGHTS, explain_load_errors, source_of
from anymodal.media import Media
from anymodal.types import Features

if TYPE_CHECKING:
    from transformers import CLIPVisionModel

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
Modalities = Mapping[str, Mapping[str, object] | None]
"""Settings of each modality's tokenizer; see `universal_tokenizers.build`."""


class UniversalTrunk(Recorded, nn.Module):
    """CLIP's vision transformer with a tokenizer per modality.

    Shapes: B media, P pieces of each (frames, clips), N tokens of a piece with the class token
    before them, D the width.

    Args:
        vision: a `CLIPVisionModel` of transformers; of it patches, class token, positions, layers
            and norms are kept.
        modalities: settings of their tokenizers, by name.
        source: where the weights come from.

    Raises:
        ValueError: if a tokenizer or an argument of one is unknown.
    """

    def __init__(
        self,
        vision: CLIPVisionModel,
        modalities: Modalities,
        source: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        vision = getattr(vision, "vision_model", vision)  # some versions nest it
        self.config: ModelConfig = vision.config
        self.source: dict[str, object] = dict(source or {})
        self.width = int(self.config.hidden_size)
        self.patch_embedding = vision.embeddings.patch_embedding
        self.class_embedding = vision.embeddings.class_embedding
        self.position_embedding = vision.embeddings.position_embedding
        # `pre_layrnorm` is transformers' own spelling.
        self.pre_norm, self.post_norm = vision.pre_layrnorm, vision.post_layernorm
        self.encoder = vision.encoder
        sizes = TrunkSizes(self.width, int(self.config.image_size))
        self.tokenizers = nn.ModuleDict(
            {name: build_tokenizer(name, settings, sizes) for name, settings in modalities.items()}
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path,
        modalities: Modalities | None = None,
        *,
        revision: str | None = None,
        tokenizers: str | Path | None = None,
        weights: bool = True,
    ) -> Self:
        """Open what `save_pretrained` wrote, or a CLIP, in float32 and in eval mode.

        Args:
            path_or_name: a folder, or the name of a hub repository of a CLIP.
            modalities: settings of tokenizers, by modality. Those of a folder stay as they are;
                the others are new. None for those of a folder, and for `KINDS` with a CLIP.
            revision: the hub revision to pin.
            tokenizers: a folder of published weights that new ones start from, as far as it has
                them (`anymodal convert onellm`); what `save_pretrained` wrote has its own.
            weights: without them, the model is on the meta device and no weight is read.

        Raises:
            ValueError: if it is no CLIP, lacks weights, a tokenizer differs from the folder's, or
                published weights don't fit.
            OSError: if there is no such folder or repository.
        """
        name = str(path_or_name)
        if (config_on_disk := _saved_config(name)) is not None:
            return cls._from_folder(name, config_on_disk, modalities or {}, weights)
        settings = dict.fromkeys(KINDS) if modalities is None else modalities
        config, source = _clip_config(name, revision), source_of(name, revision)
        if not weights:
            return cls._on_meta_device(config, settings, source)
        model = cls(_clip_model(name, config, revision), settings, source).eval()
        if tokenizers is not None:
            _read_tokenizers(model.tokenizers, Path(tokenizers))
        return model

    @classmethod
    def _from_folder(
        cls, name: str, config_on_disk: Mapping[str, Any], modalities: Modalities, weights: bool
    ) -> Self:
        """Open what `save_pretrained` wrote, with new tokenizers for further modalities."""
        # transformers takes seconds to import.
        from transformers import CLIPVisionConfig

        config = CLIPVisionConfig.from_dict(config_on_disk["trunk"])
        all_modalities = _merge(name, config_on_disk["modalities"], modalities)
        model = cls._on_meta_device(config, all_modalities, config_on_disk["source"])
        if not weights:
            return model
        check_folder(Path(name))
        if not (Path(name) / WEIGHTS_FILE).is_file():
            raise ValueError(f"{name!r} has no {WEIGHTS_FILE}; save_pretrained writes it")
        state = load_file(Path(name) / WEIGHTS_FILE)
        sizes = TrunkSizes(model.width, int(model.config.image_size))
        for new in modalities.keys() - config_on_disk["modalities"].keys():
            first = build_tokenizer(new, modalities[new], sizes).state_dict()
            state |= {f"tokenizers.{new}.{key}": value for key, value in first.items()}
        try:
            model.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
        except RuntimeError as error:
            raise ValueError(f"{name!r}: the weights differ from the config: {error}") from None
        return model

    @classmethod
    def _on_meta_device(
        cls, config: ModelConfig, modalities: Modalities, source: Mapping[str, object]
    ) -> Self:
        from transformers import CLIPVisionModel

        with torch.device("meta"):
            return cls(CLIPVisionModel(config), modalities, source).eval()

    def features(self, modality: str, batch: Tensor) -> Features:
        """Tokens (B, P * N, D) of pieces (B, P, …), or (B, N, D) where they are averaged.

        All are normalised by the trunk's last LayerNorm. Pieces in order get fixed sinusoids of
        their place added, since a projection may mix tokens without regard to order.
        """
        return self._features_of(modality, self._encode(modality, batch))

    def features_and_embedding(self, modality: str, batch: Tensor) -> tuple[Features, Tensor]:
        """`features` and `embed`, in one pass."""
        tokens = self._encode(modality, batch)
        return self._features_of(modality, tokens), tokens[:, :, 0].mean(dim=1)

    def _features_of(self, modality: str, tokens: Tensor) -> Features:
        """The features of tokens (B, P, N, D) of pieces."""
        pieces = tokens.shape[1]
        if self._tokenizer(modality).average:
            values = tokens.mean(dim=1)  # (B, N, D)
        else:
            if pieces > 1:
                tokens = tokens + sinusoids(pieces, self.width, like=tokens)[:, None]
            values = tokens.flatten(1, 2)  # (B, P * N, D)
        mask = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        return Features(values, mask)

    def embed(self, modality: str, batch: Tensor) -> Tensor:
        """The class token (B, D), as CLIP pools a picture; the mean of the pieces'."""
        return self._encode(modality, batch)[:, :, 0].mean(dim=1)

    def _encode(self, modality: str, batch: Tensor) -> Tensor:
        """Tokens (B, P, N, D) of pieces (B, P, …)."""
        tokenizer = self._tokenizer(modality)
        flat = batch.flatten(0, 1).to(self.patch_embedding.weight.dtype)  # (B * P, …)
        tokens = tokenizer(flat, self.patch_embedding)
        first = self.class_embedding.expand(len(tokens), 1, -1)
        own = tokenizer.positions
        positions = self.position_embedding.weight if own is None else own
        hidden = self.pre_norm(torch.cat([first, tokens], dim=1) + positions)
        hidden = self.post_norm(self.encoder(inputs_embeds=hidden).last_hidden_state)
        return hidden.unflatten(0, batch.shape[:2])  # type: ignore[no-any-return]  # (B, P, N, D)

    def _tokenizer(self, modality: str) -> Tokenizer:
        tokenizer = self.tokenizers[modality]
        assert isinstance(tokenizer, Tokenizer)
        return tokenizer

    @property
    def modalities(self) -> dict[str, dict[str, object]]:
        """Settings of every tokenizer, by modality."""
        return {name: self._tokenizer(name).settings for name in self.tokenizers}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write trunk and tokenizers, and where the trunk comes from."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"trunk": self.config.to_dict(), "modalities": self.modalities}
        text = json.dumps({**content, "source": self.source}, indent=2) + "\n"
        (folder / CONFIG_FILE).write_text(text, "utf-8")
        weights = {key: value.contiguous() for key, value in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)


class UniversalEncoder(Encoder):
    """One modality of a `UniversalTrunk` as an encoder; several share one trunk.

    Args:
        model: the trunk.
        modality: one that it has a tokenizer of.

    Raises:
        ValueError: if it has none.
    """

    def __init__(self, model: UniversalTrunk, modality: str) -> None:
        super().__init__()
        select_entries(model.modalities, [modality], "modality")
        self.model, self.modality = model, modality
        self.media: type[Media] = model._tokenizer(modality).media
        self.width = model.width

    def prepare(self, media: Media) -> Tensor:
        """Pieces (P, …) as the modality's tokenizer wants them.

        Raises:
            TypeError: if it is given another class of media.
        """
        if not isinstance(media, self.media):
            raise TypeError(
                f"the {self.modality} encoder takes {self.media.__name__}, "
                f"not {type(media).__name__}"
            )
        return self.model._tokenizer(self.modality).prepare(media)

    @property
    def seconds_read(self) -> float | None:
        """The length of an only clip; more of them are spread over a recording."""
        return self.model._tokenizer(self.modality).seconds_read

    def forward(self, batch: Tensor) -> Features:
        """The trunk's tokens: see `UniversalTrunk.features`."""
        return self.model.features(self.modality, batch)

    def embed(self, batch: Tensor) -> Tensor:
        """The class token: see `UniversalTrunk.embed`."""
        return self.model.embed(self.modality, batch)

    def features_and_embedding(self, batch: Tensor) -> tuple[Features, Tensor]:
        """Both in one pass: see `UniversalTrunk`."""
        return self.model.features_and_embedding(self.modality, batch)

    def metadata(self) -> dict[str, object]:
        """The class, the modality, a hash of the trunk's and its tokenizer's settings, and where
        the trunk comes from.
        """
        settings = [self.model.config.to_dict(), self.model.modalities[self.modality]]
        return {
            **super().metadata(),
            "modality": self.modality,
            "config": hash_settings(settings),
            "source": self.model.source,
        }


def _clip_model(name: str, config: ModelConfig, revision: str | None) -> nn.Module:
    """The vision tower of a CLIP with its weights."""
    from transformers import CLIPVisionModel

    with (
        explain_load_errors("encoder", name, revision, [[CONFIG_FILE], WEIGHTS]),
        quiet(),  # of a text tower that isn't wanted
    ):
        vision, report = CLIPVisionModel.from_pretrained(
            name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            revision=revision,
            trust_remote_code=False,
        )
    if absent := sorted(report["missing_keys"]):
        raise ValueError(
            f"{name!r} lacks {len(absent)} weights, as {absent[0]}; it would encode with "
            "random ones, so give a complete checkpoint"
        )
    model: nn.Module = vision
    return model


def _read_tokenizers(tokenizers: nn.ModuleDict, folder: Path) -> None:
    """Give tokenizers the published weights of a folder, and tell of their licence."""
    weights = {
        name: value
        for name, value in load_weights(folder / WEIGHTS_FILE).items()
        if name.split(".")[0] in tokenizers
    }
    state = {name: value for name, value in tokenizers.state_dict().items() if name in weights}
    compare_shapes(weights, state, str(folder / WEIGHTS_FILE))
    tokenizers.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    for origin in read_manifest(folder).values():
        log_licence(str(folder), origin)


def _saved_config(name: str) -> dict[str, Any] | None:
    """The configuration in a folder that `save_pretrained` wrote."""
    try:
        config = json.loads((Path(name) / CONFIG_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) and "trunk" in config else None


def _clip_config(name: str, revision: str | None) -> ModelConfig:
    from transformers import AutoConfig

    with explain_load_errors("encoder", name, revision, [[CONFIG_FILE]]):
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
    if config.model_type not in ("clip", "clip_vision_model"):
        raise ValueError(f"{name!r} is a {config.model_type!r}; the trunk is a CLIP, so name one")
    vision: ModelConfig = getattr(config, "vision_config", config)
    return vision


def _merge(name: str, own: Modalities, more: Modalities) -> Modalities:
    """A folder's tokenizers and further ones; settings requested of a saved one must be its own."""
    for modality in own.keys() & more.keys():
        settings = own[modality] or {}
        for key, value in (more[modality] or {}).items():
            if settings.get(key) != value:
                raise ValueError(
                    f"{name!r} has {key}={settings.get(key)!r} in the tokenizer of {modality!r}, "
                    f"not {value!r}; leave it out, or give the new tokenizer another name"
                )
    return {**own, **{key: value for key, value in more.items() if key not in own}}
