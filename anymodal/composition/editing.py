"""Changes of a composed model that keep it whole: another decoder, one more modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anymodal.core import ComposedModel
from anymodal.decoders import Decoder
from anymodal.heads import Head
from anymodal.language.signal_tokens import Signals
from anymodal.modality import Modality, by_media, check_head


def replace_decoder(
    model: ComposedModel, name: str, decoder: Decoder, head: Head | None = None
) -> None:
    """Let a modality be made by another decoder: see `AnyModal.replace_decoder`."""
    if name not in model.decoders:
        names = ", ".join(model.decoders) or "none"
        raise ValueError(f"no decoder is called {name!r}; there are: {names}")
    new_head: Head = model.heads.get(name) if head is None else head
    modality = replace(model.modalities[name], decoder=decoder, head=new_head)
    by_media({**model.decoders.by_name(), name: decoder}, "make")
    check_head(name, new_head, decoder, modality.num_signal_tokens)
    dtype = next((p.dtype for p in model.heads.get(name).parameters()), None)
    decoder.to(model.device).requires_grad_(False).eval()
    if head is not None:
        head.to(model.device, dtype).eval()
    model.set_modality(name, modality)
    model.prompts = model.build_prompt_builder()
    _forget_nodes(model, name, "decoder", *(["head"] if head is not None else []))


def add_modality(
    model: ComposedModel,
    name: str,
    modality: Modality,
    *,
    like: str | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> None:
    """Let a model read or speak one more modality: see `AnyModal.add_modality`."""
    if name in model.modalities:
        raise ValueError(f"a modality {name!r} is known already; choose another name")
    if modality.speaker is not None and modality.encoder is None:
        _add_speaker(model, name, modality)
        return
    part = modality.encoder
    fused = model.fusion is not None
    if part is None or modality.decoder is not None or model.projection is None or fused:
        raise ValueError(
            f"{name!r} can't be added: only a modality with a speaker alone can, or one with an "
            "encoder and no decoder, to a model with a projection and no fusion; compose a new "
            "model from this one's parts"
        )
    if (reader := model.prompts.encoders.get(modality.media)) is not None:
        kind = modality.media.__name__
        raise ValueError(
            f"{kind} is read already, by {reader!r}, so {name!r} can't read it too; let its "
            f"encoder read a class of its own (class Other({kind})), or compose a model with "
            f"{name!r} instead of {reader!r}"
        )
    by_media({**model.encoders.by_name(), name: part}, "read")
    before = model.signals
    inputs = [*before.inputs, name]
    signals = Signals(before.counts, inputs, before.first_id, before.pointers)
    if model.language.vocab_size != model.signals.stop_id:
        raise ValueError("the language model got tokens from elsewhere; add the modality first")
    model.projection.add_modality(name, part.width, like=like)
    model.projection.set_layout(name, part.layout)
    # Placeholders stand last, so a new one leaves all other ids as they are.
    model.language.add_tokens(signals.names[len(model.signals.names) :])
    model.signals = signals
    part.to(model.device).eval()
    model.set_modality(name, modality)
    model.prompts = model.build_prompt_builder()
    _forget_nodes(model, name, "encoder")
    if encoder is not None:
        config = model.config or {"modalities": {name: {}}}  # the other parts tell themselves
        config["modalities"][name]["encoder"] = dict(encoder)
        model.config = config


def _add_speaker(model: ComposedModel, name: str, modality: Modality) -> None:
    speaker = modality.speaker
    assert speaker is not None, "whoever calls this has looked"
    by_media({**model.decoders.by_name(), **model.speakers.by_name(), name: speaker}, "make")
    speaker.to(model.device).requires_grad_(False).eval()
    model.set_modality(name, modality)
    model.prompts = model.build_prompt_builder()
    _forget_nodes(model, name, "speaker")


def _forget_nodes(model: ComposedModel, name: str, *keys: str) -> None:
    """Let the configuration ask parts that it didn't build how they were built."""
    if model.config is None:
        return
    nodes = model.config["modalities"]
    node = {**nodes.get(name, {}), **dict.fromkeys(keys)}
    labels = [f"{key}s.{name}" for key in keys]
    part_names = [each for each in model.config.get("trained", ()) if each not in labels]
    model.config = {**model.config, "modalities": {**nodes, name: node}, "trained": part_names}
