"""The reference of preference losses: the model as its run began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import NamedTuple
from uuid import uuid4

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from anymodal.core import ComposedModel
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.io.fingerprints import hash_json
from anymodal.language.chat_prompt import ChatPrompt, PromptRows
from anymodal.language.packing import pack
from anymodal.training.objectives.dialogue import Dialogue, DialogueBatch
from anymodal.training.strategies import distribute_like
from anymodal.training.trainable import trained_buffers
from anymodal.types import Conditioning


class StartWeights:
    """The values that whatever trains has now.

    They stay where they are now, before a run moves its model to an accelerator.

    Args:
        model: whose `requires_grad` is a stage's.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.values = {name: value.detach().clone() for name, value in _trained(model).items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the model has these values and is in evaluation mode.

        It writes them in place, since weights in pieces (FSDP2) can be changed in no other way, so
        no graph of the model may be waiting for its backward pass.
        """
        trained = _trained(self.model)
        current = {name: value.detach().clone() for name, value in trained.items()}
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        _write(trained, self.values)
        try:
            yield
        finally:
            _write(trained, current)
            for module, mode in modes:
                module.training = mode


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """What trains, and the buffers that change beside it."""
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return {**weights, **trained_buffers(model)}


@torch.no_grad()
def _write(tensors: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        tensor.copy_(distribute_like(values[name], tensor))


class LoneReading(NamedTuple):
    """A conversation that was read alone; hidden states and input embeddings (1, T, D)."""

    rows: PromptRows
    hidden: Tensor
    embeds: Tensor


class ReferenceModel:
    """Results of a model with the weights that its run began with, kept in the feature cache.

    Where adapters were put on for the run, this is the model without them. Each conversation is
    read in a row of its own, so that its results depend on it alone: neither on the batch that
    it first came in nor on the number of processes.

    Args:
        dialogue: of the model, with the cache.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        self.model: ComposedModel = dialogue.model
        self.weights = StartWeights(self.model)
        self.content = self._content(dialogue.feature_cache)

    def _content(self, store: FeatureCache | None) -> str:
        """The hash of all weights that decide results; a new one where no folder keeps them."""
        if store is None or not store.is_folder or self.model.device.type == "meta":
            return uuid4().hex
        model = self.model
        modules: list[nn.Module] = [model.language]
        modules += [part for part in (model.projection, model.fusion) if part is not None]
        modules += [*model.encoders.by_name().values(), *model.heads.by_name().values()]
        key = CacheKey("reference", modules, model.language.metadata, (type(self),))
        return store.content(key)

    @torch.no_grad()
    def read(
        self,
        dialogue: Dialogue,
        batch: DialogueBatch,
        log_probs: bool,
        modalities: Sequence[str],
    ) -> tuple[Tensor | None, dict[str, Conditioning]]:
        """Log-likelihoods (C,) of a batch's conversations, and conditioning of its targets.

        Args:
            dialogue: reads conversations, and has the cache.
            batch: C conversations.
            log_probs: whether those are wanted.
            modalities: those whose conditioning is, each with at least one target.
        """
        digests = [_digest(prompt) for prompt in batch.prompts]
        with ExitStack() as stack:

            @cache
            def start() -> None:
                if dialogue.feature_cache is not None:  # in one batch, as workers prepared them
                    dialogue.compute_features(batch)
                stack.enter_context(self.weights.applied())

            @cache
            def read(number: int) -> LoneReading:
                start()
                return self._read_alone(dialogue, batch.prompts[number])

            if self._is_sharded:  # whose blocks all processes must run as often
                for number in range(len(batch.prompts)):
                    read(number)

            def log_probs_of(numbers: list[int]) -> list[Tensor]:
                return [torch.stack([self._log_prob(read(number)) for number in numbers])]

            def conditioning_of(name: str, places: list[tuple[int, int]]) -> list[Tensor]:
                items = []
                for number, place in places:
                    rows, hidden, embeds = read(number)
                    whole = self.model.span_conditioning(name, rows, hidden, embeds)
                    items.append(whole.select([place]))
                columns = zip(*items, strict=True)
                return [torch.cat(column) for column in columns if column[0] is not None]

            values = None
            if log_probs:
                numbers = list(range(len(digests)))
                key = self._key("log-probabilities")
                (values,) = dialogue.cached(key, numbers, digests.__getitem__, log_probs_of)
            conditioning = {}
            for name in modalities:
                columns = dialogue.cached(
                    self._key(f"conditioning of {name}"),
                    _places(batch.target_samples(name)),
                    lambda item: f"{digests[item[0]]} {item[1]}",
                    lambda places, name=name: conditioning_of(name, places),  # type: ignore[misc]
                )
                conditioning[name] = Conditioning(*columns)
        return values, conditioning

    def _key(self, result: str) -> CacheKey:
        return CacheKey(f"reference {result}", (), dict, (), self.content)

    @property
    def _is_sharded(self) -> bool:
        return any(isinstance(weight, DTensor) for weight in self.model.parameters())

    def _read_alone(self, dialogue: Dialogue, prompt: ChatPrompt) -> LoneReading:
        packed = pack([prompt.ids], [prompt.labels], share_rows=False, axes=[prompt.axes])
        device = self.model.device
        ids, positions = packed.ids.to(device), packed.positions.to(device)
        embeds = self.model.embed([prompt], ids, packed.places, encode=dialogue.features)
        media = self.model.fuse([prompt], packed.places, encode=dialogue.features)
        hidden: Tensor = self.model.language(embeds, positions=positions, media=media)
        return LoneReading(PromptRows([prompt], packed), hidden, embeds)

    def _log_prob(self, reading: LoneReading) -> Tensor:
        labels = reading.rows.packed.labels
        return -self.model.language.losses(reading.hidden, labels).sum()


def _places(samples: Sequence[int]) -> list[tuple[int, int]]:
    """The conversation of each target, and its place among that conversation's."""
    return [(sample, samples[:place].count(sample)) for place, sample in enumerate(samples)]


def _digest(prompt: ChatPrompt) -> str:
    """A text that is equal for equal conversations."""
    media = [[item.modality, item.start, item.digest, item.text] for item in prompt.media]
    spans = [[span.target.modality, span.start, bool(span.target.caption)] for span in prompt.spans]
    return hash_json([prompt.ids, prompt.labels, media, spans])
