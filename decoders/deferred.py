"""Decoders that stay on disk while what is asked of them is known."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from anymodal import __version__
from anymodal.decoders.base import Decoder, Generators, Progress
from anymodal.decoders.references import EncodedReferences, Reference, References, ReferenceSlot
from anymodal.io.checkpoint import replacing
from anymodal.io.code_versions import (
    UNKNOWN,
    code_versions,
    library_versions,
    module_versions,
    modules_of,
)
from anymodal.io.feature_cache import CacheKey, FeatureCache
from anymodal.io.fingerprints import hash_json
from anymodal.io.sources import folder_of
from anymodal.media import Media
from anymodal.types import Conditioning, ConditioningSpec


class DeferDecoders:
    """Builds the parts of a run, for `config.instantiate`; decoders may stay on disk.

    Opening a decoder draws random numbers, for weights that files then replace. Here that leaves
    the run's own numbers alone, so that a run is the same whether it opens a decoder or not.

    Args:
        cache: the folder of what frozen parts gave, where decoders may stay on disk; their notes
            lie in it. None to open them all.
    """

    def __init__(self, cache: str | Path | None) -> None:
        self.cache = cache

    def __call__(self, target: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        owner = getattr(target, "__self__", None)
        if not (inspect.isclass(owner) and issubclass(owner, Decoder) and owner.can_wait):
            return target(**arguments)
        revision = arguments.get("revision")
        texts = [value for value in arguments.values() if isinstance(value, str)]
        paths = [path for value in texts if (path := folder_of(value, revision)) is not None]
        files = [file for path in paths for file in _files(path)]
        if not files:
            return target(**arguments)
        load = partial(open_quietly, target, arguments)
        if self.cache is None:
            return load()
        code = code_versions([owner])
        if UNKNOWN in code.values():
            return load()
        kind = f"{owner.__module__}.{owner.__qualname__}"
        versions = [__version__, library_versions(), code]
        try:
            name = hash_json([versions, kind, dict(arguments), files])
        except TypeError:  # an argument that isn't plain: nobody knows whether it is the same
            return load()
        return _with_note(Path(self.cache) / f"{name}.decoder.json", load)


def open_quietly(target: Callable[..., Decoder], arguments: Mapping[str, Any]) -> Decoder:
    """Open a decoder, and leave torch's random numbers as they were."""
    with torch.random.fork_rng(devices=[]):  # the CPU's alone, where initial weights are drawn
        return target(**arguments)


def _files(path: Path) -> Iterator[tuple[str, int, int, int, int]]:
    """A record of each file that changes with it: nobody can set a file's ctime."""
    # Sorted, since a file system gives entries in any order.
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        s = file.stat()
        yield str(file), s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


@dataclasses.dataclass(frozen=True)
class DecoderNote:
    """A record of a decoder that isn't open.

    Attributes:
        spec: the conditioning's shape and scale.
        media: the class of media that come out.
        min_steps: the fewest denoising steps that it takes.
        metadata: what a manifest records of it.
        parameters: their names.
        references: places for references that it takes.
        sees_references: whether its caption encoder looks at them, too.
        takes_mask: whether masked positions of a conditioning change nothing.
        captioning: the hash by which the conditioning of captions is kept, where it is known.
    """

    spec: ConditioningSpec
    media: type[Media]
    min_steps: int
    metadata: Mapping[str, Any]
    parameters: Sequence[str] = ()
    references: tuple[ReferenceSlot, ...] = ()
    sees_references: bool = False
    takes_mask: bool = False
    captioning: str | None = None

    @classmethod
    def of(cls, interface: Mapping[str, Any], **fields: Any) -> Self:
        """A note by what `interface` gave.

        Raises:
            KeyError: it lacks something, or there is no such class of media here.
            TypeError: it isn't of that shape.
        """
        classes = _media()
        slots = (
            {**slot, "media": classes[slot["media"]]} for slot in interface.get("references", ())
        )
        return cls(
            ConditioningSpec(**interface["spec"]),
            classes[interface["media"]],
            interface["min_steps"],
            references=tuple(ReferenceSlot(**slot) for slot in slots),
            sees_references=bool(interface.get("sees_references")),
            takes_mask=bool(interface.get("takes_mask")),
            **fields,
        )


def interface(decoder: Decoder) -> dict[str, Any]:
    """A decoder's properties that a model reads before anything is made, ready for JSON."""
    slots = [{**vars(slot), "media": slot.media.__qualname__} for slot in decoder.references]
    return {
        "spec": dataclasses.asdict(decoder.spec),
        "media": decoder.media.__qualname__,
        "min_steps": decoder.min_steps,
        **({"references": slots} if slots else {}),
        **({"sees_references": True} if decoder.sees_references else {}),
        **({"takes_mask": True} if decoder.takes_mask else {}),
    }


