"""Conversations as an HTML report: one file, with the media inside and nothing fetched."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from anymodal.io.checkpoint import replacing
from anymodal.media import Media
from anymodal.types import Message, Target, ToolCall

SPEAKERS = {"user": "You", "assistant": "AnyModal"}

_STYLE = """
:root { color-scheme: light dark; --ground: #f4f2ee; --ink: #23211e; --faint: #77726a;
  --theirs: #ffffff; --mine: #dcebff; --edge: #e2ded6; --good: #1c7a43; --bad: #b3341f; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #171614; --ink: #ece9e3; --faint: #9a948a; --theirs: #24221f;
    --mine: #1f3a5c; --edge: #35322d; --good: #62c98c; --bad: #ff8f7a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 46rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem; }
.lead, .who, figcaption { color: var(--faint); }
.lead { margin: 0 0 2rem; white-space: pre-line; }
.turn { display: flex; flex-direction: column; align-items: flex-start; margin: 0 0 1rem; }
.turn.user { align-items: flex-end; }
.who { font-size: .8rem; margin: 0 .6rem .15rem; }
.message { max-width: 92%; padding: .6rem .9rem; border: 1px solid var(--edge);
  border-radius: 1.1rem 1.1rem 1.1rem .3rem; background: var(--theirs); overflow-wrap: anywhere; }
.user .message { border-radius: 1.1rem 1.1rem .3rem 1.1rem; background: var(--mine); }
.message p { margin: .1rem 0; white-space: pre-wrap; }
figure { display: inline-block; vertical-align: top; margin: .4rem .6rem .3rem 0;
  max-width: 100%; }
figure > :first-child { display: block; max-width: 100%; border-radius: .6rem; }
figure img, figure video { width: 192px; height: auto; image-rendering: pixelated; }
figure audio { width: 17rem; }
figure svg { width: 26rem; height: auto; }
figcaption { font-size: .78rem; margin-top: .2rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr));
  gap: 1rem; width: min(78rem, 100vw - 2rem); margin-left: 50%; transform: translateX(-50%); }
figure.chart { margin: 0; padding: .7rem .8rem .5rem; border: 1px solid var(--edge);
  border-radius: .8rem; background: var(--theirs); min-width: 0; }
figure.chart svg { width: 100%; border-radius: 0; }
.chart figcaption { margin: 0 0 .5rem; overflow-wrap: anywhere; }
.chart b { color: var(--ink); margin-right: .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: normal; text-align: left; color: var(--faint); padding: .15rem 1.5rem .15rem 0; }
td { text-align: right; }
details { margin: .6rem 0; padding: .5rem .9rem; border: 1px solid var(--edge);
  border-radius: .8rem; background: var(--theirs); }
summary { cursor: pointer; }
pre { overflow-x: auto; font-size: .82rem; }
.check { font-size: .82rem; margin: .3rem 0 0; color: var(--good); }
.check.wrong { color: var(--bad); }
.check.figure { color: var(--faint); }
"""
# Whatever a stranger's text holds, a browser fetches nothing and runs no script but the page's.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"

_CHECK_STYLES = {True: "check", False: "check wrong", None: "check figure"}


@dataclass(frozen=True)
class Check:
    """A finding about a message, shown under it.

    Args:
        text: what was measured.
        right: whether it is as it should be; None for a figure alone.
    """

    text: str
    right: bool | None

    def __str__(self) -> str:
        return self.text if self.right is None else f"{self.text} {'✓' if self.right else '✗'}"


def message_html(
    message: Message,
    names: Sequence[str] = (),
    checks: Iterable[Check] = (),
    speaker: str | None = None,
) -> str:
    """One message as HTML, for the body of `html_report`.

    Args:
        message: its texts and media, in order.
        names: captions of the media, such as the names of their files.
        checks: shown at the end.
        speaker: who says it; by its role where None.
    """
    parts, captions = [], iter(names)
    for part in message.content:
        if isinstance(part, str):
            parts.append(f"<p>{escape(part.strip())}</p>" if part.strip() else "")
        elif isinstance(part, ToolCall):
            parts.append(f"<pre>{escape(f'{part.name} {part.arguments}')}</pre>")
        elif not isinstance(part, Target):
            parts.append(media_html(part, next(captions, "")))
    parts += [
        f'<p class="{_CHECK_STYLES[check.right]}">{escape(str(check))}</p>' for check in checks
    ]
    role = escape(message.role, quote=True)
    speaker = escape(speaker or SPEAKERS.get(message.role, message.role))
    return (
        f'<div class="turn {role}"><span class="who">{speaker}</span>'
        f'<div class="message">{"".join(parts)}</div></div>'
    )


def media_html(medium: Media, caption: str = "") -> str:
    """A media item as HTML, shown or playable, with a caption below."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{medium.html()}{below}</figure>"


def html_report(
    title: str, lead: str, body: Iterable[str], *, style: str = "", script: str = ""
) -> str:
    """A whole HTML document.

    Args:
        title: as text.
        lead: text under the title.
        body: pieces of HTML, as from `message_html`.
        style: more rules of CSS.
        script: the page's own, which may ask the host that the page comes from and no other.
    """
    content = "\n".join(body)
    policy = _POLICY
    if script:
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'; connect-src 'self'"
        content += f"\n<script>{script}</script>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
{content}
</body>
</html>
"""


def write_html_report(path: Path, title: str, lead: str, body: Iterable[str]) -> Path:
    """Write `html_report` to a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(html_report(title, lead, body), "utf-8")
    return path
