"""The page on which people compare two models: one file that asks no other host for anything."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from anymodal import media
from anymodal.chat.html_report import html_report, media_html, message_html
from anymodal.evaluation.comparison import Comparison, shown_key
from anymodal.evaluation.preference_rows import MODELS, ReplyPair
from anymodal.evaluation.run import ReplySampleFile, reply_file
from anymodal.io.checkpoint import replacing
from anymodal.types import Message

PAGE = "compare.html"

SIDES_STYLE = """
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin-top: 1rem; }
.side { border: 2px solid var(--edge); border-radius: 1rem; background: var(--theirs);
  padding: .8rem 1rem; min-width: 0; overflow-wrap: anywhere; }
.side h2 { margin: 0 0 .4rem; font-size: .85rem; color: var(--faint); font-weight: 600; }
.side p { margin: .2rem 0; white-space: pre-wrap; }
.side figure { display: block; margin: .5rem 0; }
.side figure img, .side figure video { width: min(100%, 32rem); image-rendering: auto; }
.side figure audio, .side figure svg { width: 100%; }
@media (max-width: 44rem) { .sides { grid-template-columns: 1fr; } }
"""
_STYLE = (
    SIDES_STYLE
    + """
body { max-width: 78rem; padding-bottom: 9rem; }
.pair[hidden], #end[hidden] { display: none; }
.side.chosen { border-color: var(--good); }
.bar { position: fixed; inset: auto 0 0 0; background: var(--ground);
  border-top: 1px solid var(--edge); padding: .7rem 1rem; display: flex; flex-wrap: wrap;
  gap: .5rem; justify-content: center; align-items: center; }
.bar button { font: inherit; color: inherit; background: var(--theirs); cursor: pointer;
  border: 1px solid var(--edge); border-radius: .7rem; padding: .55rem .9rem; min-height: 2.75rem; }
.bar button:focus-visible { outline: 3px solid var(--good); }
.bar button[aria-pressed=true] { border-color: var(--good); color: var(--good); font-weight: 600; }
.bar button:disabled { opacity: .4; cursor: default; }
.bar kbd { font: .8rem ui-monospace, monospace; color: var(--faint); margin-left: .4rem; }
#state { width: 100%; text-align: center; color: var(--faint); font-size: .85rem; }
#state.wrong { color: var(--bad); }
.bar .small { border: 0; background: none; padding: .3rem .6rem; min-height: 2rem;
  text-decoration: underline; }
@media (max-width: 44rem) { .bar kbd { display: none; }
  .bar { padding: .4rem .7rem; gap: .35rem; } .bar button { padding: .4rem .5rem; }
  .bar [data-choice] { flex: 1 1 46%; } body { padding-bottom: 12rem; } }
"""
)

_BAR = """
<nav class="bar" aria-label="Your choice">
<button data-choice="left">1 is better<kbd>1 ←</kbd></button>
<button data-choice="right">2 is better<kbd>2 →</kbd></button>
<button data-choice="alike">Both alike<kbd>3 ↓</kbd></button>
<button data-choice="neither">Both bad<kbd>4</kbd></button>
<button id="back" class="small">Back<kbd>⌫</kbd></button>
<button id="next" class="small">Skip<kbd>n</kbd></button>
<button id="download" class="small">Download</button>
<div id="state" role="status"></div>
</nav>
<section id="end" hidden><h2>That was all</h2>
<p>Thank you. Go back to change a choice.</p></section>
"""

_SCRIPT = """
"use strict";
const pairs = [...document.querySelectorAll(".pair")];
const end = document.getElementById("end"), state = document.getElementById("state");
const buttons = [...document.querySelectorAll("[data-choice]")];
const chosen = new Map(), served = location.protocol.startsWith("http");
let at = 0, problem = "";
const nameOf = (place) => pairs[place].dataset.id;
const lineOf = (pair, choice) =>
  JSON.stringify({ id: pair.dataset.id, shown: pair.dataset.shown, choice });
