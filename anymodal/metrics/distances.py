"""Distances between generated and real media, as sets.

Shapes: B media, E width of an embedding.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from anymodal.config import ConfigError
from anymodal.media.pictures import pictures
from anymodal.metrics.base import Metric

if TYPE_CHECKING:
    from torchmetrics import Metric as LibraryMetric

    from anymodal.encoders import Encoder
    from anymodal.media import Media
    from anymodal.metrics.samples import EvaluationSample
    from anymodal.types import Message


class _Embedder(Protocol):
    """Turns media into embeddings."""

    def accepts(self, medium: Media) -> bool:
        """Return whether it reads a medium."""

    def prepare(self, medium: Media) -> Tensor:
        """A medium as a tensor, on the CPU."""

    def embed(self, prepared: Sequence[Tensor]) -> Tensor:
        """Embeddings (B, E)."""

    def to(self, device: str) -> None:
        """Move the network."""


class _Distance(Metric):
    """A distance between the embeddings of the samples' `media` and of the replies' media.

    Args:
        encoder: any encoder, by whose `embed` media are compared: of pictures for a FID-like
            distance, of sounds for a Fréchet audio distance, of clips for an FVD-like one. Media of
            a reply that it doesn't read are left out. None for the Inception network of the
            published figures, with torch-fidelity's weights, for pictures.
        batch_size: media embedded at once.

    Raises:
        ConfigError: if there is no encoder, and torch-fidelity isn't installed.
    """

    needs = ("media",)
    least = 2  # one point has no spread, so no reply has a distance of its own

    def __init__(self, encoder: Encoder | None = None, batch_size: int = 16) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size={batch_size}; it must be 1 or above")
        self.embedder: _Embedder = _Inception() if encoder is None else _EncoderEmbedder(encoder)
        self.batch_size = batch_size
        self.library: LibraryMetric | None = None  # its width is known with the first embedding
        self.batches: dict[bool, list[Tensor]] = {True: [], False: []}  # by whether it is real
        self.counts = {True: 0, False: 0}

    def to(self, device: str) -> None:
        """Move the encoder."""
        self.embedder.to(device)

    def _update(self, sample: EvaluationSample, reply: Message) -> bool:
        real = [file.load() for file in sample.media]
        for medium, file in zip(real, sample.media, strict=True):
            if not self.embedder.accepts(medium):
                raise ValueError(f"{file.name} is {medium!r}, which the encoder doesn't read")
        generated = [medium for medium in reply.media if self.embedder.accepts(medium)]
        # All are prepared before any is counted: what can't be read leaves nothing behind.
        prepared = {
            True: [self.embedder.prepare(medium) for medium in real],
            False: [self.embedder.prepare(medium) for medium in generated],
        }
        for side, tensors in prepared.items():
            self.batches[side] += tensors
            if len(self.batches[side]) >= self.batch_size:
                self._flush(side)
        return bool(generated)

    @torch.inference_mode()
    def _flush(self, real: bool) -> None:
        """Embed what is pending, and hand it to the library."""
        tensors, self.batches[real] = self.batches[real], []
        for start in range(0, len(tensors), self.batch_size):
            # In double, since a difference of large sums is at stake.
            embeds = self.embedder.embed(tensors[start : start + self.batch_size]).double().cpu()
            if self.library is None:
                self.library = self._build(_Identity(embeds.shape[1]))
            self.library.update(embeds, real=real)
            self.counts[real] += len(embeds)

    def _compute(self) -> dict[str, float]:
        for real in (True, False):
            self._flush(real)
        figures: dict[str, float] = {}
        if self.library is not None and min(self.counts.values()) > 1:
            figures = self._figures(self.library)
        return {**figures, "real": self.counts[True], "made": self.counts[False]}

    @abstractmethod
    def _build(self, feature: nn.Module) -> LibraryMetric:
        """The library's metric over embeddings that are given to it."""

    @abstractmethod
    def _figures(self, library: LibraryMetric) -> dict[str, float]:
        """The figures of the library's metric, with two media or more on either side."""


