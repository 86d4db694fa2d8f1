"""The composed network: encoders, projection, language model, signal tokens, heads, decoders.

Shapes: B conversations, R rows, T tokens, K soft tokens per medium, S signals per span, D width of
the language model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.fusion.base import Fusion
from anymodal.fusion.own_cross import OwnCrossAttention
from anymodal.fusion.states import fuse_media
from anymodal.io.content_credentials import ContentSigner
from anymodal.io.training_records import StageRecord
from anymodal.language.chat_prompt import ChatPrompt, MediaReference, Rows, caption_spans
from anymodal.language.fused_media import FusedMedia
from anymodal.language.model import LanguageModel
from anymodal.language.packing import Place
from anymodal.language.prompt import PromptBuilder
from anymodal.language.signal_tokens import Signals
from anymodal.language.soft_tokens import join_soft, own_soft
from anymodal.language.widths import widen
from anymodal.media import Media
from anymodal.modality import (
    Modality,
    Parts,
    by_media,
    check_fusion,
    check_head,
    check_projection,
    own_readers,
)
from anymodal.projection import Projection
from anymodal.types import Conditioning, Features, MediaPositions, Message, SoftRun, Target

ENCODED_AT_ONCE = 8
"""The most media of a modality in one batch of chatting, so that memory doesn't grow with them."""

Encode = Callable[[str, Sequence[MediaReference]], Features]
"""Features of one modality's items in one batch, such as cached ones."""

_UNSEEN = "anything"
"""A caption of what is asked for, which no prompt has."""
_REPLACE = "model.replace_decoder(name, decoder) does it, and checks that head and decoder fit"
_ANOTHER_MODEL = "compose a new model of the parts, or add one by model.add_modality(…)"


