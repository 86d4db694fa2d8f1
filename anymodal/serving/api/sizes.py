"""Sizes and lengths of media, as OpenAI's API has them, as settings of decoders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from anymodal.serving.api.errors import ApiError
from anymodal.serving.served import ServedModel

AUTO = "auto"
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


def size_settings(
    served: ServedModel, modality: str, size: str | None, beside: Sequence[str] = ()
) -> dict[str, int]:
    """Height and width of a size such as `512x768`; nothing where it is the decoder's own.

    Args:
        served: who makes the medium.
        modality: of the medium.
        size: width and height, `auto`, or None.
        beside: settings that the request has, too.

    Raises:
        ApiError: if the decoder doesn't make this size, or the request says it twice.
    """
    if size in (None, AUTO):
        return {}
    assert served.model is not None, "only models that reply make media"
    shape: tuple[int, ...] = getattr(_family(served, modality), "media_shape", ())
    own = f"{shape[-1]}x{shape[-2]}" if len(shape) > 2 else None  # (3, …, height, width)
    if size == own:
        return {}
    try:
        if twice := {"height", "width"} & {*beside}:
            raise ValueError(f"{min(twice)!r} stands beside it")
        if (match := _SIZE.fullmatch(size)) is None:
            raise ValueError("it isn't WIDTHxHEIGHT, in pixels")
        settings = {"width": int(match[1]), "height": int(match[2])}
        _check(served, modality, settings)
    except ValueError as error:
        makes = "" if own is None else f"; by itself this model makes {own}"
        raise ApiError(
            400, f"the size {size[:20]!r} isn't supported ({error}){makes}; leave it out, or give "
            "'auto'", param="size",
        ) from error  # fmt: skip
    return settings


def length_settings(served: ServedModel, modality: str, seconds: float | None) -> dict[str, int]:
    """The number of frames that comes nearest to a length; nothing where it is the decoder's own.

    Raises:
        ApiError: if the decoder doesn't make this length.
    """
    if seconds is None:
        return {}
    assert served.model is not None, "only models that reply make media"
    family = _family(served, modality)
    rate, own = getattr(family, "fps", None), getattr(family, "frames", None)
    try:
        if rate is None or own is None:
            raise ValueError("its decoder tells no rate of frames")
        group = getattr(family, "frame_group", 1)  # clips have one frame more than a multiple
        frames = max(round((seconds * rate - 1) / group), 0) * group + 1
        if frames == own:
            return {}
        _check(served, modality, {"frames": frames})
    except ValueError as error:
        makes = "" if not (rate and own) else f"; by itself this model makes {own / rate:g} s"
        raise ApiError(
            400, f"{seconds:g} s aren't supported ({error}){makes}; leave 'seconds' out",
            param="seconds",
        ) from error  # fmt: skip
    return {"frames": frames}


def _check(served: ServedModel, modality: str, settings: Mapping[str, int]) -> None:
    """Check that a decoder makes media of this size, and this server too.

    Raises:
        ValueError: one of them doesn't.
    """
    assert served.model is not None, "only models that reply make media"
    served.model.modalities[modality].settings(settings, "")
    served.settings.check_pixels(served.model.decoders[modality], settings)


def _family(served: ServedModel, modality: str) -> object:
    """The family of a decoder's pipeline; None for a decoder without one."""
    assert served.model is not None, "only models that reply make media"
    return getattr(served.model.decoders[modality], "family", None)
