"""Sizes of ImageBind's trunks, and the presets `huge` (as published) and `nano` (the Toybox's).

Each trunk has one dataclass that says all there is to know of its network and of its input, so
that preprocessing follows the model. Class variables are what every size of a trunk shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

Entry = TypeVar("Entry")


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """The transformer of a trunk.

    Args:
        width: channels, a multiple of `heads`.
        blocks: how many transformer blocks.
        heads: attention heads.
        drop_path: the last block's probability of being skipped; it grows linearly with depth.
        logit_scale: initial factor of the normalised embedding; None for none at all.

    Raises:
        ValueError: if `heads` does not divide `width`, or a size is not positive.
    """

    width: int
    blocks: int
    heads: int
    drop_path: float = 0.0
    logit_scale: float | None = None

    ndim: ClassVar[int] = 4  # dimensions of a batch of single items; one more means clips
    kv_bias: ClassVar[bool] = True  # learned key and value appended in every attention
    pre_norm: ClassVar[bool] = False  # LayerNorm before the first block
    learned_scale: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is int and value < 1:
                raise ValueError(f"{field.name}={value} of a trunk must be at least 1")
            # None only where it is the default, which says that there is no such time.
            is_set = field.name.endswith("_seconds") and value is not field.default
            if is_set and (value is None or value <= 0):
                raise ValueError(f"{field.name}={value} of a trunk must be above 0 seconds")
        if self.width % self.heads:
            raise ValueError(
                f"width={self.width} is not a multiple of heads={self.heads}; change one of them"
            )


@dataclass(frozen=True, kw_only=True)
class VisionConfig(TrunkConfig):
    """Images and video: squares of `size` pixels, `frames` frames deep.

    A video is `clips` clips of `frames` frames, each cut at `crops` places. The clips span
    `clip_seconds` and are spread over the video; with `frame_seconds` they have a frame every so
    many seconds instead, so that a tempo looks the same at any length, and follow each other from
    the video's start, or are spread over one that is longer than they are together.
    """

    size: int = 224
    patch: int = 14
    frames: int = 2
    clips: int = 5
    clip_seconds: float = 2.0
    frame_seconds: float | None = None
    crops: int = 3

    kv_bias: ClassVar[bool] = False
    pre_norm: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class TextConfig(TrunkConfig):
    """Text: `context` token ids, read at the end-of-text token, which has the largest id."""

    context: int = 77
    vocab_size: int = 49408
    logit_scale: float | None = 1 / 0.07

    ndim: ClassVar[int] = 2
    kv_bias: ClassVar[bool] = False
    learned_scale: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class AudioConfig(TrunkConfig):
    """Sound: log-mel filter banks of `clips` clips spread over it, (x - mean) / std.

    What is missing of a clip is zero as a filter bank, as published; with `repeat` the sound starts
    over until it fills the clip.
    """

    rate: int = 16000
    mel_bins: int = 128
    mel_frames: int = 204
    kernel: int = 16
    stride: int = 10
    clips: int = 3
    clip_seconds: float = 2.0
    mean: float = -4.268
    std: float = 9.138
    repeat: bool = False
    logit_scale: float | None = 20.0


@dataclass(frozen=True, kw_only=True)
class MapConfig(TrunkConfig):
    """Depth and thermal: one channel, squares of `size` pixels, (x - mean) / std."""

    size: int = 224
    patch: int = 16
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True, kw_only=True)
class IMUConfig(TrunkConfig):
    """Movement: `clips` windows of `samples` readings that span `clip_seconds` each, spread over a
    recording.
    """

    samples: int = 2000
    kernel: int = 8
    clips: int = 1
    clip_seconds: float = 5.0
    head_dropout: float = 0.5
    logit_scale: float | None = 5.0

    ndim: ClassVar[int] = 3


CONFIGS: dict[str, type[TrunkConfig]] = {
    "vision": VisionConfig,
    "text": TextConfig,
    "audio": AudioConfig,
    "depth": MapConfig,
    "thermal": MapConfig,
    "imu": IMUConfig,
}

HUGE: dict[str, TrunkConfig] = {
    "vision": VisionConfig(width=1280, blocks=32, heads=16),
    "text": TextConfig(width=1024, blocks=24, heads=16),
    "audio": AudioConfig(width=768, blocks=12, heads=12, drop_path=0.1),
    "depth": MapConfig(width=384, blocks=12, heads=8, mean=0.0418, std=0.0295, logit_scale=5.0),
    "thermal": MapConfig(width=768, blocks=12, heads=12, logit_scale=10.0),
    "imu": IMUConfig(width=512, blocks=6, heads=8, drop_path=0.7),
}

NANO: dict[str, TrunkConfig] = {
    "vision": VisionConfig(
        width=128, blocks=4, heads=4, size=64, patch=8, clips=4, frame_seconds=0.25, crops=1
    ),
    "text": TextConfig(width=128, blocks=3, heads=4, context=32),
    "audio": AudioConfig(
        width=128, blocks=4, heads=4, mel_bins=64, stride=16, clips=1, repeat=True
    ),
    "depth": MapConfig(
        width=96, blocks=3, heads=4, size=64, patch=8, mean=0.0418, std=0.0295, logit_scale=5.0
    ),
    "thermal": MapConfig(width=96, blocks=3, heads=4, size=64, patch=8, logit_scale=10.0),
    "imu": IMUConfig(width=96, blocks=3, heads=4, samples=400, clip_seconds=2.0, head_dropout=0.0),
}

PRESETS: dict[str, tuple[int, dict[str, TrunkConfig]]] = {"huge": (1024, HUGE), "nano": (128, NANO)}
"""Every preset's embedding width and trunks."""


def select_entries(
    options: Mapping[str, Entry], names: Sequence[str], what: str
) -> dict[str, Entry]:
    """The entries of `options` called `names`, in that order.

    Raises:
        ValueError: if a name is not among the options.
    """
    for name in names:
        if name not in options:
            raise ValueError(f"{what} {name!r} is unknown; choose from {', '.join(options)}")
    return {name: options[name] for name in names}


def trunk_config(name: str, config: TrunkConfig | Mapping[str, Any]) -> TrunkConfig:
    """The config of the trunk `name`, from itself or from its fields.

    Raises:
        ValueError: if there is no such trunk, or a field is missing or unknown.
        TypeError: if the config is another trunk's or no mapping.
    """
    kind: type[TrunkConfig] = select_entries(CONFIGS, [name], "trunk")[name]
    if isinstance(config, kind):
        return config
    if not isinstance(config, Mapping):
        raise TypeError(f"trunk {name!r} takes a {kind.__name__}, not a {type(config).__name__}")
    try:
        return kind(**config)
    except TypeError as error:
        names = ", ".join(field.name for field in fields(kind))
        raise ValueError(f"trunk {name!r}: {error}; its fields are {names}") from None


def preset_configs(
    name: str, modalities: Sequence[str] | None, changes: Mapping[str, Mapping[str, object]]
) -> tuple[int, dict[str, TrunkConfig]]:
    """A preset's embedding width and chosen trunks, with some of their fields changed.

    Raises:
        ValueError: if the preset, a trunk or a field is unknown.
    """
    embedding, trunks = select_entries(PRESETS, [name], "preset")[name]
    selection = select_entries(trunks, list(trunks) if modalities is None else modalities, "trunk")
    for trunk in select_entries(selection, list(changes), "trunk"):
        selection[trunk] = trunk_config(trunk, {**asdict(selection[trunk]), **changes[trunk]})
    return embedding, selection
