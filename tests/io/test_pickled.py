"""Parts whose weights are in pickles open as they do from safetensors, and run no code."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from safetensors.torch import load_file, save_file

from anymodal.config import load_config
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import TransformersEncoder
from anymodal.io.fingerprints import weights_fingerprint
from anymodal.language.model import LanguageModel
from tests.support import hub_server, huggingface_models, language_models, pipelines
from tests.support.hub_parts import pickle_weights, publish_opt, publish_vicuna
from tests.support.paths import ROOT as REPOSITORY

LLAVA = REPOSITORY / "configs/systems/llava-1.5/model.yaml"
BINS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "pytorch_model",
}


def pipeline(folder: Path, family: str = "stable_diffusion_1") -> Path:
    torch.manual_seed(0)
    pipelines.FAMILIES[family].build().save_pretrained(folder)
    return folder


def language(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    language_models.FAMILIES["opt"].write(folder)
    return folder


def encoder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    huggingface_models.write(huggingface_models.clip, folder)
    return folder


@pytest.mark.parametrize("parts", ["unet", "text_encoder", "vae text_encoder", ""])
@pytest.mark.parametrize("shards", [1, 2])
def test_a_pipeline_opens_part_by_part(tmp_path: Path, parts: str, shards: int) -> None:
    """Of all of it, or of a part, there may be pickles alone."""
    folder = pipeline(tmp_path / "sd")
    safe = DiffusionDecoder.from_pretrained(folder)
    for part in parts.split() or [""]:
        pickle_weights(folder / part, shards)
    found = DiffusionDecoder.from_pretrained(folder)
    assert weights_fingerprint(found) == weights_fingerprint(safe)
    assert next(found.parameters()).dtype == torch.float32 and not found.training
    pictures = [
        decoder.sample(
            decoder.embed_captions(["a ball"]),
            steps=2,
            guidance=2.0,
            generator=torch.Generator().manual_seed(0),
        )[0].pixels
        for decoder in (safe, found)
    ]
    assert (pictures[0] == pictures[1]).all()
    planned = DiffusionDecoder.from_pretrained(folder, weights=False)
    assert [p.shape for p in planned.parameters()] == [p.shape for p in found.parameters()]
    half = DiffusionDecoder.from_pretrained(folder, dtype="bfloat16")
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}


def test_a_pipeline_of_2022_opens(tmp_path: Path) -> None:
    """As Stable Diffusion was published: other names of weights and classes, and a checker."""
    torch.manual_seed(0)
    made = pipelines.FAMILIES["stable_diffusion_1"].build()
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    sides = {"image_size": 16, "patch_size": 8, "num_attention_heads": 2}
    config = hf.CLIPConfig(vision_config={**small, **sides}, projection_dim=8)
    extractor = hf.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16)
    checker = StableDiffusionSafetyChecker(config)
    made.register_modules(safety_checker=checker, feature_extractor=extractor)
    made.save_pretrained(tmp_path)
    safe = DiffusionDecoder.from_pretrained(tmp_path)
    pickle_weights(tmp_path)
    attention = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    for part, inner, names in (
        ("text_encoder", "", {"": "text_model."}),
        ("safety_checker", "vision_model.", {"vision_model.": "vision_model.vision_model."}),
        ("vae", ".attentions.", attention),
    ):
        (file,) = (tmp_path / part).glob("*.bin")
        weights = torch.load(file, weights_only=True)
        for name in [name for name in weights if inner in name]:
            new = name
            for now, then in names.items():
                new = new.replace(now, then, 1) if now else then + new
            weights[new] = weights.pop(name)
        torch.save(weights, file)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    found = DiffusionDecoder.from_pretrained(tmp_path)
    assert weights_fingerprint(found) == weights_fingerprint(safe)
    planned = DiffusionDecoder.from_pretrained(tmp_path, weights=False)
    assert planned.parts.keys() == found.parts.keys() >= {"safety_checker"}


def test_safetensors_go_before_pickles(tmp_path: Path) -> None:
    folder = pipeline(tmp_path / "sd")
    for part, stem in BINS.items():
        (folder / part / f"{stem}.bin").write_bytes(b"never read")
    DiffusionDecoder.from_pretrained(folder)


@pytest.mark.parametrize("shards", [1, 2])
def test_what_lacks_is_named_for_pickles_too(tmp_path: Path, shards: int) -> None:
    folder = pipeline(tmp_path / "sd")
    pickle_weights(folder / "unet", shards)
    file = sorted((folder / "unet").glob("*.bin"))[-1]
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"unet/{file.name}.*; copy it there"):
        DiffusionDecoder.from_pretrained(folder)


class Malicious:
    """What would make a file where it is unpickled as pickles are by default."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def _saved(mark: Path, file: Path) -> None:
    torch.save({"weight": torch.ones(2), "more": Malicious(mark)}, file)


