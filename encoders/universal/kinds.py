"""The tokenizers of OneLLM's modalities (Han et al. 2024, arXiv:2312.03700, section 3.1).

Kernels, strides and numbers of tokens are OneLLM's; what it doesn't tell is said where it is set.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.encoders import preprocess
from anymodal.encoders.lengths import warn_if_cut
from anymodal.encoders.universal.points import CHANNELS, group_points
from anymodal.encoders.universal.tokenizers import (
    Patches,
    Tokenizer,
    TrunkSizes,
    check_positive,
    count_places,
)
from anymodal.media import IMU, Audio, Depth, Image, Normal, PointCloud, Video

_REMEDY = "give its tokenizer more `clips`, which are spread over a recording"


class PictureTokenizer(Tokenizer):
    """A picture by the trunk's own patches and positions: no weights of its own."""

    def __init__(self, trunk: TrunkSizes) -> None:
        super().__init__()
        self.size = trunk.size

    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        """Patches in reading order."""
        return patches(batch).flatten(2).transpose(1, 2)  # (B * P, D, h, w) -> (B * P, h * w, D)


class ImageTokenizer(PictureTokenizer):
    """Pictures: a square from the middle, CLIP's mean and deviation."""

    kind = "image"
    media = Image

    def prepare(self, media: Image) -> Tensor:
        """(1, 3, S, S)."""
        return preprocess.image_pixels(media.pixels, self.size)[None]


class NormalTokenizer(PictureTokenizer):
    """Maps of normals, shown as a picture: -1 to 1 are 0 to 255."""

    kind = "normal"
    media = Normal

    def prepare(self, media: Normal) -> Tensor:
        """(1, 3, S, S)."""
        pixels = ((media.values.clip(-1, 1) + 1) * 127.5).round().astype(np.uint8)
        return preprocess.image_pixels(pixels, self.size)[None]


class DepthTokenizer(PictureTokenizer):
    """Depth maps, shown as a grey picture: from black for the farthest to white for the nearest."""

    kind = "depth"
    media = Depth

    def prepare(self, media: Depth) -> Tensor:
        """(1, 3, S, S)."""
        values = media.values.astype(np.float64)
        shares = (values - values.min()) / (float(np.ptp(values)) or 1.0)
        grey = preprocess.map_square(shares, size=self.size, mean=0.0, std=1.0)  # (1, S, S)
        mean, std = (
            torch.tensor(of).view(3, 1, 1) for of in (preprocess.PIXEL_MEAN, preprocess.PIXEL_STD)
        )
        return ((grey.clamp(0, 1) - mean) / std)[None]


class VideoTokenizer(PictureTokenizer):
    """Clips, frame by frame as pictures.

    Args:
        trunk: what stands behind it.
        frames: how many, spread evenly, the first and the last included.
        average: average the frames' tokens, as OneLLM does; that can't tell a movement from its
            reverse. Else the frames' tokens follow one another.
    """

    kind = "video"
    media = Video

    def __init__(self, trunk: TrunkSizes, frames: int = 8, average: bool = False) -> None:
        super().__init__(trunk)
        check_positive(frames=frames)
        self.frames, self.average = frames, average

    def prepare(self, media: Video) -> Tensor:
        """(frames, 3, S, S)."""
        index = np.linspace(0, len(media.frames) - 1, self.frames).round().astype(np.int64)
        return torch.stack([preprocess.image_pixels(media.frames[i], self.size) for i in index])


