"""Which part of a model loses what: each alone, from the oracles to the whole chain.

Shapes: B media, N encoder tokens, K soft tokens, D width of features, V values of an attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from anymodal.evaluation.predictor import ModelPredictor
from anymodal.toybox.grammar.captions import caption
from anymodal.toybox.grammar.dialogues import KINDS, as_text, sample_dialogue
from anymodal.toybox.grammar.types import DialogueTurn, MediaItem
from anymodal.toybox.matrix import Plan, evaluate
from anymodal.toybox.matrix_report import attribute_table
from anymodal.toybox.render import MODALITIES
from anymodal.toybox.scene import all_scenes
from anymodal.toybox.scoring import captioned, judge, rendered, score, score_reply, values_of
from anymodal.toybox.shares import AttributeShares, attributes
from anymodal.types import Message, Target

if TYPE_CHECKING:
    from anymodal.decoders import Decoder
    from anymodal.encoders import Encoder
    from anymodal.media import Media
    from anymodal.model import AnyModal

Read = Callable[[Sequence["Media"]], Tensor]
"""Media to features of shape (B, D)."""

LEARN = 600
"""Media that a probe learns from."""

STRETCHES = 4
"""Stretches of an encoder's tokens that a probe tells apart."""


class Rung(NamedTuple):
    """One part's figures: what was tried, and the shares of its right attributes."""

    name: str
    found: AttributeShares


def climb(
    model: AnyModal, count: int, *, seed: int = 0, unseen: bool = False, batch_size: int = 16
) -> list[Rung]:
    """Every rung of a model: where the figures fall, the part between them loses them."""
    how: dict[str, Any] = {"seed": seed, "unseen": unseen}
    rungs: list[Rung] = []
    answers = ModelPredictor(model)

    def whole(kind: str) -> None:
        if kind in KINDS:
            plan = Plan((kind,), count, seed, (unseen,), batch_size)
            found = evaluate(answers, plan)["results"][0]
            rungs.append(Rung(f"{kind}: the whole chain", found))

    for name, modality in model.modalities.items():
        kind = modality.media.kind
        if kind not in MODALITIES:
            continue  # nothing renders or measures it
        rungs.append(of_oracle(kind, count, **how))
        if modality.encoder is not None:
            reads = {"encoder": _features(modality.encoder)}
            reads["soft tokens"] = _soft(model, name)
            for part, read in reads.items():
                rungs.append(probe(f"{kind}: {part}, probed", kind, read, count, **how))
            rungs.append(of_language(model, kind, count, **how))
            whole(f"{kind}>text")
        if modality.decoder is not None:
            settings = {**modality.sampling, "batch_size": batch_size}
            rungs.append(on_captions(modality.decoder, count, **settings, **how))
            rungs.append(of_head(model, name, count, **how))
            whole(f"text>{kind}")
    return rungs


def of_oracle(modality: str, count: int, *, seed: int = 0, unseen: bool = False) -> Rung:
    """The oracle on the renderer's own media."""
    media = rendered(modality, count, seed=seed, unseen=unseen)
    scores = [score(judge(modality, medium), told) for medium, told in media]
    return Rung(f"{modality}: oracle on the renderer", attributes(scores))


@torch.inference_mode()
def on_captions(
    decoder: Decoder,
    count: int,
    *,
    steps: int,
    guidance: float,
    seed: int = 0,
    unseen: bool = False,
    batch_size: int = 16,
) -> Rung:
    """A decoder on its own captions: the most that any head can reach."""
    modality = decoder.media.kind
    tasks = captioned(modality, count, seed=seed, unseen=unseen)
    scores = []
    for start, some in _batches(tasks, batch_size, f"{modality} from captions"):
        made = decoder.sample(
            decoder.embed_captions([words for words, _ in some]),
            steps=steps,
            guidance=guidance,
            generator=[torch.Generator().manual_seed(seed + start + i) for i in range(len(some))],
        )
        scores += [
            score(judge(modality, medium), told)
            for medium, (_, told) in zip(made, some, strict=True)
        ]
    return Rung(f"{modality}: decoder on captions", attributes(scores))


def probe(
    name: str, modality: str, read: Read, count: int, *, seed: int = 0, unseen: bool = False
) -> Rung:
    """What a linear classifier of each attribute finds in features.

    Source: Alain & Bengio 2016, arXiv:1610.01644. It learns from seen scenes.
    """
    learned = rendered(modality, LEARN, seed=seed + 1)
    tested = rendered(modality, count, seed=seed, unseen=unseen)
    features = _read_all(read, [medium for medium, _ in (*learned, *tested)], name)  # (B, D)
    mean, spread = features[:LEARN].mean(0), features[:LEARN].std(0)
    features = (features - mean) / (spread + 1e-4)
    scores: list[dict[str, bool]] = [{} for _ in tested]
    for attribute, values in values_of(modality).items():
        told = [facts.get(attribute) for _, facts in (*learned, *tested)]
        labels = torch.tensor([-1 if value is None else values.index(value) for value in told])
        guess = _fit(features[:LEARN], labels[:LEARN], len(values))(features[LEARN:]).argmax(-1)
        for marks, label, found in zip(scores, labels[LEARN:], guess, strict=True):
            if label >= 0:
                marks[attribute] = bool(label == found)
    return Rung(name, attributes(scores))


