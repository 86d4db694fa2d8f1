"""Linear probes: the attributes that a linear classifier reads off a component's features.

Source: Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes",
arXiv:1610.01644.

Shapes: B media, N encoder tokens, K soft tokens, D width of features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anymodal.toybox.progress import batches_of
from anymodal.toybox.scene import OBSERVABLE, VALUES
from anymodal.toybox.scoring import SceneSet
from anymodal.toybox.shares import AttributeShares, attributes

if TYPE_CHECKING:
    from anymodal.encoders import Encoder
    from anymodal.media import Media
    from anymodal.model import AnyModal

FeatureReader = Callable[[Sequence["Media"]], Tensor]
"""Media to features of shape (B, D)."""

PROBE_SAMPLES = 600
"""Media that a probe is trained on."""

TOKEN_CHUNKS = 4
"""Chunks of an encoder's tokens that are averaged apart."""

BATCH_SIZE = 32


def encoder_features(encoder: Encoder) -> FeatureReader:
    """Features of an encoder: its tokens, averaged in chunks, shape (B, TOKEN_CHUNKS * D)."""

    def read(media: Sequence[Media]) -> Tensor:
        batch = torch.stack([encoder.prepare(item) for item in media])
        values, mask = encoder(encoder.to_weights(batch))  # (B, N, D), (B, N)
        weights = mask[..., None].to(values.dtype)
        # The mean of all tokens would lose their order, which motion and tempo are read off.
        chunks = zip(
            (values * weights).tensor_split(TOKEN_CHUNKS, 1),
            weights.tensor_split(TOKEN_CHUNKS, 1),
            strict=True,
        )
        means = [chunk.sum(1) / weight.sum(1).clamp(min=1) for chunk, weight in chunks]
        return torch.cat(means, 1)

    return read


def soft_token_features(model: AnyModal, name: str) -> FeatureReader:
    """Features of a modality's soft tokens, side by side, shape (B, K * D)."""
    return lambda media: model.soft_tokens({name: media})[name].flatten(1)


def probe_accuracy(
    modality: str, read: FeatureReader, scenes: SceneSet, label: str
) -> AttributeShares:
    """Accuracy of a linear probe for each attribute of a modality, trained on seen scenes.

    Args:
        modality: of the media.
        read: gives their features.
        scenes: to test on; those to train on have the next seed.
        label: of the progress bar.
    """
    train = SceneSet(PROBE_SAMPLES, scenes.seed + 1).media(modality)
    test = scenes.media(modality)
    features = _read_all(read, [item for item, _ in (*train, *test)], label)  # (B, D)
    split = len(train)
    # Standardised by the training media alone: the test media must not leak into the probe.
    mean, std = features[:split].mean(0), features[:split].std(0)
    features = (features - mean) / (std + 1e-4)
    scores: list[dict[str, bool]] = [{} for _ in test]
    for name in OBSERVABLE[modality]:
        values = [attributes_of_item.get(name) for _, attributes_of_item in (*train, *test)]
        # Where an item doesn't show the attribute, as a tempo at rest, it is left out of both.
        labels = torch.tensor([-1 if v is None else VALUES[name].index(v) for v in values])
        classifier = _fit(features[:split], labels[:split], len(VALUES[name]))
        predictions = classifier(features[split:]).argmax(-1)
        for marks, expected, predicted in zip(scores, labels[split:], predictions, strict=True):
            if expected >= 0:
                marks[name] = bool(expected == predicted)
    return attributes(scores)


@torch.no_grad()
def _read_all(read: FeatureReader, media: Sequence[Media], label: str) -> Tensor:
    batches = batches_of(media, BATCH_SIZE, label)
    return torch.cat([read(batch).float().cpu() for _, batch in batches])


def _fit(features: Tensor, labels: Tensor, count: int) -> nn.Linear:
    """Logistic regression on features (B, D) with labels (B,), those below 0 left out."""
    features, labels = features[labels >= 0], labels[labels >= 0]
    layer = nn.Linear(features.shape[1], count)
    # The problem is convex, and from zeros its solution doesn't depend on a seed.
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(features), labels) + 1e-2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer.requires_grad_(False)
