"""Families of pipelines that make sound through a spectrogram and a vocoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import GPT2LMHeadModel, GPT2Model

from anymodal.decoders.families.base import Family, attend_all
from anymodal.decoders.families.mel import log_mel
from anymodal.decoders.pipeline import Pipeline
from anymodal.media import Audio, Media
from anymodal.types import Conditioning


class AudioLDM(Family):
    """AudioLDM (https://arxiv.org/abs/2301.12503): one vector of CLAP's, through a spectrogram.

    The conditioning is that vector as the only token. `encode` takes the spectrogram of HiFi-GAN
    (Kong et al. 2020, https://arxiv.org/abs/2010.05646, as AudioLDM has it): windows of 64 ms, the
    vocoder's hop, mel bands of Slaney's kind up to the highest frequency, natural logarithm.

    Args:
        pipeline: an `AudioLDMPipeline`.
        seconds: length of the sounds; None for the network's own.
    """

    media = Audio
    legacy_callback = True

    def __init__(self, pipeline: Pipeline, seconds: float | None = None) -> None:
        super().__init__(pipeline)
        vocoder, network = pipeline.vocoder.config, pipeline.unet.config
        self.rate, self.bands = int(vocoder.sampling_rate), int(vocoder.model_in_dim)
        self.hop = math.prod(vocoder.upsample_rates)
        factor = int(pipeline.vae_scale_factor)
        rows = int(network.sample_size)
        if seconds is not None:
            if seconds <= 0:
                raise ValueError(f"seconds={seconds} must be greater than 0")
            rows = math.ceil(round(seconds * self.rate / self.hop / factor, 6))
        self.rows = rows * factor
        self.latent_shape = (int(network.in_channels), rows, self.bands // factor)
        self.media_shape = (1, self.rows * self.hop)

    @property
    def length(self) -> int:
        return 1

    @property
    def width(self) -> int:
        return int(self.pipeline.text_encoder.config.projection_dim)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        embeds = self.pipeline._encode_prompt(list(captions), self.device, 1, False)
        return attend_all(embeds.unsqueeze(1))  # (B, C) -> (B, 1, C)

    def prepare(self, media: Media) -> Tensor:
        assert isinstance(media, Audio), "DiffusionDecoder.prepare refuses others"
        samples = media.mono().resample(self.rate).samples[:, : self.media_shape[1]]
        padding = self.media_shape[1] - samples.shape[1]
        return torch.from_numpy(np.pad(samples, ((0, 0), (0, padding))))

    def encode(self, batch: Tensor) -> Tensor:
        rows = log_mel(
            batch.squeeze(1),
            rate=self.rate,
            size=round(0.064 * self.rate),
            hop=self.hop,
            bands=self.bands,
        ).unsqueeze(1)  # (B, 1, rows, bands)
        vae = self.pipeline.vae
        latents = vae.encode(rows.to(batch.dtype)).latent_dist.mode()
        return torch.as_tensor(latents * vae.config.scaling_factor)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        output: Tensor = self.pipeline.unet(
            inputs,
            timesteps,
            encoder_hidden_states=None,
            class_labels=conditioning.embeds[:, 0],
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        return super().call_kwargs(positive, negative, guidance) | {
            "prompt_embeds": positive.embeds[:, 0],
            "negative_prompt_embeds": None if negative is None else negative.embeds[:, 0],
            # The pipeline cuts to whole rows, and a rounding error must not cost one.
            "audio_length_in_s": (self.media_shape[1] + 0.01) / self.rate,
        }

    def postprocess(self, output: np.ndarray) -> Media:
        return Audio(output[None].clip(-1, 1), self.rate)


class AudioLDM2(AudioLDM):
    """AudioLDM 2 (https://arxiv.org/abs/2308.05734): what a GPT-2 makes of a caption, then T5's.

    The conditioning is the few states that the GPT-2 generates, which no mask covers, then T5's
    tokens under theirs; the narrower of the two is filled up with zeros. The generated states
    depend on how far the caption is padded, so each caption is embedded as if it came alone, and
    the empty one is padded like each.

    Args:
        pipeline: an `AudioLDM2Pipeline` for captions.
        seconds: length of the sounds; None for the network's own.

    Raises:
        ValueError: the pipeline reads transcripts aloud.
    """

    max_tokens = 512
    takes_negative_prompt = False  # its empty caption is padded like each item's own
    caption_encoders = ("text_encoder", "text_encoder_2", "projection_model", "language_model")

    def __init__(self, pipeline: Pipeline, seconds: float | None = None) -> None:
        if pipeline.text_encoder_2.config.model_type == "vits":
            raise ValueError(
                "this AudioLDM 2 reads transcripts aloud, and captions are no transcripts; use one "
                "with T5, such as cvssp/audioldm2"
            )
        super().__init__(pipeline, seconds)
        pipeline.register_modules(language_model=_with_generation(pipeline.language_model))
        self.generated = int(pipeline.language_model.config.max_new_tokens)

    @property
    def length(self) -> int:
        return self.generated + min(
            int(self.pipeline.tokenizer_2.model_max_length), self.max_tokens
        )

    @property
    def width(self) -> int:
        return max(self._widths)

    @property
    def _widths(self) -> tuple[int, int]:
        pipeline = self.pipeline
        language, text = pipeline.language_model.config, pipeline.text_encoder_2.config
        return int(language.hidden_size), int(text.hidden_size)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        encode, device = self.pipeline.encode_prompt, self.device
        return self._join([encode([each], device, 1, False) for each in captions])

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        text, mask, generated = self._split(conditioning)
        output: Tensor = self.pipeline.unet(
            inputs,
            timesteps,
            encoder_hidden_states=generated,
            encoder_hidden_states_1=text,
            encoder_attention_mask_1=mask,
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        by_prefix = {"": positive}
        if negative is not None:
            by_prefix["negative_"] = self._padded_like(positive)
        arguments: dict[str, object] = {}
        for prefix, conditioning in by_prefix.items():
            text, mask, generated = self._split(conditioning, like=positive)
            arguments |= {
                f"{prefix}prompt_embeds": text,
                f"{prefix}attention_mask": mask,
                f"{prefix}generated_prompt_embeds": generated,
            }
        return super().call_kwargs(positive, None, guidance) | arguments

    def _padded_like(self, conditioning: Conditioning) -> Conditioning:
        """Give the empty caption padded to the length of each item, as the pipeline pads it."""
        rows = []
        for embeds, mask in zip(conditioning.embeds, conditioning.mask, strict=True):
            text, real, generated = self._split(Conditioning(embeds[None], mask[None]))
            both = self.pipeline.encode_prompt(
                None,
                self.device,
                1,
                True,
                prompt_embeds=text,
                attention_mask=real,
                generated_prompt_embeds=generated,
            )
            rows.append([part[:1] for part in both])  # the other half is the item's own
        return self._join(rows)

    def _join(self, rows: Sequence[Sequence[Tensor]]) -> Conditioning:
        """Join each item's text (1, n, C'), mask (1, n) and generated states (1, G, C'')."""
        embeds, masks = [], []
        for text, mask, generated in rows:
            padding = self.length - self.generated - text.shape[1]
            wide = [pad(each, (0, self.width - each.shape[2])) for each in (generated, text)]
            embeds.append(pad(torch.cat(wide, dim=1), (0, 0, 0, padding)))
            masks.append(pad(pad(mask.bool(), (self.generated, 0), value=True), (0, padding)))
        return Conditioning(torch.cat(embeds), torch.cat(masks))

    def _split(
        self, conditioning: Conditioning, like: Conditioning | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give text (B, n, C'), its mask (B, n) and generated states (B, G, C'').

        n is the length of the longest real text, of `like` where that is given.
        """
        embeds, masks, _ = conditioning
        states, tokens = self._widths
        real = (like or conditioning).mask[:, self.generated :].any(dim=0).nonzero()
        end = self.generated + (1 if len(real) == 0 else int(real.max()) + 1)
        text = embeds[:, self.generated : end, :tokens]
        mask = masks[:, self.generated : end].long()
        return text, mask, embeds[:, : self.generated, :states]


def _with_generation(model: nn.Module) -> nn.Module:
    """Give a GPT-2 the methods that the pipeline generates with.

    They are the language model's alone since transformers 5, and published pipelines have the body.
    """
    if not isinstance(model, GPT2Model):
        return model
    with torch.device("meta"):
        head_model = GPT2LMHeadModel(model.config)
    head_model.transformer = model
    head_model.tie_weights()  # the output layer is the embedding, so nothing stays on meta
    generating: nn.Module = head_model.train(model.training)
    return generating