@torch.no_grad()
def _read_all(read: Read, media: Sequence[Media], label: str) -> Tensor:
    return torch.cat([read(some).float().cpu() for _, some in _batches(media, 32, label)])


def _fit(features: Tensor, labels: Tensor, count: int) -> nn.Linear:
    """Logistic regression on features (B, D) with labels (B,), those below 0 left out."""
    features, labels = features[labels >= 0], labels[labels >= 0]
    layer = nn.Linear(features.shape[1], count)
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


def of_language(
    model: AnyModal, kind: str, count: int, *, seed: int = 0, unseen: bool = False
) -> Rung:
    """The language model on questions about media that are told to it in words."""
    scores: list[dict[str, bool]] = []
    samples = Plan((f"{kind}>text",), count, seed, (unseen,)).samples()
    answers = ModelPredictor(model)
    for _, some in _batches(samples, 32, f"{kind} in words"):
        asked = [as_text(sample.dialogue)[0].parts for sample in some]
        talks = [[Message("user", [str(part) for part in parts])] for parts in asked]
        replies = answers(talks, [sample.reply_seed(0) for sample in some])
        for sample, reply in zip(some, replies, strict=True):
            scores.append(score_reply("text", reply.text, sample.dialogue.answers[0][0]))
    return Rung(f"{kind}: language model, told in words", attributes(scores))


@torch.inference_mode()
def of_head(model: AnyModal, name: str, count: int, *, seed: int = 0, unseen: bool = False) -> Rung:
    """A head, by which of all captions' conditioning is nearest to what it asks for."""
    modality = model.modalities[name]
    kind = modality.media.kind
    dialogues = [
        sample_dialogue(np.random.default_rng([seed, index, 9]), kind=f"text>{kind}", unseen=unseen)
        for index in range(count)
    ]
    samples = [[_message(turn, name) for turn in dialogue.turns] for dialogue in dialogues]
    found = model.conditioning(name, samples)
    assert found is not None and modality.decoder is not None, "every sample asks for one"
    known = {
        caption(told, kind): told for scene in all_scenes() for told in [scene.observable(kind)]
    }
    rows = []
    for _, some in _batches(list(known), 64, f"captions of {kind}"):
        embeds, mask, _ = modality.decoder.embed_captions(some)
        rows.append((embeds * mask[..., None]).float().flatten(1))  # (B, L * C)
    away = torch.cdist(found[1].embeds.float().flatten(1), torch.cat(rows))  # (count, captions)
    nearest = [list(known.values())[place] for place in away.argmin(1)]
    wanted = [dialogue.answers[0][0] for dialogue in dialogues]
    scores = [score(told, want) for told, want in zip(nearest, wanted, strict=True)]
    return Rung(f"{kind}: head, by the nearest caption", attributes(scores))


def _message(turn: DialogueTurn, name: str) -> Message:
    parts: list[str | Media | Target] = [
        Target(name, part.caption) if isinstance(part, MediaItem) else part for part in turn.parts
    ]
    return Message(turn.role, parts)


def _features(encoder: Encoder) -> Read:
    """An encoder's tokens, averaged in each of a few stretches: their order tells things too."""

    def read(media: Sequence[Media]) -> Tensor:
        batch = torch.stack([encoder.prepare(medium) for medium in media])
        values, mask = encoder(encoder.to_weights(batch))  # (B, N, D), (B, N)
        weights = mask[..., None].to(values.dtype)
        parts = zip(
            (values * weights).tensor_split(STRETCHES, 1),
            weights.tensor_split(STRETCHES, 1),
            strict=True,
        )
        means = [part.sum(1) / weight.sum(1).clamp(min=1) for part, weight in parts]
        return torch.cat(means, 1)  # (B, STRETCHES * D)

    return read


def _soft(model: AnyModal, name: str) -> Read:
    """What the language model gets: all soft tokens of a medium, side by side."""
    return lambda media: model.soft_tokens({name: media})[name].flatten(1)  # (B, K * D)


def table(rungs: Sequence[Rung]) -> str:
    """The rungs as a Markdown table, with a column for each attribute."""
    return attribute_table("part", [(rung.name, rung.found) for rung in rungs])


def _batches(items: Sequence[Any], size: int, label: str) -> Iterator[tuple[int, Sequence[Any]]]:
    """Batches and the places of their first items, with a progress bar."""
    with tqdm(total=len(items), desc=label, leave=False) as bar:
        for start in range(0, len(items), size):
            some = items[start : start + size]
            yield start, some
            bar.update(len(some))
