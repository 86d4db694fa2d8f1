"""The data of a training configuration, opened without its model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anymodal import config as configuration
from anymodal.data.mixture import Mixture
from anymodal.data.row_samples import RowSamples
from anymodal.io.results import markdown_table
from anymodal.tools.dataset.statistics import Sample
from anymodal.training.run import read_run


def open_run_data(path: str | Path, overrides: Sequence[str] = ()) -> Sequence[Any]:
    """The data of a training configuration, with the shared parts that they need.

    Raises:
        ValueError: for a configuration that can't work, or data that can't be opened.
        OSError: if a file isn't there.
    """
    run = read_run(path, overrides)
    names = configuration.referenced_parts(run.data, run.parts)
    parts = configuration.build_parts({name: run.parts[name] for name in names}, run.trusted)
    data: Sequence[Any] = configuration.instantiate(
        run.data, parts=parts, trusted_packages=run.trusted
    )
    return data


def row_sources(data: Sequence[Any]) -> dict[str, RowSamples[Sample]]:
    """Data sets in files by name; a single one has the name "" . Others are left out."""
    named = named_sources_of(data)
    return {name: each for name, each in named.items() if isinstance(each, RowSamples)}


def named_sources_of(data: Sequence[Any]) -> dict[str, Any]:
    """All data sets by name; a single one has the name ""."""
    if isinstance(data, Mixture):
        return dict(zip(data.sources, data.datasets, strict=True))
    return {"": data}


def samples_text(data: Sequence[Any]) -> str:
    """What a data set tells that isn't of rows: its samples, and how many have each label."""
    text = f"{type(data).__name__}, {len(data):,} samples"
    if not hasattr(data, "column"):
        return text
    try:
        labels = Counter(map(str, data.column("label")))
    except (KeyError, ValueError):  # it has others
        return text
    rows = [[label, f"{count:,}"] for label, count in labels.most_common()]
    return f"{text}\n\n{markdown_table(['label', 'samples'], rows)}"


def shares_text(mixture: Mixture[Any]) -> str:
    """The contents of an epoch of a mixture, as a table in Markdown."""
    rows = []
    for name, each in mixture.shares().items():
        samples, count = int(each["samples"]), int(each["samples of an epoch"])
        rows.append(
            [name, f"{samples:,}", f"{count:,}", str(each["share"]), f"{count / samples:.2g}"]
        )
    head = ["data set", "samples", "of an epoch", "share", "times each"]
    total = f"{len(mixture):,} samples, {mixture.epoch_size:,} of an epoch"
    return f"A mixture of {len(rows)} data sets: {total}\n\n{markdown_table(head, rows)}"
