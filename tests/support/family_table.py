"""Tables of the documents, made of the registries of tests; `{family-table} NAME` shows one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from anymodal.decoders.families.table import find_family
from anymodal.decoders.speech.table import FAMILIES as SPEAKERS
from anymodal.encoders.transformers.families import FAMILIES as ENCODERS
from anymodal.encoders.transformers.text import TEXT_TOWERS
from anymodal.encoders.universal.kinds import KINDS
from anymodal.encoders.universal.tokenizers import TrunkSizes, build_tokenizer
from anymodal.io.results import markdown_table
from anymodal.language.families.table import language_family
from tests.support import (
    huggingface_models,
    language_models,
    multimodal_models,
    pipelines,
    speech_models,
    universal_models,
)

Rows = Iterable[Iterable[str]]


def encoders() -> Rows:
    """Models of transformers, each of which the contract suite opens."""
    yield "family", "`model_type`", "reads", "embedding"
    names = huggingface_models.FAMILIES.keys() | huggingface_models.FROM_PARTS.keys()
    for name, family in ENCODERS.items():
        assert name in names, f"{name} has no tiny model in tests/support/huggingface_models.py"
        embedding = huggingface_models.EMBEDDINGS[name]
        texts = "; reads texts" if name in TEXT_TOWERS else ""
        yield family.label, f"`{name}`", family.media.kind, embedding + texts


def tokenizers() -> Rows:
    """Those of the universal encoder, with the tokens of the published sizes."""
    yield "tokenizer", "reads", "by", "tokens"
    for name in KINDS:
        assert name in universal_models.MODALITIES, f"{name} is in no test"
        with torch.device("meta"):
            tokenizer = build_tokenizer(name, None, TrunkSizes(width=1024, size=224))
        own = tokenizer.positions
        count = str(257 if own is None else len(own))  # CLIP's patches of 14, and its class token
        pieces = f"{tokenizer.frames} × {count}" if hasattr(tokenizer, "frames") else count
        yield f"`{name}`", *universal_models.DESCRIPTIONS[name], pieces


def languages() -> Rows:
    """Language models of the suite of their contract."""
    yield "family", "`model_type`", "chat template", "embeddings in the test"
    for family in language_models.FAMILIES.values():
        tied = "tied" if family.tied else "untied"
        yield family.label, f"`{family.model_type}`", family.template, tied


def multimodal() -> Rows:
    """Multimodal language models, each compared with transformers' own class."""
    yield "family", "`model_type`", "reads by itself", "axes of positions"
    for each in multimodal_models.MULTIMODAL_MODELS.values():
        family = language_family(each.model_type)
        assert family is not None
        yield each.label, f"`{each.model_type}`", ", ".join(each.reads), str(family.num_axes)


def decoders() -> Rows:
    """Pipelines: what their contract tests have been told, and hold them to."""
    yield "makes", "family", "pipeline", "conditioning", "tested predicting", "other schedulers"
    for family in pipelines.FAMILIES.values():
        parts = ["embeds", *["mask"] * family.masked, *["pooled"] * (family.pooled is not None)]
        others = [name.removesuffix("Scheduler") for name in family.schedulers]
        yield (
            find_family(family.pipeline).media.kind,
            family.title,
            f"`{family.pipeline.removesuffix('Pipeline')}`",
            ", ".join(parts),
            family.prediction.removesuffix("_prediction"),
            ", ".join(others) or "–",
        )


def speakers() -> Rows:
    """Speaking models: what their tests hold them to."""
    yield "family", "`model_type`", "voices", "settings", "licences of published weights"
    for name, family in SPEAKERS.items():
        speaker = speech_models.built(name)
        presets = ["presets"] * bool(family.presets(speaker.processor))
        tensors = ["tensors"] * bool(speaker._voices)
        recordings = ["recordings"] * speaker.takes_recordings
        settings = ", ".join(f"`{each}`" for each in family.settings) or "–"
        voices = ", ".join([*recordings, *tensors, *presets])
        yield family.label, f"`{name}`", voices, settings, family.licences


TABLES: dict[str, Callable[[], Rows]] = {
    "encoders": encoders,
    "tokenizers": tokenizers,
    "languages": languages,
    "multimodal": multimodal,
    "decoders": decoders,
    "speakers": speakers,
}


def table(name: str) -> str:
    """One table in Markdown, a row for each family under test."""
    head, *rows = TABLES[name]()
    return f"{markdown_table(head, rows)}\n"
