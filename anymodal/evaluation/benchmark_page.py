"""The page of a benchmark: its figures, and samples with their replies and players."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from anymodal.chat.html_report import message_html, write_html_report
from anymodal.evaluation.run import Reply, stored_reply
from anymodal.evaluation.store import RecordStore
from anymodal.metrics.samples import EvaluationSample, SampleMessage

REPORT = "report.html"
_MOST_SHOWN = 24


def write_benchmark_page(
    folder: Path,
    table: str,
    samples: Sequence[EvaluationSample],
    replies: Mapping[str, SampleMessage],
    judgements: RecordStore[Reply] | None,
) -> Path:
    """Write figures and samples, spread evenly, with their media inside, as one HTML file."""
    step = max(1, len(samples) // _MOST_SHOWN)
    body = [f'<pre style="overflow-x:auto">{escape(table)}</pre>']
    for sample in samples[::step][:_MOST_SHOWN]:
        if sample.id in replies:
            judgement = stored_reply(judgements, sample) if judgements is not None else None
            body += _sample_html(sample, replies[sample.id], judgement)
    return write_html_report(folder / REPORT, folder.resolve().name, "", body)


def _sample_html(
    sample: EvaluationSample, reply: SampleMessage, judgement: SampleMessage | None
) -> Iterator[str]:
    yield f"<h2>{escape(sample.id)}</h2>"
    for message in (*sample.turns, reply):
        names = [file.name for file in message.files]
        try:
            yield message_html(message.load(), names)
        except (ValueError, OSError) as error:
            yield f'<p class="check wrong">{escape(str(error))}</p>'
    expected = sample.answer or " | ".join(dict.fromkeys(sample.references))
    notes = [f"expected: {expected}"] if expected else []
    notes += [f"judged: {judgement.text}"] if judgement is not None else []
    yield f'<p class="lead">{escape(chr(10).join((*notes, ", ".join(sample.groups))))}</p>'
