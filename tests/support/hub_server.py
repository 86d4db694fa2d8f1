"""A hub of one's own: the answers of Hugging Face's that its client library asks for.

Reading: repository info, file trees, files by branch or commit, gated and private repositories.
Writing, as `HfApi.upload_folder` does without Xet: `repos/create`, `branch`, `validate-yaml`,
`preupload`, the LFS batch with its upload and verification, and `commit`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""The commit of a repository that was never pushed to."""
READ, WRITE = "hf_reads", "hf_writes"
"""Tokens of user `me`."""


@dataclass
class State:
    """A hub's repositories.

    Attributes:
        root: of folders owner/name, each the tree of `main`; a file `GATED` in one shuts it.
        address: of the server.
        paths: that were asked for.
        commits: trees by repository and commit.
        branches: heads by repository and branch.
        private: repositories that want a token.
        objects: of LFS, by their hash.
        messages: of commits.
    """

    root: Path
    address: str = ""
    paths: list[str] = field(default_factory=list)
    commits: dict[tuple[str, str], Path] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    objects: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def find(self, repository: str, revision: str) -> tuple[str, Path] | None:
        """The commit and the tree of a revision."""
        folder = self.root / repository
        revision = revision or "main"
        commit = self.branches.get((repository, revision), revision)
        if (repository, commit) in self.commits:
            return commit, self.commits[repository, commit]
        if revision in ("main", COMMIT) and (repository, "main") not in self.branches:
            return COMMIT, folder
        return None

    def commit(self, repository: str, branch: str, lines: list[dict[str, Any]]) -> str:
        """Make a commit of the lines of a request, and give its hash."""
        base = self.find(repository, branch)
        assert base is not None
        name = hashlib.sha1(repr((repository, base[0], lines)).encode()).hexdigest()
        tree = self.root / ".commits" / name
        shutil.copytree(base[1], tree)
        for line in lines:
            value = line["value"]
            path = tree / value.get("path", "")
            if line["key"] == "header":
                self.messages.append(value["summary"])
            elif line["key"] == "deletedFile":
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                is_lfs = line["key"] == "lfsFile"
                data = self.objects[value["oid"]] if is_lfs else base64.b64decode(value["content"])
                path.write_bytes(data)
        self.commits[repository, name] = tree
        self.branches[repository, branch] = name
        return name


