"""Language models of others: from a folder, a hub's repository or a GGUF file, and no others."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.utils import cached_file

from anymodal.io.sources import (
    TOKENIZER_FILES,
    WEIGHTS,
    check_files,
    explain_load_errors,
    folder_of,
    source_of,
)
from anymodal.language import gguf_files
from anymodal.language.families.base import Checkpoint, MediaReader
from anymodal.language.families.table import MULTIMODAL_FAMILIES, language_family
from anymodal.language.published_adapters import published_adapter

Bits = Literal["8bit", "4bit"]
DType = str | torch.dtype | None

_WHAT = "language model"
_FILES = [["config.json"], WEIGHTS, [*TOKENIZER_FILES, "tiktoken.model", "tekken.json"]]
_MEDIA_FILES = ["preprocessor_config.json", "processor_config.json"]
_WANTED = "a language model here continues a text: Llama, Qwen, Gemma, SmolLM and their like"


class PretrainedModelParts(NamedTuple):
    """A causal language model, its tokenizer, their source as a manifest records it, and what
    reads media if the model does.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: Mapping[str, object]
    readers: Sequence[MediaReader] = ()


def open_pretrained(
    path_or_name: str,
    *,
    revision: str | None = None,
    dtype: DType = None,
    quantize: Bits | None = None,
    gguf_file: str | None = None,
    adapter: str | None = None,
    weights: bool = True,
) -> PretrainedModelParts:
    """Load a model and its tokenizer; see `LanguageModel.from_pretrained`."""
    if adapter is not None and quantize is not None:
        raise ValueError(
            f"the adapter {adapter!r} can't be merged into quantised weights; open the model "
            "without `quantize`, save it (save_pretrained), and quantise that folder"
        )
    if (file := _gguf(path_or_name, revision, gguf_file)) is not None:
        if adapter is not None:
            raise ValueError(f"adapter={adapter!r}: {file} has none beside it; leave `adapter` out")
        return _open_gguf(file, dtype, quantize, weights)
    config = _config(path_or_name, revision)
    _check_kind(path_or_name, config)
    family = language_family(config.model_type)
    reads_media = family is not None and family.reads_media
    added = None
    if adapter is not None:
        added = published_adapter(adapter, path_or_name, revision, config.model_type, family)
    files = _FILES if weights else [_FILES[0], _FILES[-1]]
    files = [*files, _MEDIA_FILES] if reads_media else files
    readers: Sequence[MediaReader] = ()
    with explain_load_errors(_WHAT, path_or_name, revision, files):
        if weights:
            model = _read_model(path_or_name, revision, dtype, quantize, config.model_type)
            if added is not None:
                added.merge(model)
        else:
            model = _on_meta_device(config, dtype)
        tokenizer = AutoTokenizer.from_pretrained(
            path_or_name, revision=revision, trust_remote_code=False
        )
        if family is not None:
            if tokenizer.chat_template is None:  # with the processor, in older checkpoints
                tokenizer.chat_template = _processor_template(path_or_name, revision)
            readers = family.readers(model, tokenizer, Checkpoint(path_or_name, revision))
    # Without a file of its words a tokenizer opens all the same, and knows none.
    check_files(_WHAT, path_or_name, revision, _FILES[-1:])
    return PretrainedModelParts(model, tokenizer, source_of(path_or_name, revision), readers)


def _processor_template(path_or_name: str, revision: str | None) -> str | None:
    """The chat template that an older checkpoint has in a file of its own, if any."""
    file = cached_file(
        path_or_name,
        "chat_template.json",
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
    )
    if file is None:
        return None
    template = json.loads(Path(file).read_text("utf-8")).get("chat_template")
    return template if isinstance(template, str) else None


def _open_gguf(
    file: Path, dtype: DType, quantize: Bits | None, weights: bool
) -> PretrainedModelParts:
    config = gguf_files.config_of(file)
    _check_kind(str(file), config)
    if quantize is not None:
        raise ValueError(
            f"{file} can't be quantised as it is opened; convert it first: anymodal convert "
            "gguf FILE FOLDER"
        )
    if weights:
        model, tokenizer, missing_keys = gguf_files.open_gguf(file, config, dtype)
        _check_complete(str(file), model, missing_keys)
    else:
        model, tokenizer = _on_meta_device(config, dtype), gguf_files.tokenizer_of(file)
    source = gguf_files.source_of_gguf(file, source_of(str(file.parent), None))
    return PretrainedModelParts(model, tokenizer, source)


def _read_model(
    path_or_name: str, revision: str | None, dtype: DType, quantize: Bits | None, kind: str
) -> PreTrainedModel:
    options = {} if quantize is None else {"quantization_config": _quantization(quantize)}
    family = language_family(kind)
    read = AutoModelForCausalLM.from_pretrained if family is None else family.open_model
    model, report = read(
        path_or_name,
        dtype=dtype or "auto",
        output_loading_info=True,
        revision=revision,
        trust_remote_code=False,
        **options,
    )
    _check_complete(path_or_name, model, report["missing_keys"])
    return model


