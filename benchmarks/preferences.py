"""Preference training on the Toybox: wrong attributes before and after, beside plain fine-tuning.

    python benchmarks/preferences.py MODEL --out runs/preferences

MODEL is a model that describes pictures with 15 to 25 % of attributes wrong on held-out scenes, as
one of an early perceive stage does. It is copied and hashed before anything else, and the script
ends where its share lies elsewhere. Then, each from that copy and for as many steps:

- `dpo` on pairs of its own replies, scored by the oracle;
- `dpo` on such pairs, scored by its own answers about each claim;
- fine-tuning on the chosen side of the oracle's pairs, by `text` alone.

With --draw the same is done for pictures that are made: `diffusion_dpo` on pairs by the oracle, and
`denoise` on their chosen side. What is finished stays in --out: run it again to go on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import measure

from anymodal import AnyModal
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.io.results import markdown_table
from anymodal.metrics.samples import EvaluationSample
from anymodal.tools.pairs.run import PAIRS, make_pairs
from anymodal.toybox.oracles.text import read_text, score_text
from anymodal.toybox.pairs import scene_prompts
from anymodal.toybox.scoring import read_attributes, score
from anymodal.training.run import train
from anymodal.training.run_folder import open_any_model
from anymodal.types import Message

SHARES = 0.15, 0.25
TEXTS = ("hello", "who are you?", "thank you!", "what can you do?", "good morning", "bye")
"""Requests without media, whose replies should stay as they were."""


class Figures(NamedTuple):
    """Right and wrong of each attribute on held-out scenes, and replies to texts."""

    right: list[bool]
    texts: list[str]

    @property
    def wrong(self) -> float:
        """The share of wrong attributes."""
        return 1 - sum(self.right) / len(self.right)


def main() -> None:
    """Run everything, and print the table."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    start, digest = frozen(args.model, args.out)
    held_out = scene_prompts(args.out / "held-out", args.modality, args.held_out, 1, unseen=True,
                             make=args.draw)  # fmt: skip
    before = figures(start, held_out, args)
    print(f"{start}: sha256 {digest}, {100 * before.wrong:.1f} % wrong")
    low, high = SHARES
    if not (low <= before.wrong <= high or args.any_share):
        raise SystemExit(
            f"{100 * before.wrong:.1f} % of attributes are wrong, and the comparison begins "
            f"between {100 * low:.0f} and {100 * high:.0f} %; take a model of more or fewer steps"
        )
    rows = [row("as it was", before, before)]
    for name, scorer, losses in experiments(args.draw):
        pairs = pairs_of(start, scorer, args)
        model = trained(start, name, pairs, losses, args)
        rows.append(row(name, figures(model, held_out, args), before))
    table = markdown_table(
        [
            "trained",
            "wrong, %",
            "less wrong, %",
            "right before and wrong now, %",
            "texts as before",
        ],
        rows,
    )
    print(
        f"\n{table}\n\n{args.held_out} held-out scenes, {args.steps} steps; {measure.environment()}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("model", help="a run's folder, a model's folder, or a shipped name")
    add("--out", type=Path, default=Path("runs/preferences"))
    add("--modality", default="image")
    add("--draw", action="store_true", help="pairs of media that are made, by diffusion_dpo")
    add("--prompts", type=int, default=2000)
    add("--replies", type=int, default=4)
    add("--temperature", type=float, default=1.0)
    add("--held-out", type=int, default=500)
    add("--steps", type=int, default=1000)
    add("--batch", type=int, default=16)
    add("--rate", type=float, default=1e-4, help="learning rate of the adapters")
    add("--max-new-tokens", type=int, default=48)
    add("--any-share", action="store_true", help="go on whatever share is wrong")
    return parser.parse_args()


def frozen(model: str, out: Path) -> tuple[Path, str]:
    """A copy of the model, and a hash of all of its files."""
    folder = out / "start"
    if not folder.exists():
        temporary = out / "start.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        _open(model).save_pretrained(temporary)
        temporary.rename(folder)
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return folder, digest.hexdigest()[:16]


def _open(model: str | Path) -> AnyModal:
    return open_any_model(str(model), device="auto")


def experiments(draw: bool) -> list[tuple[str, str, dict[str, object]]]:
    """Name, scorer of the pairs and losses of each training."""
    if draw:
        return [
            ("diffusion_dpo, oracle", "oracle", {"diffusion_dpo": {"beta": 500}}),
            ("fine-tuning (denoise), oracle", "oracle", {"denoise": 1.0}),
        ]
    dpo = {"dpo": {"beta": 0.1}, "text": {"weight": 0.1, "average": "conversation"}}
    return [
        ("dpo, oracle", "oracle", dpo),
        ("dpo, own claims", "claims", dpo),
        ("fine-tuning (text), oracle", "oracle", {"text": {"average": "conversation"}}),
    ]


SCORERS: Mapping[str, Mapping[str, object]] = {
    "oracle": {"_target_": "anymodal.toybox.pairs.OracleScorer"},
    "claims": {
        "_target_": "anymodal.toybox.pairs.AttributeClaimScorer",
        "verifier": {"_part_": "model"},
        "likelihoods": False,  # a nano model gives its reason first
    },
}


def pairs_of(start: Path, scorer: str, args: argparse.Namespace) -> Path:
    """Pairs of the model's own replies about scenes that it may train on."""
    folder = args.out / f"pairs-{scorer}"
    if not (folder / PAIRS).exists():
        data = {
            "_target_": "anymodal.toybox.pairs.scene_prompts", "folder": str(args.out / "seen"),
            "modality": args.modality, "count": args.prompts, "seed": 2, "make": args.draw,
        }  # fmt: skip
        config = {
            "model": str(start), "data": data, "output_dir": str(folder), "replies": args.replies,
            "batch_size": 4 * args.batch, "scorers": {scorer: SCORERS[scorer]},
            "settings": {"temperature": args.temperature, "max_new_tokens": args.max_new_tokens},
        }  # fmt: skip
        print(make_pairs(_written(args.out / f"pairs-{scorer}.yaml", config))[1])
    return folder / PAIRS


def trained(
    start: Path, name: str, pairs: Path, losses: Mapping[str, object], args: argparse.Namespace
) -> Path:
    """The model of a run on pairs."""
    slug = "".join(each if each.isalnum() else "-" for each in name)
    trainable = ["heads.*", "language.rows"] if args.draw else ["projection.*", "*lora_*"]
    model: dict[str, Any] = {
        "_target_": "anymodal.AnyModal.from_pretrained", "path": str(start),
        **({} if args.draw else {"lora": {"r": 16, "alpha": 32, "dropout": 0.0}}),
    }  # fmt: skip
    config = {
        "output_dir": str(args.out / slug),
        "model": model,
        "objective": {"_target_": "anymodal.training.objectives.Preference"},
        "data": {
            "_target_": "anymodal.data.preferences.Preferences",
            "path": str(pairs),
            "load_targets": args.draw,
        },
        "stage": {"trainable": trainable, "losses": dict(losses)},
        "steps": args.steps,
        "batch_size": args.batch,
        "workers": 0,
        "optimizer": {"lr": args.rate, "warmup_ratio": 0.05},
    }
    folder = train(_written(args.out / f"{slug}.yaml", config))
    if folder is None:
        raise SystemExit("stopped; run it again to go on")
    return folder


def _written(path: Path, config: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(config, indent=1), "utf-8")
    return path


def figures(
    model: str | Path, samples: Sequence[EvaluationSample], args: argparse.Namespace
) -> Figures:
    """What a model gets right on scenes, and what it says to texts."""
    predictor = ModelPredictor(
        _open(model), batch_size=4 * args.batch, max_new_tokens=args.max_new_tokens
    )
    right: list[bool] = []
    for first in range(0, len(samples), 4 * args.batch):
        some = samples[first : first + 4 * args.batch]
        replies = predictor([each.conversation() for each in some], [0] * len(some))
        for sample, reply in zip(some, replies, strict=True):
            right += _right(sample, reply, args)
    told = predictor([[Message("user", text)] for text in TEXTS], [0] * len(TEXTS))
    return Figures(right, [message.text for message in told])


def _right(sample: EvaluationSample, reply: Message, args: argparse.Namespace) -> list[bool]:
    """For each attribute of the scene, in order, whether the reply has it."""
    if args.draw:
        expected = read_text(sample.caption)
        made = read_attributes(args.modality, next(iter(reply.media), None))
        return [*score(made, expected).values()]
    expected = read_text(sample.references[0])
    scores = score_text(reply.text, expected)
    return [scores[name] for name in expected]


def row(name: str, now: Figures, before: Figures) -> list[str]:
    """A row of the table."""
    lost = [old and not new for old, new in zip(before.right, now.right, strict=True)]
    kept = sum(one == other for one, other in zip(before.texts, now.texts, strict=True))
    gain = (before.wrong - now.wrong) / before.wrong if before.wrong else 0.0
    return [
        name, f"{100 * now.wrong:.1f}", f"{100 * gain:.0f}",
        f"{100 * sum(lost) / max(1, sum(before.right)):.1f}", f"{kept} of {len(TEXTS)}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
