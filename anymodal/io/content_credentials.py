"""Content Credentials: provenance that is signed, so that it can be checked and not forged."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

MIMES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".gif": "image/gif", ".mp4": "video/mp4", ".wav": "audio/wav", ".flac": "audio/flac",
}  # fmt: skip
"""Formats that are signed, by suffix."""


class ContentSigner:
    """Signs files with the key of whoever runs a model (extra `c2pa`).

    A signed file differs each time, since it has an identifier of its own.

    Source: the C2PA specification 2.1, by the official `c2pa-python`.

    Args:
        key: a file with the private key, in PEM (PKCS #8).
        certificates: a file with the key's certificate, then those of who signed it, in PEM.
        algorithm: `es256`, `es384`, `es512`, `ps256`, `ps384`, `ps512` or `ed25519`.

    Raises:
        OSError: if a file can't be read.
        ValueError: if the package isn't there, or key and certificate can't sign.
    """

    def __init__(self, key: Path, certificates: Path, algorithm: str = "es256") -> None:
        self._c2pa = _open_c2pa()
        self._key, self._certificates = key.read_text("utf-8"), certificates.read_text("utf-8")
        self._algorithm = algorithm
        try:  # at once, not with the first file
            self._signer().close()
        except Exception as error:
            raise ValueError(
                f"{key} and {certificates} can't sign: {error}; give a private key in PEM "
                "(PKCS #8) and its chain of certificates"
            ) from error

    def sign(
        self, data: bytes, suffix: str, claim: dict[str, object], software: str, source_type: str
    ) -> bytes:
        """A file with credentials; one of a format that takes none stays as it is.

        Args:
            data: the file.
            suffix: of its format.
            claim: further facts of how it was made.
            software: that made it, with its version behind a blank.
            source_type: IPTC's word for how.
        """
        if suffix not in MIMES:
            return data
        name, _, version = software.rpartition(" ")
        agent = {"name": name, "version": version}
        action = {
            "action": "c2pa.created", "digitalSourceType": source_type, "softwareAgent": agent,
            "parameters": claim,
        }  # fmt: skip
        manifest = {
            "claim_generator_info": [agent], "format": MIMES[suffix],
            "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
        }  # fmt: skip
        target = BytesIO()
        with self._signer() as signer, self._c2pa.Builder(json.dumps(manifest)) as builder:
            builder.sign(signer, MIMES[suffix], BytesIO(data), target)
        return target.getvalue()

    def _signer(self) -> Any:
        info = self._c2pa.C2paSignerInfo(
            self._algorithm, self._certificates.encode(), self._key.encode(), None
        )
        return self._c2pa.Signer.from_info(info)


def _open_c2pa() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise ValueError(
            "Content Credentials need the package c2pa-python; pip install 'anymodal[c2pa]', or "
            "leave the key out"
        ) from error
    module: ModuleType = c2pa
    return module
