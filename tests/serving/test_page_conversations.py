"""Conversations, settings and keys on the web page, in a real browser with nano behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anymodal.model import AnyModal
from anymodal.serving.api.settings import ServerSettings
from tests.support.browser import ALT, CONTROL, Browser, Tab, find_chromium
from tests.support.page import BOX, QUICK, ask, attach, names_missing, reply, save, say
from tests.support.serving import model_to_serve, serving

pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium"),
]


SECRET = "a-long-enough-secret"


def test_conversations_outlast_a_reload_and_are_searched_named_and_deleted(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path]
) -> None:
    tab = open_tab()
    attach(tab, duck_files["image"])
    ask(tab, "what is this?")
    ask(tab, "draw it in green")
    before = tab.run("document.querySelector('#messages').innerText")
    tab.click("#new")
    ask(tab, "what can you do?")
    tab.reload()
    tab.wait("document.body.dataset.ready")
    assert tab.run("document.querySelectorAll('#conversations .item').length") == 2
    tab.press("k", CONTROL)
    tab.type("in GREEN")
    tab.wait("document.querySelectorAll('#conversations .item').length == 1")
    assert tab.run("document.querySelector('.excerpt mark').innerText") == "in green"
    tab.press("ArrowDown")
    tab.press("Enter")
    tab.wait("document.querySelectorAll('.message').length == 4")
    tab.wait("document.querySelectorAll('.medium img').length == 2")
    tab.wait("[...document.querySelectorAll('.medium img')].every(each => each.naturalWidth == 64)")
    assert tab.run("document.querySelector('#messages').innerText") == before
    tab.click("#more")
    tab.press("Enter")
    tab.wait("!!document.querySelector('dialog.small input')")
    tab.type("My duck")
    tab.press("Enter")
    tab.wait("document.querySelector('#title').innerText == 'My duck'")
    tab.click("#more")
    tab.press("ArrowUp")
    tab.press("Enter")
    tab.click("dialog.small .danger")
    tab.wait("document.querySelectorAll('.message').length == 0")
    count = tab.run("""new Promise(resolve => { const opening = indexedDB.open('anymodal');
        opening.onsuccess = () => { const work = opening.result.transaction('blobs')
          .objectStore('blobs').count(); work.onsuccess = () => resolve(work.result); }; })""")
    assert count == 0, "media of a deleted conversation are still there"


def test_two_tabs_write_in_one_conversation(open_tab: Callable[..., Tab]) -> None:
    first = open_tab()
    ask(first, "draw a small blue ball")
    second = open_tab(first.run("location.hash"))
    second.wait("document.querySelectorAll('.message').length == 2")
    ask(first, "now make it green")
    second.wait("document.querySelectorAll('.message').length == 4")
    second.wait("document.querySelectorAll('.message .medium img').length == 2")
    ask(second, "very nice")
    first.wait("document.querySelectorAll('.message').length == 6")
    texts = second.run("document.querySelector('#messages').innerText")
    first.wait(f"document.querySelector('#messages').innerText == {json.dumps(texts)}")
    # Both at once: each answer stands in the tree, and neither tab loses its own.
    say(first, "what can you do?")
    second.run("document.querySelector('#new').click()")
    assert ask(second, "draw a big red duck")
    assert reply(first)
    second.wait("document.querySelectorAll('#conversations .item').length == 2")


def test_colours_and_a_phone_s_width(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    ask(tab, "draw a small blue ball and play its sound")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.run(ground)
    tab.prefer("dark")
    dark = tab.run(ground)
    assert light != dark
    for theme, colour in (("light", light), ("dark", dark)):
        tab.click("#theme")
        assert tab.run("document.documentElement.dataset.theme") == theme
        assert tab.run(ground) == colour
    for width in (320, 390, 760, 1024):
        tab.resize(width, 800, mobile=width < 500)
        wide = tab.run(f"""[...document.querySelectorAll('main *')].filter(each =>
            each.getBoundingClientRect().right > {width} + 1
            && !each.closest('[hidden], .hidden, pre')
            && getComputedStyle(each).visibility != 'hidden').map(each => each.className)""")
        assert not wide, (width, wide)
        assert tab.run("document.documentElement.scrollWidth") <= width
    tab.resize(390, 800)
    tab.click("#open-drawer")
    tab.click("#new")
    tab.wait("!document.body.classList.contains('drawer')")


def test_a_phone_shows_a_medium_of_a_long_name_in_full_size(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path], tmp_path: Path
) -> None:
    tab = open_tab(width=390, height=780)
    path = tmp_path / "a-recording-of-a-movement-with-a-name-that-is-much-too-long.csv"
    path.write_bytes(duck_files["imu"].read_bytes())
    attach(tab, path)
    ask(tab, "what movement is it?")
    tab.click(".medium .plot-box ~ .medium-tools [aria-label$='in full size']")
    tab.wait("!!document.querySelector('#viewer[open] .plot')")
    wide = tab.run("[...document.querySelectorAll('#viewer *')].filter("
                   "e => e.getBoundingClientRect().right > 391).map(e => e.tagName)")  # fmt: skip
    assert not wide, "the button to close it stands outside"
    assert tab.run("parseFloat(getComputedStyle(document.querySelector('.plot text')).fontSize)"
                   " * document.querySelector('.message .plot').getBoundingClientRect().width"
                   " / 480") > 9, "too small to read"  # fmt: skip
    texts = tab.run("""[...document.querySelectorAll('#viewer .plot text')].map(each => {
        const [a, b] = [each, each.closest('svg')].map(e => e.getBoundingClientRect());
        return a.left >= b.left && a.right <= b.right; })""")
    assert len(texts) == 16 and all(texts)


def test_everything_works_by_keyboard_and_has_a_name(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    assert tab.run(f"document.activeElement.matches('{BOX}')")
    tab.type("draw a small blue ball")
    tab.press("Enter")
    reply(tab)
    tab.press("s", ALT)
    tab.wait("!!document.querySelector('#settings[open]')")
    unnamed = names_missing(tab)
    tab.press("Escape")
    assert tab.run(f"document.activeElement.matches('{BOX}')"), "the focus is lost"
    tab.press("ArrowUp")
    tab.wait("!!document.querySelector('.message.editing textarea')")
    tab.press("Escape")
    tab.wait("!document.querySelector('.message.editing')")
    visited = set()
    for _ in range(60):
        tab.press("Tab")
        visited.add(tab.run("document.activeElement.getAttribute('aria-label') ?? "
                            "document.activeElement.innerText.trim()"))  # fmt: skip
    needed = {"Answer again", "Edit this message", "Settings of this conversation", "Model",
              "Rename, share, save or delete", "Search conversations", "Attach files"}  # fmt: skip
    assert needed <= visited, needed - visited
    assert not unnamed | names_missing(tab)
    tab.run("document.activeElement.blur()")
    tab.press("?")
    tab.wait("!!document.querySelector('#shortcuts[open]')")
    tab.press("Escape")
    tab.press("n", ALT)
    tab.wait("document.querySelectorAll('.message').length == 0")


def test_settings_and_system_prompt_are_each_conversation_s_own(
    open_tab: Callable[..., Tab],
) -> None:
    tab = open_tab("#new&steps=2")
    tab.click("#open-settings")
    tab.run("document.querySelector('#set-system').focus()")
    tab.type("Be brief.")
    for name, value in (("seed", "5"), ("steps", "4"), ("guidance", "-1")):
        tab.run(f"document.querySelector('#set-{name}').focus()")
        tab.run(f"document.querySelector('#set-{name}').select()")
        tab.type(value)
    tab.click("#settings input[value=video]")
    assert tab.run("document.querySelector('#set-guidance').getAttribute('aria-invalid')") == "true"
    tab.press("Escape")
    ask(tab, "draw a small blue ball")
    requests = [each["request"] for each in tab.events("Network.requestWillBeSent")]
    (request,) = [each for each in requests if each["url"].endswith("/v1/chat/completions")]
    body = json.loads(request["postData"])
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["seed"], body["steps"], body["modalities"]) == (5, 4, ["text", "image", "audio"])
    assert "guidance" not in body, "a value out of range was sent"
    tab.reload()
    tab.wait("document.body.dataset.ready")
    tab.click("#open-settings")
    assert tab.run("document.querySelector('#set-system').value") == "Be brief."
    assert tab.run("document.querySelector('#set-steps').value") == "4"


def test_recordings_by_microphone_and_camera(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    for number, kind in enumerate(("audio", "image", "video")):
        tab.click("[data-tool=record]")
        for _ in range(number):
            tab.press("ArrowDown")
        tab.press("Enter")
        tab.wait("!!document.querySelector('#recorder[open] .primary')")
        if kind == "image":
            tab.wait("document.querySelector('#recorder video').videoWidth > 0")
        if kind == "video":
            muted = tab.run("document.querySelector('#recorder video').muted")
            assert muted, "the loudspeaker plays what the microphone hears"
        tab.click("#recorder .primary")
        if kind != "image":
            tab.wait("document.querySelector('#recorder .clock').innerText >= '0:01'")
            tab.click("#recorder .primary.recording")
        tab.wait(f"document.querySelectorAll('#composer .chip').length == {number + 1}")
        assert tab.run("!document.querySelector('#recorder[open]')")
    names = tab.run("[...document.querySelectorAll('#composer .chip')].map(e => e.title)")
    assert [name.rpartition(".")[2] for name in names] == ["wav", "jpg", "webm"]
    answer = ask(tab, "what is this?")
    assert answer and not tab.run("document.querySelectorAll('.state.error').length"), answer


def test_saved_files_are_opened_again(
    open_tab: Callable[..., Tab], duck_files: dict[str, Path], tmp_path: Path, browser: Browser
) -> None:
    tab = open_tab()
    attach(tab, duck_files["imu"], duck_files["image"])
    ask(tab, "move this picture like that <script>alert(1)</script></script>")
    tab.click("[aria-label='Answer again']")
    reply(tab)
    suffixes = ("html", "md", "json")
    saved = {suffix: save(tab, place, tmp_path) for place, suffix in enumerate(suffixes, 2)}
    text = saved["md"].read_text("utf-8")
    assert "</script>" in text and "(data:image/png" in text
    values = json.loads(saved["json"].read_text("utf-8"))
    assert values["format"] == "anymodal-conversation" and len(values["messages"]) == 3
    page = browser.open(saved["html"].as_uri())
    assert page.run("document.querySelectorAll('.turn').length") == 2
    assert page.run("document.querySelector('.user img').naturalWidth") == 64
    assert page.run("document.querySelectorAll('.plot polyline').length") == 6
    assert not page.faults()
    tab.wait("document.querySelectorAll('.message .plot polyline').length == 6")
    texts = tab.run("document.querySelector('#messages').innerText")
    count = tab.run("document.querySelectorAll('.message .medium').length")
    for suffix in ("html", "json"):
        tab.choose("#import-file", [saved[suffix]])
        tab.wait(f"!{json.dumps(tab.run('location.hash'))}.includes(location.hash.slice(1))")
        tab.wait(f"document.querySelectorAll('.message .medium').length == {count}")
        # A plot is drawn once its file is read.
        tab.wait(f"document.querySelector('#messages').innerText == {json.dumps(texts)}")
        tab.click("[aria-label='Previous version']")
        tab.wait("document.querySelector('.branches').innerText.trim() == '1 / 2'")
        tab.wait("!document.querySelector('.file-card')")
        tab.click("[aria-label='Next version']")
        tab.wait("document.querySelector('.branches').innerText.trim() == '2 / 2'")
    (tmp_path / "other.json").write_text("{}")
    tab.choose("#import-file", [tmp_path / "other.json"])
    tab.wait("[...document.querySelectorAll('.note.error')].some(each => "
             "each.innerText.includes('no conversation'))")  # fmt: skip


def test_a_server_s_key_is_asked_for(browser: Browser, nano: AnyModal) -> None:
    with serving([model_to_serve(nano)], ServerSettings(api_keys=[SECRET])) as url:
        tab = browser.open(f"{url}/{QUICK}", browser.new_context())
        for key, reason in (("a-wrong-secret", "doesn't know"), (SECRET, "wants")):
            tab.wait("!!document.querySelector('dialog.small input[type=password]')")
            tab.run("document.querySelector('dialog.small input').select()")
            tab.type(key)
            tab.press("Enter")
            if key != SECRET:
                tab.wait(f"document.querySelector('dialog.small')?.innerText.includes({reason!r})")
        tab.wait("document.body.dataset.ready")
        assert ask(tab, "what can you do?")
        tab.reload()
        tab.wait("document.body.dataset.ready")
        assert tab.run("localStorage.length") == 0, "kept on the device though nobody asked for it"


def test_a_server_that_is_gone_is_told(browser: Browser, nano: AnyModal) -> None:
    with serving([model_to_serve(nano)]) as url:
        tab = browser.open(f"{url}/{QUICK}", browser.new_context())
        tab.wait("document.body.dataset.ready")
    answer = ask(tab, "what can you do?")
    assert "can't be reached" in answer


def test_texts_are_copied_by_pages_that_are_not_secure_too(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    answers = [ask(tab, text) for text in ("what can you do?", "draw a small blue ball")]
    for place, answer in enumerate(answers):
        if place:
            tab.run("Object.defineProperty(navigator, 'clipboard', {value: undefined}); 0")
        tab.click(f".message:nth-child({2 * place + 2}) [aria-label='Copy the text']")
        tab.wait("document.querySelector('.note')?.innerText.includes('Copied')")
        tab.run(f"document.querySelector('{BOX}').focus()")
        tab.call("Input.dispatchKeyEvent", type="keyDown", key="v", commands=["paste"])
        tab.wait(f"document.querySelector('{BOX}').value.trim() == {json.dumps(answer)}")
        tab.run(f"document.querySelector('{BOX}').value = ''")
        tab.click(".note button")
        tab.wait("!document.querySelector('.note')")


def test_words_of_tables_stay_whole_and_scripts_run_from_their_side(
    open_tab: Callable[..., Tab],
) -> None:
    tab = open_tab(width=390, height=780)
    text = (
        "| name | another long header | and one | and more |\n|-|-|-|-|\n| a | b | c | d |\n\nسلام"
    )
    lines, right, edge = tab.run(f"""import('/page/markdown.js').then(m => {{
        const prose = document.createElement('div');
        prose.className = 'prose';
        prose.append(...m.markdown({json.dumps(text)}));
        document.querySelector('#messages').append(prose);
        const rects = element => {{
          const range = document.createRange();
          range.selectNodeContents(element);
          return range.getClientRects();
        }};
        const last = prose.querySelector('p');
        return [rects(prose.querySelector('th')).length, rects(last)[0].right,
                last.getBoundingClientRect().right]; }})""")
    assert lines == 1
    assert abs(right - edge) < 1
    assert tab.run("document.documentElement.scrollWidth") <= 390


def test_texts_become_no_markup(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab()
    cases = {
        "<img src=x onerror=alert(1)>": "<p>&lt;img src=x onerror=alert(1)&gt;</p>",
        "[a](javascript:alert(1))": "<p><span>a</span></p>",
        "**b** and *i* `<c>`": "<p><strong>b</strong> and <em>i</em> <code>&lt;c&gt;</code></p>",
        "# H\n- a\n- b": "<h3>H</h3><ul><li>a</li><li>b</li></ul>",
        "3. c": '<ol start="3"><li>c</li></ol>',
        "snake_case_name": "<p>snake_case_name</p>",
        "2 * 3 * 4": "<p>2 * 3 * 4</p>",
    }
    for text, html in cases.items():
        result = tab.run(f"import('/page/markdown.js').then(m => m.markdown({json.dumps(text)})"
                       ".map(each => each.outerHTML).join(''))")  # fmt: skip
        assert result == html
    wild = "`" * 3000 + "[" * 3000 + "*_" * 3000 + "(" * 3000 + "|\n-|-\n" * 200
    milliseconds = tab.run(f"""import('/page/markdown.js').then(m => {{
        const began = performance.now(); m.markdown({json.dumps(wild)});
        return performance.now() - began; }})""")
    assert milliseconds < 10_000
