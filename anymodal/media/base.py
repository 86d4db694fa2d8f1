"""Base class of media items: loaded by content, saved, compared and displayed."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from base64 import b64encode
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from anymodal.media.containers import KNOWN_KINDS, contents
from anymodal.media.imu_header import NoTable
from anymodal.media.limits import Limits, MediaError
from anymodal.media.source import OTHER, Blob, Format, Source, read_source, sniff, write_file

_KINDS_BY_SUFFIXES: tuple[tuple[str, frozenset[str]], ...] = (
    (".png .apng .jpg .jpeg .jpe .jfif .webp .tif .tiff .bmp .dib", frozenset({"image"})),
    (".avif .jp2 .j2k .j2c .jpc .jpf .jpx .mpo .qoi .ico", frozenset({"image"})),
    (".ppm .pgm .pbm .pnm .pfm", frozenset({"image"})),
    (".gif", frozenset({"image", "video"})),
    (
        ".wav .flac .mp3 .oga .opus .m4a .aac .mp2 .spx .aif .aiff .aifc .au .snd .caf .w64 .rf64 "
        ".voc .sph .ac3 .eac3 .ec3 .dts .amr .awb .wma .mka .weba .wv .ape .tta",
        frozenset({"audio"}),
    ),
    (
        ".ogg .mp4 .webm .mkv .mov .m4v .avi .ogv .ogx .qt .3gp .3g2 .wmv .asf .flv .f4v .ts .mts "
        ".m2ts .mpg .mpeg .vob .m2v .mxf .ivf .nut .y4m",
        frozenset({"video", "audio"}),
    ),
    (".csv .tsv", frozenset({"imu"})),
    (".ply", frozenset({"points"})),
    (".npy", frozenset({"imu", "depth", "normal", "points"})),
)
_SUFFIXES = {suffix: kinds for suffixes, kinds in _KINDS_BY_SUFFIXES for suffix in suffixes.split()}
"""Kinds that a file of this suffix may hold; all that loads as a picture counts as image."""


class Media(ABC):
    """A media item: NumPy arrays, with the numbers that give them meaning.

    A subclass is a dataclass of arrays and numbers; two media are equal if all of them are.
    """

    kind: ClassVar[str]
    suffix: ClassVar[str]
    saves: ClassVar[tuple[str, ...]]
    hints: ClassVar[frozenset[str]] = frozenset()
    inline: ClassVar[str] = ""
    """Suffix of a format that keeps every value and that others read from data URLs, if any."""
    time_axis: ClassVar[int | None] = None
    """The axis of the first field that is time, of which the second field is the rate, if any."""
    kinds: ClassVar[dict[str, type[Media]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            Media.kinds[cls.kind] = cls

    @classmethod
    def load(cls, source: Source, *, limits: Limits | None = None, **hints: object) -> Self:
        """Load a medium by its content; `Media.load` finds the kind, a subclass expects its own.

        A kind of somebody's own is found by a suffix that no other kind has.

        Args:
            source: a path, bytes or a binary file. Never a URL.
            limits: what is too much; `Limits()` where None.
            hints: what the file leaves open; see the subclass.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is empty, damaged, cut short, over a limit, of no known format, of
                another kind than asked for, or named as another kind (a JPEG named .png loads).
        """
        limits = limits or Limits()
        blob = read_source(source, limits)
        target_kind = getattr(cls, "kind", None) or _kind_of_its_own(blob)
        # A kind of a user's own: no content tells of it, so the class alone decides.
        if target_kind is not None and target_kind not in KNOWN_KINDS:
            fmt = sniff(blob, or_else=OTHER)  # what is inside, its class alone can tell
        else:
            fmt = sniff(blob)
            kinds = _kinds_within(blob, fmt, limits, target_kind)
            kinds_of_name = _SUFFIXES.get(blob.suffix, kinds)
            _check_kind(blob, fmt, kinds, target_kind)
            # Of several kinds in one file, such as a video's sound, the name says which is meant.
            target_kind = target_kind or next(
                (kind for kind in kinds if kind in kinds_of_name), kinds[0]
            )
        target = cls.kinds[target_kind]
        if extra := sorted(set(hints) - target.hints):
            raise MediaError(f"{blob.name} is loaded as {target_kind}, which takes no {extra[0]}=")
        # Hints were checked against the class's own names above, so `_decode` gets no other.
        medium = target._decode(blob, fmt, limits, **hints)
        assert isinstance(medium, cls)
        return medium

    def save(self, path: str | Path) -> Path:
        """Save to a file in the format of its suffix, or with `suffix` where it has none.

        The file appears whole or not at all: an error leaves the old one as it was.

        Returns:
            The path written to.

        Raises:
            FileNotFoundError: if the folder does not exist.
            ValueError: if this kind of medium is not saved in that format.
        """
        path = Path(path)
        path = path if path.suffix else path.with_name(path.name + self.suffix)
        write_file(path, self.encode(path.suffix))
        return path

    def encode(self, suffix: str) -> bytes:
        """The bytes of a file of this medium, in the format of a suffix such as `.png`.

        Raises:
            ValueError: if this kind of medium is not saved in that format.
        """
        suffix = suffix.lower()
        if suffix not in self.saves:
            raise MediaError(
                f"cannot save {self.kind} as {suffix}; use one of {', '.join(self.saves)}"
            )
        try:
            return self._encode(suffix)
        except MediaError:
            raise
        except Exception:
            raise MediaError(
                f"the {suffix} encoder does not take {self!r}; use another of "
                f"{', '.join(self.saves)}, or a smaller size"
            ) from None

    def cut(self, start: float, seconds: float) -> Self:
        """The part that begins at a time and lasts so long, to the nearest sample or frame.

        Raises:
            ValueError: if this kind of medium has no duration, or the part leads out of it.
        """
        if self.time_axis is None:
            raise MediaError(f"{self.kind} has no duration, so no part of it can be cut out")
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        values, rate = (getattr(self, name) for name in names[:2])
        total = values.shape[self.time_axis]
        first, count = round(start * rate), max(1, round(seconds * rate))
        if not (start >= 0 and seconds > 0 and first + count <= total + 1 and first < total):
            raise MediaError(
                f"a part from {start:g} s on that lasts {seconds:g} s isn't in {self!r}, which "
                f"lasts {total / rate:g} s"
            )
        place = [slice(None)] * values.ndim
        place[self.time_axis] = slice(first, first + count)
        more = {name: getattr(self, name) for name in names[1:]}
        return type(self)(**{names[0]: values[tuple(place)], **more})

    def freeze(self) -> Self:
        """Make the arrays read-only, so that the digest is computed once; returns the medium.

        For media that are kept, as in a conversation's history: hashing them all again at every
        turn would take longer than the turn. A copy of an array can be written to.
        """
        digest = self.digest()
        values = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        for value in values:
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        self._frozen = values, digest
        return self

    def _frozen_digest(self) -> str | None:
        """The digest that `freeze` found, unless a field is another one or was made writable."""
        values, digest = getattr(self, "_frozen", ((), None))
        for field, was in zip(fields(self), values, strict=False):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            # A caller may have set another array, or lifted the write protection.
            if value is not was or (isinstance(value, np.ndarray) and value.flags.writeable):
                return None
        return digest

    def digest(self) -> str:
        """The SHA-256 of the content in hexadecimal: the same for equal media, for caches."""
        if (digest := self._frozen_digest()) is not None:
            return digest
        state = hashlib.sha256(self.kind.encode())
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            # With type and shape: the same bytes may be another array.
            if isinstance(value, np.ndarray):
                state.update(f"{field.name}:{value.dtype}:{value.shape}:".encode())
                state.update(np.ascontiguousarray(value).data)
            else:
                state.update(f"{field.name}={value!r};".encode())
        return state.hexdigest()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    __hash__ = None  # type: ignore[assignment]  # the arrays can change: use digest()

    @abstractmethod
    def html(self) -> str:
        """An HTML element that shows or plays the medium, with its data inside."""

    @classmethod
    @abstractmethod
    def _decode(cls, blob: Blob, fmt: Format, limits: Limits, **hints: object) -> Media:
        """The medium in a blob whose format is known and whose kind has been checked."""

    @abstractmethod
    def _encode(self, suffix: str) -> bytes:
        """The bytes of a file with one of the suffixes in `saves`."""


def kind_of_suffix(suffix: str) -> str | None:
    """The kind of medium that a file's suffix means; None for one that several kinds share.

    A clip rather than its sound, and a picture rather than a clip.
    """
    kinds = _SUFFIXES.get(suffix.lower()) or frozenset(
        kind for kind, cls in Media.kinds.items() if suffix.lower() in cls.saves
    )
    for kind in ("image", "video"):
        if kind in kinds and len(kinds) == 2:
            return kind
    return next(iter(kinds)) if len(kinds) == 1 else None


def _kind_of_its_own(blob: Blob) -> str | None:
    """The kind that a file's suffix means, where only a class from elsewhere saves such files."""
    if blob.suffix in _SUFFIXES:
        return None
    own = (
        kind
        for kind, cls in Media.kinds.items()
        if kind not in KNOWN_KINDS and blob.suffix in cls.saves
    )
    return next(own, None)


