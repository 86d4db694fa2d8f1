"""Speaking models of transformers, from folders and from the hub."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn

from anymodal.decoders.pretrained import torch_dtype
from anymodal.decoders.speech.family import VOICES, WORDS, SpeechFamily, VoicePrompt, read_voice
from anymodal.decoders.speech.table import find_speech_family
from anymodal.io.sources import WEIGHTS, explain_load_errors, folder_of, list_files, source_of

_WHAT = "speaker"
_SETTINGS = ["processor_config.json", "preprocessor_config.json", "tokenizer_config.json"]
_VOICE_FILES = (".wav", ".flac", ".safetensors", ".npy")
DRAWING = threading.Lock()
"""Held while a model of transformers draws: all of them draw from torch's one generator."""


class SpeakerParts(NamedTuple):
    """A speaking model, its processor (None without weights), the network apart that it may have,
    its voices by name (each None without weights), and the sources of the model and of that
    network, as a manifest has them.
    """

    model: Any
    processor: Any
    codec: nn.Module | None
    voices: dict[str, VoicePrompt | None]
    source: dict[str, Any]
    codec_source: dict[str, Any] | None


def open_speaker(
    path_or_name: str,
    *,
    revision: str | None,
    dtype: str,
    codec: str | None,
    codec_revision: str | None,
    voices: Mapping[str, str] | None,
    weights: bool,
) -> SpeakerParts:
    """Open a speaking model; see `TransformersSpeaker.from_pretrained`."""
    with explain_load_errors(_WHAT, path_or_name, revision, [["config.json"]]):
        config = transformers.AutoConfig.from_pretrained(
            path_or_name, revision=revision, trust_remote_code=False
        )
    family = find_speech_family(config.model_type, path_or_name)
    files = [["config.json"], _SETTINGS, *([WEIGHTS] if weights else [])]
    network = None
    place = _codec_place(family, path_or_name, revision, codec, codec_revision)
    if place is not None:
        network = _open_codec(family, *place, dtype, weights)
    with explain_load_errors(_WHAT, path_or_name, revision, files):
        model = _open_model(family, config, path_or_name, revision, dtype, weights)
        processor = None
        if weights:
            processor = _open_processor(config.model_type, path_or_name, revision, network)
    if weights and network is None and family.codec_class:
        network = getattr(processor, "audio_tokenizer", None)
        if network is None:
            raise ValueError(
                f"{path_or_name} has no {family.codec_class}, by which {family.label} makes "
                f"sounds; name one as codec, or put it in the folder {family.codec_folder}"
            )
        network.to(torch_dtype(dtype))
    prompts = _shipped_voices(path_or_name, revision, weights)
    prompts |= {
        name: read_voice(Path(file)) if weights else None for name, file in (voices or {}).items()
    }
    source = source_of(path_or_name, revision)
    name = place[0] if place is not None else getattr(network, "name_or_path", "")
    codec_source = None
    if name and place is not None and place[2] is None:  # a folder within has the model's card
        codec_source = source_of(*place[:2])
    elif name and place is None:
        codec_source = source_of(name, None)
    return SpeakerParts(model, processor, network, prompts, source, codec_source)


_Place = tuple[str, "str | None", "str | None"]
"""Where a network apart lies: a folder or a repository, its revision, and the folder within."""


def _codec_place(
    family: SpeechFamily,
    path_or_name: str,
    revision: str | None,
    codec: str | None,
    codec_revision: str | None,
) -> _Place | None:
    """Where the network apart lies; None where there is none, or the processor says it."""
    if not family.codec_class:
        if codec is not None:
            raise ValueError(f"{family.label} has no codec apart; leave codec={codec!r} out")
        return None
    if codec is not None:
        return codec, codec_revision, None
    if f"{family.codec_folder}/config.json" in list_files(path_or_name, revision):
        return path_or_name, revision, family.codec_folder
    return None


