"""What differs between families of diffusers pipelines, one small adapter each.

A family knows its pipeline's media, the way into its latents, how its network is called and how
its `__call__` is asked. Noise, targets and sampling loops are the scheduler's and the pipeline's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from diffusers.models.embeddings import get_1d_rotary_pos_embed
from torch import Tensor

from anymodal.media import Audio, Image, Video
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from anymodal.decoders.base import Generators, Progress
    from anymodal.media import Media


def squared(pixels: np.ndarray, size: int) -> Tensor:
    """Crop uint8 pixels (H, W, 3) to the middle square, resize, and give (3, size, size) in ±1."""
    from PIL import Image as Pillow

    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    pixels = pixels[top : top + side, left : left + side]
    if side != size:
        resized = Pillow.fromarray(pixels).resize((size, size), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(resized)
    values = torch.tensor(pixels).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return values.float() / 127.5 - 1


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Turn a picture's values in [0, 1] into uint8."""
    return (values * 255).round().clip(0, 255).astype(np.uint8)


class Family(ABC):
    """One family of pipelines.

    Attributes:
        media: what it makes.
        longest: the longest caption that the pipeline takes, in tokens.
        fewest: the fewest denoising steps that the pipeline takes.
        latent_shape: shape of one item's latents.
        media_shape: shape of one prepared medium.
    """

    media: ClassVar[type[Media]]
    longest: ClassVar[int] = 10_000
    fewest: ClassVar[int] = 1
    latent_shape: tuple[int, ...]
    media_shape: tuple[int, ...]

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    @property
    def length(self) -> int:
        """Length of a caption's conditioning, in tokens."""
        return min(int(self.pipeline.tokenizer.model_max_length), self.longest)

    @property
    def width(self) -> int:
        """Width of a caption's conditioning."""
        return int(self.pipeline.text_encoder.config.hidden_size)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        """Give what the pipeline's `encode_prompt` gives, with its gradient."""
        pipeline = self.pipeline
        tokens = pipeline.tokenizer(
            self.cleaned(captions),
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="pt",
        )
        encoder = pipeline.text_encoder
        mask = tokens.attention_mask.to(encoder.device)
        embeds = encoder(tokens.input_ids.to(encoder.device), attention_mask=mask)[0]
        return self.conditioned(Conditioning(embeds, mask.bool()))

    def cleaned(self, captions: Sequence[str]) -> list[str]:
        """Give the captions as the pipeline writes them before it tokenises them."""
        return list(captions)

    def conditioned(self, conditioning: Conditioning) -> Conditioning:
        """Apply a mask in the way the family does, where its network takes no mask."""
        return conditioning

    def common(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        steps: int,
        guidance: float,
        generator: Generators,
    ) -> dict[str, Any]:
        """Give the arguments that every pipeline's `__call__` takes."""
        return {
            "prompt_embeds": positive.embeds,
            "negative_prompt": None,
            "negative_prompt_embeds": None if negative is None else negative.embeds,
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            "generator": generator,
        }

    @abstractmethod
    def prepare(self, media: Any) -> Tensor:
        """Turn one medium into a tensor of `media_shape`."""

    @abstractmethod
    def encode(self, batch: Tensor) -> Tensor:
        """Turn prepared media into scaled latents."""

    @abstractmethod
    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """Call the network; the result is like the inputs."""

    @abstractmethod
    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        """Call the pipeline."""


class Pixels(Family):
    """Families over an `AutoencoderKL` of pictures."""

    def __init__(self, pipeline: Any, network: Any) -> None:
        super().__init__(pipeline)
        side = int(network.config.sample_size)
        self.size = side * int(pipeline.vae_scale_factor)
        self.latent_shape = (int(network.config.in_channels), side, side)
        self.media_shape = (3, self.size, self.size)

    def prepare(self, media: Any) -> Tensor:
        return squared(media.pixels, self.size)

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        return torch.as_tensor(vae.encode(batch).latent_dist.mode() * vae.config.scaling_factor)


