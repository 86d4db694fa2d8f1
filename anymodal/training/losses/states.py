"""Inputs of losses: batches with their counts, and a model's states.

Shapes: R rows, T tokens, D width of the language model, n targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from anymodal.decoders import Decoder
from anymodal.decoders.references import EncodedReferences
from anymodal.language.model import LanguageModel
from anymodal.types import Conditioning


class TextBatch(Protocol):
    """Rows of tokens, of which some are supervised."""

    @property
    def labels(self) -> Tensor:
        """Ids (R, T) on the CPU, `IGNORED` where unsupervised."""

    @property
    def supervised(self) -> int:
        """Number of supervised positions."""

    @property
    def supervised_sequences(self) -> Tensor:
        """Numbers (N,) of the samples that supervised positions are of, row by row."""


class TargetBatch(Protocol):
    """Media to be made, by modality; those of which a batch has none are there, with 0."""

    @property
    def num_captions(self) -> Mapping[str, int]:
        """Number of those with a caption."""

    @property
    def num_media(self) -> Mapping[str, int]:
        """Number of those with a media item."""

    def target_samples(self, name: str) -> list[int]:
        """Numbers of the samples that a modality's targets are of."""


@dataclass(frozen=True)
class TextStates:
    """A language model and its last hidden states (R, T, D) of a batch."""

    language: LanguageModel
    hidden: Tensor


@dataclass(frozen=True)
class TargetStates:
    """One modality's targets in a batch.

    Args:
        decoder: what makes them.
        conditioning: what its head asks for, of all n targets.
        caption_conditioning: the decoder's own conditioning of their captions; None where no
            loss needs it.
        latents: of the targets that have media; None where there are none or no loss needs them.
        media_places: which of the n those are.
        references: what those are made from; None where the decoder looks at nothing.
    """

    decoder: Decoder
    conditioning: Conditioning
    caption_conditioning: Conditioning | None = None
    latents: Tensor | None = None
    media_places: tuple[int, ...] = ()
    references: EncodedReferences | None = None


class PairBatch(Protocol):
    """Pairs of replies and of media, of which one is chosen."""

    @property
    def reply_pairs(self) -> list[int]:
        """Numbers of the samples (P,) whose replies differ, or the media that were shown."""

    @property
    def reply_lengths(self) -> Tensor:
        """Supervised positions of the chosen and the rejected reply of each sample (2, n)."""

    @property
    def margins(self) -> Tensor:
        """By how much the chosen reply of each sample is better (n,); NaN where nothing tells."""

    @property
    def media_pairs(self) -> Mapping[str, list[tuple[int, int]]]:
        """By modality, places of a chosen and a rejected medium among both sides' targets."""

    def media_pair_samples(self, name: str) -> list[int]:
        """Numbers of the samples that a modality's pairs are of."""


class HasTargets(Protocol):
    """States with targets by modality, without those of which a batch has none."""

    @property
    def targets(self) -> Mapping[str, TargetStates]:
        """By modality."""


@dataclass(frozen=True)
class DialogueStates(TextStates):
    """Hidden states of conversations, and the targets of those that ask for media."""

    targets: Mapping[str, TargetStates]


@dataclass(frozen=True)
class DiffusionStates:
    """Targets alone."""

    targets: Mapping[str, TargetStates]


class MediaErrors(NamedTuple):
    """Denoising errors (P,) of chosen and of rejected media, at equal noise and noise levels.

    Attributes:
        errors: of the model, of both sides.
        reference_errors: of the reference model, without a graph.
    """

    errors: tuple[Tensor, Tensor]
    reference_errors: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PreferenceStates(DialogueStates):
    """Both sides' hidden states, the chosen side's targets, and what is compared.

    Args:
        log_probs: log-likelihoods of the chosen and the rejected replies (2, n); None where no
            loss needs them.
        reference_log_probs: the reference model's, likewise.
        media_errors: of the modalities that have pairs, likewise.
    """

    log_probs: Tensor | None = None
    reference_log_probs: Tensor | None = None
    media_errors: Mapping[str, MediaErrors] = field(default_factory=dict)
