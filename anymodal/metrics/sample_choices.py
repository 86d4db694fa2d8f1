"""Replies to samples among choices: those of a task, or each sample's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from anymodal.config import suggest
from anymodal.language.sampling import check_choices
from anymodal.metrics.samples import EvaluationSample
from anymodal.metrics.words import plain

PER_SAMPLE = "per_sample"
"""The setting by which each sample is answered among the choices that it has."""


def split_choices(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Sequence[str] | None]:
    """Settings of replies without `choices`, and those.

    Returns:
        The other settings; and the choices of all samples, none for each sample's own, or None
        where replies are any text.

    Raises:
        ValueError: if they are neither texts nor `per_sample`.
    """
    others = {name: value for name, value in settings.items() if name != "choices"}
    choices = settings.get("choices")
    if choices is None:
        return others, None
    if isinstance(choices, str):
        if choices != PER_SAMPLE:
            hint = suggest(choices, [PER_SAMPLE])
            raise ValueError(f"choices={choices!r}; give a list of texts, or {PER_SAMPLE!r}{hint}")
        return others, ()
    return others, check_choices(choices)


def choose_among(sample: EvaluationSample, choices: Sequence[str]) -> EvaluationSample:
    """The sample with a reply that is one of some choices; its own where it has any.

    An answer that isn't named is the only reference. One without any choices stays as it is.

    Raises:
        ValueError: if the answer is none of the choices.
    """
    if not (sample.choices or choices):
        return sample
    choices = sample.choices or tuple(choices)
    answer = sample.answer or (sample.references[0] if len(sample.references) == 1 else "")
    if answer and answer not in choices:
        # Replies that were written down may begin with a capital and end with a full stop.
        same = [choice for choice in choices if plain(choice) == plain(answer)]
        if len(same) != 1:
            raise ValueError(
                f"the answer {answer!r} of sample {sample.id} is none of the choices"
                f"{suggest(answer, choices)}"
            )
        answer = same[0]
    return replace(sample, choices=choices, answer=answer, chooses=True)


def choices_of(samples: Sequence[EvaluationSample]) -> list[Sequence[str] | None]:
    """The choices among which each sample is answered; None for any text."""
    return [sample.choices if sample.chooses else None for sample in samples]
