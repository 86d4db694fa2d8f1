"""Media to the inputs of ImageBind's trunks, by modality, at the sizes of a trunk's config."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from anymodal.encoders import preprocess
from anymodal.encoders.imagebind.config import (
    AudioConfig,
    IMUConfig,
    MapConfig,
    TrunkConfig,
    VisionConfig,
)
from anymodal.encoders.lengths import warn_if_cut
from anymodal.media import IMU, Audio, Depth, Image, Media, Thermal, Video

_REMEDY = "give the encoder more `clips`, which are spread over a recording"


class View(NamedTuple):
    """One modality's input to its trunk.

    Attributes:
        media: the class of its media.
        prepare: how they are prepared.
        seconds: how much of a recording one clip is; None for what is no recording.
    """

    media: type[Media]
    prepare: Callable[[Media, TrunkConfig], Tensor]
    seconds: Callable[[TrunkConfig], float] | None = None

    def seconds_read(self, config: TrunkConfig) -> float | None:
        """Seconds from its start that are read of a recording; None where all of it is."""
        if self.seconds is None or getattr(config, "clips", None) != 1:
            return None
        return self.seconds(config)


def _prepare_image(image: Media, c: TrunkConfig) -> Tensor:
    assert isinstance(image, Image) and isinstance(c, VisionConfig)
    return preprocess.image_pixels(image.pixels, c.size)


def _prepare_video(video: Media, c: TrunkConfig) -> Tensor:
    assert isinstance(video, Video) and isinstance(c, VisionConfig)
    warn_if_cut(video, VIEWS["video"].seconds_read(c), _REMEDY)
    return preprocess.video_clips(
        video.frames,
        video.fps,
        size=c.size,
        frames=c.frames,
        clips=c.clips,
        clip_seconds=c.clip_seconds,
        crops=c.crops,
        frame_seconds=c.frame_seconds,
    )


def _prepare_audio(audio: Media, c: TrunkConfig) -> Tensor:
    assert isinstance(audio, Audio) and isinstance(c, AudioConfig)
    warn_if_cut(audio, VIEWS["audio"].seconds_read(c), _REMEDY)
    return preprocess.audio_mels(
        audio.mono().resample(c.rate).samples[0],
        rate=c.rate,
        mel_bins=c.mel_bins,
        mel_frames=c.mel_frames,
        clips=c.clips,
        clip_seconds=c.clip_seconds,
        mean=c.mean,
        std=c.std,
        repeat=c.repeat,
    )


def _prepare_imu(imu: Media, c: TrunkConfig) -> Tensor:
    assert isinstance(imu, IMU) and isinstance(c, IMUConfig)
    warn_if_cut(imu, VIEWS["imu"].seconds_read(c), _REMEDY)
    readings = imu.resample(c.samples / c.clip_seconds).samples
    return preprocess.imu_windows(readings, samples=c.samples, clips=c.clips)


def _video_seconds(c: TrunkConfig) -> float:
    assert isinstance(c, VisionConfig)
    clip_length = None if c.frame_seconds is None else c.frames * c.frame_seconds
    return clip_length or c.clip_seconds


def _clip_seconds(c: TrunkConfig) -> float:
    assert isinstance(c, AudioConfig | IMUConfig)
    return c.clip_seconds


def _prepare_map(field: Media, c: TrunkConfig) -> Tensor:
    assert isinstance(field, Depth | Thermal) and isinstance(c, MapConfig)
    return preprocess.map_square(field.values, size=c.size, mean=c.mean, std=c.std)


# No lambdas: an encoder holds its view, and is pickled with it.
VIEWS = {
    "image": View(Image, _prepare_image),
    "video": View(Video, _prepare_video, _video_seconds),
    "audio": View(Audio, _prepare_audio, _clip_seconds),
    "imu": View(IMU, _prepare_imu, _clip_seconds),
    "depth": View(Depth, _prepare_map),
    "thermal": View(Thermal, _prepare_map),
}
