"""The hook for an operator's own filter of content: texts and media, in and out."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from typing import Literal, Protocol

from anymodal.media import Media
from anymodal.serving.errors import ContentFilterError, ModelFaultError

Direction = Literal["in", "out"]


class ContentFilter(Protocol):
    """Decides about one text or medium.

    It is called in a thread, several at once. Of a reply that is being written it gets the whole
    text so far, again and again. Where it raises an error, the request fails: nothing passes that
    it hasn't seen.
    """

    def __call__(self, item: str | Media, direction: Direction) -> str | None:
        """The reason why an item may not pass, which the client is told; None if it may."""


async def check_content(
    content_filter: ContentFilter | None, items: Iterable[object], direction: Direction
) -> None:
    """Show texts and media to a filter, in order.

    Raises:
        ContentFilterError: for the first that may not pass.
        ModelFaultError: if the filter fails.
    """
    if content_filter is not None:
        await asyncio.to_thread(_check, content_filter, list(items), direction)


def _check(content_filter: ContentFilter, items: list[object], direction: Direction) -> None:
    for item in items:
        if not isinstance(item, str | Media) or item == "":
            continue
        try:
            reason = content_filter(item, direction)
        except Exception as error:  # its text is for the log alone
            raise ModelFaultError("the content filter failed") from error
        if reason is not None:
            raise ContentFilterError(reason)


def load_filter(name: str) -> ContentFilter:
    """The filter that `MODULE:FUNCTION` names, of the operator's own code.

    Raises:
        ValueError: if there is none of this name.
    """
    module, _, function = name.partition(":")
    try:
        content_filter: ContentFilter = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"there is no content filter {name!r} ({error}); give MODULE:FUNCTION, of a module "
            "that Python finds"
        ) from error
    if not callable(content_filter):
        raise ValueError(f"the content filter {name!r} can't be called; give a function")
    return content_filter
