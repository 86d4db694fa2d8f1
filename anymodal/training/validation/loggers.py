"""Replies in TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from anymodal.chat.html_report import html_report
from anymodal.media.pictures import pictures
from anymodal.media.sounds import waveform
from anymodal.training.validation.replies import Replies, replies_html

TAG = "validation/samples"
FRAMES = 8
"""The most pictures of one media item."""


def log_replies(loggers: Iterable[Logger], replies: Replies, step: int) -> None:
    """Give replies with their media to the loggers that take such."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            _log_to_tensorboard(logger.experiment, replies, step)
        elif isinstance(logger, WandbLogger):
            import wandb

            page = html_report("Replies", f"at step {step}", replies_html(replies))
            # With its players, whatever the media: a page holds them all.
            logger.log_metrics({TAG: wandb.Html(page, inject=False)}, step)


def _log_to_tensorboard(writer: Any, replies: Replies, step: int) -> None:
    for sample, conversation, reply in replies.shown:
        tag = f"{TAG}/{sample.name}"
        question = conversation[-1].text.strip()
        lines = [f"**{question}**", *sample.references, f"→ {reply.text.strip()}"]
        writer.add_text(tag, "\n\n".join(lines), step)
        for place, medium in enumerate(reply.media):
            place_tag = f"{tag}/{place}"
            if (pixels := pictures(medium, FRAMES)) is not None:
                writer.add_images(place_tag, pixels, step, dataformats="NHWC")
            if (sound := waveform(medium)) is not None:
                writer.add_audio(place_tag, sound[0], step, sample_rate=sound[1])
