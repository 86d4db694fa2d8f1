"""Plans have as many parameters as there really are, and read no weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from anymodal import AnyModal
from anymodal.composition import SHIPPED
from anymodal.composition.meta_device import build_without_weights
from anymodal.config import ConfigError
from anymodal.decoders import DiffusionDecoder
from anymodal.encoders import TransformersEncoder
from anymodal.tools.plan import answering, memory, meta_models
from anymodal.tools.plan.earlier_runs import reopen
from anymodal.tools.plan.parts import list_parts
from anymodal.toybox.deepening import deepen
from anymodal.training.building import build
from anymodal.training.module import StageModule
from anymodal.training.run import read_run
from tests.support import huggingface_models, pipelines
from tests.support.composed import model_config
from tests.support.paths import ROOT
from tests.support.plans import plan, sizes

STAGES = sorted((ROOT / "configs" / "stages" / "nano").glob("*.yaml"))


def without_files(folder: Path) -> Path:
    """The same folder, every weight deleted."""
    for file in folder.rglob("*.safetensors"):
        file.unlink()
    return folder


def shapes(model: torch.nn.Module) -> dict[str, Any]:
    return {name: (p.shape, p.dtype, p.requires_grad) for name, p in model.named_parameters()}


def test_a_planned_model_has_the_parameters_of_the_real_one(tmp_path: Path) -> None:
    folder = without_files(Path(shutil.copytree(SHIPPED / "nano", tmp_path / "nano")))
    planned = meta_models.compose_model(meta_models.read_model(folder), {})
    assert shapes(planned) == shapes(AnyModal.compose(meta_models.read_model("nano")))
    assert all(parameter.is_meta for parameter in planned.parameters())
    parts = {part.name: part for part in list_parts(planned, {})}
    assert sum(part.parameters for part in parts.values()) == sum(
        parameter.numel() for parameter in planned.parameters()
    )
    assert parts["encoders.image+audio+video+imu"].kind == "ImageBind"
    assert parts["language.rows"].parameters == planned.language.rows.numel()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("GatedCrossAttention", {"every": 1, "num_latents": 3, "depth": 1}),
        ("CrossLayers", {"every": 1}),
        ("ExpertsWithCrossAttention", {"heads": 2, "width": 8}),
        ("ModalityExperts", {}),
        ("SparseUpcycling", {"experts": 3, "every": 1}),
        ("MediaAdapterPrefix", {"length": 3, "width": 8, "depth": 1, "heads": 2}),
    ],
)
def test_a_fusion_is_planned(kind: str, settings: dict[str, Any], tiny: Path) -> None:
    """With what its modules leave in passes, of a stage and of answers."""
    config = model_config(tiny.parent)
    config["parts"] = {name: config["parts"][name] for name in ("binder", "words")}
    config["modalities"] = {
        name: {"encoder": config["modalities"][name]["encoder"]} for name in ("image", "imu")
    }
    plain = tiny.parent / "plain.yaml"
    plain.write_text(yaml.safe_dump(config))
    config["fusion"] = {"_target_": f"anymodal.fusion.{kind}", **settings}
    fused = tiny.parent / "fused.yaml"
    fused.write_text(yaml.safe_dump(config))
    run = {
        "output_dir": str(tiny.parent / "out"),
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(fused)},
        "data": {"_target_": "tests.support.composed.replies_to_media"},
        "stage": {"trainable": ["fusion.*", "projection.*"], "losses": {"text": 1.0}},
        "steps": 1,
        "batch_size": 2,
        "trusted_packages": ["tests"],
    }
    (tiny.parent / "run.yaml").write_text(yaml.safe_dump(run))
    stage, answers, without = plan(tiny.parent / "run.yaml", fused, plain)
    real = AnyModal.compose(fused)
    count = sum(parameter.numel() for parameter in real.fusion.parameters())
    for each in (stage, answers):
        (part,) = (part for part in each.parts if part.name == "fusion")
        assert part.parameters == part.trainable == count
        assert not each.need.unknown, each.need.unknown
    assert answers.need.peak > without.need.peak


@pytest.mark.parametrize("family", huggingface_models.FAMILIES)
def test_encoders_of_transformers_open_without_weights(family: str, tmp_path: Path) -> None:
    huggingface_models.write(huggingface_models.FAMILIES[family], tmp_path)
    settings = {"seconds": 0.5, "dtype": "bfloat16"}
    opened = TransformersEncoder.from_pretrained(str(tmp_path), **settings)
    planned = TransformersEncoder.from_pretrained(
        str(without_files(tmp_path)), **settings, weights=False
    )
    assert {n: v[:2] for n, v in shapes(planned).items()} == {
        n: v[:2] for n, v in shapes(opened).items()
    }, "but for what trains, which a stage decides"
    assert planned.pieces == opened.pieces
    assert memory.weights_of(planned) == memory.weights_of(opened)


@pytest.mark.parametrize("name", pipelines.FAMILIES)
def test_pipelines_open_without_weights(name: str, tmp_path: Path) -> None:
    case = pipelines.FAMILIES[name]
    opened = DiffusionDecoder(case.build(), **case.options).eval()
    opened.save_pretrained(tmp_path)
    planned = DiffusionDecoder.from_pretrained(
        without_files(tmp_path), **case.options, weights=False
    )
    assert shapes(planned) == shapes(opened)
    told = planned.metadata()
    assert told.pop("source")["name"] == tmp_path.name and told == opened.metadata()
    assert all(parameter.is_meta for parameter in planned.parameters())
    again = reopen(planned, {"dtype": "float16", **case.options})
    assert {p.dtype for p in again.parameters()} == {torch.float16}
    with pytest.raises(ValueError, match="dtype='half-ish' is none"):
        DiffusionDecoder.from_pretrained(tmp_path, dtype="half-ish", weights=False)


def test_what_waits_in_the_processors_memory_is_not_moved() -> None:
    decoder = DiffusionDecoder(pipelines.FAMILIES["wan"].build())
    decoder.offload = "group"
    torch.nn.ModuleDict({"decoder": decoder}).to(torch.float64)
    assert {p.dtype for p in decoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["stable_audio_open", "wan"])
def test_making_is_traced_through_the_pipeline_itself(name: str, tmp_path: Path) -> None:
    case = pipelines.FAMILIES[name]
    DiffusionDecoder(case.build(), **case.options).save_pretrained(tmp_path)
    decoder = DiffusionDecoder.from_pretrained(tmp_path, **case.options, weights=False)
    model = torch.nn.ModuleDict({"decoder": decoder})
    need = answering.inference(model, 1)
    assert not need.unknown
    shown = torch.Size(model["decoder"].family.media_shape).numel() * 4
    assert need.of("activations") > shown, "a medium comes out of it"
    model["decoder"].offload = "model"
    waiting = answering.inference(model, 1)
    networks = [sizes(part) for part in model["decoder"].parts.values()]
    assert waiting.of("weights") in networks, "one at a time, with what it needs to work"
    assert need.peak - sum(networks) < waiting.peak <= need.peak - sum(networks) + max(networks)


def test_each_stage_trains_what_it_would_train(tmp_path: Path, tiny: Path) -> None:
    """Stages that compose a model, with the tiny one in nano's place."""
    AnyModal.compose(tiny).save_pretrained(tmp_path / "plain")
    lora = {"r": 4, "alpha": 8, "dropout": 0.0}
    AnyModal.from_pretrained(tmp_path / "plain", lora).save_pretrained(tmp_path / "adapted")
    composing = 0
    for path in STAGES:
        config = yaml.safe_load(path.read_text())
        if "objective" in config:
            continue
        match config["model"]["_target_"].rpartition(".")[2]:
            case "compose":
                config["model"]["config"] = str(tiny)
            case "from_pretrained":
                adapted = "lora" not in config["model"]
                config["model"]["path"] = str(tmp_path / ("adapted" if adapted else "plain"))
            case _:
                continue
        if "projection.*" in config["stage"]["trainable"]:
            config["optimizer"].pop("muon", None)  # the tiny projection has one layer, and no names
        if "muon" in config["optimizer"]:
            config["optimizer"]["muon"]["params"] = ["heads.*.model.weight"]
        config["data"].pop("pool", None)
        composing += 1
        file = tmp_path / path.name
        file.write_text(yaml.safe_dump(config))
        stage = read_run(file)
        module = StageModule(build(stage)[0], stage)
        wanted = sum(p.numel() for p in module.parameters() if p.requires_grad)
        planned, data = meta_models.build_run(stage, {})
        StageModule(planned, stage)
        assert sum(part.trainable for part in list_parts(planned.model, {})) == wanted, path.name
        assert not isinstance(data, str)
    assert composing == 6


