"""Messages, media and files on the web page, in a real browser with nano behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anymodal.media.limits import MIB
from anymodal.model import AnyModal
from tests.support.browser import CONTROL, Tab, find_chromium
from tests.support.page import BOX, KINDS, ask, attach, reply, say

pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium"),
]


def test_text_streams_and_media_appear_in_place_with_progress(
    open_tab: Callable[..., Tab], nano: AnyModal
) -> None:
    tab = open_tab("#new&steps=12&seed=7")
    # What the message holds at every change, to see it grow.
    tab.run("""window.lengths = []; window.steps = new Set();
        new MutationObserver(() => {
          const text = document.querySelector('.message.assistant .prose')?.innerText ?? '';
          lengths.push(text.trim().length);
          for (const bar of document.querySelectorAll('progress[value]')) steps.add(bar.value);
        }).observe(document.querySelector('#messages'), {subtree: true, childList: true}); 0""")
    say(tab, "draw a big blue car, play its sound and film it moving left")
    tab.wait("document.querySelectorAll('.message .making').length > 0")
    reply(tab)
    tab.wait("document.querySelectorAll('.message.assistant .medium img, video').length == 2")
    kinds = tab.run("[...document.querySelectorAll('.message.assistant .body > *')].map(each => "
                    "each.querySelector('.medium')?.dataset.kind ?? each.className)")  # fmt: skip
    assert kinds == ["prose", "image", "prose", "audio", "prose", "video"]
    lengths = tab.run("lengths.filter(Boolean)")
    assert len({*lengths}) > 3 and lengths == sorted(lengths), "the text came at once"
    assert len(tab.run("[...steps]")) > 2
    texts = tab.run("[...document.querySelectorAll('.prose')].map(each => each.innerText.trim())")
    words = "draw a big blue car, play its sound and film it moving left"
    alone = nano.chat(words, seed=7, sampling={key: {"steps": 2} for key in nano.decoders})
    parts = [part for part in alone.content if isinstance(part, str)]
    assert texts == [part.strip() for part in parts if part.strip()]
    plays_what_came(tab)


def plays_what_came(tab: Tab) -> None:
    tab.wait("document.querySelector('.medium img').naturalWidth == 64")
    tab.click(".message .play")
    tab.wait("!!document.querySelector('.message [aria-label^=Pause]')")
    tab.wait("document.querySelector('audio').currentTime > 0.2")
    tab.run("document.querySelector('.message video').play()")
    tab.wait("document.querySelector('.message video').currentTime > 0.2")
    tab.click(".medium img")
    tab.wait("document.querySelector('#viewer[open] .stage img')?.naturalWidth == 64")
    tab.press("ArrowRight")
    tab.wait("!!document.querySelector('#viewer[open] .stage .audio')")
    tab.press("Escape")
    tab.wait("!document.querySelector('#viewer[open]')")


def test_each_kind_of_file_is_shown_and_sent(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path]
) -> None:
    tab = open_tab()
    questions = ("what is this?", "what do you hear?", "describe the video", "what movement is it?")
    for kind, question in zip(KINDS, questions, strict=True):
        attach(tab, duck_files[kind])
        answer = ask(tab, question)
        assert "duck" in answer or (kind == "imu" and "left" in answer), (kind, answer)
    assert tab.run("document.querySelectorAll('.message.user .medium').length") == 4
    tab.wait("document.querySelectorAll('.message.user .plot polyline').length == 6")
    label = tab.run("document.querySelector('.message.user .plot').getAttribute('aria-label')")
    assert "duck-imu.csv" in label and "acceleration and rotation" in label
    tab.run("document.querySelector('.message.user .plot').scrollIntoView()")
    x, y = tab.run(
        "(r => [r.x + r.width / 2, r.y + 20])"
        "(document.querySelector('.message.user .plot').getBoundingClientRect())"
    )
    tab.move(x, y)
    tab.wait("document.querySelector('.message.user .readout').innerText.includes('ax')")


def test_files_are_dropped_and_pasted(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path]
) -> None:
    tab = open_tab()
    bytes_of = json.dumps([*duck_files["image"].read_bytes()])
    transfer = f"""const data = new DataTransfer();
        data.items.add(new File([new Uint8Array({bytes_of})], 'a.png', {{type: 'image/png'}}));"""
    options = "{dataTransfer: data, bubbles: true, cancelable: true}"
    tab.run(f"(() => {{ {transfer} dispatchEvent(new DragEvent('drop', {options})); }})()")
    tab.wait("document.querySelectorAll('#composer .chip img').length == 1")
    paste = "new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})"
    tab.run(f"(() => {{ {transfer} document.querySelector('{BOX}').dispatchEvent({paste}); }})()")
    tab.wait("document.querySelectorAll('#composer .chip img').length == 2")
    tab.click("#composer .chip .icon-button")
    assert "duck" in ask(tab, "what is this?")


def test_files_that_are_refused_say_why(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path], tmp_path: Path
) -> None:
    tab = open_tab()
    bad = {"notes.pdf": b"%PDF", "empty.png": b"", "large.png": b"x" * (3 * MIB)}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        tab.choose("#composer input[type=file]", [tmp_path / name])
        tab.wait(f"[...document.querySelectorAll('.note.error')].some(each => "
                 f"each.innerText.includes('{name}'))")  # fmt: skip
    notes = tab.run("[...document.querySelectorAll('.note')].map(each => each.innerText)")
    assert "nano reads text, images, audio" in notes[0] and "no .pdf files" in notes[0]
    assert "is empty" in notes[1] and "up to 2.0 MiB" in notes[2]
    assert tab.run("document.querySelectorAll('#composer .chip').length") == 0
    (tmp_path / "broken.png").write_bytes(duck_files["image"].read_bytes()[:500])
    attach(tab, tmp_path / "broken.png")
    answer = ask(tab, "what is this?")
    assert answer.startswith("broken.png: ") and "messages." not in answer
    assert tab.run("!!document.querySelector('.state.error[role=alert]')")
    attach(tab, duck_files["image"])
    assert "duck" in ask(tab, "what is this?"), "the broken file was sent again"


def test_editing_and_retrying_make_branches(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    ask(tab, "draw a small blue ball")
    tab.click(".message.user [aria-label='Edit this message']")
    tab.wait("!!document.querySelector('.message.editing textarea')")
    tab.run("document.querySelector('.message.editing textarea').value = ''")
    tab.type("draw a big red duck")
    tab.press("Enter")
    tab.wait("document.querySelector('.message.user .typed')?.innerText == 'draw a big red duck'")
    assert "red duck" in reply(tab)
    assert tab.run("document.querySelector('.branches').innerText.trim()") == "2 / 2"
    tab.click("[aria-label='Previous version']")
    tab.wait("document.querySelector('.message.user .typed').innerText == 'draw a small blue ball'")
    tab.click("[aria-label='Answer again']")
    reply(tab)
    tab.wait("document.querySelectorAll('.branches').length == 2")
    tab.click(".message.assistant [aria-label='Details of this reply']")
    details = tab.run("document.querySelector('.menu').innerText")
    assert "Seed\n8" in details, "a second answer at the seed behind"
    tab.press("Escape")
    tab.click(".message.assistant [aria-label='Go on from here in a new conversation']")
    tab.wait("document.querySelectorAll('#conversations .item').length == 2")
    assert tab.run("document.querySelector('#title').innerText").endswith("(branch)")
    assert tab.run("document.querySelectorAll('.message').length") == 2


def test_a_reply_is_stopped(open_tab: Callable[..., Tab], nano: AnyModal) -> None:
    tab = open_tab("#new&steps=400")
    tab.press("k", CONTROL)  # a search before takes no Esc from the reply
    say(tab, "film a green bird moving right")
    tab.wait("!!document.querySelector('.making progress[value]')")
    tab.press("Escape")
    assert "Stopped." in reply(tab)
    assert not tab.run("document.querySelectorAll('.making').length")
    assert "video" not in tab.run("document.querySelector('.message.assistant .body').innerHTML")
    tab.click("#open-settings")
    tab.run("document.querySelector('#set-steps').focus()")
    tab.run("document.querySelector('#set-steps').select()")
    tab.type("2")
    tab.press("Escape")
    assert "blue ball" in ask(tab, "draw a small blue ball"), "the server is still at it"
    tab.wait("document.querySelector('.message.assistant:last-child img')?.naturalWidth == 64")
