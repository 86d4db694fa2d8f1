"""One transformer for every modality, behind light tokenizers (Han et al. 2024, arXiv:2312.03700).

OneLLM's encoder, section 3.1: a CLIP that has learned to see is a transformer that reads whatever
a few weights bring into its width. It stays frozen; the tokenizers of new modalities learn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anymodal.encoders.base import Encoder
from anymodal.encoders.imagebind.blocks import sinusoids
from anymodal.encoders.imagebind.config import choose
from anymodal.encoders.transformers.encoder import hash_of, quiet
from anymodal.encoders.universal.kinds import KINDS
from anymodal.encoders.universal.tokenizers import Tokenizer, Trunk, build
from anymodal.io.checkpoint import compare_shapes, load_weights, log_licence, read_manifest
from anymodal.io.folder_check import check_folder
from anymodal.io.recorded import Recorded
from anymodal.io.sources import WEIGHTS, opening, source_of
from anymodal.media import Media
from anymodal.types import Features

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
Modalities = Mapping[str, Mapping[str, Any] | None]
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
        self, vision: Any, modalities: Modalities, source: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        vision = getattr(vision, "vision_model", vision)  # some versions nest it
        self.config: Any = vision.config
        self.source: dict[str, Any] = dict(source or {})
        self.width = int(self.config.hidden_size)
        self.patch_embedding = vision.embeddings.patch_embedding
        self.class_embedding = vision.embeddings.class_embedding
        self.position_embedding = vision.embeddings.position_embedding
        self.pre_norm, self.post_norm = vision.pre_layrnorm, vision.post_layernorm
        self.encoder = vision.encoder
        told = Trunk(self.width, int(self.config.image_size))
        self.tokenizers = nn.ModuleDict(
            {name: build(name, settings, told) for name, settings in modalities.items()}
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path,
        modalities: Modalities | None = None,
        *,
        revision: str | None = None,
        tokenizers: str | Path | None = None,
    ) -> Self:
        """Open what `save_pretrained` wrote, or a CLIP, in float32 and in eval mode.

        Args:
            path_or_name: a folder, or the name of a hub repository of a CLIP.
            modalities: settings of tokenizers, by modality. Those of a folder stay as they are;
                the others are new. None for those of a folder, and for `KINDS` with a CLIP.
            revision: the hub revision to pin.
            tokenizers: a folder of published weights that new ones start from, as far as it has
                them (`anymodal convert onellm`); what `save_pretrained` wrote has its own.

        Raises:
            ValueError: if it is no CLIP, lacks weights, a tokenizer differs from the folder's, or
                published weights don't fit.
            OSError: if there is no such folder or repository.
        """
        # transformers takes seconds to import.
        from transformers import CLIPVisionModel

        name = str(path_or_name)
        if (held := _held(name)) is not None:
            return cls._reopened(name, held, modalities)
        config = _clip_config(name, revision)
        with (
            opening("encoder", name, revision, [[CONFIG_FILE], WEIGHTS]),
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
        model = cls(vision, _chosen(modalities), source_of(name, revision)).eval()
        if tokenizers is not None:
            _start(model.tokenizers, Path(tokenizers))
        return model

    @classmethod
    def _reopened(cls, name: str, held: Mapping[str, Any], modalities: Modalities | None) -> Self:
        check_folder(Path(name))
        model = cls.sketch(name, modalities)
        if not (Path(name) / WEIGHTS_FILE).is_file():
            raise ValueError(f"{name!r} has no {WEIGHTS_FILE}; save_pretrained writes it")
        weights = load_file(Path(name) / WEIGHTS_FILE)
        told = Trunk(model.width, int(model.config.image_size))
        for new in model.tokenizers.keys() - held["modalities"].keys():
            state = build(new, (modalities or {})[new], told).state_dict()
            weights |= {f"tokenizers.{new}.{key}": value for key, value in state.items()}
        try:
            model.load_state_dict({k: v.float() for k, v in weights.items()}, assign=True)
        except RuntimeError as error:
            raise ValueError(f"{name!r}: the weights differ from the config: {error}") from None
        return model

    @classmethod
    def sketch(
        cls,
        path_or_name: str | Path,
        modalities: Modalities | None = None,
        *,
        revision: str | None = None,
        tokenizers: str | Path | None = None,
    ) -> Self:
        """What `from_pretrained` would give, on the meta device: its weights are never read.

        Raises:
            ValueError: if it is no CLIP, or a tokenizer is unknown or differs from the folder's.
            OSError: if there is no such folder or repository.
        """
        from transformers import CLIPVisionConfig, CLIPVisionModel

        name = str(path_or_name)
        if (held := _held(name)) is None:
            config, wanted = _clip_config(name, revision), _chosen(modalities)
            source = source_of(name, revision)
        else:
            config, source = CLIPVisionConfig.from_dict(held["trunk"]), held["source"]
            wanted = _joined(name, held["modalities"], modalities or {})
        with torch.device("meta"):
            return cls(CLIPVisionModel(config), wanted, source).eval()

    def features(self, modality: str, batch: Tensor) -> Features:
        """Tokens (B, P * N, D) of pieces (B, P, …), or (B, N, D) where they are averaged.

        All are normalised by the trunk's last LayerNorm. Pieces in order get fixed sinusoids of
        their place added, since a projection may mix tokens without regard to order.
        """
        tokens = self._encode(modality, batch)
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
        folded = batch.flatten(0, 1).to(self.patch_embedding.weight.dtype)  # (B * P, …)
        tokens = tokenizer(folded, self.patch_embedding)
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
    def modalities(self) -> dict[str, dict[str, Any]]:
        """Settings of every tokenizer, by modality."""
        return {name: self._tokenizer(name).settings for name in self.tokenizers}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write trunk and tokenizers, and where the trunk comes from."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        known = {"trunk": self.config.to_dict(), "modalities": self.modalities}
        text = json.dumps({**known, "source": self.source}, indent=2) + "\n"
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
        choose(model.modalities, [modality], "modality")
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

    def forward(self, batch: Tensor) -> Features:
        """The trunk's tokens: see `UniversalTrunk.features`."""
        return self.model.features(self.modality, batch)

    def embed(self, batch: Tensor) -> Tensor:
        """The class token: see `UniversalTrunk.embed`."""
        return self.model.embed(self.modality, batch)

    def identity(self) -> dict[str, Any]:
        """The class, the modality, a hash of the trunk's and its tokenizer's settings, and where
        the trunk comes from.
        """
        settings = [self.model.config.to_dict(), self.model.modalities[self.modality]]
        return {
            **super().identity(),
            "modality": self.modality,
            "config": hash_of(settings),
            "source": self.model.source,
        }


