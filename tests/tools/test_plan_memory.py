"""Plans tell the memory that is used."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from anymodal import AnyModal
from anymodal.language.model import LanguageModel
from anymodal.tools.plan import answering, memory, meta_models
from anymodal.tools.plan import training as training_memory
from anymodal.toybox.tokenizer import train_tokenizer
from anymodal.training.configuration import Run
from anymodal.training.run import train_model
from tests.support import plan_measured
from tests.support.paths import ROOT
from tests.support.plans import sizes


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


@pytest.mark.extended  # slow
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
    need = answering.inference(objective, plan_measured.TOKENS)
    assert need.peak == pytest.approx(loaded, rel=0.15)
    need = training_memory.training(
        objective, stage(batch_size=plan_measured.BATCH), plan_measured.SAMPLES
    )
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
    quiet = {"enable_progress_bar": False, "accelerator": "cpu"}

    def work() -> None:
        train_model(model, samples, losses={"text": 1}, steps=3, batch_size=4, save_every=9,
                    precision=precision, trainer=quiet, loggers=False, **trains)  # fmt: skip

    model = plan_measured.Reciting(LanguageModel.from_pretrained(str(folder), lora=lora))
    measured = sizes(model) + peak_of(work)
    planned = plan_measured.Reciting(
        LanguageModel.from_pretrained(str(folder), lora=lora, weights=False)
    )
    need = training_memory.training(planned, asked, samples)
    assert not need.unknown and need.peak == pytest.approx(measured, rel=0.1)


def test_parts_hold_what_torch_gives_out() -> None:
    """Each part of the shipped model, reading and making."""
    model = AnyModal.from_pretrained("nano")
    with torch.inference_mode():
        works = [work for part in model.modules() for work in answering.workloads_of(part, 1024)]
        measured = max(peak_of(partial(work, None)) for work in works)
    need = answering.inference(meta_models.compose_model(meta_models.read_model("nano"), {}), 1024)
    assert not need.unknown and need.of("activations") == pytest.approx(measured, rel=0.1)


def test_optimizers_averages_and_precision_are_counted(tmp_path: Path) -> None:
    folder = llama(tmp_path, **SMALL)
    model = plan_measured.Reciting(LanguageModel.from_pretrained(str(folder), weights=False))
    samples = [list(range(64))] * 64

    def need(**settings: Any) -> memory.Need:
        return training_memory.training(model, stage(**settings), samples)

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
    assert answering.cache_size(model.model, 100) == 2 * 2 * 1 * 16 * 100 * 4


def test_what_cannot_be_traced_is_named(tmp_path: Path) -> None:
    model = plan_measured.Reciting(
        LanguageModel.from_pretrained(str(llama(tmp_path, **SMALL)), weights=False)
    )
    blind = training_memory.training(model, stage(), "its data: no such file")
    trained = sum(p.nbytes for p in model.parameters())
    assert blind.unknown == ["what passes leave (its data: no such file)"]
    assert blind.of("gradients") == trained

    class Asking(plan_measured.Reciting):
        def states(self, batch: Any) -> Any:
            raise RuntimeError(f"{batch.labels.shape} makes no sense")

    need = training_memory.training(Asking(model.model), stage(batch_size=1), [[1, 2]])
    assert "makes no sense" in need.unknown[0] and need.of("optimizer") >= 2 * trained
