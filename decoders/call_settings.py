"""Settings of one call beside steps and guidance: a negative prompt, sizes and lengths.

A pipeline takes those that its `__call__` has an argument for.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anymodal.config import ranges
from anymodal.decoders.references import check_span
from anymodal.decoders.strength import check_strength

if TYPE_CHECKING:
    from anymodal.decoders.families.base import Family
    from anymodal.decoders.mechanism import ReferenceMechanism
    from anymodal.decoders.pipeline import Pipeline

ARGUMENTS = {
    "height": ("height",),
    "width": ("width",),
    "frames": ("num_frames",),  # and not Latte's `video_length`, which its network fixes
    "seconds": ("audio_length_in_s", "audio_end_in_s", "duration", "audio_duration"),
}
"""Our settings, and the arguments of diffusers' pipelines that they are."""
MOST_PIXELS = 2**27
"""Of a picture, or of all frames of a clip: 145 frames of 1280 × 720."""
MOST_SIDE, MOST_FRAMES, MOST_SECONDS = 4096, 1024, 600.0


def call_arguments(pipeline: Pipeline, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names that a pipeline's `__call__` has for them; None is left out.

    Raises:
        ValueError: the pipeline takes no such setting.
    """
    named = {n: v for n, v in settings.items() if v is not None and n in ARGUMENTS}
    if not named:  # as nearly always: a signature takes longer than all other checks of a turn
        return {}
    parameters = inspect.signature(type(pipeline).__call__).parameters
    arguments = {}
    for name, value in named.items():
        argument = next((each for each in ARGUMENTS[name] if each in parameters), None)
        if argument is None:
            ours = [n for n, theirs in ARGUMENTS.items() if any(t in parameters for t in theirs)]
            raise ValueError(
                f"{type(pipeline).__name__} takes no {name!r}; it takes "
                f"{', '.join(['steps', 'guidance', *ours])}"
            )
        arguments[argument] = value
    return arguments


def _check_pixels(
    family: Family, height: int | None, width: int | None, frames: int | None
) -> None:
    """Check how much a call would make: anybody may ask a server.

    Raises:
        ValueError: it is more than `MOST_PIXELS`.
    """
    own_frames, own_height, own_width = family.pixels
    count = (frames or own_frames) * (height or own_height) * (width or own_width)
    if count > MOST_PIXELS:
        raise ValueError(
            f"height, width and frames make {count:,} pixels; the limit is {MOST_PIXELS:,}"
        )


def check_call(family: Family, settings: Mapping[str, Any], place: str = "") -> None:
    """Check these settings before a call; `place` stands before their names in an error.

    Raises:
        ValueError: the pipeline doesn't take one, or a value is of the wrong type or range.
    """
    prefix = f"{place}: " if place else ""
    for name in ("height", "width"):
        if settings.get(name) is not None:
            ranges.check_integer(f"{prefix}{name}", settings[name], 8, MOST_SIDE)
    if settings.get("frames") is not None:
        ranges.check_integer(f"{prefix}frames", settings["frames"], 1, MOST_FRAMES)
    if settings.get("seconds") is not None:
        ranges.check_real(f"{prefix}seconds", settings["seconds"], 0.01, MOST_SECONDS)
    try:
        call_arguments(family.pipeline, settings)
        size = [settings.get(name) for name in ("height", "width", "frames")]
        family.check_size(*size)
        if any(each is not None for each in size):
            _check_pixels(family, *size)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error
    if settings.get("span") is not None:
        try:
            check_span(settings["span"])
        except ValueError as error:
            raise ValueError(f"{prefix}{error}") from error
        if not family.takes_span:
            raise ValueError(
                f"{prefix}span={settings['span']!r}, but {type(family.pipeline).__name__} makes no "
                "part of a source anew; leave it out"
            )
    if settings.get("strength") is not None:
        try:
            check_strength(settings["strength"], settings.get("steps"))
        except ValueError as error:
            raise ValueError(f"{prefix}{error}") from error
        for name in ARGUMENTS:
            if settings.get(name) is not None:
                raise ValueError(
                    f"{prefix}strength={settings['strength']} starts from a source of the "
                    f"decoder's own size, so that it takes no {name}={settings[name]}; leave one "
                    "of them out"
                )
    negative = settings.get("negative_prompt")
    if negative is None:
        return
    if not isinstance(negative, str):
        raise ValueError(f"{prefix}negative_prompt={negative!r}; it must be a text")
    if not family.takes_negative_prompt:
        raise ValueError(f"{prefix}{type(family.pipeline).__name__} takes no negative prompt here")
    if settings.get("guidance", 2) <= 1:
        raise ValueError(
            f"{prefix}guidance={settings['guidance']} leads away from nothing, so that "
            "negative_prompt has no effect; set guidance above 1"
        )


def check_reference_guidance(
    mechanism: ReferenceMechanism | None,
    settings: Mapping[str, Any],
    place: str = "",
    takes_neither: bool = False,
) -> None:
    """Check the weight of guidance away from references.

    Args:
        mechanism: by which the denoiser is shown references; None where it takes none.
        settings: of a call.
        place: stands before the name in an error.
        takes_neither: whether conditionings alone may tell of references.

    Raises:
        ValueError: guidance can't lead away from references, or nothing else is guided.
    """
    weight = settings.get("reference_guidance")
    if weight is None:
        return
    name = f"{place}: reference_guidance" if place else "reference_guidance"
    ranges.check_real(name, weight, 0, ranges.MOST_GUIDANCE)
    if not takes_neither and (mechanism is None or not mechanism.three_branches):
        raise ValueError(
            f"{name}={weight}, but guidance can't lead this decoder away from references, as it "
            "can where a denoiser was widened by channels for them; leave it out"
        )
    if settings.get("guidance", 2) <= 1:
        raise ValueError(f"{name}={weight} needs guidance above 1, not {settings['guidance']}")
