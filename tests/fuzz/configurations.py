"""Mutated configurations: each is right, or wrong in one line that says why."""

from __future__ import annotations

import contextlib
import copy
import math
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz import pool

_ROOT = Path(__file__).parents[2]
_ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3.5, 1e308, -1e-320, math.nan, math.inf, 10**30, 2**63, 2**64, "",
    " ", "5", "yes", "null", "x" * 5000, "../../etc/passwd", "/dev/zero", "a\0b", "\udce9", "é\n\t",
    "${oops}", "${here}", "${", "???", "\x1b[31m", "https://example.com/x", [], [[]], [None],
    {}, {"a": 1}, {1: 2}, {None: None}, {"_target_": "os.system"}, {"_target_": 3},
    {"_target_": "anymodal.encoders.ImageBindEncoder", "_part_": "x"}, [1] * 1000, b"bytes",
    ["a", 1], {"_part_": "no"},
)  # fmt: skip


@dataclass(frozen=True)
class Context:
    """The folder that holds all configurations, their paths within, and the seed."""

    folder: Path
    names: tuple[str, ...]
    seed: int

    def mutated(self, index: int) -> tuple[str, str, str]:
        """Configuration number `index`: its name, what was changed, and its text."""
        random_ = random.Random(f"configuration {self.seed} {index}")
        name = self.names[index % len(self.names)]
        text = (self.folder / name).read_text()
        if random_.random() < 0.1:
            return name, "text", _scramble(text, random_)
        tree = yaml.safe_load(text)
        other = yaml.safe_load((self.folder / random_.choice(self.names)).read_text())
        changes = [_change(tree, other, random_) for _ in range(random_.choice((1, 1, 1, 2, 4)))]
        return name, "; ".join(changes), yaml.dump(tree, allow_unicode=True)


def _scramble(text: str, random_: random.Random) -> str:
    """Text with one to four characters dropped, doubled or replaced, or a line moved."""
    for _ in range(random_.randrange(1, 5)):
        at = random_.randrange(max(1, len(text)))
        new = random_.choice(
            ("", text[at : at + 1] * 2, ":", "\t", "{", "]", "&a", "*a", "#", "- ")
        )
        text = text[:at] + new + text[at + 1 :]
    if random_.random() < 0.2:
        lines = text.splitlines(keepends=True)
        lines.insert(random_.randrange(len(lines) + 1), lines.pop(random_.randrange(len(lines))))
        text = "".join(lines)
    return text


def _change(tree: Any, other: Any, random_: random.Random) -> str:
    """Change one place of a configuration; what was changed, in words."""
    places = list(_places(tree))
    if not places:
        return "nothing"
    holder, key, path = random_.choice(places)
    way = random_.choice(("value", "value", "value", "delete", "rename", "add", "wrap", "graft"))
    if way == "value":
        holder[key] = copy.deepcopy(random_.choice(_ODD))
    elif way == "delete":
        del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        new = random_.choice(
            (f"{key}x", str(key)[:-1], str(key).upper(), 7, None, True, "_target_")
        )
        holder[new] = holder.pop(key)
    elif way == "add" and isinstance(holder, dict):
        holder[
            random_.choice(("extra", "_target_", "_part_", "base", "trusted_packages", "parts"))
        ] = copy.deepcopy(random_.choice(_ODD))
    elif way == "wrap":
        holder[key] = random_.choice(([holder[key]], {"a": holder[key]}, {key: holder[key]}))
    else:
        grafts = list(_places(other))
        if grafts:
            source, name, _ = random_.choice(grafts)
            holder[key] = copy.deepcopy(source[name])
    return f"{way} at {path}"


def _places(tree: Any, path: str = "") -> Any:
    """Every (mapping or list, key or index, path) of a configuration."""
    if not isinstance(tree, dict | list):
        return
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        place = f"{path}.{key}".lstrip(".")
        yield tree, key, place
        yield from _places(value, place)


def prepare(context: Context) -> None:
    """Import what checks configurations, by checking all that are right."""
    for name in context.names:
        with contextlib.suppress(ValueError):  # one that names a checkpoint which isn't there
            _check(context.folder / name)


def _check(path: Path) -> None:
    from anymodal.cli.validate import check_configuration

    check_configuration(path, data=False)


def attempt(index: int, context: Context) -> tuple[str, str]:
    """Check a mutated configuration as `anymodal validate` does."""
    name, how, text = context.mutated(index)
    path = (context.folder / name).with_name(f"mutated-{index}.yaml")
    path.write_text(text, "utf-8", "surrogateescape")
    try:
        _check(path)
    except (ValueError, OSError) as error:
        words = str(error)
        if "\n" in words or not words.isprintable():
            return "lines", f"{words!r}: {how}"
        return "refused", f"{how}: {words}"
    finally:
        path.unlink()
    return "ok", how


def context_of(folder: Path, seed: int) -> Context:
    """A copy of all configurations of the project, to write mutated ones beside."""
    shutil.copytree(_ROOT / "configs", folder / "configs")
    names = sorted(str(p.relative_to(folder)) for p in (folder / "configs").rglob("*.yaml"))
    return Context(folder, tuple(names), seed)


def run(count: int, seed: int, workers: int, folder: Path, out: Path) -> tuple[int, int]:
    """Check `count` mutated configurations; faults and their number, each kind printed."""
    context = context_of(folder, seed)
    results: Counter[str] = Counter()
    faults: dict[str, list[pool.Outcome]] = {}
    for outcome in pool.run("tests.fuzz.configurations:attempt", context, count, workers):
        results[outcome.result] += 1
        if outcome.fault:
            name, how, text = context.mutated(outcome.index)
            kept = out / f"{outcome.index:05d}-{outcome.result}-{Path(name).name}"
            kept.write_text(text, "utf-8", "surrogateescape")
            kept.with_suffix(".txt").write_text(f"{name}\n{how}\n{outcome.words!a}\n")
            faults.setdefault(f"{outcome.result}: {outcome.words!a}"[:70], []).append(outcome)
    print(", ".join(f"{number:,} {result}" for result, number in sorted(results.items())))
    for kind, some in sorted(faults.items(), key=lambda item: -len(item[1])):
        print(f"  {len(some):>4} x {kind}… as in {some[0].index}: {some[0].words[:200]!a}")
    return sum(map(len, faults.values())), sum(results.values())
