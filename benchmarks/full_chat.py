"""One chat turn with each output at full size, against the same objects called by hand.

Random weights never choose a signal, so what is chosen is told: both sides compute all scores and
find the largest, and then take the next token of the same script.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import measure
import numpy as np
import torch
import turn
from torch import Tensor

import anymodal.chat.settings
from anymodal import AnyModal
from anymodal.io.results import markdown_table
from anymodal.language.sampling import Sampling
from anymodal.media import Audio, Image, Media, Video
from anymodal.types import MediumReady, MediumStarted, TextDelta

SEED = 1
REQUEST = "what can you do?"
BAR = 1.03


class Scripted(Sampling):
    """Gives the script's ids, after the work of choosing."""

    script: ClassVar[Iterator[int]] = iter(())

    def pick(self, logits: Tensor, ids: Any, generator: Any) -> int:
        super().pick(logits, ids, generator)
        return next(Scripted.script)


class ByHand(turn.ByHand):
    """The same objects without the model, for these pipelines."""

    def _nothing(self, name: str) -> Any:
        return self.families[name].null_conditioning().embeds

    def pick(self, scores: Tensor) -> int:
        super().pick(scores)
        return next(Scripted.script)

    def _make(self, name: str, embeds: Tensor, nothing: Tensor, settings: Any, **more: Any) -> Any:
        pipeline = self.pipelines[name]
        return pipeline(
            prompt_embeds=embeds.to(pipeline.text_encoder.dtype),
            negative_prompt_embeds=nothing,
            num_inference_steps=settings["steps"],
            guidance_scale=settings["guidance"],
            generator=settings["generator"],
            output_type="np",
            **more,
        )[0][0]

    def image(self, conditioning: Any, generator: Any, **settings: Any) -> Image:
        settings["generator"] = generator
        return Image(
            turn.to_bytes(self._make("image", conditioning.embeds, self.empty["image"], settings))
        )

    def audio(self, conditioning: Any, generator: Any, **settings: Any) -> Audio:
        settings["generator"], family = generator, self.families["audio"]
        embeds, nothing = conditioning.embeds[:, 0], self.empty["audio"][:, 0]
        seconds = (family.media_shape[1] + 0.01) / family.rate
        samples = self._make("audio", embeds, nothing, settings, audio_length_in_s=seconds)
        return Audio(samples[None].clip(-1, 1), family.rate)

    def video(self, conditioning: Any, generator: Any, **settings: Any) -> Video:
        settings["generator"], family = generator, self.families["video"]
        sizes = {"num_frames": family.frames, "height": family.size[0], "width": family.size[1]}
        frames = self._make("video", conditioning.embeds, self.empty["video"], settings, **sizes)
        return Video(turn.to_bytes(frames), family.fps)


def scripts(model: AnyModal, text: int, before: int) -> dict[str, list[int]]:
    """The ids of each turn: text alone, or some of it and then a medium."""
    words = model.language.encode_text("0123456789") * max(text, before)
    stop = min(model.language.stops)
    ids_by_kind = {"text": [*words[:text], stop]}
    for name in model.decoders:
        ids_by_kind[name] = [*words[:before], model.signals.span(name)[0], stop]
    return ids_by_kind


def compare(model: AnyModal, runs: int, text: int = 64, before: int = 16) -> str:
    """Check that both sides give the same, and time them in turns; the table."""
    by_hand = ByHand(model)
    rows = []
    anymodal.chat.settings.Sampling = Scripted  # type: ignore[misc]
    try:
        for kind, script in scripts(model, text, before).items():
            rows.append(_row(model, by_hand, kind, script, runs))
            print(" | ".join(rows[-1]), flush=True)
        prompt = [_picture(model), REQUEST]
        firsts = [_watch_stream(model, prompt, script)["first"] for _ in range(runs + 1)][1:]
    finally:
        anymodal.chat.settings.Sampling = Sampling  # type: ignore[misc]
    header = ["output", "`chat` s", "by hand s", "ratio", "first token ms", "tokens/s", "medium s"]
    text_below = (
        f"A reply is {text} tokens, or {before} and a medium; {_media_text(model)}. The first "
        f"token of an answer to a picture and a question comes after "
        f"{measure.spread(firsts, 1, 1e3)} ms."
    )
    if torch.cuda.is_available():
        text_below = f"{text_below} {verdicts(rows)}"
    return f"{markdown_table([*header, 'peak GB'], rows)}\n\n{text_below}"


