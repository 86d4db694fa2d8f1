"""A headless Chromium, driven by its own protocol over pipes, without a package for it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"),
    *("--disable-background-networking", "--disable-sync", "--disable-component-update"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
    *("--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe"),
    *("--hide-scrollbars", "--force-device-scale-factor=1", "--lang=en-US"),
)
_KEYS = {
    "Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowUp": (38, ""),
    "ArrowDown": (40, ""), "ArrowLeft": (37, ""), "ArrowRight": (39, ""), " ": (32, " "),
}  # fmt: skip
_START = """import os, sys
for fd, number in zip(sys.argv[1:3], (3, 4)):
    os.dup2(int(fd), number)
os.execv(sys.argv[3], sys.argv[3:])"""
ALT, CONTROL, SHIFT = 1, 2, 8
"""Modifiers of a key."""


def find_chromium() -> str | None:
    """The path of a Chromium; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A running Chromium.

    Args:
        command: its path.
        profile: the folder of its profile.
    """

    def __init__(self, command: str, profile: Path) -> None:
        reads, to_browser = os.pipe()
        from_browser, writes = os.pipe()
        # Behind the numbers 3 and 4, which the browser expects and which take their places there.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (reads, writes)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, fds), command, *_FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=fds, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (reads, writes, *fds):
            os.close(fd)
        self._input, self._output = os.fdopen(to_browser, "wb"), os.fdopen(from_browser, "rb")
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        buffer = bytearray()
        while data := os.read(self._output.fileno(), 2**16):
            buffer += data
            while (end := buffer.find(b"\0")) >= 0:
                message = json.loads(buffer[:end])
                del buffer[: end + 1]
                with self._arrived:
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events.append(message)
                    self._arrived.notify_all()

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, and give its result."""
        with self._arrived:
            self._number += 1
            number = self._number
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        self._input.write(json.dumps(message).encode() + b"\0")
        self._input.flush()
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: number in self._answers, 60)
            assert arrived, f"the browser doesn't answer {method}"
            answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def new_context(self) -> str:
        """A context that shares nothing with others, as another person's browser."""
        context: str = self.call("Target.createBrowserContext")["browserContextId"]
        return context

    def open(
        self, url: str, context: str | None = None, width: int = 1280, height: int = 860
    ) -> Tab:
        """A new tab of a window's size, with a page; tabs of a context share what they store."""
        where = {} if context is None else {"browserContextId": context}
        target = self.call("Target.createTarget", url="about:blank", **where)["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        tab = Tab(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        tab.resize(width, height)
        tab.prefer("light")
        tab.go(url)
        return tab

    def close(self) -> None:
        """End it."""
        try:
            self.call("Browser.close")
            self.process.wait(20)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()


@contextlib.contextmanager
def running_browser(profile: Path) -> Iterator[Browser]:
    """A browser that is ended in the end; there has to be one."""
    command = find_chromium()
    assert command is not None
    browser = Browser(command, profile)
    try:
        yield browser
    finally:
        browser.close()


class Tab:
    """A tab of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol for this tab."""
        return self.browser.call(method, self.session, **params)

    def events(self, method: str) -> list[dict[str, Any]]:
        """The parameters of this tab's events of a name."""
        events = [*self.browser.events]
        mine = [each for each in events if each.get("sessionId") == self.session]
        return [each["params"] for each in mine if each["method"] == method]

    def go(self, url: str) -> None:
        """Load a page."""
        loads = len(self.events("Page.loadEventFired"))
        self.call("Page.navigate", url=url)
        self._wait_for_load(loads)

    def reload(self) -> None:
        """Load the page again."""
        loads = len(self.events("Page.loadEventFired"))
        self.call("Page.reload")
        self._wait_for_load(loads)

    def _wait_for_load(self, loads: int) -> None:
        until(lambda: len(self.events("Page.loadEventFired")) > loads, "the page to load")

    def resize(self, width: int, height: int, scale: float = 1, mobile: bool = False) -> None:
        """Give the page another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=mobile,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """Set the system's colours, `light` or `dark`; there is a mouse."""
        values = {"prefers-color-scheme": scheme, "hover": "hover", "pointer": "fine"}
        features = [{"name": name, "value": value} for name, value in values.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 90) -> Any:
        """Wait until an expression is true; gives its value."""
        return until(lambda: self.run(condition), condition, seconds)

    def click(self, selector: str) -> None:
        """Click an element in its middle, as a mouse does."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"!!{where}")
        self.run(f"{where}.scrollIntoView({{block: 'nearest'}})")
        center = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({where}.getBoundingClientRect())"
        before = None
        while (place := self.run(center)) != before:  # media that load may still move it
            before = place
            time.sleep(0.1)
        x, y = place
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def move(self, x: float, y: float) -> None:
        """Move the mouse."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key: one of a name, or a letter."""
        code, text = _KEYS.get(key, (ord(key[0].upper()), key))
        is_letter = len(key) == 1 and key.isalpha()
        names = {"key": key, "code": f"Key{key.upper()}" if is_letter else key}
        values: dict[str, Any] = {**names, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if text and not modifiers & (ALT | CONTROL):
            values["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown", **values)
        self.call("Input.dispatchKeyEvent", type="keyUp", **values)

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in an element for files."""
        element = self.call(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        self.call(
            "DOM.setFileInputFiles",
            objectId=element["result"]["objectId"], files=[str(file) for file in files],
        )  # fmt: skip

    def screenshot(self, path: Path, **options: Any) -> Path:
        """Write what is seen as a PNG, or in another format."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **options)["data"]))
        return path

    def requests(self) -> list[str]:
        """URLs that were asked for."""
        return [each["request"]["url"] for each in self.events("Network.requestWillBeSent")]

    def faults(self) -> list[str]:
        """Exceptions of scripts, and what the console reports as errors."""
        thrown = [
            each["exceptionDetails"].get("exception", {}).get("description", "?")
            for each in self.events("Runtime.exceptionThrown")
        ]
        entries: list[Mapping[str, Any]] = [each["entry"] for each in self.events("Log.entryAdded")]
        return thrown + [each["text"] for each in entries if each["level"] == "error"]


def until(condition: Any, label: str, seconds: float = 90) -> Any:
    """Wait until a function gives something true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for: {label}"
        time.sleep(0.05)
    return value