class DeferredDecoder(Decoder):
    """A frozen decoder that is opened when something is asked of it that its note doesn't tell.

    Args:
        note: what is known of it.
        load: opens the decoder.
    """

    place: Tensor
    takes_negative = True  # no note tells; a model was checked with the open one

    @property
    def takes_neither(self) -> bool:  # type: ignore[override]
        """Whether guidance away from references may be between conditionings alone."""
        return self.open_decoder().takes_neither

    @property
    def inpaints(self) -> bool:  # type: ignore[override]
        """Whether a part of a source, which a mask tells, can be made anew."""
        return self.open_decoder().inpaints

    def __init__(self, note: DecoderNote, load: Callable[[], Decoder]) -> None:
        super().__init__()
        self.note, self.load = note, load
        self._decoders: list[Decoder] = []  # in a list, so that it is no sub-module
        self._moved_to: torch.device | None = None
        self.register_buffer("place", torch.empty(0), persistent=False)
        self.spec, self.media, self.min_steps = note.spec, note.media, note.min_steps
        self.references, self.sees_references = note.references, note.sees_references
        self.takes_mask = note.takes_mask

    def open_decoder(self) -> Decoder:
        """The decoder itself, where this one has been moved."""
        with self.lock:
            if not self._decoders:
                # A chat asks in inference mode, whose tensors don't tell when they change.
                with torch.inference_mode(False):
                    self._decoders.append(self.load().requires_grad_(False))
                self.synthesizes = self._decoders[0].synthesizes
            if self._moved_to != self.place.device:
                self._decoders[0].to(self.place.device)
                self._moved_to = self.place.device
            return self._decoders[0]

    def captioning(self) -> CacheKey:
        """Give what decides `embed_captions`, from the note where it tells."""
        if self.note.captioning is None:
            return self.open_decoder().captioning()
        return CacheKey("conditioning", (), dict, content=self.note.captioning)

    def encoding(self) -> CacheKey:
        """Give what decides `prepare` and `encode`."""
        return self.open_decoder().encoding()

    def reference_encoding(self, role: str) -> CacheKey:
        """Give what decides `prepare_reference` and `encode_reference`."""
        return self.open_decoder().reference_encoding(role)

    def metadata(self) -> dict[str, Any]:
        """Give what a checkpoint's manifest records of this decoder, ready for JSON."""
        return dict(self.note.metadata)

    @property
    def source(self) -> dict[str, Any] | None:
        """The decoder's source and its licence."""
        return self.metadata().get("source")

    def embed_captions(
        self, captions: Sequence[str], references: References | None = None
    ) -> Conditioning:
        """Give the conditioning of captions by the decoder's own caption encoder."""
        return self.open_decoder().embed_captions(captions, **_given(references))

    def prepare(self, media: Media) -> Tensor:
        """Turn one medium into the tensor that `encode` takes a batch of (on the CPU)."""
        return self.open_decoder().prepare(media)

    def encode(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared media into what is denoised, without a gradient."""
        return self.open_decoder().encode(batch)

    def losses(
        self,
        batch: Tensor,
        conditioning: Conditioning,
        generator: torch.Generator | None = None,
        references: EncodedReferences | None = None,
    ) -> Tensor:
        """Give the denoising loss of each item (B,)."""
        return self.open_decoder().losses(batch, conditioning, generator, **_given(references))

    def prepare_reference(self, reference: Reference) -> Tensor:
        """Turn a reference into the tensor that `encode_reference` takes a batch of."""
        return self.open_decoder().prepare_reference(reference)

    def encode_reference(self, batch: Tensor) -> Tensor:
        """Turn a batch of prepared references of one role into latents, without a gradient."""
        return self.open_decoder().encode_reference(batch)

    def sample(
        self,
        conditioning: Conditioning,
        *,
        steps: int,
        guidance: float,
        generator: Generators = None,
        progress: Progress | None = None,
        references: References | None = None,
        **settings: Any,
    ) -> list[Media]:
        """Make one medium for each item of a conditioning."""
        return self.open_decoder().sample(
            conditioning,
            steps=steps,
            guidance=guidance,
            generator=generator,
            progress=progress,
            **_given(references),
            **settings,
        )

    def check_settings(self, settings: object, place: str = "") -> dict[str, Any]:
        """Check settings of `sample`; those that not every decoder takes by the decoder itself."""
        if isinstance(settings, Mapping) and settings.keys() - {"steps", "guidance"}:
            return self.open_decoder().check_settings(settings, place)
        return super().check_settings(settings, place)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write what `from_pretrained` of the decoder's class reads."""
        self.open_decoder().save_pretrained(folder)


def _given(references: References | EncodedReferences | None) -> dict[str, Any]:
    """The argument, where there is one: a decoder of one's own may know of none."""
    return {} if references is None else {"references": references}


def _with_note(path: Path, load: Callable[[], Decoder]) -> DeferredDecoder:
    """A decoder by its note in a file, which is written where it isn't there.

    The note holds for the very files that the decoder was read from, and the code of its caption
    encoder.
    """
    decoder = None
    if (record := _read(path)) is None:
        decoder = load().requires_grad_(False)
        record = _learn(decoder)
        # Without a note, as on a full disk, the next run opens it again.
        if UNKNOWN not in record["code"].values():
            with contextlib.suppress(OSError), replacing(path) as file:
                file.write_text(json.dumps(record))
    fields = {"metadata": record["metadata"], "parameters": record["parameters"]}
    note = DecoderNote.of(record["interface"], **fields, captioning=record["content"])
    decoder_on_disk = DeferredDecoder(note, load)
    if decoder is not None:
        decoder_on_disk._decoders.append(decoder)
    return decoder_on_disk


def _learn(decoder: Decoder) -> dict[str, Any]:
    key = decoder.captioning()
    modules = modules_of([*key.modules, *key.code])
    return {
        "interface": interface(decoder),
        "metadata": decoder.metadata(),
        "parameters": [name for name, _ in decoder.named_parameters()],
        "content": FeatureCache().content(key),
        "modules": modules,
        "code": module_versions(modules),
    }


def _read(path: Path) -> dict[str, Any] | None:
    """A note that is whole and of today's code, if there is one."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    same = module_versions(record["modules"]) == record["code"]
    return record if same and record["interface"]["media"] in _media() else None


def _media() -> dict[str, type[Media]]:
    """Classes of media by name; a decoder's own is defined by now, with the decoder's class."""
    classes, waiting = {}, [Media]
    while waiting:
        kind = waiting.pop()
        classes[kind.__qualname__] = kind
        waiting += kind.__subclasses__()
    return classes
