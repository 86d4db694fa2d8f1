"""The families of models that `TransformersEncoder` opens, by transformers' name of their type.

A family says which media its models read, how its processor is called, and which of a model's own
outputs are tokens, mask and embedding. Adding one is an entry in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image as PILImage
from torch import Tensor

from anymodal.encoders.lengths import warn_if_cut
from anymodal.io.protocols import MediaProcessor, ModelConfig
from anymodal.media import Audio, Image, Media, Video
from anymodal.types import TokenLayout

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHORTEST = 0.1  # seconds of sound, for filter banks need at least one window
LONGEST_SIDE = 8  # times the shorter one; what lies outside is cut off by the processor anyway


class Output(NamedTuple):
    """A model's outputs that encoding uses.

    Shapes: tokens (B, N, D); pooled (B, E); mask (B, N), bool, or None where all are real; layers
    (B, N, D) each, the embeddings' and every layer's output, where they were asked for.
    """

    tokens: Tensor
    pooled: Tensor
    mask: Tensor | None = None
    layers: tuple[Tensor, ...] | None = None


class Sizes(NamedTuple):
    """Lengths that a user chooses, where the family has no fixed size of its own."""

    seconds: float
    frames: int


Inputs = Mapping[str, Tensor]
"""A model's inputs by name."""

Prepare = Callable[[MediaProcessor, Media, Sizes], Inputs]
"""Processor, media item and sizes to the model's inputs, as a batch of one."""

Run = Callable[["PreTrainedModel", Inputs], Output]
"""A model and its inputs to its outputs."""

Layout = Callable[[ModelConfig, Mapping[str, tuple[int, ...]]], TokenLayout]
"""A model's configuration, and the shape of one item of each input, to the order of its tokens."""


@dataclass(frozen=True)
class EncoderFamily:
    """Adapter of the models of one type.

    Args:
        label: its name in messages and documents.
        media: the media it reads.
        prepare: how its processor is called.
        run: a model and its inputs to its outputs.
        width: a model's configuration to the width of the tokens.
        unused: modules that encoding has no use for and that aren't kept in memory.
        frames: a model's configuration to the frames it was trained with, 0 for none.
        has_cls_token: whether a class token stands before the patches, so that either may be
            chosen, and the layer that they are read at.
        post_norm: a model and its class token (B, D) to the token that the model itself
            pools.
        layout: a model's configuration and the shapes of its inputs to the order of its tokens.
        project: a model and tokens behind `post_norm` to those in the space that it has in common
            with its texts (…, E); None for a model without one.
        projected_width: a model's configuration to E.
    """

    label: str
    media: type[Media]
    prepare: Prepare
    run: Run
    width: Callable[[ModelConfig], int]
    unused: tuple[str, ...] = ()
    frames: Callable[[ModelConfig], int] = field(default=lambda config: 0)
    has_cls_token: bool = False
    post_norm: Callable[[PreTrainedModel, Tensor], Tensor] = field(
        default=lambda model, token: token
    )
    layout: Layout = field(default=lambda config, shapes: TokenLayout())
    project: Callable[[PreTrainedModel, Tensor], Tensor] | None = None
    projected_width: Callable[[ModelConfig], int] = field(
        default=lambda config: int(config.projection_dim)
    )


# ---- Media to inputs ---------------------------------------------------------------------------


def _pictures(processor: MediaProcessor, image: Media, _sizes: Sizes) -> Inputs:
    assert isinstance(image, Image), "TransformersEncoder.prepare refuses others"
    pixels = image.pixels
    if getattr(processor, "do_center_crop", None):
        # A thread-like picture would be resized to gigabytes before its middle is cut out.
        height, width = pixels.shape[:2]
        most = LONGEST_SIDE * min(height, width)
        top, left = max(height - most, 0) // 2, max(width - most, 0) // 2
        pixels = pixels[top : top + most, left : left + most]
    inputs: Inputs = processor(images=PILImage.fromarray(pixels), return_tensors="pt")
    return inputs


