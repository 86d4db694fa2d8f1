"""Media from other hosts: only from those that the operator allows, and never from private ones."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urljoin, urlsplit

from anymodal.config.printable import printable
from anymodal.io.message_parts import holds_text
from anymodal.media import Limits, MediaError
from anymodal.media.limits import mib

MOST_REDIRECTS = 3
_CHUNK = 2**16
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_SCHEMES = {"http": 80, "https": 443}


def is_public(address: str) -> bool:
    """Return whether an address is anybody's on the Internet, also where one of version 6 holds one
    of version 4.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _NAT64) or ip.teredo or ip.sixtofour:
            return False
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


class RemoteMedia:
    """Fetches media that a request names by a URL.

    The host must be allowed; every address of it must be public, and the one that was checked is
    the one that is called; a redirect is checked like a first URL; size and time are capped.

    Args:
        hosts: allowed ones, as `example.org` or `*.example.org`.
        limits: of the size.
        seconds: the longest that it may take, redirects included.
        public: tells of an address whether it may be called.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        limits: Limits,
        seconds: float,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self.hosts = [host.lower().rstrip(".") for host in hosts]
        self.limits, self.seconds, self.public = limits, seconds, public

    def with_content(self, part: object) -> object:
        """A part with what its URL gives in the URL's place; other parts as they are.

        Raises:
            ValueError: if the URL may not be fetched, or can't be.
        """
        if not isinstance(part, Mapping) or holds_text(part):
            return part
        return {key: self._with_content(body) for key, body in part.items()}

    def _with_content(self, body: object) -> object:
        """The value of a part's key, with the content of its URL in the URL's place."""
        url = body.get("url") if isinstance(body, Mapping) else body
        # Cut, since a data URL may have many megabytes.
        if not isinstance(url, str) or urlsplit(url[:16]).scheme.lower() not in _SCHEMES:
            return body
        return {**(body if isinstance(body, Mapping) else {}), "url": self.fetch(url)}

    def fetch(self, url: str) -> bytes:
        """The bytes that a URL names.

        Raises:
            ValueError: if it may not be fetched, or can't be.
        """
        end = time.monotonic() + self.seconds
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._get(url, end)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise MediaError(f"the URL leads from one to another more than {MOST_REDIRECTS} times")

    def _get(self, url: str, end: float) -> bytes | str:
        """The bytes of a URL, or the URL that it redirects to."""
        scheme, host, port, target = self._parse_url(url)
        address = self._address(host, port)
        # At least a little: a timeout of 0 would mean a socket that doesn't block.
        seconds = max(0.01, end - time.monotonic())
        connection = _PinnedConnection(scheme, host, port, address, seconds)
        # A socket's timeout is of one read: by a byte now and then a host could hold it for ever.
        timer = threading.Timer(seconds, connection.abort)
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", target, headers={"User-Agent": "anymodal", "Accept": "*/*"})
            response = connection.getresponse()
            if response.status in (301, 302, 303, 307, 308):
                return urljoin(url, response.getheader("Location") or "")
            if response.status != 200:
                raise MediaError(f"the host {host} answers with status {response.status}")
            return self._read_body(response, end, host)
        # Its text may tell of this network. The second: the answer was aborted between two reads.
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, MediaError):
                raise
            if time.monotonic() > end:
                raise self._too_slow(host) from None
            raise MediaError(f"the host {host} can't be reached, or its answer broke off") from None
        finally:
            timer.cancel()
            connection.close()

    def _parse_url(self, url: str) -> tuple[str, str, int, str]:
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        except ValueError:
            raise MediaError(f"{printable(url)} is no valid URL") from None
        if scheme not in _SCHEMES or parts.username is not None or not url.isascii():
            raise MediaError(f"{printable(url)} is no plain http or https URL")
        if any(ord(char) <= 32 for char in url):
            raise MediaError(f"{printable(url)} is no valid URL")
        if not self._is_allowed(host.rstrip(".")):
            raise MediaError(f"this server fetches nothing from {printable(host)}; give a data URL")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return scheme, host, port or _SCHEMES[scheme], target

    def _is_allowed(self, host: str) -> bool:
        return any(
            host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
            for pattern in self.hosts
        )

    def _address(self, host: str, port: int) -> str:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise MediaError(f"there is no host {printable(host)}") from None
        addresses = [str(entry[4][0]).partition("%")[0] for entry in entries]
        # All of them: a name with one private address is a trap, whichever is called.
        if not addresses or not all(map(self.public, addresses)):
            raise MediaError(f"the host {printable(host)} is none of the public Internet")
        return addresses[0]

    def _read_body(self, response: http.client.HTTPResponse, end: float, host: str) -> bytes:
        most, parts, size = self.limits.max_bytes, [], 0
        while chunk := response.read1(_CHUNK):  # what is there, so that a slow host is noticed
            size += len(chunk)
            parts.append(chunk)
            if size > most:
                raise MediaError(f"what {host} gives is over the limit of {mib(most)}")
            if time.monotonic() > end:
                raise self._too_slow(host)
        if time.monotonic() > end:  # what was cut off looks like an end
            raise self._too_slow(host)
        return b"".join(parts)

    def _too_slow(self, host: str) -> MediaError:
        return MediaError(f"{host} takes longer than {self.seconds:g} s")


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to the address that was checked, under the host's name."""

    def __init__(self, scheme: str, host: str, port: int, address: str, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self.default_port = _SCHEMES[scheme]
        self._address, self._is_aborted = address, False
        self._context = ssl.create_default_context() if scheme == "https" else None

    def connect(self) -> None:
        """Connect; a certificate must be the host's."""
        # Not by the name: a second look-up could give another address than the one checked.
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._context is not None:
            self.sock = self._context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
        if self._is_aborted:
            raise TimeoutError
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def abort(self) -> None:
        """End what is under way, from another thread."""
        self._is_aborted = True
        with contextlib.suppress(OSError):  # it is closed by now
            if self.sock is not None:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
