"""One modality: how it is read, how it is made, and how much room it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from anymodal.config import ranges
from anymodal.media import Media

if TYPE_CHECKING:
    from anymodal.decoders import Decoder, Speaker
    from anymodal.encoders import Encoder
    from anymodal.fusion import Fusion
    from anymodal.heads import Head
    from anymodal.language.families.base import MediaReader
    from anymodal.projection import Projection

SAMPLING: Mapping[str, Any] = {"steps": 20, "guidance": 4.0}
"""The settings that a modality's media are made by where nothing else is said."""


@dataclass(frozen=True)
class Modality:
    """The parts that serve one modality; one with an encoder can be read, one with a decoder made,
    and one with a speaker spoken.

    A modality is of one class of media. A model's parts are changed by its own methods, such as
    `AnyModal.replace_decoder`, which check that they fit; a `Modality` itself can't be changed.

    Args:
        encoder: media to features.
        decoder: conditioning to media.
        head: a signal span's hidden states to conditioning; needed with a decoder.
        num_signal_tokens: signals in a span.
        sampling: settings of `Decoder.sample` for chat: steps and guidance; `SAMPLING` has those
            that are left out. Of a speaker, those of `Speaker.speak`, and which passages it speaks.
        null_request: a request, as a rule the empty one, whose signal span guidance leads away from
            in the place of the decoder's own empty caption, as a model learns it that reads
            `NullRequests` now and then; a `negative_prompt` is read in its place. With the setting
            `reference_guidance`, it is read behind the conversation's media, and guidance leads
            away from it alone too. None for the decoder's own.
        speaker: a reply's text to media; instead of a decoder.

    Raises:
        ValueError: for a decoder without head or signals, or beside a speaker, a modality with no
            part, parts of two classes of media, settings that are not taken, or a `null_request`
            for a decoder that takes no conditioning to lead away from.
    """

    encoder: Encoder | None = None
    decoder: Decoder | None = None
    head: Head | None = None
    num_signal_tokens: int = 0
    sampling: dict[str, Any] = field(default_factory=dict)
    null_request: str | None = None
    speaker: Speaker | None = None

    def __post_init__(self) -> None:
        if self.encoder is None and self.decoder is None and self.speaker is None:
            raise ValueError("a modality needs an encoder, a decoder, both, or a speaker")
        if self.speaker is not None and self.decoder is not None:
            raise ValueError(
                "a modality is made by a decoder or spoken by a speaker; make two of them"
            )
        if self.decoder is not None and (self.head is None or self.num_signal_tokens < 1):
            raise ValueError(
                "a decoder needs a head and at least one signal token, not "
                f"num_signal_tokens={self.num_signal_tokens}"
            )
        maker = self.decoder if self.decoder is not None else self.speaker
        if self.encoder is not None and maker is not None:
            read, made = self.encoder.media, maker.media
            if read is not made:
                verb = "decoder makes" if maker is self.decoder else "speaker makes"
                raise ValueError(
                    f"the encoder reads {read.__name__} and the {verb} {made.__name__}; "
                    "a modality is of one class of media, so make two modalities of them"
                )
        takes_negative = self.decoder is not None and self.decoder.takes_negative
        if self.null_request is not None and not takes_negative:
            raise ValueError(
                f"null_request={self.null_request!r}, and {type(maker).__name__} takes no "
                "conditioning that guidance leads away from (`Decoder.takes_negative`); leave it "
                "out"
            )
        given = self.sampling
        # Defaults first: `settings` lays the given ones over what is there.
        defaults = dict(SAMPLING) if self.speaker is None else {}
        object.__setattr__(self, "sampling", defaults)  # frozen for everybody else
        object.__setattr__(self, "sampling", self.settings(given))

    def settings(self, given: object, place: str = "sampling") -> dict[str, Any]:
        """Give settings of the decoder or speaker, checked: those given over the modality's own.

        Raises:
            SettingError: one is unknown, of the wrong type or out of its range.
        """
        # Checked twice: alone, so that errors name what was given, and joined, as it is used.
        maker = self.decoder if self.decoder is not None else self.speaker
        check = ranges.check_sampling if maker is None else maker.check_settings
        with ranges.settings_errors_at(place):
            given = check(given)
            settings = check({**self.sampling, **given})
            weight = settings.get("reference_guidance")
            is_unsaid = weight is not None and self.null_request is None
            if is_unsaid and self.decoder is not None and self.decoder.takes_neither:
                raise ranges.SettingError(
                    "reference_guidance",
                    f"={weight}, and no null_request, which says what guidance leads away from; "
                    "give the modality one, or leave it out",
                )
        return settings

    @property
    def media(self) -> type[Media]:
        """The class of media that this modality reads, makes or speaks."""
        part = next(p for p in (self.encoder, self.decoder, self.speaker) if p is not None)
        return part.media