def _saved_as_once(mark: Path, file: Path) -> None:
    torch.save({"more": Malicious(mark)}, file, _use_new_zipfile_serialization=False)


def _pickled(mark: Path, file: Path) -> None:
    file.write_bytes(pickle.dumps({"more": Malicious(mark)}, protocol=0))


def _cut(mark: Path, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def _pointer(mark: Path, file: Path) -> None:
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


OPENED: dict[str, tuple[Callable[[Path], Path], Callable[..., Any], str]] = {
    "language model": (language, LanguageModel.from_pretrained, "pytorch_model.bin"),
    "encoder": (encoder, TransformersEncoder.from_pretrained, "pytorch_model.bin"),
    "pipeline": (
        pipeline, DiffusionDecoder.from_pretrained, "unet/diffusion_pytorch_model.bin"
    ),
    "pipeline of transformers": (
        pipeline, DiffusionDecoder.from_pretrained, "text_encoder/pytorch_model.bin"
    ),
}  # fmt: skip


@pytest.mark.parametrize("write", [_saved, _saved_as_once, _pickled, _cut, _pointer])
@pytest.mark.parametrize("part", OPENED)
def test_what_is_no_weights_is_refused_and_none_of_it_runs(
    tmp_path: Path, part: str, write: Callable[[Path, Path], None]
) -> None:
    make, opened, file = OPENED[part]
    folder, mark = make(tmp_path / "part"), tmp_path / "was-run"
    pickle_weights(folder)
    write(mark, folder / file)
    with pytest.raises(ValueError, match=r"can't be read: .* none of it has\. .* in safetensors"):
        opened(str(folder))
    assert not mark.exists()
    if write is not _cut and write is not _pointer:  # it would have
        with contextlib.suppress(RuntimeError):  # it finds no tensors, having run the code
            torch.load(folder / file, weights_only=False)
        assert mark.exists()


@pytest.mark.parametrize("part", ["language model", "pipeline"])
def test_damaged_safetensors_are_refused_alike(tmp_path: Path, part: str) -> None:
    make, opened, _ = OPENED[part]
    folder = make(tmp_path / "part")
    file = next(folder.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="can't be read: a file is damaged"):
        opened(str(folder))


@pytest.mark.parametrize(("publish", "family"), [(publish_vicuna, "llama-2"), (publish_opt, "opt")])
def test_a_language_model_opens_as_it_was_published(
    tmp_path: Path, publish: Callable[[Path], None], family: str
) -> None:
    """Without tokenizer.json: Vicuna's words are sentencepiece's, OPT's two files."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, write in ((old, publish), (new, language_models.FAMILIES[family].write)):
        folder.mkdir()
        write(folder)
    template = load_config(LLAVA)["parts"]["language"]["chat_template"]
    template = template if publish is publish_vicuna else None
    known = {"chat_template": template, "dtype": "float32"}
    found, wanted = (LanguageModel.from_pretrained(str(each), **known) for each in (old, new))
    for text in ("Draw a big red ball, please.", " what? é\n x", "</s><s>", ""):
        assert found.encode_text(text) == wanted.encode_text(text)
    talk: list[Any] = [("user", ["What is it?"]), ("assistant", ["a ball"]), ("user", ["Why?"])]
    segments = found.render_chat(talk, add_generation_prompt=True)
    assert segments == wanted.render_chat(talk, add_generation_prompt=True)
    ids = [token for segment in segments for token in segment.ids]
    assert ids.count(found.tokenizer.bos_token_id) >= 1 and ids[0] == found.tokenizer.bos_token_id
    assert found.stops == wanted.stops
    assert not {"tokenizer.json", "model.safetensors"} & {path.name for path in old.iterdir()}
    assert LanguageModel.from_pretrained(str(old), **known, weights=False).words == found.words


@pytest.mark.parametrize("prefix", ["model.", ""])
def test_a_language_model_has_all_its_weights(tmp_path: Path, prefix: str) -> None:
    """Also where they were saved without the name of the body, as some OPT were."""
    folder = language(tmp_path / "opt")
    weights = load_file(folder / "model.safetensors")
    weights = {prefix + name.removeprefix("model."): value for name, value in weights.items()}
    whole = weights_fingerprint(LanguageModel.from_pretrained(str(folder)).model)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert weights_fingerprint(LanguageModel.from_pretrained(str(folder)).model) == whole
    weights.pop(f"{prefix}decoder.layers.0.fc1.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights, as model\.decoder\.layers\.0\.fc1\.w"):
        LanguageModel.from_pretrained(str(folder))


ASKING = """
import sys
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import TransformersEncoder
from anymodal.language.model import LanguageModel

kinds = {"sd": DiffusionDecoder, "opt": LanguageModel, "clip": TransformersEncoder}
for name in sys.argv[2:]:
    kind = kinds[name.split("/")[1].split("-")[0]]
    try:
        print(name, kind.from_pretrained(name, revision=sys.argv[1]).source["revision"])
    except Exception as error:
        print(name, type(error).__name__, error)
"""


@pytest.mark.extended  # slow
def test_a_hub_gives_pickles_where_it_has_no_safetensors(tmp_path: Path) -> None:
    """A hub of our own, asked by its clients in a process of theirs; then without it."""
    root = tmp_path / "root"
    pickle_weights(pipeline(root / "old" / "sd"))
    pickle_weights(pipeline(root / "old" / "sd-shards"), shards=2)
    pickle_weights(pipeline(root / "old" / "sd-mixed") / "vae")
    pickle_weights(language(root / "old" / "opt"), shards=2)
    pickle_weights(encoder(root / "old" / "clip"))
    pipeline(root / "new" / "sd")
    for name in ("sd", "opt", "clip"):
        (root / "shut" / name).mkdir(parents=True)
        (root / "shut" / name / "GATED").touch()
    (root / "new" / "sd" / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never fetched")
    names = [f"{f.parent.name}/{f.name}" for f in sorted(root.glob("*/*"))]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    environment.pop("TRANSFORMERS_OFFLINE", None)
    command = [sys.executable, "-c", ASKING, hub_server.COMMIT]
    with hub_server.serving(root) as (address, asked):
        for offline in "01":
            more = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": offline}
            done = subprocess.run(
                [*command, *[n for n in names if offline == "0" or not n.startswith("shut")]],
                env=environment | more,
                capture_output=True,
                text=True,
                check=True,
            )
            told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
            for name in told:
                if name.startswith("shut"):
                    assert f"accepted its licence: do so at {address}/{name}" in told[name]
                    assert (
                        told[name].startswith("PermissionError") and "hf auth login" in told[name]
                    )
                else:
                    assert told[name] == hub_server.COMMIT, (offline, name, done.stderr)
    assert not [path for path in asked if path.startswith("new/") and path.endswith(".bin")]
    assert not [path for path in asked if "discussions" in path], "nobody is asked to convert"
