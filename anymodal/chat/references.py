"""References of a reply's media: the conversation's media that they are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from anymodal.config import shorten
from anymodal.config.ranges import SettingError
from anymodal.decoders.base import Decoder
from anymodal.decoders.references import (
    MASK,
    SOURCE,
    Reference,
    ReferenceSlot,
    assign_roles,
    check_references,
    fill_slots,
    first_of,
    last_source_first,
)
from anymodal.io.message_parts import PartReader
from anymodal.language.pointers import PendingMedium
from anymodal.language.reply_state import SpanReady
from anymodal.media import Limits, Media
from anymodal.types import Message

if TYPE_CHECKING:
    from anymodal.core import ComposedModel

ReferencesByModality = Mapping[str, object]
"""By output: a media item, a path, a number of a conversation's media, a `Reference`, or a list of
them; an empty list for none."""


REFERENCE_GUIDANCE = "reference_guidance"
STRENGTH = "strength"
_OF_SOURCES = (STRENGTH, "span")
"""Settings of a start from a medium."""


class PendingReference(NamedTuple):
    """A reference to a medium that the same reply makes: its place among the reply's media."""

    place: int
    role: str


MadeFrom = tuple[Reference | PendingReference, ...]
"""What a medium is made from; of its own reply, as far as it is made by then."""


