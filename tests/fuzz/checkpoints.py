"""Checkpoints with a flipped bit: each is named, and the run goes on from an older one or ends."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
from pathlib import Path


def run(count: int, seed: int, folder: Path, out: Path) -> tuple[int, int]:
    """Flip a bit of a tiny run's last checkpoint `count` times, and let the run go on."""
    from tests.support.runs import write

    config = write(folder)
    said, error = _train(config)
    if error is not None:
        raise error
    place, kept = folder / "run", folder / "feature_cache"
    shutil.move(place, kept)
    whole = (kept / "checkpoints" / "last.ckpt").read_bytes()
    random_ = random.Random(f"checkpoints {seed}")
    faults = 0
    for index in range(count):
        at = min(len(whole) - 1, int((index + random_.random()) / count * len(whole)))
        bit = random_.randrange(8)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(kept, place, ignore=shutil.ignore_patterns("model"))
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        (place / "checkpoints" / "last.ckpt").write_bytes(damaged)
        said, error = _train(config)
        told = f"{said}\n{error}"
        noticed = "last.ckpt" in told and "damaged" in told
        if not noticed or not isinstance(error, ValueError | None):
            faults += 1
            (out / f"{index:03d}-byte-{at}-bit-{bit}.ckpt").write_bytes(damaged)
            print(f"  byte {at:,} of {len(whole):,}, bit {bit}: {type(error).__name__}: {error}")
    return faults, count


def _train(config: Path) -> tuple[str, BaseException | None]:
    """What a run prints, and the exception that it ends in, if any."""
    from anymodal.training.run import train

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            train(config)
        except Exception as error:
            return said.getvalue(), error
    return said.getvalue(), None