class FrechetDistance(_Distance):
    """The Fréchet distance between Gaussians fitted to embeddings of real and generated media.

    It depends on the encoder and, being biased, on the number of media: compare like with like.
    For the arguments see `_Distance`.

    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6 (FID);
    Kilgour et al. 2019, "Fréchet audio distance"; Unterthiner et al. 2018, "FVD" (torchmetrics).
    """

    def _build(self, feature: nn.Module) -> LibraryMetric:
        from torchmetrics.image.fid import FrechetInceptionDistance

        return FrechetInceptionDistance(feature)

    def _figures(self, library: LibraryMetric) -> dict[str, float]:
        return {"frechet_distance": float(library.compute())}


class KernelDistance(_Distance):
    """The unbiased squared maximum mean discrepancy between embeddings of real and generated media.

    The kernel is (x·y / E + 1)³; the mean over random subsets, and its spread. With fewer media
    than `subset_size` a subset is as many as there are.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", section 4 (torchmetrics).

    Args:
        encoder: see `_Distance`.
        batch_size: media embedded at once.
        subsets: how many random subsets.
        subset_size: real and generated media in each.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        batch_size: int = 16,
        subsets: int = 100,
        subset_size: int = 1000,
    ) -> None:
        super().__init__(encoder, batch_size)
        for name, value, least in (("subsets", subsets, 1), ("subset_size", subset_size, 2)):
            if value < least:
                raise ConfigError(f"{name}={value}; it must be {least} or above")
        self.subsets, self.subset_size = subsets, subset_size

    def _build(self, feature: nn.Module) -> LibraryMetric:
        from torchmetrics.image.kid import KernelInceptionDistance

        with warnings.catch_warnings():
            # torchmetrics warns of the memory that it takes, which here is a few MB of embeddings.
            warnings.filterwarnings("ignore", ".*save all extracted features.*")
            return KernelInceptionDistance(feature, subsets=self.subsets)

    def _figures(self, library: LibraryMetric) -> dict[str, float]:
        library.subset_size = min(self.subset_size, *self.counts.values())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the subsets are drawn from torch's own generator
            mean, spread = library.compute()
        return {"kernel_distance": float(mean), "spread": float(spread)}


class _Identity(nn.Module):
    """In the place of the library's network: embeddings come as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings


class _EncoderEmbedder:
    """Embeds media with an encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder.eval()

    def accepts(self, medium: Media) -> bool:
        return isinstance(medium, self.encoder.media)

    def prepare(self, medium: Media) -> Tensor:
        return self.encoder.prepare(medium)

    def embed(self, prepared: Sequence[Tensor]) -> Tensor:
        weight = next(self.encoder.parameters(), torch.empty(0))
        return self.encoder.embed(torch.stack(list(prepared)).to(weight.device))

    def to(self, device: str) -> None:
        self.encoder.to(device)


class _Inception:
    """Embeds pictures as the published FID and KID do: Inception's last pooling layer, E = 2048."""

    def __init__(self) -> None:
        from torchmetrics.image.fid import NoTrainInceptionV3

        try:
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"])
        except ModuleNotFoundError as error:
            raise ConfigError(
                "without an encoder this is the published distance, which needs the package "
                "torch-fidelity (and the torchvision of your torch); install it, or give `encoder`"
            ) from error
        self.device = "cpu"

    def accepts(self, medium: Media) -> bool:
        frames = pictures(medium)
        return frames is not None and len(frames) == 1

    def prepare(self, medium: Media) -> Tensor:
        frames = pictures(medium)
        assert frames is not None, "accepts() was asked before"
        return torch.from_numpy(frames[0].copy()).permute(2, 0, 1)  # (H, W, 3) -> (3, H, W)

    def embed(self, prepared: Sequence[Tensor]) -> Tensor:
        # One by one: pictures may differ in size, and the network brings each to its own.
        return torch.cat([self.network(each[None].to(self.device)) for each in prepared])

    def to(self, device: str) -> None:
        self.network.to(device)
        self.device = device
