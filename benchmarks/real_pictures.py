"""Kinds and captions of real pictures and sounds, by cross-validation, beside simple baselines.

    python benchmarks/real_pictures.py DATA --models MODELS --out runs/real

DATA is a folder of pictures (PNG), some with a sound (OGG) of the same name, each with a text whose
first line is its caption; the kind of thing is the folder at the top. Each fold is a run of
configs/stages/small on the others, and whatever is finished stays: run it again to go on. With
MODELS, a folder of smollm2-135m, dinov2-small and whisper-tiny.en, nothing is fetched.

The baselines see the same features: a linear probe, whose penalty is chosen inside the training
folds, and the caption of the nearest training item by cosine.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import measure
import torch
import torch.nn.functional as F
from torch import Tensor

from anymodal import AnyModal
from anymodal.io.feature_cache import FeatureCache
from anymodal.io.results import markdown_table
from anymodal.language.prompt import MediaReference
from anymodal.media import Audio, Image, Media
from anymodal.metrics import Cider
from anymodal.metrics.samples import EvaluationSample
from anymodal.training.objectives import Dialogue
from anymodal.training.precision import allow_tf32
from anymodal.training.run import fit, read_run
from anymodal.types import Features, Message

ROOT = Path(__file__).resolve().parent.parent
STAGES = ROOT / "configs" / "stages" / "small"
RUNS = {"kinds": "trained on kinds alone", "kinds-and-captions": "trained on both"}
PARTS = {
    "language": "smollm2-135m",
    "image_encoder": "dinov2-small",
    "audio_encoder": "whisper-tiny.en",
}
SUFFIXES: dict[str, tuple[str, type[Media]]] = {"image": (".png", Image), "audio": (".ogg", Audio)}
PENALTIES = (1.0, 10.0, 100.0)


class Item(NamedTuple):
    """A file with its caption and kind."""

    path: str
    caption: str
    kind: str


def read_items(data: Path, modality: str) -> list[Item]:
    """Files of a modality that have a caption and a picture, in the order of their names."""
    items = []
    for picture in sorted(data.rglob("*.png")):
        file, text = picture.with_suffix(SUFFIXES[modality][0]), picture.with_suffix(".txt")
        if not file.is_file() or not text.is_file():
            continue
        caption = text.read_text("utf-8", errors="replace").partition("\n")[0].strip()
        if caption:
            path = file.relative_to(data)
            items.append(Item(path.as_posix(), caption, path.parts[0]))
    return items


def deal(kinds: Tensor, folds: int, seed: int = 0) -> Tensor:
    """A fold for each item; those of one kind are spread evenly."""
    generator = torch.Generator().manual_seed(seed)
    dealt, start = torch.empty(len(kinds), dtype=torch.long), 0
    for kind in kinds.unique():
        places = (kinds == kind).nonzero().flatten()
        order = places[torch.randperm(len(places), generator=generator)]
        dealt[order] = (torch.arange(len(order)) + start) % folds
        start += len(order)
    return dealt


class LinearProbe:
    """Multinomial logistic regression with an L2 penalty, over standardised features."""

    def __init__(self, features: Tensor, kinds: Tensor, count: int, penalty: float) -> None:
        self.mean, self.std = features.mean(0), features.std(0).clamp(min=1e-6)
        self.head = torch.nn.Linear(features.shape[1], count)
        inputs = self._standardised(features)
        optimizer = torch.optim.LBFGS(
            self.head.parameters(), max_iter=100, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(self.head(inputs), kinds)
            loss = loss + penalty / 2 / len(kinds) * self.head.weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std

    @torch.no_grad()
    def predict(self, features: Tensor) -> Tensor:
        """The likeliest kind of each item."""
        kinds: Tensor = self.head(self._standardised(features)).argmax(1)
        return kinds

    @classmethod
    def chosen(cls, features: Tensor, kinds: Tensor, count: int) -> LinearProbe:
        """One whose penalty is the best of `PENALTIES` by cross-validation inside these items."""
        parts = deal(kinds, 3, seed=1)

        def accuracy(penalty: float) -> float:
            hits = 0
            for part in range(3):
                out = parts == part
                probe = cls(features[~out], kinds[~out], count, penalty)
                hits += int((probe.predict(features[out]) == kinds[out]).sum())
            return hits / len(kinds)

        return cls(features, kinds, count, max(PENALTIES, key=accuracy))


class Study:
    """Folds over the items of a modality.

    Args:
        data: folder of the files.
        modality: `image` or `audio`.
        out: folder for runs, the feature cache and results.
        models: folder of the parts, or None for the hub's.
        folds: their number.
        overrides: more of the runs' configurations, as on a command line.
    """

    def __init__(
        self,
        data: Path,
        modality: str,
        out: Path,
        models: Path | None,
        folds: int,
        overrides: Sequence[str] = (),
    ) -> None:
        self.data, self.modality, self.out = data, modality, out / modality
        self.models, self.folds, self.overrides = models, folds, overrides
        self.cache = out / "cache"
        self.items = read_items(data, modality)
        self.names = sorted({item.kind for item in self.items})
        self.kinds = torch.tensor([self.names.index(item.kind) for item in self.items])
        self.dealt = deal(self.kinds, folds)
        self._features: Tensor | None = None
        allow_tf32()  # as runs do: the cache tells results of other precisions apart

    def settings(self, run: str, fold: int) -> list[str]:
        """Overrides of a stage's configuration for a fold."""
        folder = self.out / f"fold-{fold}"
        sources = ["data.datasets.kinds", "data.datasets.captions"] if "and" in run else ["data"]
        files = ["kinds.jsonl", "captions.jsonl"]
        settings = [
            f"{source}.{key}={value}"
            for source, file in zip(sources, files, strict=False)
            for key, value in (("path", folder / file), ("folder", self.data))
        ]
        return [
            *settings,
            f"model.config={self.model_config()}",
            f"output_dir={folder / run}",
            f"feature_cache.dir={self.cache}",
            "+trainer.enable_progress_bar=false",
            *self.overrides,
        ]

    def model_config(self) -> Path:
        """The configuration of the model, with parts of a folder where they are."""
        small = ROOT / "configs" / "models" / "small.yaml"
        if self.models is None:
            return small
        lines = [f"base: {small}", "parts:"]
        for part, name in PARTS.items():
            lines.append(f"  {part}: {{path_or_name: {self.models / name}, revision: null}}")
        path = self.out / "model.yaml"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path

    def write_rows(self, fold: int) -> None:
        """Write the training rows of a fold."""
        folder = self.out / f"fold-{fold}"
        folder.mkdir(parents=True, exist_ok=True)
        training = [self.items[i] for i in (self.dealt != fold).nonzero().flatten().tolist()]
        rows: dict[str, Callable[[Item], dict[str, str]]] = {
            "kinds": lambda item: {"label": item.kind},
            "captions": lambda item: {"caption": item.caption},
        }
        for name, row in rows.items():
            lines = [json.dumps({self.modality: item.path, **row(item)}) for item in training]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")

    def replies(self, run: str, fold: int) -> dict[str, list[str]]:
        """Kinds, and captions where they were learned, of held-out items; kept in a file."""
        path = self.out / f"fold-{fold}" / f"{run}.json"
        self._check_settings()
        if not path.is_file():
            self.write_rows(fold)
            _, module = fit(read_run(STAGES / f"{run}.yaml", self.settings(run, fold)))
            model = module.objective.model.eval()
            self._read_cache(model)
            path.write_text(json.dumps(self.ask(model, run, fold)), "utf-8")
        replies: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
        return replies

    def _check_settings(self) -> None:
        """Keep what the folder's figures are of, and refuse those of anything else."""
        settings = {"folds": self.folds, "items": len(self.items), "set": list(self.overrides)}
        path = self.out / "settings.json"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings), "utf-8")
        if (kept := json.loads(path.read_text("utf-8"))) != settings:
            raise SystemExit(
                f"{self.out} has figures of {kept}, and {settings} are asked for; give those "
                "settings, or another folder"
            )

    def ask(self, model: AnyModal, run: str, fold: int) -> dict[str, list[str]]:
        """A model's kinds, and captions where it learned them, of a fold's held-out items."""
        held_out = (self.dealt == fold).nonzero().flatten().tolist()
        media = [self._medium(place) for place in held_out]
        kinds = model.chat(
            [[Message("user", [each, "Kind?"])] for each in media], choices=self.names
        )
        replies = {"kinds": [reply.text for reply in kinds]}
        if "captions" in run:
            said = model.chat(
                [[Message("user", [each, "Describe."])] for each in media],
                max_new_tokens=24,
                temperature=0.0,
            )
            replies["captions"] = [reply.text for reply in said]
        return replies

    def _medium(self, place: int) -> Media:
        return SUFFIXES[self.modality][1].defer(self.data / self.items[place].path)

    def _read_cache(self, model: AnyModal) -> Dialogue:
        """Let a model take features from the runs' cache, and keep what isn't there yet."""
        dialogue = Dialogue(model)
        dialogue.feature_cache = FeatureCache(None, str(self.cache))

        def encode(name: str, media: Iterable[Media]) -> Features:
            return dialogue.features(name, [MediaReference(name, each, 0) for each in media])

        model.encode = encode  # type: ignore[method-assign]
        return dialogue

    def features(self) -> Tensor:
        """Of each item its class token, where there is one, beside the mean of the other tokens."""
        if self._features is None:
            file = self.out / "features.pt"
            if not file.is_file():
                self.out.mkdir(parents=True, exist_ok=True)
                model = AnyModal.compose(self.model_config())
                self._read_cache(model)
                before = model.encoders[self.modality].layout.class_tokens
                rows = []
                for start in range(0, len(self.items), 16):
                    places = range(start, min(start + 16, len(self.items)))
                    batch = model.encode(self.modality, [self._medium(place) for place in places])
                    rows.append(pooled(batch, before))
                torch.save(torch.cat(rows), file)
            self._features = torch.load(file, weights_only=True)
        return self._features

    def probe(self, fold: int) -> list[str]:
        """Kinds of a fold's held-out items by a linear probe of the others."""
        out, features = self.dealt == fold, self.features()
        probe = LinearProbe.chosen(features[~out], self.kinds[~out], len(self.names))
        return [self.names[kind] for kind in probe.predict(features[out]).tolist()]

    def nearest(self, fold: int) -> list[str]:
        """The caption of the training item that is nearest to each held-out one."""
        out, features = self.dealt == fold, F.normalize(self.features(), dim=1)
        training = (~out).nonzero().flatten().tolist()
        places = (features[out] @ features[~out].T).argmax(1).tolist()
        return [self.items[training[place]].caption for place in places]

    def accuracy(self, kinds: Sequence[str], fold: int) -> float:
        """The share of a fold's held-out items whose kind is right, in percent."""
        answers = [item.kind for item in self._held_out(fold)]
        return 100 * statistics.mean(a == b for a, b in zip(kinds, answers, strict=True))

    def cider(self, captions: Sequence[str], fold: int) -> float:
        """CIDEr-D of captions of a fold's held-out items, 10 at most."""
        metric = Cider()
        for item, caption in zip(self._held_out(fold), captions, strict=True):
            sample = EvaluationSample(item.path, (), (item.caption,))
            metric.update(sample, Message("assistant", caption))
        return metric.compute()["cider"]

    def _held_out(self, fold: int) -> list[Item]:
        return [
            item
            for item, dealt in zip(self.items, self.dealt.tolist(), strict=True)
            if dealt == fold
        ]


