"""Replies in TensorBoard and Weights & Biases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from anymodal.chat.html_report import html_report
from anymodal.media.event_files import write_medium
from anymodal.training.validation.replies import Replies, replies_html

TAG = "validation/samples"


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
        asked = [medium for message in conversation for medium in message.media]
        references = [file.load() for file in sample.media]
        for name, media in (("asked/", asked), ("reference/", references), ("", reply.media)):
            for place, medium in enumerate(media):
                write_medium(writer, f"{tag}/{name}{place}", medium, step)
