"""Hallucination on captioned pictures: questions in POPE's manner, and CHAIR of descriptions.

    python benchmarks/hallucination.py DATA --model MODEL --out runs/hallucination

DATA is a folder of pictures (PNG), each with a text whose first line is its caption. What a picture
shows is its caption's own noun, the last word before the first preposition; nouns of several
pictures are the objects. Replies stay in --out: run it again to go on.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from real_pictures import Item, read_items

from anymodal.evaluation.benchmark_run import BenchmarkJob, NamedPredictor, run_benchmark
from anymodal.evaluation.predictor import ModelPredictor
from anymodal.evaluation.run import run_evaluation
from anymodal.metrics.object_names import ObjectNames, singular
from anymodal.metrics.words import words
from anymodal.tools.dataset.object_questions import LabelledMedium, ObjectQuestions, QuestionPlan

_BEFORE = re.compile(r"[,.;:(]| (?:on|in|with|of|at|from|for|and|by|to|over|under|near|as)\b")
LEAST = 2
"""Pictures that an object must be in, so that it isn't one picture's alone."""


def noun_of(caption: str) -> str:
    """The last word of a caption before its first preposition or mark, in the singular."""
    head = words(_BEFORE.split(caption.strip(), maxsplit=1)[0])
    return singular(head[-1]) if head else ""


def object_names(captions: list[str]) -> ObjectNames:
    """The nouns of several captions as objects without further synonyms."""
    counts = Counter(noun_of(caption) for caption in captions)
    return ObjectNames(name for name, count in counts.items() if name and count >= LEAST)


def labelled(items: list[Item], names: ObjectNames) -> list[LabelledMedium]:
    """Pictures with the objects that their captions name; those with none are left out."""
    media = [LabelledMedium(each.path, "image", tuple(names.names_in([each.caption])))
             for each in items]  # fmt: skip
    return [medium for medium in media if medium.labels]


def main() -> None:
    """Ask, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--out", type=Path, default=Path("runs/hallucination"))
    parser.add_argument("--question", default="Describe this briefly.")
    parser.add_argument("--samples", type=int, help="the first N pictures only")
    parser.add_argument(
        "--count", type=int, default=1, help="questions with yes about each picture"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    items = read_items(args.data, "image")[: args.samples]
    names = object_names([each.caption for each in items])
    media = labelled(items, names)
    print(f"{len(media)} of {len(items)} pictures, {len(names.by_words)} objects")
    ObjectQuestions(media, QuestionPlan(args.count)).write(args.out / "questions", "own")
    job = BenchmarkJob("pope", args.out / "questions", args.out / "pope", args.data, choices=True)
    predictor = NamedPredictor(args.model, lambda: ModelPredictor.from_pretrained(args.model))
    print(run_benchmark(job, predictor)[1])
    print(run_evaluation(_write_captions(args, media, items, names))[1])


def _write_captions(
    args: argparse.Namespace, media: list[LabelledMedium], items: list[Item], names: ObjectNames
) -> Path:
    """Samples, synonyms and a configuration for `anymodal eval files`."""
    captions = {each.path: each.caption for each in items}
    rows = [
        {"id": medium.file, "references": [captions[medium.file]],
         "prompt": [{"file": str((args.data / medium.file).resolve())}, args.question]}
        for medium in media
    ]  # fmt: skip
    (args.out / "samples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (args.out / "synonyms.txt").write_text("\n".join(sorted(set(names.by_words.values()))) + "\n")
    chair = {"_target_": "anymodal.metrics.Chair", "synonyms": str(args.out / "synonyms.txt")}
    config = {
        "model": args.model, "data": str(args.out / "samples.jsonl"),
        "output_dir": str(args.out / "captions"), "settings": {"max_new_tokens": 64},
        "metrics": {"chair": chair, "cider": {"_target_": "anymodal.metrics.Cider"}},
    }  # fmt: skip
    path = args.out / "captions.yaml"
    path.write_text(json.dumps(config, indent=1))
    return path


if __name__ == "__main__":
    main()
