"""A perceive step on the processor, beside the rate at which it multiplies matrices.

A language model of published sizes with random weights, SmolLM2-135M's or Qwen2.5-0.5B's, trains an
input projection as `anymodal train` does, from a filled feature cache, on 16 conversations of 64
positions a batch. The same process then measures the products that such a step can't do without, at
the model's own shapes: of each layer's matrices with the batch's states, forward and for the
gradient that passes through, and of the output layer at the supervised positions. The share is what
these products alone take of what the step takes.

    OMP_NUM_THREADS=1 python benchmarks/processor.py
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
import warnings
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import full_parts
import measure
import torch
import transformers
import yaml
from full_data import medium
from torch import nn

from anymodal import AnyModal, Message
from anymodal.encoders import ImageBind, ImageBindEncoder
from anymodal.io.results import markdown_table
from anymodal.language.model import LanguageModel
from anymodal.modality import Modality
from anymodal.projection import LinearProjection
from anymodal.training.objectives import Dialogue
from anymodal.training.objectives.dialogue import DialogueBatch
from anymodal.training.precompute import fill_feature_cache
from anymodal.training.run import fit, read_run

POSITIONS, BATCH, SOFT_TOKENS = 64, 16, 30
BAR = 60
"""The share in percent that a step should reach."""
TOP = 8
"""Operations of a profile."""

PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed"}
LANGUAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "smollm2-135m": (
        "Llama",
        {
            **{"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536},
            **{"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3},
            **{"max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000},
        },
    ),
    "qwen2.5-0.5b": (
        "Qwen2",
        {
            **{"vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864},
            **{"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2},
            **{"max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1000000},
        },
    ),
}
"""Sizes by the models' own configuration files."""

