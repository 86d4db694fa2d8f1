"""Limits on media, and the one kind of error that hostile or broken input raises."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

MIB = 2**20
_WORKING = 3  # times max_decoded_bytes: what a decoder may hold at once, its result beside it
_NS_PER_PIXEL = 150  # of max_pixels: the longest decode, some 10 s at 64 million pixels
_LEAST_MIB = 0.2  # what a smaller file counts as in its budget of time


class MediaError(ValueError):
    """A medium that cannot be loaded, saved or built; the text says what to do about it."""

    def at(self, place: str) -> MediaError:
        """The same error, with the place of what it is about."""
        return type(self)(f"{place}: {self}")


class LimitError(MediaError):
    """A medium over one of the `Limits`, which may be whole for all else.

    Args:
        problem: the size, the limit, and what to do about the medium.
        remedy: how who calls may allow more.

    Attributes:
        problem: the message for those who can't, such as a server's clients.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def __str__(self) -> str:
        return f"{self.problem}, or {self.remedy}"

    def at(self, place: str) -> LimitError:
        """The same error, with the place of what it is about."""
        return LimitError(f"{place}: {self.problem}", self.remedy)


@dataclass(frozen=True)
class Limits:
    """The most that one medium may hold, checked on its header first and again while decoding.

    Args:
        max_pixels: width × height of a picture or of one frame; also what bounds the time that
            decoding a picture may take, by its header (some 10 s by default).
        max_frames: frames of a clip.
        max_seconds: duration of anything that has one.
        max_points: points of a cloud.
        max_bytes: size of the file.
        max_decoded_bytes: size of the arrays that the file becomes; a picture's decoder may hold
            three times as much while it works, and a clip's single frames may have a 28th of it in
            pixels, since a decoder keeps many of them.
        max_decode_seconds: the processor's time to decode anything.
        max_decode_seconds_per_mib: the same for each MiB of the file, of which it counts as
            having at least 0.2.

    Raises:
        ValueError: if a limit is not a positive number.
    """

    max_pixels: int = 64_000_000
    max_frames: int = 150_000
    max_seconds: float = 600.0
    max_points: int = 5_000_000
    max_bytes: int = 512 * MIB
    max_decoded_bytes: int = 256 * MIB
    max_decode_seconds: float = 900.0
    max_decode_seconds_per_mib: float = 20.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise MediaError(f"{field.name}={value!r} is no limit; give a positive number")

    @classmethod
    def of(cls, value: Limits | Mapping[str, Any] | None) -> Limits:
        """Limits as they are, from names and numbers as a configuration has them, or the default.

        Raises:
            ValueError: if a name is none of a limit's, or its value no positive number.
        """
        if value is None or isinstance(value, Limits):
            return value or cls()
        if not isinstance(value, Mapping):
            raise MediaError(f"limits={value!r} are none; give numbers by name, as max_seconds")
        names = [field.name for field in fields(cls)]
        if unknown := next((name for name in value if name not in names), None):
            raise MediaError(f"there is no limit {unknown!r}; there are {', '.join(names)}")
        return cls(**value)

    def budget(self, name: str, size: int) -> DecodeBudget:
        """The time that decoding a file of so many bytes may take, from now on."""
        by_size = self.max_decode_seconds_per_mib * max(size / MIB, _LEAST_MIB)
        if by_size < self.max_decode_seconds:
            return DecodeBudget(name, by_size, "max_decode_seconds_per_mib")
        return DecodeBudget(name, self.max_decode_seconds, "max_decode_seconds")

    def check_pixels(self, name: str, width: int, height: int) -> None:
        """Refuse a picture of no pixels, or of more than `max_pixels`."""
        if width < 1 or height < 1:
            raise MediaError(f"{name} is {width}×{height} pixels: there is nothing to see in it")
        if width * height > self.max_pixels:
            size = f"is {width}×{height} = {width * height:,} pixels"
            self._refuse(name, size, "max_pixels", f"{self.max_pixels:,}", "scale it down")

    def check_frames(self, name: str, frames: float) -> None:
        """Refuse a clip of more than `max_frames`."""
        if frames > self.max_frames:
            size = f"has {frames:,.0f} frames"
            self._refuse(name, size, "max_frames", f"{self.max_frames:,}", "cut it")

    def check_seconds(self, name: str, seconds: float) -> None:
        """Refuse what lasts longer than `max_seconds`."""
        if seconds > self.max_seconds:
            size = f"lasts {seconds:,.1f} s"
            self._refuse(name, size, "max_seconds", f"{self.max_seconds:g}", "cut it")

    def check_points(self, name: str, points: int) -> None:
        """Refuse a cloud of no points, or of more than `max_points`."""
        if points < 1:
            raise MediaError(f"{name} holds no points; record or export it again")
        if points > self.max_points:
            size = f"has {points:,} points"
            self._refuse(name, size, "max_points", f"{self.max_points:,}", "thin it out")

    def check_bytes(self, name: str, size: int) -> None:
        """Refuse an empty file, or one of more than `max_bytes`."""
        if size == 0:
            raise MediaError(f"{name} is empty (0 bytes): save or download it again")
        if size > self.max_bytes:
            self._refuse(
                name, f"is {mib(size)}", "max_bytes", mib(self.max_bytes), "cut or compress it"
            )

    def check_decoded(self, name: str, size: float, what: str) -> None:
        """Refuse what would take more than `max_decoded_bytes` of memory; `what` describes it."""
        if size > self.max_decoded_bytes:
            size_text = f"decodes to {mib(size)} ({what})"
            limit = mib(self.max_decoded_bytes)
            self._refuse(name, size_text, "max_decoded_bytes", limit, "cut it or scale it down")

    def check_working(self, name: str, size: float, what: str) -> None:
        """Refuse what would take more than three times `max_decoded_bytes` while it is decoded."""
        if size > _WORKING * self.max_decoded_bytes:
            size_text = f"takes {mib(size)} to decode ({what})"
            limit = mib(_WORKING * self.max_decoded_bytes)
            self._refuse(name, size_text, "max_decoded_bytes", limit, "scale it down")

    def check_effort(self, name: str, nanoseconds: float) -> None:
        """Refuse what takes longer to decode than a picture of `max_pixels` should, by its header.

        Decoders can't be interrupted, so the time is estimated before they start.
        """
        most = _NS_PER_PIXEL * self.max_pixels
        if nanoseconds > most:
            time_text = f"takes about {nanoseconds / 1e9:,.0f} s to decode"
            limit = f"{most / 1e9:.3g} s"
            self._refuse(name, time_text, "max_pixels", limit, "save it anew, as PNG or plain JPEG")

    @staticmethod
    def _refuse(name: str, finding: str, limit: str, value: str, advice: str) -> None:
        raise LimitError(
            f"{name} {finding}, over the limit of {value}; {advice}", allow_more(limit)
        )


