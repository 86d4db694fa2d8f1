"""Families of pipelines that make music, of captions and of other music."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from anymodal.decoders.calls import make_each_alone
from anymodal.decoders.families.audios import Waves
from anymodal.decoders.families.flow_images import default
from anymodal.decoders.hinted import HintedReferences
from anymodal.decoders.mechanism import BranchWeights, ReferenceMechanism
from anymodal.decoders.pipeline import Pipeline
from anymodal.decoders.references import (
    SOURCE,
    TIMBRE,
    EncodedReference,
    EncodedReferences,
    Reference,
    References,
    ReferenceSlot,
)
from anymodal.media import Audio, Media
from anymodal.types import Conditioning

_TASK, _REMAKING = "text2music", "repaint"
_TIMBRE_SECONDS = 30  # of silence, where nobody sings or plays before
_TIMBRE = "refer_audio_acoustic_hidden_states_packed"
"""The argument of its encoder of conditions that the latents of a timbre are."""


class MusicReferences(HintedReferences):
    """A source of which a part is made anew, told to the denoiser, and a timbre, to the conditions.

    Args:
        family, slots, roles: as of `HintedReferences`.
    """

    family: AceStep

    def takes_together(self, references: EncodedReferences) -> bool:
        """Return True where there are none: its family makes each item at its caption's length."""
        return len(references) == 1 or not any(references)

    @contextmanager
    def beside_noise(
        self, references: EncodedReferences, weights: BranchWeights | None = None
    ) -> Iterator[None]:
        sources = [[each for each in item if each.role == SOURCE] for item in references]
        timbres = [each.latents for item in references for each in item if each.role == TIMBRE]

        def add(
            _module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            silence = keywords[_TIMBRE]
            return inputs, {**keywords, _TIMBRE: torch.stack(timbres).to(silence)}

        hooks = []
        if timbres:
            encoder: Any = self.family.pipeline.condition_encoder
            hooks.append(encoder.register_forward_pre_hook(add, with_kwargs=True))
        try:
            with super().beside_noise(sources, weights):
                yield
        finally:
            for hook in hooks:
                hook.remove()


class AceStep(Waves):
    """ACE-Step 1.5 (https://github.com/ace-step/ACE-Step-1.5): captions of music without words.

    The conditioning is the caption encoder's states; its own encoder of conditions puts them
    behind those of no lyrics and of silence in the place of a timbre. Its network attends to
    padding, so each caption is computed at its own length. Guidance leads away from what the
    pipeline has learned for it, not from the empty caption.

    A `source` is remade in a span, or goes on where it ends (its task repaint, which the caption
    is told too); a `timbre` stands where silence does. Both have the mode of their latents, where
    its own call draws one.

    Args:
        pipeline: an `AceStepPipeline`.
        seconds: length of the music; nothing in the pipeline tells it.

    Raises:
        ValueError: there is no such length.
    """

    max_tokens = 256
    takes_negative_prompt = False
    takes_span = True
    sees_references = True
    hint_argument = "context_latents"

    def __init__(self, pipeline: Pipeline, seconds: float = 60.0) -> None:
        super().__init__(pipeline)
        if not seconds > 0:
            raise ValueError(f"seconds={seconds}; music is longer than 0 s")
        self.seconds = seconds
        self.rate = int(pipeline.sample_rate)
        self.channels = int(pipeline.vae.config.audio_channels)
        frames = math.ceil(seconds * pipeline.latents_per_second)
        self.samples = frames * int(pipeline.vae.hop_length)
        self.latent_shape = (frames, int(pipeline.transformer.config.audio_acoustic_hidden_dim))
        self.media_shape = (self.channels, self.samples)

    @property
    def shift(self) -> float:
        """Its schedule's shift, which its call sets and its scheduler doesn't know."""
        return float(default(self.pipeline, "shift"))

    def encode(self, batch: Tensor) -> Tensor:
        latents = self.pipeline.vae.encode(batch).latent_dist.mode()
        return torch.as_tensor(latents.transpose(1, 2))  # (B, C, T) -> (B, T, C)

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {role: ReferenceSlot(role, Audio, asked=True) for role in (SOURCE, TIMBRE)}
        return MusicReferences(self, slots, roles) if roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        """A source and its mask (channels + 1, samples), or half a minute (channels, n) of timbre.

        That is ten seconds each of its beginning, its middle and its end, as its pipeline has it.
        """
        if reference.role == SOURCE:
            return self.prepare_source(reference, self.latent_shape[0])
        assert isinstance(reference.media, Audio), "its slot says so"
        audio = reference.media.resample(self.rate)
        audio = audio if len(audio.samples) == self.channels else audio.mono()
        waves = torch.from_numpy(audio.samples).repeat(self.channels // len(audio.samples), 1)
        piece, whole = _TIMBRE_SECONDS // 3 * self.rate, _TIMBRE_SECONDS * self.rate
        waves = waves.repeat(1, max(1, math.ceil(whole / waves.shape[1])))
        middle = waves.shape[1] // 3
        pieces = waves[:, :piece], waves[:, middle : middle + piece], waves[:, -piece:]
        return torch.cat(pieces, 1)

    def encode_reference(self, batch: Tensor) -> Tensor:
        """What the denoiser is told of sources (B, T, 2C), or latents (B, T', C) of timbres."""
        if batch.shape[1] == self.channels:
            return self.encode(batch)
        waves, new = self.split_source(batch, self.latent_shape[0])
        latents = self.encode(waves)
        new = new[..., None].expand_as(latents)
        silence, _ = self.pipeline.prepare_src_latents(
            batch_size=len(batch), latent_length=latents.shape[1], device=latents.device,
            dtype=latents.dtype,
        )  # fmt: skip
        return torch.cat([torch.where(new > 0.5, silence, latents), new], -1)

    def hint(self, references: Sequence[EncodedReference], latents: Tensor) -> Tensor:
        """That of an item's source.

        Raises:
            ValueError: the item is of another length than sources are.
        """
        (reference,) = references
        if len(reference.latents) != len(latents):
            raise ValueError(
                f"a source of {len(reference.latents)} frames can't be shown beside "
                f"{len(latents)}; leave seconds as they are where references are given"
            )
        return reference.latents.to(latents)

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        return self._embed(captions, _TASK)

    def embed_captions_beside(
        self, captions: Sequence[str], references: References
    ) -> Conditioning:
        """The conditioning of captions, which are told what is to be done with a source."""
        items = [
            self._embed([caption], _REMAKING if any(r.role == SOURCE for r in item) else _TASK)
            for caption, item in zip(captions, references, strict=True)
        ]
        return Conditioning(
            torch.cat([item.embeds for item in items]), torch.cat([item.mask for item in items])
        )

    def _embed(self, captions: Sequence[str], task: str) -> Conditioning:
        embeds, mask, _, _ = self._encode_prompt(captions, task)
        padded = embeds.new_zeros(len(captions), self.length, self.width)
        padded[:, : embeds.shape[1]] = embeds
        full = torch.zeros(padded.shape[:2], dtype=torch.bool, device=embeds.device)
        full[:, : mask.shape[1]] = mask
        return Conditioning(padded, full)

    def _encode_prompt(
        self, captions: Sequence[str], task: str = _TASK
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """States and masks of captions, and those of no lyrics."""
        pipeline = self.pipeline
        kind: Any = type(pipeline)  # past what `sample` puts in its place
        states: tuple[Tensor, Tensor, Tensor, Tensor] = kind.encode_prompt(
            pipeline,
            list(captions),
            [""] * len(captions),
            self.device,
            audio_duration=self.seconds,
            instruction=pipeline._get_task_instruction(task_type=task),
            max_text_length=self.length,
        )
        return states

    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        with torch.no_grad():
            _, _, lyrics, lyric_mask = self._encode_prompt([""])
        rows = range(len(inputs))
        return torch.cat(
            [
                self._denoise_one(
                    inputs[row : row + 1],
                    timesteps[row : row + 1],
                    conditioning.embeds[row, conditioning.mask[row]][None],
                    lyrics.to(inputs),
                    lyric_mask,
                )
                for row in rows
            ]
        )

    def _denoise_one(
        self, inputs: Tensor, timesteps: Tensor, text: Tensor, lyrics: Tensor, lyric_mask: Tensor
    ) -> Tensor:
        pipeline, like = self.pipeline, {"device": inputs.device, "dtype": inputs.dtype}
        frames = math.ceil(_TIMBRE_SECONDS * pipeline.latents_per_second)
        states, _ = pipeline.condition_encoder(
            text_hidden_states=text,
            text_attention_mask=torch.ones(text.shape[:2], dtype=torch.bool, device=text.device),
            lyric_hidden_states=lyrics,
            lyric_attention_mask=lyric_mask,
            refer_audio_acoustic_hidden_states_packed=(
                pipeline.condition_encoder.silence_latent[:, :frames].to(**like)
            ),
            refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=inputs.device),
        )
        length, channels = inputs.shape[1:]
        silence, _ = pipeline.prepare_src_latents(batch_size=1, latent_length=length, **like)
        everywhere = pipeline._build_chunk_mask(
            task_type=_TASK, latent_length=length, batch_size=1, acoustic_dim=channels, **like
        )
        timesteps = timesteps.to(inputs.dtype)  # as its pipeline does
        output: Tensor = pipeline.transformer(
            hidden_states=inputs,
            timestep=timesteps,
            timestep_r=timesteps,
            encoder_hidden_states=states,
            context_latents=torch.cat([silence, everywhere], dim=-1),
        ).sample
        return output

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        empty = [""] * len(positive.embeds)
        return {
            "prompt": empty,  # for which `sample` puts the conditioning
            "lyrics": empty,
            "guidance_scale": guidance,
            "audio_duration": self.seconds,
        }

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        generator: Any,
        progress: Any,
        start: Any = None,
        **more: Any,
    ) -> list[Media]:
        count = len(positive.embeds)
        if len({tuple(row.tolist()) for row in positive.mask}) > 1:

            def make_one(index: int, report: Any) -> list[Media]:
                row = slice(index, index + 1)
                own = generator[row] if isinstance(generator, list) else generator
                from_one = None if start is None else start._replace(latents=start.latents[row])
                return self.sample(
                    positive.select(row),
                    None,
                    generator=own,
                    progress=report,
                    start=from_one,
                    **more,
                )

            return make_each_alone(count, make_one, progress)
        _, _, lyrics, lyric_mask = self._encode_prompt([""])
        text = positive.embeds[:, positive.mask[0]]
        states = (
            text.to(self.pipeline.transformer.dtype),
            torch.ones(text.shape[:2], dtype=torch.bool, device=text.device),
            lyrics.repeat(count, 1, 1),
            lyric_mask.repeat(count, 1),
        )
        vars(self.pipeline)["encode_prompt"] = lambda **_arguments: states
        try:
            return super().sample(
                positive,
                negative,
                generator=generator,
                progress=progress,
                start=start,
                **more,
            )
        finally:
            vars(self.pipeline).pop("encode_prompt", None)  # a call within this one has taken it
