"""The formats of sound and video, told by their first bytes and read by a named demuxer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format told by its first bytes.

    Args:
        label: its name for a reader.
        group: how it is read: picture, gif, sound, container, table, cloud or array.
        demuxer: FFmpeg's name for it, where PyAV reads it; naming it keeps FFmpeg from
            guessing a playlist format, which could open further files.
        sndfile: whether libsndfile reads it, for sound; PyAV reads what libsndfile does not know.
        estimates: whether the header tells no length, and what FFmpeg gives is a guess.
        exact: whether the header tells the number of samples, so that a cut file is noticed.
    """

    label: str
    group: str
    demuxer: str = ""
    sndfile: bool = False
    estimates: bool = False
    exact: bool = False


WAV = Format("WAV", "sound", "wav", sndfile=True)
FLAC = Format("FLAC", "sound", "flac", sndfile=True, exact=True)
OGG = Format("Ogg", "sound", "ogg", sndfile=True)
AIFF = Format("AIFF", "sound", "aiff", sndfile=True)
AU = Format("AU", "sound", "au", sndfile=True)
CAF = Format("CAF", "sound", "caf", sndfile=True)
W64 = Format("W64", "sound", "w64", sndfile=True)
VOC = Format("VOC", "sound", "voc", sndfile=True)
SPHERE = Format("NIST SPHERE", "sound", sndfile=True)
MP3 = Format("MP3", "sound", "mp3", estimates=True)
AAC = Format("AAC", "sound", "aac", estimates=True)
AC3 = Format("AC-3", "sound", "ac3", estimates=True)
EAC3 = Format("E-AC-3", "sound", "eac3", estimates=True)
DTS = Format("DTS", "sound", "dts", estimates=True)
AMR = Format("AMR", "sound", "amr", estimates=True)
WAVPACK = Format("WavPack", "sound", "wv", exact=True)
APE = Format("Monkey's Audio", "sound", "ape", exact=True)
TTA = Format("TTA", "sound", "tta", exact=True)

MP4 = Format("MP4", "container", "mov")
WEBM = Format("WebM/Matroska", "container", "matroska")
AVI = Format("AVI", "container", "avi")
OGV = Format("Ogg video", "container", "ogg")
ASF = Format("ASF (WMV, WMA)", "container", "asf")
FLV = Format("FLV", "container", "flv")
MXF = Format("MXF", "container", "mxf")
IVF = Format("IVF", "container", "ivf")
NUT = Format("NUT", "container", "nut")
Y4M = Format("YUV4MPEG2", "container", "yuv4mpegpipe")
MPEG_TS = Format("MPEG-TS", "container", "mpegts", estimates=True)
MPEG_PS = Format("MPEG-PS", "container", "mpeg", estimates=True)
MPEG_VIDEO = Format("MPEG video", "container", "mpegvideo", estimates=True)

HEADLESS = (FLV, MPEG_TS, MPEG_PS)
"""Formats that describe streams in packets alone, so that FFmpeg must decode some to know them."""
BROADCAST = (MPEG_TS, MPEG_PS, MPEG_VIDEO)
"""Formats that may begin in the middle of a stream, with packets that refer to absent ones."""

SOUND_AND_VIDEO: tuple[tuple[bytes, Format], ...] = (
    (rb"(?:RIFF|RF64|BW64)....WAVE", WAV),
    (rb"(?:RIFF|RF64)....AVI[ X]", AVI),
    (rb"fLaC", FLAC),
    (rb"OggS.{0,1000}(?:\x80theora|BBCD\0|OVP80\x01)", OGV),
    (rb"OggS", OGG),
    (rb"FORM....AIF[FC]", AIFF),
    (rb"\.snd", AU),
    (rb"caff\0\x01", CAF),
    (rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", W64),
    (rb"Creative Voice File\x1a", VOC),
    (rb"NIST_1A\n", SPHERE),
    # A first byte of a size below 512 MiB is no letter, so that no text is taken for a box.
    (rb"....ftyp(?!avif|avis|heic|heix|mif1)", MP4),
    (rb"[\0-\x08\x0e-\x1f]...(?:moov|mdat|moof|free|skip|wide|pnot)", MP4),
    (rb"\x1aE\xdf\xa3", WEBM),
    (rb"FLV\x01", FLV),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF),
    (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01", MXF),
    (rb"DKIF\0\0", IVF),
    (rb"nut/multimedia container\0", NUT),
    (rb"YUV4MPEG2 ", Y4M),
    (rb"\0\0\x01\xba", MPEG_PS),
    (rb"\0\0\x01\xb3", MPEG_VIDEO),
    (rb"G.{187}G.{187}G|.{4}G.{191}G.{191}G", MPEG_TS),
    (rb"#!AMR(?:-WB)?\n", AMR),
    (rb"wvpk", WAVPACK),
    (rb"MAC .[\x0e\x0f]", APE),
    (rb"TTA1", TTA),
    (rb"\x0bw...[\x58-\x87]", EAC3),
    (rb"\x0bw", AC3),
    (rb"\x7f\xfe\x80\x01", DTS),
    (rb"\xff[\xf0\xf1\xf8\xf9]", AAC),
    (rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]", MP3),
)
