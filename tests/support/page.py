"""Steps of a person who uses the web page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browser import Tab, until

QUICK = "#new&steps=2&guidance=1&seed=7"
"""The page's address, with settings by which media are quick."""
KINDS = ("image", "audio", "video", "imu")
BOX = "#composer textarea"
"""Where a message is written."""


def say(tab: Tab, text: str) -> None:
    tab.run(f"document.querySelector('{BOX}').focus()")
    tab.type(text)
    tab.press("Enter")
    tab.wait("!!document.querySelector('.message.assistant:last-child')")


def reply(tab: Tab) -> str:
    """The last reply, once it is whole."""
    tab.wait("!!document.querySelector('.message.assistant:last-child:not(.writing)')", 120)
    text: str = tab.run("document.querySelector('.message.assistant:last-child .body').innerText")
    return text.strip()


def ask(tab: Tab, text: str) -> str:
    say(tab, text)
    return reply(tab)


def attach(tab: Tab, *paths: Path) -> None:
    before = tab.run("document.querySelectorAll('#composer .chip').length")
    tab.choose("#composer input[type=file]", paths)
    tab.wait(f"document.querySelectorAll('#composer .chip').length == {before + len(paths)}")


def names_missing(tab: Tab) -> set[str]:
    """Roles of what can be used and has no name for a screen reader."""
    roles = {"button", "textbox", "searchbox", "combobox", "slider", "checkbox", "spinbutton",
             "link", "image", "progressbar", "dialog", "menuitem", "Video", "img"}  # fmt: skip
    nodes: list[dict[str, Any]] = tab.call("Accessibility.getFullAXTree")["nodes"]
    return {
        f"{node['role']['value']} {node.get('properties')}"
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value")
        and "decorative" not in str(node)
    }


def save(tab: Tab, place: int, folder: Path) -> Path:
    """Save the conversation by an entry of its menu; gives the file."""
    tab.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    before = {*folder.iterdir()}
    tab.click("#more")
    tab.wait("!!document.querySelector('.menu')")
    tab.click(f".menu button:nth-child({place + 1})")

    def new_files() -> list[Path]:
        return [p for p in folder.iterdir() if p not in before and p.suffix != ".crdownload"]

    until(new_files, "a saved file")
    (path,) = new_files()
    return path
