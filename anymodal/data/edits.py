"""Edits: media, what to change in them, and the result."""

from __future__ import annotations

from dataclasses import dataclass, replace

from anymodal.data.containers import Row
from anymodal.data.entries import EntryReader
from anymodal.data.row_samples import RowSamples
from anymodal.data.schemas import EDIT, schema_of
from anymodal.media import Media
from anymodal.types import Message, Target


@dataclass(frozen=True)
class EditSample:
    """An edit that was made; a decoder learns from it as from a `Captioned` medium.

    Args:
        instruction: what to change.
        sources: the media that it is about, in order.
        modality: of the result.
        result: the medium that came of it.
        caption: what the result shows; the instruction where the data don't tell.
    """

    instruction: str
    sources: tuple[Media, ...]
    modality: str
    result: Media
    caption: str

    @property
    def media(self) -> Media:
        """The result."""
        return self.result

    @property
    def references(self) -> tuple[Media, ...]:
        """The sources."""
        return self.sources

    def conversation(self) -> list[Message]:
        """The edit as a request and its reply, which is made from its sources."""
        sources = tuple(range(len(self.sources)))
        target = Target(self.modality, self.caption, self.result, sources)
        return [Message("user", [*self.sources, self.instruction]), Message("assistant", [target])]


class Edits(RowSamples[EditSample]):
    """Edits of a data set, whose rows have an `instruction` (or `edit_prompt`), and by kind M of
    media `source_M`, `input_M`, `input_Ms` or `original_M`, and `output_M`, `edited_M`, `target_M`
    or `result_M`; a `caption`, `output_caption` or `edited_prompt` tells what the result shows.

    `CaptionedDiffusion` trains a decoder on them; one whose source is its result teaches that what
    isn't named stays. OmniGen2's, InstructPix2Pix's and, with `columns`, MagicBrush's rows are
    such. `Conversations` reads them as requests. See `RowSamples` for the arguments.
    """

    def sample(self, entry: Row, reader: EntryReader) -> EditSample:
        if schema_of(entry) is not EDIT:
            raise ValueError(
                "the row is no edit; give an instruction, and media under source_M and output_M"
            )
        user, reply = replace(reader, load_targets=True).read(entry)
        target = reply.content[0]
        assert isinstance(target, Target) and target.media is not None, "its schema says so"
        if not user.media:
            raise ValueError("the edit has no source; give source_M, or read it as a conversation")
        return EditSample(
            user.text, tuple(user.media), target.modality, target.media, target.caption
        )
