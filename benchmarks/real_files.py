"""Training on ordinary files from a filled feature cache, beside the same items in memory.

Files are made here: JPEG of 1.3 megapixels, MP3 of 10 s, MP4 of 5 s at 640×360, IMU tables of 10 s.
The shipped model's projection learns captions of them. Items in memory are decoded and frozen, so
that they need neither decoding nor hashing.

    OMP_NUM_THREADS=1 python benchmarks/real_files.py
    OMP_NUM_THREADS=1 python benchmarks/real_files.py --against FOLDER  # and another checkout
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from anymodal import media
from anymodal.data.conversations import Conversations
from anymodal.io.results import markdown_table
from anymodal.training.configuration import Run
from anymodal.training.objectives import Dialogue
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run
from anymodal.types import Message

ROOT = Path(__file__).resolve().parents[1]
SIZE, BATCH = 8, 4
"""Files of a kind, and samples of a batch."""
BAR = 1.05
Measured = dict[str, dict[str, dict[str, Any]]]
"""By kind of media and side: seconds of a step, and losses."""

# ---- Files -------------------------------------------------------------------------------------


def write_files(folder: Path, kinds: Iterable[str]) -> None:
    """Write the files of each kind, and data sets of captions that name them."""
    random = np.random.default_rng(0)
    for kind in kinds:
        suffix, write = WRITERS[kind]
        entries = []
        for index in range(SIZE):
            name = f"{kind}-{index}{suffix}"
            write(folder / name, random)
            entries.append({kind: name, "caption": f"sample {index}, as it was recorded"})
        (folder / f"{kind}.json").write_text(json.dumps(entries))
    time.sleep(4)  # a file that has just been written isn't known by its stamp


def write_jpeg(path: Path, random: np.random.Generator) -> None:
    """A picture of 1.3 megapixels."""
    from PIL import Image

    coarse = random.integers(0, 256, (32, 40, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((1280, 1024), Image.Resampling.BICUBIC)
    grain = random.integers(0, 12, (1024, 1280, 3), np.uint8)
    Image.fromarray(np.asarray(picture) // 2 + grain).save(path, quality=90)


def write_mp3(path: Path, random: np.random.Generator) -> None:
    """10 s of stereo at 44.1 kHz and 128 kbit/s."""
    import av

    seconds = np.arange(10 * 44_100) / 44_100
    tones = sum(np.sin(2 * np.pi * pitch * seconds) for pitch in random.uniform(100, 4000, 5)) / 8
    samples = np.stack([tones, tones[::-1]]).astype(np.float32)
    with av.open(path, "w") as file:
        stream = file.add_stream("libmp3lame", rate=44_100, options={"b": "128k"})
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        file.mux([*stream.encode(frame), *stream.encode(None)])


def write_mp4(path: Path, random: np.random.Generator) -> None:
    """5 s of H.264 at 640×360 and 25 frames a second."""
    from PIL import Image

    coarse = Image.fromarray(random.integers(0, 256, (24, 80, 3), np.uint8))
    wide = np.asarray(coarse.resize((1280, 360), Image.Resampling.BICUBIC))
    frames = np.stack([wide[:, 4 * shift : 4 * shift + 640] for shift in range(125)])
    media.Video(frames, 25.0).save(path)


def write_csv(path: Path, random: np.random.Generator) -> None:
    """10 s of readings at 200 Hz."""
    steps: NDArray[np.float64] = random.normal(0, 0.1, (6, 2000)).cumsum(axis=1)
    media.IMU(steps.astype(np.float32), 200.0).save(path)


Writer = Callable[[Path, np.random.Generator], None]
WRITERS: dict[str, tuple[str, Writer]] = {
    "image": (".jpg", write_jpeg),
    "audio": (".mp3", write_mp3),
    "video": (".mp4", write_mp4),
    "imu": (".csv", write_csv),
}
NAMES = {
    "image": "JPEG, 1280×1024",
    "audio": "MP3, 10 s",
    "video": "MP4, 5 s at 640×360",
    "imu": "IMU table, 10 s at 200 Hz",
}

# ---- Training ----------------------------------------------------------------------------------


class InMemory:
    """Conversations whose media are in memory, and hashed."""

    def __init__(self, path: str) -> None:
        data = Conversations(path)
        self.samples = [data[index] for index in range(len(data))]
        for medium in (each for sample in self.samples for part in sample for each in part.media):
            medium.freeze()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> list[Message]:
        return self.samples[index]


SIDES = {
    "files": "anymodal.data.conversations.Conversations",
    "memory": "real_files.InMemory",
}


def write_run(folder: Path, kind: str, side: str, cache: Path) -> Path:
    """Write the run of a side."""
    run: dict[str, Any] = {
        "model": {"_target_": "anymodal.AnyModal.from_pretrained", "path": "nano"},
        "data": {"_target_": SIDES[side], "path": str(folder / f"{kind}.json")},
        "trusted_packages": ["real_files"],
        "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        "output_dir": str(folder / "out"),
        "steps": 1,
        "batch_size": BATCH,
        "optimizer": {"schedule": "constant", "warmup_ratio": 0.0},  # whatever the number of steps
        "workers": 0,
        "feature_cache": {"dir": str(cache)},
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    # An earlier checkout has the trainer's.
    place = run if "loggers" in Run.__dataclass_fields__ else run["trainer"]
    place["loggers" if place is run else "logger"] = False
    path = folder / f"{kind}-{side}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def trained(config: Path, steps: int) -> dict[str, Any]:
    """Train for an epoch and some steps: seconds of a step after that epoch, and losses."""
    starts: list[float] = []
    losses: list[float] = []

    def before(module: torch.nn.Module, inputs: object) -> None:
        if isinstance(module, Dialogue):
            starts.append(measure.seconds())

    def after(module: torch.nn.Module, inputs: object, outputs: Any) -> None:
        if isinstance(module, Dialogue):
            losses.append(sum(float(part.value) for parts in outputs.values() for part in parts))

    torch.nn.modules.module.register_module_forward_pre_hook(before)
    torch.nn.modules.module.register_module_forward_hook(after)
    warm = SIZE // BATCH
    with tempfile.TemporaryDirectory() as out:
        # The last step is followed by a checkpoint and the end, so its end isn't the next's start.
        total = f"steps={warm + steps + 1}"
        fit(read_run(config, [f"output_dir={out}", total, "save_every=1000", "log_every=1000"]))
    return {"seconds": (starts[-1] - starts[warm]) / steps, "losses": losses}


def measure_sides(folder: Path, cache: Path, sides: Sequence[str], steps: int, turn: int) -> None:
    """Print what each side takes of each kind, as JSON, from a cache that is filled before."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    taken: Measured = {}
    for kind in [kind for kind in WRITERS if (folder / f"{kind}.json").exists()]:
        configs = {side: write_run(folder, kind, side, cache) for side in sides}
        measure.apart(lambda config=configs[sides[0]]: {"filled": fill_feature_cache(config)})
        taken[kind] = {
            side: measure.apart(partial(trained, configs[side], steps))
            for side in measure.turns(sides, turn)
        }
    print(json.dumps(taken))