class AudioTokenizer(Tokenizer):
    """Sound: a strided convolution over log-mel filter banks, 12 × 101 tokens as in OneLLM.

    Args:
        trunk: what stands behind it.
        mel_bins: bins of the filter bank.
        mel_frames: its frames, one every 10 ms; 1024 of them are 10.24 seconds.
        kernel: of the convolution, over bins and frames.
        stride: of the convolution.
        clips: stretches of this length, spread evenly over a sound.
        rate: Hz.
        mean: of the filter banks; the default is ImageBind's, which OneLLM's code has, too.
        std: their deviation, from there too.
    """

    kind = "audio"
    media = Audio

    def __init__(
        self,
        trunk: TrunkSizes,
        mel_bins: int = 128,
        mel_frames: int = 1024,
        kernel: int = 16,
        stride: int = 10,
        clips: int = 1,
        rate: int = 16000,
        mean: float = -4.268,
        std: float = 9.138,
    ) -> None:
        super().__init__()
        check_positive(mel_bins=mel_bins, mel_frames=mel_frames, clips=clips, rate=rate, std=std)
        count = count_places("mel_bins", mel_bins, kernel, stride)
        count *= count_places("mel_frames", mel_frames, kernel, stride)
        self.mel_bins, self.mel_frames, self.clips, self.rate = mel_bins, mel_frames, clips, rate
        self.mean, self.std = mean, std
        self.conv = nn.Conv2d(1, trunk.width, kernel, stride)
        self.positions = nn.Parameter(torch.empty(1 + count, trunk.width))

    @property
    def clip_seconds(self) -> float:
        """The length of a clip."""
        return preprocess.FRAME_SECONDS + (self.mel_frames - 1) * preprocess.SHIFT_SECONDS

    @property
    def seconds_read(self) -> float | None:
        """The length of an only clip."""
        return self.clip_seconds if self.clips == 1 else None

    def prepare(self, media: Audio) -> Tensor:
        """(clips, 1, mel_bins, mel_frames)."""
        warn_if_cut(media, self.seconds_read, _REMEDY)
        return preprocess.audio_mels(
            media.mono().resample(self.rate).samples[0],
            rate=self.rate,
            mel_bins=self.mel_bins,
            mel_frames=self.mel_frames,
            clips=self.clips,
            clip_seconds=self.clip_seconds,
            mean=self.mean,
            std=self.std,
        )

    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        """Bin by bin, from the lowest, each in the order of time."""
        tokens: Tensor = self.conv(batch).flatten(2).transpose(1, 2)  # (B * P, bins * frames, D)
        return tokens


class IMUTokenizer(Tokenizer):
    """Movement: a convolution over readings, 391 tokens as in OneLLM.

    Args:
        trunk: what stands behind it.
        samples: readings of a window.
        seconds: its length.
        kernel: of the convolution.
        stride: of the convolution.
        clips: windows, spread evenly over a recording.
    """

    kind = "imu"
    media = IMU

    def __init__(
        self,
        trunk: TrunkSizes,
        samples: int = 400,
        seconds: float = 2.0,
        kernel: int = 10,
        stride: int = 1,
        clips: int = 1,
    ) -> None:
        super().__init__()
        check_positive(samples=samples, seconds=seconds, clips=clips)
        count = count_places("samples", samples, kernel, stride)
        self.samples, self.seconds, self.clips = samples, seconds, clips
        self.conv = nn.Conv1d(6, trunk.width, kernel, stride, bias=False)
        self.positions = nn.Parameter(torch.empty(1 + count, trunk.width))

    @property
    def seconds_read(self) -> float | None:
        """The length of an only window."""
        return self.seconds if self.clips == 1 else None

    def prepare(self, media: IMU) -> Tensor:
        """(clips, 6, samples)."""
        warn_if_cut(media, self.seconds_read, _REMEDY)
        readings = media.resample(self.samples / self.seconds).samples
        return preprocess.imu_windows(readings, samples=self.samples, clips=self.clips)

    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        """In the order of time."""
        tokens: Tensor = self.conv(batch).transpose(1, 2)  # (B * P, D, N) -> (B * P, N, D)
        return tokens


class PointsTokenizer(Tokenizer):
    """Clouds of points: groups of neighbours, 1024 as in OneLLM, each by the strongest answers of
    its points to two shared layers (PointNet, Qi et al. 2017, section 4.2).

    Args:
        trunk: what stands behind it.
        groups: how many tokens.
        neighbours: points of a group.
        points: how many are looked at; larger clouds are thinned.
        hidden: width between the layers.
    """

    kind = "points"
    media = PointCloud

    def __init__(
        self,
        trunk: TrunkSizes,
        groups: int = 1024,
        neighbours: int = 32,
        points: int = 8192,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        check_positive(groups=groups, neighbours=neighbours, points=points, hidden=hidden)
        self.groups, self.neighbours, self.points = groups, neighbours, points
        self.layers = nn.Sequential(
            nn.Linear(CHANNELS, hidden), nn.GELU(), nn.Linear(hidden, trunk.width)
        )
        self.positions = nn.Parameter(torch.empty(1 + groups, trunk.width))

    def prepare(self, media: PointCloud) -> Tensor:
        """(1, groups, neighbours, 9): see `group_points`."""
        groups = group_points(
            media.points,
            media.colors,
            most=self.points,
            groups=self.groups,
            neighbours=self.neighbours,
        )
        return torch.from_numpy(groups)[None]

    def forward(self, batch: Tensor, patches: Patches) -> Tensor:
        """From the group of the outermost point on."""
        tokens: Tensor = self.layers(batch).amax(
            dim=2
        )  # (B * P, N, neighbours, D) -> (B * P, N, D)
        return tokens


KINDS = ("image", "video", "audio", "points", "depth", "normal", "imu")
"""Those of OneLLM that are here, in its order; fMRI isn't."""
