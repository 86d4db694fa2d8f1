"""Names that a server answers to, and pages that may ask it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from anymodal.config.printable import printable
from anymodal.serving.api.errors import ApiError

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing. A browser keeps their answers from pages of other sites."""


class HostCheck:
    """Refuses requests that a web page of another site makes a browser send.

    A page can let its own name lead to this machine (DNS rebinding); a browser then takes this
    server for the page's own. So a request must name the server by an address, which such a page
    can't, or by a name that is known here. And what a page asks for comes with its own origin.

    Args:
        names: by which it is called, beside addresses and `localhost`.
        origins: of pages that may ask, as `https://chat.example.org`.
    """

    def __init__(self, names: Sequence[str], origins: Sequence[str]) -> None:
        self.names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self.origins = {origin.lower() for origin in origins}

    def check(self, method: str, host: str, origin: str) -> None:
        """Check a request by its headers `Host` and `Origin`; empty where it has none.

        Raises:
            ApiError: if it may not be answered.
        """
        name = _hostname(f"//{host}")
        if host and not self._is_known(name):
            raise ApiError(
                403, f"this server doesn't answer to the name {printable(name)[:80]}; start it "
                "with --server-name to let it", code="host_not_allowed",
            )  # fmt: skip
        if origin and method not in _SAFE and not self._may_ask(origin.lower(), host.lower()):
            raise ApiError(
                403, f"pages of {printable(origin)[:80]} may not ask this server; start it with "
                "--cors-origin to let them", code="origin_not_allowed",
            )  # fmt: skip

    def _is_known(self, name: str) -> bool:
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _may_ask(self, origin: str, host: str) -> bool:
        is_own = origin.partition("://")[2] == host  # a proxy may have taken the scheme away
        # Not `localhost`, which every program of this machine is.
        is_named = _hostname(origin) in self.names - {"localhost"}
        return is_own or is_named or bool(self.origins & {origin, "*"})


def _hostname(url: str) -> str:
    """The host of a URL, in lower case and without a port; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