TINY = {"vocab_size": 1000, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
"""Sizes by `--tiny`, to show that the benchmark runs."""


@cache
def build(name: str, dtype: str, tiny: bool) -> AnyModal:
    """A language model of these sizes that sees pictures through a linear projection."""
    torch.manual_seed(0)
    kind, sizes = LANGUAGES[name]
    sizes = {**sizes, **(TINY if tiny else {})}
    if tiny:
        sizes |= {"num_attention_heads": 2, "num_key_value_heads": 2}
    tokenizer = full_parts.filled_up(full_parts.learned_tokenizer(False), sizes["vocab_size"])
    config = getattr(transformers, f"{kind}Config")(
        **sizes,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    network = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    language = LanguageModel(network, tokenizer, name=f"{name}, random").eval()
    trunk = {"width": 16, "blocks": 1, "heads": 2, "size": 16, "patch": 8, "clips": 2}
    encoder = ImageBindEncoder(ImageBind({"vision": trunk | {"frame_seconds": 0.25}}), "image")
    projection = LinearProjection(
        widths={"image": encoder.width},
        num_tokens=SOFT_TOKENS,
        output_width=language.width,
        output_scale=language.embedding_scale,
    )
    encoder.requires_grad_(False)
    return AnyModal(language, projection, {"image": Modality(encoder=encoder)})


class Pictures:
    """Questions about pictures, each conversation of as many positions."""

    def __init__(self, size: int, digits: int) -> None:
        self.size, self.digits = size, digits
        self.images = [medium("image", seed, 16) for seed in range(BATCH)]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> list[Message]:
        answer = str(index).zfill(self.digits)  # a digit is a token
        return [
            Message("user", [self.images[index % BATCH], "123456"]),
            Message("assistant", [answer]),
        ]


def answer_digits(model: AnyModal) -> int:
    """The number of digits of an answer that make a conversation of the measured length."""
    batch = Dialogue(model).collate([Pictures(1, 1)[0]])
    return POSITIONS - len(batch.prompts[0].ids) + 1


def write_run(folder: Path, args: argparse.Namespace, name: str, dtype: str) -> Path:
    """Write the configuration of a run, as `anymodal train` reads it."""
    digits = answer_digits(build(name, dtype, args.tiny))
    size = {"size": args.steps * BATCH, "digits": digits}
    run = {
        "model": {"_target_": "processor.build", "name": name, "dtype": dtype, "tiny": args.tiny},
        "data": {"_target_": "processor.Pictures", **size},
        "trusted_packages": ["processor"],
        "stage": {"trainable": ["projection.*"], "losses": {"text": 1}},
        "output_dir": str(folder / f"{name}-{dtype}"),
        **{"steps": args.steps, "batch_size": BATCH, "save_every": args.steps},
        **{"feature_cache": {"dir": str(folder / "cache")}, "precision": PRECISION[dtype]},
        "trainer": {"accelerator": "cpu", "enable_progress_bar": False},
    }
    path = folder / f"{name}-{dtype}.yaml"
    path.write_text(yaml.safe_dump(run))
    return path


def step_seconds(config: Path, warm: int) -> tuple[list[float], int]:
    """Train as `anymodal train` does: seconds of each step that counts, and supervised tokens."""
    starts: list[float] = []
    supervised = 0

    def before(module: nn.Module, inputs: tuple[DialogueBatch]) -> None:
        nonlocal supervised
        if isinstance(module, Dialogue):
            starts.append(measure.seconds())
            supervised = inputs[0].supervised
            lengths = {len(prompt.ids) for prompt in inputs[0].prompts}
            assert lengths == {POSITIONS}, lengths

    fill_feature_cache(config)
    hook = nn.modules.module.register_module_forward_pre_hook(before)
    fit(read_run(config))
    hook.remove()
    times = [later - start for start, later in pairwise(starts)]
    return times[warm:-1], supervised  # a checkpoint follows the last


def product_seconds(model: AnyModal, supervised: int, runs: int) -> tuple[float, float]:
    """Seconds and FLOPs of the products that a step needs, each shape measured alone."""
    language = model.language
    rows = Counter[tuple[int, int, int]]()
    for block in language.blocks:
        for module in block.modules():
            if isinstance(module, nn.Linear):
                rows[BATCH * POSITIONS, module.in_features, module.out_features] += 1
    rows[supervised, language.width, language.vocab_size] += 1
    seconds = operations = 0.0
    for (height, inner, width), count in rows.items():
        states = torch.randn(height, inner).to(language.embedding.weight.dtype)
        weight = torch.randn(width, inner).to(states.dtype)
        gradient = torch.randn(height, width).to(states.dtype)
        times = []
        for _ in range(runs + 1):
            start = measure.seconds()
            torch.mm(states, weight.t())
            torch.mm(gradient, weight)
            times.append(measure.seconds() - start)
        seconds += count * median(times[1:])
        operations += count * 4.0 * height * inner * width
    return seconds, operations


def profile_steps(config: Path, name: str, dtype: str) -> list[list[str]]:
    """The operations that take most of a run's steps, each with its share of all."""
    shutil.rmtree(read_run(config).output_dir)  # the run that was timed has finished
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        fit(read_run(config))
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    # Marks around operations are no work of their own.
    events = [event for event in events if event.key.startswith("aten::")]
    total = sum(event.self_cpu_time_total for event in events)
    return [
        [name, dtype, f"`{event.key}`", f"{100 * event.self_cpu_time_total / total:.1f}"]
        for event in events[:TOP]
    ]


def share(folder: Path, args: argparse.Namespace, name: str, dtype: str) -> list[str]:
    """The row of a language model and a type of its weights."""
    times, supervised = step_seconds(write_run(folder, args, name, dtype), args.warm)
    model = build(name, dtype, args.tiny)
    products, operations = product_seconds(model, supervised, args.runs)
    shares = [100 * products / time for time in times]
    return [
        name,
        dtype,
        measure.spread(times, 0, 1e3),
        f"{1e3 * products:.0f}",
        f"{operations / products / 1e9:.0f}",
        measure.spread(shares, 1),
        measure.verdict(median(shares) >= BAR),
    ]


HEADER = ["language model", "weights", "a step, ms", "its products alone, ms", "GFLOP/s of these",
          "share, %", f"{BAR} %"]  # fmt: skip


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=[*LANGUAGES], default=[*LANGUAGES])
    parser.add_argument("--dtype", nargs="+", choices=[*PRECISION], default=[*PRECISION])
    parser.add_argument("--steps", type=int, default=12, help="of each; default: %(default)s")
    parser.add_argument("--warm", type=int, default=2, help="of them not counted")
    parser.add_argument("--runs", type=int, default=9, help="of each product")
    parser.add_argument("--profile", action="store_true", help="add what the steps are made of")
    parser.add_argument("--tiny", action="store_true", help="tiny parts, to show that it runs")
    args = parser.parse_args()
    if args.steps < args.warm + 3:
        parser.error(f"--steps {args.steps}: {args.warm} warm up, and the last doesn't count")
    return args


def main() -> None:
    """Measure every language model in every type, and write the table."""
    args = arguments()
    warnings.simplefilter("ignore")
    logging.getLogger("anymodal").setLevel(logging.ERROR)
    rows, profiles = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            for dtype in args.dtype:
                rows.append(share(Path(folder), args, name, dtype))
                print(" | ".join(rows[-1]), flush=True)
                if args.profile:
                    profiles += profile_steps(Path(folder) / f"{name}-{dtype}.yaml", name, dtype)
            build.cache_clear()
    about = f"{BATCH} conversations of {POSITIONS} positions, {args.steps} steps, {args.warm} warm"
    table = markdown_table(HEADER, rows)
    body = f"{about}; the library as of commit {measure.library_commit()}.\n\n{table}"
    if profiles:
        header = ["language model", "weights", "operation, of a run of its own", "share of all, %"]
        body += "\n\n" + markdown_table(header, profiles)
    measure.write_section("processor", body, args.page)


if __name__ == "__main__":
    main()
