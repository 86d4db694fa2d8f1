"""Pairs side by side with players and scores, as one page that asks no host for anything."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from anymodal.chat.html_report import html_report, message_html
from anymodal.evaluation.comparison_page import SIDES_STYLE, pair_part, reply_html
from anymodal.io.checkpoint import replacing
from anymodal.tools.pairs.records import ScoredPair, ScoredReply
from anymodal.types import Message

PAGE = "pairs.html"
_STYLE = (
    SIDES_STYLE
    + """
body { max-width: 78rem; }
.pair { margin: 0 0 3rem; }
.side.chosen { border-color: var(--good); }
.side.rejected { border-color: var(--bad); }
.side ul { margin: .4rem 0 0; padding-left: 1.2rem; font-size: .85rem; }
.side li.wrong { color: var(--bad); }
"""
)


def write_pairs_page(folder: Path, pairs: Sequence[ScoredPair], total: int) -> Path:
    """Write `pairs.html`, whole or not at all.

    Args:
        folder: has the pairs' media, and gets the page.
        pairs: to be shown.
        total: how many there are.
    """
    lead = (
        f"{len(pairs)} of {total} pairs: the chosen reply on the left, the rejected one beside it."
    )
    page = html_report("Preference pairs", lead, [_pair_html(folder, pair) for pair in pairs],
                       style=_STYLE)  # fmt: skip
    path = folder / PAGE
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def _pair_html(folder: Path, pair: ScoredPair) -> str:
    prompt = "".join(
        message_html(Message(turn["role"], [pair_part(folder, part) for part in turn["content"]]))
        for turn in pair.messages
    )
    sides = "".join(
        f'<div class="side {name}"><h2>{name}: {reply.total:g}</h2>'
        f"{''.join(reply_html(folder, parts))}{_scores_html(reply)}</div>"
        for name, reply, parts in zip(
            ("chosen", "rejected"), (pair.chosen, pair.rejected), pair.parts, strict=True
        )
    )
    return f'<section class="pair">{prompt}<div class="sides">{sides}</div></section>'


def _scores_html(reply: ScoredReply) -> str:
    lines = []
    for name, score in reply.scores.items():
        assert score is not None and score.value is not None, "else there is no pair of it"
        lines.append(f"<li>{escape(name)}: {score.value:g}</li>")
        claims = score.details.get("claims")
        for claim in claims if isinstance(claims, list) else ():
            style = "" if claim["right"] else ' class="wrong"'
            text = f"{claim['text']} (yes: {claim['probability']:.2f})"
            lines.append(f"<li{style}>{escape(text)}</li>")
    return f"<ul>{''.join(lines)}</ul>"
