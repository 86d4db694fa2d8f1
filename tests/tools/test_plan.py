"""Plans: as many parameters as there really are, no weights read, and the memory that is used."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal import AnyModal, cli
from anymodal.composition import SHIPPED
from anymodal.composition.meta_device import build_without_weights
from anymodal.config import ConfigError
from anymodal.decoders import Decoder, DiffusionDecoder
from anymodal.encoders import Encoder, TransformersEncoder
from anymodal.language.model import LanguageModel
from anymodal.media import Media
from anymodal.tools.plan import memory, meta_models
from anymodal.tools.plan.budget import CUDA_TAKES, MemoryBudget, read_budget
from anymodal.tools.plan.earlier_runs import reopen
from anymodal.tools.plan.parts import list_parts
from anymodal.tools.plan.plan import MemoryPlan, make_plans
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.training.configuration import Run
from anymodal.training.module import StageModule
from anymodal.training.run import build, read_run, train_model
from anymodal.types import Conditioning, ConditioningSpec, Features
from tests.support import huggingface_models, pipelines, plan_measured
from tests.support.composed import write_model
from tests.support.paths import ROOT

STAGES = sorted((ROOT / "configs" / "stages" / "nano").glob("*.yaml"))
PLENTY = MemoryBudget("plenty", 10**15)


def plan(*configs: object, budget: MemoryBudget = PLENTY, overrides: Any = ()) -> list[MemoryPlan]:
    names = [str(config) for config in configs]
    return make_plans(names, overrides, budget, context=256)


def run(*argv: object) -> int:
    return cli.main([str(item) for item in argv])


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A tiny model's configuration, and its parts' folders."""
    return write_model(tmp_path)


def without_files(folder: Path) -> Path:
    """The same folder, every weight deleted."""
    for file in folder.rglob("*.safetensors"):
        file.unlink()
    return folder


# ---- Parameters ----------------------------------------------------------------------------------


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
    need = memory.inference(model, 1)
    assert not need.unknown
    shown = torch.Size(model["decoder"].family.media_shape).numel() * 4
    assert need.of("activations") > shown, "a medium comes out of it"
    model["decoder"].offload = "model"
    waiting = memory.inference(model, 1)
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
            config["optimizer"].pop("muon")  # the tiny projection has one layer, and no names
        if "heads.*" in config["stage"]["trainable"]:
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
    assert composing == 3


def test_runs_stand_on_what_those_before_them_will_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    left: dict[Path, torch.nn.Module] = {}
    for path in STAGES:
        run = read_run(path)
        objective, data = meta_models.build_run(run, left)
        left[Path(run.output_dir) / "model"] = objective.model
        assert not isinstance(data, str)
    last = list_parts(left[Path("runs/nano/instruct/model")], {})
    total = sum(part.parameters for part in last if not part.name.endswith("adapters"))
    assert total == sum(
        p.numel() for p in AnyModal.compose(meta_models.read_model("nano")).parameters()
    )
    with pytest.raises((ValueError, OSError)):
        plan(STAGES[-1])


def test_a_part_that_needs_its_weights_is_named() -> None:
    class Stubborn(torch.nn.Module):
        @classmethod
        def from_pretrained(cls) -> None: ...

    with pytest.raises(ConfigError, match="Stubborn can't be built without its weights"):
        build_without_weights(Stubborn.from_pretrained, {})
    assert isinstance(build_without_weights(Stubborn, {}), Stubborn)


# ---- Memory --------------------------------------------------------------------------------------


def stage(**settings: Any) -> Run:
    known = {"model": None, "data": None, "output_dir": "x", "steps": 1}
    trains = {"trainable": ["model.*"], "losses": {"text": 1}}
    return Run.from_config({**known, "stage": trains, **settings})


def llama(folder: Path, tokens: int = 300, **sizes: int) -> Path:
    """A language model of equal weights, whose values nobody needs."""
    tokenizer = train_tokenizer(["a ball"], tokens)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=len(tokenizer) - 1,
        **sizes,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    LanguageModel(model, tokenizer).save_pretrained(folder)
    return folder


SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
LARGE = {"hidden_size": 640, "intermediate_size": 2560, "num_hidden_layers": 10,
         "num_attention_heads": 8, "num_key_value_heads": 8}  # fmt: skip


