"""Making or finding: each medium by what its own conditioning says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anymodal.decoders.base import Decoder, Generators, NonFiniteError, Progress, check_finite
from anymodal.decoders.retrieval import MAX_TRIES, RetrievalDecoder, contrast
from anymodal.io.feature_cache import CacheKey
from anymodal.media import Media
from anymodal.types import Conditioning, ConditioningSpec

if TYPE_CHECKING:
    from anymodal.decoders.references import EncodedReferences, References

MAKE, FIND = "make", "find"
"""The two choices, in the order of their logits."""
CHOICE = "choice"
"""The setting by which a caller chooses; the conditioning does where it isn't given."""
_ROWS = 65_536  # of an index that are mapped at once


class Asked(NamedTuple):
    """A conditioning in its parts: what to make, an embedding (B, W) to find, and logits (B, 2)."""

    made: Conditioning
    found: Tensor
    logits: Tensor


class ChoosingDecoder(Decoder):
    """Makes a medium, or returns one of an index: whatever its conditioning says.

    Media are compared in a space of their own, to which `visual_fc` maps the index's embeddings.
    Heads learn by three losses: `align` what to make, `denoise` what to find (which here is the
    symmetric InfoNCE of a batch), and `decide` which of both, from targets with `find`.

    Source: Koh et al. 2023 (GILL), arXiv:2305.17216, section 3.2, and its code
    (https://github.com/kohjingyu/gill), whose names the weights have.

    Args:
        maker: a decoder that makes media.
        finder: one of an index of media of the same class.
        width: of the space in which they are compared, W.
        scale: of the logits of the loss at first, one over the temperature, which is learned.

    Raises:
        ValueError: the two are of different classes of media, or the index has other embeddings
            than the encoder gives.
    """

    takes_ranks = True
    can_wait = False  # losses ask it for more than a note tells

    def __init__(
        self,
        maker: Decoder,
        finder: RetrievalDecoder,
        width: int = 256,
        scale: float = 1 / 0.07,
    ) -> None:
        super().__init__()
        if maker.media is not finder.media:
            raise ValueError(
                f"the maker makes {maker.media.__name__} and the index holds "
                f"{finder.media.__name__}; give both one class of media"
            )
        if finder.index_has_unit_length:
            raise ValueError(
                "the index was embedded with --unit, and visual_fc maps embeddings as the encoder "
                "gives them, which have other lengths; embed the files again without it"
            )
        if width < 1 or not scale > 0:
            raise ValueError(f"width={width} and scale={scale}; give more than 0 of each")
        self.maker, self.finder = maker, finder
        self.media, self.references = maker.media, maker.references
        self.sees_references = maker.sees_references
        self.visual_fc = nn.Linear(finder.spec.width, width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))
        # With the weights' versions that they hold for.
        self._mapped: tuple[tuple[object, ...], Tensor] | None = None

    @property
    def spec(self) -> ConditioningSpec:  # type: ignore[override]
        """The maker's, with an embedding and two logits behind its pooled conditioning."""
        made = self.maker.spec
        pooled = (made.pooled or 0) + self.visual_fc.out_features + len((MAKE, FIND))
        return ConditioningSpec(made.length, made.width, pooled, made.scale)

    @property
    def takes_mask(self) -> bool:  # type: ignore[override]
        """Whether masked positions of what is to be made change nothing."""
        return self.maker.takes_mask

    @property
    def takes_negative(self) -> bool:  # type: ignore[override]
        """Whether guidance may lead what is made away from a conditioning."""
        return self.maker.takes_negative

    @property
    def takes_neither(self) -> bool:  # type: ignore[override]
        """Whether guidance away from references may be between conditionings alone."""
        return self.maker.takes_neither

    @property
    def inpaints(self) -> bool:  # type: ignore[override]
        """Whether the maker makes a part of a source anew."""
        return self.maker.inpaints

    @property
    def min_steps(self) -> int:  # type: ignore[override]
        """The fewest denoising steps that the maker takes."""
        return self.maker.min_steps

    def split(self, conditioning: Conditioning) -> Asked:
        """A conditioning in its parts.

        Raises:
            ValueError: it is of another shape than `spec`.
        """
        embeds, mask, pooled = conditioning
        if pooled is None or pooled.shape[1] != self.spec.pooled:
            raise ValueError(
                f"pooled conditioning of width {self.spec.pooled} is to be chosen by, not "
                f"{None if pooled is None else pooled.shape[1]}; build the head from the decoder's "
                "spec, as ChoosingHead is"
            )
        own = self.maker.spec.pooled or 0
        made, found, logits = pooled.split([own, self.visual_fc.out_features, 2], 1)
        return Asked(Conditioning(embeds, mask, made if own else None), found, logits)

    def of_captions(self, conditioning: Conditioning) -> Conditioning:
        """What is to be made."""
        return self.split(conditioning).made

    def choice_logits(self, conditioning: Conditioning) -> Tensor:
        """Logits (B, 2) of making and of finding."""
        return self.split(conditioning).logits

    def finds(self, conditioning: Conditioning, choice: str | None = None) -> list[bool]:
        """Whether each item's medium is found.

        Args:
            conditioning: of `spec`'s shape.
            choice: for all of them; None for what their conditioning says.
        """
        if choice is not None:
            return [choice == FIND] * len(conditioning.embeds)
        found: list[bool] = self.split(conditioning).logits.argmax(1).bool().tolist()
        return found

    def synthesized(self, conditioning: Conditioning, settings: Mapping[str, Any]) -> list[bool]:
        """Whether each item's medium is made."""
        return [not found for found in self.finds(conditioning, settings.get(CHOICE))]

    def prepare(self, media: Media) -> Tensor:
        """Turn a media item into what the index's encoder takes."""
        return self.finder.prepare(media)

    def encode(self, batch: Tensor) -> Tensor:
        """Embeddings (B, E) by the index's encoder."""
        return self.finder.encode(batch)

    def embed_captions(
        self, captions: Sequence[str], references: References | None = None
    ) -> Conditioning:
        """The maker's own conditioning of captions; what is found by them, nobody knows."""
        return self.maker.embed_captions(captions, references)

    def losses(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """Symmetric InfoNCE (B,) of what is to be found with the media (GILL, equation 4)."""
        encoded = batch if batch.ndim == 2 else self.encode(batch)  # (B, E)
        media = self.visual_fc(encoded.to(self.visual_fc.weight.dtype))
        return contrast(self.split(conditioning).found, media, self.logit_scale.exp())

    def nearest(self, found: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Cosines and rows (B, count) of the media nearest to embeddings (B, W)."""
        rows = self._mapped_rows()
        cosines = F.normalize(found.float(), dim=1).to(rows.device) @ rows.float().T
        best = cosines.topk(min(count, len(rows)), dim=1)
        return best.values, best.indices

    @torch.no_grad()
    def _mapped_rows(self) -> Tensor:
        """Embeddings (N, W) of the index where they are compared, cached until weights change."""
        weights = list(self.visual_fc.parameters())
        key = (*(w._version for w in weights), *(w.data_ptr() for w in weights))
        if self._mapped is None or self._mapped[0] != key:
            embeds, like = self.finder.index.embeds, weights[0]
            pieces = (embeds[at : at + _ROWS].copy() for at in range(0, len(embeds), _ROWS))
            mapped = [self.visual_fc(torch.from_numpy(each).to(like)) for each in pieces]
            self._mapped = key, F.normalize(torch.cat(mapped).float(), dim=1).to(like.dtype)
        return self._mapped[1]

    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
        references: References | None = None,
        choice: str | None = None,
        negative: Conditioning | None = None,
        neither: Conditioning | None = None,
        ranks: Sequence[int] = (),
        **more: Any,
    ) -> list[Media]:
        """Make or find one medium for each item of a conditioning.

        Args:
            conditioning: of `spec`'s shape.
            steps, guidance, generator, progress: of the maker.
            references: likewise; what is found is found without.
            choice: `make` or `find` for all items; None for what their conditioning says.
            negative: of `spec`'s shape too; what is made is led away from what it would make.
            neither: likewise, of guidance in three branches.
            ranks: of each item, how many media that are nearer are passed over where it is found.
            more: further settings of the maker.

        Raises:
            ValueError: settings out of their range, no file of the index that is near can be read
                any more, or more different ones are asked for than it has.
            NonFiniteError: NaN or infinity came out in a medium's place.
        """
        self.check_settings({"steps": steps, "guidance": guidance, CHOICE: choice, **more})
        check_finite(conditioning)
        asked, finds = self.split(conditioning), self.finds(conditioning, choice)
        media: list[Media | None] = [None] * len(finds)
        found = [place for place, each in enumerate(finds) if each]
        made = [place for place, each in enumerate(finds) if not each]
        if found:
            passed = [ranks[place] if ranks else 0 for place in found]
            _, rows = self.nearest(asked.found[found], MAX_TRIES + max(passed))
            for place, order, rank in zip(found, rows.tolist(), passed, strict=True):
                media[place] = self.finder.readable(order, rank)
        error: NonFiniteError | None = None
        if made:
            settings: dict[str, Any] = {}
            if references is not None:
                settings["references"] = [references[i] for i in made]
            if negative is not None:
                settings["negative"] = self.split(negative).made.select(made)
            if neither is not None:
                settings["neither"] = self.split(neither).made.select(made)
            try:
                results: Sequence[Media | None] = self.maker.sample(
                    asked.made.select(made),
                    steps=steps,
                    guidance=guidance,
                    generator=(
                        [generator[i] for i in made] if isinstance(generator, list) else generator
                    ),
                    progress=progress,
                    **settings,
                    **more,
                )
            except NonFiniteError as raised:
                results, error = raised.partial, raised
            for place, medium in zip(made, results, strict=True):
                media[place] = medium
        elif progress is not None:
            progress(1, 1)
        if error is not None:
            raise NonFiniteError(str(error), media) from error
        return [medium for medium in media if medium is not None]

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check `choice`, and the maker's own settings.

        Raises:
            ValueError: one is unknown, of the wrong type or out of its range.
        """
        if not isinstance(settings, Mapping):
            return self.maker.check_settings(settings, place)
        others = {key: value for key, value in settings.items() if key != CHOICE}
        checked = self.maker.check_settings(others, place)
        choice = settings.get(CHOICE)
        if choice not in (None, MAKE, FIND):
            prefix = f"{place}: " if place else ""
            raise ValueError(f"{prefix}choice={choice!r}; it is {MAKE!r}, {FIND!r} or left out")
        return {**checked, **({CHOICE: choice} if CHOICE in settings else {})}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the maker's and the index's files; `visual_fc` is saved with the model.

        Raises:
            OSError: they can't be written.
        """
        self.maker.save_pretrained(Path(folder) / "maker")
        self.finder.save_pretrained(Path(folder) / "finder")

    def encoding(self) -> CacheKey:
        """Give the index's encoder."""
        return self.finder.encoding()

    def captioning(self) -> CacheKey:
        """Give the maker's caption encoders."""
        return self.maker.captioning()

    def metadata(self) -> dict[str, object]:
        """Give what both say of themselves, ready for JSON."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "maker": self.maker.metadata(),
            "finder": self.finder.metadata(),
            "width": self.visual_fc.out_features,
        }
