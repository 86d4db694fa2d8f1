"""Batches of preferences: both sides' conversations in rows, and which of them are compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anymodal.data.preferences import PreferenceSample, RatedReply
from anymodal.language.chat_prompt import ChatPrompt
from anymodal.language.model import IGNORED
from anymodal.training.objectives.dialogue import DialogueBatch
from anymodal.types import Message


class PreferenceBatch(NamedTuple):
    """Pairs of conversations in rows; as a batch of text and targets it is the chosen side.

    Args:
        dialogue: the n chosen conversations, then the n rejected ones.
        labels: ids (R, T) of the chosen ones, `IGNORED` where unsupervised.
        supervised: positions to learn from in the chosen ones.
        supervised_sequences: numbers (N,) of the samples that those are of.
        num_captions: the chosen side's targets with a caption, by modality.
        num_media: those of them that have media.
        reply_pairs: see `PairBatch`, as the rest.
        reply_lengths: (2, n).
        margins: (n,).
        media_pairs: by modality.
    """

    dialogue: DialogueBatch
    labels: Tensor
    supervised: int
    supervised_sequences: Tensor
    num_captions: dict[str, int]
    num_media: dict[str, int]
    reply_pairs: list[int]
    reply_lengths: Tensor
    margins: Tensor
    media_pairs: dict[str, list[tuple[int, int]]]

    @property
    def num_pairs(self) -> int:
        """The number of pairs."""
        return len(self.dialogue.prompts) // 2

    def target_samples(self, name: str) -> list[int]:
        """Numbers of the samples that the chosen side's targets are of."""
        return [n for n in self.dialogue.target_samples(name) if n < self.num_pairs]

    def choices(self, name: str) -> list[bool | None]:
        """Whether each of the chosen side's targets is to be found; None where nobody says."""
        return self.dialogue.choices(name)[: len(self.target_samples(name))]

    def media_pair_samples(self, name: str) -> list[int]:
        """Numbers of the samples that a modality's pairs of media are of."""
        samples = self.dialogue.target_samples(name)
        return [samples[chosen] for chosen, _ in self.media_pairs[name]]


def both_sides(sample: PreferenceSample | RatedReply) -> tuple[list[Message], list[Message]]:
    """Both conversations; what they begin with alike isn't learned from."""
    if not isinstance(sample, PreferenceSample):
        raise ValueError(
            f"a {type(sample).__name__} isn't a pair of replies, which preferences are learned "
            "from; give rows with a chosen and a rejected one"
        )
    common = sample.common
    return _after(sample.chosen, common), _after(sample.rejected, common)


def _after(messages: Sequence[Message], common: int) -> list[Message]:
    shared = [dataclasses.replace(message, supervised=False) for message in messages[:common]]
    return [*shared, *messages[common:]]


def pair_up(dialogue: DialogueBatch, margins: Sequence[float | None]) -> PreferenceBatch:
    """The batch of n chosen conversations and the n rejected ones behind them.

    Args:
        dialogue: of both.
        margins: of each pair; None where its scores aren't known.

    Raises:
        ValueError: for a side without a reply of its own.
    """
    count = len(dialogue.prompts) // 2
    sequences = dialogue.supervised_sequences
    lengths = sequences.bincount(minlength=2 * count).view(2, count)
    if empty := (lengths == 0).nonzero().tolist():
        side, number = empty[0]
        raise ValueError(
            f"the {('chosen', 'rejected')[side]} side of pair {number} of the batch has no "
            "reply that the other side lacks; end both with replies that differ"
        )
    labels = dialogue.labels.clone()
    for place, prompt in zip(dialogue.packed.places[count:], dialogue.prompts[count:],
                             strict=True):  # fmt: skip
        labels[place.row, place.start : place.start + len(prompt.ids)] = IGNORED
    of_chosen = sequences[sequences < count]
    batch = PreferenceBatch(
        dialogue,
        labels,
        len(of_chosen),
        of_chosen,
        {},
        {},
        [n for n in range(count) if _differ(dialogue.prompts[n], dialogue.prompts[n + count])],
        lengths,
        torch.tensor([math.nan if margin is None else margin for margin in margins]),
        {},
    )
    for name in dialogue.num_captions:
        targets = dialogue.targets(name)[: len(batch.target_samples(name))]
        batch.num_captions[name] = len(targets)
        batch.num_media[name] = sum(target.media is not None for target in targets)
        batch.media_pairs[name] = _media_pairs(dialogue, name, count)
    return batch


def _differ(chosen: ChatPrompt, rejected: ChatPrompt) -> bool:
    """Return whether a model reads, or writes, anything else in one conversation."""
    if chosen.ids != rejected.ids:
        return True
    pairs = zip(chosen.media, rejected.media, strict=True)
    return any(one.digest != other.digest for one, other in pairs)


def _media_pairs(batch: DialogueBatch, name: str, count: int) -> list[tuple[int, int]]:
    """Places, among a modality's targets, of media of both sides that stand in for each other."""
    by_sample: dict[int, list[int]] = {}
    for place, sample in enumerate(batch.target_samples(name)):
        by_sample.setdefault(sample, []).append(place)
    targets = batch.targets(name)
    pairs = []
    for number in range(count):
        sides = by_sample.get(number, []), by_sample.get(number + count, [])
        for chosen, rejected in zip(*sides, strict=False):
            one, other = targets[chosen].media, targets[rejected].media
            if one is not None and other is not None and one.digest() != other.digest():
                pairs.append((chosen, rejected))
    return pairs
