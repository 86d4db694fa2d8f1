"""The systems of the field run as they are configured: every stage, then a turn of conversation.

Their parts are tiny ones of the same classes, in folders of the names that configurations call them
by; what depends on the parts' sizes is changed in a copy of each configuration.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
import yaml

from anymodal import AnyModal
from anymodal.config import load_config
from anymodal.encoders import ImageBind
from anymodal.media import IMU, Audio, Depth, Image, Media, Normal, PointCloud, Video
from anymodal.tools.convert.importers import convert
from anymodal.training.run import train
from tests.support import huggingface_models, language_models, pipelines
from tests.support.hub_parts import pickle_weights, publish_opt, publish_vicuna
from tests.support.imagebind_models import TRUNKS
from tests.support.multimodal_models import MULTIMODAL_MODELS
from tests.support.paths import ROOT as REPOSITORY
from tests.support.random_media import noise, pixels

CONFIGS = REPOSITORY / "configs" / "systems"
SYSTEMS = sorted(path.name for path in CONFIGS.iterdir())
QUERIES = 32


def qformer(folder: Path) -> None:
    """The Q-Former of a BLIP-2, as published, to the weights that a system starts from."""
    width = {**huggingface_models.SMALL, "intermediate_size": 128}
    model, _ = huggingface_models.blip2()
    config = model.config
    config.qformer_config = hf.Blip2QFormerConfig(**width, encoder_hidden_size=32)
    config.num_query_tokens = QUERIES
    hf.Blip2Model(config).save_pretrained(folder.parent / "blip2")
    convert("qformer", folder.parent / "blip2", folder)


def instructblip(folder: Path) -> None:
    """As its repository has it, the Q-Former's tokenizer in a folder of its own."""
    model, processor = huggingface_models.instructblip()
    config = model.config
    config.qformer_config.intermediate_size = 128
    config.num_query_tokens = QUERIES
    hf.InstructBlipForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    huggingface_models.bert_words().save_pretrained(folder / "qformer_tokenizer")


def asking(folder: Path) -> None:
    """Its Q-Former, to the weights that a system starts from."""
    instructblip(folder.parent / "asking")
    convert("instructblip", folder.parent / "asking", folder)


def imagebind(folder: Path) -> None:
    ImageBind(TRUNKS, embedding=1024).save_pretrained(folder)