class DecodeBudget:
    """The processor's time of this thread that decoding one file may take.

    Args:
        name: of the file, for the message.
        seconds: how much, from now on.
        limit: the limit that it comes from.
    """

    def __init__(
        self, name: str = "", seconds: float = float("inf"), limit: str = "max_decode_seconds"
    ) -> None:
        self.name, self.seconds, self.limit = name, seconds, limit
        # Not the wall's clock: a busy machine makes no file hostile.
        self._end = time.thread_time() + seconds

    @property
    def is_spent(self) -> bool:
        """True once the time is used up."""
        return time.thread_time() > self._end

    def check(self) -> None:
        """Stop what has taken too long.

        Raises:
            ValueError: if the budget is used up.
        """
        if self.is_spent:
            raise LimitError(
                f"{self.name} takes more than {self.seconds:,.1f} s to decode, which is too much "
                "for its size; cut it or convert it",
                allow_more(self.limit),
            )


def allow_more(limit: str) -> str:
    """The way to raise a limit, in Python and for a command."""
    return f"pass limits=Limits({limit}=...), --limit {limit}=... to a command"


def mib(size: float) -> str:
    """A number of bytes for a reader: `256.0 MiB`, below one MiB in bytes."""
    return f"{size / MIB:,.1f} MiB" if size >= MIB else f"{size:,.0f} bytes"


@contextmanager
def decoding(name: str, label: str, otherwise: str = "cut short") -> Iterator[None]:
    """Turn whatever a third-party decoder raises into a `MediaError` that repeats none of its text.

    Decoders fail on hostile bytes in more ways than they document, and their messages can hold
    addresses (CVE-2026-22778), so this boundary is wide and starts the message anew.

    Args:
        otherwise: what else than damage may be the reason.

    Raises:
        ValueError: in place of any other exception.
    """
    try:
        yield
    except MediaError:
        raise
    except Exception:
        raise MediaError(
            f"{name} starts as a {label} file, but it cannot be decoded: it is damaged or "
            f"{otherwise}; save or download it again"
        ) from None
