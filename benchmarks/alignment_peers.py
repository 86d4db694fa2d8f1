"""Peers of `anymodal train`: NExT-GPT's step, Hugging Face's Trainer, a bare loop.

All of it is written for this comparison. NExT-GPT's step follows what its code at commit 60d618b
does (https://github.com/NExT-GPT/NExT-GPT); each line that costs time there says so here.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from alignment_parts import KINDS
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR

from anymodal.core import ComposedModel
from anymodal.language.prompt import ChatPrompt
from anymodal.training.building import build
from anymodal.training.configuration import Run
from anymodal.training.losses import alignment_loss
from anymodal.training.objectives import Dialogue
from anymodal.training.optimizers import build_optimizer
from anymodal.training.run import read_run
from anymodal.training.trainable import freeze_all_but, train_mode
from anymodal.types import Conditioning, Features, Message

LONGEST = 512
"""Tokens at which NExT-GPT cuts conversations; the longest here has a tenth of it."""


@dataclass
class Example:
    """A conversation as the language model reads it: one medium is shown in it, or asked for.

    Shapes: ids and labels (T,), features (N, D_m), conditioning (L, C), zero where it is padded.
    """

    modality: str
    ids: Tensor
    labels: Tensor
    place: int
    features: Tensor | None = None
    conditioning: Tensor | None = None


def example_of(prompt: ChatPrompt) -> Example:
    """A prompt in tensors, without the results of frozen parts."""
    ids, labels = torch.tensor(prompt.ids), torch.tensor(prompt.labels)
    if prompt.media:
        return Example(prompt.media[0].modality, ids, labels, prompt.media[0].start)
    span = prompt.spans[0]
    return Example(span.target.modality, ids, labels, span.start)


Batch = dict[str, Any]


def padded(examples: Sequence[Example]) -> Batch:
    """Rows padded to the longest; places and results of frozen parts by modality."""
    lengths = torch.tensor([len(example.ids) for example in examples])
    ids = pad_sequence([example.ids for example in examples], batch_first=True)
    labels = [example.labels for example in examples]
    batch: Batch = {
        "ids": ids[:, :LONGEST],
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100)[:, :LONGEST],
        "mask": (torch.arange(ids.shape[1]) < lengths[:, None])[:, :LONGEST].long(),
        "media": {},
        "targets": {},
    }
    for name in {example.modality for example in examples}:
        for key, result in (("media", "features"), ("targets", "conditioning")):
            entries = [
                (row, example.place, getattr(example, result))
                for row, example in enumerate(examples)
                if example.modality == name and getattr(example, result) is not None
            ]
            if entries:
                rows, places, tensors = zip(*entries, strict=True)
                batch[key][name] = torch.tensor([rows, places]), torch.stack(tensors)
    return batch


# ---- A forward pass ----------------------------------------------------------------------------


def read(model: ComposedModel, batch: Batch, keep_all: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Input embeddings (B, T, D), and hidden states of the last layer, or of all if `keep_all`."""
    embeds = model.language.embed(batch["ids"])
    assert model.projection is not None, "parts have one"
    for name, ((rows, places), features) in batch["media"].items():
        mask = torch.ones(features.shape[:2], dtype=torch.bool)
        soft = model.projection(name, Features(features, mask))  # (n, K, D)
        columns = places[:, None] + torch.arange(soft.shape[1])
        embeds = embeds.index_put((rows[:, None], columns), soft)
    output = model.language.backbone(
        inputs_embeds=embeds,
        attention_mask=batch["mask"],
        use_cache=False,
        output_hidden_states=keep_all,
    )
    return embeds, output.hidden_states if keep_all else (output.last_hidden_state,)


