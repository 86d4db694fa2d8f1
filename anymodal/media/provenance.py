"""The note in a file about who made it: AI, by which model and seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self
from xml.sax.saxutils import quoteattr

from anymodal.media.file_notes import NOTE_WRITERS
from anymodal.media.note import FileNote

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for what a generative model made, which image programs and networks look for."""


class FileSigner(Protocol):
    """Signs files, as `anymodal.io.content_credentials.ContentSigner` does."""

    def sign(
        self, data: bytes, suffix: str, claim: dict[str, object], software: str, source_type: str
    ) -> bytes:
        """A file that is signed; one of a format that can't be stays as it is."""


@dataclass(frozen=True)
class Provenance:
    """The maker of a medium.

    Nothing in it tells a time or a place, so that equal media have equal files.

    Args:
        model: the model's name.
        seed: of the reply that it was made in.
        software: with its version, behind a blank.
        signer: signs what is written; None for the note alone.
    """

    model: str
    seed: int
    software: str
    signer: FileSigner | None = field(default=None, compare=False, repr=False)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str, int, str]]:
        # Without the signer: a pickled medium must not carry the key along.
        return type(self), (self.model, self.seed, self.software)

    @property
    def text(self) -> str:
        """The note as a sentence."""
        return f"Made by AI: {self.software}, model {self.model}, seed {self.seed}"

    def write_into(self, data: bytes, suffix: str) -> bytes:
        """A file with the note, signed if there is a signer.

        One of a format that has no place for either stays as it is.
        """
        if (writer := NOTE_WRITERS.get(suffix)) is not None:
            data = writer(data, FileNote(self.text, self.software, self._xmp()))
        if self.signer is None:
            return data
        claim: dict[str, object] = {"model": self.model, "seed": self.seed}
        return self.signer.sign(data, suffix, claim, self.software, SOURCE_TYPE)

    def _xmp(self) -> bytes:
        """Source: ISO 16684-1 (XMP), and IPTC Photo Metadata 2025.1 for how AI is named in it."""
        text, software, model = (quoteattr(each) for each in (self.text, self.software, self.model))
        packet = (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
            '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
            'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
            'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
            f"xmp:CreatorTool={software} photoshop:Instructions={text} "
            f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}" Iptc4xmpExt:AISystemUsed={model}/>'
            '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
        )
        return packet.encode()
