"""Checkpoints of published systems, by their own keys, to weights that a model starts from.

`convert` writes a folder that a model's configuration names under `weights:`. What isn't asked for
there, as the language model's own weights, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from anymodal.encoders.imagebind.convert import file_hash, read_state_dict
from anymodal.io.checkpoint import (
    WEIGHTS,
    CheckpointError,
    replacing_folder,
    save_weights,
    write_manifest,
)

Names = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class System:
    """Key mapping of a published checkpoint: its names of parts, and ours.

    Args:
        names: patterns of its keys, each with the name here, or with several.
        required_names: names, as here, that a checkpoint must have.
        licence: of the weights, as far as their publishers say.
        commercial_use: whether it allows that; None where it has conditions.
        signals: its signal tokens by modality, in the order of ours.
        rows: keys of input and output rows: of whole vocabularies, or of the signals alone.
        names_by_folder: the same as `names` for weights of encoders, by the folder they go to.
    """

    names: Names
    required_names: Sequence[str]
    licence: str
    commercial_use: bool | None
    signals: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rows: Mapping[str, str] | None = None
    names_by_folder: Mapping[str, Names] = field(default_factory=dict)


# Names of a GILL mapper (`MapperHead`), which NExT-GPT has as well.
_HEAD = r"((?:fc|tfm|model)\..+|query_embs)"
_QFORMER = [
    # Positions are no weights, though some versions of transformers saved them.
    (r"(qformer\.(?!embeddings\.position_ids).+)", [r"projection.\1"]),
    (r"query_tokens", ["projection.query_tokens.image"]),
]
_QFORMER_AND_LINEAR = [
    *_QFORMER,
    (r"language_projection\.(weight|bias)", [r"projection.language_projection.image.\1"]),
]
_UPM = "(routers|resample_tokens|clip_proj1|clip_proj2|start_tag|end_tag)"
_ONELLM = {
    "image": "image", "video": "video", "audio": "audio", "imu": "imu",
    "point": "points", "rgbd": "depth", "rgbn": "normal",
}  # fmt: skip
"""OneLLM's modalities and ours; of its fMRI nothing is taken."""
# As peft wraps a language model: its adapters have this before their names.
_LLAMA = "llama_model.base_model.model."

