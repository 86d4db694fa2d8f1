"""The constants of `anymodal/language/costs.py`, which decide on a batch's rows, on this device.

Layers of Llama with random weights are read forward and back, as a frozen language model is in
training, at two widths and in rows of several counts and lengths: with one sequence in each, and
with several, which a mask parts. A least-squares fit of relative errors, without negative costs,
splits the times into matrices, attention, what a pass reads and what it takes to start one.

    OMP_NUM_THREADS=1 python benchmarks/costs.py
"""

from __future__ import annotations

import time
from statistics import median

import measure
import numpy as np
import torch
from scipy.optimize import nnls
from transformers import LlamaConfig, LlamaModel

from anymodal.io.results import markdown_table
from anymodal.language.costs import DeviceCosts, device_costs

WIDTHS = 256, 768
LAYERS = 3
ROWS = [(1, 1), (1, 8), (1, 64), (16, 64), (1, 256), (4, 256), (1, 1024), (2, 1024)]
"""Counts of rows and their lengths."""
SEQUENCE = 64
"""Positions of each sequence where several share a row."""


def build(width: int, device: torch.device) -> LlamaModel:
    """Layers of 24 D² FLOPs a position: 4 matrices of D×D and 3 of D×8D/3."""
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=LAYERS,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=2048,
    )
    torch.manual_seed(0)
    return LlamaModel(config).to(device).eval().requires_grad_(False)


def seconds_of(model: LlamaModel, count: int, length: int, shared: bool, runs: int) -> float:
    """Seconds of a layer's pass forward and back."""
    device = next(model.parameters()).device
    embeds = torch.randn(count, length, model.config.hidden_size, device=device)
    embeds.requires_grad_()
    places = torch.arange(length, device=device)
    positions = (places % SEQUENCE if shared else places).expand(count, -1)

    def step() -> None:
        model(inputs_embeds=embeds, position_ids=positions).last_hidden_state.sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()

    def lap() -> float:
        clock = measure.seconds if device.type == "cpu" else time.perf_counter
        start = clock()
        step()
        return clock() - start

    step()
    return median(lap() for _ in range(runs)) / LAYERS


def fit(times: dict[tuple[int, int, int, bool], float]) -> tuple[DeviceCosts, float]:
    """Costs that explain times by width, count, length and mask, and the median error in %."""
    terms, seconds = [], np.array(list(times.values()))
    for width, count, length, shared in times:
        attention = 4.0 * width * count * length**2
        pair = [0.0, attention] if shared else [attention, 0.0]
        terms.append([24.0 * width**2 * count * length, *pair, 24.0 * width**2, 1.0])
    relative = np.array(terms) / seconds[:, None]
    scale = relative.max(0)  # they differ by many powers of ten
    parts = nnls(relative / scale, np.ones(len(seconds)))[0] / scale
    errors = np.abs(relative @ parts - 1)
    return DeviceCosts(*(float(part) for part in parts[1:] / parts[0])), 100 * float(
        np.median(errors)
    )


def main() -> None:
    """Measure, and write the table."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=7, help="of each pass; default: %(default)s")
    parser.add_argument("--widths", type=int, nargs="+", default=[*WIDTHS], help="multiples of 64")
    args = parser.parse_args()
    device = torch.device(args.device)
    times = {}
    for width in args.widths:
        model = build(width, device)
        for count, length in ROWS:
            for shared in (False, True) if length > SEQUENCE else (False,):
                seconds = seconds_of(model, count, length, shared, args.runs)
                times[width, count, length, shared] = seconds
                print(width, count, length, shared, f"{1e3 * seconds:.3f} ms", flush=True)
    costs, error = fit(times)
    rows = [
        [f"`{name}`", f"{value:.3g}", f"{getattr(device_costs(device.type), name):.3g}"]
        for name, value in costs._asdict().items()
    ]
    about = f"On {device.type}; the library as of commit {measure.library_commit()}."
    body = f"{about} Half of the times are within {error:.0f} % of the fit.\n\n"
    body += markdown_table(["cost", "measured", "in `costs.py`"], rows)
    measure.write_section("costs", body, args.page)


if __name__ == "__main__":
    main()
