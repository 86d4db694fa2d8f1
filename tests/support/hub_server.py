"""A hub of one's own: the few answers of Hugging Face's that its client libraries ask for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Repositories are folders owner/name, of one commit; a file `GATED` in one shuts it."""

    root: Path
    paths: list[str]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.paths.append(path)
        path = path.replace("api/datasets/", "api/models/").removeprefix("datasets/")
        listing = path.startswith("api/models/")
        owner, name, *segments = [*path.removeprefix("api/models/").split("/"), "", ""]
        folder = self.root / owner / name
        kind, revision, file = (
            segments[0],
            segments[1] if len(segments) > 1 else "",
            "/".join(segments[2:-2]),
        )
        if not path:
            self.send(200)
        elif not (owner and name and folder.is_dir()):
            self.send(404, code="RepoNotFound")
        elif revision not in ("", "main", COMMIT):
            self.send(404, code="RevisionNotFound")
        elif listing:
            self.list(folder, kind, "/".join(segments[2:]).strip("/"))
        elif (folder / "GATED").exists():
            self.send(403, code="GatedRepo")
        elif not (folder / file).is_file():
            self.send(404, code="EntryNotFound")
        else:
            self.send(200, (folder / file).read_bytes())

    def list(self, folder: Path, kind: str, under: str) -> None:
        files = sorted(f for f in (folder / under).rglob("*") if f.is_file())
        names = [f.relative_to(folder).as_posix() for f in files]
        if kind == "tree" and not files:
            self.send(404, code="EntryNotFound")
        elif kind == "tree":
            content: Any = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": _hash(f.read_bytes())}
                for n, f in zip(names, files, strict=True)
            ]
            self.send(200, json.dumps(content).encode())
        else:
            content = {
                "id": folder.name,
                "sha": COMMIT,
                "siblings": [{"rfilename": n} for n in names],
            }
            self.send(200, json.dumps(content).encode())

    def send(self, status: int, body: bytes = b"", code: str = "") -> None:
        self.send_response(status)
        for name, value in (("X-Repo-Commit", COMMIT), ("ETag", f'"{_hash(body)}"')):
            self.send_header(name, value)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `paths`."""


def _hash(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, for HF_ENDPOINT, and the paths that it was asked for."""
    paths: list[str] = []
    handler = type("Serving", (Hub,), {"root": root, "paths": paths})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", paths
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