def verdicts(rows: Sequence[Sequence[str]]) -> str:
    """The cost of turns over those by hand, beside the bar."""
    medians = {row[0]: float(row[3].split()[0]) for row in rows}
    parts = ", ".join(
        f"{kind} {100 * (ratio - 1):+.1f} % ({measure.verdict(ratio <= BAR)})"
        for kind, ratio in medians.items()
    )
    return f"Over the turn by hand, of {100 * (BAR - 1):.0f} % at most: {parts}."


def _row(model: AnyModal, by_hand: ByHand, kind: str, script: list[int], runs: int) -> list[str]:
    def ours() -> Any:
        Scripted.script = iter(script)
        return model.chat(REQUEST, seed=SEED)

    def theirs() -> Any:
        Scripted.script = iter(script)
        return by_hand.turn(REQUEST, SEED)

    reply, (text, media) = ours(), theirs()
    if reply.text != text or len(media) != (kind != "text"):
        raise AssertionError(f"{kind}: {reply.text!r} is not {text!r}")
    for one, other in zip(reply.media, media, strict=True):
        _agree(one, other)
    peak = _peak()
    times = measure.alternating({"ours": ours, "hand": theirs}, runs)
    streams = [_watch_stream(model, REQUEST, script) for _ in range(runs)]
    speeds = [each["speed"] for each in streams]
    mediums = [each["medium"] for each in streams if "medium" in each]
    return [
        kind,
        *(measure.spread([each.clock for each in times[side]], 3) for side in ("ours", "hand")),
        measure.ratio(times["ours"], times["hand"], clock=True),
        measure.spread([each["first"] for each in streams], 1, 1e3),
        measure.spread(speeds, 1),
        measure.spread(mediums, 2) if mediums else "",
        peak,
    ]


def _agree(one: Media, other: Media) -> None:
    """Check that two media are the same but for what a GPU's order of adding up may change."""
    for name in ("pixels", "samples", "frames"):
        if hasattr(one, name):
            first, second = (np.asarray(getattr(m, name), np.float32) for m in (one, other))
            scale = max(1e-6, float(np.abs(second).max()))
            if first.shape != second.shape or np.abs(first - second).mean() > 0.01 * scale:
                raise AssertionError(f"{one!r} and {other!r} are not the same")


def _watch_stream(model: AnyModal, prompt: Any, script: list[int]) -> dict[str, float]:
    """Seconds to the first piece of text, tokens a second after it, and seconds of the medium."""
    Scripted.script = iter(script)
    start = time.perf_counter()
    texts, times = [], {}
    for event in model.stream(prompt, seed=SEED):
        now = time.perf_counter()
        if isinstance(event, TextDelta):
            texts.append(now)
        elif isinstance(event, MediumStarted):
            times["medium"] = -now
        elif isinstance(event, MediumReady):
            times["medium"] += now
    speed = (len(texts) - 1) / (texts[-1] - texts[0])  # a digit is a token, and a piece of text
    return {**times, "first": texts[0] - start, "speed": speed}


def _picture(model: AnyModal) -> Image:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    return Image(pixels)


def _peak() -> str:
    """The most memory that was held on a GPU so far."""
    return f"{torch.cuda.max_memory_allocated() / 1e9:.1f}" if torch.cuda.is_available() else ""


def _media_text(model: AnyModal) -> str:
    """Steps and shape of each medium, as text."""
    shapes = {name: part.family.media_shape for name, part in model.decoders.items()}
    return "; ".join(
        f"{name}: {model.modalities[name].sampling['steps']} steps to {'×'.join(map(str, shape))}"
        for name, shape in shapes.items()
    )
