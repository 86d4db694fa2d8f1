"""The plug-in of `lmms-eval`, called by the package itself on small tasks of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from anymodal.training.run import train
from tests.support.composed import write_model
from tests.support.paths import ROOT
from tests.support.runs import stages, write
from tests.support.tiny import picture, sound

pytestmark = pytest.mark.extended

TASKS = """
def visuals(doc):
    from PIL import Image
    return [Image.open(path) if path.endswith(".png") else path for path in doc["paths"]]

def scored(doc, results):
    return {"exact": float(results[0] == doc["answer"])}

def mean(items):
    return sum(items) / len(items)
"""
YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_visual: !function tasks.visuals
doc_to_text: "{{{{question}}}}"
doc_to_target: "{target}"
{more}
"""
GENERATED = """
output_type: generate_until
generation_kwargs: {max_new_tokens: 24, temperature: 0, until: ["."]}
process_results: !function tasks.scored
metric_list: [{metric: exact, aggregation: !function tasks.mean, higher_is_better: true}]
"""
CHOSEN = """
output_type: multiple_choice
doc_to_choice: ["Hello!", "This is a ball."]
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tasks of a picture, a sound and words, and the entry point as pyproject.toml has it."""
    pytest.importorskip("lmms_eval", reason="pip install --no-deps lmms-eval")
    picture().save(tmp_path / "a.png")
    sound().save(tmp_path / "a.wav")
    rows = [
        {"question": "what is this?", "paths": [f"{tmp_path}/a.png"], "answer": "This is a ball"},
        {"question": "what is this?", "paths": [f"{tmp_path}/a.wav"], "answer": "This is a ball"},
        {"question": "hello", "paths": [], "answer": "Hello!"},
    ]
    for number, row in enumerate(rows):
        row["place"] = [1, 1, 0][number]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "tasks.py").write_text(TASKS)
    for name, more, target in (
        ("tiny_generated", GENERATED, "{{answer}}"), ("tiny_chosen", CHOSEN, "{{place}}")
    ):  # fmt: skip
        text = YAML.format(name=name, data=data, more=more, target=target)
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = ["[lmms_eval.models]"]
    lines += [f"{k} = {v}" for k, v in project["entry-points"]["lmms_eval.models"].items()]
    metadata = tmp_path / "site" / "anymodal_plugin-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: anymodal-plugin\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def evaluate(folder: Path, model: Path, task: str, *options: str) -> Any:
    """Results of the package's own command."""
    paths = [str(folder / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HOME": str(folder / "hf")}
    env |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-m", "lmms_eval", "--model", "anymodal", "--tasks", task]
    command += ["--model_args", f"pretrained={model}", "--include_path", str(folder / "tasks")]
    command += ["--batch_size", "2", "--device", "cpu", "--output_path", str(folder / "out")]
    done = subprocess.run(
        [*command, "--log_samples", *options],
        capture_output=True, text=True, env=env, cwd=folder, timeout=280,
    )  # fmt: skip
    files = [*(folder / "out").rglob("*_results.json")]
    assert done.returncode == 0 and len(files) == 1, done.stdout[-3000:] + done.stderr[-6000:]
    return json.loads(files[0].read_text())["results"][task]


def test_the_command_finds_the_plug_in_and_asks_by_messages(folder: Path, model: Path) -> None:
    assert evaluate(folder, model, "tiny_generated")["exact,none"] == 1.0


def test_requests_and_likelihoods(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    from anymodal.evaluation.lmms import RequestPlugin, manifest

    assert manifest().simple_class_path == f"{RequestPlugin.__module__}.RequestPlugin"
    plugin = RequestPlugin(str(model), batch_size=2, device="cpu")
    tasks = TaskManager(include_path=str(folder / "tasks"), include_defaults=False)
    names = ["tiny_generated", "tiny_chosen"]
    results = simple_evaluate(plugin, tasks=names, task_manager=tasks, bootstrap_iters=0)["results"]
    assert results["tiny_generated"]["exact,none"] == 1.0
    assert results["tiny_chosen"]["acc,none"] == 1.0


def test_a_run_s_checkpoint_has_the_precision_that_is_named(folder: Path) -> None:
    from anymodal.evaluation.lmms import ChatPlugin

    stage = stages(write_model(folder / "parts"), folder)["perceive"]
    train(write(folder, "run", **{**stage, "steps": 2}))
    checkpoint = str(folder / "run" / "checkpoints" / "last.ckpt")
    plugin = ChatPlugin(checkpoint, device="cpu", dtype="bfloat16", trusted_packages="tests")
    projection = plugin._model.projection
    assert projection is not None and next(projection.parameters()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="batch_size is 'auto'; give a number"):
        ChatPlugin(checkpoint, batch_size="auto")
