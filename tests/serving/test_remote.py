"""Media from other hosts: what is fetched, and what never is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from anymodal.media import Limits, MediaError
from anymodal.serving.api.remote import RemoteMedia, is_public


class Site(BaseHTTPRequestHandler):
    """A small site with pages that lead astray."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        leads = {
            "/again": "/file", "/round": "/round", "/away": "http://elsewhere.example/file",
            "/inside": "http://127.0.0.2/file", "/disk": "file:///etc/passwd",
            "/whole": f"http://localhost:{port}/file",
        }  # fmt: skip
        if self.path in leads:
            self.send_response(302)
            self.send_header("Location", leads[self.path])
            self.end_headers()
            return
        with contextlib.suppress(ConnectionError):  # whoever had enough has gone
            if self.path == "/drip":
                self._drip(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 20)
            self._answer()

    def _drip(self, text: bytes) -> None:
        for place in range(len(text)):
            self.wfile.write(text[place : place + 1])
            time.sleep(0.05)

    def _answer(self) -> None:
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        if self.path == "/long":
            self.wfile.write(b"x" * 5000)
        elif self.path == "/slow":
            for _ in range(20):
                self.wfile.write(b"x")
                time.sleep(0.1)
        else:
            self.wfile.write(b"content")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def remote() -> RemoteMedia:
    """One that takes this machine for a public one."""
    hosts = ["localhost", "*.example.org"]
    return RemoteMedia(hosts, Limits(max_bytes=1000), 0.5, public=lambda address: True)


def test_content_is_fetched_from_an_allowed_host(site: str, remote: RemoteMedia) -> None:
    for path in ("/file", "/again", "/whole"):
        assert remote.fetch(site + path) == b"content"
    part = {"type": "image_url", "image_url": {"url": f"{site}/file", "detail": "low"}}
    assert remote.with_content(part) == {
        "type": "image_url", "image_url": {"url": b"content", "detail": "low"}
    }  # fmt: skip
    for other in ("text", 5, {"type": "text", "text": f"{site}/file"}, {"type": []},
                  {"type": "image_url", "image_url": {"url": "data:,x"}}):  # fmt: skip
        assert remote.with_content(other) == other


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/round", "more than 3 times"),
        ("/away", "fetches nothing from elsewhere.example"),
        ("/inside", "fetches nothing from 127.0.0.2"),
        ("/disk", "no plain http"),
        ("/missing", "status 404"),
        ("/long", "over the limit of 1,000 bytes"),
        ("/slow", "takes longer than 0.5 s"),
        ("/drip", "takes longer than 0.5 s"),
    ],
)
def test_what_leads_astray_is_refused(site: str, path: str, says: str, remote: RemoteMedia) -> None:
    with pytest.raises(MediaError, match=says):
        remote.fetch(site + path)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a", "http://evil-example.org/a", "http://localhost@evil.example/a",
        "http://evil.example#localhost", "http://user:word@localhost/a", "http://localhost:x/a",
        "http:///a", "https://", "ftp://localhost/a", "http://localhost/a b",
        "http://localhost/a\r\nHost: other", "http://ɡoogle.example.org/", "http://[::1]/a",
    ],
)  # fmt: skip
def test_urls_that_are_none_or_of_another_host_are_refused(url: str, remote: RemoteMedia) -> None:
    with pytest.raises(MediaError):
        remote.fetch(url)


def test_a_host_of_this_machine_is_never_asked(site: str) -> None:
    with pytest.raises(MediaError, match="none of the public Internet"):
        RemoteMedia(["localhost"], Limits(), 1.0).fetch(f"{site}/file")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
        "2001:0:7f00:1::", "198.18.0.1", "192.0.2.1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)
