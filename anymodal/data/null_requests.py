"""Requests that say nothing, by which a model learns what guidance leads away from."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence

from anymodal.data.source import Source
from anymodal.media import Media
from anymodal.types import Message, Target


class NullRequests(Source[list[Message]]):
    """Conversations whose replies make media, with one request that tells nothing of them.

    Classifier-free guidance leads away from what is made unasked (Ho & Salimans 2022,
    arXiv:2207.12598), so a model learns that too where it is to guide itself
    (`Modality.null_request`). A mixture draws this beside the source itself: at a ninth of its
    weight, a tenth of all requests say nothing.

    Args:
        source: conversations whose last reply makes something.
        request: what is said in the place of all that leads up to it.
        keep_media: whether media that were shown before stand before it, from which guidance leads
            away in a third branch (Brooks et al. 2023, arXiv:2211.09800, section 3.2.1).
    """

    def __init__(
        self, source: Source[Sequence[Message]], request: str = "", *, keep_media: bool = False
    ) -> None:
        self.source, self.request, self.keep_media = source, request, keep_media
        self.reads_files = getattr(source, "reads_files", False)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int, /) -> list[Message]:
        *earlier, last = self.source[index]
        targets = [part for part in last.content if isinstance(part, Target)]
        if not targets:
            raise ValueError(
                f"the last message of sample {index} makes nothing, so no request of it can be "
                "left out; give a source whose replies make media, such as captions with make: true"
            )
        # Their numbers would be those of media here, such as of what is to be made itself.
        alone = [dataclasses.replace(target, references=()) for target in targets]
        parts = [part for message in earlier for part in message.content]
        shown = [part for part in parts if isinstance(part, Media)] if self.keep_media else []
        return [Message("user", [*shown, self.request]), Message("assistant", [*alone])]

    def stamp(self, index: int) -> Hashable:
        return self.source.stamp(index)