function show(place) {
  at = Math.max(0, Math.min(place, pairs.length));
  document.querySelectorAll("audio, video").forEach((player) => player.pause());
  pairs.forEach((pair, number) => { pair.hidden = number !== at; });
  end.hidden = at < pairs.length;
  const choice = at < pairs.length ? chosen.get(nameOf(at)) : undefined;
  for (const button of buttons) {
    button.disabled = at === pairs.length;
    button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
  }
  if (at < pairs.length) for (const side of ["left", "right"])
    pairs[at].querySelector("." + side).classList.toggle("chosen", choice === side);
  document.getElementById("back").disabled = at === 0;
  document.getElementById("next").disabled = at === pairs.length;
  const place_text = at < pairs.length ? `${at + 1} of ${pairs.length}` : "all seen";
  const where = served ? "each is saved" : "download before you close";
  state.textContent = problem || `${place_text}, ${chosen.size} chosen; ${where}`;
  state.classList.toggle("wrong", Boolean(problem));
  scrollTo(0, 0);
}
async function choose(choice) {
  if (at === pairs.length) return;
  const line = lineOf(pairs[at], choice);
  if (served) {
    try {
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("choices", { method: "POST", headers, body: line });
      if (!answer.ok) throw new Error(await answer.text());
      problem = "";
    } catch (error) {
      problem = `not saved: ${error.message}; is the command still running? Choose again.`;
      return show(at);
    }
  }
  chosen.set(nameOf(at), choice);
  show(at + 1);
}
function download() {
  const lines = pairs.filter((pair) => chosen.has(pair.dataset.id))
    .map((pair) => lineOf(pair, chosen.get(pair.dataset.id)) + "\\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "choices.jsonl";
  link.click();
}
buttons.forEach((button) => button.addEventListener("click", () => choose(button.dataset.choice)));
document.getElementById("back").addEventListener("click", () => show(at - 1));
document.getElementById("next").addEventListener("click", () => show(at + 1));
document.getElementById("download").addEventListener("click", download);
const keys = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", 3: "alike",
  ArrowDown: "alike", 4: "neither" };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (["AUDIO", "VIDEO"].includes(event.target.tagName)) return;
  if (event.key in keys) choose(keys[event.key]);
  else if (event.key === "Backspace" || event.key === "ArrowUp") show(at - 1);
  else if (event.key === "n") show(at + 1);
  else return;
  event.preventDefault();
});
addEventListener("beforeunload", (event) => {
  if (!served && chosen.size) event.preventDefault();
});
async function begin() {
  if (served) {
    const saved = await (await fetch("choices")).json();
    for (const [id, choice] of Object.entries(saved)) chosen.set(id, choice);
  }
  const first = pairs.findIndex((pair) => !chosen.has(pair.dataset.id));
  show(first < 0 ? pairs.length : first);
}
begin();
"""


def write_comparison_page(comparison: Comparison) -> Path:
    """Write `compare.html`, whole or not at all; which model a reply is of isn't in it."""
    body = [_BAR, *(_pair_html(comparison.folder, pair) for pair in comparison.pairs)]
    lead = "Two replies to each prompt. Choose the better one; keys are on the buttons."
    page = html_report("Which reply is better?", lead, body, style=_STYLE, script=_SCRIPT)
    path = comparison.folder / PAGE
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def _pair_html(folder: Path, pair: ReplyPair) -> str:
    prompt = "".join(
        message_html(Message(turn["role"], [pair_part(folder, part) for part in turn["content"]]))
        for turn in pair["prompt"]
    )
    order = MODELS if pair["left"] == MODELS[0] else MODELS[::-1]
    sides = "".join(
        f'<div class="side {side}"><h2>Reply {number}</h2>'
        f"{''.join(reply_html(folder, pair[model]))}</div>"
        for number, side, model in zip((1, 2), ("left", "right"), order, strict=True)
    )
    name = escape(pair["id"], quote=True)
    return (
        f'<section class="pair" data-id="{name}" data-shown="{shown_key(pair)}" hidden>{prompt}'
        f'<div class="sides">{sides}</div></section>'
    )


def reply_html(folder: Path, reply: list[str | ReplySampleFile]) -> Iterator[str]:
    """The parts of a reply as HTML, its media in files of the folder."""
    for part in reply:
        medium = pair_part(folder, part)
        if isinstance(medium, media.Media):
            yield media_html(medium)
        elif isinstance(part, str) and part.strip():
            yield f"<p>{escape(part.strip())}</p>"
    if not any(not isinstance(part, str) or part.strip() for part in reply):
        yield "<p><em>an empty reply</em></p>"


def pair_part(folder: Path, part: str | ReplySampleFile) -> str | media.Media:
    """A part of a pair, loaded where it is a medium."""
    return part if isinstance(part, str) else reply_file(folder, part).load()