def tongue(write_part: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def write(folder: Path) -> None:
        folder.mkdir()
        write_part(folder)
        config = json.loads((folder / "config.json").read_text())
        if "rope_parameters" in config:  # no learned positions: room for what systems say first
            config["max_position_embeddings"] = 1024
            (folder / "config.json").write_text(json.dumps(config))

    return write


def eye(family: str) -> Callable[[Path], Any]:
    return lambda folder: huggingface_models.write(huggingface_models.FAMILIES[family], folder)


def brush(family: str) -> Callable[[Path], Any]:
    return lambda folder: pipelines.FAMILIES[family].build().save_pretrained(folder)


def pickled(write: Callable[[Path], Any]) -> Callable[[Path], None]:
    """A part that is published in pickles alone."""

    def write_pickled(folder: Path) -> None:
        write(folder)
        pickle_weights(folder)

    return write_pickled


QWEN = tongue(language_models.FAMILIES["qwen3"].write)
LLAMA = tongue(language_models.FAMILIES["llama-2"].write)


def gpt_neox(folder: Path) -> None:
    tokenizer = language_models.on_bytes(hf.GPTNeoXTokenizer, ("<|endoftext|>",))
    config = hf.GPTNeoXConfig(
        vocab_size=len(tokenizer) + 2,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
    )
    hf.GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


PARTS: dict[str, Callable[[Path], Any]] = {
    "facebook/opt-2.7b": tongue(publish_opt),
    "facebook/opt-6.7b": tongue(publish_opt),
    "google/siglip2-so400m-patch14-384": eye("siglip"),
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": eye("clip"),
    "lmsys/vicuna-7b-v1.1": LLAMA,
    "lmsys/vicuna-7b-v1.5": tongue(publish_vicuna),
    "meta-llama/Llama-2-7b-hf": LLAMA,
    "meta-llama/Llama-3.2-11B-Vision-Instruct": tongue(MULTIMODAL_MODELS["llama-3.2-vision"].write),
    "mtgv/MobileLLaMA-1.4B-Chat": LLAMA,
    "Efficient-Large-Model/Sana_1600M_512px_diffusers": brush("sana"),
    "Qwen/Qwen2.5-VL-7B-Instruct": tongue(MULTIMODAL_MODELS["qwen2.5-vl"].write),
    "Qwen/Qwen3-1.7B": QWEN,
    "Qwen/Qwen3-8B": QWEN,
    "togethercomputer/RedPajama-INCITE-Base-3B-v1": gpt_neox,
    "weights/vicuna-7b-v0": LLAMA,
    "weights/vicuna-13b-v0": LLAMA,
    "openai/clip-vit-large-patch14": eye("clip"),
    "openai/clip-vit-large-patch14-336": pickled(eye("clip")),
    "Salesforce/blip2-opt-2.7b": eye("blip-2"),
    "Salesforce/instructblip-vicuna-7b": instructblip,
    "stable-diffusion-v1-5/stable-diffusion-v1-5": brush("stable_diffusion_1"),
    "cvssp/audioldm-l-full": pickled(brush("audioldm")),
    "cerspense/zeroscope_v2_576w": pickled(brush("text_to_video")),
    "weights/imagebind": imagebind,
    "weights/qformer": qformer,
    "weights/instructblip": asking,
}

HEAD = {"hidden_width": 16, "depth": 1, "heads": 2}
BRIEF = {"steps": 2}
Q_FORMER = {"projection": {"width": 32, "depth": 2, "heads": 2}}
LAYERS = {"width": 16, "depth": 1, "heads": 2}
GATED = {"projection": {"num_tokens": 18, "hidden_width": 16}}
FILMS = {"parts": {"filmer": {"frames": 3, "height": 16, "width": 32}}}
SMALL: dict[str, dict[str, Any]] = {
    "blip2": Q_FORMER,
    "instructblip": Q_FORMER,
    "minigpt-4": Q_FORMER,
    "llava-1.5": {"projection": {"num_tokens": 16}},
    "llava-next": {"modalities": {"image": {"encoder": {"resolutions": [[32, 64], [64, 32]]}}}},
    "gill": {"modalities": {"image": {"head": HEAD, "sampling": BRIEF}}},
    "nextgpt": {
        **FILMS,
        "modalities": {
            name: {"head": HEAD, "sampling": BRIEF} for name in ("image", "audio", "video")
        },
    },
    "metaquery": {
        "modalities": {
            "image": {
                "head": {"depth": 1, "heads": 2},
                "num_signal_tokens": 5,
                "sampling": BRIEF,
            }
        }
    },
    "onellm": {"projection": {"width": 16, "depth": 1, "heads": 2}},
    "qwen-vl": {"projection": {"grid": [2, 2], "heads": 2}},
    "mobilevlm": {"projection": {"grid": [2, 2]}},
    "docowl": {"projection": {"places": [4, 4]}},
    "mplug-owl2": {"projection": {"num_queries": 3, "hidden_width": 16, **LAYERS}},
    "cogvlm": GATED,
    "cogagent": {**GATED, "fusion": {"width": 8, "heads": 2, "tokens": 16}},
    "moe-llava": {"projection": {"num_tokens": 16}},
    "llama-adapter": {"fusion": {"length": 3, "layers": 1, **LAYERS}},
    "openflamingo": {
        "fusion": {"every": 1, "num_latents": 3, "depth": 1, "heads": 2, "head_width": 8}
    },
    "llama-3.2-vision": {},
    "nvlm-x": {"fusion": {"every": 1, "heads": 2, "head_width": 8}},
}
"""What tiny parts change of each system's configuration."""

MEDIA: dict[str, Media] = {
    "image": Image(pixels(20, 30, 3)),
    "audio": Audio(noise(1, 16000), 16000),
    "video": Video(pixels(6, 20, 30, 3), 4.0),
    "imu": IMU(noise(6, 400), 200.0),
    "points": PointCloud(noise(50, 3), pixels(50, 3)),
    "depth": Depth(np.abs(noise(12, 9))),
    "normal": Normal(noise(12, 9, 3).clip(-1, 1)),
}
DATA = {"cc3m": "image", "audiocaps": "audio", "webvid": "video", "captions": "image"}
"""Media of captions, where the file's name doesn't say it."""


def entry(name: str, files: dict[str, str]) -> dict[str, Any]:
    """A sample of a data file, as its publishers write them."""
    kind = DATA.get(name, name)
    if name == "edits":
        picture = files["image"]
        return {"instruction": "greener", "source_image": picture, "target_image": picture}
    if kind in files:
        return {"caption": "a ball", kind: files[kind]}
    said = {"gpt": "a small ball", "human": "what is this?"}
    if name == "alpaca":
        talk = {"conversations": [{"from": who, "value": said[who]} for who in ("human", "gpt")]}
        return talk
    made = {"t2m": "image", "mosit": "audio"}.get(name)
    about = "video" if name == "videochat" else "image"
    turns = [{"from": "human", "value": f"<{about}>\nwhat is this?"}, {"from": "gpt"}]
    turns[1]["value"] = "a ball" + (f" <{made}>" if made and made != about else "")
    found: dict[str, Any] = {about: files[about], "conversations": turns}
    if made == about:
        turns[0]["value"], turns[1]["value"] = "draw a ball", f"<{made}>"
        found = {f"output_{made}": files[made], "conversations": turns}
    elif made:
        found[f"output_{made}"] = files[made]
    return found | ({f"{made}_captions": "a ball"} if made else {})


def write_data(run: dict[str, Any]) -> int:
    """One sample in each data file of a run; how many those are."""
    node = run["data"]
    nodes = node.get("datasets", [node])
    nodes = list(nodes.values()) if isinstance(nodes, dict) else nodes
    for each in (each.get("source", each) for each in nodes):
        folder = Path(each["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        files = {kind: m.save(folder / f"{kind}{m.suffix}").name for kind, m in MEDIA.items()}
        path = Path(each["path"])
        path.write_text(json.dumps([entry(path.stem, files)]))
    return len(nodes)


def merged(node: Any, changes: Any) -> Any:
    if not isinstance(changes, dict):
        return changes
    return {**node, **{k: merged(node.get(k, {}), v) for k, v in changes.items()}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    for name, build in PARTS.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        build(home / name)
    return home


def test_every_system_is_here() -> None:
    assert SMALL.keys() == set(SYSTEMS)


SLOW = {"nextgpt", "onellm"}
"""Systems of many stages."""


@pytest.mark.parametrize(
    "system",
    [pytest.param(each, marks=[pytest.mark.extended] * (each in SLOW)) for each in SYSTEMS],
)
def test_a_system_trains_and_answers(
    system: str, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in parts.iterdir():
        Path(folder.name).symlink_to(folder)
    here = Path(shutil.copytree(CONFIGS, "configs/systems")) / system
    config = merged(load_config(here / "model.yaml"), SMALL[system])
    (here / "model.yaml").write_text(yaml.safe_dump(config))
    model, before = None, None
    for stage in sorted(here.glob("[0-9]*.yaml")):
        count = write_data(load_config(stage))
        small = [
            "steps=1",
            "accumulate_grad_batches=1",
            f"batch_size={count}",
            "optimizer.warmup_ratio=0",
        ]
        finished = train(stage, [*small, "+trainer.enable_progress_bar=false"])
        assert finished is not None, stage.name
        model = AnyModal.from_pretrained(finished)
        after = model.state_dict()
        if before is not None:
            # A later stage may add modules.
            changed = {n for n, v in after.items() if n not in before or not before[n].equal(v)}
            assert changed, stage.name
        before = after
    assert model is not None
    for kind in model.readers:
        reply = model.chat([MEDIA[kind], "what is this?"], seed=1, max_new_tokens=3)
        assert isinstance(reply.text, str)
    for name, decoder in model.decoders.items():
        states = torch.randn(
            1, config["modalities"][name]["num_signal_tokens"], model.language.width
        )
        (made,) = decoder.sample(
            model.heads[name](states, states), **config["modalities"][name]["sampling"]
        )
        assert made.kind == name