def peak_of(work: Callable[[], Any]) -> int:
    """The most bytes that torch gave out at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watch:
        work()
    events = [e for e in watch.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(sizes))


def sizes(model: torch.nn.Module) -> int:
    return sum(memory.weights_of(model).values())


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_a_processs_peak_agrees_within_15_percent(tmp_path: Path) -> None:
    small, large = llama(tmp_path / "small", **SMALL), llama(tmp_path / "large", **LARGE)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.plan_measured", small, large],
        cwd=ROOT,
        # What the C library keeps of freed memory differs between machines; so it gives it back.
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("took "))
    loaded, trained = (int(number) for number in line.split()[1:])
    objective = plan_measured.Reciting(LanguageModel.from_pretrained(str(large), weights=False))
    answering = memory.inference(objective, plan_measured.TOKENS)
    assert answering.peak == pytest.approx(loaded, rel=0.15)
    need = memory.training(objective, stage(batch_size=plan_measured.BATCH), plan_measured.SAMPLES)
    assert not need.unknown and need.peak == pytest.approx(trained, rel=0.15)


@pytest.mark.parametrize(
    ("lora", "precision"), [(None, "32-true"), ({"r": 4, "dropout": 0.0}, "bf16-mixed")]
)
def test_steps_hold_what_torch_gives_out(
    tmp_path: Path, lora: dict[str, Any] | None, precision: str
) -> None:
    folder = llama(tmp_path, **(SMALL | {"hidden_size": 64, "intermediate_size": 176}))
    trains = {"trainable": ["model.*" if lora is None else "*lora_*"]}
    asked = stage(batch_size=4, precision=precision, stage={**trains, "losses": {"text": 1}})
    samples = [list(range(128))] * 8
    quiet = {"enable_progress_bar": False, "logger": False, "accelerator": "cpu"}

    def work() -> None:
        train_model(model, samples, losses={"text": 1}, steps=3, batch_size=4, save_every=9,
                    precision=precision, trainer=quiet, **trains)  # fmt: skip

    model = plan_measured.Reciting(LanguageModel.from_pretrained(str(folder), lora=lora))
    measured = sizes(model) + peak_of(work)
    planned = plan_measured.Reciting(
        LanguageModel.from_pretrained(str(folder), lora=lora, weights=False)
    )
    need = memory.training(planned, asked, samples)
    assert not need.unknown and need.peak == pytest.approx(measured, rel=0.1)


def test_parts_hold_what_torch_gives_out() -> None:
    """Each part of the shipped model, reading and making."""
    model = AnyModal.from_pretrained("nano")
    with torch.inference_mode():
        works = [work for part in model.modules() for work in memory.workloads_of(part, 1024)]
        measured = max(peak_of(partial(work, None)) for work in works)
    need = memory.inference(meta_models.compose_model(meta_models.read_model("nano"), {}), 1024)
    assert not need.unknown and need.of("activations") == pytest.approx(measured, rel=0.1)


def test_optimizers_averages_and_precision_are_counted(tmp_path: Path) -> None:
    folder = llama(tmp_path, **SMALL)
    model = plan_measured.Reciting(LanguageModel.from_pretrained(str(folder), weights=False))
    samples = [list(range(64))] * 64

    def need(**settings: Any) -> memory.Need:
        return memory.training(model, stage(**settings), samples)

    plain = need()
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    assert plain.of("weights") == trained + sum(b.nbytes for b in model.buffers())
    assert plain.of("optimizer") == pytest.approx(2 * trained, rel=0.01)
    muon = need(optimizer={"muon": {"params": ["*.mlp.*"]}}, ema=0.99)
    width = sum(p.nbytes for n, p in model.named_parameters() if ".mlp." in n)
    assert muon.of("optimizer") == pytest.approx(2 * trained - width, rel=0.01)
    assert muon.of("average") == trained
    assert need(accumulate_grad_batches=2).of("gradients") == trained
    assert need(precision="bf16-mixed").of("activations") < plain.of("activations")
    twice = need(batch_size=64).of("activations")
    assert twice == pytest.approx(2 * plain.of("activations"), rel=0.05)
    assert memory.cache_size(model.model, 100) == 2 * 2 * 1 * 16 * 100 * 4


def test_what_cannot_be_traced_is_named(tmp_path: Path) -> None:
    model = plan_measured.Reciting(
        LanguageModel.from_pretrained(str(llama(tmp_path, **SMALL)), weights=False)
    )
    blind = memory.training(model, stage(), "its data: no such file")
    trained = sum(p.nbytes for p in model.parameters())
    assert blind.unknown == ["what passes leave (its data: no such file)"]
    assert blind.of("gradients") == trained

    class Asking(plan_measured.Reciting):
        def states(self, batch: Any) -> Any:
            raise RuntimeError(f"{batch.labels.shape} makes no sense")

    need = memory.training(Asking(model.model), stage(batch_size=1), [[1, 2]])
    assert "makes no sense" in need.unknown[0] and need.of("optimizer") >= 2 * trained


# ---- Fitting -------------------------------------------------------------------------------------


def test_what_fits_gets_no_advice_and_what_does_not_is_told(tiny: Path) -> None:
    (roomy,) = plan(tiny)
    assert roomy.fits and not roomy.advice and roomy.advised is None
    (narrow,) = plan(tiny, budget=MemoryBudget("small", roomy.need.peak - 1))
    assert not narrow.fits
    keys = {advice.key for advice in narrow.advice}
    assert {f"parts.{name}.dtype=bfloat16" for name in ("words", "image", "audio")} <= keys
    assert {"parts.image.offload=model", "parts.audio.offload=model"} <= keys
    savings = [advice.saving for advice in narrow.advice]
    assert savings == sorted(savings, reverse=True) and savings[-1] > 0
    assert narrow.advised is not None and narrow.advised < roomy.need.peak


def test_advice_does_what_it_says(tiny: Path) -> None:
    (before,) = plan(tiny, budget=MemoryBudget("small", 1))
    told = {advice.key: advice.saving for advice in before.advice}
    config = yaml.safe_load(tiny.read_text())
    config["parts"]["image"]["dtype"] = "bfloat16"
    tiny.write_text(yaml.safe_dump(config))
    (after,) = plan(tiny)
    assert before.need.peak - after.need.peak == told["parts.image.dtype=bfloat16"]
    model = AnyModal.compose(tiny)
    assert {p.dtype for p in model.decoders["image"].parameters()} == {torch.bfloat16}
    assert sizes(model) == after.need.of("weights")


def test_a_run_is_told_the_largest_batch_that_fits(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    config = {
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(tiny)},
        "data": {"_target_": "anymodal.toybox.dataset.ToyboxDialogues", "size": 10},
        "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        "output_dir": "x",
        "steps": 1,
        "ema": 0.9,
    }
    file.write_text(yaml.safe_dump(config))
    (whole,) = plan(file)
    (some,) = plan(file, overrides=["batch_size=8", "accumulate_grad_batches=4"])
    (narrow,) = plan(file, budget=MemoryBudget("small", some.need.peak))
    keys = [advice.key for advice in narrow.advice]
    assert keys[0] == "batch_size=8 accumulate_grad_batches=4" and "ema=null" in keys
    assert "precision=bf16-mixed" in keys
    assert narrow.advice[0].saving == whole.need.peak - some.need.peak


# ---- The command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"), [("24GB", 24e9), ("1.5 GB", 1.5e9), ("80GiB", 80 * 2**30), ("900MB", 9e8)]
)
def test_a_size_is_a_budget_less_what_cuda_takes(text: str, size: float) -> None:
    assert read_budget(text).bytes == size - CUDA_TAKES


def test_the_machine_is_a_budget() -> None:
    assert read_budget("cpu").bytes > 10**8
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="there is no cuda:0 here"):
            read_budget("cuda:0")


def test_markdown_and_json_tell_the_same(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", tiny, "--device", "24GB") == 0
    text = capsys.readouterr().out
    assert run("plan", tiny, "--device", "24GB", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["fits"] and told["peak"] == sum(sum(p["bytes"].values()) for p in told["parts"])
    for part in told["parts"]:
        assert f"| {part['name']} " in text and f"{part['parameters']:,}" in text
    assert "It fits into the 23,400 MB of 24GB." in text
    (made,) = make_plans([str(tiny)], [], read_budget("24GB"), context=2048)
    assert made.to_json() == told
    opened = list_parts(AnyModal.compose(tiny), made.need.held)
    assert opened == made.parts


def test_a_plan_that_does_not_fit_is_status_1(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "anymodal.tools.plan.budget.read_budget", lambda name: MemoryBudget(name, 1000)
    )
    assert run("plan", tiny) == 1
    text = capsys.readouterr().out
    assert "It doesn't fit" in text and "take a larger device" in text
    assert "`parts.words.dtype=bfloat16`" in text


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["nano", "--device", "tpu"], "there is no device 'tpu'; give a size"),
        (["nano", "--device", "0.1GB"], "no room for CUDA itself"),
        (["nan0"], "did you mean 'nano'?"),
        (["a=b"], "name a model or a training configuration"),
        (["{tmp}/nowhere.yaml"], "no configuration file at"),
        (["{tmp}/neither.yaml"], "neither a model, which has 'modalities', nor"),
        (["{tmp}/wrong.yaml"], "did you mean 'projection'?"),
        (["nano", "--devise", "cpu"], "did you mean --device?"),
    ],
)
def test_what_cannot_be_planned_is_told_in_a_line(
    argv: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(write_model(tmp_path).read_text())
    config["projektion"] = config.pop("projection")
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "neither.yaml").write_text("a: 1\n")
    capsys.readouterr()
    assert run("plan", *(item.format(tmp=tmp_path) for item in argv)) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and not told.out


# ---- What it doesn't know ------------------------------------------------------------------------


class Smell(Media):
    """A medium that nobody here has."""

    kind, suffix, saves = "scent", ".scent", ()

    def html(self) -> str:
        return ""

    def _encode(self, suffix: str) -> bytes:
        return b""

    @classmethod
    def _decode(cls, blob: Any, fmt: Any, limits: Any, **hints: Any) -> Smell:
        return cls()


class Nose(Encoder):
    media, width = Smell, 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 4)

    def prepare(self, media: Any) -> torch.Tensor:
        return torch.zeros(3, 2)

    def forward(self, batch: torch.Tensor) -> Features:
        values = self.layer(batch)
        return Features(values, torch.ones(values.shape[:2], dtype=torch.bool))

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layer(batch).mean(1)


class Scent(Decoder):
    """A decoder of somebody's own, which no pipeline of diffusers stands behind."""

    media = Smell

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.spec = ConditioningSpec(2, 4)
        self.layer, self.fails = torch.nn.Linear(4, 1_000_000), fails

    def prepare(self, media: Any) -> torch.Tensor:
        return torch.zeros(4)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def embed_captions(self, captions: Any) -> Conditioning:
        made = torch.zeros(len(captions), 2, 4)
        return Conditioning(made, torch.ones(made.shape[:2], dtype=torch.bool))

    def loss(self, batch: Any, conditioning: Any, generator: Any = None) -> torch.Tensor:
        return self.layer(conditioning.embeds).mean()

    def sample(self, conditioning: Conditioning, **settings: Any) -> list[Any]:
        if self.fails:
            raise KeyError("a table that isn't there")
        self.layer(conditioning.embeds)
        return [Smell()]

    def save_pretrained(self, folder: Any) -> None:
        raise NotImplementedError

    def metadata(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("fails", [False, True])
def test_parts_of_ones_own_are_planned_or_named(tmp_path: Path, fails: bool) -> None:
    config = yaml.safe_load(write_model(tmp_path).read_text())
    here = {"_target_": f"{__name__}.Nose"}, {"_target_": f"{__name__}.Scent", "fails": fails}
    head = {"_target_": "anymodal.heads.LinearHead"}
    smell = {"encoder": here[0], "decoder": here[1], "head": head, "num_signal_tokens": 2}
    config["modalities"]["smell"] = smell
    model = meta_models.compose_model(config, {}, ["tests"])
    need = memory.inference(model, 16)
    told = {reason.split(" (")[0]: reason for reason in need.unknown}
    assert "there is no Smell here" in told.pop("encoders.smell")
    if fails:
        assert "a table that isn't there" in told.pop("decoders.smell")
    else:
        assert need.of("activations", "decoders.smell") >= 2 * 4_000_000
    assert not told, "movements are planned, too"
    assert need.of("weights", "decoders.smell") >= 16_000_000


class Peeks(Nose):
    """An encoder whose constructor looks at a value."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = float(self.layer.weight.abs().max())


def test_a_part_that_cannot_be_built_without_values_is_named(tmp_path: Path) -> None:
    config = yaml.safe_load(write_model(tmp_path).read_text())
    config["modalities"]["smell"] = {"encoder": {"_target_": f"{__name__}.Peeks"}}
    with pytest.raises(ConfigError, match="Peeks can't be planned.*give it a classmethod"):
        meta_models.compose_model(config, {}, ["tests"])