def _kinds_within(blob: Blob, fmt: Format, limits: Limits, kind: str | None) -> tuple[str, ...]:
    """The kinds that a blob can be loaded as; none for a text where no table is asked for."""
    try:
        return contents(blob, fmt, limits)
    except NoTable:
        kinds = _SUFFIXES.get(blob.suffix, frozenset({"imu"}))
        if kind in (None, "imu") and "imu" in kinds:
            raise
        return ()


def _check_kind(blob: Blob, fmt: Format, kinds: tuple[str, ...], kind: str | None) -> None:
    expected = _SUFFIXES.get(blob.suffix)
    if expected is not None and not expected & set(kinds):
        raise MediaError(
            f"{blob.name} is named as {' or '.join(sorted(expected))} ({blob.suffix}), but it "
            f"holds {fmt.label}; rename it to what it is, or give the right file"
        )
    if kind is not None and kind not in kinds:
        names = f" ({' or '.join(kinds)})" if kinds else ""
        other = f", or load it as {kinds[0]}" if kinds else ""
        raise MediaError(
            f"{blob.name} holds {fmt.label}{names}, not {kind}; give {kind} data{other}"
        )


def data_uri(mime: str, data: bytes) -> str:
    """Data inside a URI, for players and pictures that need no file."""
    return f"data:{mime};base64,{b64encode(data).decode()}"