class Sounds:
    """Samples at the processor's rate, no more of them than its window, from the start.

    A longer recording is cut with a warning.

    Args:
        window: the samples that a processor takes at once; None for a model without a length of
            its own.
        settings: of the processor's call.
    """

    def __init__(
        self, window: Callable[[MediaProcessor], int] | None = None, **settings: object
    ) -> None:
        self.window, self.settings = window, settings

    def samples_read(self, processor: MediaProcessor, sizes: Sizes) -> int:
        """Samples from its start that are read of a sound."""
        if self.window is not None:
            return self.window(processor)
        step = getattr(processor, "hop_length", 1)
        return int(-(-round(sizes.seconds * processor.sampling_rate) // step) * step)

    def __call__(self, processor: MediaProcessor, audio: Media, sizes: Sizes) -> Inputs:
        """The processor's inputs of a sound."""
        assert isinstance(audio, Audio), "TransformersEncoder.prepare refuses others"
        rate, most = processor.sampling_rate, self.samples_read(processor, sizes)
        wave = audio.mono().resample(rate).samples[0]
        arguments = dict(self.settings)  # a copy, since all calls share the settings
        if self.window is None:
            arguments |= {"padding": "max_length", "max_length": most}
            remedy = "open the encoder with more `seconds`"
        else:
            remedy = "the model reads no more at once, so give it the recording in pieces"
        warn_if_cut(audio, most / rate, remedy)
        wave = wave[:most]
        wave = np.pad(wave, (0, max(0, round(SHORTEST * rate) - len(wave))))
        inputs: Inputs = processor(wave, sampling_rate=rate, return_tensors="pt", **arguments)
        return inputs


def _clips(processor: MediaProcessor, video: Media, sizes: Sizes) -> Inputs:
    """Frames spread evenly from the first to the last, both included."""
    assert isinstance(video, Video), "TransformersEncoder.prepare refuses others"
    index = np.linspace(0, len(video.frames) - 1, sizes.frames).round().astype(np.int64)
    inputs: Inputs = processor(
        videos=[video.frames[index]], do_sample_frames=False, return_tensors="pt"
    )
    return inputs


def _ast_window(processor: MediaProcessor) -> int:
    """Samples of as many frames as an AST reads: windows of 25 ms every 10 ms."""
    rate: int = processor.sampling_rate
    return round(0.025 * rate) + (int(processor.max_length) - 1) * round(0.010 * rate)


# ---- Inputs to outputs -------------------------------------------------------------------------


def _features(method: str, mask: str | None = None) -> Run:
    """A model with a joint space: its `get_…_features` has both outputs."""

    def run(model: PreTrainedModel, inputs: Inputs) -> Output:
        output = getattr(model, method)(**inputs)
        real = None if mask is None else inputs[mask].bool()
        layers = getattr(output, "hidden_states", None)
        return Output(output.last_hidden_state, output.pooler_output, real, layers)

    return run


def _pooling(model: PreTrainedModel, inputs: Inputs) -> Output:
    output = model(**inputs)
    layers = getattr(output, "hidden_states", None)
    return Output(output.last_hidden_state, output.pooler_output, layers=layers)


def _seeing(model: PreTrainedModel, inputs: Inputs) -> Output:
    return _pooling(model.vision_model, inputs)


def _clap(model: PreTrainedModel, inputs: Inputs) -> Output:
    output = model.get_audio_features(**inputs)
    tokens = output.last_hidden_state.flatten(2).transpose(1, 2)  # (B, D, F, T) -> (B, F * T, D)
    return Output(tokens, output.pooler_output)


def _whisper(model: PreTrainedModel, inputs: Inputs) -> Output:
    """The encoder's states; those of the silence that fills its 30 seconds are masked."""
    tokens = model.encoder(inputs["input_features"]).last_hidden_state
    mask = inputs["attention_mask"].bool()[:, ::2]  # its second convolution has stride 2
    weights = mask.to(tokens.dtype)[..., None]
    return Output(tokens, (tokens * weights).sum(dim=1) / weights.sum(dim=1), mask)


def _waves(model: PreTrainedModel, inputs: Inputs) -> Output:
    """Wav2vec 2.0 and its kin: states of real samples, and their mean.

    Those that normalise their first layer over time were trained on silence unmasked, as
    transformers says of them, and see no mask.
    """
    mask = inputs["attention_mask"]
    attention_mask = None if getattr(model.config, "feat_extract_norm", "") == "group" else mask
    tokens = model(inputs["input_values"], attention_mask=attention_mask).last_hidden_state
    real = model._get_feature_vector_attention_mask(tokens.shape[1], mask).bool()
    weights = real.to(tokens.dtype)[..., None]
    return Output(tokens, (tokens * weights).sum(dim=1) / weights.sum(dim=1), real)


def _classing(model: PreTrainedModel, inputs: Inputs) -> Output:
    """The class token, without a pooling layer that most checkpoints lack."""
    output = model(**inputs)
    layers = getattr(output, "hidden_states", None)
    return Output(output.last_hidden_state, output.last_hidden_state[:, 0], layers=layers)


def _patching(model: PreTrainedModel, inputs: Inputs) -> Output:
    return _pooling(model, inputs)._replace(mask=inputs["pixel_attention_mask"].bool())


def _vjepa2(model: PreTrainedModel, inputs: Inputs) -> Output:
    # The predictor isn't kept in memory, see `unused`.
    tokens = model(**inputs, skip_predictor=True).last_hidden_state
    return Output(tokens, tokens.mean(dim=1))


def _pe_audio(model: PreTrainedModel, inputs: Inputs) -> Output:
    output = model.audio_encoder(**inputs)
    pooled = model.audio_head(output.pooler_output)
    return Output(output.last_hidden_state, pooled, output.output_mask.bool())


def _pe_video(model: PreTrainedModel, inputs: Inputs) -> Output:
    output = model.video_encoder(**inputs)
    return Output(output.last_hidden_state, model.video_head(output.pooler_output))


def _vision(config: ModelConfig) -> int:
    return int(config.vision_config.hidden_size)


def _hidden(config: ModelConfig) -> int:
    return int(config.hidden_size)


def _adapter_width(config: ModelConfig) -> int:
    """The width behind wav2vec 2.0's adapter, where it has one."""
    return int(config.output_hidden_size if config.add_adapter else config.hidden_size)


def _listening(label: str, width: Callable[[ModelConfig], int]) -> EncoderFamily:
    """Wav2vec 2.0 or one of its kin."""
    return EncoderFamily(
        label, Audio, Sounds(truncation=True, return_attention_mask=True), _waves, width
    )


# ---- Order of tokens ---------------------------------------------------------------------------


def _patches(class_tokens: int) -> Layout:
    """Class tokens, registers where the configuration has some, and patches by row and column."""

    def layout(config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> TokenLayout:
        vision = getattr(config, "vision_config", config)
        _, height, width = shapes["pixel_values"]
        rows, columns = height // vision.patch_size, width // vision.patch_size
        return TokenLayout(class_tokens, getattr(vision, "num_register_tokens", 0), (rows, columns))

    return layout


def _tubelets(config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> TokenLayout:
    """V-JEPA 2's: two frames and a patch each, by time, row and column."""
    frames, _, height, width = shapes["pixel_values_videos"]
    patch = config.patch_size
    return TokenLayout(0, 0, (frames // config.tubelet_size, height // patch, width // patch))


def _spectrogram_patches(config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> TokenLayout:
    """AST's: a class and a distillation token, then patches by frequency and time."""
    frames, bins = shapes["input_values"]
    rows = (bins - config.patch_size) // config.frequency_stride + 1
    columns = (frames - config.patch_size) // config.time_stride + 1
    return TokenLayout(2, 0, (rows, columns))


_TEXT = ("text_model", "text_projection")
_ASKING = ("query_tokens", "qformer", "language_projection", "language_model")

FAMILIES: dict[str, EncoderFamily] = {
    "clip": EncoderFamily(
        "CLIP",
        Image,
        _pictures,
        _features("get_image_features"),
        _vision,
        _TEXT,
        has_cls_token=True,
        post_norm=lambda model, token: model.vision_model.post_layernorm(token),
        layout=_patches(1),
        project=lambda model, tokens: model.visual_projection(tokens),
    ),
    "clip_vision_model": EncoderFamily(
        "CLIP's vision tower",
        Image,
        _pictures,
        _pooling,
        _hidden,
        has_cls_token=True,
        # Some versions of transformers nest it.
        post_norm=lambda model, token: getattr(model, "vision_model", model).post_layernorm(token),
        layout=_patches(1),
    ),
    "blip-2": EncoderFamily(
        "BLIP-2's ViT-g",
        Image,
        _pictures,
        _seeing,
        _vision,
        _ASKING,
        has_cls_token=True,
        layout=_patches(1),
    ),
    "instructblip": EncoderFamily(
        "InstructBLIP's ViT-g",
        Image,
        _pictures,
        _seeing,
        _vision,
        _ASKING,
        has_cls_token=True,
        layout=_patches(1),
    ),
    "siglip": EncoderFamily(
        "SigLIP",
        Image,
        _pictures,
        _features("get_image_features"),
        _vision,
        _TEXT,
        layout=_patches(0),
    ),
    "siglip2": EncoderFamily(
        "SigLIP 2",
        Image,
        _pictures,
        _features("get_image_features", "pixel_attention_mask"),
        _vision,
        _TEXT,
    ),
    "siglip_vision_model": EncoderFamily(
        "SigLIP's vision tower", Image, _pictures, _pooling, _hidden, layout=_patches(0)
    ),
    "siglip2_vision_model": EncoderFamily(
        "SigLIP 2's vision tower", Image, _pictures, _patching, _hidden
    ),
    "vit": EncoderFamily(
        "ViT",
        Image,
        _pictures,
        _classing,
        _hidden,
        ("pooler",),
        has_cls_token=True,
        layout=_patches(1),
    ),
    "deit": EncoderFamily(
        "DeiT", Image, _pictures, _classing, _hidden, ("pooler",), layout=_patches(2)
    ),
    "dinov2": EncoderFamily(
        "DINOv2", Image, _pictures, _pooling, _hidden, has_cls_token=True, layout=_patches(1)
    ),
    "dinov2_with_registers": EncoderFamily(
        "DINOv2 with registers", Image, _pictures, _pooling, _hidden, layout=_patches(1)
    ),
    "dinov3_vit": EncoderFamily("DINOv3", Image, _pictures, _pooling, _hidden, layout=_patches(1)),
    "clap": EncoderFamily(
        "CLAP",
        Audio,
        Sounds(lambda processor: processor.nb_max_samples),
        _clap,
        lambda config: int(config.audio_config.hidden_size),
        _TEXT,
    ),
    "audio-spectrogram-transformer": EncoderFamily(
        "AST", Audio, Sounds(_ast_window), _pooling, _hidden, layout=_spectrogram_patches
    ),
    "whisper": EncoderFamily(
        "Whisper's encoder",
        Audio,
        Sounds(lambda processor: processor.n_samples, return_attention_mask=True),
        _whisper,
        lambda config: int(config.d_model),
        ("decoder",),
    ),
    "wav2vec2": _listening("wav2vec 2.0", _adapter_width),
    "hubert": _listening("HuBERT", _hidden),
    "wavlm": _listening("WavLM", _adapter_width),
    "data2vec-audio": _listening("data2vec audio", _adapter_width),
    "vjepa2": EncoderFamily(
        "V-JEPA 2",
        Video,
        _clips,
        _vjepa2,
        _hidden,
        ("predictor",),
        lambda config: int(config.frames_per_clip),
        layout=_tubelets,
    ),
    "pe_audio": EncoderFamily(
        "PE audio",
        Audio,
        Sounds(),
        _pe_audio,
        lambda config: int(config.audio_config.hidden_size),
        (*_TEXT, "text_audio_head"),
    ),
    "pe_video": EncoderFamily(
        "PE video",
        Video,
        _clips,
        _pe_video,
        lambda config: int(config.video_config.hidden_size),
        (*_TEXT, "text_video_head"),
    ),
}

TOWERS: dict[str, dict[str, str]] = {
    "pe_audio_video": {"audio": "pe_audio", "video": "pe_video"},
}
"""Models of several, by transformers' name of their type: each tower's name and its own type.

The configuration has a tower's as `{name}_config`, and its weights are among the model's.
"""
