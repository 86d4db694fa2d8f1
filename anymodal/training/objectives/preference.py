"""Preferences of a composed model: of two replies the better one is learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anymodal.core import ComposedModel
from anymodal.data.preferences import PreferenceSample, RatedReply
from anymodal.decoders import Decoder
from anymodal.decoders.references import EncodedReferences
from anymodal.training.losses import (
    DPO,
    LOG_PROBS,
    MEDIA_ERRORS,
    PAIR_MARGINS,
    REFERENCE_LOG_PROBS,
    DiffusionDPO,
    Loss,
    LossSettings,
    WeightedLoss,
)
from anymodal.training.losses.states import MediaErrors, PreferenceStates, TargetStates
from anymodal.training.objectives.base import Objective
from anymodal.training.objectives.dialogue import (
    DIALOGUE_LOSSES,
    Dialogue,
    compute_losses,
)
from anymodal.training.objectives.preference_batch import (
    PreferenceBatch,
    both_sides,
    pair_up,
)
from anymodal.training.objectives.reference_model import ReferenceModel
from anymodal.types import Conditioning

PREFERENCE_LOSSES: dict[str, type[Loss[Any, Any]]] = {
    "dpo": DPO,
    "diffusion_dpo": DiffusionDPO,
    **DIALOGUE_LOSSES,
}


class Preference(Objective[PreferenceSample | RatedReply, PreferenceBatch]):
    """A composed model learns which of two replies, and which of two media, is the better one.

    Its losses are `dpo` and `diffusion_dpo`, and those of `Dialogue`, which are of the chosen side
    alone: `text` beside `dpo` is RPO's SFT term, and alone fine-tuning on chosen replies. The
    reference is the model as the run began (`ReferenceModel`), which is the one without adapters
    where those are new. Only what follows the messages that both sides share is learned from.

    Args:
        model: the composed model.

    Raises:
        ConfigError: for a model of another class.
    """

    model: ComposedModel

    def __init__(self, model: ComposedModel) -> None:
        self._of_both: Dialogue | None = None
        self.reference: ReferenceModel | None = None
        super().__init__(model, PREFERENCE_LOSSES)

    def use_losses(self, settings: LossSettings) -> None:
        super().use_losses(settings)
        self._of_both = None

    @property
    def device(self) -> torch.device:
        """The device that the language model runs on."""
        return self.model.device

    @property
    def dialogue(self) -> Dialogue:
        """Both sides' conversations as an objective, with the same losses, cache and rows."""
        if self._of_both is None:
            # Outside torch's registry: its parameters are the model's.
            vars(self)["_of_both"] = Dialogue(self.model)
            vars(self)["_of_both"].losses = self.losses
        both: Dialogue = vars(self)["_of_both"]
        both.feature_cache, both.packed = self.feature_cache, self.packed
        return both

    def collate(self, samples: Sequence[PreferenceSample | RatedReply]) -> PreferenceBatch:
        """Pairs of conversations in rows.

        Raises:
            ValueError: for a reply that is rated alone, a side without a reply of its own, a pair
                that none of the losses learns from, media that no encoder reads, or a conversation
                longer than the language model reads.
        """
        pairs = [both_sides(sample) for sample in samples]
        dialogue = self.dialogue.collate([pair[side] for side in (0, 1) for pair in pairs])
        margins = [s.margin for s in samples if isinstance(s, PreferenceSample)]
        batch = pair_up(dialogue, margins)
        self._check_taught(batch)
        return batch

    def _check_taught(self, batch: PreferenceBatch) -> None:
        """Refuse a pair that would pass without a loss, or without the scores that one wants."""
        if PAIR_MARGINS in self.needs and (missing := batch.margins.isnan().nonzero().tolist()):
            raise ValueError(
                f"pair {missing[0][0]} of the batch has no scores, which dpo's score_margin "
                "weighs; give it a margin, or leave score_margin out"
            )
        compared = {LOG_PROBS, MEDIA_ERRORS}
        if any(not loss.needs & compared for loss in self.losses.values()):
            return  # the chosen side of every pair teaches the others
        taught = set(batch.reply_pairs) if LOG_PROBS in self.needs else set()
        if MEDIA_ERRORS in self.needs:
            for name in batch.media_pairs:
                taught.update(batch.media_pair_samples(name))
        for number in range(batch.num_pairs):
            if number not in taught:
                raise ValueError(_untaught_text(batch, number, self.losses))

    def use_flat_rows(
        self, use: bool, frozen_prefix: bool = True, shared_prefix: bool = True
    ) -> None:
        self.dialogue.use_flat_rows(use, frozen_prefix, shared_prefix)

    def remember_start(self) -> None:
        needs_reference = self.needs & {REFERENCE_LOG_PROBS, MEDIA_ERRORS}
        self.reference = ReferenceModel(self.dialogue) if needs_reference else None

    def forward(self, batch: PreferenceBatch) -> dict[str, list[WeightedLoss]]:
        """The losses in use by name, each as means over what `counts` has counted."""
        return compute_losses(self.losses, batch, self.states(batch))

    def states(self, batch: PreferenceBatch) -> PreferenceStates:
        both = batch.dialogue
        # First, since it writes weights, which the model's graph must not see.
        reference_log_probs, reference_errors = self._read_reference(batch)
        states = self.dialogue.states(both)
        log_probs = None
        if LOG_PROBS in self.needs:
            losses = states.language.losses(states.hidden, both.labels)
            log_probs = -_sums(losses, both.supervised_sequences, 2 * batch.num_pairs)
            log_probs = log_probs.view(2, batch.num_pairs)
        media_errors = {}
        for name, (seed, errors) in reference_errors.items():
            target = states.targets[name]
            own = self._errors(batch, name, target.conditioning, seed)
            media_errors[name] = MediaErrors(own, errors)
        targets = {
            name: _chosen(target, batch.num_captions[name])
            for name, target in states.targets.items()
            if batch.num_captions[name]
        }
        return PreferenceStates(
            states.language,
            states.hidden,
            targets,
            log_probs,
            reference_log_probs,
            media_errors,
        )

    def _read_reference(
        self, batch: PreferenceBatch
    ) -> tuple[Tensor | None, dict[str, tuple[int, tuple[Tensor, Tensor]]]]:
        """The reference's log-likelihoods (2, n), and its errors by modality with the seed of the
        noise that they are of.
        """
        modalities = self._compared_modalities(batch)
        wants_log_probs = REFERENCE_LOG_PROBS in self.needs
        if not (wants_log_probs or modalities):
            return None, {}
        reference = self.reference or ReferenceModel(self.dialogue)
        log_probs, conditioning = reference.read(
            self.dialogue, batch.dialogue, wants_log_probs, modalities
        )
        errors = {}
        for name, of_reference in conditioning.items():
            seed = int(torch.randint(2**62, ()))
            trains = any(p.requires_grad for p in self.model.decoders.get(name).parameters())
            with torch.no_grad(), reference.weights.applied() if trains else nullcontext():
                errors[name] = seed, self._errors(batch, name, of_reference, seed)
        return None if log_probs is None else log_probs.view(2, batch.num_pairs), errors

    def _compared_modalities(self, batch: PreferenceBatch) -> list[str]:
        if MEDIA_ERRORS not in self.needs:
            return []
        return [name for name, pairs in batch.media_pairs.items() if pairs]

    def _errors(
        self, batch: PreferenceBatch, name: str, conditioning: Conditioning, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Denoising errors (P,) of chosen and of rejected media, by the same noise."""
        latents, references = self.dialogue.latents(name, batch.dialogue)
        targets = batch.dialogue.targets(name)
        with_media = [place for place, each in enumerate(targets) if each.media is not None]
        decoder = self.model.decoders.get(name)
        sides = []
        for places in zip(*batch.media_pairs[name], strict=True):
            rows = [with_media.index(place) for place in places]
            of_side = None if references is None else [references[row] for row in rows]
            sides.append(
                _denoise(decoder, latents[rows], conditioning.select([*places]), of_side, seed)
            )
        return sides[0], sides[1]

    def statistics(self, batch: PreferenceBatch) -> dict[str, int]:
        """Numbers of pairs, and of what `Dialogue` counts in both sides."""
        return {"pairs": batch.num_pairs, **self.dialogue.statistics(batch.dialogue)}

    def prefetch(self, batch: PreferenceBatch) -> None:
        self.dialogue.prefetch(batch.dialogue)

    @torch.no_grad()
    def precompute(self, batch: PreferenceBatch) -> None:
        """Compute results of frozen parts and of the reference, for the feature cache."""
        self.dialogue.precompute(batch.dialogue)
        modalities = self._compared_modalities(batch)
        if self.reference is not None:
            wants_log_probs = REFERENCE_LOG_PROBS in self.needs
            self.reference.read(self.dialogue, batch.dialogue, wants_log_probs, modalities)

    def open_cache(self) -> None:
        self.dialogue.open_cache()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model.

        Raises:
            ConfigError: for a network that has no folders.
        """
        self.dialogue.save_pretrained(folder)


def _untaught_text(batch: PreferenceBatch, number: int, losses: Iterable[str]) -> str:
    """Why no loss learns from a pair, and what to do."""
    names = " and ".join(losses)
    if number in batch.reply_pairs:
        reason = (
            f"its sides have no two media in the same place that differ, which {names} compares"
        )
        way_out = (
            "add dpo, which compares replies, to stage.losses, let the data open the media "
            "(load_targets: true), or leave such pairs out"
        )
    else:
        reason = f"its sides differ in media to be made alone, of which {names} compares the choice"
        way_out = "add diffusion_dpo, which compares them, to stage.losses, or leave such pairs out"
    return f"pair {number} of the batch teaches nothing: {reason}; {way_out}"


def _sums(values: Tensor, sequences: Tensor, count: int) -> Tensor:
    """Sums (C,) of values (N,) by the sequences that they are of."""
    own = (sequences == torch.arange(count)[:, None]).to(values.device, non_blocking=True)
    # A sum of masked rows: additions by index come in any order on a GPU.
    return torch.where(own, values, 0.0).sum(1)


def _chosen(target: TargetStates, count: int) -> TargetStates:
    """The first `count` of a modality's targets, which are the chosen side's."""
    places = tuple(place for place in target.media_places if place < count)
    captions, latents, references = target.caption_conditioning, target.latents, target.references
    media = len(places)
    return dataclasses.replace(
        target,
        conditioning=target.conditioning.select(slice(count)),
        caption_conditioning=None if captions is None else captions.select(slice(count)),
        latents=None if latents is None or not media else latents[:media],
        media_places=places,
        references=None if references is None else references[:media],
    )


def _denoise(
    decoder: Decoder,
    latents: Tensor,
    conditioning: Conditioning,
    references: EncodedReferences | None,
    seed: int,
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    more: Mapping[str, Any] = {} if references is None else {"references": references}
    return decoder.losses(latents, conditioning, generator, **more)
