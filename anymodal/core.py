"""The composed network: encoders, projection, language model, signal tokens, heads, decoders.

Shapes: B conversations, T tokens, K soft tokens per medium, S signals per span, D width of the
language model.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anymodal.decoders import Decoder
from anymodal.distributed import collectives
from anymodal.distributed.collectives import WeightedLoss
from anymodal.heads import Head, alignment_means
from anymodal.io.feature_cache import FeatureCache
from anymodal.language.model import LanguageModel, supervised
from anymodal.language.packing import Packed, Place, pack
from anymodal.language.prompt import Item, Layout, Prompt
from anymodal.language.signal_tokens import Signals
from anymodal.media import Media
from anymodal.modality import Modality, Parts, by_media
from anymodal.projection import Projection
from anymodal.types import Conditioning, Features, Message, Target

ENCODED_AT_ONCE = 8
"""The most media of a modality in one batch of chatting, so that memory doesn't grow with them."""


_REPLACE = "model.replace_decoder(name, decoder) does it, and checks that head and decoder fit"
_ANOTHER_MODEL = "compose a new model of the parts, or add one by model.add_modality(…)"


class Batch(NamedTuple):
    """Conversations ready for training, from `ComposedModel.collate`."""

    prompts: list[Prompt]
    packed: Packed


def _wanted_of(batch: Batch) -> tuple[dict[str, list[Item]], dict[str, list[str]]]:
    """The media that a batch shows and the captions of those it asks for, by modality, in order."""
    given: dict[str, list[Item]] = {}
    captions: dict[str, list[str]] = {}
    for prompt in batch.prompts:
        for item in prompt.items:
            given.setdefault(item.modality, []).append(item)
        for span in prompt.spans:
            if span.target.caption:
                captions.setdefault(span.target.modality, []).append(span.target.caption)
    return given, captions


def _parts(parts: Parts) -> dict[str, Any]:
    return dict(parts.items())


def _check_head(name: str, head: Head, decoder: Decoder, num_signal_tokens: int) -> None:
    if head.spec != decoder.spec:
        raise ValueError(
            f"the head of {name!r} gives {head.spec}, its decoder takes {decoder.spec}; give a "
            "decoder of the same conditioning, or a head that is built for this one, and train it"
        )
    if head.num_signal_tokens != num_signal_tokens:
        raise ValueError(
            f"the head of {name!r} reads {head.num_signal_tokens} signal tokens and the modality "
            f"has {num_signal_tokens}; give both the same number"
        )


