"""Plans tell what fits into a budget, and advise where it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import yaml

from anymodal import AnyModal, cli
from anymodal.tools.plan.budget import CUDA_TAKES, MemoryBudget, read_budget
from anymodal.tools.plan.parts import list_parts
from anymodal.tools.plan.plan import MemoryPlan, make_plans
from tests.support.composed import model_config, write_model
from tests.support.plans import plan, sizes


def run(*argv: object) -> int:
    return cli.main([str(item) for item in argv])


# ---- Fitting -------------------------------------------------------------------------------------


class Planned(NamedTuple):
    """A tiny model, and its plans with plenty of room and with a byte too little."""

    config: Path
    roomy: MemoryPlan
    narrow: MemoryPlan


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    config = write_model(tmp_path_factory.mktemp("planned"))
    (roomy,) = plan(config)
    return Planned(config, roomy, *plan(config, budget=MemoryBudget("small", roomy.need.peak - 1)))


@pytest.fixture
def listening(tiny: Path) -> Path:
    """The tiny model without its decoders, which take most of a plan's time."""
    config = model_config(tiny.parent)
    config["parts"] = {name: config["parts"][name] for name in ("binder", "words")}
    encoders = {name: {"encoder": node["encoder"]} for name, node in config["modalities"].items()}
    tiny.write_text(yaml.safe_dump({**config, "modalities": encoders}))
    return tiny


def test_what_fits_gets_no_advice_and_what_does_not_is_told(planned: Planned) -> None:
    roomy, narrow = planned.roomy, planned.narrow
    assert roomy.fits and not roomy.advice and roomy.advised is None
    assert not narrow.fits
    keys = {advice.key for advice in narrow.advice}
    assert {f"parts.{name}.dtype=bfloat16" for name in ("words", "image", "audio")} <= keys
    assert {"parts.image.offload=model", "parts.audio.offload=model"} <= keys
    savings = [advice.saving for advice in narrow.advice]
    assert savings == sorted(savings, reverse=True) and savings[-1] > 0
    assert narrow.advised is not None and narrow.advised < roomy.need.peak


def test_advice_does_what_it_says(planned: Planned, tmp_path: Path) -> None:
    before = planned.narrow
    told = {advice.key: advice.saving for advice in before.advice}
    config = yaml.safe_load(planned.config.read_text())
    config["parts"]["image"]["dtype"] = "bfloat16"
    advised = tmp_path / "advised.yaml"
    advised.write_text(yaml.safe_dump(config))
    (after,) = plan(advised)
    assert before.need.peak - after.need.peak == told["parts.image.dtype=bfloat16"]
    model = AnyModal.compose(advised)
    assert {p.dtype for p in model.decoders["image"].parameters()} == {torch.bfloat16}
    assert sizes(model) == after.need.of("weights")


@pytest.mark.extended  # slow
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


def test_markdown_and_json_tell_the_same(
    listening: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", listening, "--device", "24GB") == 0
    text = capsys.readouterr().out
    assert run("plan", listening, "--device", "24GB", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["fits"] and told["peak"] == sum(sum(p["bytes"].values()) for p in told["parts"])
    for part in told["parts"]:
        assert f"| {part['name']} " in text and f"{part['parameters']:,}" in text
    assert "It fits into the 23,400 MB of 24GB." in text
    (made,) = make_plans([str(listening)], [], read_budget("24GB"), context=2048)
    assert made.to_json() == told
    opened = list_parts(AnyModal.compose(listening), made.need.sizes)
    assert opened == made.parts


def test_a_plan_that_does_not_fit_is_status_1(
    listening: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "anymodal.tools.plan.budget.read_budget", lambda name: MemoryBudget(name, 1000)
    )
    assert run("plan", listening) == 1
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
    config = model_config(tmp_path)
    config["projektion"] = config.pop("projection")
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "neither.yaml").write_text("a: 1\n")
    capsys.readouterr()
    assert run("plan", *(item.format(tmp=tmp_path) for item in argv)) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and not told.out
