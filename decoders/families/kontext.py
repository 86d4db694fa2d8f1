"""FLUX.1 Kontext: pictures of captions, and of a picture beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers.pipelines.flux import pipeline_flux_kontext as kontext
from PIL import Image as Pillow
from torch import Tensor

from anymodal.decoders.appended import AppendedReferences, ReferenceTokens
from anymodal.decoders.families.flow_images import Flux
from anymodal.decoders.mechanism import ReferenceMechanism
from anymodal.decoders.references import SOURCE, EncodedReference, Reference, ReferenceSlot
from anymodal.media import Image, Media


class FluxKontext(Flux):
    """FLUX.1 Kontext (https://arxiv.org/abs/2506.15742): Flux with a picture behind its tokens.

    The reference gets the one of seventeen sizes, of about a megapixel, that is the nearest to its
    own proportions.

    Args:
        pipeline: a `FluxKontextPipeline`.
        size: height and width of the pictures in pixels; nothing in the pipeline tells it.
    """

    def reference_mechanism(self, roles: Sequence[str]) -> ReferenceMechanism | None:
        slots = {SOURCE: ReferenceSlot(SOURCE, Image)}
        return AppendedReferences(self, slots, roles) if roles else None

    def prepare_reference(self, reference: Reference) -> Tensor:
        assert isinstance(reference.media, Image), "its slot says so"
        picture = Pillow.fromarray(reference.media.pixels)
        ratio, step = picture.width / picture.height, self.side_step
        sizes = kontext.PREFERRED_KONTEXT_RESOLUTIONS
        _, width, height = min((abs(ratio - w / h), w, h) for w, h in sizes)
        size = height // step * step, width // step * step
        processor = self.pipeline.image_processor
        return torch.as_tensor(processor.preprocess(processor.resize(picture, *size), *size)[0])

    def reference_tokens(self, references: Sequence[EncodedReference]) -> ReferenceTokens:
        """The tokens (n, 4C) of an item's reference, and their places (n, 3) on a second layer."""
        (reference,) = references
        latents = reference.latents[None]
        places = self.token_places(latents)
        places[:, 0] = 1
        return ReferenceTokens(self.pack_latents(latents)[0], places)

    def place_references(
        self, keywords: Mapping[str, Any], items: Sequence[ReferenceTokens], copies: int
    ) -> dict[str, Any]:
        """The places of all tokens, which are the same for all items of a batch."""
        own = keywords["img_ids"]
        return {"img_ids": torch.cat([own, items[0].places.to(own)])}

    def sample(self, *args: Any, arguments: Mapping[str, object], **more: Any) -> list[Media]:
        # Its pipeline makes pictures of that area, in the proportions that it is asked for.
        height, width = (int(str(arguments.get(n, self.size))) for n in ("height", "width"))
        return super().sample(*args, arguments={**arguments, "max_area": height * width}, **more)
