"""A server on this machine that shows a comparison's page and saves each choice at once."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from anymodal.evaluation.comparison import Comparison
from anymodal.evaluation.comparison_page import PAGE

HOST = "127.0.0.1"
_MAX_BYTES = 1 << 16
_JSON = "application/json"


class ComparisonServer(ThreadingHTTPServer):
    """Serves a comparison to browsers of this machine.

    Choices are on the disk before a browser is told so, and the file that tells which model a
    reply is of isn't served. Pages of other sites can't choose: theirs is another content type
    and, by whatever name they found this machine, another host.

    Args:
        comparison: whose page was written.
        port: 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, comparison: Comparison, port: int = 0) -> None:
        self.comparison, self.lock = comparison, threading.Lock()
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: ComparisonServer

    def do_GET(self) -> None:
        """Send the page, or the choices."""
        if not self._is_own_host():
            return
        comparison = self.server.comparison
        if self.path == "/":
            page = (comparison.folder / PAGE).read_bytes()
            self._send(200, page, "text/html; charset=utf-8")
        elif self.path == "/choices":
            self._send(200, json.dumps(comparison.choices()).encode(), _JSON)
        else:
            self._send(404, b"there is no such page", "text/plain")

    def do_POST(self) -> None:
        """Save a choice."""
        if not self._is_own_host():
            return
        length = self.headers.get("Content-Length", "")
        if self.path != "/choices" or self.headers.get("Content-Type") != _JSON:
            self._send(404, b"choices are sent to /choices as JSON", "text/plain")
        elif not length.isdecimal() or int(length) > _MAX_BYTES:
            self._send(413, b"that is no choice", "text/plain")
        else:
            self._save(self.rfile.read(int(length)).decode("utf-8", "replace"))

    def _save(self, line: str) -> None:
        try:
            with self.server.lock:
                count = self.server.comparison.add_choices([line])
        except OSError as error:  # a full disk
            self._send(500, str(error).encode(), "text/plain")
            return
        status, text = (200, "{}") if count else (400, "that is no choice about a pair")
        self._send(status, text.encode(), _JSON)

    def _is_own_host(self) -> bool:
        names = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]
        if self.headers.get("Host") in names:
            return True
        self._send(403, b"this page is for this machine alone", "text/plain")
        return False

    def _send(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests on the terminal."""