class ComposedModel(nn.Module):
    """A language model that reads and makes media through the modalities it is given.

    Args:
        language: the language model; gets the modalities' signals and placeholders as new tokens.
        projection: features of every readable modality to soft tokens of the language model.
        modalities: the parts of each modality, by name.
        config: what the model was composed from, kept so that it can be saved.
        history_turns: how many earlier turns a session shows the model, which was trained on no
            longer conversations; None for all of them.
        history_notice: text that stands before the conversation where earlier turns are no longer
            shown, so that a model that was trained with it can say what it forgot; empty for none.
        num_pointers: number of tokens by which replies name the media that others are made from.
        fusion: modules around the language model's blocks that media reach it by, beside the
            projection or without one.
        media_first: whether a user's media stand before the words of their message in every prompt,
            wherever the user put them, for a model that was trained on no other order
            (as LLaVA's preprocessing has it).

    Attributes:
        name: what files tell of who made them; of a folder its last part.
        provenance: whether media that the model makes carry a note in their files: made by AI, by
            which model and seed.
        signer: signs that note, as Content Credentials; None for the note alone.
        training_records: the stages that trained it, as far as its folder tells.

    Raises:
        ValueError: if the projection doesn't know a modality, or parts don't fit each other.
    """

    def __init__(
        self,
        language: LanguageModel,
        projection: Projection | None,
        modalities: Mapping[str, Modality],
        config: Mapping[str, Any] | None = None,
        history_turns: int | None = None,
        num_pointers: int = 0,
        history_notice: str = "",
        fusion: Fusion | None = None,
        media_first: bool = False,
    ) -> None:
        super().__init__()
        if history_turns is not None and history_turns < 1:
            raise ValueError(f"history_turns={history_turns}; give at least 1, or None for all")
        self.history_turns, self.history_notice = history_turns, history_notice
        self.media_first = media_first
        self.name = "unnamed"
        self.provenance = True
        self.signer: ContentSigner | None = None
        self.training_records: list[StageRecord] = []
        self.language, self.projection, self.fusion = language, projection, fusion
        self.config = config
        self._modalities = dict(modalities)
        parts = [(name, m.encoder, m.decoder, m.head) for name, m in modalities.items()]
        self.encoders = Parts({n: e for n, e, _, _ in parts if e is not None}, _ANOTHER_MODEL)
        self.decoders = Parts({n: d for n, _, d, _ in parts if d is not None}, _REPLACE)
        self.heads = Parts({n: h for n, _, d, h in parts if d is not None and h}, _REPLACE)
        speakers = {n: m.speaker for n, m in modalities.items() if m.speaker is not None}
        self.speakers = Parts(speakers, _ANOTHER_MODEL)
        self._check()  # before the language model gets tokens, which nothing takes back
        if projection is not None:
            for name, encoder in self.encoders.by_name().items():
                projection.set_layout(name, encoder.layout)
        if fusion is not None:
            for name, encoder in self.encoders.by_name().items():
                fusion.set_layout(name, (fusion.encoder or encoder).layout)
            fusion.attach(language)
        self.own_fusion = OwnCrossAttention(language) if language.reads_across else None
        counts = {name: modalities[name].num_signal_tokens for name in self.decoders}
        own = own_readers(language.readers, self.encoders.by_name())
        ids = {n: language.tokenizer.convert_tokens_to_ids(r.placeholder) for n, r in own.items()}
        self.signals = Signals.add_to(language, counts, list(self.encoders), num_pointers, ids)
        self.prompts = self.build_prompt_builder()
        self.eval()

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """The parts of each modality, by name; read only."""
        return MappingProxyType(self._modalities)

    def _check(self) -> None:
        by_media(self.encoders.by_name(), "read")
        by_media({**self.decoders.by_name(), **self.speakers.by_name()}, "make")
        encoders = self.encoders.by_name()
        check_fusion(self.fusion, encoders)
        if self.fusion is not None and self.language.reads_across:
            raise ValueError(
                f"{type(self.language.model).__name__} reads media by cross-attention of its own, "
                f"beside which no {type(self.fusion).__name__} can stand; leave the fusion out"
            )
        if self.fusion is None or not self.fusion.takes_media:
            check_projection(self.projection, encoders, self.language.width)
        for name, head in self.heads.by_name().items():
            signals = self._modalities[name].num_signal_tokens
            check_head(name, head, self.decoders.get(name), signals)

    @property
    def spoken_media(self) -> Collection[type[Media]]:
        """Classes of media in which its texts are spoken; they have no number in a conversation."""
        return self.prompts.speakers.keys()

    def build_prompt_builder(self) -> PromptBuilder:
        """A builder of prompts for the parts that there are now."""
        return PromptBuilder(
            self.language,
            self.signals,
            by_media(self.readers, "read"),
            self.positions_of,
            self.projection is not None and self.projection.reads_text,
            by_media(self.decoders.by_name(), "make"),
            self._reference_classes(),
            by_media(self.speakers.by_name(), "speak"),
            self.media_first,
        )

    def _reference_classes(self) -> dict[str, list[type[Media]]]:
        """Classes of media that media of a modality may be made from."""
        slots = {name: each.references for name, each in self.decoders.by_name().items()}
        return {name: [slot.media for slot in each] for name, each in slots.items() if each}

    def set_modality(self, name: str, modality: Modality) -> None:
        """Set a modality's parts; `composition.editing` does, which checks that they fit."""
        self._modalities[name] = modality
        for parts, part in (
            (self.encoders, modality.encoder),
            (self.decoders, modality.decoder),
            (self.heads, modality.head),
            (self.speakers, modality.speaker),
        ):
            if part is not None and parts.get(name) is not part:
                parts.put(name, part)

    # ---- Reading ------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """The device of the language model."""
        return self.language.device

    @property
    def readers(self) -> dict[str, Any]:
        """Readers of media by modality: encoders, and for kinds without one a `MediaReader` of the
        language model itself, whose features are soft tokens.
        """
        encoders = self.encoders.by_name()
        return {**encoders, **own_readers(self.language.readers, encoders)}

    def positions_of(self, name: str, media: Media) -> MediaPositions:
        """Positions of a media item of a modality in a prompt, as its reader says."""
        if name not in self.encoders:
            positions: MediaPositions = self.readers[name].positions(media)
            return positions
        if self._has_no_soft_tokens(name):
            return (SoftRun(1),)
        assert self.projection is not None, "checked when the model was composed"
        return self.projection.positions_of(name, self.encoders.get(name).token_runs(media))

    def _has_no_soft_tokens(self, name: str) -> bool:
        """Return whether the fusion alone brings a modality's media to the language model."""
        return self.fusion is not None and self.fusion.takes_media and name in self.encoders

    def soft_tokens(
        self,
        media: Mapping[str, Sequence[Media]],
        texts: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Tensor]:
        """Soft tokens (items, K, D) of media by modality; each encoder runs once.

        Where items have several numbers of them, each item's own come first.

        Args:
            media: by modality.
            texts: what is said beside each of them, where the projection reads it; None for
                nothing.
        """
        features = {name: self.encode(name, items) for name, items in media.items()}
        return self._project(features, texts)

    def encode(self, name: str, media: Sequence[Media]) -> Features:
        """Features of one modality's media in one batch."""
        return self.encode_prepared(name, [self.prepare(name, item) for item in media])

    @torch.no_grad()
    def prepare(self, name: str, media: Media) -> Tensor:
        """A media item as its modality's encoder takes it: in full precision, under autocast too.

        So it is the same wherever it is made: workers have no autocast of a device.
        """
        with torch.autocast("cpu", enabled=False):
            tensor: Tensor = self.readers[name].prepare(media)
            return tensor

    def encode_prepared(self, name: str, prepared: list[Tensor]) -> Features:
        """Features of one modality's media in one batch, as its encoder prepared each."""
        reader = self.readers[name]
        features: Features = reader(reader.collate(prepared))
        return features

    def _project(
        self, features: Mapping[str, Features], texts: Mapping[str, Sequence[str]] | None
    ) -> dict[str, Tensor]:
        """Soft tokens by modality; what the language model read by itself is that already."""
        own = {name: f.values for name, f in features.items() if name not in self.encoders}
        features = {name: each for name, each in features.items() if name not in own}
        return own | (self._project_encoded(features, texts) if features else {})

    def _project_encoded(
        self, features: Mapping[str, Features], texts: Mapping[str, Sequence[str]] | None
    ) -> dict[str, Tensor]:
        assert self.projection is not None, "checked when the model was composed"
        # Encoders may be on devices of their own (`device_map`).
        device = next((each.device for each in self.projection.parameters()), self.device)
        features = {
            name: Features(values.to(device), mask.to(device))
            for name, (values, mask) in features.items()
        }
        if texts is None or not self.projection.reads_text:
            return self.projection.forward_many(features)
        return self.projection.forward_many(features, texts)

    def embed(
        self,
        prompts: Sequence[ChatPrompt],
        ids: Tensor,
        places: Sequence[Place],
        soft: dict[Hashable, Tensor] | None = None,
        encode: Encode | None = None,
    ) -> Tensor:
        """Input embeddings (B, T, D) of prompts, with every medium's soft tokens in its slots.

        This is the one place where media enter the language model. Where it adds features of media
        to deeper layers too, they stand behind the embeddings: (B, T, D · (1 + L)).

        Args:
            prompts: conversations.
            ids: their token ids (B, T), in rows.
            places: where each prompt begins.
            soft: soft tokens (K, D) by the items' keys. What it has isn't computed again, and
                afterwards it has those of these prompts.
            encode: gives features where `soft` isn't given; None encodes every item.
        """
        embeds = self.language.embed(ids)
        references: dict[str, list[MediaReference]] = {}
        slots: dict[str, list[int]] = {}  # of all soft tokens, in the flattened rows
        for (row, start), prompt in zip(places, prompts, strict=True):
            first = row * ids.shape[1] + start
            for item in prompt.media:
                if self._has_no_soft_tokens(item.modality) or not item.places:
                    continue
                references.setdefault(item.modality, []).append(item)
                slots.setdefault(item.modality, []).extend(first + at for at in item.places)
        flat = torch.tensor([slot for name in references for slot in slots[name]])
        if not len(flat):
            return embeds
        flat = flat.to(ids.device, non_blocking=True)  # the host need not wait for it
        if soft is None:
            values = self._all_soft(references, encode or self._encode_items)
        else:
            values = self._cached_soft(references, soft)
        width = max(embeds.shape[-1], values.shape[-1])
        embeds, values = widen(embeds, width), widen(values, width)
        # Not in place: the embeddings of ids have a gradient, where new rows train.
        return embeds.flatten(0, 1).index_put((flat,), values.to(embeds)).view_as(embeds)

    def fuse(
        self,
        prompts: Sequence[ChatPrompt],
        places: Sequence[Place],
        soft: dict[Hashable, Tensor] | None = None,
        encode: Encode | None = None,
    ) -> FusedMedia | None:
        """The media that modules around the language model's blocks read; None without any.

        Args:
            prompts: conversations.
            places: where each begins in its row.
            soft: as of `embed`, of which it may be the same.
            encode: gives features of the modalities' encoders; None encodes every item.
        """
        fusion = self.fusion or self.own_fusion
        if fusion is None:
            return None
        encode = encode or self._encode_items
        return fuse_media(fusion, prompts, places, encode, self.device, soft)

    def _encode_items(self, name: str, items: Sequence[MediaReference]) -> Features:
        return self.encode(name, [item.media for item in items])

    def _all_soft(self, references: Mapping[str, list[MediaReference]], encode: Encode) -> Tensor:
        """Soft tokens (all of the items', D) in the order given."""
        features = {name: encode(name, items) for name, items in references.items()}
        texts = {name: [item.text for item in items] for name, items in references.items()}
        tokens = self._project(features, texts)
        own = (
            self._own_soft(name, tokens[name], items, features[name].mask)
            for name, items in references.items()
        )
        return join_soft([each for some in own for each in some])

    def _own_soft(
        self, name: str, tokens: Tensor, items: Sequence[MediaReference], mask: Tensor
    ) -> list[Tensor]:
        """Each item's own soft tokens (K, D), of those of a batch (items, longest K, D).

        Args:
            name: the modality.
            tokens: of all items; features themselves, where the language model reads by itself.
            items: in the same order.
            mask: which features are real.
        """
        if name in self.encoders:
            return own_soft(tokens, items)
        reader, own = self.readers[name], own_soft(tokens, items, mask)
        return [reader.select(each, item.is_beside) for each, item in zip(own, items, strict=True)]

    def _cached_soft(
        self, references: Mapping[str, list[MediaReference]], cache: dict[Hashable, Tensor]
    ) -> Tensor:
        """Soft tokens (all of the items', D) in the order given, those of the cache not computed
        again.
        """
        for name, items in references.items():
            new = {item.key: item for item in items if item.key not in cache}
            cache.update(self._new_soft(name, list(new.values())))
        return join_soft([cache[item.key] for items in references.values() for item in items])

    def _new_soft(
        self, name: str, items: Sequence[MediaReference]
    ) -> Iterator[tuple[Hashable, Tensor]]:
        """Keys and soft tokens (K, D) of items of one modality.

        A medium is encoded once, whatever is said beside it, and few of them at a time.
        """
        media = {item.digest: item.media for item in items}
        for start in range(0, len(media), ENCODED_AT_ONCE):
            places = {d: row for row, d in enumerate(list(media)[start : start + ENCODED_AT_ONCE])}
            values, mask = self.encode(name, [media[digest] for digest in places])
            group = [item for item in items if item.digest in places]
            rows = [places[item.digest] for item in group]
            features = {name: Features(values[rows], mask[rows])}  # (media, N, D_m) -> (items, …)
            tokens = self._project(features, {name: [item.text for item in group]})[name]
            own = self._own_soft(name, tokens, group, features[name].mask)
            yield from zip((item.key for item in group), own, strict=True)

    # ---- Conversations that are written already -------------------------------------------------

    def conditioning(
        self, name: str, samples: Sequence[Sequence[Message]]
    ) -> tuple[list[Target], Conditioning] | None:
        """A head's conditioning for its decoder, where the replies are already written.

        Args:
            name: the modality.
            samples: conversations.

        Returns:
            The targets of that modality, in order, and their conditioning; None if there are none.
        """
        rows = self.prompts.lay_out(samples)
        targets = [target for *_, target in caption_spans(name, rows)]
        if not targets:
            return None
        ids, _, positions, places = rows.packed
        embeds = self.embed(rows.prompts, ids.to(self.device), places)
        media = self.fuse(rows.prompts, places)
        hidden = self.language(embeds, positions=positions.to(self.device), media=media)
        return targets, self.span_conditioning(name, rows, hidden, embeds)

    def null_conditioning(
        self, name: str, request: str, media: Sequence[Media] = ()
    ) -> Conditioning:
        """A head's conditioning (1, L, C) of a conversation that is one request and its reply's
        span, which guidance leads away from; see `Modality.null_request`.

        Args:
            name: the modality.
            request: what is said.
            media: what stands before it.
        """
        reply = Message("assistant", [Target(name, _UNSEEN)])
        pair = self.conditioning(name, [[Message("user", [*media, request]), reply]])
        assert pair is not None, "the reply has a span"
        return pair[1]

    def span_conditioning(
        self, name: str, rows: Rows, hidden: Tensor, embeds: Tensor
    ) -> Conditioning:
        """A head's conditioning of the spans in rows that have a caption, at least one.

        Shapes: last hidden states and input embeddings (R, T, D).
        """
        spans = [(row, start) for row, start, _ in caption_spans(name, rows)]
        firsts = torch.tensor(spans).to(hidden.device, non_blocking=True)  # (n, 2)
        signal = torch.arange(self.signals.counts[name], device=hidden.device)
        row, column = firsts[:, :1], firsts[:, 1:] + signal  # (n, 1), (n, S)
        head = self.heads.get(name)
        inputs = embeds[row, column][..., : self.language.width]
        conditioning: Conditioning = head(hidden[row, column], inputs)
        return conditioning