class Hub(BaseHTTPRequestHandler):
    """Answers of one server."""

    state: State
    protocol_version = "HTTP/1.1"

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.state.paths.append(path)
        path = path.replace("api/datasets/", "api/models/").removeprefix("datasets/")
        listing = path.startswith("api/models/")
        owner, name, *segments = [*path.removeprefix("api/models/").split("/"), "", ""]
        repository = f"{owner}/{name}"
        kind, revision, file = (
            segments[0],
            segments[1] if len(segments) > 1 else "",
            "/".join(segments[2:-2]),
        )
        hidden = repository in self.state.private and self.token not in (READ, WRITE)
        if not path:
            return self.send(200)
        if self.token not in ("", READ, WRITE):
            return self.send(401, message="Invalid credentials in Authorization header")
        if not (owner and name and (self.state.root / repository).is_dir()) or hidden:
            return self.send(404, code="RepoNotFound")
        found = self.state.find(repository, revision)
        if found is None:
            return self.send(404, code="RevisionNotFound")
        commit, folder = found
        if listing:
            self.list(folder, commit, kind, "/".join(segments[2:]).strip("/"))
        elif (folder / "GATED").exists():
            self.send(403, code="GatedRepo")
        elif not (folder / file).is_file():
            self.send(404, commit=commit, code="EntryNotFound")
        else:
            self.send(200, (folder / file).read_bytes(), commit)

    def list(self, folder: Path, commit: str, kind: str, under: str) -> None:
        files = sorted(f for f in (folder / under).rglob("*") if f.is_file())
        names = [f.relative_to(folder).as_posix() for f in files]
        content: Any
        if kind == "tree" and not files:
            self.send(404, code="EntryNotFound")
        elif kind == "tree":
            content = [
                {"type": "file", "path": n, "size": f.stat().st_size, "oid": _hash(f.read_bytes())}
                for n, f in zip(names, files, strict=True)
            ]
            self.send_json(content)
        else:
            siblings = [{"rfilename": n} for n in names]
            self.send_json({"id": folder.name, "sha": commit, "siblings": siblings})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.state.paths.append(path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "api/validate-yaml":
            return self.validate(json.loads(body)["content"])
        if self.token != WRITE:
            unknown = self.token != READ
            text = "Invalid username or password." if unknown else "Forbidden: no right to write"
            return self.send(401 if unknown else 403, message=text)
        if path == "api/repos/create":
            return self.create(json.loads(body))
        if path.endswith("info/lfs/objects/batch"):
            return self.send_json({"transfer": "basic", "objects": [
                {**item, "actions": {
                    "upload": {"href": f"{self.state.address}/lfs/{item['oid']}"},
                    "verify": {"href": f"{self.state.address}/lfs/verify"},
                }}
                for item in json.loads(body)["objects"]
            ]})  # fmt: skip
        if path == "lfs/verify":
            item = json.loads(body)
            data = self.state.objects.get(item["oid"])
            return self.send(200 if data is not None and len(data) == item["size"] else 404)
        _, _, owner, name, kind, revision = path.split("/", 5)
        return self.change(f"{owner}/{name}", kind, revision, body)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        if hashlib.sha256(data).hexdigest() != oid:
            return self.send(400)
        self.state.objects[oid] = data
        return self.send(200)

    def create(self, body: dict[str, Any]) -> None:
        repository = f"{body['organization']}/{body['name']}"
        if body["organization"] != "me":
            return self.send(403, message="You don't have the rights to create a model there")
        if (self.state.root / repository).is_dir():
            url = json.dumps({"url": f"{self.state.address}/{repository}"}).encode()
            return self.send(409, url, message="You already created this model repo")
        (self.state.root / repository).mkdir(parents=True)
        (self.state.root / repository / ".gitattributes").write_text("*.safetensors filter=lfs\n")
        if body.get("visibility") == "private":
            self.state.private.add(repository)
        return self.send_json({"url": f"{self.state.address}/{repository}"})

    def change(self, repository: str, kind: str, revision: str, body: bytes) -> None:
        found = self.state.find(repository, "main" if kind == "branch" else revision)
        if found is None:
            return self.send(404, code="RevisionNotFound")
        if kind == "branch":
            if (repository, revision) in self.state.branches:
                return self.send(409, message="Reference already exists")
            self.state.commits[repository, found[0]] = found[1]
            self.state.branches[repository, revision] = found[0]
            return self.send(200)
        if kind == "preupload":
            return self.send_json({"files": [
                {"path": file["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular"}
                for file in json.loads(body)["files"]
            ]})  # fmt: skip
        lines = [json.loads(line) for line in body.splitlines()]
        commit = self.state.commit(repository, revision, lines)
        url = f"{self.state.address}/{repository}/commit/{commit}"
        return self.send_json({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})

    def validate(self, content: str) -> None:
        """The hub's check of a card's head, as far as its form goes."""
        head = content.split("---\n")[1] if content.startswith("---\n") else ""
        metadata = yaml.safe_load(head)
        errors = [] if isinstance(metadata, dict) else [{"message": "no metadata"}]
        self.send_json({"errors": errors, "warnings": []})

    def send_json(self, content: object) -> None:
        self.send(200, json.dumps(content).encode())

    def send(
        self, status: int, body: bytes = b"", commit: str = COMMIT, *, code: str = "",
        message: str = "",
    ) -> None:  # fmt: skip
        self.send_response(status)
        for name, value in (("X-Repo-Commit", commit), ("ETag", f'"{_hash(body)}"')):
            self.send_header(name, value)
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `paths`."""


def _hash(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


@contextlib.contextmanager
def serving_state(root: Path) -> Iterator[State]:
    """A server of the repositories in a folder, with its address for HF_ENDPOINT."""
    state = State(root)
    handler = type("Serving", (Hub,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, for HF_ENDPOINT, and the paths that it was asked for."""
    with serving_state(root) as state:
        yield state.address, state.paths
