"""Pictures of the web page for the documents: `python -m tests.support.page_pictures`."""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from anymodal.model import AnyModal
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from tests.support.browser import Tab, running_browser
from tests.support.page import ask, attach
from tests.support.paths import ROOT
from tests.support.serving import model_to_serve, serving

FOLDER = ROOT / "docs" / "_static"
SCALE, QUALITY = 2, 78
PHONE = (390, 780)


def picture_of(tab: Tab, folder: Path) -> Image.Image:
    """What a tab shows."""
    tab.run("new Promise(resolve => setTimeout(resolve, 1500))")  # players have loaded by then
    path = tab.screenshot(folder / "shot.png")
    return Image.open(BytesIO(path.read_bytes())).convert("RGB")


def converse(tab: Tab, recording: Path) -> None:
    """Two short conversations for the list, and one with media of every kind."""
    ask(tab, "what can you do?")
    tab.click("#new")
    ask(tab, "draw a small purple heart")
    tab.click("#new")
    ask(tab, "draw a big blue car, play its sound and film it moving left")
    attach(tab, recording)
    ask(tab, "what movement is this?")


def draw(tab: Tab, folder: Path) -> dict[str, Image.Image]:
    """The pictures by name."""
    tab.resize(1280, 960, SCALE)
    tab.run("document.activeElement.blur(); document.querySelector('#thread').scrollTo(0, 0)")
    desktop = picture_of(tab, folder)
    tab.resize(*PHONE, SCALE, mobile=True)
    width, height = (SCALE * size for size in PHONE)
    phone = Image.new("RGB", (2 * width + 40, height), "white")
    for place, scheme in enumerate(("light", "dark")):
        tab.prefer(scheme)
        top = 0 if scheme == "light" else 10_000
        tab.run(f"document.querySelector('#thread').scrollTo(0, {top})")
        phone.paste(picture_of(tab, folder), (place * (width + 40), 0))
    return {"web-desktop": desktop, "web-phone": phone}


def main() -> None:
    """Draw and write them."""
    with tempfile.TemporaryDirectory() as name, running_browser(Path(name)) as browser:
        folder = Path(name)
        scene = Scene("duck", "orange", "big", "left", "fast")
        recording = render_scene(scene, "imu", np.random.default_rng(0)).save(folder / "walk.csv")
        with serving([model_to_serve(AnyModal.from_pretrained("nano"))]) as url:
            tab = browser.open(f"{url}/#new&seed=1")
            tab.wait("document.body.dataset.ready")
            converse(tab, recording)
            for stem, picture in draw(tab, folder).items():
                picture.save(FOLDER / f"{stem}.webp", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
