"""Conversations of a composed model: replies to be learned, and media to be asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from anymodal.config import ConfigError
from anymodal.core import ComposedModel
from anymodal.decoders.references import EncodedReferences, Reference, fill_slots
from anymodal.distributed import collectives
from anymodal.encoders.shared_results import encode_and_keep
from anymodal.io.feature_cache import CacheKey
from anymodal.language.chat_prompt import ChatPrompt, MediaReference
from anymodal.language.flat_rows import FlatReader, Needs
from anymodal.language.fused_media import FusedMedia
from anymodal.language.packing import Packed, supervised, supervised_sequences
from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.training.losses import (
    CAPTION_CONDITIONING,
    CHOICES,
    LATENTS,
    Align,
    Balance,
    Decide,
    Denoise,
    Loss,
    Text,
    WeightedLoss,
)
from anymodal.training.losses.states import DialogueStates, TargetStates, TextStates
from anymodal.training.objectives.base import Objective, values_of
from anymodal.training.objectives.latents import (
    cached_captions,
    cached_latents,
    cached_references,
    decode_missing,
)
from anymodal.training.objectives.prepared import PreparedMedia
from anymodal.types import Conditioning, Features, Message, Target

_LOG = logging.getLogger("anymodal")

DIALOGUE_LOSSES: dict[str, type[Loss[Any, Any]]] = {
    "text": Text,
    "align": Align,
    "denoise": Denoise,
    "decide": Decide,
    "balance": Balance,
}


class DialogueBatch(NamedTuple):
    """Conversations in rows, and how many things in them can be learned from.

    Args:
        prompts: conversations.
        packed: their tokens in rows.
        supervised: positions to learn from.
        num_captions: targets with a caption, by modality; 0 where there are none.
        num_media: those of them that have media.
        prepared: by modality, media shown whose features weren't cached.
        needs: what is needed of rows that are read flat; None for others.
    """

    prompts: list[ChatPrompt]
    packed: Packed
    supervised: int
    num_captions: dict[str, int]
    num_media: dict[str, int]
    prepared: dict[str, PreparedMedia]
    needs: Needs | None = None

    @property
    def labels(self) -> Tensor:
        """Ids (R, T), `IGNORED` where unsupervised."""
        return self.packed.labels

    def items(self) -> dict[str, list[MediaReference]]:
        """Media shown, by modality, in order."""
        items: dict[str, list[MediaReference]] = {}
        for prompt in self.prompts:
            for item in prompt.media:
                items.setdefault(item.modality, []).append(item)
        return items

    @property
    def supervised_sequences(self) -> Tensor:
        """Numbers (N,) of the conversations that supervised positions are of, row by row."""
        return supervised_sequences(self.packed)

    def targets(self, name: str) -> list[Target]:
        """Media of a modality that are asked for by a caption, in order."""
        return [target for _, target in self._numbered_targets(name)]

    def target_samples(self, name: str) -> list[int]:
        """Numbers of the conversations that these are of."""
        return [number for number, _ in self._numbered_targets(name)]

    def _numbered_targets(self, name: str) -> Iterator[tuple[int, Target]]:
        for number, prompt in enumerate(self.prompts):
            for span in prompt.spans:
                if span.target.modality == name and span.target.caption:
                    yield number, span.target

    def choices(self, name: str) -> list[bool | None]:
        """Whether each of `targets` is to be found rather than made; None where nobody says."""
        return [target.find for target in self.targets(name)]

    def references(self, name: str) -> list[list[Media]]:
        """The media that each of `targets` is made from."""
        references = []
        for prompt in self.prompts:
            own = {span.number: span.target.media for span in prompt.spans}
            media = {number: each for number, each in own.items() if each is not None}
            media |= {item.number: item.media for item in prompt.media}
            targets = (span.target for span in prompt.spans)
            references += [
                [media[number] for number in target.references if number in media]
                for target in targets
                if target.modality == name and target.caption
            ]
        return references


class Dialogue(Objective[Sequence[Message], DialogueBatch]):
    """A composed model learns to reply, and its heads to ask the decoders for media.

    Its losses are `text`, `align` and `denoise`. Features of frozen encoders, the conditioning of
    captions and the latents of media are computed where a loss needs them, and cached.

    Args:
        model: the composed model.

    Raises:
        ConfigError: for a model of another class.
    """

    model: ComposedModel

    def __init__(self, model: ComposedModel) -> None:
        if not isinstance(model, ComposedModel):
            raise ConfigError(
                f"{type(model).__name__} is no composed model, which Dialogue trains; give the run "
                "another objective, such as {_target_: anymodal.training.objectives.…}"
            )
        super().__init__(model, DIALOGUE_LOSSES)
        self._flat_reader: FlatReader | None = None

    @property
    def device(self) -> torch.device:
        """The device that the language model runs on."""
        return self.model.device

    def collate(self, samples: Sequence[Sequence[Message]]) -> DialogueBatch:
        """Conversations in rows.

        Raises:
            ValueError: for media that no encoder reads, or a conversation longer than the language
                model reads.
        """
        reader = self._flat_reader if self.packed is None else None
        share_rows = self.packed if reader is None else False
        prompts, packed = self.model.prompts.lay_out(samples, share_rows)
        openings = [prompt.opening for prompt in prompts]
        needs = None if reader is None else reader.needs(packed, openings)
        batch = DialogueBatch(prompts, packed, supervised(packed.labels), {}, {}, {}, needs)
        for name in self.model.heads:
            targets = batch.targets(name)
            batch.num_captions[name] = len(targets)
            batch.num_media[name] = sum(target.media is not None for target in targets)
        self._decode(batch)
        return batch

    def _decode(self, batch: DialogueBatch) -> None:
        """Prepare the media whose features aren't cached, and decode those of missing latents.

        What else is in files stays there, or goes back there.
        """
        references = batch.items()
        for name, items in references.items():
            if missing := self._prepare(name, items):
                batch.prepared[name] = PreparedMedia.of(missing)
        decoded: list[Media] = []
        if LATENTS in self.needs:
            for name in self.model.heads:
                media = [t.media for t in batch.targets(name) if t.media is not None]
                decoded += decode_missing(self, self.model.decoders.get(name).encoding(), media)
        decoded_ids = set(map(id, decoded))
        for item in (item for items in references.values() for item in items):
            if id(item.media) not in decoded_ids:
                item.media.release()

    def _prepare(self, name: str, items: Sequence[MediaReference]) -> dict[int, Tensor]:
        """Tensors of the media whose features aren't cached, by their places."""
        key = self._encoding(name)
        cached = self.is_cached(key, items, lambda item: item.media, lambda item: item.digest)
        missing = [place for place, there in enumerate(cached) if not there]
        tensors = {place: self.model.prepare(name, items[place].media) for place in missing}
        if self.is_cacheable(key):
            for place in missing:  # while it is decoded
                items[place].digest  # noqa: B018
        return tensors

    def states(self, batch: DialogueBatch) -> DialogueStates:
        ids, places = batch.packed.ids, batch.packed.places
        ids = ids.to(self.device, non_blocking=True)
        encode = partial(self.features, prepared=batch.prepared)
        embeds = self.model.embed(batch.prompts, ids, places, encode=encode)
        if collectives.world_size() > 1 and torch.is_grad_enabled() and not embeds.requires_grad:
            embeds = embeds + self._zero_of_readers()
        media = self.model.fuse(batch.prompts, places, encode=encode)
        hidden = self._read(batch, embeds, media)
        targets = {}
        if self.needs & {CAPTION_CONDITIONING, LATENTS, CHOICES}:
            for name, count in batch.num_captions.items():
                if count:
                    targets[name] = self._target(name, batch, hidden, embeds)
        return DialogueStates(self.model.language, hidden, targets)

    def use_flat_rows(
        self, use: bool, frozen_prefix: bool = True, shared_prefix: bool = True
    ) -> None:
        parts = (self.model.projection, self.model.encoders)
        before = [part for part in parts if part is not None]
        reader = FlatReader(
            self.model.language, self.model.signals, before, frozen_prefix, shared_prefix
        )
        self._flat_reader = reader if use and reader.works() else None
        if use and shared_prefix:
            self._tell_of_shared_prefix(reader)

    def _tell_of_shared_prefix(self, reader: FlatReader) -> None:
        """Say why the beginning of conversations is computed in each, where it is."""
        if self._flat_reader is None:
            reason = "this language model doesn't read rows without padding"
        elif not reader.is_frozen:
            reason = "the language model trains"
        else:
            return
        _LOG.info("what conversations begin with is computed in each of them, since %s", reason)

    def _read(self, batch: DialogueBatch, embeds: Tensor, media: FusedMedia | None) -> Tensor:
        """Last hidden states (R, T, D), at least where losses need them."""
        positions = batch.packed.positions
        if batch.needs is not None and self._flat_reader is not None:
            axes = positions[1:].to(self.device) if positions.ndim == 3 else None
            return self._flat_reader.read(embeds, batch.needs, axes)
        positions = positions.to(self.device, non_blocking=True)
        hidden: Tensor = self.model.language(embeds, positions=positions, media=media)
        return hidden

    def forward(self, batch: DialogueBatch) -> dict[str, list[WeightedLoss]]:
        """The losses in use by name, each as means over what `counts` has counted."""
        return compute_losses(self.losses, batch, self.states(batch))

    def _zero_of_readers(self) -> Tensor | float:
        """A zero by which a process without media goes backward through the language model too,
        where others learn to read: its blocks may be in pieces that all put together at once.
        """
        parts = [self.model.projection, self.model.fusion, self.model.encoders]
        weights = (weight for part in parts if part is not None for weight in part.parameters())
        learns = next((weight for weight in weights if weight.requires_grad), None)
        return 0.0 if learns is None else learns.sum() * 0.0

    def _target(
        self, name: str, batch: DialogueBatch, hidden: Tensor, embeds: Tensor
    ) -> TargetStates:
        """Inputs of the losses of one modality's targets."""
        decoder = self.model.decoders.get(name)
        targets = batch.targets(name)
        conditioning = self.model.span_conditioning(name, batch, hidden, embeds)
        caption_conditioning = latents = references = None
        places = tuple(i for i, target in enumerate(targets) if target.media is not None)
        if CAPTION_CONDITIONING in self.needs:
            caption_conditioning = self._caption_conditioning(name, batch)
        if LATENTS in self.needs and places:
            latents, references = self.latents(name, batch)
        return TargetStates(
            decoder, conditioning, caption_conditioning, latents, places, references
        )

    def latents(self, name: str, batch: DialogueBatch) -> tuple[Tensor, EncodedReferences | None]:
        """Latents of one modality's targets that have media, at least one, and of what those are
        made from, where the decoder looks at any.
        """
        decoder = self.model.decoders.get(name)
        media = [target.media for target in batch.targets(name)]
        latents = cached_latents(self, decoder, [each for each in media if each is not None])
        if not decoder.references:
            return latents, None
        pairs = zip(self._references(name, batch), media, strict=True)
        shown = [references for references, each in pairs if each is not None]
        return latents, cached_references(self, decoder, shown)

    def statistics(self, batch: DialogueBatch) -> dict[str, int]:
        """Numbers of tokens, supervised ones, conversations, and media shown and asked for."""
        inputs = {f"{name} shown": len(items) for name, items in batch.items().items()}
        targets = {f"{name} asked for": n for name, n in batch.num_captions.items() if n}
        return {
            "tokens": sum(len(prompt.ids) for prompt in batch.prompts),
            "supervised tokens": batch.supervised,
            **inputs,
            **targets,
        }

    # ---- Results of frozen parts ---------------------------------------------------------------

    def prefetch(self, batch: DialogueBatch) -> None:
        if self.feature_cache is None:
            return
        for name, items in batch.items().items():
            if self.is_cacheable(key := self._encoding(name)):
                self.feature_cache.prefetch(key, [item.digest for item in items])
        for name in self.model.heads:
            targets = batch.targets(name)
            if targets and CAPTION_CONDITIONING in self.needs:
                origin = self.model.decoders.get(name).captioning()
                self.feature_cache.prefetch(origin, [target.caption for target in targets])

    def precompute(self, batch: DialogueBatch) -> None:
        """Compute features, conditioning and latents, for the feature cache, and nothing else."""
        self.compute_features(batch)
        for name in self.model.heads:
            targets = batch.targets(name)
            if targets and CAPTION_CONDITIONING in self.needs:
                self._caption_conditioning(name, batch)
            if LATENTS in self.needs and any(target.media is not None for target in targets):
                self.latents(name, batch)

    def compute_features(self, batch: DialogueBatch) -> None:
        """Compute the features that the feature cache keeps."""
        for name, items in batch.items().items():
            if self.is_cacheable(self._encoding(name)):
                self.features(name, items, batch.prepared)

    def open_cache(self) -> None:
        keys = [self._encoding(name) for name in self.model.readers]
        if LATENTS in self.needs:
            keys += [self.model.decoders.get(name).encoding() for name in self.model.heads]
        for key in keys:
            if self.feature_cache is not None and self.is_cacheable(key):
                self.feature_cache.open(key, self.device)

    def _encoding(self, name: str) -> CacheKey:
        key: CacheKey = self.model.readers[name].cache_key("features")
        return key

    def features(
        self,
        name: str,
        items: Sequence[MediaReference],
        prepared: Mapping[str, PreparedMedia] = MappingProxyType({}),
    ) -> Features:
        """Features of one modality's media in one batch, of which some may be prepared already."""
        tensors = prepared[name].tensors() if name in prepared else {}
        pairs = [(item, tensors.get(place)) for place, item in enumerate(items)]

        def encode(some: list[tuple[MediaReference, Tensor | None]]) -> Features:
            batch = [self.model.prepare(name, i.media) if t is None else t for i, t in some]
            if self.feature_cache is None or not self.feature_cache.is_folder:
                return self.model.encode_prepared(name, batch)
            encoder = self.model.readers[name]
            return encode_and_keep(
                self.feature_cache,
                encoder,
                lambda: [item.digest for item, _ in some],
                encoder.collate(batch),
            )

        values = self.cached(self._encoding(name), pairs, lambda pair: pair[0].digest, encode)
        if self.feature_cache is not None:
            self.feature_cache.keep_digests(item.media for item in items)
        return Features(*values)

    def _caption_conditioning(self, name: str, batch: DialogueBatch) -> Conditioning:
        """A decoder's own conditioning of its targets' captions."""
        decoder = self.model.decoders.get(name)
        captions = [target.caption for target in batch.targets(name)]
        shown = self._references(name, batch) if decoder.sees_references else None
        with torch.no_grad():
            return cached_captions(self, decoder, captions, shown)

    def _references(self, name: str, batch: DialogueBatch) -> list[list[Reference]]:
        """What each of a modality's targets is made from, by its decoder's slots."""
        slots = self.model.decoders.get(name).references
        return [fill_slots(slots, media) for media in batch.references(name)]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model.

        Raises:
            ConfigError: for a network that has no folders.
        """
        if not isinstance(self.model, AnyModal):
            raise ConfigError(f"{type(self.model).__name__} can't be saved; train an AnyModal")
        self.model.save_pretrained(folder)


def compute_losses(
    losses: Mapping[str, Loss[Any, Any]], batch: Any, states: TextStates
) -> dict[str, list[WeightedLoss]]:
    """Losses of a batch by name, of which at least one reaches backward where processes train
    together.
    """
    values = {name: loss(batch, states) for name, loss in losses.items()}
    if collectives.world_size() > 1 and not any(map(values_of, values.values())):
        # One without targets still takes part in the backward pass: the language model's blocks
        # may be in pieces (FSDP2), which all processes put together at once.
        zero = states.hidden.sum() * 0.0
        name, loss = next(iter(losses.items()))
        values[name] = [WeightedLoss(zero, 0, part) for part in loss.count(batch)]
    return values
