"""From cold: `import anymodal`, the help, and a first reply, in fresh processes.

The first reply by hand opens the same language model and pipelines with transformers and diffusers
alone; AnyModal opens encoders, projection and heads beside them.

    OMP_NUM_THREADS=1 python benchmarks/startup.py
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import measure
from measure import Taken

from anymodal.composition import SHIPPED
from anymodal.io.results import markdown_table

TEXT = "what can you do?"
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


def fresh(said: set[str], *arguments: str) -> Callable[[], Any]:
    """Run Python to its end; what is measured is that process, and what it said is kept."""

    def run() -> Taken:
        watch, before = measure.Watch(), _children()
        said.add(measure.python(*arguments).stdout)
        clock = watch.taken().clock
        return Taken(clock, _children() - before if measure.threads() == 1 else clock)

    return run


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--warm", type=int, default=1, help="rounds before; default: %(default)s")
    args = parser.parse_args()
    ours, hand = ("-m", "anymodal", "chat", TEXT), ("-c", BY_HAND, str(SHIPPED / "nano"), TEXT)
    rows = []
    for name, mine, other, what in (
        ("`import anymodal`", ("-c", "import anymodal"), ("-c", "pass"), "`python -c pass`"),
        ("`anymodal --help`", ("-m", "anymodal", "--help"), ("-c", "pass"), "`python -c pass`"),
        ("first reply (`anymodal chat`)", ours, hand, "by hand"),
    ):
        runs = args.runs if mine is ours else 4 * args.runs
        said: dict[str, set[str]] = {"ours": set(), "other": set()}
        sides = {"ours": fresh(said["ours"], *mine), "other": fresh(said["other"], *other)}
        taken = measure.alternating(sides, runs, args.warm)
        assert mine is not ours or said["ours"] == said["other"], f"not the same reply: {said}"
        times = [measure.milliseconds(taken[side]) for side in ("ours", "other")]
        rows.append([name, times[0], what, times[1], measure.ratio(taken["ours"], taken["other"])])
        print(rows[-1], flush=True)
    header = ["what", "ms", "compared with", "its ms", "ratio"]
    measure.write_section("startup", markdown_table(header, rows), args.page)


if __name__ == "__main__":
    main()
