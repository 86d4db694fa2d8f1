"""Hashes of weights, settings and tokenizers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from anymodal.io.protocols import TextTokenizer
from anymodal.io.segments import tensor_bytes

SAMPLED = 256
"""Values of each weight that `weights_fingerprint` hashes."""

BLOCKS = 16
"""Ranges of ids by which vocabularies are compared."""


def hash_json(value: object) -> str:
    """32 hexadecimal digits of a JSON value's SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


_SHORT_LIVED = {
    "transformers_version",
    "_name_or_path",
    "architectures",
    "dtype",
    "processor_class",
}
"""Keys of a configuration that tell nothing of what a model computes."""


def hash_settings(settings: object) -> str:
    """A hash of a model's or processor's settings that survives saving and opening them again."""
    text = json.dumps(_lasting(settings), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lasting(node: object) -> object:
    if isinstance(node, Mapping):
        values = {str(k): _lasting(v) for k, v in node.items() if k not in _SHORT_LIVED}
        return {key: value for key, value in values.items() if value is not None}
    return [_lasting(item) for item in node] if isinstance(node, list | tuple) else node


# ---- Weights -------------------------------------------------------------------------------------


def weights_fingerprint(module: nn.Module, dtype: torch.dtype | None = None) -> str:
    """A hash of some values of each weight, in whatever precision they are, or after a `cast`.

    It tells trained weights from others, which differ everywhere, and isn't proof against somebody
    who edits a few. Adapters and new tokens' rows are left out: they are a model's own.
    """
    return weights_fingerprints(module, [dtype])[0]


@torch.no_grad()
def weights_fingerprints(module: nn.Module, dtypes: Iterable[torch.dtype | None]) -> list[str]:
    """The `weights_fingerprint` after a cast to each of several types."""
    weights = [
        (name, value.detach())
        for name, value in sorted(module.named_parameters())
        # What a stage trained beside them is saved by the model itself.
        if "lora_" not in name and name not in ("rows", "output_rows") and value.is_floating_point()
    ]
    names = [
        f"{name.replace('.base_layer.', '.')}:{tuple(v.shape)}:".encode() for name, v in weights
    ]
    flat = [value.reshape(-1) for _, value in weights]
    samples = [each[:: max(1, each.numel() // SAMPLED)] for each in flat]
    prints = []
    for dtype in dtypes:
        state = hashlib.sha256()
        for name, values in zip(names, _as_bytes(samples, dtype), strict=True):
            state.update(name)
            state.update(values)
        prints.append(state.hexdigest()[:16])
    return prints


def _as_bytes(samples: Sequence[Tensor], dtype: torch.dtype | None) -> list[bytes]:
    """The values of each as float64, cast and copied to the processor together."""
    together: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, sample in enumerate(samples):
        together.setdefault((sample.device, sample.dtype), []).append(place)
    found = [b""] * len(samples)
    for places in together.values():
        joined = torch.cat([samples[place] for place in places])
        # Widened after the cast: NumPy has no bfloat16, and a float64 keeps every value.
        values = joined.to(dtype or joined.dtype).double().cpu().numpy()
        ends = np.cumsum([len(samples[place]) for place in places])[:-1]
        for place, part in zip(places, np.split(values, ends), strict=True):
            found[place] = part.tobytes()
    return found


def named_weights(modules: Iterable[nn.Module]) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of modules, by their names."""
    for module in modules:
        yield from module.named_parameters()
        yield from module.named_buffers()


def hash_weights(weights: Iterable[tuple[str, Tensor]]) -> str:
    """The SHA-256 of named tensors: types, shapes and every bit."""
    state = hashlib.sha256()
    for name, tensor in weights:
        state.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        state.update(tensor_bytes(tensor))
    return state.hexdigest()


# ---- Tokenizers ----------------------------------------------------------------------------------


def tokenizer_fingerprint(tokenizer: TextTokenizer, *, options: bool = False) -> dict[str, object]:
    """Fingerprint of a tokenizer: hashes of its vocabulary by ranges of ids, and its steps.

    Padding and truncation, which a call leaves set, are no part of it.

    Args:
        tokenizer: of transformers, in either of its backends.
        options: add a hash of all else that decides ids: the model's options, what surrounds added
            tokens, the chat template, the longest text. Without it the result is the same in other
            releases of tokenizers, as a manifest needs it.
    """
    # In ranges, so that a manifest's difference says which ids are others.
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    hashes: dict[str, object] = {"size": len(vocabulary)}
    step = -(-len(vocabulary) // BLOCKS)
    for start in range(0, len(vocabulary), step):
        block = vocabulary[start : start + step]
        hashes[f"ids {block[0][1]} to {block[-1][1]}"] = _short_hash(block)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    steps = {} if fast is None else json.loads(fast.to_str())
    if steps:
        hashes["merges"] = _short_hash(steps["model"].pop("merges", None))
        for name in ("normalizer", "pre_tokenizer", "post_processor"):
            hashes[name] = steps.pop(name)
        steps["model"].pop("vocab", None)
    if options:
        hashes["options"] = _short_hash(_options(tokenizer, steps))
    return hashes


def _options(tokenizer: TextTokenizer, steps: Mapping[str, object]) -> list[object]:
    options = {
        name: value for name, value in steps.items() if name not in ("padding", "truncation")
    }
    # Tokenizers without the Rust backend keep merges, or sentencepiece's model, to themselves.
    merges = sorted(getattr(tokenizer, "bpe_ranks", {}).items(), key=str)
    pieces = getattr(tokenizer, "sp_model", None)
    model = "" if pieces is None else hashlib.sha256(pieces.serialized_model_proto()).hexdigest()
    name = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    return [name, tokenizer.chat_template, tokenizer.model_max_length, options, merges, model]


def _short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
