"""A plug-in of `lmms-eval`: models of AnyModal by the name `anymodal`, asked through their chat.

`lmms-eval` 0.7 finds it by the entry point `lmms_eval.models`. It asks for media beyond text by two
interfaces, so there are two classes: `ChatPlugin` for messages, which it takes by itself, and
`RequestPlugin` for a text with media beside it, which it takes for likelihoods and with
`--force_simple`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest

from anymodal.chat.batch import reply_many
from anymodal.chat.settings import TextSettings
from anymodal.distributed.devices import choose_device
from anymodal.io.message_parts import PartReader
from anymodal.media import Media
from anymodal.training.run_folder import open_any_model
from anymodal.types import Message, TokenUsage

NAME = "anymodal"
_TOKENS = 256
_SECONDS = (("video_start", "video_end"), ("start_time", "end_time"))


def manifest() -> ModelManifest:
    """The names under which `lmms-eval` loads this plug-in."""
    return ModelManifest(
        model_id=NAME,
        simple_class_path=f"{__name__}.RequestPlugin",
        chat_class_path=f"{__name__}.ChatPlugin",
    )


@dataclass(frozen=True)
class _Request:
    """A conversation to reply to, with the settings of a task."""

    conversation: list[Message]
    settings: TextSettings
    stops: tuple[str, ...]


class _Plugin(lmms):  # type: ignore[misc]  # the package is no dependency, so its classes are Any
    """A model of AnyModal.

    Args:
        pretrained: a model folder, a run's folder or a checkpoint in it, or a shipped model's name.
        batch_size: conversations to reply to at once.
        device: as `cuda`; a GPU where there is one, by default.
        max_batch_size: not read; the package gives it.
        dtype: the weights' precision, as `bfloat16`.
        system_prompt: what stands before every conversation.
        trusted_packages: packages of one's own that the model's parts may come from, with `+`
            between.
        output_dir: a folder for media that replies hold; such a reply is JSON, with its `text` and
            lists of paths by kind, as the package's tasks of making media read it.
        seed: of what is sampled.
    """

    def __init__(
        self,
        pretrained: str = "nano",
        batch_size: int | str = 1,
        device: str | None = None,
        max_batch_size: int | None = None,
        dtype: str | None = None,
        system_prompt: str = "",
        trusted_packages: str = "",
        output_dir: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__()
        # Which requests are this process's, the package says itself.
        local = os.environ.get("LOCAL_RANK") if torch.cuda.is_available() else None
        where = f"cuda:{local}" if local is not None else choose_device(device)
        packages = tuple(filter(None, trusted_packages.split("+")))
        if not str(batch_size).isdecimal() or not int(batch_size):
            raise ValueError(f"batch_size is {batch_size!r}; give a number from 1 on")
        model = open_any_model(pretrained, packages, dtype=dtype, device=where)
        self._model = model.eval()
        self.device, self.batch_size = where, int(batch_size)
        self.system, self.seed = system_prompt, seed
        self.output_dir = Path(output_dir) if output_dir else None
        self._reader = PartReader()

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Reply to requests, those of equal settings in batches, in the order given."""
        read = [self._read(request) for request in requests]
        places = sorted(range(len(read)), key=lambda place: _key(read[place]))
        results: dict[int, GenerationResult] = {}
        for _, group in groupby(places, key=lambda place: _key(read[place])):
            several = [*group]
            replies = reply_many(
                self._model,
                [read[place].conversation for place in several],
                seeds=[self.seed + place for place in several],
                batch_size=self.batch_size,
                **read[several[0]].settings,
            )
            for place, reply in zip(several, replies, strict=True):
                text = self._written(reply, read[place].stops, f"{self.rank}-{place}")
                self.cache_hook.add_partial("generate_until", requests[place].args[:1], text)
                usage = reply.usage or TokenUsage()
                counts = TokenCounts(usage.prompt, usage.completion)
                results[place] = GenerationResult(text, counts)
        return [results[place] for place in range(len(requests))]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse tasks whose questions depend on earlier replies.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("anymodal doesn't take tasks of several rounds; leave them out")

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """Score continuations as whole replies.

        Returns:
            For each a pair: its negative log-likelihood, since the package's multiple choice takes
            the least, and whether the likeliest tokens spell it.
        """
        results: list[GenerationResult] = []
        # The continuations of one document stand together, and its prompt is read once for all.
        for _, group in groupby(requests, key=lambda request: request.args[:1] + request.args[3:]):
            # The evaluator of 0.7.3 makes a text of a pair that isn't wrapped.
            results += [GenerationResult(pair) for pair in self._scores([*group])]
        return results

    def _scores(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        texts = []
        for request in requests:
            if len(request.args) < 4:
                raise ValueError(
                    "a chat has no likelihood without a prompt, which acc_mutual_info asks for; "
                    "take that metric out of the task"
                )
            context, continuation, visual_of, number, task, split = request.args
            document = self.task_dict[task][split][number]
            text = continuation if isinstance(continuation, str) else continuation(document)
            texts.append(str(text).strip())  # a reply begins without the delimiter
        conversation = self._conversation(context, visual_of(document) if visual_of else [])
        chosen, greedy = (
            reply_many(self._model, [conversation], seeds=[self.seed], **settings)[0]
            for settings in _likelihood_settings([*dict.fromkeys(texts)])
        )
        logprobs = {choice.text: choice.logprob for choice in chosen.choices}
        return [(-logprobs[text], greedy.text.strip() == text) for text in texts]

    def _conversation(self, text: str, visuals: Sequence[object] | None) -> list[Message]:
        media = [self._medium(None, visual) for visual in visuals or ()]
        user = Message("user", [*media, text])
        return [Message("system", self.system), user] if self.system else [user]

    def _medium(self, kind: str | None, value: object) -> Media:
        """A medium as tasks give it: a picture of Pillow, a path, an array with its rate."""
        seconds: tuple[object, object] | None = None
        if isinstance(value, Mapping):
            kind = value.get("type", kind)
            seconds = next(((value[a], value[b]) for a, b in _SECONDS if a in value), None)
            names = {name for pair in _SECONDS for name in pair} | {"type"}
            value = {key: each for key, each in value.items() if key not in names}
        part: object = Path(value) if isinstance(value, str) else value
        if isinstance(part, Mapping) or kind is not None:
            part = {"type": kind, kind: part} if kind is not None else dict(value)  # type: ignore[call-overload]
        medium = self._reader.read(part)
        if not isinstance(medium, Media):
            raise ValueError(f"a task gives {type(value).__name__} as a medium, which isn't one")
        if seconds is None or seconds[1] is None:
            return medium
        start, end = float(str(seconds[0])), float(str(seconds[1]))
        return medium.cut(start, end - start)

    def _read(self, request: Instance) -> _Request:
        raise NotImplementedError

    def _written(self, reply: Message, stops: Sequence[str], name: str) -> str:
        """A reply as the package takes it, cut at the first of the texts that end it."""
        text = reply.text
        for stop in stops:
            text = text.split(stop)[0]
        if self.output_dir is None or not reply.media:
            return text
        self.output_dir.mkdir(parents=True, exist_ok=True)
        paths: dict[str, list[str]] = {}
        for number, medium in enumerate(reply.media):
            path = medium.save(self.output_dir / f"{name}-{number}")
            paths.setdefault(f"{medium.kind}s", []).append(str(path))
        return json.dumps({"text": text, **paths})


class ChatPlugin(_Plugin):
    """A model of AnyModal that gets messages; see `_Plugin`."""

    is_simple = False

    def _read(self, request: Instance) -> _Request:
        _, messages_of, settings, number, task, split = request.args
        messages = messages_of(self.task_dict[task][split][number])
        conversation = [
            Message(message["role"], [*self._parts(message["content"])]) for message in messages
        ]
        if self.system and conversation[0].role != "system":
            conversation.insert(0, Message("system", self.system))
        return _Request(conversation, *_settings(settings))

    def _parts(self, content: str | Sequence[Mapping[str, Any]]) -> Iterator[str | Media]:
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                yield part["text"]
            else:
                times = {key: value for key, value in part.items() if key not in ("type", "url")}
                value = {"source": part["url"], **times} if times else part["url"]
                yield self._medium(part["type"], value)


class RequestPlugin(_Plugin):
    """A model of AnyModal that gets a text with media beside it; see `_Plugin`."""

    is_simple = True

    def _read(self, request: Instance) -> _Request:
        context, settings, visual_of, number, task, split = request.args
        visuals = visual_of(self.task_dict[task][split][number]) if visual_of else []
        return _Request(self._conversation(context, visuals), *_settings(settings))


def _key(request: _Request) -> str:
    return repr(sorted(request.settings.items()))


def _settings(values: Mapping[str, Any]) -> tuple[TextSettings, tuple[str, ...]]:
    """Settings of a task as those of a reply, and the texts that end it; beams are none of ours."""
    settings: TextSettings = {"max_new_tokens": int(values.get("max_new_tokens") or _TOKENS)}
    if values.get("do_sample", True) and (values.get("temperature") or 0) > 0:
        settings["temperature"] = float(values["temperature"])
        if values.get("top_p") is not None:
            settings["top_p"] = float(values["top_p"])
        if values.get("top_k") is not None:
            settings["top_k"] = int(values["top_k"])
    stops = values.get("until") or ()
    return settings, (stops,) if isinstance(stops, str) else tuple(stops)


def _likelihood_settings(texts: list[str]) -> Iterator[TextSettings]:
    """Settings of the reply among some texts, and of the likeliest reply."""
    yield {"choices": texts}
    # Longer than any of them, by which a reply that goes on is told apart.
    yield {"max_new_tokens": max(len(text.encode()) for text in texts) + 1}
