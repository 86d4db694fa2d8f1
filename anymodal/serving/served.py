"""Models that a server has: composed ones, which reply, and encoders alone, which embed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anymodal.media import Media
from anymodal.model import AnyModal
from anymodal.serving.cut_media import CutMedium, cut_media
from anymodal.serving.embedding_queue import EmbeddingQueue
from anymodal.serving.engine import Engine, EngineSettings, ReplyEngine
from anymodal.serving.errors import OutOfMemoryError
from anymodal.serving.memory import free_memory, is_out_of_memory
from anymodal.tools.embed.files import TEXT

if TYPE_CHECKING:
    from anymodal.core import ComposedModel
    from anymodal.encoders import Encoder, TextEncoder

EMBEDDED_AT_ONCE = 16


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model, whether or not it is loaded.

    Args:
        name: what clients call it.
        reads: kinds of input, text among them.
        writes: kinds of output of a reply; none for encoders alone.
        makers: the modality that makes each kind of media, or speaks it.
        voices: names of the voices of its speakers.
        speakers: the modalities that are spoken.
        replies: whether it replies, or only embeds.
        created: when it was first known here, in seconds since 1970.
    """

    name: str
    reads: Sequence[str]
    writes: Sequence[str]
    makers: Mapping[str, str]
    replies: bool
    voices: Sequence[str] = ()
    speakers: Sequence[str] = ()
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(
        cls, name: str, model: ComposedModel | None, kinds: Sequence[str] | None = None
    ) -> ModelFacts:
        """The facts of a model, or of encoders of such kinds."""
        modalities = {} if model is None else model.modalities
        if kinds is None:
            kinds = [m.encoder.media.kind for m in modalities.values() if m.encoder is not None]
        reads = [kind for kind in kinds if kind != TEXT]
        if model is not None or TEXT in kinds:
            reads = [TEXT, *reads]
        outputs = {name: each for name, each in modalities.items() if each.decoder or each.speaker}
        makers = {each.media.kind: name for name, each in outputs.items()}
        speakers = {name: each.speaker for name, each in outputs.items() if each.speaker}
        voices = [voice for speaker in speakers.values() for voice in speaker.voices]
        writes = [] if model is None else [TEXT, *makers]
        return cls(name, reads, writes, makers, model is not None, voices, [*speakers])


class ServedModel:
    """A model under the name that clients call it by.

    Args:
        name: what clients call it.
        model: the composed model; None for encoders alone.
        encoders: by kind of media, and `text`; those of the model where None.
        settings: limits; of the engine, too.
        engine: answers requests to the model; one of this process where None.

    Attributes:
        engine: answers requests; None for encoders alone.
        embeddings: embeds for requests.
        facts: what is known of it.
        content_filter: the operator's, of the settings.
        embedding_threads: how many calls of `embed` are worth making at once.
    """

    embedding_threads = 1  # an encoder's batch takes all of a device

    def __init__(
        self,
        name: str,
        model: AnyModal | None,
        encoders: Mapping[str, Encoder | TextEncoder] | None = None,
        settings: EngineSettings | None = None,
        engine: ReplyEngine | None = None,
    ) -> None:
        self.name, self.model = name, model
        self.engine = engine
        if model is not None and engine is None:
            self.engine = Engine(model, settings)
        self.settings = settings or EngineSettings()
        self.content_filter = self.settings.content_filter
        if encoders is None:
            modalities = {} if model is None else model.modalities
            parts = [each.encoder for each in modalities.values()]
            encoders = {part.media.kind: part for part in parts if part is not None}
        self.encoders = encoders
        self.facts = ModelFacts.of(name, model, list(encoders))
        self.embeddings = EmbeddingQueue(self.embed, self.settings, self.embedding_threads)
        self._lock = threading.Lock()

    @property
    def makers(self) -> Mapping[str, str]:
        """The modality that makes each kind of media, or speaks it."""
        return self.facts.makers

    @property
    def num_bytes(self) -> int:
        """Bytes of all weights."""
        parts = [self.model] if self.model is not None else list(self.encoders.values())
        tensors = {
            tensor.data_ptr(): tensor.nbytes
            for part in parts
            for tensor in (*part.parameters(), *part.buffers())
        }
        return sum(tensors.values())

    @property
    def history_turns(self) -> int | None:
        """Earlier turns that the model is shown; None for all."""
        return None if self.model is None else self.model.history_turns

    @property
    def history_notice(self) -> str:
        """Text before a conversation whose earlier turns the model isn't shown; empty for none."""
        return "" if self.model is None else self.model.history_notice

    def cut_media(self, media: Iterable[tuple[str, Media]]) -> list[CutMedium]:
        """The recordings among media, with their places, that a reply is about in part only."""
        assert self.model is not None, "only a model that replies reads a conversation"
        return cut_media(self.model.readers.values(), media)

    def cut_when_embedded(self, media: Iterable[tuple[str, Media]]) -> list[CutMedium]:
        """Likewise, those whose embeddings are of the beginning alone."""
        readers = [each for kind, each in self.encoders.items() if kind != TEXT]
        return cut_media(readers, media)

    def kind_of(self, modality: str) -> str:
        """The kind of media of a modality of the model."""
        assert self.model is not None
        return self.model.modalities[modality].media.kind

    @torch.inference_mode()
    def embed(self, items: Sequence[str | Media]) -> list[Tensor]:
        """One embedding (E,) an item, on the CPU.

        Raises:
            OutOfMemoryError: if there is no memory, even for one alone.
            ValueError: if no encoder reads an item.
        """
        kinds = [TEXT if isinstance(item, str) else item.kind for item in items]
        for kind in kinds:
            if kind not in self.encoders:
                names = ", ".join(self.encoders) or "nothing"
                raise ValueError(f"the model {self.name!r} embeds {names}, and no {kind}")
        rows: dict[int, Tensor] = {}
        with self._lock:
            for kind in dict.fromkeys(kinds):
                places = [place for place, each in enumerate(kinds) if each == kind]
                for start in range(0, len(places), EMBEDDED_AT_ONCE):
                    some = places[start : start + EMBEDDED_AT_ONCE]
                    rows |= zip(
                        some, self._embed_batch(kind, [items[p] for p in some]), strict=True
                    )
        return [rows[place] for place in range(len(items))]

    def _embed_batch(
        self, kind: str, items: Sequence[str | Media], is_retry: bool = False
    ) -> Tensor:
        """Embed a batch. Where memory runs out it is halved; a single one is tried once more."""
        try:
            return self._encode(kind, items)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        free_memory()  # out here, where the error's traceback holds nothing any more
        if len(items) > 1:
            half = len(items) // 2
            return torch.cat(
                [self._embed_batch(kind, part) for part in (items[:half], items[half:])]
            )
        if is_retry:
            raise OutOfMemoryError
        return self._embed_batch(kind, items, is_retry=True)

    def _encode(self, kind: str, items: Sequence[str | Media]) -> Tensor:
        encoder = self.encoders[kind]
        prepared = torch.stack([encoder.prepare(item) for item in items])  # type: ignore[arg-type]
        return encoder.embed(encoder.to_weights(prepared)).float().cpu()  # NumPy has no bfloat16

    def close(self) -> None:
        """End what is under way."""
        self.embeddings.close()
        if self.engine is not None:
            self.engine.close()
