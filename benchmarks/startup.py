"""From cold: `import anymodal`, the help, a first reply and other commands, in fresh processes.

The first reply by hand opens the same language model and pipelines with transformers and diffusers
alone; AnyModal opens encoders, projection and heads beside them. With `--against` each command is
compared with that of another checkout, whose replies must be the same to the last bit if it ships
the same model. Bytecode is on disk on all sides, as that of an installed package is.

    OMP_NUM_THREADS=1 python benchmarks/startup.py --against FOLDER
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
from measure import Elapsed

from anymodal.composition import SHIPPED
from anymodal.io.results import markdown_table

TEXT, DRAW = "what can you do?", "draw a small red ball"
ROOT = Path(__file__).resolve().parents[1]
BY_HAND = """
import sys, torch
from pathlib import Path
from diffusers import DiffusionPipeline
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = Path(sys.argv[1])
network = AutoModelForCausalLM.from_pretrained(folder / "language", dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder / "language")
pipelines = [
    DiffusionPipeline.from_pretrained(folder / f"{name}_decoder", dtype=torch.float32)
    for name in ("image", "audio", "video")
]
rendered = tokenizer.apply_chat_template(
    [{"role": "user", "content": sys.argv[2]}],
    add_generation_prompt=True, enable_thinking=False, tokenize=False,
)
ids = tokenizer(rendered, add_special_tokens=False, return_tensors="pt").input_ids
mask = torch.ones_like(ids)
made = network.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=256)
print(tokenizer.decode(made[0, ids.shape[1]:], skip_special_tokens=True))
"""


COMMANDS = {
    "`import anymodal`": ("-c", "import anymodal"),
    "`anymodal --help`": ("-m", "anymodal", "--help"),
    "a reply in words": ("-m", "anymodal", "chat", TEXT),
    "a drawing": ("-m", "anymodal", "chat", "--seed", "1", DRAW),
    "`anymodal plan nano`": ("-m", "anymodal", "plan", "nano"),
    "`anymodal validate`": (
        "-m",
        "anymodal",
        "validate",
        "{root}/anymodal/checkpoints/nano/config.yaml",
    ),
    "`anymodal ls`": ("-m", "anymodal", "ls"),
}
"""Commands that are compared with another checkout."""


def run_fresh(texts: set[str], *arguments: str, root: Path = ROOT) -> Callable[[], Any]:
    """Run Python to its end, measuring that process; its output is added to `texts`."""

    def run() -> Elapsed:
        watch, before = measure.Watch(), _children()
        with tempfile.TemporaryDirectory() as folder:  # where a drawing goes
            command = [part.replace("{root}", str(root)) for part in arguments]
            stdout = measure.python(*command, root=root, folder=folder).stdout
            texts.add(stdout + _digests(Path(folder)))
        clock = watch.elapsed().clock
        return Elapsed(clock, _children() - before if measure.threads() == 1 else clock)

    return run


def _digests(folder: Path) -> str:
    """The hashes of what a command wrote."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--warm", type=int, default=1, help="rounds before; default: %(default)s")
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="another checkout, to compare commands with"
    )
    args = parser.parse_args()
    rows = _beside_libraries(args.runs, args.warm)
    if args.against is not None:
        rows += _beside_checkout(args.against.resolve(), args.runs, args.warm)
    header = ["what", f"ms at {measure.library_commit()}", "compared with", "its ms", "ratio"]
    measure.write_section("startup", markdown_table(header, rows), args.page)


def _beside_libraries(runs: int, warm: int) -> list[list[str]]:
    ours, hand = COMMANDS["a reply in words"], ("-c", BY_HAND, str(SHIPPED / "nano"), TEXT)
    rows = []
    for name, mine, other, what in (
        ("`import anymodal`", COMMANDS["`import anymodal`"], ("-c", "pass"), "`python -c pass`"),
        ("`anymodal --help`", COMMANDS["`anymodal --help`"], ("-c", "pass"), "`python -c pass`"),
        ("first reply (`anymodal chat`)", ours, hand, "by hand"),
    ):
        texts: dict[str, set[str]] = {"ours": set(), "other": set()}
        sides = {
            "ours": run_fresh(texts["ours"], *mine),
            "other": run_fresh(texts["other"], *other),
        }
        times = measure.alternating(sides, runs if mine is ours else 4 * runs, warm)
        assert mine is not ours or texts["ours"] == texts["other"], f"not the same reply: {texts}"
        rows.append([name, *_times(times, what)])
        print(rows[-1], flush=True)
    return rows


def _times(times: dict[str, list[Elapsed]], what: str) -> list[str]:
    ours, other = (measure.milliseconds(times[side]) for side in ("ours", "other"))
    return [ours, what, other, measure.ratio(times["ours"], times["other"])]


def _beside_checkout(root: Path, runs: int, warm: int) -> list[list[str]]:
    rows, same_model = [], _model_of(root) == _model_of(ROOT)
    for name, command in COMMANDS.items():
        quick = command[0] == "-c" or "--help" in command
        texts: dict[str, set[str]] = {"ours": set(), "other": set()}
        sides = {
            "ours": run_fresh(texts["ours"], *command),
            "other": run_fresh(texts["other"], *command, root=root),
        }
        times = measure.alternating(sides, 4 * runs if quick else runs, warm)
        assert len(texts["ours"]) == 1, f"not the same each time: {texts}"
        alike = "chat" not in command or not same_model or texts["ours"] == texts["other"]
        assert alike, f"not alike: {texts}"
        rows.append([name, *_times(times, _commit(root))])
        print(rows[-1], flush=True)
    return rows


def _model_of(root: Path) -> str:
    """The hash of all files of the model that a checkout ships."""
    return _digests(root / SHIPPED.relative_to(ROOT) / "nano")


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
