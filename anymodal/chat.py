"""One chat turn: a conversation in, a stream of events out, a message in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch

from anymodal import generation, media
from anymodal.generation import PrefixCache, Sampling, SpanReady, TextToken
from anymodal.packing import Place
from anymodal.types import (
    Conditioning,
    Done,
    Event,
    MediumProgress,
    MediumReady,
    MediumStarted,
    Message,
    TextDelta,
)

if TYPE_CHECKING:
    from anymodal.model import AnyModal

MAX_MEDIA = 32
"""The most media in a conversation."""


def conversation_of(given: Any) -> list[Message]:
    """What a user may pass as a conversation, as messages.

    A text, a medium or a path alone; a list of them (one user message, in order); or a list of
    messages. A string is text: write a file as a `Path`.

    Raises:
        ValueError: for anything else, an empty conversation, or one that the user didn't end.
    """
    parts = given if isinstance(given, list | tuple) else [given]
    if parts and all(isinstance(part, Message) for part in parts):
        messages = [Message(m.role, [_part(part) for part in m.content]) for m in parts]
    else:
        messages = [Message("user", [_part(part) for part in parts])]
    if not messages or not messages[-1].content:
        raise ValueError("the conversation is empty; give a text, media, or messages")
    if messages[-1].role == "assistant":
        raise ValueError("the last message is the assistant's own; add one of the user's")
    count = sum(len(message.media) for message in messages)
    if count > MAX_MEDIA:
        raise ValueError(f"{count} media in one conversation; the limit is {MAX_MEDIA}")
    return messages


def _part(part: Any) -> Any:
    if isinstance(part, Path):
        return media.load(part)
    if isinstance(part, str | media.Media):
        return part
    raise ValueError(f"a message holds texts, media and paths, not {type(part).__name__}")


def reply(model: AnyModal, conversation: Any, **settings: Any) -> Message:
    """Answer a conversation: what `stream` yields, collected."""
    for event in stream(model, conversation, **settings):
        if isinstance(event, Done):
            return event.message
    raise AssertionError("a stream ends with Done")


@torch.inference_mode()
def stream(
    model: AnyModal,
    conversation: Any,
    *,
    seed: int | None = None,
    sampling: dict[str, dict[str, Any]] | None = None,
    cache: PrefixCache | None = None,
    **how: Any,
) -> Iterator[Event]:
    """Answer a conversation piece by piece: text as it comes, then media with progress.

    Media of one modality are made in one batch, after the text; each stands in the final message
    where its span stood.

    Args:
        model: the composed model.
        conversation: see `conversation_of`.
        seed: of the sampled text and of the media; None draws one.
        sampling: steps and guidance by modality, over the model's own settings.
        cache: keys and values of earlier turns, kept by a session.
        how: further settings of the text, see `generation.Sampling`.

    Raises:
        ValueError: for a conversation or settings that don't fit.
    """
    messages = conversation_of(conversation)
    choose = Sampling(**how)
    settings = _sampling(model, sampling or {})
    seed = int(torch.seed() % 2**31) if seed is None else seed
    prompt = model.layout.prompt(messages, reply=True)
    ids = torch.tensor([prompt.ids], device=model.device)
    embeds = model.embed([prompt], ids, [Place(0, 0)])[0]
    ready = generation.Prompt(embeds, prompt.keys(model.layout.slots))
    generator = torch.Generator().manual_seed(seed)
    content: list[Any] = []
    spans: dict[int, tuple[str, Conditioning]] = {}
    for event in generation.generate(
        model.language, model.signals, ready, choose, generator=generator, cache=cache
    ):
        if isinstance(event, TextToken):
            content.append(event.text)
            yield TextDelta(event.text)
        else:
            index = len(spans)
            spans[index] = (event.name, _condition(model, event))
            content.append(index)
            yield MediumStarted(index, event.name)
    made: dict[int, media.Media] = {}
    for name, indices in _by_name(spans).items():
        for step in _make(model, name, indices, spans, settings[name], seed):
            if isinstance(step, MediumReady):
                made[step.index] = step.media
            yield step
    yield Done(Message("assistant", _joined([made.get(p, p) for p in content])))


def _sampling(model: AnyModal, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name in given:
        if name not in model.decoders:
            known = ", ".join(model.decoders)
            raise ValueError(f"this model makes no {name!r}; it makes {known}")
    return {name: {**model.modalities[name].sampling, **given.get(name, {})} for name in model.decoders}


def _condition(model: AnyModal, span: SpanReady) -> Conditioning:
    made: Conditioning = model.heads[span.name](span.hidden[None], span.embeds[None])
    return made


def _by_name(spans: dict[int, tuple[str, Conditioning]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for index, (name, _) in spans.items():
        found[name].append(index)
    return dict(found)


def _make(
    model: AnyModal,
    name: str,
    indices: Sequence[int],
    spans: dict[int, tuple[str, Conditioning]],
    settings: dict[str, Any],
    seed: int,
) -> Iterator[MediumProgress | MediumReady]:
    """Make the media of one modality in one batch, with progress as it goes."""
    conditions = [spans[index][1] for index in indices]
    batch = Conditioning(*(None if t[0] is None else torch.cat(t) for t in zip(*conditions)))
    # Seeded by the place in the reply, so that a medium doesn't depend on its company.
    generators = [torch.Generator().manual_seed(seed + index) for index in indices]
    decoder = model.decoders[name]

    def work(progress: Callable[[int, int], None]) -> list[media.Media]:
        with torch.inference_mode():
            return decoder.sample(batch, generator=generators, progress=progress, **settings)

    for done in _reporting(work):
        if isinstance(done, tuple):
            step, steps = done
            for index in indices:
                yield MediumProgress(index, name, step, steps)
        else:
            for index, medium in zip(indices, done, strict=True):
                yield MediumReady(index, name, medium)


def _reporting(work: Callable[[Callable[[int, int], None]], Any]) -> Iterator[Any]:
    """Run `work(progress)` in a thread; yield its (step, steps) as they come, then its result."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        try:
            queue.put(work(lambda step, steps: queue.put((step, steps))))
        except BaseException as error:  # handed to the reader, who raises it
            queue.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    while True:
        item = queue.get()
        if isinstance(item, BaseException):
            raise item
        yield item
        if not isinstance(item, tuple):
            thread.join()
            return


def _joined(parts: Sequence[Any]) -> list[Any]:
    """Neighbouring texts as one."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined
