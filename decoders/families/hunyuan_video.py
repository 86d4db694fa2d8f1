"""HunyuanVideo 1.5: films of captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from anymodal.config.ranges import check_integer
from anymodal.decoders.channels import fill_channels
from anymodal.decoders.families.causal_videos import Causal
from anymodal.decoders.families.guided import Guided, check_guider
from anymodal.decoders.pipeline import Pipeline
from anymodal.types import Conditioning


class HunyuanVideo15(Guided, Causal):
    """HunyuanVideo 1.5 (https://arxiv.org/abs/2511.18870): Qwen2.5-VL, and ByT5 of quoted texts.

    The conditioning is the caption's states by Qwen2.5-VL, then those of the texts in quotes that
    are to be seen in the film by ByT5, each under its mask; the narrower of the two is filled up
    with zeros. The network's input has channels of a first frame beside the noise, which are zeros.

    Args:
        pipeline: a `HunyuanVideo15Pipeline`.
        frames, height, width: of the films; nothing in the pipeline tells them.
        fps: frames a second.
        caption_tokens, quoted_tokens: the most of a caption, and of its texts in quotes; a head's
            conditioning is as long as both.

    Raises:
        ValueError: a size that it can't make, guidance of other weights than one, or a network that
            was distilled to take larger steps.
    """

    takes_mask = True
    watches_steps = True
    caption_encoders = ("text_encoder", "text_encoder_2")

    def __init__(
        self,
        pipeline: Pipeline,
        frames: int = 121,
        height: int = 480,
        width: int = 848,
        fps: float = 24.0,
        caption_tokens: int = 1000,
        quoted_tokens: int = 256,
    ) -> None:
        check_guider(pipeline, "HunyuanVideo 1.5")
        config = pipeline.transformer.config
        if config.use_meanflow:
            raise ValueError(
                "this HunyuanVideo 1.5 is told two timesteps (use_meanflow), which its pipeline "
                "doesn't tell it; open one that wasn't distilled in that way"
            )
        lengths: Any = pipeline
        lengths.tokenizer_max_length = check_integer("caption_tokens", caption_tokens, 1, 1000)
        lengths.tokenizer_2_max_length = check_integer("quoted_tokens", quoted_tokens, 1, 256)
        factor = int(pipeline.vae_scale_factor_spatial)
        super().__init__(
            pipeline,
            frames,
            (height, width),
            fps,
            compression=int(pipeline.vae_scale_factor_temporal),
            factor=factor,
            step=factor * int(config.patch_size),
        )

    def prepare_networks(self) -> None:
        fill_channels(self.networks)
        # Its attention's mask has no dimension of heads, which only a batch of one can do without.
        autoencoder: Any = self.pipeline.vae
        autoencoder.use_slicing = True

    @property
    def _lengths(self) -> tuple[int, int]:
        """Tokens of a caption, and of its texts in quotes."""
        pipeline = self.pipeline
        return int(pipeline.tokenizer_max_length), int(pipeline.tokenizer_2_max_length)

    @property
    def length(self) -> int:
        return sum(self._lengths)

    @property
    def width(self) -> int:
        return max(self._widths)

    @property
    def _widths(self) -> tuple[int, int]:
        config = self.pipeline.transformer.config
        return int(config.text_embed_dim), int(config.text_embed_2_dim)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        caption, mask, quoted, quoted_mask = self.pipeline.encode_prompt(
            list(captions), batch_size=len(captions)
        )
        wide = [pad(each, (0, self.width - each.shape[2])) for each in (caption, quoted)]
        return Conditioning(torch.cat(wide, 1), torch.cat([mask, quoted_mask], 1).bool())

    def _split(self, conditioning: Conditioning) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """States (B, n, C') of a caption with their mask (B, n), then of its texts in quotes."""
        lengths, widths = self._lengths, self._widths
        caption, quoted = conditioning.embeds.split(lengths, 1)
        mask, quoted_mask = conditioning.mask.split(lengths, 1)
        return caption[..., : widths[0]], mask, quoted[..., : widths[1]], quoted_mask

    def encode(self, batch: Tensor) -> Tensor:
        vae = self.pipeline.vae
        return torch.as_tensor(vae.encode(batch).latent_dist.mode() * vae.config.scaling_factor)

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        pipeline = self.pipeline
        caption, mask, quoted, quoted_mask = self._split(conditioning)
        picture = (pipeline.vision_num_semantic_tokens, pipeline.vision_states_dim)
        output: Tensor = pipeline.transformer(
            hidden_states=inputs,
            timestep=timesteps.to(inputs.dtype),
            encoder_hidden_states=caption,
            encoder_attention_mask=mask,
            encoder_hidden_states_2=quoted,
            encoder_attention_mask_2=quoted_mask,
            image_embeds=inputs.new_zeros(len(inputs), *picture),
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        arguments = super().call_kwargs(positive, negative, guidance)
        for prefix, conditioning in (("", positive), ("negative_", negative)):
            parts = (None,) * 4 if conditioning is None else self._split(conditioning)
            names = ("embeds", "embeds_mask", "embeds_2", "embeds_mask_2")
            for name, part in zip(names, parts, strict=True):
                arguments[f"{prefix}prompt_{name}"] = part
        return arguments