def check_array(
    values: object, name: str, dtype: type[np.generic], axes: str, advice: str
) -> NDArray[Any]:
    """An array of the given type and axes, C-contiguous; other floats become float32.

    Args:
        axes: the expected shape for a reader, as `(H, W, 3)`; a number must match exactly.

    Raises:
        ValueError: if type or shape differ, an axis is empty, or a value is NaN or infinite.
    """
    array = np.asarray(values)
    if dtype is np.float32 and np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32, copy=False)
    if array.dtype != dtype:
        raise MediaError(f"{name} are {array.dtype}, expected {np.dtype(dtype).name}: {advice}")
    sizes = axes.strip("()").split(", ")
    fits = array.ndim == len(sizes) and all(
        size == int(want) if want.isdigit() else size > 0
        for size, want in zip(array.shape, sizes, strict=True)
    )
    if not fits:
        raise MediaError(
            f"{name} have the shape {array.shape}, expected {axes} with no axis empty: {advice}"
        )
    if dtype is np.float32 and not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise MediaError(
            f"{name} hold {array[where]} at index {where}; cut or fill such values before"
        )
    return np.ascontiguousarray(array)


def check_number(value: object, name: str, low: float, high: float, unit: str) -> float:
    """A finite number within bounds.

    Raises:
        ValueError: if it is none.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # what it can't take is an error below
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise MediaError(f"{name}={value!r} is out of range; give {low:g} to {high:g} {unit}")
    return number
