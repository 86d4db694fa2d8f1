"""Media of one kind, by the whole model: the reply to a prompt is that medium and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from anymodal.config import ranges
from anymodal.media import Media
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.schemas import MediaBody
from anymodal.serving.api.state import (
    ServerState,
    all_of,
    media_references,
    media_settings,
    submit_all,
)
from anymodal.serving.requests import ReplyRequest, ReplyStream
from anymodal.serving.served import ServedModel
from anymodal.types import Done, Message, TokenUsage


def maker_of(state: ServerState, model: str | None, kind: str) -> tuple[str, str]:
    """The name of the model that is asked for, and its modality that makes a kind of media.

    Args:
        state: of the server.
        model: its name; None where only one makes this kind.
        kind: of media.

    Raises:
        ApiError: if there is none, or several and no name.
    """
    if model is None:
        names = [name for name, facts in state.pool.facts.items() if kind in facts.makers]
        if len(names) != 1:
            listing = ", ".join(names) or "none"
            raise ApiError(400, f"name the model; of those that make {kind}, there are: {listing}",
                           param="model")  # fmt: skip
        model = names[0]
    facts = state.find(model)
    if kind not in facts.makers:
        outputs = ", ".join(facts.writes) or "nothing"
        text = f"the model {model!r} makes no {kind}; it makes {outputs}"
        raise ApiError(400, text, param="model")
    return model, facts.makers[kind]


def one_medium(body: MediaBody, served: ServedModel, modality: str) -> dict[str, int]:
    """The setting of one medium, where the answer is one file; the model's own may be of several.

    Raises:
        ApiError: for more than one, with the way to several.
    """
    number = media_settings(body, served, modality).get(modality, {}).get(ranges.NUMBER, 1)
    if number != 1:
        raise ApiError(
            400,
            f"the answer is one file, and 'number' is {number}; leave it out, or ask "
            "/v1/chat/completions, whose replies hold several",
            param="sampling",
        )
    return {ranges.NUMBER: 1}


async def make_media(
    state: ServerState,
    served: ServedModel,
    modality: str,
    conversation: Sequence[Message],
    body: MediaBody,
    defaults: Mapping[str, int] | None = None,
    made_from: Mapping[str, object] | None = None,
) -> tuple[list[Media], list[TokenUsage]]:
    """Media of a modality, as many as the body asks for, and the tokens of each; `defaults` are
    settings of the decoder, such as a size, where the body gives none; `made_from` has references
    by modality, over the body's.
    """
    assert served.engine is not None, "only models that reply make media"
    seed = secrets.randbelow(2**31) if body.seed is None else body.seed
    sampling = media_settings(body, served, modality)
    if defaults:
        sampling[modality] = {**defaults, **sampling.get(modality, {})}
    count = state.choices(body.n)
    if count > 1 and _finds(served, modality):
        # Other seeds would find the same; of one request they are the nearest ones.
        own = sampling.get(modality, {})
        sampling[modality] = {**own, ranges.NUMBER: count * int(own.get(ranges.NUMBER, 1))}
        count = 1
    requests = [
        ReplyRequest(
            conversation,
            seed=seed + index,
            sampling=sampling,
            references={**media_references(body, served), **(made_from or {})},
            forced=[modality],
        )
        for index in range(count)
    ]
    streams = await submit_all(served.engine, requests, body)
    param = body.field_of("prompt") or "input"
    groups = await all_of(streams, (_media(state, served, each, param) for each in streams))
    media = [medium for group in groups for medium in group]
    return media, [stream.usage for stream in streams]


def _finds(served: ServedModel, modality: str) -> bool:
    """Whether a model's decoder may find media, which seeds don't tell apart."""
    if served.model is None:
        return False
    return bool(served.model.decoders.get(modality).takes_ranks)


async def _media(
    state: ServerState, served: ServedModel, stream: ReplyStream, param: str
) -> list[Media]:
    message: Message | None = None
    async for event in state.metrics.watch(served.name, stream):
        if isinstance(event, Done):
            message = event.message
    if message is None or not message.media:
        raise ApiError(400, "the prompt leaves no room for a reply; shorten it", param=param)
    return message.media


def prompt_message(prompt: str, param: str) -> list[Message]:
    """A prompt as a conversation.

    Raises:
        ApiError: if it is empty.
    """
    if not prompt.strip():
        raise ApiError(400, "the prompt is empty; say what to make", param=param)
    return [Message("user", prompt)]