SYSTEMS: dict[str, System] = {
    "nextgpt": System(
        names=[
            # One projection reads ImageBind's embeddings of every modality; here each has a copy.
            (
                r"llama_proj\.(weight|bias)",
                [rf"projection.maps.{name}.\1" for name in ("image", "audio", "video")],
            ),
            (rf"gen_text_hidden_fcs\.0\.{_HEAD}", [r"heads.image.\1"]),
            (rf"gen_text_hidden_fcs_audio\.0\.{_HEAD}", [r"heads.audio.\1"]),
            (rf"gen_text_hidden_fcs_video\.0\.{_HEAD}", [r"heads.video.\1"]),
            (
                re.escape(_LLAMA) + r"(.+\.lora_[AB])(?:\.default)?\.weight",
                [r"language.model.\1.default.weight"],
            ),
        ],
        required_names=["projection.maps.image.weight", "heads.image.query_embs"],
        licence="terms that its publishers leave open, made for Vicuna v0 (LLaMA: research only)",
        commercial_use=False,
        signals={
            "image": [f"[IMG{index}]" for index in range(4)],
            "audio": [f"[AUD{index}]" for index in range(8)],
            "video": [f"[VID{index}]" for index in range(24)],
        },
        rows={
            "language.rows": f"{_LLAMA}model.embed_tokens.weight",
            "language.output_rows": f"{_LLAMA}lm_head.weight",
        },
    ),
    "gill": System(
        names=[
            (r"model\.visual_embeddings\.(weight|bias)", [r"projection.maps.image.\1"]),
            (rf"model\.gen_text_hidden_fcs\.0\.{_HEAD}", [r"heads.image.\1"]),
        ],
        required_names=["heads.image.query_embs"],
        licence="Apache-2.0, made for OPT-6.7B (research only)",
        commercial_use=False,
        signals={"image": [f"[IMG{index}]" for index in range(8)]},
        rows={"language.rows": "model.input_embeddings.weight"},
    ),
    "onellm": System(
        names=[
            (r"(?:llma\.)?(resample_layers\..+)", [r"projection.\1"]),
            *(
                (rf"(?:llma\.)?{_UPM}\.{key}((?:\..+)?)", [rf"projection.\1.{name}\2"])
                for key, name in _ONELLM.items()
            ),
        ],
        required_names=["projection.resample_tokens.image"],
        licence="the LLaMA 2 Community License",
        commercial_use=None,
        # Its point clouds are embedded otherwise, and what comes as a picture has no tokenizer.
        names_by_folder={
            "tokenizers": [
                (r"(?:llma\.)?conv1\.(audio|imu)\.(weight|bias)", [r"\1.conv.\2"]),
                (r"(?:llma\.)?positional_embedding\.(audio|imu)", [r"\1.positions"]),
            ]
        },
    ),
    "qformer": System(
        names=_QFORMER,
        required_names=["projection.query_tokens.image"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "blip2": System(
        names=_QFORMER_AND_LINEAR,
        required_names=["projection.query_tokens.image"],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
    "instructblip": System(
        names=_QFORMER_AND_LINEAR,
        # A BLIP-2's has no words to read with.
        required_names=[
            "projection.query_tokens.image",
            "projection.qformer.embeddings.word_embeddings.weight",
        ],
        licence="the terms on its publishers' page",
        commercial_use=None,
    ),
}


def convert(
    kind: str,
    source: Path,
    folder: Path,
    tokenizer: str | Path | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the weights of a published checkpoint that a model starts from; none of its code runs.

    Args:
        kind: one of `SYSTEMS`.
        source: what `torch.save` wrote, as published, or a folder of safetensors.
        folder: where to; one that is there is replaced as a whole.
        tokenizer: the checkpoint's own, where its rows are those of a whole vocabulary: it says
            where the signals are. Without it such rows are left out.
        only: modalities whose entries to take; all of them where empty.

    Returns:
        The origin of the weights, as the manifest has it.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged, holds more than tensors, or lacks what the system has.
        ValueError: if the tokenizer lacks signals.
    """
    system = SYSTEMS[kind]
    tensors = (
        _Folder(source) if source.is_dir() else read_state_dict(source, ("state_dict", "model"))
    )
    model_weights = _rename_keys(system.names, tensors)
    if absent := [name for name in system.required_names if name not in model_weights]:
        raise CheckpointError(
            f"{source} has nothing for {', '.join(absent)}, so it is no checkpoint of {kind}; it "
            f"holds {len(tensors)} tensors, as {next(iter(tensors), 'none')!r}"
        )
    encoder_weights = _encoder_weights(system, tensors, only)
    if only:
        model_weights = {
            name: value for name, value in model_weights.items() if _is_for(name, only)
        }
    signals = [s for m, names in system.signals.items() if not only or m in only for s in names]
    rows = _rows(system, signals, tensors, tokenizer)
    origin = {
        "system": kind,
        "file": source.name,
        "sha256": file_hash(source) if source.is_file() else None,
        "licence": system.licence,
        "commercial_use": system.commercial_use,
        "rows": sorted(rows),
    }
    with replacing_folder(folder) as temporary:
        save_weights({**model_weights, **rows}, temporary / WEIGHTS)
        write_manifest(temporary, {kind: origin})
        for name, weights in encoder_weights.items():
            if weights:
                save_weights(weights, temporary / name / WEIGHTS)
                write_manifest(temporary / name, {kind: origin})
    return origin


def _encoder_weights(
    system: System, tensors: Mapping[str, Tensor], only: Sequence[str]
) -> dict[str, dict[str, Tensor]]:
    """Weights of encoders by the folders they go into; of these modalities, where any are named."""
    by_folder = {
        folder: _rename_keys(names, tensors) for folder, names in system.names_by_folder.items()
    }
    if not only:
        return by_folder
    return {
        folder: {name: value for name, value in weights.items() if name.split(".")[0] in only}
        for folder, weights in by_folder.items()
    }


class _Folder(Mapping[str, Tensor]):
    """Tensors of a folder's safetensors, each read when it is asked for: of a model of many
    gigabytes little is taken.

    Raises:
        FileNotFoundError: if there are none.
        CheckpointError: if one is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, Path] = {}
        for file in sorted(folder.glob("*.safetensors")):
            try:
                with safe_open(file, framework="pt") as handle:
                    self.files |= dict.fromkeys(handle.keys(), file)
            except SafetensorError as error:
                raise CheckpointError(f"{file} is truncated or not a safetensors file") from error
        if not self.files:
            raise FileNotFoundError(2, "no safetensors in this folder", str(folder))

    def __getitem__(self, name: str) -> Tensor:
        with safe_open(self.files[name], framework="pt") as handle:
            tensor: Tensor = handle.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


_PROCESS_PREFIX = "module."
"""Stands before the names of a model that several processes trained."""


def _rename_keys(patterns: Names, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = {}
    for key in tensors:
        for pattern, names in patterns:
            if match := re.fullmatch(pattern, key.removeprefix(_PROCESS_PREFIX)):
                # Cloned: safetensors refuses tensors that share memory.
                weights.update({match.expand(name): tensors[key].clone() for name in names})
    return weights


def _is_for(name: str, modalities: Sequence[str]) -> bool:
    """Return whether an entry is one of these modalities', or shared by all."""
    match = re.match(
        r"heads\.(\w+)|projection\.(?:maps|routers|resample_tokens|clip_proj[12]|start_tag|end_tag)"
        r"\.(\w+)",
        name,
    )
    return match is None or (match[1] or match[2]) in modalities


def _rows(
    system: System,
    signals: Sequence[str],
    tensors: Mapping[str, Tensor],
    tokenizer: str | Path | None,
) -> dict[str, Tensor]:
    """The rows of the signals, in our order."""
    rows = {
        name: tensors[key]
        for name, source_key in (system.rows or {}).items()
        for key in (source_key, f"{_PROCESS_PREFIX}{source_key}")
        if key in tensors
    }
    count = len(signals)
    if tokenizer is None:
        return {name: value for name, value in rows.items() if len(value) == count}
    # transformers takes seconds to import and only this needs it.
    from transformers import AutoTokenizer

    vocabulary = AutoTokenizer.from_pretrained(str(tokenizer)).get_vocab()
    if absent := [name for name in signals if name not in vocabulary]:
        raise ValueError(
            f"the tokenizer at {str(tokenizer)!r} lacks {len(absent)} signals, as {absent[0]}; "
            "give the one that the checkpoint came with"
        )
    ids = [vocabulary[name] for name in signals]
    for name, value in rows.items():
        if max(ids) >= len(value):
            raise ValueError(
                f"the tokenizer at {str(tokenizer)!r} has ids up to {max(ids)}, and {name} "
                f"{len(value)} rows; give the one that the checkpoint came with"
            )
    return {name: value[ids] for name, value in rows.items()}