class ComposedModel(nn.Module):
    """A language model that reads and makes media through the modalities it is given.

    Args:
        language: the language model; gets the modalities' signals and placeholders as new tokens.
        projection: features of every readable modality to soft tokens of the language model.
        modalities: the parts of each modality, by name.
        config: what the model was composed from, kept so that it can be saved.
        history_turns: how many earlier turns a session shows the model, which was trained on no
            longer conversations; None for all of them.

    Raises:
        ValueError: if the projection doesn't know a modality, or parts don't fit each other.
    """

    loss_names = ("text", "align", "denoise")
    align_by = "mse"
    packed = True  # several conversations in a row, where the language model can part them

    def __init__(
        self,
        language: LanguageModel,
        projection: Projection | None,
        modalities: Mapping[str, Modality],
        config: Mapping[str, Any] | None = None,
        history_turns: int | None = None,
    ) -> None:
        super().__init__()
        if history_turns is not None and history_turns < 1:
            raise ValueError(f"history_turns={history_turns}; give at least 1, or None for all")
        self.history_turns = history_turns
        self.language, self.projection = language, projection
        self.config = config
        self.wanted: Sequence[str] = self.loss_names  # a stage computes no loss it has no use for
        self._modalities = dict(modalities)
        parts = [(name, m.encoder, m.decoder, m.head) for name, m in modalities.items()]
        self.encoders = Parts({n: e for n, e, _, _ in parts if e is not None}, _ANOTHER_MODEL)
        self.decoders = Parts({n: d for n, _, d, _ in parts if d is not None}, _REPLACE)
        self.heads = Parts({n: h for n, _, d, h in parts if d is not None and h}, _REPLACE)
        self._check()  # before the language model gets tokens, which nothing takes back
        counts = {name: modalities[name].num_signal_tokens for name in self.decoders}
        self.signals = Signals.add_to(language, counts, list(self.encoders))
        self.layout = self._laid_out()
        self.feature_cache: FeatureCache | None = None  # what frozen parts gave, while training
        self.eval()

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """The parts of each modality, by name; read only."""
        return MappingProxyType(self._modalities)

    def _check(self) -> None:
        by_media(_parts(self.encoders), "read")
        by_media(_parts(self.decoders), "make")
        known = self.projection.widths if self.projection is not None else {}
        for name, encoder in self.encoders.items():
            if known.get(name) != encoder.width:
                raise ValueError(
                    f"the encoder of {name!r} is {encoder.width} wide; the projection expects "
                    f"{known.get(name, 'no such modality')}"
                )
        if self.projection is not None and self.projection.output_width != self.language.width:
            raise ValueError(
                f"the projection gives width {self.projection.output_width}, the language model "
                f"takes {self.language.width}"
            )
        for name, head in _parts(self.heads).items():
            _check_head(
                name, head, self.decoders.get(name), self._modalities[name].num_signal_tokens
            )

    def _laid_out(self) -> Layout:
        names = by_media(_parts(self.encoders), "read")
        makers = by_media(_parts(self.decoders), "make")
        if self.projection is None:
            return Layout(self.language, self.signals, names, 0, makers=makers)
        slots, reads_text = self.projection.num_tokens, self.projection.reads_text
        return Layout(self.language, self.signals, names, slots, reads_text, makers)

    def replace_decoder(self, name: str, decoder: Decoder, head: Head | None = None) -> None:
        """Let a modality be made by another decoder, frozen until a stage says otherwise.

        Args:
            name: a modality that has a decoder.
            decoder: of the same conditioning, as the same pipeline trained further; or of any,
                with a head of its own.
            head: instead of the one that is there, for a stage to train (`heads.<name>.*`).

        Raises:
            ValueError: if there is no such decoder, the head doesn't fit the new one, or another
                modality makes its class of media.
        """
        if name not in self.decoders:
            known = ", ".join(self.decoders) or "none"
            raise ValueError(f"no decoder is called {name!r}; there are: {known}")
        chosen: Head = self.heads.get(name) if head is None else head
        modality = replace(self._modalities[name], decoder=decoder, head=chosen)
        makers = by_media({**_parts(self.decoders), name: decoder}, "make")
        _check_head(name, chosen, decoder, modality.num_signal_tokens)
        dtype = next((p.dtype for p in self.heads[name].parameters()), None)
        self.decoders.put(name, decoder.to(self.device).requires_grad_(False).eval())
        if head is not None:
            self.heads.put(name, head.to(self.device, dtype).eval())
        self._modalities[name] = modality
        self.layout.makers = makers
        self._forget_nodes(name, "decoder", *(["head"] if head is not None else []))

    def _forget_nodes(self, name: str, *keys: str) -> None:
        """Let the configuration ask parts that it didn't build how they were built."""
        if self.config is None:
            return
        known = self.config["modalities"]
        node = {**known.get(name, {}), **dict.fromkeys(keys)}
        gone = [f"{key}s.{name}" for key in keys]
        trained = [each for each in self.config.get("trained", ()) if each not in gone]
        self.config = {**self.config, "modalities": {**known, name: node}, "trained": trained}

    def add_modality(
        self,
        name: str,
        modality: Modality,
        *,
        like: str | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        """Let a composed model read one more modality; what it knew before stays as it is.

        The modality gets a placeholder token and entries of its own in the projection, for a
        stage to train (`projection.*.<name>*`).

        Args:
            name: the new modality.
            modality: with an encoder and no decoder.
            like: a modality whose entries in the projection to start from.
            encoder: how a configuration builds the encoder, such as
                `{"_target_": "touch.TouchEncoder"}`, where it can't tell by itself, as one whose
                constructor takes objects. `from_pretrained(folder, trusted_packages=["touch"])`
                opens the saved model.

        Raises:
            ValueError: if the name or the class of media is taken, `like` is unknown, or there is
                a decoder, whose signals would have to stand before the placeholders there are.
        """
        part = modality.encoder
        if part is None or modality.decoder is not None or self.projection is None:
            raise ValueError(
                f"{name!r} can't be added: only a modality with an encoder and no decoder can, to "
                "a model with a projection; compose a new model from the parts of this one"
            )
        if (reader := self.layout.names.get(modality.media)) is not None:
            kind = modality.media.__name__
            raise ValueError(
                f"{kind} is read already, by {reader!r}, so {name!r} can't read it too; let its "
                f"encoder read a class of its own (class Other({kind})), or compose a model with "
                f"{name!r} instead of {reader!r}"
            )
        if name in self._modalities:
            raise ValueError(f"a modality {name!r} is known already; choose another name")
        by_media({**_parts(self.encoders), name: part}, "read")
        signals = Signals(self.signals.counts, [*self.signals.inputs, name], self.signals.first_id)
        if self.language.vocab_size != self.signals.stop_id:
            raise ValueError("the language model got tokens from elsewhere; add the modality first")
        self.projection.add_modality(name, part.width, like=like)
        self.language.add_tokens(signals.names[len(self.signals.names) :])
        self.signals = signals
        self._modalities[name] = modality
        self.encoders.put(name, part.to(self.device).eval())
        self.layout = self._laid_out()
        self._forget_nodes(name, "encoder")
        if encoder is not None:
            config = self.config or {"modalities": {name: {}}}  # the other parts tell themselves
            config["modalities"][name]["encoder"] = dict(encoder)
            self.config = config

    # ---- Reading ------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the language model runs."""
        return self.language.device

    def soft_tokens(
        self,
        media: Mapping[str, Sequence[Media]],
        texts: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Tensor]:
        """Soft tokens (items, K, D) of media by modality; each encoder runs once.

        Args:
            media: by modality.
            texts: what is said beside each of them, where the projection reads it; None for
                nothing.
        """
        features = {name: self._features(name, items) for name, items in media.items()}
        return self._projected(features, texts)

    def _projected(
        self, features: Mapping[str, Features], texts: Mapping[str, Sequence[str]] | None
    ) -> dict[str, Tensor]:
        assert self.projection is not None, "checked when the model was composed"
        where = next((each.device for each in self.projection.parameters()), self.device)
        features = {
            name: Features(values.to(where), mask.to(where))
            for name, (values, mask) in features.items()
        }
        if texts is None or not self.projection.reads_text:
            return self.projection.forward_many(features)
        return self.projection.forward_many(features, texts)

    def _features(
        self, name: str, items: Sequence[Media], digests: Sequence[str] | None = None
    ) -> Features:
        """Features of one modality's media in one batch; frozen encoders' are kept in training."""
        encoder: Any = self.encoders[name]

        def encode(places: Sequence[int]) -> Features:
            prepared = [encoder.prepare(items[place]) for place in places]
            features: Features = encoder(encoder.to_weights(torch.stack(prepared)))
            return features

        key = encoder.cache_key("features")
        if self.feature_cache is None or key.trains:
            return encode(range(len(items)))
        with torch.no_grad():
            keys = [item.digest() for item in items] if digests is None else digests
            return Features(*self.feature_cache.get_or_compute(key, keys, encode, self.device))

    @torch.no_grad()
    def _captioned(self, name: str, captions: Sequence[str]) -> Conditioning:
        """A decoder's own conditioning; that of frozen caption encoders is kept in training."""
        decoder: Any = self.decoders[name]

        def embed(places: Sequence[int]) -> list[Tensor]:
            found = decoder.embed_captions([captions[place] for place in places])
            return [tensor for tensor in found if tensor is not None]

        key = decoder.captioning()
        if self.feature_cache is None or key.trains:
            made: Conditioning = decoder.embed_captions(captions)
            return made
        return Conditioning(*self.feature_cache.get_or_compute(key, captions, embed, self.device))

    def embed(
        self,
        prompts: Sequence[Prompt],
        ids: Tensor,
        places: Sequence[Place],
        soft: dict[Hashable, Tensor] | None = None,
    ) -> Tensor:
        """Input embeddings (B, T, D) of prompts, with every medium's soft tokens in its slots.

        This is the one place where media enter the language model.

        Args:
            prompts: conversations.
            ids: their token ids (B, T), in rows.
            places: where each prompt begins.
            soft: soft tokens (K, D) by the items' keys. What it has isn't computed again, and
                afterwards it has those of these prompts.
        """
        embeds = self.language.embed(ids)
        given: dict[str, list[Item]] = {}
        where: dict[str, list[tuple[int, int]]] = {}
        for (row, start), prompt in zip(places, prompts, strict=True):
            for item in prompt.items:
                given.setdefault(item.modality, []).append(item)
                where.setdefault(item.modality, []).append((row, start + item.start))
        if not given:
            return embeds
        firsts = torch.tensor([place for name in given for place in where[name]], device=ids.device)
        slot = torch.arange(self.layout.slots, device=ids.device)
        rows = firsts[:, :1].expand(-1, len(slot))  # (items, 1) -> (items, K)
        columns = firsts[:, 1:] + slot  # (items, K)
        values = self._soft(given, soft).to(embeds)  # (items, K, D)
        return embeds.index_put((rows, columns), values)

    def _soft(
        self, given: Mapping[str, list[Item]], known: dict[Hashable, Tensor] | None
    ) -> Tensor:
        """Soft tokens (items, K, D) in the order given; `known` as in `embed`."""
        if known is None:
            features = {
                name: self._features(name, [item.media for item in items], self._digests(items))
                for name, items in given.items()
            }
            texts = {name: [item.text for item in items] for name, items in given.items()}
            return torch.cat(list(self._projected(features, texts).values()))
        for name, items in given.items():
            new = {item.key: item for item in items if item.key not in known}
            known.update(self._new_soft(name, list(new.values())))
        return torch.stack([known[item.key] for items in given.values() for item in items])

    def _new_soft(self, name: str, items: Sequence[Item]) -> Iterator[tuple[Hashable, Tensor]]:
        """Keys and soft tokens (K, D) of items of one modality.

        A medium is encoded once, whatever is said beside it, and few of them at a time.
        """
        media = {item.digest: item.media for item in items}
        for start in range(0, len(media), ENCODED_AT_ONCE):
            places = {d: row for row, d in enumerate(list(media)[start : start + ENCODED_AT_ONCE])}
            values, mask = self._features(name, [media[digest] for digest in places])
            these = [item for item in items if item.digest in places]
            rows = [places[item.digest] for item in these]
            features = {name: Features(values[rows], mask[rows])}  # (media, N, D_m) -> (items, …)
            made = self._projected(features, {name: [item.text for item in these]})[name]
            yield from zip((item.key for item in these), made, strict=True)

    # ---- Training -----------------------------------------------------------------------------

    def collate(self, samples: Sequence[Sequence[Message]]) -> Batch:
        """Lay conversations out in rows.

        Raises:
            ValueError: for media that no encoder reads, or a conversation longer than the language
                model reads.
        """
        prompts = [self.layout.prompt(messages, reply=False) for messages in samples]
        limit = self.language.max_positions
        if limit is not None and (longest := max(len(prompt.ids) for prompt in prompts)) > limit:
            raise ValueError(
                f"the conversation takes {longest} positions and the language model reads {limit}; "
                "cut it, or give fewer media"
            )
        together = self.packed and self.language.packs
        for prompt in prompts:
            self._digests(prompt.items)  # here, where workers do it
        ids, labels = [p.ids for p in prompts], [p.labels for p in prompts]
        return Batch(prompts, pack(ids, labels, together, self.language.width))

    def _digests(self, items: Sequence[Item]) -> list[str] | None:
        """By what the items' features are kept, where they are."""
        return None if self.feature_cache is None else [item.digest for item in items]

    def keep(self, batch: Batch) -> None:
        """Compute what frozen parts make of a batch, for `kept`, and nothing else."""
        given, captions = _wanted_of(batch)
        for name, items in given.items():
            encoder: Any = self.encoders[name]
            if not encoder.cache_key("features").trains:
                self._features(name, [item.media for item in items], self._digests(items))
        for name in self.heads if "align" in self.wanted else ():
            if name in captions:
                self._captioned(name, captions[name])

    def expect(self, batch: Batch) -> None:
        """Let `kept` begin to read what it has of a batch that comes next."""
        if self.feature_cache is None:
            return
        given, captions = _wanted_of(batch)
        for name, items in given.items():
            encoder: Any = self.encoders[name]
            self.feature_cache.prefetch(encoder.cache_key("features"), [i.digest for i in items])
        for name in captions if "align" in self.wanted else ():
            decoder: Any = self.decoders[name]
            self.feature_cache.prefetch(decoder.captioning(), captions[name])

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Named losses: text, align and denoise (those the batch has targets for).

        text is cross-entropy over supervised positions; align the distance of the heads' output
        to the decoders' own conditioning of the targets' captions; denoise the decoders' loss on
        the targets' media under the heads' output.
        """
        hidden, embeds = self._states(batch)
        labels = batch.packed.labels
        means = []
        if "text" in self.wanted:
            text = self.language.loss(hidden, labels.to(self.device))
            means.append(WeightedLoss("text", text, supervised(labels)))
        for name in self.heads:
            means += self._made_means(name, batch, hidden, embeds)
        return collectives.reduce_losses(means)

    def conditioning(
        self, name: str, samples: Sequence[Sequence[Message]]
    ) -> tuple[list[Target], Conditioning] | None:
        """What a modality's head asks its decoder for, where the replies are already written.

        Args:
            name: the modality.
            samples: conversations, as for `collate`.

        Returns:
            The targets of that modality, in order, and their conditioning; None if there are none.
        """
        batch = self.collate(samples)
        return self._conditioned(name, batch, *self._states(batch))

    def _states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Last hidden states and input embeddings of a batch, each (R, T, D)."""
        ids, _, positions, places = batch.packed
        embeds = self.embed(batch.prompts, ids.to(self.device), places)
        if collectives.world_size() > 1 and torch.is_grad_enabled() and not embeds.requires_grad:
            embeds = embeds + self._nothing_read()
        return self.language(embeds, positions=positions.to(self.device)), embeds

    def _nothing_read(self) -> Tensor | float:
        """A zero by which a process without media goes backward through the language model too,
        where others learn to read: its blocks may be in pieces that all put together at once.
        """
        parts: list[nn.Module] = [self.encoders]
        parts[:0] = [] if self.projection is None else [self.projection]
        weights = (weight for part in parts for weight in part.parameters())
        learns = next((weight for weight in weights if weight.requires_grad), None)
        return 0.0 if learns is None else learns.sum() * 0.0

    def _conditioned(
        self, name: str, batch: Batch, hidden: Tensor, embeds: Tensor
    ) -> tuple[list[Target], Conditioning] | None:
        """One modality's targets in a batch and what the head makes of their spans, if any."""
        found = [
            (place.row, place.start + span.start, span.target)
            for place, prompt in zip(batch.packed.places, batch.prompts, strict=True)
            for span in prompt.spans
            if span.target.modality == name and span.target.caption
        ]
        if not found:
            return None
        rows = torch.tensor([row for row, *_ in found], device=hidden.device)[:, None]
        starts = torch.tensor([start for _, start, _ in found], device=hidden.device)[:, None]
        places = starts + torch.arange(self.signals.counts[name], device=hidden.device)  # (n, S)
        made: Conditioning = self.heads[name](hidden[rows, places], embeds[rows, places])
        return [target for *_, target in found], made

    def _made_means(
        self, name: str, batch: Batch, hidden: Tensor, embeds: Tensor
    ) -> list[WeightedLoss]:
        """The align and denoise losses of one modality's targets in a batch, always as many."""
        if not {"align", "denoise"} & set(self.wanted):
            return []
        # Among several processes one without targets still takes part in the backward pass.
        none = hidden.sum() * 0.0 if collectives.world_size() > 1 else None
        found = self._conditioned(name, batch, hidden, embeds)
        align: list[tuple[Tensor | None, Tensor | int]] = [(none, 0)] * 3
        if found is not None and "align" in self.wanted:
            wanted = self._captioned(name, [target.caption for target in found[0]])
            align = alignment_means(found[1], wanted, kind=self.align_by)
        means = [WeightedLoss("align", *mean) for mean in align if "align" in self.wanted]
        if "denoise" in self.wanted:
            denoise = None if found is None else self._denoised(name, *found)
            means.append(WeightedLoss("denoise", none, 0) if denoise is None else denoise)
        return means

    def _denoised(
        self, name: str, targets: Sequence[Target], made: Conditioning
    ) -> WeightedLoss | None:
        """The denoise loss of the targets that have media, if any."""
        decoder: Any = self.decoders[name]
        shown = [i for i, target in enumerate(targets) if target.media is not None]
        if not shown:
            return None
        media = [targets[i].media for i in shown]
        latents = torch.stack([decoder.prepare(item) for item in media]).to(made.embeds.device)
        pooled = None if made.pooled is None else made.pooled[shown]
        picked = Conditioning(made.embeds[shown], made.mask[shown], pooled)
        return WeightedLoss("denoise", decoder.loss(latents, picked), len(shown))
