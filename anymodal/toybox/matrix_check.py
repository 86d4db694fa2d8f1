"""A check that a model can take the conversations of a matrix, before any of them is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anymodal.toybox.matrix import MatrixPlan

if TYPE_CHECKING:
    from anymodal.core import ComposedModel


def check_plan(plan: MatrixPlan, model: ComposedModel) -> None:
    """Check that a model reads and makes what a plan's conversations give it and ask of it.

    Raises:
        ValueError: naming the kinds of media that it doesn't, and the tasks that it can do.
    """
    own = model.modalities.values()
    kinds = {
        "read": {each.media.kind for each in own if each.encoder is not None},
        "make": {each.media.kind for each in own if each.decoder is not None},
    }
    missing: dict[str, set[str]] = {task: set() for task in plan.tasks}
    for sample in plan.samples():
        for verb, modalities in zip(("read", "make"), sample.modalities, strict=True):
            missing[sample.task] |= {f"{verb} {kind}" for kind in modalities - kinds[verb]}
    lacking = sorted(set().union(*missing.values()))
    if lacking:
        tasks = [task for task, lacks in missing.items() if not lacks]
        way_out = f"give --kinds '{','.join(tasks)}'" if tasks else "no task is left without it"
        impossible = [task for task, lacks in missing.items() if lacks]
        raise ValueError(
            f"this model doesn't {', '.join(lacking)}, which {len(impossible)} of "
            f"{len(plan.tasks)} tasks need ({', '.join(impossible[:3])}, …); {way_out}"
        )
