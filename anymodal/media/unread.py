"""Formats that people have and that are not read here, each with the way out."""

from __future__ import annotations

import re

_CONVERT = "convert it to PNG or JPEG"
_UNREAD: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"....ftyp(?:hei[cxms]|hev[cxms]|(?:mif[12]|msf1|miaf)(?!.{0,120}avi[fs]))",
        "HEIC",
        "convert it to JPEG (heif-convert a.heic a.jpg, or share it from the phone as 'most "
        "compatible')",
    ),
    (rb"....ftypcrx |FUJIFILMCCD-RAW|IIRO|IIRS|IIU\0|II\x2a\0.{4}CR", "a camera's raw picture",
     "develop it to JPEG or TIFF (in the camera's software, darktable or RawTherapee)"),
    (rb"\s*%PDF-", "PDF", "save its page as PNG (pdftoppm -png a.pdf a)"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", f"{_CONVERT} (djxl a.jxl a.png)"),
    (rb"II\xbc\x01", "JPEG XR", _CONVERT),
    (rb"8BPS", "PSD", "export it as PNG or TIFF"),
    (rb"gimp xcf", "a GIMP project (XCF)", "export it as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript", "save it as PNG (gs -sDEVICE=png16m)"),
    (rb"v/1\x01", "OpenEXR", "tone-map it to PNG, or save its values as NPY"),
    (rb"#\?(?:RADIANCE|RGBE)", "Radiance HDR", "tone-map it to PNG, or save its values as NPY"),
    (rb"DDS ", "DDS", _CONVERT),
    (rb"icns", "ICNS", _CONVERT),
    (rb"SIMPLE  =", "FITS", "save its values as NPY"),
    (rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:svg[\s>]|[?!].{0,4000}?<svg[\s>]))", "SVG",
     "draw it as PNG (rsvg-convert a.svg -o a.png)"),
    (rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!DOCTYPE html|html|head|body|!--.{0,4000}?<html))",
     "a web page (HTML)", "open the address in a browser and save the file itself"),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "XML", "give the medium itself"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive (or an Office file)", "unpack it and give one file"),
    (rb"\x1f\x8b\x08|BZh[1-9]|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c|Rar!\x1a\x07",
     "a compressed archive", "unpack it and give one file"),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file itself (git lfs pull)"),
)  # fmt: skip


def unread(head: bytes) -> tuple[str, str] | None:
    """The name of the format that a file starts as, and what to do, if it is one of these."""
    for pattern, label, advice in _UNREAD:
        if re.match(pattern, head, re.DOTALL):
            return label, advice
    return None
