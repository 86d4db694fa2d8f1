"""Kinds of media by the suffixes of their files."""

from __future__ import annotations

_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
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
KINDS_BY_SUFFIX = {suffix: kinds for suffixes, kinds in _KINDS for suffix in suffixes.split()}
"""Kinds that a file of this suffix may hold; all that loads as a picture counts as image."""
