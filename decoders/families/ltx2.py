"""LTX-2: films with their sound, of captions and of a first frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.ltx2.utils import apply_image_conditioning_crf, resolve_default_image_crf
from diffusers.video_processor import VideoProcessor
from PIL import Image as Pillow
from torch import Tensor

from anymodal.decoders.calls import decode_any_precision, is_finite, replaced_attribute
from anymodal.decoders.clean import CleanReferences
from anymodal.decoders.families.causal_videos import Causal, normalized_latents
from anymodal.decoders.families.flow_images import default
from anymodal.decoders.families.mel import log_mel
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import FIRST, EncodedReference, Reference, ReferenceSlot
from anymodal.decoders.strength import (
    LaterCall,
    NoisedStart,
    draw_noise,
    first_step,
    noise_start,
    set_schedule,
)
from anymodal.media import Audio, Image, Media, Video
from anymodal.types import Conditioning

_WINDOW = 0.064
"""Seconds of a window of the spectrogram: 1024 samples of 16 kHz, as its autoencoder knows."""


class LTX2(Causal):
    """LTX-2 (https://arxiv.org/abs/2601.03233): a film and its sound, from one denoiser.

    The conditioning is what the pipeline's connectors make of its caption encoder's states, the
    film's beside the sound's: the states themselves are 49 layers wide. Latents are flat, the
    film's tokens first. Losses of film and sound count alike, as its own trainer adds them
    (https://github.com/Lightricks/LTX-2).

    Guidance leads the film away from the caption as it is asked to. With it come the pipeline's
    other kinds; a guidance of 1, which is for distilled weights, leaves all of them out.

    Args:
        pipeline: an `LTX2Pipeline`.
        frames, height, width: of the films; nothing in the pipeline tells them.
        fps: frames a second, an input of its network.
        sound_guidance: the weight of the sound's guidance; None for the film's.
        skip_guidance: of guidance away from a network whose `skipped_blocks` attend to nothing;
            0 for none.
        skipped_blocks: their numbers.
        apart_guidance: of guidance away from film and sound that don't see one another; 1 for none.
        rescale: how far a guided estimate gets the deviation of the one that isn't, from 0 to 1.
        picture_quality: of H.264, in which a first frame is written and read as those were that
            it was trained on; None for the pipeline's own, 0 for a frame as it is.

    Raises:
        ValueError: it can't make films of that size.
    """

    max_tokens = 1024
    caption_encoders = ("text_encoder", "connectors")
    autoencoders = ("vae", "audio_vae")

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 121,
        height: int = 512,
        width: int = 768,
        fps: float = 24.0,
        sound_guidance: float | None = 7.0,
        skip_guidance: float = 1.0,
        skipped_blocks: Sequence[int] = (28,),
        apart_guidance: float = 3.0,
        rescale: float = 0.7,
        picture_quality: int | None = None,
    ) -> None:
        factor = int(pipeline.vae_spatial_compression_ratio)
        super().__init__(
            pipeline,
            frames,
            (height, width),
            fps,
            compression=int(pipeline.vae_temporal_compression_ratio),
            factor=factor,
            step=32,  # its pipeline insists, whatever the autoencoder
        )
        self.guided = {
            "audio_guidance_scale": sound_guidance,
            "stg_scale": skip_guidance,
            "audio_stg_scale": None,
            "spatio_temporal_guidance_blocks": list(skipped_blocks),
            "modality_scale": apart_guidance,
            "audio_modality_scale": None,
            "guidance_rescale": rescale,
            "audio_guidance_rescale": None,
        }
        self.picture_quality = (
            resolve_default_image_crf(pipeline.text_encoder)
            if picture_quality is None
            else picture_quality
        )
        tokenizer: Any = pipeline.tokenizer
        tokenizer.padding_side = "left"  # as its call does
        vae, ratio = pipeline.audio_vae.config, int(pipeline.audio_vae_temporal_compression_ratio)
        self.rate, self.hop = int(vae.sample_rate), int(vae.mel_hop_length)
        #: The sound's latents: channels, length, and bands.
        self.sound_grid = (
            int(vae.latent_channels),
            round(frames / fps * (self.rate / self.hop / ratio)),
            int(vae.mel_bins) // int(pipeline.audio_vae_mel_compression_ratio),
        )
        self.sound_shape = (int(vae.in_channels), self.sound_grid[1] * ratio * self.hop)
        self.film_shape, self.film_grid = self.media_shape, self.latent_shape
        self.media_shape = (int(np.prod(self.film_shape)) + int(np.prod(self.sound_shape)),)
        self.error_parts = (int(np.prod(self.film_grid)), int(np.prod(self.sound_grid)))
        self.latent_shape = (sum(self.error_parts),)

    @property
    def pixels(self) -> tuple[int, int, int]:
        return (self.frames, *self.size)

    @property
    def tokens(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def widths(self) -> tuple[int, int]:
        """Widths of the film's and the sound's conditioning."""
        parts = self.pipeline.connectors
        return int(parts.video_connector.inner_dim), int(parts.audio_connector.inner_dim)

    @property
    def width(self) -> int:
        return sum(self.widths)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        pipeline = self.pipeline
        embeds, mask, _, _ = pipeline.encode_prompt(
            list(captions), do_classifier_free_guidance=False, max_sequence_length=self.length
        )
        film, sound, mask = pipeline.connectors(embeds, mask, padding_side="left")
        return Conditioning(torch.cat([film, sound], -1), mask.bool())

    def prepare(self, media: Media) -> Tensor:
        assert isinstance(media, Video), "DiffusionDecoder.prepare refuses others"
        if media.sound is None:
            raise ValueError(
                f"{media!r} has no sound, and LTX-2 makes and learns both; read its file with "
                'sound=True ({"path": …, "sound": true} in a row), or give it one, which may be an '
                "Audio of zeros"
            )
        channels, length = self.sound_shape
        sound = media.sound if len(media.sound.samples) == channels else media.sound.mono()
        samples = sound.resample(self.rate).samples.repeat(channels // len(sound.samples), 0)
        samples = np.pad(samples[:, :length], ((0, 0), (0, max(0, length - samples.shape[1]))))
        return torch.cat([super().prepare(media).flatten(), torch.from_numpy(samples).flatten()])

    def encode(self, batch: Tensor) -> Tensor:
        pipeline, frames = self.pipeline, int(np.prod(self.film_shape))
        film, waves = batch[:, :frames], batch[:, frames:]
        channels, length = self.sound_shape
        rows = log_mel(
            waves.reshape(-1, length),
            rate=self.rate,
            size=round(_WINDOW * self.rate),
            hop=self.hop,
            bands=int(pipeline.audio_vae.config.mel_bins),
        ).unflatten(0, (-1, channels))  # (B, channels, rows, bands)
        vae = pipeline.audio_vae
        sound = pipeline._normalize_audio_latents(
            pipeline._pack_audio_latents(vae.encode(rows.to(vae.dtype)).latent_dist.mode()),
            vae.latents_mean,
            vae.latents_std,
        )
        tokens = self.pack_film(self.encode_film(film.unflatten(1, self.film_shape)))
        return self.join(tokens, sound)

    def encode_film(self, batch: Tensor) -> Tensor:
        """Scaled latents (B, C, T, h, w) of frames (B, 3, T, H, W)."""
        return normalized_latents(self.pipeline, batch)

    def pack_film(self, latents: Tensor) -> Tensor:
        """Latents (B, C, T, h, w) as tokens (B, N, C')."""
        config = self.pipeline.transformer.config
        patches = int(config.patch_size), int(config.patch_size_t)
        return torch.as_tensor(self.pipeline._pack_latents(latents, *patches))

    def join(self, film: Tensor, sound: Tensor) -> Tensor:
        """Flat latents (B, n) of the tokens of film and sound."""
        return torch.cat([film.flatten(1), sound.flatten(1).to(film)], 1)

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens (B, N, C) of film and sound in flat latents."""
        film, sound = latents.split(self.error_parts, 1)
        return film.unflatten(1, (self.tokens, -1)), sound.unflatten(1, (self.sound_grid[1], -1))

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        film, sound = self.split(inputs)
        frames, height, width = self.grid
        of_film, of_sound = conditioning.embeds.split(self.widths, -1)
        mask = conditioning.mask.long()
        output = self.pipeline.transformer(
            hidden_states=film,
            audio_hidden_states=sound,
            encoder_hidden_states=of_film,
            audio_encoder_hidden_states=of_sound,
            timestep=timesteps,
            sigma=timesteps,
            encoder_attention_mask=mask,
            audio_encoder_attention_mask=mask,
            num_frames=frames,
            height=height,
            width=width,
            fps=self.fps,
            audio_num_frames=self.sound_grid[1],
            use_cross_timestep=default(self.pipeline, "use_cross_timestep"),
            return_dict=False,
        )
        return self.join(*output)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {FIRST: ReferenceSlot(FIRST, Image)}
        return CleanReferences(self, slots, roles) if roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        """A first frame (3, 1, H, W), as its pipeline of pictures to films prepares it."""
        assert isinstance(reference.media, Image), "its slot says so"
        pixels = apply_image_conditioning_crf(reference.media.pixels, self.picture_quality)
        processor = VideoProcessor(
            vae_scale_factor=self.pipeline.vae_spatial_compression_ratio, resample="bilinear"
        )
        frame = processor.preprocess(Pillow.fromarray(pixels), *self.size)
        return torch.as_tensor(frame[0]).unsqueeze(1)

    def encode_reference(self, batch: Tensor) -> Tensor:
        return self.encode_film(batch)

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The first frame's latents in those of a film: in tokens (N, C), or in flat ones."""
        if latents.numel() not in (self.error_parts[0], sum(self.error_parts)):
            raise ValueError(
                f"references of latents {tuple(reference.latents.shape)} can't begin a film of "
                f"{tuple(latents.shape)}; leave the size as it is where references are given"
            )
        tokens = self.pack_film(reference.latents[None]).to(latents).flatten()
        values, mask = latents.new_zeros(latents.shape), latents.new_zeros(latents.shape)
        values.view(-1)[: len(tokens)] = tokens
        mask.view(-1)[: len(tokens)] = 1
        return values, mask

    def clean_times(self, timesteps: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Times (B, N) of the film's tokens, 0 where they are known, and the sound's own."""
        return {"timestep": timesteps[:, None] * ~known[..., 0], "audio_timestep": timesteps}

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        guided: dict[str, object] = dict(self.guided)
        if guidance <= 1:
            guided = {"stg_scale": 0.0, "modality_scale": 1.0, "guidance_rescale": 0.0}
            guided |= {f"audio_{name}": None for name in (*guided, "guidance_scale")}
        return super().call_kwargs(positive, negative, guidance) | {
            "prompt_attention_mask": positive.mask.long(),
            "negative_prompt_attention_mask": None if negative is None else negative.mask.long(),
            "frame_rate": self.fps,
            **guided,
        }

    def begin(self, start: NoisedStart, arguments: Mapping[str, Any]) -> LaterCall:
        """As `start_later`, for the latents of both: its call copies the schedule for the sound."""
        scheduler, steps = self.pipeline.scheduler, int(arguments["num_inference_steps"])
        first = first_step(scheduler, steps, start.strength)
        later = {"sigmas": np.linspace(1.0, 1 / steps, steps)[first:].tolist()}
        # It would draw noise that nothing is made of.
        unused = {"generator": torch.Generator(self.device)}
        set_schedule(scheduler, lambda: self.pipeline(**{**arguments, **later, **unused}))
        clean = start.latents.to(self.device)
        noise = draw_noise(clean, arguments["generator"])
        film, sound = self.split(noise_start(self, clean, noise, scheduler.timesteps, steps))
        # Its call takes them as their autoencoders give them.
        vae, of_sound = self.pipeline.vae, self.pipeline.audio_vae
        config = self.pipeline.transformer.config
        latents = self.pipeline._unpack_latents(
            film, *self.grid, int(config.patch_size), int(config.patch_size_t)
        )
        latents = self.pipeline._denormalize_latents(
            latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        waves = self.pipeline._denormalize_audio_latents(
            sound, of_sound.latents_mean, of_sound.latents_std
        )
        waves = self.pipeline._unpack_audio_latents(waves, *self.sound_grid[1:])
        further = {**later, "latents": latents, "audio_latents": waves}
        return LaterCall(further, steps - first)

    def sample(
        self, *args: Any, keep: Callable[[Tensor], Tensor] | None = None, **more: Any
    ) -> list[Media]:
        pipeline: Any = self.pipeline

        def split(embeds: Tensor, mask: Tensor, **_options: object) -> tuple[Tensor, ...]:
            return (*embeds.split(self.widths, -1), mask)

        def prepare_latents(*args: Any, **options: Any) -> Tensor:
            latents = type(pipeline).prepare_latents(pipeline, *args, **options)
            return torch.as_tensor(latents if keep is None else keep(latents))

        with ExitStack() as stack:
            # What the conditioning has behind it, and a first frame before the first step.
            stack.enter_context(replaced_attribute(pipeline.connectors, "forward", split))
            stack.enter_context(replaced_attribute(pipeline, "prepare_latents", prepare_latents))
            stack.enter_context(decode_any_precision(pipeline.audio_vae))
            return super().sample(*args, keep=keep, **more)

    def items(self, output: Any) -> list[Media | None]:
        rate = int(self.pipeline.vocoder.config.output_sampling_rate)
        media: list[Media | None] = []
        for film, wave in zip(output[0], output[1].float().cpu().numpy(), strict=True):
            finite = is_finite(film) and is_finite(wave)
            sound = Audio(wave.clip(-1, 1), rate) if finite else None
            video = self.postprocess(film) if finite else None
            assert isinstance(video, Video | None), "frames are what is made"
            media.append(None if video is None else Video(video.frames, video.fps, sound))
        return media
