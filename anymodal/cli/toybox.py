"""`anymodal toybox`: scenes as files that anything can open, and conversations about scenes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from anymodal.cli.options import count

if TYPE_CHECKING:
    import numpy as np

    from anymodal.toybox.grammar.types import DialogueTurn, MediaItem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `anymodal toybox`."""
    add = parser.add_argument
    add("--n", type=count, default=8, help="how many scenes and dialogues (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    add("--seed", type=int, default=0, help="decides everything (default: %(default)s)")
    add("--unseen", action="store_true", help="held-out scenes, kept from all training")
    add("--modalities", nargs="+", metavar="NAME", help="only these (default: all)")


def run(args: argparse.Namespace) -> int:
    """Write the samples and the conversations."""
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise ValueError(f"{args.out} is there already and not an empty folder; name another one")
    if args.seed < 0:
        raise ValueError(f"seed={args.seed}; it must be 0 or above")
    files = write_samples(args.out, args.n, args.seed, args.unseen, args.modalities)
    talks = write_dialogues(args.out, args.n, args.seed, args.unseen)
    print(f"{args.n} scenes in {files} files, and {args.n} conversations: {args.out}, {talks}")
    return 0


def write_samples(
    out: Path, n: int, seed: int, unseen: bool = False, modalities: Sequence[str] | None = None
) -> int:
    """Write scenes, each as a JSON file and one file per modality; returns how many files.

    Raises:
        ValueError: for a modality that the Toybox doesn't render.
    """
    import numpy as np

    from anymodal.toybox.render import MODALITIES, render_scene
    from anymodal.toybox.scene import sample_scene

    names = list(dict.fromkeys(modalities or MODALITIES))
    for name in names:
        if name not in MODALITIES:
            from anymodal.config import suggest

            raise ValueError(f"the Toybox renders no {name!r}{suggest(name, MODALITIES)}")
    out.mkdir(parents=True, exist_ok=True)
    for index in range(n):
        rng = np.random.default_rng([seed, index])  # a scene doesn't depend on how many there are
        scene = sample_scene(rng, unseen=unseen)
        stem = f"{index:04d}"
        media = {}
        for name in names:
            item = render_scene(scene, name, rng)
            path = item.save(out / f"{stem}-{name}{item.suffix}")
            media[name] = {"file": path.name, "tells": scene.observable(name)}
        description = {"scene": asdict(scene), "held_out": scene.held_out, "media": media}
        (out / f"{stem}.json").write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    return n * (len(names) + 1)


def write_dialogues(out: Path, n: int, seed: int, unseen: bool = False) -> Path:
    """Write conversations to `dialogues.jsonl`, and their media beside it, in `dialogues/`."""
    import numpy as np

    from anymodal.toybox.grammar.dialogues import sample_dialogue

    folder = out / "dialogues"
    folder.mkdir(parents=True, exist_ok=True)
    path = out / "dialogues.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for index in range(n):
            rng = np.random.default_rng([seed, index, 1])
            dialogue = sample_dialogue(rng, unseen=unseen)
            messages = [
                _message(turn, folder / f"{index:04d}-{place}", rng)
                for place, turn in enumerate(dialogue.turns)
            ]
            line = {"kind": dialogue.kind, "messages": messages, "answers": dialogue.answers}
            file.write(json.dumps(line) + "\n")
    return path


def _message(turn: DialogueTurn, stem: Path, rng: np.random.Generator) -> dict[str, object]:
    content = []
    for place, part in enumerate(turn.parts):
        if isinstance(part, str):
            content.append({"text": part})
        else:
            content.append(_part(part, stem.with_name(f"{stem.name}-{place}"), rng))
    return {"role": turn.role, "content": content}


def _part(part: MediaItem, stem: Path, rng: np.random.Generator) -> dict[str, str]:
    from anymodal.toybox.conditions.render import render_item

    item = render_item(part, rng)
    path = item.save(stem.with_name(f"{stem.name}-{part.modality}{item.suffix}"))
    file = path.relative_to(stem.parents[1]).as_posix()
    return {"kind": part.modality, "file": file, "caption": part.caption}