def _start(tokenizers: nn.ModuleDict, folder: Path) -> None:
    """Give tokenizers the published weights of a folder, and tell of their licence."""
    saved = {
        name: value
        for name, value in load_weights(folder / WEIGHTS_FILE).items()
        if name.split(".")[0] in tokenizers
    }
    state = {name: value for name, value in tokenizers.state_dict().items() if name in saved}
    compare_shapes(saved, state, str(folder / WEIGHTS_FILE))
    tokenizers.load_state_dict({k: v.float() for k, v in saved.items()}, strict=False)
    for origin in read_manifest(folder).values():
        log_licence(str(folder), origin)


def _held(name: str) -> dict[str, Any] | None:
    """The configuration in a folder that `save_pretrained` wrote."""
    try:
        held = json.loads((Path(name) / CONFIG_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and "trunk" in held else None


def _clip_config(name: str, revision: str | None) -> Any:
    from transformers import AutoConfig

    with opening("encoder", name, revision, [[CONFIG_FILE]]):
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
    if config.model_type not in ("clip", "clip_vision_model"):
        raise ValueError(f"{name!r} is a {config.model_type!r}; the trunk is a CLIP, so name one")
    return getattr(config, "vision_config", config)


def _chosen(modalities: Modalities | None) -> Modalities:
    return dict.fromkeys(KINDS) if modalities is None else modalities


def _joined(name: str, held: Modalities, given: Modalities) -> Modalities:
    """A folder's tokenizers and further ones; what is asked of the folder's must be so."""
    for modality in held.keys() & given.keys():
        kept = held[modality] or {}
        for key, value in (given[modality] or {}).items():
            if kept.get(key) != value:
                raise ValueError(
                    f"{name!r} has {key}={kept.get(key)!r} in the tokenizer of {modality!r}, not "
                    f"{value!r}; leave it out, or give the new tokenizer another name"
                )
    return {**held, **{key: value for key, value in given.items() if key not in held}}