class PixArt(Pixels):
    """PixArt-α (https://arxiv.org/abs/2310.00426)."""

    media = Image
    longest = 120
    fewest = 2  # its pipeline keeps a single step for distilled schedulers, and fails on others

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.transformer)

    def cleaned(self, captions: Sequence[str]) -> list[str]:
        return list(self.pipeline._text_preprocessing(list(captions)))

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        network = self.pipeline.transformer
        extra: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if network.use_additional_conditions:
            size = torch.full((len(inputs), 2), float(self.size), device=inputs.device)
            extra = {"resolution": size, "aspect_ratio": torch.ones_like(size[:, :1])}
        output: Tensor = network(
            inputs,
            encoder_hidden_states=conditioning.embeds,
            encoder_attention_mask=conditioning.mask,
            timestep=timesteps,
            added_cond_kwargs=extra,
        ).sample
        return output[:, : inputs.shape[1]]  # (B, C or 2C, h, w) -> without a learned variance

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        made = self.pipeline(
            **self.common(positive, negative, steps, guidance, generator),
            prompt_attention_mask=positive.mask.long(),
            negative_prompt_attention_mask=None if negative is None else negative.mask.long(),
            height=self.size,
            width=self.size,
            use_resolution_binning=False,
            output_type="np",
            callback=lambda step, _time, _latents: progress(step + 1, steps),
        ).images
        return [Image(to_bytes(pixels)) for pixels in made]


class PixArtSigma(PixArt):
    """PixArt-Σ (https://arxiv.org/abs/2403.04692): PixArt-α with longer captions."""

    longest = 300
    fewest = 1


class StableDiffusion(Pixels):
    """Stable Diffusion 1 and 2 (https://arxiv.org/abs/2112.10752), a UNet that takes no mask."""

    media = Image

    def __init__(self, pipeline: Any) -> None:
        super().__init__(pipeline, pipeline.unet)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        pipeline = self.pipeline
        tokens = pipeline.tokenizer(
            list(captions),
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="pt",
        )
        encoder = pipeline.text_encoder
        masked = getattr(encoder.config, "use_attention_mask", False)
        mask = tokens.attention_mask.to(encoder.device) if masked else None
        embeds = encoder(tokens.input_ids.to(encoder.device), attention_mask=mask)[0]
        # The padding is attended to, as it was when the network was trained.
        return Conditioning(
            embeds, torch.ones(embeds.shape[:2], dtype=torch.bool).to(embeds.device)
        )

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.unet(
            inputs, timesteps, encoder_hidden_states=conditioning.embeds
        ).sample
        return output

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        made = self.pipeline(
            **self.common(positive, negative, steps, guidance, generator),
            output_type="np",
            callback_on_step_end=reporting(progress, steps),
        ).images
        return [Image(to_bytes(pixels)) for pixels in made]


class Latte(Pixels):
    """Latte (https://arxiv.org/abs/2401.03048): frames through a picture autoencoder.

    The network takes no mask, so padding is zeroed. The pipeline has no frame rate: `fps` is the
    user's to tell.
    """

    media = Video
    longest = 120

    def __init__(self, pipeline: Any, fps: float = 8.0) -> None:
        super().__init__(pipeline, pipeline.transformer)
        self.fps = fps
        self.frames = int(pipeline.transformer.config.video_length)
        channels, side, _ = self.latent_shape
        self.latent_shape = (channels, self.frames, side, side)
        self.media_shape = (3, self.frames, self.size, self.size)

    def cleaned(self, captions: Sequence[str]) -> list[str]:
        return list(self.pipeline._text_preprocessing(list(captions)))

    def conditioned(self, conditioning: Conditioning) -> Conditioning:
        return zeroed(conditioning)

    def prepare(self, media: Any) -> Tensor:
        frames = media.sample(np.arange(self.frames) / self.fps)
        return torch.stack([squared(frame, self.size) for frame in frames], dim=1)

    def encode(self, batch: Tensor) -> Tensor:
        flat = batch.transpose(1, 2).flatten(0, 1)  # (B, 3, T, H, W) -> (B * T, 3, H, W)
        latents: Tensor = super().encode(flat).unflatten(0, (-1, self.frames))
        return latents.transpose(1, 2)  # (B, T, C, h, w) -> (B, C, T, h, w)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.transformer(
            inputs, timestep=timesteps, encoder_hidden_states=conditioning.embeds
        ).sample
        return output[:, : inputs.shape[1]]  # (B, 2C, T, h, w) -> without a learned variance

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        made = self.pipeline(
            **self.common(positive, negative, steps, guidance, generator),
            mask_feature=False,  # it would mask by the width of the embeddings, not by our mask
            video_length=self.frames,
            height=self.size,
            width=self.size,
            output_type="np",
            callback_on_step_end=reporting(progress, steps),
        ).frames
        return [Video(to_bytes(frames), self.fps) for frames in made]