def everywhere(model: ComposedModel, hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy by scores of the whole vocabulary at every position; the scores come too."""
    scores = model.language.logits(hidden)[:, :-1].float()  # (B, T-1, V)
    return F.cross_entropy(scores.flatten(0, 1), labels[:, 1:].flatten()), scores


def align_losses(
    model: ComposedModel, batch: Batch, hidden: Tensor, embeds: Tensor
) -> list[Tensor]:
    """The mean L2 norm between a head's conditioning and its captions', by modality."""
    losses = []
    for name, ((rows, places), conditioning) in batch["targets"].items():
        columns = places[:, None] + torch.arange(model.signals.counts[name])
        rows = rows[:, None]
        predicted = model.heads.get(name)(hidden[rows, columns], embeds[rows, columns])
        target = Conditioning(conditioning, conditioning.ne(0).any(-1))
        losses.append(alignment_loss(predicted, target, "l2"))
    return losses


class Losses(nn.Module):
    """The summed losses of a padded batch, as a module that Hugging Face's Trainer takes.

    Args:
        model: what trains.
        supervised: score supervised positions only.
    """

    def __init__(self, model: ComposedModel, supervised: bool) -> None:
        super().__init__()
        self.model, self.supervised = model, supervised

    def forward(
        self, ids: Tensor, labels: Tensor, mask: Tensor, media: Batch, targets: Batch
    ) -> dict[str, Tensor]:
        batch = {"ids": ids, "mask": mask, "media": media, "targets": targets}
        embeds, (hidden,) = read(self.model, batch, keep_all=False)
        if self.supervised:
            text = self.model.language.loss(hidden, labels)
        else:
            text, _ = everywhere(self.model, hidden, labels)
        return {"loss": torch.stack([text, *align_losses(self.model, batch, hidden, embeds)]).sum()}


# ---- Sides -------------------------------------------------------------------------------------


@dataclass
class Side:
    """One side's model, its data in memory, and the run that says how to train."""

    run: Run
    objective: Dialogue
    data: list[Sequence[Message]]

    @classmethod
    def open(cls, config: Path) -> Side:
        """Build what `anymodal train` would."""
        run = read_run(config)
        objective, data = build(run)
        assert isinstance(objective, Dialogue), "it is the objective of composed models"
        objective.use_losses(run.stage.losses)
        freeze_all_but(objective.model, run.stage.trainable)
        train_mode(objective.model)
        return cls(run, objective, [data[index] for index in range(len(data))])

    @property
    def model(self) -> ComposedModel:
        """The model that trains."""
        return self.objective.model

    @property
    def first(self) -> range:
        """Samples of every kind, which losses are compared on."""
        return range(min(2 * KINDS, len(self.data)))

    def prompts(self, indices: Iterable[int]) -> list[ChatPrompt]:
        """Samples laid out."""
        return [self.model.prompts.build(self.data[index], reply=False) for index in indices]

    def schedule(self, optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
        """The run's learning rates."""
        return LambdaLR(optimizer, lambda step: self.run.optimizer.rate(step, steps))

    def check(self, loss: Tensor) -> None:
        """Compare the loss of the first samples with AnyModal's own, before anything trained.

        Raises:
            AssertionError: they differ, so the sides don't do the same.
        """
        batch = self.objective.collate([self.data[index] for index in self.first])
        with torch.no_grad():
            own = float(torch.stack([*self.objective.named_losses(batch).values()]).sum())
        if abs(loss.item() - own) > 1e-4 * abs(own):
            raise AssertionError(f"a loss is {loss.item()}, and {own} in AnyModal")

    def update(self, loss: Tensor, optimizer: torch.optim.Optimizer, schedule: LambdaLR) -> None:
        """Take an optimiser step."""
        loss.backward()
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, self.run.optimizer.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()

    @torch.no_grad()
    def encode(self, prompts: Sequence[ChatPrompt], examples: Sequence[Example]) -> None:
        """Give examples the features of their media, one batch a modality."""
        for name in {item.modality for prompt in prompts for item in prompt.media}:
            places = [k for k, p in enumerate(prompts) if p.media and p.media[0].modality == name]
            values, _ = self.model.encode(name, [prompts[k].media[0].media for k in places])
            for place, features in zip(places, values, strict=True):
                examples[place].features = features

    @torch.no_grad()
    def embed_captions(self, prompts: Sequence[ChatPrompt]) -> dict[int, Tensor]:
        """The decoders' conditioning of captions by the prompt's number, zero where padded."""
        by_number: dict[int, Tensor] = {}
        for name in {span.target.modality for prompt in prompts for span in prompt.spans}:
            places = [
                k for k, p in enumerate(prompts) if p.spans and p.spans[0].target.modality == name
            ]
            captions = [prompts[k].spans[0].target.caption for k in places]
            embeds, mask, *_ = self.model.decoders.get(name).embed_captions(captions)
            rows = embeds.masked_fill(~mask[..., None], 0)
            by_number |= dict(zip(places, rows, strict=True))
        return by_number

    def batches(self) -> list[range]:
        """All samples, in batches, in their order."""
        size = self.run.batch_size
        return [range(k, min(k + size, len(self.data))) for k in range(0, len(self.data), size)]


def as_nextgpt(config: Path) -> dict[str, float]:
    """Train an epoch as NExT-GPT does; the seconds of it, and of what is computed ahead of it."""
    side = Side.open(config)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        start = measure.seconds()
        for indices in side.batches():
            for k, conditioning in side.embed_captions(side.prompts(indices)).items():
                np.save(files / f"{indices[k]}.npy", conditioning.numpy())
        ahead = measure.seconds() - start
        # `resize_token_embeddings` gives matrices that train, whole; here both are one.
        side.model.language.embedding.weight.requires_grad_(True)
        weights = [p for p in side.model.parameters() if p.requires_grad]
        settings = side.run.optimizer
        first, second = settings.betas
        optimizer = torch.optim.Adam(weights, settings.lr, (first, second))
        schedule = side.schedule(optimizer, side.run.steps)
        loss = _nextgpt_loss(side, side.first, files)
        side.check(loss)
        loss.backward()  # so that nothing is done for the first time below
        optimizer.zero_grad()
        start = measure.seconds()
        for batch in _by_kind(side):
            side.update(_nextgpt_loss(side, batch, files), optimizer, schedule)
        return {"seconds": measure.seconds() - start, "ahead": ahead}


def _by_kind(side: Side) -> list[list[int]]:
    """An epoch of batches, each of one data set, which here is one kind of task and modality."""
    rng, size = random.Random(side.run.seed), side.run.batch_size
    batches = []
    for kind in range(KINDS):
        own = list(range(kind, len(side.data), KINDS))
        rng.shuffle(own)
        batches += [own[k : k + size] for k in range(0, len(own), size)]
    rng.shuffle(batches)
    return batches


def _nextgpt_loss(side: Side, indices: Sequence[int], files: Path) -> Tensor:
    prompts = side.prompts(indices)  # tokenised at every step
    examples = [example_of(prompt) for prompt in prompts]
    for index, prompt, example in zip(indices, prompts, examples, strict=True):
        if prompt.spans:  # its data set reads one file a sample
            example.conditioning = torch.from_numpy(np.load(files / f"{index}.npy"))
    side.encode(prompts, examples)  # at every step
    batch = padded(examples)  # to the longest of the batch, then cut
    embeds, states = read(side.model, batch, keep_all=True)  # until the losses are there
    text, scores = everywhere(side.model, states[-1], batch["labels"])
    token_ids, labels = scores.argmax(-1), batch["labels"][:, 1:]  # for the accuracy that it logs
    real = labels != -100
    ((token_ids == labels) & real).sum().float().div(real.sum()).item()
    return torch.stack([text, *align_losses(side.model, batch, states[-1], embeds)]).sum()


def examples_ahead(side: Side) -> tuple[list[Example], float]:
    """All samples with the results of frozen parts, and the seconds that took."""
    start = measure.seconds()
    examples = []
    for indices in side.batches():
        prompts = side.prompts(indices)
        some = [example_of(prompt) for prompt in prompts]
        side.encode(prompts, some)
        for k, conditioning in side.embed_captions(prompts).items():
            some[k].conditioning = conditioning
        examples += some
    return examples, measure.seconds() - start


def bare(config: Path) -> dict[str, float]:
    """Train two epochs in the least code: results kept, batches sorted by length.

    The second is measured.
    """
    side = Side.open(config)
    examples, ahead = examples_ahead(side)
    losses = Losses(side.model, supervised=True)
    with torch.no_grad():
        side.check(losses(**padded([examples[k] for k in side.first]))["loss"])
    optimizer = build_optimizer(side.model, side.run.optimizer)
    schedule = side.schedule(optimizer, 2 * side.run.steps)
    rng = random.Random(side.run.seed)
    size, start = side.run.batch_size, 0.0
    for _ in range(2):
        start = measure.seconds()
        rng.shuffle(examples)
        examples.sort(key=lambda example: len(example.ids))
        batches = [examples[k : k + size] for k in range(0, len(examples), size)]
        rng.shuffle(batches)
        for some in batches:
            side.update(losses(**padded(some))["loss"], optimizer, schedule)
    return {"seconds": measure.seconds() - start, "ahead": ahead}


class _Epochs(transformers.TrainerCallback):  # type: ignore[misc]
    """Notes when epochs begin and end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_begin(self, *args: object, **kwargs: object) -> None:
        self.start = measure.seconds()

    def on_epoch_end(self, *args: object, **kwargs: object) -> None:
        self.seconds.append(measure.seconds() - self.start)


def hugging_face(config: Path) -> dict[str, float]:
    """Train two epochs with transformers' Trainer, results kept; the second is measured."""
    side = Side.open(config)
    examples, ahead = examples_ahead(side)
    losses = Losses(side.model, supervised=False)
    with torch.no_grad():
        side.check(losses(**padded([examples[k] for k in side.first]))["loss"])
    optimizer = build_optimizer(side.model, side.run.optimizer)
    epochs = _Epochs()
    with tempfile.TemporaryDirectory() as out:
        settings = transformers.TrainingArguments(
            output_dir=out,
            num_train_epochs=2,
            per_device_train_batch_size=side.run.batch_size,
            max_grad_norm=side.run.optimizer.max_grad_norm,
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            report_to="none",
            remove_unused_columns=False,
        )
        trainer = transformers.Trainer(
            losses,
            settings,
            data_collator=padded,
            train_dataset=examples,
            optimizers=(optimizer, side.schedule(optimizer, 2 * side.run.steps)),
            callbacks=[epochs],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return {"seconds": epochs.seconds[-1], "ahead": ahead}


PEERS: dict[str, Callable[[Path], dict[str, float]]] = {
    "as NExT-GPT trains": as_nextgpt,
    "Hugging Face's `Trainer`, results kept": hugging_face,
    "bare loop, results kept, sorted by length": bare,
}
