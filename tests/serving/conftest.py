"""Fixtures of tests that use the web page in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from anymodal.media import Limits
from anymodal.media.limits import MIB
from anymodal.model import AnyModal
from anymodal.serving.api.settings import ServerSettings
from anymodal.toybox.render import render_scene
from anymodal.toybox.scene import Scene
from tests.support.browser import Browser, Tab, running_browser
from tests.support.page import KINDS, QUICK
from tests.support.serving import model_to_serve, serving


@pytest.fixture(scope="module")
def nano() -> AnyModal:
    return AnyModal.from_pretrained("nano")


@pytest.fixture(scope="module")
def page_url(nano: AnyModal) -> Iterator[str]:
    settings = ServerSettings(limits=Limits(max_bytes=2 * MIB), max_body_bytes=4 * MIB)
    with serving([model_to_serve(nano)], settings) as url:
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def duck_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A duck as a file of each kind."""
    folder, scene = tmp_path_factory.mktemp("files"), Scene("duck", "orange", "big", "left", "fast")
    media = {kind: render_scene(scene, kind, np.random.default_rng(0)) for kind in KINDS}
    return {kind: each.save(folder / f"duck-{kind}{each.suffix}") for kind, each in media.items()}


@pytest.fixture
def open_tab(browser: Browser, page_url: str) -> Iterator[Callable[..., Tab]]:
    """Opens tabs of one person, and checks in the end that none asked another host or failed."""
    context, tabs = browser.new_context(), list[Tab]()

    def open_tab(address: str = QUICK, at: str = page_url, **size: int) -> Tab:
        tab = browser.open(f"{at}/{address}", context, **size)
        tabs.append(tab)
        tab.wait("document.body.dataset.ready")
        return tab

    yield open_tab
    for tab in tabs:
        hosts = {urlsplit(each).netloc for each in tab.requests() if each.startswith("http")}
        assert hosts <= {urlsplit(page_url).netloc}
        assert not [fault for fault in tab.faults() if "status of 4" not in fault]
