"""A comparison of two made-up models, with media of several kinds."""

from __future__ import annotations

from pathlib import Path

from anymodal.evaluation.comparison import Comparison, build_comparison
from anymodal.evaluation.comparison_page import write_comparison_page
from anymodal.media import Media
from anymodal.metrics.samples import EvaluationSample, SampleFile, SampleMessage
from tests.support.tiny import picture, sound


def saved(folder: Path, medium: Media, name: str) -> SampleFile:
    folder.mkdir(exist_ok=True)
    path = medium.save(folder / name)
    return SampleFile(path, path.name)


def prompt(name: str, *content: str | SampleFile) -> EvaluationSample:
    return EvaluationSample(name, (SampleMessage("user", content),))


def reply(*content: str | SampleFile) -> SampleMessage:
    return SampleMessage("assistant", content)


def small_comparison(folder: Path, seed: int = 0) -> Comparison:
    """Four prompts, one of them answered alike, and one that model b has no reply to."""
    files = folder / "sources"
    folder.mkdir(exist_ok=True)
    first, second = (saved(files, picture(n), f"{n}.png") for n in (1, 2))
    prompts = [
        prompt("draw", "Draw a ball"),
        prompt("see", saved(files, picture(3), "3.png"), "What is <this>?"),
        prompt("play", "Play it"),
        prompt("same", "Hello"),
        prompt("gone", "Hm?"),
    ]
    replies = {
        "draw": reply("Here: ", first),
        "see": reply("A ball & more."),
        "play": reply(saved(files, sound(seconds=0.1), "a.wav")),
        "same": reply("Hello!"),
        "gone": reply("Hm."),
    }
    others = {
        "draw": reply(second),
        "see": reply("No."),
        "play": reply(" "),
        "same": reply("Hello!"),
    }
    names = ("first model", "second model")
    comparison = build_comparison(folder / "out", names, prompts, (replies, others), seed=seed)
    write_comparison_page(comparison)
    return comparison
