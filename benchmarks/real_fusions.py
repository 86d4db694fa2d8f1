"""Fusions on real pictures, beside token splicing: SmolLM2-135M with DINOv2-small, both frozen.

    python benchmarks/real_fusions.py DATA --models MODELS --out runs/real-fusions

DATA and MODELS are those of `real_pictures.py`, whose folds, questions and baselines these are.
Each way trains on kinds and captions, by configs/stages/small; trained weights are equal within
10 %. What is finished stays: run it again to go on.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import yaml
from real_pictures import PARTS, ROOT, Study

from anymodal import AnyModal
from anymodal.config import load_config
from anymodal.io.results import markdown_table
from anymodal.types import Message

RUN = "kinds-and-captions"
SPLICING = {"_target_": "anymodal.projection.GridProjection", "hidden_width": 960}
WAYS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "splicing-2": (
        "token splicing, 2 tokens",
        {"projection": {**SPLICING, "grid": [1, 1]}},
        ["projection.*"],
    ),
    "splicing-17": (
        "token splicing, 17 tokens",
        {"projection": {**SPLICING, "grid": [4, 4]}},
        ["projection.*"],
    ),
    "cross-attention": (
        "gated cross-attention, 2 blocks",
        {
            "fusion": {
                "_target_": "anymodal.fusion.GatedCrossAttention",
                "every": 15, "num_latents": None, "heads": 4, "head_width": 32, "expansion": 1,
            },
        },
        ["fusion.*", "language.rows"],
    ),
    "prefix": (
        "prefix of 10 prompts, 15 blocks",
        {
            "fusion": {
                "_target_": "anymodal.fusion.MediaAdapterPrefix",
                "length": 10, "layers": 15, "width": 336, "depth": 1, "heads": 4,
            },
        },
        ["fusion.*", "language.rows"],
    ),
}  # fmt: skip
"""Ways in by name: label, parts of the model's configuration, and what trains."""


class FusionStudy(Study):
    """Folds over captioned pictures that a model reads in one way.

    Args:
        way: its name in `WAYS`.
        data, out, models, folds, overrides: see `Study`; all ways share the feature cache in `out`.
        parts: changes of the way's own parts, such as smaller ones.
    """

    def __init__(
        self,
        way: str,
        data: Path,
        out: Path,
        models: Path | None,
        folds: int,
        overrides: Sequence[str] = (),
        parts: dict[str, Any] | None = None,
    ) -> None:
        _, own, trainable = WAYS[way]
        stage = f"stage.trainable=[{', '.join(trainable)}]"
        super().__init__(data, "image", out / way, models, folds, [stage, *overrides])
        self.parts = own if parts is None else parts
        self.cache = out / "cache"

    def model_config(self) -> Path:
        config = load_config(ROOT / "configs" / "models" / "small.yaml")
        config["modalities"] = {"image": config["modalities"]["image"]}
        del config["projection"], config["parts"]["audio_encoder"]
        if self.models is not None:
            for name, node in config["parts"].items():
                node |= {"path_or_name": str(self.models / PARTS[name]), "revision": None}
        path = self.out / "model.yaml"
        path.write_text(yaml.safe_dump({**config, **self.parts}), "utf-8")
        return path

    def ask(self, model: AnyModal, run: str, fold: int) -> dict[str, list[str]]:
        """A model's answers; what it weighs and takes is kept beside them."""
        question = [Message("user", [self._medium(0), "Kind?"])]
        size = {
            "weights": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "context": len(model.prompts.build(question, reply=True).ids),
        }
        (self.out / "size.json").write_text(json.dumps(size), "utf-8")
        return super().ask(model, run, fold)

    @property
    def size(self) -> dict[str, int]:
        """Trained weights, and tokens of a question about a picture, once a fold is finished."""
        size: dict[str, int] = json.loads((self.out / "size.json").read_text("utf-8"))
        return size


def row(study: FusionStudy, label: str, folds: Sequence[int]) -> list[str]:
    """A way's figures, as means of the folds with the least and most."""
    kinds, captions = [], []
    for fold in folds:
        replies = study.replies(RUN, fold)
        kinds.append(study.accuracy(replies["kinds"], fold))
        captions.append(study.cider(replies["captions"], fold))
        print(f"{label}, fold {fold}: {kinds[-1]:.2f} %, CIDEr {captions[-1]:.3f}", flush=True)
    size = study.size
    figures = [_spread(kinds), _spread(captions)]
    return [label, f"{size['weights'] / 1e6:.2f} M", f"{size['context']}", *figures]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> None:
    """Measure, and write the section of the results' page."""
    parser = measure.arguments(__doc__)
    parser.add_argument("data", type=Path, help="folder of captioned pictures")
    parser.add_argument("--models", type=Path, help="folder of the parts, instead of the hub")
    parser.add_argument("--out", type=Path, default=Path("runs/real-fusions"))
    parser.add_argument("--only", nargs="+", choices=[*WAYS], default=[*WAYS], metavar="WAY")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--first", type=int, help="stop after so many folds")
    parser.add_argument("--set", nargs="*", default=[], help="more of the runs' configurations")
    args = parser.parse_args()
    folds, rows = range(args.first or args.folds), []
    for way in args.only:
        study = FusionStudy(
            way, args.data.resolve(), args.out.resolve(), args.models and args.models.resolve(),
            args.folds, args.set,
        )  # fmt: skip
        rows.append(row(study, WAYS[way][0], folds))
    head = ["way in", "weights", "tokens of a question", "kinds, %", "captions, CIDEr"]
    count = f"{len(study.items)} pictures of {len(study.names)} kinds, {len(folds)} of {args.folds}"
    note = f"{count} folds; the library as of commit {measure.library_commit()}."
    measure.write_section("real fusions", f"{note}\n\n{markdown_table(head, rows)}", args.page)


if __name__ == "__main__":
    main()
