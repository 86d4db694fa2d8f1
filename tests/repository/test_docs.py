"""The documents' site: built without a network and without a warning, then read page by page."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_type_hints
from urllib.parse import unquote, urlsplit

import pytest

from anymodal import composition
from anymodal.evaluation.schema import Evaluation
from anymodal.training.configuration import Run
from tests.support.paths import ROOT

pytestmark = pytest.mark.extended

LOADED = {"script": "src", "img": "src", "source": "src", "video": "src", "audio": "src",
          "iframe": "src", "link": "href", "object": "data", "embed": "src"}  # fmt: skip
"""Elements that make a browser load something, and the attribute that names it."""
LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "manifest"}
"""Relations by which a `link` loads something."""


class Page(HTMLParser):
    """Collects from a page what is checked here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.titles: list[str] = []
        self.headings = 0
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.without_text: list[str] = []
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self._in_title = tag == "title" and not self.titles
        self.headings += tag == "h1"
        if tag in LOADED and self._loads(tag, given):
            self.loaded.append(given[LOADED[tag]])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        named = "alt" if tag == "img" else "aria-labelledby"
        is_drawing = tag == "svg" and given.get("aria-hidden") != "true"
        if (tag == "img" or is_drawing) and not given.get(named):
            self.without_text.append(given.get("src", given.get("class", tag)))

    @staticmethod
    def _loads(tag: str, given: Mapping[str, str]) -> bool:
        is_link = tag == "link"
        return bool(LINKS & {*given.get("rel", "").split()}) if is_link else LOADED[tag] in given

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)
            self._in_title = False


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once, by what `make docs` calls."""
    pytest.importorskip("sphinx", reason="pip install 'anymodal[docs]'")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that refuses every connection, for what would fetch something in spite of all.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "https_proxy": "http://127.0.0.1:9",
           "http_proxy": "http://127.0.0.1:9"}  # fmt: skip
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", folder / "doctrees", ROOT / "docs", folder / "html"],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of it, read."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: Page(path.read_text("utf-8")) for path in paths}


def test_every_document_is_a_page_with_one_heading_and_a_title(
    site: Path, pages: dict[Path, Page]
) -> None:
    documents = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    for document in documents:
        page = pages[site / document.with_suffix(".html")]
        assert page.headings == 1, document
        assert page.titles and page.titles[0].strip(), document
    titles = [page.titles[0] for page in pages.values()]
    assert len({*titles}) == len(titles), "two pages share a title"


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for url in page.loaded:
            parts = urlsplit(url)
            assert parts.scheme in ("", "data") and not parts.netloc, (path.name, url)
            if not parts.scheme:
                assert (path.parent / unquote(parts.path)).exists(), (path.name, url)
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", sheet.read_text("utf-8"))
        assert not [url for url in urls if url.startswith(("http:", "https:", "//"))], sheet


def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            ids = pages[target].ids if target in pages else set()
            if not target.exists() or (parts.fragment and parts.fragment not in ids):
                broken.append((path.name, link))
    assert not broken


def test_images_have_a_text(pages: dict[Path, Page]) -> None:
    missing = {path.name: page.without_text for path, page in pages.items() if page.without_text}
    assert not missing


def schemas(schema: type) -> Iterator[type]:
    """A configuration's schema, and those within it."""
    yield schema
    for hint in get_type_hints(schema).values():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from schemas(hint)


def test_every_schema_has_its_table() -> None:
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
    tables = {*re.findall(r"^```\{settings\} (\S+)$", text, re.MULTILINE)}
    for schema in (*schemas(Run), *schemas(Evaluation)):
        assert f"{schema.__module__}.{schema.__name__}" in tables


def test_a_model_s_keys_are_all_explained() -> None:
    """Keys of runs and evaluations come from their schemas; a model's have none."""
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")

    def keys(heading: str) -> set[str]:
        section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        return {*re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)}

    assert keys("Models") == {*composition.KEYS, "base"}
    assert keys("Modalities") == {*composition.MODALITY_KEYS}


MEASURE = """<!doctype html><title>widths</title><iframe style="border:0"></iframe><script>
const pages = PAGES, frame = document.querySelector('iframe'), widths = {};
frame.width = WIDTH; frame.height = 844;
const scrolls = element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX);
const sticks_out = element => {
  for (let over = element; over.matches('.bd-article *'); over = over.parentElement)
    if (scrolls(over)) return false;
  return element.getBoundingClientRect().right > WIDTH + 1;
};
const open = page => new Promise(done => { frame.onload = done; frame.src = page; });
(async () => {
  for (const page of pages) {
    await open(page);
    const content = frame.contentDocument, inside = content.querySelectorAll('.bd-article *');
    const wide = [...inside].filter(sticks_out).map(element => element.textContent.slice(0, 60));
    if (content.documentElement.scrollWidth > WIDTH) wide.push('the page');
    widths[page] = wide;
  }
  document.body.textContent = JSON.stringify(widths);
})();
</script>"""
"""Opens page after page in a frame, and lists what of each sticks out and can't be scrolled to."""


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(
    width: int, site: Path, pages: dict[Path, Page], tmp_path: Path
) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    listed = [path.relative_to(site).as_posix() for path in pages]
    measure = MEASURE.replace("PAGES", json.dumps(listed)).replace("WIDTH", str(width))
    (site / "measure.html").write_text(measure)
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        quiet = ("--no-first-run", "--disable-background-networking", "--disable-sync")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *quiet]
        command += ["--disable-component-update", f"--user-data-dir={tmp_path}"]
        command += ["--window-size=1400,900", "--virtual-time-budget=120000", "--dump-dom"]
        url = f"http://127.0.0.1:{server.server_port}/measure.html"
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=240)
        server.shutdown()
    (site / "measure.html").unlink()
    found = re.search(r"<body[^>]*>(\{.*\})</body>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:] + done.stdout[-2000:]
    wide = json.loads(found[1])
    assert wide.keys() == {*listed}
    assert not {page: parts for page, parts in wide.items() if parts}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        pass