class ReplyReferences:
    """Chooses what the media of one reply are made from.

    What the caller says for an output counts first; a mask alone leaves its source to be chosen.
    Then come the media that the reply points at,
    where the model has pointers. Where it has none, or doesn't write the reply's text itself, each
    slot of the decoder gets the last of the conversation's media that fits.

    Args:
        model: who replies.
        messages: the conversation.
        references: what the caller says.
        limits: the most that a file may hold.
        points: whether the model writes the reply's text, and so could point.
        settings: of `Decoder.sample` by modality; the models' own where it is None.

    Raises:
        FileNotFoundError: a file isn't there.
        ValueError: references that aren't by output, an output that the model doesn't make from
            anything, media that don't fit, or a setting of the caller's that is about references
            where there are none.
    """

    def __init__(
        self,
        model: ComposedModel,
        messages: Sequence[Message],
        references: ReferencesByModality | None = None,
        limits: Limits | None = None,
        points: bool = True,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or {}
        self.points = points and model.signals.pointers > 0
        media = [medium for message in messages for medium in message.media]
        self.media = [each for each in media if type(each) not in model.prompts.speakers]
        self._indices: list[int] = []  # of the media of the reply's spans so far
        if references is not None and not isinstance(references, Mapping):
            raise ValueError(
                f"references={shorten(references)}; give them by output, as {{'image': picture}}"
            )
        self.chosen = {
            name: self._read(name, value, limits) for name, value in (references or {}).items()
        }
        for name in self.model.decoders:
            self._check_settings(name)

    def of(self, span: SpanReady, index: int) -> MadeFrom:
        """The references of a span's medium, by its decoder's slots; asked for each span in turn.

        Args:
            span: as it was written.
            index: of its medium, the first if it has several, among the reply's media.
        """
        self._indices.append(index)
        chosen = self.chosen.get(span.name)
        slots = self._slots(span.name, chosen or ())
        if not slots:
            return ()
        named = {slot.role for slot in slots if slot.named}
        if chosen is not None and not (chosen and named.issuperset(e.role for e in chosen)):
            return chosen
        # A decoder that looks at nothing is pointed at nothing, whatever a setting starts it from.
        looks = bool(self.model.decoders.get(span.name).references)
        points = self.points and looks and not chosen
        media = span.references if points else self.media
        classes = [each.media if isinstance(each, PendingMedium) else type(each) for each in media]
        roles = assign_roles(slots, classes)
        settings = self._settings_of(span.name)
        if chosen or settings.get(STRENGTH) is not None:  # it starts from one of them
            roles = last_source_first(roles)
        return (*(self._reference(media[k], role) for k, role in roles), *(chosen or ()))

    def _slots(self, name: str, chosen: Sequence[Reference]) -> tuple[ReferenceSlot, ...]:
        """The places for references of a modality's decoder, under the settings of this reply."""
        decoder: Decoder = self.model.decoders.get(name)
        return decoder.slots(self._settings_of(name), [each.role for each in chosen])

    def _settings_of(self, name: str) -> Mapping[str, Any]:
        """The settings of a modality's media."""
        return self.settings.get(name, self.model.modalities[name].sampling)

    def _check_settings(self, name: str) -> None:
        """Check that there are references where the caller gives a setting that is about them.

        Raises:
            SettingError: there are none, so that it would have no effect.
        """
        own, settings = self.model.modalities[name].sampling, self.settings.get(name, {})
        for setting in (*_OF_SOURCES, REFERENCE_GUIDANCE):
            value = settings.get(setting)
            if value is None or value == own.get(setting):  # the model's own is for all its media
                continue
            is_start = setting in _OF_SOURCES
            kind = self._source_class(name) if is_start else Media
            if not any(isinstance(each, kind) for each in self._candidates(name, is_start)):
                noun = kind.kind if is_start else "medium"
                raise SettingError(
                    setting,
                    f"={value} is about a reference, and there is no {noun} to be one; attach it, "
                    "or leave the setting out",
                    f"sampling of {name!r}",
                )

    def _source_class(self, name: str) -> type[Media]:
        """The class of media that a modality's media may start from."""
        slots = self._slots(name, self.chosen.get(name, ()))
        own = self.model.decoders.get(name).media
        return next((slot.media for slot in slots if slot.role == SOURCE), own)

    def _candidates(self, name: str, is_start: bool) -> Sequence[Media]:
        """The media that may be references, or the start, of a modality's media."""
        chosen = self.chosen.get(name)
        if chosen is None:
            return self.media
        if not is_start or any(each.role == SOURCE for each in chosen):
            return [each.media for each in chosen]
        # Beside a mask alone the source is one of the conversation's.
        return self.media if chosen and all(each.role == MASK for each in chosen) else ()

    def _reference(self, medium: Media | PendingMedium, role: str) -> Reference | PendingReference:
        if isinstance(medium, PendingMedium):
            return PendingReference(self._indices[medium.span], role)
        return Reference(medium, role)

    def _read(self, name: str, value: object, limits: Limits | None) -> tuple[Reference, ...]:
        if name not in self.model.decoders:
            names = ", ".join(self.model.decoders) or "text alone"
            raise SettingError("references", f" of {name!r}: this model makes {names}")
        items = value if isinstance(value, list | tuple) else [value]
        reader = PartReader(limits or Limits())
        references = [
            item if isinstance(item, Reference) else self._medium(name, item, reader)
            for item in items
        ]
        named = [item for item in references if isinstance(item, Reference)]
        slots = self._slots(name, named)
        media = [item for item in references if isinstance(item, Media)]
        filled = fill_slots(slots, media)
        if len(filled) < len(media):
            kinds = ", ".join(f"{slot.media.kind} as {slot.role!r}" for slot in slots) or "nothing"
            raise SettingError(
                "references", f" of {name!r}: {len(media)} media, and its decoder looks at {kinds}"
            )
        filled += named
        _check_source(name, filled, self.media)
        check_references(slots, [filled], 1, f"the decoder of {name!r}")
        return tuple(filled)

    def _medium(self, name: str, item: object, reader: PartReader) -> Media:
        if isinstance(item, int) and not isinstance(item, bool):
            if not -len(self.media) <= item < len(self.media):
                raise SettingError(
                    "references",
                    f" of {name!r}: medium {item} of {len(self.media)} in this "
                    "conversation; they are counted from 0, or from the end by -1",
                )
            return self.media[item]
        is_plain = item is None or isinstance(item, str | bool | float)
        part = None if is_plain else reader.read(item)
        if not isinstance(part, Media):
            raise SettingError(
                "references",
                f" of {name!r}: {item!r} is no medium; give one, a Path, a number of the "
                "conversation's media, or [] for none",
            )
        return part


def _check_source(name: str, references: Sequence[Reference], media: Sequence[Media]) -> None:
    """Check that there is something for a mask to be of.

    Raises:
        ValueError: there is none, neither among references nor in the conversation.
    """
    mask = first_of(references, MASK)
    if mask is None or first_of(references, SOURCE) is not None:
        return
    if not any(isinstance(each, type(mask.media)) for each in media):
        raise SettingError(
            "references",
            f" of {name!r}: a {MASK!r}, and nothing in the conversation that it could be "
            f"of; attach the {mask.media.kind} whose part it tells",
        )
