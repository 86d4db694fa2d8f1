"""The composed model: encoders, projection, language model, signals, heads and decoders.

Shapes: B conversations, T tokens, K soft tokens per medium, S signals per span, D width of the
language model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from anymodal.heads import alignment_loss
from anymodal.keep import Kept, Origin
from anymodal.language import LanguageModel
from anymodal.media import Media
from anymodal.modality import Modality
from anymodal.packing import Packed, Place, pack
from anymodal.projection import Projection
from anymodal.prompt import Layout, Prompt
from anymodal.signals import Signals
from anymodal.types import Conditioning, Event, Features, Message, Target


class Batch(NamedTuple):
    """Conversations ready for training, from `AnyModal.collate`."""

    prompts: list[Prompt]
    packed: Packed


class AnyModal(nn.Module):
    """A language model that reads and makes media through the modalities it is given.

    Args:
        language: the language model; gets the modalities' signals and placeholders as new tokens.
        projection: features of every readable modality to soft tokens of the language model.
        modalities: the parts of each modality, by name.
        config: what the model was composed from, kept so that it can be saved.
        memory: how many earlier turns a session shows the model, which was trained on no longer
            conversations; None for all of them.

    Raises:
        ValueError: if the projection doesn't know a modality, or parts don't fit each other.
    """

    loss_names = ("text", "align", "denoise")
    align_by = "mse"

    def __init__(
        self,
        language: LanguageModel,
        projection: Projection | None,
        modalities: Mapping[str, Modality],
        config: Mapping[str, Any] | None = None,
        memory: int | None = None,
    ) -> None:
        super().__init__()
        if memory is not None and memory < 1:
            raise ValueError(f"memory={memory} turns; give at least 1, or None for all")
        self.memory = memory
        self.language, self.projection = language, projection
        self.modalities = dict(modalities)
        self.config = config
        self.wanted: Sequence[str] = self.loss_names  # a stage computes no loss it has no use for
        self.encoders = nn.ModuleDict({n: m.encoder for n, m in modalities.items() if m.encoder})
        self.decoders = nn.ModuleDict({n: m.decoder for n, m in modalities.items() if m.decoder})
        self.heads = nn.ModuleDict({n: m.head for n, m in modalities.items() if m.head})
        counts = {name: modalities[name].signals for name in self.decoders}
        self.signals = Signals.add_to(language, counts, list(self.encoders))
        self._check()
        self.layout = self._laid_out()
        self.kept: Kept | None = None  # what frozen parts gave, while training
        self.eval()

    def _check(self) -> None:
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
        for name, head in self.heads.items():
            if head.spec != self.decoders[name].spec:
                raise ValueError(
                    f"the head of {name!r} gives {head.spec}, its decoder takes "
                    f"{self.decoders[name].spec}"
                )

    def _laid_out(self) -> Layout:
        names = {self.modalities[name].media: name for name in self.encoders}
        slots = self.projection.tokens if self.projection is not None else 0
        return Layout(self.language, self.signals, names, slots)

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
                `{"_target_": "touch.TouchEncoder"}`, so that the model can be saved, its weights
                included; `from_pretrained(folder, allow=["touch"])` opens it. Without it the model
                has no configuration afterwards.

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
            raise ValueError(f"{modality.media.__name__} is read already, by {reader!r}")
        signals = Signals(self.signals.counts, [*self.signals.inputs, name], self.signals.first_id)
        if self.language.vocab_size != self.signals.stop_id:
            raise ValueError("the language model got tokens from elsewhere; add the modality first")
        config = None
        if encoder is not None and self.config is not None:
            known = {**self.config["modalities"], name: {"encoder": dict(encoder)}}
            trained = [*self.config.get("trained", ()), f"encoders.{name}"]
            config = {**self.config, "modalities": known, "trained": trained}
        self.projection.add_modality(name, part.width, like=like)
        self.language.add_tokens(signals.names[len(self.signals.names) :])
        self.signals, self.config = signals, config
        self.modalities[name] = modality
        self.encoders[name] = part.to(self.device).eval()
        self.layout = self._laid_out()

    # ---- Reading ------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the language model runs."""
        return self.language.device

    def soft_tokens(self, media: Mapping[str, Sequence[Media]]) -> dict[str, Tensor]:
        """Soft tokens (items, K, D) of media by modality; each encoder runs once."""
        assert self.projection is not None, "checked when the model was composed"
        features = {name: self._features(name, items) for name, items in media.items()}
        return self.projection.forward_many(features)

    def _features(self, name: str, items: Sequence[Media]) -> Features:
        """Features of one modality's media in one batch; frozen encoders' are kept in training."""
        encoder = self.modalities[name].encoder
        assert encoder is not None, "only what has an encoder is laid out"

        def encode(places: Sequence[int]) -> Features:
            prepared = [encoder.prepare(items[place]) for place in places]
            features: Features = encoder(torch.stack(prepared).to(self.device))
            return features

        origin = Origin((encoder,), encoder.identity)
        if self.kept is None or origin.trains:
            return encode(range(len(items)))
        with torch.no_grad():
            keys = [item.digest() for item in items]
            return Features(*self.kept.get(origin, keys, encode, self.device))

    @torch.no_grad()
    def _captioned(self, name: str, captions: Sequence[str]) -> Conditioning:
        """A decoder's own conditioning; that of frozen caption encoders is kept in training."""
        decoder = self.modalities[name].decoder
        assert decoder is not None, "a head has a decoder"

        def embed(places: Sequence[int]) -> list[Tensor]:
            found = decoder.embed_captions([captions[place] for place in places])
            return [tensor for tensor in found if tensor is not None]

        origin = decoder.captioning()
        if self.kept is None or origin.trains:
            return decoder.embed_captions(captions)
        return Conditioning(*self.kept.get(origin, captions, embed, self.device))

    def embed(self, prompts: Sequence[Prompt], ids: Tensor, places: Sequence[Place]) -> Tensor:
        """Input embeddings (B, T, D) of prompts, with every medium's soft tokens in its slots.

        This is the one place where media enter the language model.

        Args:
            prompts: conversations.
            ids: their token ids (B, T), in rows.
            places: where each prompt begins.
        """
        embeds = self.language.embed(ids)
        given: dict[str, list[Media]] = {}
        where: dict[str, list[tuple[int, int]]] = {}
        for (row, start), prompt in zip(places, prompts, strict=True):
            for item in prompt.items:
                given.setdefault(item.modality, []).append(item.media)
                where.setdefault(item.modality, []).append((row, start + item.start))
        if not given:
            return embeds
        soft = self.soft_tokens(given)
        firsts = torch.tensor([place for name in soft for place in where[name]], device=ids.device)
        slot = torch.arange(self.layout.slots, device=ids.device)
        rows = firsts[:, :1].expand(-1, len(slot))  # (items, 1) -> (items, K)
        columns = firsts[:, 1:] + slot  # (items, K)
        values = torch.cat(list(soft.values())).to(embeds.dtype)  # (items, K, D)
        return embeds.index_put((rows, columns), values)

    # ---- Training -----------------------------------------------------------------------------

    def collate(self, samples: Sequence[Sequence[Message]]) -> Batch:
        """Lay conversations out, packed into rows."""
        prompts = [self.layout.prompt(messages, reply=False) for messages in samples]
        return Batch(prompts, pack([p.ids for p in prompts], [p.labels for p in prompts]))

    def keep(self, batch: Batch) -> None:
        """Compute what frozen parts make of a batch, for `kept`, and nothing else."""
        given: dict[str, list[Media]] = {}
        for item in (item for prompt in batch.prompts for item in prompt.items):
            given.setdefault(item.modality, []).append(item.media)
        for name, items in given.items():
            if not Origin((self.encoders[name],), dict).trains:
                self._features(name, items)
        for name in self.heads if "align" in self.wanted else ():
            targets = [span.target for prompt in batch.prompts for span in prompt.spans]
            captions = [t.caption for t in targets if t.modality == name and t.caption]
            if captions:
                self._captioned(name, captions)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Named losses: text, align and denoise (those the batch has targets for).

        text is cross-entropy over supervised positions; align the distance of the heads' output
        to the decoders' own conditioning of the targets' captions; denoise the decoders' loss on
        the targets' media under the heads' output.
        """
        hidden, embeds = self._states(batch)
        labels = batch.packed.labels
        losses = {}
        if "text" in self.wanted:
            losses["text"] = self.language.loss(hidden, labels.to(self.device))
        for name in self.heads:
            for kind, value in self._made_losses(name, batch, hidden, embeds).items():
                losses[kind] = losses[kind] + value if kind in losses else value
        return losses

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
        return self.language(embeds, positions=positions.to(self.device)), embeds

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

    def _made_losses(
        self, name: str, batch: Batch, hidden: Tensor, embeds: Tensor
    ) -> dict[str, Tensor]:
        """The align and denoise losses of one modality's targets in a batch."""
        losses: dict[str, Tensor] = {}
        if not {"align", "denoise"} & set(self.wanted):
            return losses
        if (found := self._conditioned(name, batch, hidden, embeds)) is None:
            return losses
        targets, made = found
        decoder = self.modalities[name].decoder
        assert decoder is not None, "a head has a decoder"
        if "align" in self.wanted:
            wanted = self._captioned(name, [target.caption for target in targets])
            losses["align"] = alignment_loss(made, wanted, kind=self.align_by)
        shown = [i for i, target in enumerate(targets) if target.media is not None]
        if "denoise" in self.wanted and shown:
            media = [targets[i].media for i in shown]
            latents = torch.stack([decoder.prepare(item) for item in media]).to(hidden.device)
            pooled = None if made.pooled is None else made.pooled[shown]
            picked = Conditioning(made.embeds[shown], made.mask[shown], pooled)
            losses["denoise"] = decoder.loss(latents, picked)
        return losses

    # ---- Chatting -----------------------------------------------------------------------------

    def stream(self, conversation: Any, **settings: Any) -> Iterator[Event]:
        """Answer a conversation piece by piece; see `anymodal.chat.stream` for the settings."""
        from anymodal import chat

        return chat.stream(self, conversation, **settings)

    def chat(self, conversation: Any, **settings: Any) -> Message:
        """Answer a conversation; the reply holds texts and media in order.

        `conversation` is a text, a list of texts, media and file paths (one user message), or a
        list of `Message`s; see `anymodal.chat.stream` for the settings.
        """
        from anymodal import chat

        return chat.reply(self, conversation, **settings)

    # ---- Files --------------------------------------------------------------------------------

    @classmethod
    def compose(cls, config: Mapping[str, Any] | str | Path, allow: Sequence[str] = ()) -> Self:
        """Build a model from a configuration: see `anymodal.composition.compose`."""
        from anymodal import composition

        return composition.compose(cls, config, allow)

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        lora: Mapping[str, Any] | None = None,
        allow: Sequence[str] = (),
    ) -> Self:
        """Read a model folder, or one that ships with the package by its name (`nano`).

        `lora` adds fresh low-rank adapters to a model that has none, for a stage to train;
        `allow` names packages whose parts the folder may use beside AnyModal's own.
        """
        from anymodal import composition

        return composition.from_pretrained(cls, path, lora, allow)

    @classmethod
    def sketch(
        cls,
        path: str | Path | Self,
        lora: Mapping[str, Any] | None = None,
        allow: Sequence[str] = (),
    ) -> Self:
        """What `from_pretrained` would give, without reading a weight; see `anymodal.planning`."""
        from anymodal import composition

        return composition.sketch(cls, path, lora, allow)

    def save_pretrained(self, folder: str | Path, with_parts: bool = False) -> None:
        """Write configuration, trained weights and manifest; with the parts too, if asked."""
        from anymodal import composition

        composition.save_pretrained(self, Path(folder), with_parts)