class StableAudio(Family):
    """Stable Audio Open (https://arxiv.org/abs/2407.14358), `seconds` long, at most its full time.

    The conditioning is the caption encoder's; the pipeline projects it and zeroes the padding.
    """

    media = Audio

    def __init__(self, pipeline: Any, seconds: float | None = None) -> None:
        super().__init__(pipeline)
        vae, network = pipeline.vae, pipeline.transformer
        self.rate = int(vae.config.sampling_rate)
        self.channels = int(vae.config.audio_channels)
        self.samples = int(network.config.sample_size) * int(vae.hop_length)
        self.latent_shape = (int(network.config.in_channels), int(network.config.sample_size))
        self.media_shape = (self.channels, self.samples)
        longest = self.samples / self.rate
        self.seconds = longest if seconds is None else seconds
        if not 0 < self.seconds <= longest:
            raise ValueError(f"seconds={seconds}, but this pipeline makes up to {longest:g} s")

    def conditioned(self, conditioning: Conditioning) -> Conditioning:
        return zeroed(conditioning)

    def prepare(self, media: Any) -> Tensor:
        if len(media.samples) != self.channels:
            media = media.mono()
        samples = media.resample(self.rate).samples.repeat(self.channels // len(media.samples), 0)
        samples = samples[:, : round(self.seconds * self.rate)]
        padding = self.samples - samples.shape[1]
        return torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))

    def encode(self, batch: Tensor) -> Tensor:
        return torch.as_tensor(self.pipeline.vae.encode(batch).latent_dist.mode())

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline, count = self.pipeline, len(inputs)
        embeds = pipeline.projection_model(text_hidden_states=conditioning.embeds)
        text = embeds.text_hidden_states * conditioning.mask.unsqueeze(-1)
        start, end = pipeline.encode_duration(0.0, self.seconds, inputs.device, False, count)
        rotary = get_1d_rotary_pos_embed(
            pipeline.rotary_embed_dim,
            inputs.shape[2] + start.shape[1],
            use_real=True,
            repeat_interleave_real=False,
        )
        output: Tensor = pipeline.transformer(
            inputs,
            timesteps,
            encoder_hidden_states=torch.cat([text, start, end], dim=1),
            global_hidden_states=torch.cat([start, end], dim=2),
            rotary_embedding=rotary,
        ).sample
        return output

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
    ) -> list[Media]:
        made = self.pipeline(
            **self.common(positive, negative, steps, guidance, generator),
            audio_end_in_s=self.seconds,
            attention_mask=positive.mask.long(),
            negative_attention_mask=None if negative is None else negative.mask.long(),
            output_type="np",
            callback=lambda step, _time, _latents: progress(step + 1, steps),
        ).audios
        return [Audio(samples.clip(-1, 1), self.rate) for samples in made]


def zeroed(conditioning: Conditioning) -> Conditioning:
    """Set what the mask leaves out to zero."""
    return conditioning._replace(embeds=conditioning.embeds * conditioning.mask.unsqueeze(-1))


def reporting(progress: Progress, steps: int) -> Any:
    """Give the newer kind of diffusers callback, which may replace tensors and here does not."""

    def report(_pipeline: Any, step: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        progress(step + 1, steps)
        return {}

    return report


FAMILIES: dict[str, type[Family]] = {
    "PixArtAlphaPipeline": PixArt,
    "PixArtSigmaPipeline": PixArtSigma,
    "LattePipeline": Latte,
    "StableAudioPipeline": StableAudio,
    "StableDiffusionPipeline": StableDiffusion,
}
"""The families by the class name of their pipelines."""
