"""The pages of Ogg (RFC 3533): the links of a chained file, and whether the last one is whole."""

from __future__ import annotations

from collections.abc import Iterator

from anymodal.media.source import Blob
from anymodal.media.spans import cut_short

_FIRST, _LAST = 2, 4  # flags of the first and the last page of a stream


def ogg_links(blob: Blob) -> list[tuple[int, int]]:
    """The start and end of each link: groups of streams that follow one another (section 4).

    Raises:
        ValueError: if the last page is not marked as such, or not whole.
    """
    starts, after_first, flags, end = list[int](), False, 0, 0
    for start, end, flags in _pages(blob):  # noqa: B007 - the last ones are looked at below
        first = bool(flags & _FIRST)
        if (first and not after_first) or not starts:
            starts.append(start)
        after_first = first  # the first pages of a group's streams come together
    if not flags & _LAST or end > len(blob.data):
        raise cut_short(blob.name, "all pages but the last")
    return list(zip(starts, [*starts[1:], end], strict=True))


def _pages(blob: Blob) -> Iterator[tuple[int, int, int]]:
    """Each page: its start, its end, which may lie behind the file's, and its flags (section 6)."""
    data, at, count = blob.data, 0, 0
    while (at := data.find(b"OggS", at)) >= 0:
        # A page's size is the sum of its lacing values, whose count is the 27th byte.
        lacing = data[at + 27 : at + 27 + (data[at + 26] if at + 26 < len(data) else 0)]
        end = at + 27 + len(lacing) + sum(lacing)
        if len(data) < at + 27 or len(lacing) < data[at + 26]:
            end = len(data) + 1
        yield at, end, data[at + 5] if at + 5 < len(data) else 0
        at = max(end, at + 4)
        count += 1
        if count % 1024 == 0:
            blob.budget.check()
