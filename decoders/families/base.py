"""The contract of a family of diffusers pipelines: a small adapter.

A family knows its pipeline's media, the way into its latents, how its network is called and how
its `__call__` is asked. Noise, targets and sampling loops are the scheduler's and the pipeline's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from anymodal.decoders.calls import (
    StepMonitor,
    check_finite_media,
    decode_any_precision,
    is_finite,
    isolated_state,
)
from anymodal.decoders.pipeline import DENOISERS
from anymodal.decoders.references import ReferenceSizeError
from anymodal.decoders.stacked import StackedReferences
from anymodal.decoders.strength import LaterCall, NoisedStart, start_later
from anymodal.types import Conditioning

if TYPE_CHECKING:
    from anymodal.decoders.base import Generators, Progress
    from anymodal.decoders.mechanism import ReferenceMechanism
    from anymodal.decoders.pipeline import Network, Pipeline
    from anymodal.decoders.references import EncodedReference, Reference, References
    from anymodal.media import Image, Media


def resize_center_crop(pixels: np.ndarray, height: int, width: int) -> Tensor:
    """Crop uint8 pixels (H, W, 3) to the middle, resize, and give (3, height, width) in ±1."""
    from PIL import Image as Pillow

    rows = min(pixels.shape[0], round(pixels.shape[1] * height / width))
    columns = min(pixels.shape[1], round(pixels.shape[0] * width / height))
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    pixels = pixels[top : top + rows, left : left + columns]
    if pixels.shape[:2] != (height, width):
        picture = Pillow.fromarray(pixels).resize((width, height), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(picture)
    values = torch.tensor(pixels).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    return values.float() / 127.5 - 1


def center_crop_square(pixels: np.ndarray, size: int) -> Tensor:
    """Crop uint8 pixels (H, W, 3) to the middle square, resize, and give (3, size, size) in ±1."""
    return resize_center_crop(pixels, size, size)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Turn a picture's values in [0, 1] into uint8."""
    return (values * 255).round().clip(0, 255).astype(np.uint8)


def mask_padding(conditioning: Conditioning) -> Conditioning:
    """Set embeddings that the mask leaves out to zero."""
    return conditioning._replace(embeds=conditioning.embeds * conditioning.mask.unsqueeze(-1))


def attend_all(embeds: Tensor, pooled: Tensor | None = None) -> Conditioning:
    """A conditioning whose padding is attended to, as it was when the network was trained."""
    mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
    return Conditioning(embeds, mask, pooled)


