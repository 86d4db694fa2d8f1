"""Preferences: of two replies the better one, or single replies that are rated."""

from __future__ import annotations

from dataclasses import dataclass

from anymodal.data.containers import Row
from anymodal.data.entries import EntryReader
from anymodal.data.row_samples import RowSamples
from anymodal.data.schemas.preferences import both_entries, take_scores
from anymodal.data.schemas.ratings import is_rating, rated_entry
from anymodal.types import Message, Target


@dataclass(frozen=True)
class PreferenceSample:
    """Two replies to one request; they may differ in texts, in media, or in the media shown.

    Args:
        chosen: the conversation that ends with the better reply.
        rejected: the one that ends with the worse.
        scores: how the chosen and the rejected reply are rated, where the data tell.
        margin: by how much the chosen one is better; the difference of the scores where the data
            don't say another one.
    """

    chosen: list[Message]
    rejected: list[Message]
    scores: tuple[float, float] | None = None
    margin: float | None = None

    @property
    def common(self) -> int:
        """The number of messages that both begin with."""
        pairs = zip(self.chosen, self.rejected, strict=False)
        return next((n for n, (one, other) in enumerate(pairs) if one != other), len(self.chosen))


@dataclass(frozen=True)
class RatedReply:
    """A reply that is rated, as KTO learns from (Ethayarajh et al. 2024, arXiv:2402.01306).

    Args:
        messages: the conversation that ends with the reply.
        desirable: whether it is a good one.
    """

    messages: list[Message]
    desirable: bool


class Preferences(RowSamples[PreferenceSample | RatedReply]):
    """Preferences of a data set, in the rows of ms-swift, LLaMA-Factory and TRL, or with media.

    - `messages` that end with the chosen reply, with `rejected_response` (a text),
      `rejected_messages` (the conversation that ends with it) or `rejected_Ms` (other media)
    - a request (`conversations`, `messages`, `prompt`, `instruction` and `input`, `query`, or
      `question`, as in RLAIF-V) with `chosen` and `rejected`, each a text, a turn, or turns
    - `chosen` and `rejected` alone: conversations, transcripts (HH-RLHF), or texts, which begin
      with the request (TRL's implicit prompt)
    - these three in one column `text` (RLHF-V)
    - `prompt` or `caption`, with files under `chosen_M` and `rejected_M`, or under `M_0` and `M_1`
      with `label_0`, 1 where the first is the better one (Pick-a-Pic)
    - one reply that is rated: `prompt`, `completion` and `label` (TRL's rows for KTO), or a
      conversation with `label` or `kto_tag`, true or false; these give a `RatedReply`

    Beside a pair may stand scores (`chosen_score` and `rejected_score`, `score_chosen` and
    `score_rejected`, or of `rating`) and a `margin`.

    See `RowSamples` for the arguments.
    """

    def sample(self, entry: Row, reader: EntryReader) -> PreferenceSample | RatedReply:
        if is_rating(entry):
            conversation, desirable = rated_entry(entry)
            return RatedReply(reader.read(conversation), desirable)
        entry, rated = take_scores(entry)
        chosen, rejected = (reader.read(each) for each in both_entries(entry))
        sample = PreferenceSample(chosen, rejected, rated.scores, rated.margin)
        if sample.common == max(len(chosen), len(rejected)):
            has_targets = any(isinstance(part, Target) for each in chosen for part in each.content)
            way_out = ", as far as they are read; load_targets: true opens media to be made"
            unread = has_targets and not reader.load_targets
            raise ValueError(
                f"the chosen and the rejected reply are the same{way_out if unread else ''}"
            )
        return sample
