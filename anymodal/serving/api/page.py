"""The web page at `/`, and the facts that it needs beside OpenAI's API."""

from __future__ import annotations

import hashlib
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

import anymodal.serving
from anymodal.chat.messages import MAX_MEDIA
from anymodal.media import Media
from anymodal.media.suffixes import KINDS_BY_SUFFIX
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.state import state_of

router = APIRouter(include_in_schema=False)
FOLDER = Path(anymodal.serving.__file__).parent / "page"
INDEX, FACTS = "index.html", "facts.json"
# Nothing but this server's own files runs, and nothing is fetched from or sent to another host.
_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        "img-src 'self' data: blob:", "media-src blob:", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    )
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Cache-Control": "no-cache",
}


@router.get("/", response_model=None)
async def page(request: Request) -> Response:
    """Send the page."""
    return _file(request, INDEX)


@router.get("/page/facts.json", response_model=None)
async def facts(request: Request) -> dict[str, Any]:
    """Tell the page what files may be attached: their kinds by suffix, and limits."""
    settings = state_of(request).settings
    suffixes = {suffix: sorted(kinds) for suffix, kinds in KINDS_BY_SUFFIX.items()}
    for kind, cls in Media.kinds.items():
        for suffix in cls.saves:
            suffixes.setdefault(suffix, [kind])
    limits = {
        "body_bytes": settings.max_body_bytes,
        "file_bytes": min(settings.limits.max_bytes, settings.max_body_bytes * 3 // 4),  # base64
        "media": MAX_MEDIA,
    }
    return {"suffixes": suffixes, "limits": limits}


@router.get("/page/{name}", response_model=None)
async def page_file(request: Request, name: str) -> Response:
    """Send a script, a style sheet or a drawing of the page."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    files = page_files()
    if name not in files:
        raise ApiError(404, "the page has no such file")
    content, mime, tag = files[name]
    headers = {**HEADERS, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=mime, headers=headers)


@cache
def page_files() -> dict[str, tuple[bytes, str, str]]:
    """Content, type and tag of each of the page's files, which are small and read once."""
    files = {}
    for path in sorted(FOLDER.iterdir()):
        content = path.read_bytes()
        # Not as the system has it, where scripts may be plain text.
        mime = "text/javascript" if path.suffix == ".js" else guess_type(path.name)[0]
        digest = hashlib.sha256(content).hexdigest()[:32]
        files[path.name] = content, mime or "application/octet-stream", f'"{digest}"'
    return files
