"""The content of a media item: arrays and numbers, decoded when they are first looked at."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from anymodal.media.limits import MediaError
from anymodal.media.stamps import MediaFile

OPTIONAL = "optional"
"""In a field's metadata: a value of None says nothing, so that digests are as without the field."""


class Content(ABC):
    """Arrays and numbers that decide whether two media items are equal.

    They are the fields of a dataclass; one of them may be an item itself, such as a clip's sound.
    An item of a file that isn't decoded yet has none of them,
    and decodes it when one is asked for; several threads may ask at once.
    """

    kind: ClassVar[str]
    _file: MediaFile | None = None
    _frozen: tuple[list[object], str | None] | None = None

    if not TYPE_CHECKING:  # which would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            # Called for what isn't there: a field of an item that isn't decoded yet.
            if self._file is None or name not in getattr(type(self), "__dataclass_fields__", ()):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            with self._file.lock:  # so that nobody releases it before it is handed out
                self.decode()
                return vars(self)[name]

    def _decode_file(self, file: MediaFile) -> None:
        """Read the fields from the file.

        Raises:
            OSError: if it can't be read.
            ValueError: see `Media.load`, with the place that names the file.
        """
        if self.decoded:  # by another thread meanwhile
            return
        try:
            content = self._read_file(file)
        except MediaError as error:
            if not file.place:
                raise
            raise error.at(file.place) from error
        # What is recorded for the stamp must be of the file as it was when it was stamped.
        if self._stamp_file(file) != file.stamp:
            file.settled, file.digest = False, None
        vars(self).update({f.name: getattr(content, f.name) for f in fields_of(self)})
        self._protect(file.digest)

    @abstractmethod
    def _read_file(self, file: MediaFile) -> Content:
        """An item of the same class, with the content of a file."""

    @abstractmethod
    def _stamp_file(self, file: MediaFile) -> str:
        """The stamp that a file has now."""

    @property
    def file(self) -> MediaFile | None:
        """The file that the content is read from, unless it has been changed since."""
        unchanged = self._file is not None and (not self.decoded or self._is_frozen())
        return self._file if unchanged else None

    @property
    def decoded(self) -> bool:
        """Return whether the content is in memory."""
        return self._file is None or all(field.name in vars(self) for field in fields_of(self))

    @property
    def undecoded(self) -> bool:
        """Return whether the digest is known only once the file has been decoded."""
        return not self.decoded and self._file is not None and self._file.digest is None

    def decode(self) -> None:
        """Read the content from the file, where that hasn't been done.

        Raises:
            OSError: if it can't be read.
            ValueError: see `Media.load`, with the place that names the file.
        """
        if self._file is not None:
            with self._file.lock:
                self._decode_file(self._file)

    def release(self) -> None:
        """Let go of content that can be decoded again; an item without a file keeps it."""
        if (file := self.file) is None:
            return
        with file.lock:
            self._frozen = None
            for each in fields_of(self):
                vars(self).pop(each.name, None)

    def freeze(self) -> Self:
        """Make the arrays read-only, so that the digest is computed once; returns the medium.

        For media that are kept, as in a conversation's history: hashing them all again at every
        turn would take longer than the turn. A copy of an array can be written to.
        """
        self._protect(self.digest())
        return self

    def _protect(self, digest: str | None) -> None:
        values = [getattr(self, field.name) for field in fields_of(self)]
        for value in values:
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            elif isinstance(value, Content):
                value._protect(None)
        self._frozen = values, digest

    def _is_frozen(self) -> bool:
        """Return whether the content is as it was when it was made read-only."""
        if self._frozen is None:
            return False
        for field, before in zip(fields_of(self), self._frozen[0], strict=True):
            value = getattr(self, field.name)
            # A caller may have set another array, or lifted the write protection.
            if value is not before or (isinstance(value, np.ndarray) and value.flags.writeable):
                return False
            if isinstance(value, Content) and not value._is_frozen():
                return False
        return True

    def digest(self) -> str:
        """The SHA-256 of the content in hexadecimal: the same for equal media, for caches."""
        if (file := self.file) is not None and file.digest is not None:
            return file.digest
        frozen = self._is_frozen()
        if frozen and self._frozen is not None and self._frozen[1] is not None:
            return self._frozen[1]
        digest = self._hash()
        if (file := self.file) is not None:
            file.digest = digest
        return digest

    def _hash(self) -> str:
        state = hashlib.sha256(self.kind.encode())
        for field in fields_of(self):
            value = getattr(self, field.name)
            if value is None and field.metadata.get(OPTIONAL):
                continue
            # With type and shape: the same bytes may be another array.
            if isinstance(value, Content):
                state.update(f"{field.name}:{value.digest()};".encode())
            elif isinstance(value, np.ndarray):
                state.update(f"{field.name}:{value.dtype}:{value.shape}:".encode())
                state.update(np.ascontiguousarray(value).data)
            else:
                state.update(f"{field.name}={value!r};".encode())
        return state.hexdigest()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields_of(self)]
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    __hash__ = None  # type: ignore[assignment]  # the arrays can change: use digest()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A copy: of what a file holds the same read-only arrays, else arrays of its own."""
        copy = object.__new__(type(self))
        if self.file is not None:
            vars(copy).update(vars(self))
        else:
            vars(copy).update({k: deepcopy(v, memo) for k, v in self.__getstate__().items()})
            vars(copy).pop("_frozen", None)
        return copy

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        if self.decoded and not self._is_frozen():  # another content than the one that was hashed
            state.pop("_frozen", None)
            state.pop("_file", None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        if self._frozen is not None:  # pickling loses the protection
            self._protect(self._frozen[1])


def fields_of(item: Content | type[Content]) -> tuple[Field[Any], ...]:
    """The fields of an item or of its class."""
    return fields(item)  # type: ignore[arg-type]  # every subclass is a dataclass