# ---- Comparison --------------------------------------------------------------------------------


def main() -> None:
    """Measure in alternating runs, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each; default: %(default)s")
    parser.add_argument("--steps", type=int, default=24, help="measured; default: %(default)s")
    parser.add_argument("--kinds", nargs="+", choices=[*WRITERS], default=[*WRITERS])
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--measure", nargs=5, metavar="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        folder, cache, sides, steps, turn = args.measure
        measure_sides(Path(folder), Path(cache), sides.split(","), int(steps), int(turn))
        return
    commit = measure.library_commit()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_files(folder, args.kinds)
        runs = []
        for turn in range(args.runs):
            runs.append(_both_checkouts(folder, args, turn))
            print(f"run {turn + 1} of {args.runs}", file=sys.stderr, flush=True)
    measure.write_section("real files", _report(runs, commit, args), args.page)


def _both_checkouts(folder: Path, args: argparse.Namespace, turn: int) -> Measured:
    """One run of every side; an earlier checkout decodes at each step, so it makes fewer."""
    tasks = {"new": (ROOT, "files,memory", args.steps)}
    if args.against is not None:
        tasks["old"] = (args.against.resolve(), "files", SIZE // BATCH)
    taken: Measured = {kind: {} for kind in args.kinds}
    for name in measure.turns(tasks, turn):
        root, sides, steps = tasks[name]
        given = map(str, (folder, folder / f"cache-{name}", sides, steps, turn))
        done = measure.python(str(Path(__file__)), "--measure", *given, root=root)
        for kind, found in json.loads(done.stdout.splitlines()[-1]).items():
            taken[kind] |= {side if name == "new" else "before": v for side, v in found.items()}
    for kind, sides_of_kind in taken.items():
        first = sides_of_kind["files"]["losses"]
        if sides_of_kind["memory"]["losses"] != first:
            raise AssertionError(f"{kind}: files lose {first}, other than items in memory")
        before = sides_of_kind.get("before", {"losses": []})["losses"]
        if not np.allclose(before, first[: len(before)], rtol=1e-5, atol=0):
            raise AssertionError(f"{kind}: before, files lost {before}, and now {first}")
    return taken


def _report(runs: Sequence[Measured], commit: str, args: argparse.Namespace) -> str:
    rows = []
    for kind in args.kinds:
        steps = {s: [run[kind][s]["seconds"] for run in runs] for s in runs[0][kind]}
        ratios = [a / b for a, b in zip(steps["files"], steps["memory"], strict=True)]
        row = [NAMES[kind], *(measure.spread(steps[side], 1, 1e3) for side in ("files", "memory"))]
        row += [measure.spread(ratios, 3), measure.verdict(sorted(ratios)[len(ratios) // 2] <= BAR)]
        if args.against is not None:
            gains = [a / b for a, b in zip(steps["before"], steps["files"], strict=True)]
            row += [measure.spread(steps["before"], 1, 1e3), measure.spread(gains, 2)]
        rows.append(row)
    header = ["files", "ms a step", "in memory, ms", "ratio", f"≤ {BAR}"]
    if args.against is not None:
        header += [f"ms at {_commit(args.against)}", "gain"]
    text = (
        f"Runs: {len(runs)}, of {args.steps} steps of {BATCH} samples each, the library as of "
        f"commit {commit}. Files and items in memory lose the same to the bit, and "
        "to 1e-5 what files lost before."
    )
    return f"{text}\n\n{markdown_table(header, rows)}"


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