class Parts(nn.ModuleDict):
    """Parts of a model by modality, which only the model's own methods change.

    Args:
        parts: by modality.
        way_out: what a message says to those who assign to it.
    """

    def __init__(self, parts: Mapping[str, nn.Module], way_out: str) -> None:
        super().__init__()
        self.way_out = way_out
        for name, part in parts.items():
            self.put(name, part)

    def put(self, name: str, part: nn.Module) -> None:
        """Set a part, for the model, which checks that it fits."""
        super().__setitem__(name, part)

    def get(self, name: str) -> Any:
        """The part of a modality, or None."""
        return self[name] if name in self else None  # noqa: SIM401 (this is that `get`)

    def by_name(self) -> dict[str, Any]:
        """The parts, each as what it is."""
        return dict(self.items())

    def __setitem__(self, key: str, module: nn.Module) -> None:
        raise TypeError(f"{key!r} is not set by assignment, which checks nothing; {self.way_out}")

    def __delitem__(self, key: str) -> None:
        raise TypeError(f"{key!r} can't be taken out of a model; {self.way_out}")


def by_media(
    parts: Mapping[str, Encoder | Decoder | Speaker | MediaReader], verb: str
) -> dict[type[Media], str]:
    """Map each class of media to the modality whose part serves it.

    Raises:
        ValueError: where two do, or a part's `media` is no class of media.
    """
    names: dict[type[Media], str] = {}
    for name, part in parts.items():
        media = part.media
        if not (isinstance(media, type) and issubclass(media, Media)):
            raise ValueError(
                f"the part of {name!r} has media={media!r}; set it to a class of media, such as "
                "anymodal.media.Image or a subclass of Media of your own"
            )
        if media in names:
            raise ValueError(
                f"{names[media]!r} and {name!r} both {verb} {media.__name__}, so nobody knows "
                f"which of them is meant; leave one out, or let one {verb} a class of its own "
                f"(class Other({media.__name__}) with a `kind` of its own)"
            )
        names[media] = name
    return names


def own_readers(
    readers: Mapping[type[Media], MediaReader], encoders: Mapping[str, Encoder]
) -> dict[str, MediaReader]:
    """A language model's own readers of media that no encoder reads, by kind.

    Raises:
        ValueError: if a modality of such a name has an encoder, which reads others.
    """
    encoded = by_media(encoders, "read")
    own = {media.kind: reader for media, reader in readers.items() if media not in encoded}
    if clashes := sorted(own.keys() & set(encoders)):
        raise ValueError(
            f"the language model itself reads {', '.join(clashes)}, and modalities of that name "
            "have encoders of other media; give these another name"
        )
    return own


def check_projection(
    projection: Projection | None, encoders: Mapping[str, Encoder], output_width: int
) -> None:
    """Check that a projection fits the encoders, and the width of the language model.

    Raises:
        ValueError: naming both sides.
    """
    widths = {} if projection is None else projection.widths
    for name, encoder in encoders.items():
        if widths.get(name) != encoder.width:
            raise ValueError(
                f"the encoder of {name!r} is {encoder.width} wide; the projection expects "
                f"{widths.get(name, 'no such modality')}"
            )
    if projection is not None and projection.output_width != output_width:
        raise ValueError(
            f"the projection gives width {projection.output_width}, the language model "
            f"takes {output_width}"
        )


def check_fusion(fusion: Fusion | None, encoders: Mapping[str, Encoder]) -> None:
    """Check that a fusion fits the encoders.

    Raises:
        ValueError: naming both sides.
    """
    if fusion is None:
        return
    for name, encoder in encoders.items():
        reader = fusion.encoder or encoder
        if fusion.reads_features and fusion.widths.get(name) != reader.width:
            raise ValueError(
                f"the encoder of {name!r} is {reader.width} wide; the fusion expects "
                f"{fusion.widths.get(name, 'no such modality')}"
            )
        if reader.media is not encoder.media:
            raise ValueError(
                f"the fusion's encoder reads {reader.media.__name__} and the one of {name!r} "
                f"{encoder.media.__name__}; give the fusion no encoder of its own, or leave "
                f"{name!r} out"
            )


def check_head(name: str, head: Head, decoder: Decoder, num_signal_tokens: int) -> None:
    """Check that a head fits the decoder and the signals of its modality.

    Raises:
        ValueError: naming both sides.
    """
    if head.spec != decoder.spec:
        raise ValueError(
            f"the head of {name!r} gives {head.spec}, its decoder takes {decoder.spec}; give a "
            "decoder of the same conditioning, or a head that is built for this one, and train it"
        )
    if head.num_signal_tokens != num_signal_tokens:
        raise ValueError(
            f"the head of {name!r} reads {head.num_signal_tokens} signal tokens and the modality "
            f"has {num_signal_tokens}; give both the same number"
        )
    if head.num_positions < decoder.spec.length and not decoder.takes_mask:
        raise ValueError(
            f"the head of {name!r} gives {head.num_positions} positions, and its decoder takes "
            f"{decoder.spec.length} without a mask; give it num_signal_tokens={decoder.spec.length}"
        )
