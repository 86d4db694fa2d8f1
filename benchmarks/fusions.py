"""How media enter a language model: the same task by five ways, trained weights equal within 10 %.

Each cell trains one way on the Toybox's questions about media, with the encoders of the shipped
model and nano's language model frozen, then answers questions of scenes seen in training and of
held-out ones. One table has cells of equal steps, one of equal processor time: as much as the first
way's steps took. Finished cells stay in OUT; run it again to go on.

    OMP_NUM_THREADS=1 python benchmarks/fusions.py OUT
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypedDict

import lightning as L
import measure
import torch
import yaml

from anymodal import AnyModal
from anymodal.composition import find
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.io.results import markdown_table
from anymodal.toybox.dataset import ToyboxDialogues
from anymodal.toybox.matrix import MatrixPlan, run_dialogues
from anymodal.toybox.matrix_report import figures
from anymodal.toybox.shares import percent, span
from anymodal.training.building import build_all
from anymodal.training.objectives import Dialogue
from anymodal.training.run import fit_objective, read_run

ROOT = Path(__file__).resolve().parent.parent
LANGUAGE = find("nano") / "language"
MODALITIES = ("image", "audio", "video", "imu")
TASKS = tuple(f"{name}>text" for name in MODALITIES)
BUDGETS = {"steps": "Equal steps", "time": "Equal processor time"}
TOLERANCE = 0.1
TEXTS_AT_ONCE = 16


class Way(TypedDict):
    """A way in: its label, the parts of a model's configuration, and what trains."""

    label: str
    parts: dict[str, Any]
    trainable: list[str]


def soft_tokens(hidden_width: int) -> dict[str, Any]:
    """A gated MLP of 64 tokens of a medium, between two learned ones."""
    part = {"_target_": "anymodal.projection.GatedMLPProjection", "num_tokens": 66}
    return {**part, "hidden_width": hidden_width}


WAYS: dict[str, Way] = {
    "splicing": {
        "label": "token splicing",
        "parts": {"projection": soft_tokens(192)},
        "trainable": ["projection.*"],
    },
    "resampler": {
        "label": "resampler, 8 tokens",
        "parts": {
            "projection": {
                "_target_": "anymodal.projection.PerceiverProjection",
                "num_tokens": 8, "width": 128, "depth": 3, "heads": 4,
            },
        },
        "trainable": ["projection.*"],
    },
    "cross-attention": {
        "label": "gated cross-attention",
        "parts": {
            "fusion": {
                "_target_": "anymodal.fusion.GatedCrossAttention",
                "every": 4, "num_latents": None, "heads": 4, "head_width": 64, "expansion": 1,
            },
        },
        "trainable": ["fusion.*", "language.rows"],
    },
    "experts": {
        "label": "experts of keys, values and norms",
        "parts": {
            "projection": soft_tokens(42),
            "fusion": {
                "_target_": "anymodal.fusion.ModalityExperts",
                "modules": ["*k_proj", "*v_proj", "*layernorm"], "without_last": False,
            },
        },
        "trainable": ["projection.*", "fusion.*"],
    },
    "prefix": {
        "label": "prefix of 10 prompts",
        "parts": {
            "fusion": {
                "_target_": "anymodal.fusion.MediaAdapterPrefix",
                "length": 10, "width": 128, "depth": 3, "heads": 4,
            },
        },
        "trainable": ["fusion.*", "language.rows"],
    },
}  # fmt: skip
"""The first one sets the processor time, and the number of weights."""


def model_config(way: Way) -> dict[str, Any]:
    """The configuration of a model that reads media by a way."""
    imagebind = {"_target_": "anymodal.encoders.ImageBind.from_pretrained"}
    encoder = {"_target_": "anymodal.encoders.ImageBindEncoder", "model": {"_part_": "imagebind"}}
    return {
        "parts": {
            "imagebind": {**imagebind, "folder": str(find("nano") / "imagebind")},
        },
        "language": {
            "_target_": "anymodal.language.LanguageModel.from_pretrained",
            "path_or_name": str(LANGUAGE),
            "dtype": "float32",
        },
        **way["parts"],
        "modalities": {name: {"encoder": {**encoder, "modality": name}} for name in MODALITIES},
    }


