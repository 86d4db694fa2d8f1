"""Labelled scenes of the Toybox: questions in POPE's manner, and captions for CHAIR."""

from __future__ import annotations

import json
from pathlib import Path

from anymodal.io.checkpoint import replacing
from anymodal.tools.dataset.object_questions import LabelledMedium, ObjectQuestions
from anymodal.toybox.oracles.text import VALUE_WORDS, read_text
from anymodal.toybox.pairs import attribute_question, scene_prompts

LABELS, SAMPLES, SYNONYMS = "labels.jsonl", "samples.jsonl", "synonyms.txt"


def write_labelled_scenes(
    folder: Path, modality: str, count: int, seed: int = 0, unseen: bool = True
) -> list[LabelledMedium]:
    """Write media of random scenes with what their oracles know of them.

    The folder gets the media, `labels.jsonl` for `anymodal data questions`, `samples.jsonl` for
    `anymodal eval files` (a description each, its caption as the reference), and `synonyms.txt`
    with all words that name an attribute, for `metrics.chair.Chair`.

    Args:
        folder: for the files.
        modality: of the media.
        count: of scenes.
        seed: of the scenes.
        unseen: take held-out scenes instead of training ones.
    """
    samples = scene_prompts(folder, modality, count, seed, unseen)
    labels, prompts = list[LabelledMedium](), list[dict[str, object]]()
    for sample in samples:
        (turn,) = sample.turns
        name = turn.files[0].name
        values = tuple(read_text(sample.references[0]).values())
        labels.append(LabelledMedium(name, modality, values))
        prompt = [{"file": name, "kind": modality}, turn.text]
        prompts.append({"id": sample.id, "prompt": prompt, "references": [*sample.references]})
    _write(folder / LABELS, [{each.kind: each.file, "labels": [*each.labels]} for each in labels])
    _write(folder / SAMPLES, prompts)
    with replacing(folder / SYNONYMS) as temporary:
        temporary.write_text("\n".join(synonym_lines()) + "\n", "utf-8")
    return labels


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def synonym_lines() -> list[str]:
    """Every value of an attribute with the words that name it, as `ObjectNames` reads them."""
    words: dict[str, list[str]] = {}
    for word, (_, value) in VALUE_WORDS.items():
        words.setdefault(value, [value]).append(word)
    lines, taken = list[str](), set[str]()
    for names in words.values():
        own = [name for name in dict.fromkeys(names) if name not in taken]
        taken.update(own)
        lines.append(", ".join(own))
    return lines


class SceneQuestions(ObjectQuestions):
    """Questions about things and other attributes of scenes, in words that the Toybox knows."""

    def question(self, name: str, kind: str) -> str:
        return attribute_question(name)
