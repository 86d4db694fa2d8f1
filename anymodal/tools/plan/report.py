"""A plan as Markdown."""

from __future__ import annotations

from anymodal.io.results import markdown_table
from anymodal.tools.plan.parts import Part
from anymodal.tools.plan.plan import MemoryPlan


def plan_report(plan: MemoryPlan) -> str:
    """The table of parts with their share of the peak, whether it fits, and the advice."""
    purposes = list(dict.fromkeys(purpose for part in plan.parts for purpose in part.bytes))
    total = Part(
        "all",
        "",
        sum(part.parameters for part in plan.parts),
        sum(part.trainable for part in plan.parts),
        {purpose: plan.need.of(purpose) for purpose in purposes},
    )
    head = ["part", "class", "parameters", "trainable", *purposes, "MB at peak"]
    lines = [
        f"## {plan.config}: {plan.need.use}",
        "",
        markdown_table(head, [_row(part) for part in (*plan.parts, total)]),
        "",
        _verdict(plan),
    ]
    if plan.need.phase:
        lines.append(f"It takes most while it {plan.need.phase}.")
    lines += [f"It takes for granted that {reason}." for reason in plan.need.assumed]
    lines += [f"Not in it: {reason}." for reason in plan.need.unknown]
    if plan.advice:
        rows = [[each.change, f"`{each.key}`", megabytes(each.saving)] for each in plan.advice]
        lines += ["", markdown_table(["what saves memory", "key", "saves MB"], rows)]
    return "\n".join(lines)


def _row(part: Part) -> list[str]:
    sizes = [*part.bytes.values(), sum(part.bytes.values())]
    counts = [f"{part.parameters:,}", f"{part.trainable:,}"]
    return [part.name, part.kind, *counts, *map(megabytes, sizes)]


def megabytes(count: int) -> str:
    """Bytes in MB, with a decimal where they are few."""
    value = count / 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def _verdict(plan: MemoryPlan) -> str:
    room = f"{megabytes(plan.budget)} MB of {plan.device}"
    if plan.fits:
        return f"It fits into the {room}."
    over = f"It doesn't fit into the {room}: {megabytes(plan.need.peak - plan.budget)} MB too much."
    if plan.advised is None or not plan.advice:
        return f"{over} Nothing in its configuration would save memory; take a larger device."
    conclusion = (
        "fits" if plan.advised <= plan.budget else "doesn't fit either; take a larger device"
    )
    return (
        f"{over} With all of the advice it takes {megabytes(plan.advised)} MB, which {conclusion}."
    )
