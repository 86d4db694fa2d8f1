"""NoCaps: captions of pictures with things that COCO's captions have, nearly have, or lack.

Files: `nocaps_val_4500_captions.json` of https://nocaps.org/download, and the pictures by their
`file_name`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from anymodal.config import ConfigError
from anymodal.evaluation.benchmarks.base import (
    Benchmark,
    BenchmarkRow,
    PlacedRow,
    object_row,
    read_json,
    row_text,
)
from anymodal.metrics import Cider, Metric
from anymodal.metrics.samples import EvaluationSample
from anymodal.metrics.texts import has_java

_LISTS = ("images", "annotations")


class NoCaps(Benchmark):
    """NoCaps' validation split, by CIDEr over all and in-domain, near-domain and out-domain.

    The words that a domain's figure weighs are counted in the references of that domain, as the
    published evaluation counts them. Texts are cut by the Penn Treebank's tokenizer, as there,
    where Java is; else figures are a little other, and the metric is called `nocaps (words)`. Its
    authors publish no prompt; the one here is LLaVA-1.5's for captions (Liu et al. 2023,
    arXiv:2310.03744, table 7).
    """

    home = "https://nocaps.org/download"
    splits = ("val",)
    media_folders = ("", "images", "val", "validation")
    max_new_tokens = 64

    def rows(self) -> Iterator[PlacedRow]:
        path = self.file("nocaps_val_4500_captions.json")
        value = read_json(path)
        lists: list[Any] = [value.get(key) for key in _LISTS] if isinstance(value, dict) else []
        if not lists or not all(isinstance(each, list) for each in lists):
            raise ConfigError(f"{path} has no lists `images` and `annotations`")
        captions = defaultdict(list)
        for number, each in enumerate(lists[1]):
            if isinstance(each, dict) and "image_id" in each:
                captions[str(each["image_id"])].append(each.get("caption"))
            else:
                error = ValueError("it is no object with an image_id")
                yield PlacedRow(f"{path.name}, annotation {number}", error)
        for number, each in enumerate(lists[0]):
            name = str(each.get("id")) if isinstance(each, dict) else ""
            row = object_row(each, captions=captions[name])
            yield PlacedRow(f"{path.name}, picture {number}", row)

    def samples_of(self, row: BenchmarkRow) -> list[EvaluationSample]:
        captions = tuple(row_text({"caption": each}, "caption") for each in row["captions"])
        if not captions:
            raise ValueError(f"picture {row['id']} has no captions; the test split has none")
        return [
            EvaluationSample(
                str(row["id"]),
                self.question(
                    self.media_file(row["file_name"]),
                    "Provide a one-sentence caption for the provided image.",
                ),
                references=captions,
                groups=(row_text(row, "domain"),),
            )
        ]

    def metrics(self) -> dict[str, Metric]:
        if has_java():
            return {"nocaps": Cider("ptb", by_group=True)}
        return {"nocaps (words)": Cider(by_group=True)}