class Family(ABC):
    """One family of pipelines.

    Attributes:
        media: what it makes.
        max_tokens: the longest caption that the pipeline takes.
        min_steps: the fewest denoising steps that the pipeline takes.
        caption_encoders: names of the pipeline's parts that turn captions into conditioning.
        autoencoders: names of those that turn media into latents.
        reference_encoders: names of further ones that references are encoded by.
        unsupported_components: parts that a pipeline may not have, with the error for each.
        takes_negative_prompt: whether guidance may lead away from another caption than the empty.
        frame_group: clips have one frame more than a multiple of this.
        legacy_callback: whether the pipeline reports steps to diffusers' older kind of callback.
        watches_steps: whether it takes no callback, so that its scheduler's steps are watched.
        sees_references: whether captions are embedded with the references that stand beside them.
        takes_mask: whether masked positions of a conditioning change nothing.
        third_branch: whether its pipeline asks for both branches of guidance in one call, with
            conditioning as it was given, so that a third may have a conditioning of its own.
        takes_span: whether a part of a source in time can be made anew.
        inpaints: whether a part of a source can that a mask tells.
        stacked_roles: the references that its denoiser may be shown beside its noise, by role.
        input_layer: the denoiser's layer that latents enter, where there are such.
        latent_shape: shape of one item's latents.
        media_shape: shape of one prepared medium.
        error_parts: lengths of the parts of flat latents whose errors count alike, however long
            they are; none where latents are of one kind.
    """

    media: ClassVar[type[Media]]
    max_tokens: ClassVar[int] = 10_000
    min_steps: ClassVar[int] = 1
    caption_encoders: ClassVar[tuple[str, ...]] = ("text_encoder",)
    autoencoders: ClassVar[tuple[str, ...]] = ("vae",)
    reference_encoders: ClassVar[tuple[str, ...]] = ()
    unsupported_components: ClassVar[Mapping[str, str]] = {}
    legacy_callback: ClassVar[bool] = False
    watches_steps: ClassVar[bool] = False
    sees_references: ClassVar[bool] = False
    takes_mask: ClassVar[bool] = False
    third_branch: ClassVar[bool] = False
    takes_span: ClassVar[bool] = False
    inpaints: ClassVar[bool] = False
    stacked_roles: ClassVar[Mapping[str, type[Media]]] = {}
    input_layer: ClassVar[str] = ""
    takes_negative_prompt: bool = True
    frame_group: int = 1
    error_parts: tuple[int, ...] = ()
    latent_shape: tuple[int, ...]
    media_shape: tuple[int, ...]

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def maker_of(self, pipeline: Pipeline) -> Pipeline:
        """The pipeline that makes media in the place of a published one; here that itself."""
        return pipeline

    @classmethod
    def check(cls, parts: Collection[str]) -> None:
        """Refuse pipelines by the parts that they have, which is known before a weight is read.

        Raises:
            ValueError: one is among `unsupported_components`.
        """
        for part, message in cls.unsupported_components.items():
            if part in parts:
                raise ValueError(message)

    @property
    def device(self) -> torch.device:
        """The device that the pipeline computes on, wherever its weights wait."""
        return torch.device(self.pipeline._execution_device)

    @property
    def networks(self) -> list[Network]:
        """The pipeline's denoisers, the one for much noise first."""
        parts = (getattr(self.pipeline, name, None) for name in DENOISERS)
        return [part for part in parts if part is not None]

    @property
    def network(self) -> Network:
        """The pipeline's denoiser, or its first."""
        return self.networks[0]

    @property
    def length(self) -> int:
        """Length of a caption's conditioning, in tokens."""
        return min(int(self.pipeline.tokenizer.model_max_length), self.max_tokens)

    @property
    def width(self) -> int:
        """Width of a caption's conditioning."""
        return int(self.pipeline.text_encoder.config.hidden_size)

    @property
    def pooled(self) -> int | None:
        """Width of a caption's pooled conditioning, None where the pipeline takes none."""
        return None

    @property
    def tokens(self) -> int | None:
        """Tokens of one item's latents, None where no schedule depends on them."""
        return None

    @property
    def shift(self) -> float | None:
        """The shift of the noise schedule, None where the scheduler's settings tell it."""
        return None

    @property
    def pixels(self) -> tuple[int, int, int]:
        """Frames, height and width of a medium that has them."""
        *_, frames, height, width = (1, *self.media_shape[1:])
        return frames, height, width

    @property
    def side_step(self) -> int:
        """Height and width of what is made are multiples of this, in pixels."""
        patch = getattr(self.network.config, "patch_size", None) or 1
        return int(self.pipeline.vae_scale_factor) * int(patch)

    def check_size(self, height: int | None, width: int | None, frames: int | None) -> None:
        """Check the size of what is to be made, as far as it is given.

        Raises:
            ValueError: the pipeline would make another size, or none.
        """
        name, group = type(self.pipeline).__name__, self.frame_group
        if frames is not None and (frames < 1 or frames % group != 1 % group):
            raise ValueError(
                f"frames={frames}, but {name} makes one more than a multiple of {group} frames; "
                f"the nearest below is {max(frames - 1, 0) // group * group + 1}"
            )
        for side, value in (("height", height), ("width", width)):
            if value is not None and (value < self.side_step or value % self.side_step):
                raise ValueError(
                    f"{side}={value}, but {name} takes a multiple of {self.side_step} pixels"
                )

    def embed_captions(self, captions: Sequence[str]) -> Conditioning:
        """The conditioning that the pipeline's `encode_prompt` makes, with its gradient."""
        return self.apply_mask(self.encode_padded(captions))

    def embed_captions_beside(
        self, captions: Sequence[str], references: References
    ) -> Conditioning:
        """The conditioning of captions with their references, where the encoder sees them."""
        return self.embed_captions(captions)

    def encode_padded(self, captions: Sequence[str]) -> Conditioning:
        """The caption encoder's states, padding included."""
        pipeline = self.pipeline
        tokens = pipeline.tokenizer(
            self.preprocess_prompt(captions),
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="pt",
        )
        device = self.device  # asked once: the pipeline goes through all its modules for it
        mask = tokens.attention_mask.to(device)
        embeds = pipeline.text_encoder(tokens.input_ids.to(device), attention_mask=mask)[0]
        return Conditioning(embeds, mask.bool())

    def preprocess_prompt(self, captions: Sequence[str]) -> list[str]:
        """The captions, rewritten as the pipeline does before it tokenises them."""
        return list(captions)

    def null_conditioning(self) -> Conditioning:
        """The unconditional (negative) conditioning of classifier-free guidance."""
        return self.negative_conditioning("")

    def negative_conditioning(self, caption: str) -> Conditioning:
        """The conditioning of a caption that classifier-free guidance leads away from."""
        return self.embed_captions([caption])

    def check_conditioning(self, conditioning: Conditioning) -> Conditioning:
        """Give a conditioning with its mask applied.

        Raises:
            ValueError: it is of another shape than the pipeline takes.
        """
        expected = (self.length, self.width)
        if tuple(conditioning.embeds.shape[1:]) != expected:
            raise ValueError(
                f"{type(self.pipeline).__name__} takes conditioning of shape (batch, "
                f"{expected[0]}, {expected[1]}), not {tuple(conditioning.embeds.shape)}; build the "
                "head from the decoder's spec"
            )
        pooled = None if conditioning.pooled is None else conditioning.pooled.shape[1]
        if self.pooled is not None and pooled != self.pooled:
            raise ValueError(
                f"{type(self.pipeline).__name__} takes pooled conditioning of width "
                f"{self.pooled}, not {pooled}; build the head from the decoder's spec"
            )
        return self.apply_mask(conditioning)

    def apply_mask(self, conditioning: Conditioning) -> Conditioning:
        """Apply the mask to the embeddings, where the network itself takes none."""
        return conditioning

    @abstractmethod
    def prepare(self, media: Media) -> Tensor:
        """Turn one medium into a tensor of `media_shape`."""

    @abstractmethod
    def encode(self, batch: Tensor) -> Tensor:
        """Turn prepared media into scaled latents."""

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        """The mechanism by which the denoiser is shown references of these roles, if it is any.

        Raises:
            ValueError: a role that it can't be shown, or other ones than it was trained with.
        """
        return StackedReferences(self, roles) if roles or self.stacked_roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        """Turn a reference into the tensor that `encode_reference` takes a batch of."""
        return self.prepare(reference.media)

    def encode_reference(self, batch: Tensor) -> Tensor:
        """Turn prepared references of one role into scaled latents."""
        return self.encode(batch)

    def spread(self, reference: EncodedReference, latents: Tensor) -> tuple[Tensor, Tensor]:
        """A reference's latents where those of an item (C, …) are, and a mask (1, …) of its place.

        Raises:
            ReferenceSizeError: the item is of another size than references are.
        """
        self.check_reference(reference, latents)
        return reference.latents.to(latents), torch.ones_like(latents[:1])

    def check_reference(self, reference: EncodedReference, latents: Tensor) -> None:
        """Check the size of a reference against the latents that it stands for.

        Raises:
            ReferenceSizeError: they are of different sizes.
        """
        if reference.latents.shape != latents.shape:
            raise ReferenceSizeError(
                f"references of latents {tuple(reference.latents.shape)} can't be shown beside "
                f"{tuple(latents.shape)}; leave the size as it is where references are given"
            )

    def pack_latents(self, latents: Tensor) -> Tensor:
        """Latents (B, …) in the layout that the pipeline's `__call__` takes them in."""
        return latents

    @abstractmethod
    def denoise(self, inputs: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """Call the network; the result is like the inputs."""

    @abstractmethod
    def postprocess(self, output: np.ndarray) -> Media:
        """Turn one item of the pipeline's output into a media item."""

    def items(self, output: Any) -> list[Media | None]:
        """The media in the pipeline's output; None for one that isn't finite."""
        return [self.postprocess(item) if is_finite(item) else None for item in output[0]]

    def pack_step(self, latents: Tensor) -> Tensor:
        """Latents (B, …) in the layout that the pipeline's steps have them in."""
        return self.pack_latents(latents)

    def prepare_mask(self, mask: Image) -> Tensor:
        """A mask (1, height, width) of a prepared picture, 1 where it is made anew.

        White is, from half of the way on; it is cropped and resized as its source.
        """
        return (self.prepare(mask).mean(0, keepdim=True) > 0).float()

    def latent_mask(self, mask: Tensor) -> Tensor:
        """A mask (1, height, width) of a prepared picture as one of its latents (1, h, w)."""
        return interpolate(mask[None], self.latent_shape[1:])[0]

    def begin(self, start: NoisedStart, arguments: Mapping[str, Any]) -> LaterCall:
        """A call that starts from noised latents."""
        return start_later(self, start, arguments)

    def call_kwargs(
        self, positive: Conditioning, negative: Conditioning | None, guidance: float
    ) -> dict[str, object]:
        """The arguments of the pipeline's `__call__` that depend on the family."""
        return {
            "prompt_embeds": positive.embeds,
            "negative_prompt": None,
            "negative_prompt_embeds": None if negative is None else negative.embeds,
            "guidance_scale": guidance,
        }

    def sample(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        steps: int,
        guidance: float,
        generator: Generators,
        progress: Progress,
        arguments: Mapping[str, object],
        start: NoisedStart | None = None,
        keep: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Media]:
        """Call the pipeline.

        Args:
            positive, negative: conditioning of the media, and of what guidance leads away from.
            steps, guidance: of the call.
            generator: of noise.
            progress: called after each step.
            arguments: of the pipeline's `__call__`, over the family's own.
            start: what to start from; None for noise alone.
            keep: gives a step's latents with what references say of them.

        Raises:
            NonFiniteError: it made NaN or infinity.
        """
        call: dict[str, object] = {
            **self.call_kwargs(positive, negative, guidance),
            **arguments,
            "num_inference_steps": steps,
            "generator": generator,
            "output_type": "np",
        }
        with isolated_state(self.pipeline, generator), decode_any_precision(self.pipeline.vae):
            blend = None
            if start is not None:
                further, steps, blend = self.begin(start, call)
                call |= further
            monitor = StepMonitor(progress, steps, keep, blend)
            output = self.pipeline(**call, **self._callback(monitor))
        return check_finite_media(self.pipeline, self.network, monitor, self.items(output))

    def _callback(self, monitor: StepMonitor) -> dict[str, object]:
        """The argument by which a call reports its steps."""
        if self.watches_steps:
            monitor.watch(self.pipeline.scheduler)
            return {}
        if self.legacy_callback:
            return {"callback": monitor.legacy_callback}
        return {"callback_on_step_end": monitor.callback_on_step_end}
