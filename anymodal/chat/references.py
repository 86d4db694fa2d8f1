"""References of a reply's media: the conversation's media that they are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from anymodal.chat.named_references import is_number, medium_at, numbered_media
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
    slot of the decoder gets the last of the conversation's media that fits. A start that the
    caller's settings ask for is the last one that fits, where the reply points at none.

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
        self.media = numbered_media(messages, model.spoken_media)
        self._indices: list[int] = []  # of the media of the reply's spans so far
        if references is not None and not isinstance(references, Mapping):
            raise ValueError(
                f"references={shorten(references)}; give them by output, as {{'image': picture}}"
            )
        self.chosen = {
            name: self._read(name, value, limits) for name, value in (references or {}).items()
        }
        self._check_settings()

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
        if chosen or self._settings_of(span.name).get(STRENGTH) is not None:
            roles = last_source_first(roles)  # it starts from one of them
        made_from = [self._reference(media[k], role) for k, role in roles]
        if points and self._start_settings(span.name):
            made_from = self._with_source(made_from, slots)
        return (*made_from, *(chosen or ()))

    def _with_source(self, made_from: list[Any], slots: Sequence[ReferenceSlot]) -> list[Any]:
        """References with the last source of the conversation, where they have none."""
        if any(each.role == SOURCE for each in made_from):
            return made_from
        sources = [slot for slot in slots if slot.role == SOURCE]
        return [*fill_slots(sources, self.media)[-1:], *made_from]

    def _slots(self, name: str, chosen: Sequence[Reference]) -> tuple[ReferenceSlot, ...]:
        """The places for references of a modality's decoder, under the settings of this reply."""
        decoder: Decoder = self.model.decoders.get(name)
        return decoder.slots(self._settings_of(name), [each.role for each in chosen])

    def _settings_of(self, name: str) -> Mapping[str, Any]:
        """The settings of a modality's media."""
        return self.settings.get(name, self.model.modalities[name].sampling)

    def _check_settings(self) -> None:
        """Check that there are references where the caller gives a setting that is about them.

        One that several modalities have at the same value may be about the references of any.

        Raises:
            SettingError: there are none, so that it would have no effect.
        """
        owners: dict[tuple[str, str], list[str]] = {}
        for name in self.model.decoders:
            for setting in self._caller_set(name, *_OF_SOURCES, REFERENCE_GUIDANCE):
                value = repr(self.settings[name][setting])
                owners.setdefault((setting, value), []).append(name)
        for (setting, value), names in owners.items():
            if any(self._has_reference(name, setting) for name in names):
                continue
            slots = [self._source_slot(name) for name in names]
            kinds = {slot.media.kind: None for slot in slots if setting in _OF_SOURCES}
            is_asked = all(slot.asked for slot in slots)
            way = f"name it, as references={{{names[0]!r}: -1}}" if is_asked else "attach it"
            raise SettingError(
                setting,
                f"={value} is about a reference, and there is no {' or '.join(kinds) or 'medium'} "
                f"to be one; {way}, or leave the setting out",
                f"sampling of {names[0]!r}",
            )

    def _has_reference(self, name: str, setting: str) -> bool:
        """Return whether there is a reference for a modality's setting to be about."""
        is_start = setting in _OF_SOURCES
        kind = self._source_slot(name).media if is_start else Media
        return any(isinstance(each, kind) for each in self._candidates(name, is_start))

    def _start_settings(self, name: str) -> list[str]:
        """The caller's settings of a start from a medium."""
        return self._caller_set(name, *_OF_SOURCES)

    def _caller_set(self, name: str, *names: str) -> list[str]:
        """Of settings those that the caller has; the model's own are for all its media."""
        own, settings = self.model.modalities[name].sampling, self.settings.get(name, {})
        return [each for each in names if settings.get(each) not in (None, own.get(each))]

    def _source_slot(self, name: str) -> ReferenceSlot:
        """The place of what a modality's media may start from."""
        slots = self._slots(name, self.chosen.get(name, ()))
        own = ReferenceSlot(SOURCE, self.model.decoders.get(name).media)
        return next((slot for slot in slots if slot.role == SOURCE), own)

    def _candidates(self, name: str, is_start: bool) -> Sequence[Media]:
        """The media that may be references, or the start, of a modality's media."""
        chosen = self.chosen.get(name)
        if chosen is None:
            # What is only shown fills no place that a caller's own media fill alone.
            return () if is_start and self._source_slot(name).asked else self.media
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
        if is_number(item):
            return medium_at(name, item, self.media)
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
