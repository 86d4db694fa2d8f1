"""GGUF, the files of llama.cpp: checked before a library reads them, and their models opened.

transformers makes configuration, weights and tokenizer of them; weights are unpacked, so that what
is opened is a model like any other. Format: ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from anymodal.io.sources import licence_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

Scalar = int | float | bool | str
"""A value of a file's keys, but for arrays, which are passed over."""
SUFFIX = ".gguf"
MOST_TENSORS, MOST_KEYS, MOST_COUNT = 1 << 16, 1 << 12, 1 << 16
"""Larger numbers of tensors, keys, and of layers, heads or experts are in no model."""
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
            12: "d"}  # fmt: skip
_TEXT, _ARRAY = 8, 9


class GGUFHeader(NamedTuple):
    """A GGUF file's header: scalars and texts by key, and the number of weights altogether."""

    keys: dict[str, Scalar | None]
    elements: int


class _Reader:
    """Reads little-endian values one after the other, and never beyond the end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.place = data, 0

    def skip(self, count: int) -> None:
        """Go on, if there is so much."""
        # Compared before anything is read: a count of a damaged file may be any 64 bits.
        if count > len(self.data) - self.place:
            raise _Damaged("it ends early")
        self.place += count

    def scalar(self, kind: str) -> int:
        """One number."""
        start = self.place
        self.skip(struct.calcsize("<" + kind))
        value: int = struct.unpack_from("<" + kind, self.data, start)[0]
        return value

    def text(self) -> str:
        """One text, its length before it."""
        length = self.scalar("Q")
        start = self.place
        self.skip(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def value(self, kind: int) -> Scalar | None:
        """A key's value; None for an array, which is passed over."""
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            raise _Damaged(f"a key has the type {kind}, which there isn't")
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind in _SCALARS:
            self.skip(count * struct.calcsize("<" + _SCALARS[kind]))
        elif kind == _TEXT:
            for _ in range(count):  # ends with the file at the latest
                self.skip(self.scalar("Q"))
        else:
            raise _Damaged(f"an array holds the type {kind}")
        return None


class _Damaged(Exception):
    """Message of a fault in a file, without the file's name."""


def read_header(path: Path) -> GGUFHeader:
    """Read a file's header, and check that all it announces is there.

    Raises:
        ValueError: if it is no GGUF file, cut short, damaged, or announces what no model has.
        ImportError: if the package gguf isn't there.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ImportError(f"{path}: GGUF wants the package gguf: pip install 'anymodal[gguf]'")
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise _Damaged("it doesn't begin as one")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _header(_Reader(data))
    except _Damaged as error:
        raise ValueError(f"{path} is no GGUF file that can be read: {error}") from None


def _header(reader: _Reader) -> GGUFHeader:
    reader.skip(4)
    version, tensors, count = (reader.scalar(kind) for kind in "IQQ")
    if version not in (2, 3):
        raise _Damaged(f"it says version {version}; 2 and 3 in little-endian order are read")
    if tensors > MOST_TENSORS or count > MOST_KEYS:
        raise _Damaged(f"it announces {tensors} tensors and {count} keys")
    keys: dict[str, Scalar | None] = {}
    for _ in range(count):
        key = reader.text()
        keys[key] = reader.value(reader.scalar("I"))
    for key, value in keys.items():
        if key.endswith("_count") and isinstance(value, int) and not 0 <= value <= MOST_COUNT:
            raise _Damaged(f"{key} is {value}")
    if keys.get("split.count", 1) not in (0, 1):
        raise _Damaged("it is one of several; join them with llama-gguf-split --merge")
    table = [_tensor(reader) for _ in range(tensors)]
    layers = keys.get(f"{keys.get('general.architecture')}.block_count")
    if isinstance(layers, int) and layers > tensors:
        raise _Damaged(f"it announces {layers} layers and has {tensors} tensors")
    align = keys.get("general.alignment", 32)
    if not isinstance(align, int) or not 0 < align <= 1 << 20:
        raise _Damaged(f"general.alignment is {align}")
    room = len(reader.data) - -(-reader.place // align) * align
    for name, _, size, offset in table:
        if offset + size > room:
            raise _Damaged(f"it ends before the tensor {name} does")
    return GGUFHeader(keys, sum(elements for _, elements, _, _ in table))


def _tensor(reader: _Reader) -> tuple[str, int, int, int]:
    """One tensor's name, elements, bytes and offset."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    name, dimensions = reader.text(), reader.scalar("I")
    if dimensions > 4:
        raise _Damaged(f"the tensor {name} has {dimensions} dimensions")
    elements = math.prod(reader.scalar("Q") for _ in range(dimensions))
    kind, offset = reader.scalar("I"), reader.scalar("Q")
    try:
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (KeyError, ValueError):
        raise _Damaged(f"the tensor {name} has the type {kind}, which isn't known") from None
    return name, elements, elements // block * size, offset


def open_gguf(
    path: Path, config: PreTrainedConfig, dtype: str | torch.dtype | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str]]:
    """The model of a GGUF file with its weights unpacked, its tokenizer, and missing weights.

    Args:
        path: the file.
        config: its model's, by `config_of`.
        dtype: the weights' precision; None for the file's own, float32 where it is quantised.

    Raises:
        ValueError: if transformers can't read them.
    """
    import transformers

    location = {"gguf_file": path.name, "trust_remote_code": False}
    config_class = getattr(transformers, "GgufConfig", None)  # older versions always unpack
    options = {} if config_class is None else {"quantization_config": config_class(dequantize=True)}
    with _reading(path):
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            config=config,
            dtype=dtype or "auto",
            output_loading_info=True,
            **location,
            **options,
        )
    if (quantizer := getattr(model, "hf_quantizer", None)) is not None:
        quantizer.remove_quantization_config(model)  # all is unpacked, and can be saved
    return model, tokenizer_of(path), sorted(report["missing_keys"])


def config_of(path: Path) -> PreTrainedConfig:
    """The configuration of a GGUF file's model, which is no larger than the file.

    Raises:
        ValueError: if the file is damaged, or of an architecture that transformers doesn't read.
        ImportError: if the package gguf isn't there.
    """
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    header = read_header(path)
    with _reading(path):
        config = AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name)
        if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            return config
        # Counted before it is built: a small file must not have a huge model allocated.
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config)
    size = sum(weight.numel() for weight in empty.parameters())
    if size > 2 * header.elements:  # one matrix of a tied model may be missing
        raise ValueError(
            f"{path} describes a model of {size} weights and holds {header.elements}; give another"
        )
    return config


def tokenizer_of(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that a GGUF file describes.

    Raises:
        ValueError: if it describes none that transformers reads.
    """
    from transformers import AutoTokenizer

    with _reading(path):
        return AutoTokenizer.from_pretrained(
            str(path.parent), gguf_file=path.name, trust_remote_code=False
        )


def source_of_gguf(path: Path, source: Mapping[str, object]) -> dict[str, object]:
    """The origin of a GGUF file for a manifest: its name, and its licence, where it has one."""
    licence = read_header(path).keys.get("general.license")
    terms = {} if not isinstance(licence, str) or "licence" in source else licence_of(licence)
    return {**source, **terms, "name": path.name}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say which file it was where transformers or gguf can't make a model of one."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # of every kind, for they don't expect other files than good ones
        raise ValueError(
            f"transformers can't read the model in {path} ({type(error).__name__}: {error}); take "
            "one in safetensors, or another architecture"
        ) from error