def _open_codec(
    family: SpeechFamily,
    name: str,
    revision: str | None,
    subfolder: str | None,
    dtype: str,
    weights: bool,
) -> nn.Module:
    cls = getattr(transformers, family.codec_class)
    inside = f"{subfolder}/" if subfolder else ""
    files = [[f"{inside}config.json"]]
    files += [[f"{inside}{file}" for file in WEIGHTS]] if weights else []
    options = {"revision": revision, "subfolder": subfolder or ""}
    with explain_load_errors("codec", name, revision, files):
        if weights:
            network: nn.Module = cls.from_pretrained(name, dtype=torch_dtype(dtype), **options)
            return network.eval()
        config = cls.config_class.from_pretrained(name, **options)
    return _on_meta_device(cls, config, dtype)


def _open_model(
    family: SpeechFamily,
    config: Any,
    name: str,
    revision: str | None,
    dtype: str,
    weights: bool,
) -> nn.Module:
    cls = getattr(transformers, family.model_class)
    if not weights:
        return _on_meta_device(cls, config, dtype)
    model, report = cls.from_pretrained(
        name, dtype=torch_dtype(dtype), revision=revision, output_loading_info=True
    )
    parameters = {name for name, _ in model.named_parameters()}
    absent = sorted(parameters.intersection(report["missing_keys"]))
    # What only training reads, a published model lacks.
    if absent := [key for key in absent if not key.startswith("loss_weighting.")]:
        raise ValueError(
            f"{name!r} lacks {len(absent)} weights, as {absent[0]}; it would speak with random "
            "ones, so give a complete checkpoint"
        )
    network: nn.Module = model.eval()
    return network


def _on_meta_device(cls: Any, config: Any, dtype: str) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = cls(config)
    return network.to(torch_dtype(dtype)).eval()


def _open_processor(
    model_type: str, name: str, revision: str | None, network: nn.Module | None
) -> Any:
    """A model's processor; the network apart is put in, where it has a place for one."""
    names = transformers.models.auto.processing_auto.PROCESSOR_MAPPING_NAMES
    cls = getattr(transformers, names[model_type])
    if network is None or not hasattr(cls, "audio_tokenizer_class"):
        return cls.from_pretrained(name, revision=revision)
    # As `from_pretrained` does it, which would open the network that the file names.
    settings = _processor_settings(name, revision)
    arguments = cls._get_arguments_from_pretrained(name, settings, revision=revision)
    return cls.from_args_and_dict(arguments, settings, audio_tokenizer=network)


def _processor_settings(name: str, revision: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for file, key in (("processor_config.json", None), ("chat_template.jinja", "chat_template")):
        path = transformers.utils.cached_file(
            name, file, revision=revision, _raise_exceptions_for_missing_entries=False
        )
        if path is not None:
            text = Path(path).read_text("utf-8")
            settings |= json.loads(text) if key is None else {key: text}
    settings.pop("audio_tokenizer", None)
    return settings


def _shipped_voices(
    name: str, revision: str | None, weights: bool
) -> dict[str, VoicePrompt | None]:
    """The voices in the folder `voices` of a model, by their files' names.

    Those of a hub's repository that aren't in its cache are fetched. Without weights the names are
    all.
    """
    prompts: dict[str, VoicePrompt | None] = {}
    present = list_files(name, revision)
    files = sorted(
        file for file in present if file.startswith(f"{VOICES}/") and file.endswith(_VOICE_FILES)
    )
    if not weights:
        return dict.fromkeys(Path(file).stem for file in files)
    folder = folder_of(name, revision)
    for file in files:
        path = None if folder is None else folder / file
        if path is None or not path.is_file():
            words = str(PurePosixPath(file).with_suffix(WORDS))
            for each in {words, file}.intersection(present):
                transformers.utils.cached_file(name, each, revision=revision)
            path = Path(str(transformers.utils.cached_file(name, file, revision=revision)))
        prompts[Path(file).stem] = read_voice(path)
    return prompts