def pooled(features: Features, class_tokens: int) -> Tensor:
    """Class tokens beside the mean of the other real tokens: (B, N, D) -> (B, (C + 1) D)."""
    values, mask = features.values[:, class_tokens:], features.mask[:, class_tokens:, None]
    mean = (values * mask).sum(1) / mask.sum(1).clamp(min=1)
    return torch.cat([*features.values[:, :class_tokens].unbind(1), mean], dim=1)


def table(study: Study, folds: Sequence[int], runs: Iterable[str] = RUNS) -> str:
    """The rows of a modality: figures of each fold as their mean, least and most."""
    figures: dict[tuple[str, str], list[float]] = {}

    def note(figure: str, label: str, value: float) -> None:
        figures.setdefault((figure, label), []).append(value)

    for fold in folds:
        note("kinds, %", "a linear probe", study.accuracy(study.probe(fold), fold))
        nearest = study.cider(study.nearest(fold), fold)
        note("captions, CIDEr", "the nearest training item's", nearest)
        for run in runs:
            replies = study.replies(run, fold)
            note("kinds, %", RUNS[run], study.accuracy(replies["kinds"], fold))
            if "captions" in replies:
                note("captions, CIDEr", RUNS[run], study.cider(replies["captions"], fold))
        print(f"{study.modality} fold {fold}: {figures}", flush=True)
    rows = [
        [study.modality, figure, label, f"{statistics.mean(v):.2f}", f"{min(v):.2f}–{max(v):.2f}"]
        for (figure, label), v in sorted(figures.items(), key=lambda item: item[0][0], reverse=True)
    ]
    head = ["files", "figure", "by", "mean of folds", "least and most"]
    count = f"{len(study.items)} files of {len(study.names)} kinds"
    return f"{markdown_table(head, rows)}\n\n{count}, {len(folds)} of {study.folds} folds."


def main() -> None:
    """Measure, and write the section of the results' page."""
    parser = measure.arguments(__doc__)
    parser.add_argument("data", type=Path, help="folder of captioned pictures and sounds")
    parser.add_argument("--models", type=Path, help="folder of the parts, instead of the hub")
    parser.add_argument("--out", type=Path, default=Path("runs/real"), help="for runs and results")
    parser.add_argument("--only", choices=list(SUFFIXES), help="one kind of files")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--first", type=int, help="stop after so many folds")
    parser.add_argument(
        "--runs",
        nargs="*",
        choices=list(RUNS),
        default=list(RUNS),
        help="without a name, the baselines alone",
    )
    parser.add_argument("--set", nargs="*", default=[], help="more of the runs' configurations")
    args = parser.parse_args()
    parts = []
    for modality in [args.only] if args.only else SUFFIXES:
        study = Study(
            args.data.resolve(), modality, args.out.resolve(),
            args.models and args.models.resolve(), args.folds, args.set,
        )  # fmt: skip
        parts.append(table(study, range(args.first or args.folds), args.runs))
    note = f"The library as of commit {measure.library_commit()}."
    measure.write_section("real pictures", "\n\n".join([note, *parts]), args.page)


if __name__ == "__main__":
    main()
