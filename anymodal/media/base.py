"""Base class of media items: loaded by content, saved, compared and displayed."""

from __future__ import annotations

import os
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from anymodal.media.containers import KNOWN_KINDS, contents
from anymodal.media.content import Content, fields_of
from anymodal.media.imu_header import NoTable
from anymodal.media.limits import Limits, MediaError
from anymodal.media.provenance import Provenance
from anymodal.media.source import (
    OTHER,
    Blob,
    Format,
    Source,
    check_file,
    read_source,
    sniff,
    write_file,
)
from anymodal.media.stamps import MediaFile, stamp_of
from anymodal.media.suffixes import KINDS_BY_SUFFIX


class Media(Content):
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
    # No field, since this class is no dataclass: media are equal whoever made them.
    provenance: Provenance | None = None
    """Who made it, for the note in its files; None for what no model here made."""

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
            kinds_of_name = KINDS_BY_SUFFIX.get(blob.suffix, kinds)
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

    @classmethod
    def defer(
        cls, source: str | Path | bytes, *, limits: Limits | None = None, **hints: object
    ) -> Self:
        """A medium of a file, decoded when its content is first looked at.

        Its arrays are read-only, so that its digest stays what the file's stamp says. `Media.defer`
        and a kind of somebody's own load at once.

        Args:
            source: a path, or the bytes of a file.
            limits: what is too much; `Limits()` where None.
            hints: what the file leaves open; see the subclass.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is empty or too large. Whatever else `load` refuses is refused when
                the content is first looked at.
        """
        limits = limits or Limits()
        # A field with a default is there before it is decoded, so nothing would tell.
        has_kind = getattr(cls, "kind", None) in KNOWN_KINDS
        if not has_kind or any(hasattr(cls, each.name) for each in fields_of(cls)):
            return cls.load(source, limits=limits, **hints)
        if isinstance(source, bytes):
            limits.check_bytes("the given data", len(source))
        else:
            source = Path(os.path.abspath(check_file(source, limits)[0]))
        medium = object.__new__(cls)
        stamp = cls._stamp(source, limits, hints)
        medium._file = MediaFile(source, limits, hints, *stamp)
        return medium

    @classmethod
    def _stamp(
        cls, source: Path | bytes, limits: Limits, hints: Mapping[str, object]
    ) -> tuple[str, bool]:
        """The stamp of a source, and whether it may be trusted, see `stamps.stamp_of`."""
        files = source if isinstance(source, bytes) else cls._files(source)
        return stamp_of(files, cls.kind, limits, sorted(hints.items()))

    @classmethod
    def _files(cls, path: Path) -> tuple[Path, ...]:
        """A file and those beside it that are read with it, whether they are there or not."""
        return (path,)

    def _read_file(self, file: MediaFile) -> Self:
        return type(self).load(file.source, limits=file.limits, **file.hints)

    def _stamp_file(self, file: MediaFile) -> str:
        return self._stamp(file.source, file.limits, file.hints)[0]

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
            data = self._encode(suffix)
            return data if self.provenance is None else self.provenance.write_into(data, suffix)
        except MediaError:
            raise
        except Exception:
            raise MediaError(
                f"the {suffix} encoder does not take {self!r}; use another of "
                f"{', '.join(self.saves)}, or a smaller size"
            ) from None

    @property
    def file_hints(self) -> dict[str, object]:
        """Arguments of `load` by which a file saved from this gives all of it back."""
        return {}

    def cut(self, start: float, seconds: float) -> Self:
        """The part that begins at a time and lasts so long, to the nearest sample or frame.

        Raises:
            ValueError: if this kind of medium has no duration, or the part leads out of it.
        """
        if self.time_axis is None:
            raise MediaError(f"{self.kind} has no duration, so no part of it can be cut out")
        names = [field.name for field in fields_of(self)]
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

    @classmethod
    def read_column(cls, path: Path, name: str, limits: Limits) -> list[str] | None:
        """The texts in a column of a file that is a table, one a sample.

        None where this kind has no tables in a form of their own, so that a plain one is tried.

        Raises:
            ValueError: if the file is none, or has no such column.
        """
        return None

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
    kinds = KINDS_BY_SUFFIX.get(suffix.lower()) or frozenset(
        kind for kind, cls in Media.kinds.items() if suffix.lower() in cls.saves
    )
    for kind in ("image", "video"):
        if kind in kinds and len(kinds) == 2:
            return kind
    return next(iter(kinds)) if len(kinds) == 1 else None


def _kind_of_its_own(blob: Blob) -> str | None:
    """The kind that a file's suffix means, where only a class from elsewhere saves such files."""
    if blob.suffix in KINDS_BY_SUFFIX:
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
        kinds = KINDS_BY_SUFFIX.get(blob.suffix, frozenset({"imu"}))
        if kind in (None, "imu") and "imu" in kinds:
            raise
        return ()


def _check_kind(blob: Blob, fmt: Format, kinds: tuple[str, ...], kind: str | None) -> None:
    expected = KINDS_BY_SUFFIX.get(blob.suffix)
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