def run_config(way: Way, folder: Path, cache: Path, steps: int) -> dict[str, Any]:
    """The configuration of a cell's run: nano's stage `perceive`, on what is told of one medium."""
    return {
        "output_dir": str(folder),
        "model": {"_target_": "anymodal.AnyModal.compose", "config": str(folder / "model.yaml")},
        "data": {
            "_target_": "anymodal.toybox.dataset.ToyboxDialogues",
            "size": 100_000,
            "seed": 50,
            "media_pool_size": 1000,
            "kinds": dict.fromkeys(TASKS, 1),
        },
        "stage": {"trainable": way["trainable"], "losses": {"text": 1}},
        "steps": steps,
        "batch_size": 32,
        "precision": "bf16-mixed",
        "workers": 0,
        "feature_cache": {"dir": str(cache)},
        "optimizer": {"lr": 2e-3, "muon": {"params": _linear_layers(way), "lr": 1e-2}},
        "trainer": {"enable_progress_bar": False},
    }


def _linear_layers(way: Way) -> list[str]:
    return [glob for glob in way["trainable"] if glob.endswith("*")]


class StepClock(L.Callback):
    """Seconds of each step, from a batch that was read to its update, kept when training ends.

    Args:
        path: where to.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.start = path, 0.0
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Start."""
        self.start = measure.seconds()

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the time."""
        self.seconds.append(measure.seconds() - self.start)

    def on_train_end(self, *_: Any) -> None:
        """Write the median of the second half, when media's features are in the cache."""
        if self.seconds:
            late = self.seconds[len(self.seconds) // 2 :]
            self.path.write_text(json.dumps(statistics.median(late)), "utf-8")


class Study:
    """Cells in a folder, each computed once.

    Args:
        out: the folder.
        steps: of training.
        count: questions of each modality, seen and held out.
        overrides: more of the runs' configurations, as on a command line.
    """

    def __init__(self, out: Path, steps: int, count: int, overrides: Sequence[str] = ()) -> None:
        self.out, self.steps, self.count, self.overrides = out, steps, count, overrides

    def cell(self, name: str, budget: str) -> dict[str, Any]:
        """A cell's figures, from its file where it is finished."""
        first, steps = next(iter(WAYS)), self.steps
        if name == first:
            budget = "steps"  # the time is its own
        if budget == "time":
            ratio = self.cell(first, "steps")["seconds"] / self.cell(name, "steps")["seconds"]
            steps = max(1, round(steps * ratio))
        folder = self.out / budget / name
        path = folder / "figures.json"
        settings = {
            "steps": steps,
            "count": self.count,
            "set": list(self.overrides),
            "parts": WAYS[name]["parts"],
            "trainable": WAYS[name]["trainable"],
            "language": str(LANGUAGE),
        }
        if not path.is_file():
            cell = {"settings": settings, "figures": self._measure(name, folder, steps)}
            path.write_text(json.dumps(cell, indent=1), "utf-8")
            print(f"{budget}, {name}: {cell['figures']}", flush=True)
        cell = json.loads(path.read_text("utf-8"))
        if cell["settings"] != settings:
            raise SystemExit(
                f"{path} has figures of {cell['settings']}, and {settings} are asked for; give the "
                "settings of that folder, or another folder"
            )
        figures_of_cell: dict[str, Any] = cell["figures"]
        return figures_of_cell

    def _measure(self, name: str, folder: Path, steps: int) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        way, clock = WAYS[name], StepClock(folder / "seconds.json")
        (folder / "model.yaml").write_text(yaml.safe_dump(model_config(way)), "utf-8")
        config = run_config(way, folder, self.out / "cache", steps)
        (folder / "run.yaml").write_text(yaml.safe_dump(config), "utf-8")
        run = read_run(folder / "run.yaml", self.overrides)
        objective, data, _ = build_all(run)
        weights = trained_weights(objective.model, way)
        if name != next(iter(WAYS)):
            self._check_weights(name, weights)
        before = text_loss(objective.model, self.count)
        _, module = fit_objective(objective, data, run, None, [clock], False)
        model: AnyModal = module.objective.model.eval()
        return {
            "steps": steps,
            "weights": weights,
            "seconds": json.loads(clock.path.read_text("utf-8")),
            "text_before": before,
            "text_after": text_loss(model, self.count),
            **answers(model, self.count),
        }

    def _check_weights(self, name: str, weights: int) -> None:
        first = self.cell(next(iter(WAYS)), "steps")["weights"]
        if max(weights, first) > (1 + TOLERANCE) * min(weights, first):
            raise SystemExit(
                f"{name} trains {weights} weights and {next(iter(WAYS))} {first}, more than 10 % "
                "apart; change its sizes in WAYS"
            )


def trained_weights(model: AnyModal, way: Way) -> int:
    """The number of weights that a way trains."""
    globs = way["trainable"]
    named = model.named_parameters()
    return sum(p.numel() for n, p in named if any(fnmatchcase(n, glob) for glob in globs))


@torch.no_grad()
def text_loss(model: AnyModal, count: int) -> float:
    """The loss in nats a token of the Toybox's conversations in words, of every kind."""
    texts = ToyboxDialogues(10 * count, seed=99, text_only=True)
    objective = Dialogue(model)
    objective.use_losses({"text": 1})
    total, tokens = 0.0, 0
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        places = range(start, min(start + TEXTS_AT_ONCE, len(texts)))
        batch = objective.collate([texts[place] for place in places])
        total += float(objective.named_losses(batch)["text"]) * batch.supervised
        tokens += batch.supervised
    return total / tokens


def answers(model: AnyModal, count: int) -> dict[str, Any]:
    """Attributes that answers get right, positions of a medium, and the time of an answer alone."""
    plan = MatrixPlan(TASKS, count, seed=7, splits=(False, True))
    predictor = ModelPredictor(model, batch_size=plan.batch_size, temperature=0.0)
    samples, records = plan.samples(), []
    for start in range(0, len(samples), plan.batch_size):
        records += run_dialogues(predictor, samples[start : start + plan.batch_size])
    splits = {
        split: figures([record for record in records if record["unseen"] == unseen])
        for split, unseen in (("seen", False), ("held_out", True))
    }
    requests = [[sample.request(0)] for sample in samples[:: max(1, len(samples) // 20)]]
    prompts = [model.prompts.build(request, reply=True) for request in requests]

    def answer(request: list[Any]) -> float:
        start = measure.seconds()
        model.chat(request, temperature=0.0)
        return measure.seconds() - start

    answer(requests[0])  # the first one warms up
    return {
        **{split: [each["share"], each["interval"]] for split, each in splits.items()},
        "context": statistics.mean(len(prompt.ids) for prompt in prompts),
        "answer": statistics.median(answer(request) for request in requests),
    }


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "steps": lambda cell: f"{cell['steps']}",
    "weights": lambda cell: f"{cell['weights'] / 1e3:.0f} k",
    "seen %": lambda cell: _share(cell["seen"]),
    "held out %": lambda cell: _share(cell["held_out"]),
    "tokens of a prompt": lambda cell: f"{cell['context']:.0f}",
    "ms a step": lambda cell: f"{1e3 * cell['seconds']:.0f}",
    "ms an answer": lambda cell: f"{1e3 * cell['answer']:.0f}",
    "text loss (change)": lambda cell: (
        f"{cell['text_after']:.3f} ({cell['text_after'] - cell['text_before']:+.3f})"
    ),
}


def _share(pair: tuple[float | None, Sequence[float] | None]) -> str:
    return f"{percent(pair[0])} ({span(pair[1])})"


def table(study: Study, budget: str, names: Sequence[str]) -> str:
    """The table of a budget."""
    cells = {name: study.cell(name, budget) for name in names}
    rows = [
        [WAYS[name]["label"], *(column(cell) for column in COLUMNS.values())]
        for name, cell in cells.items()
    ]
    return f"{BUDGETS[budget]}:\n\n{markdown_table(['way in', *COLUMNS], rows)}"


def main() -> None:
    """Compute the cells that aren't there yet, and write the section of the results' page."""
    parser = measure.arguments(__doc__)
    parser.add_argument("out", type=Path, help="folder for runs, the feature cache and results")
    parser.add_argument("--steps", type=int, default=400, help="default: %(default)s")
    parser.add_argument(
        "--n", type=int, default=40, help="questions of each modality and split; default: 40"
    )
    parser.add_argument("--only", nargs="+", choices=[*WAYS], default=[*WAYS], metavar="WAY")
    parser.add_argument("--set", nargs="*", default=[], help="more of the runs' configurations")
    args = parser.parse_args()
    study = Study(args.out.resolve(), args.steps, args.n, args.set)
    note = f"{4 * args.n} questions a split, the library as of commit {measure.library_commit()}."
    tables = [table(study, budget, args.only) for budget in BUDGETS]
    measure.write_section("fusions", "\n\n".join([note, *tables]), args.page)


if __name__ == "__main__":
    main()
