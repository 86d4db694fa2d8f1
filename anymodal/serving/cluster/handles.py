"""Ray Serve's handles and Ray's object store, as the parts of a cluster call them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anymodal.chat.orders import Order
from anymodal.media import Media
from anymodal.serving.cluster.calls import (
    MOST_ATTEMPTS,
    DecoderCall,
    LanguageCall,
    ReplicaLostError,
)
from anymodal.serving.cluster.remote_model import EmbedCall
from anymodal.serving.errors import ModelFaultError
from anymodal.serving.requests import ReplyRequest

if TYPE_CHECKING:
    from torch import Tensor


def language_call(handle: Any) -> LanguageCall:
    """Asks language-model replicas for replies, by a deployment's handle."""

    def call(request: ReplyRequest, key: str) -> AsyncGenerator[Any]:
        options = handle.options(stream=True, session_id=key)
        return _items(options.reply.remote(request))

    return call


def decoder_call(handle: Any) -> DecoderCall:
    """Asks decoder replicas for media, by a deployment's handle."""

    def call(order: Order, settings: Mapping[str, Any]) -> AsyncGenerator[Any]:
        return _items(handle.options(stream=True).make.remote(order, settings))

    return call


def embed_call(handle: Any) -> EmbedCall:
    """Asks language-model replicas for embeddings, by a deployment's handle, from a thread."""
    from ray.exceptions import RayError, RayTaskError

    def call(items: Sequence[str | Media]) -> list[Tensor]:
        for _ in range(MOST_ATTEMPTS):
            try:
                rows: list[Tensor] = handle.embed.remote(list(items)).result()
                return rows
            except RayTaskError as error:  # the replica's own
                raise error.cause from None
            except RayError:
                continue
        raise ModelFaultError("the replicas that embed were lost")

    return call


def put_medium(medium: Media) -> Any:
    """Put a medium into the object store of this node."""
    import ray

    return ray.put(medium)


async def get_medium(reference: Any) -> Media:
    """Get a medium from the object store, of whatever node.

    Raises:
        ReplicaLostError: if it was lost with the replica that put it there.
    """
    from ray.exceptions import RayError

    try:
        medium: Media = await reference
    except RayError as error:
        raise ReplicaLostError(_line(error)) from error
    return medium


async def _items(response: Any) -> AsyncGenerator[Any]:
    """Items of a call, one by one; the call ends with its reader.

    Raises:
        ReplicaLostError: if the replica or its node ended, or can't be reached. Errors of requests
            come as items.
    """
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        async for item in response:
            yield item
    except (RayError, RayServeException) as error:
        raise ReplicaLostError(_line(error)) from error
    finally:
        response.cancel()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