def _on_meta_device(config: PreTrainedConfig, dtype: DType) -> PreTrainedModel:
    precision = getattr(torch, dtype) if isinstance(dtype, str) and dtype != "auto" else dtype
    if not isinstance(precision, torch.dtype):
        precision = config.dtype or torch.float32
    family = language_family(config.model_type)
    with torch.device("meta"):
        if family is not None:
            return family.model_on_meta(config, precision)
        return AutoModelForCausalLM.from_config(config, dtype=precision)


def _gguf(path_or_name: str, revision: str | None, gguf_file: str | None) -> Path | None:
    """The GGUF file that is meant, if one is: by its path, by its name, or alone in a folder.

    Raises:
        FileNotFoundError: if it isn't there.
        ValueError: if a folder has several and nothing else.
    """
    path = Path(path_or_name)
    if gguf_file is None and path.is_dir() and not (path / "config.json").exists():
        files = sorted(file.name for file in path.glob(f"*{gguf_files.SUFFIX}"))
        if len(files) > 1:
            raise ValueError(
                f"{path} has several models; give gguf_file: one of {', '.join(files)}"
            )
        gguf_file = files[0] if files else None
    if gguf_file is None:
        if path.suffix.lower() != gguf_files.SUFFIX or path.is_dir():
            return None
        file = path
    elif path.is_dir():
        file = path / gguf_file
    else:
        with explain_load_errors(_WHAT, path_or_name, revision, [[gguf_file]]):
            return Path(cached_file(path_or_name, gguf_file, revision=revision))
    if not file.is_file():
        raise FileNotFoundError(f"no {_WHAT} at {file}: there is no such file")
    return file


def _config(path_or_name: str, revision: str | None) -> PreTrainedConfig:
    _check_folder(path_or_name, folder_of(path_or_name, revision))
    with explain_load_errors(_WHAT, path_or_name, revision, _FILES[:1]):
        return AutoConfig.from_pretrained(path_or_name, revision=revision, trust_remote_code=False)


def _check_folder(name: str, folder: Path | None) -> None:
    """Refuse a folder that is something else by its files."""
    if folder is None or not folder.is_dir():
        return
    for file, description, way in (
        ("model_index.json", "a diffusers pipeline", "DiffusionDecoder.from_pretrained opens it"),
        ("manifest.json", "AnyModal's own", "AnyModal.from_pretrained opens a whole model"),
        ("adapter_config.json", "adapters alone", "merge them into their model first"),
    ):
        if (folder / file).is_file() and not _is_of_transformers(folder):
            raise ValueError(f"{name!r} is no language model but {description}; {way}")
    if (folder / "config.json").is_file() and not _is_of_transformers(folder):
        raise ValueError(
            f"the config.json of {name!r} names no model_type, so it is no model of transformers "
            f"(a part of a diffusers pipeline?); {_WANTED}"
        )


def _is_of_transformers(folder: Path) -> bool:
    """Return whether a folder's configuration says that it is a model of transformers."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("model_type"))


def _check_kind(name: str, config: PreTrainedConfig) -> None:
    """Refuse a model of transformers that doesn't continue texts, and say what it is for.

    Raises:
        ValueError: naming its type.
    """
    from anymodal.encoders.transformers.families import FAMILIES, TOWERS

    kind = config.model_type
    if kind in MULTIMODAL_FAMILIES:
        return
    refusal = f"{name!r} is no causal language model but a {kind!r}"
    if kind in FAMILIES or kind in TOWERS:
        raise ValueError(
            f"{refusal}, which reads media: TransformersEncoder.from_pretrained opens it"
        )
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(f"{refusal}, an encoder-decoder; {_WANTED}")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ValueError(f"{refusal}; {_WANTED}")
    if kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        raise ValueError(f"{refusal}, which fills gaps and sees what comes; {_WANTED}")


def _check_complete(name: str, model: nn.Module, missing_keys: Iterable[str]) -> None:
    """Refuse a checkpoint that lacks weights; buffers, as of positions, a model makes itself."""
    parameters = {name for name, _ in model.named_parameters()}
    if absent := sorted(parameters.intersection(missing_keys)):
        raise ValueError(
            f"{name!r} lacks {len(absent)} weights, as {absent[0]}; it would speak with random "
            "ones, so give a complete checkpoint"
        )


def _quantization(kind: str) -> BitsAndBytesConfig:
    if kind not in ("8bit", "4bit"):
        raise ValueError(f"quantize={kind!r} is unknown; choose 8bit, 4bit or none")
    if not torch.cuda.is_available():
        raise ValueError(
            f"quantize={kind!r} wants a CUDA GPU and torch sees none here; leave it out, with "
            "dtype: bfloat16 for half of float32's memory"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(f"quantize={kind!r} wants bitsandbytes: pip install 'anymodal[quantized]'")
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
