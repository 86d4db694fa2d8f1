"""Damaged media: each is loaded, or refused in words, within bounds of time and memory."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from anymodal.media import load
from tests.fuzz import mutations, pool

_HINTS = {"imu.npy": {"kind": "imu", "sample_rate": 100}, "depth.npy": {"kind": "depth"},
          "normal.npy": {"kind": "normal"}}  # fmt: skip


@dataclass(frozen=True)
class Context:
    """Where the whole files lie, in the order in which they are taken, and the seed."""

    folder: Path
    names: tuple[str, ...]
    seed: int

    def damaged(self, index: int) -> tuple[str, str, bytes]:
        """File number `index`: the name of what it was, how it was damaged, and its bytes."""
        random_ = random.Random(f"media {self.seed} {index}")
        name = self.names[index % len(self.names)]
        data, other = ((self.folder / n).read_bytes() for n in (name, random_.choice(self.names)))
        how, damaged = mutations.mutate(data, other, random_)
        return name, how, damaged


def write_corpus(files: dict[str, bytes], folder: Path, seed: int) -> Context:
    """The files in a folder, for processes to read."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Context(folder, tuple(sorted(files)), seed)


def attempt(index: int, context: Context) -> tuple[str, str]:
    """Load a damaged file; whoever measures takes a ValueError for a refusal."""
    name, how, data = context.damaged(index)
    hints = _HINTS.get(Path(name).name, {})
    medium = load(data, **hints)  # type: ignore[arg-type]
    medium.digest()
    return "ok", f"{how}: {medium!r}"


def prepare(context: Context) -> None:
    """Import what loads media, by loading all that are whole."""
    whole(context)


def whole(context: Context) -> dict[str, str]:
    """What becomes of the whole files: those that are refused, with the words."""
    refused = {}
    for name in context.names:
        try:
            hints = _HINTS.get(Path(name).name, {})
            load((context.folder / name).read_bytes(), **hints)  # type: ignore[arg-type]
        except ValueError as error:
            refused[name] = str(error)
    return refused


def run(context: Context, count: int, workers: int, out: Path) -> list[pool.Outcome]:
    """Try `count` damaged files; those at fault are kept in `out`. Prints a table by format."""
    outcomes = []
    for outcome in pool.run("tests.fuzz.media:attempt", context, count, workers):
        outcomes.append(outcome)
        if outcome.fault:
            name, how, data = context.damaged(outcome.index)
            kept = out / f"{outcome.index:05d}-{outcome.result}-{how}-{name.replace('/', '-')}"
            kept.write_bytes(data)
            kept.with_name(kept.name + ".txt").write_text(f"{outcome.words}\n")
    print(report(context, outcomes))
    return outcomes


def report(context: Context, outcomes: Iterable[pool.Outcome]) -> str:
    """Files, loaded, refused, faults, and the most time and memory, by suffix; then the worst."""
    outcomes = list(outcomes)
    by_format: dict[str, list[pool.Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_format[_suffix(context, outcome)].append(outcome)
    names = ("files", "loaded", "refused", "faults", "s", "MiB")
    head = f"{'format':<10} " + " ".join(f"{name:>8}" for name in names)
    lines = [head, *(_line(name, some) for name, some in sorted(by_format.items()))]
    lines.append(_line("all", outcomes))
    lines += ["", "the worst:"]
    worst = sorted(outcomes, key=lambda o: (o.fault, o.seconds + o.mib / 100), reverse=True)
    for outcome in worst[:12]:
        name, how, _ = context.damaged(outcome.index)
        lines.append(f"  {outcome.index:>5} {outcome.result:<8} {outcome.seconds:6.2f} s "
                     f"{outcome.mib:7.0f} MiB  {how:<7} {name}  {outcome.words[:110]}")  # fmt: skip
    return "\n".join(lines)


def _suffix(context: Context, outcome: pool.Outcome) -> str:
    return Path(context.names[outcome.index % len(context.names)]).suffix[1:]


def _line(name: str, outcomes: list[pool.Outcome]) -> str:
    loaded = sum(o.result == "ok" for o in outcomes)
    refused = sum(o.result == "refused" for o in outcomes)
    faults = sum(o.fault for o in outcomes)
    counts = " ".join(f"{number:>8}" for number in (len(outcomes), loaded, refused, faults))
    seconds, mib = max(o.seconds for o in outcomes), max(o.mib for o in outcomes)
    return f"{name:<10} {counts} {seconds:>8.2f} {mib:>8.0f}"