@pytest.mark.extended  # slow
def test_runs_stand_on_what_those_before_them_will_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    left: dict[Path, torch.nn.Module] = {}
    for path in STAGES:
        run = read_run(path)
        if path.stem == "72-deeper":  # a step between two stages leaves what it begins from
            shallow = left[Path("runs/nano/converse/model")]
            shallow.language.merge_adapters()
            deepen(shallow.language.model, 8)
            left[Path("runs/nano/deepened")] = shallow
        objective, data = meta_models.build_run(run, left)
        left[Path(run.output_dir) / "model"] = objective.model
        assert not isinstance(data, str)
    last = list_parts(left[Path("runs/nano/practice/model")], {})
    total = sum(part.parameters for part in last if not part.name.endswith("adapters"))
    shipped = AnyModal.compose(meta_models.read_model("nano")).parameters()
    # The recipe has grown since the shipped checkpoint was trained: words, pointers, references.
    assert total == pytest.approx(sum(p.numel() for p in shipped), rel=0.03)
    with pytest.raises((ValueError, OSError)):
        plan(STAGES[-1])


def test_a_part_that_needs_its_weights_is_named() -> None:
    class Stubborn(torch.nn.Module):
        @classmethod
        def from_pretrained(cls) -> None: ...

    with pytest.raises(ConfigError, match="Stubborn can't be built without its weights"):
        build_without_weights(Stubborn.from_pretrained, {})
    assert isinstance(build_without_weights(Stubborn, {}), Stubborn)
