"""One request to the daemon over the standard library's HTTP client.

Takes no proxy from the environment and follows no redirect, since the credential goes with every call.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import SplitResult, urlencode, urlsplit

from .errors import TokenhostError, Unreachable

#: The largest answer that is read, in bytes.
LARGEST = 64 * 1024 * 1024


class Transport:
    """Where the daemon is, and the credential for it."""

    def __init__(self, url: str, token: str) -> None:
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise TokenhostError(f"the daemon's URL {url!r} is no http or https URL; set TOKENHOST_URL")
        if place.username or place.password or place.query or place.fragment:
            raise TokenhostError("the daemon's URL has a user, a query or a fragment; set TOKENHOST_URL")
        if not token.isascii() or not token.isprintable() or not token:
            raise TokenhostError("the daemon's token has characters that no token has; set TOKENHOST_TOKEN")
        self._place: SplitResult = place
        self._base = place.path.rstrip("/")
        self._token = token
        self._tls = ssl.create_default_context() if place.scheme == "https" else None

    def send(
        self, method: str, path: str, query: dict[str, str], body: bytes | None, timeout: float
    ) -> tuple[int, str | None, bytes]:
        """Status, ``Retry-After`` and body of the answer. ``timeout``: seconds of silence."""
        host, port = self._place.hostname or "", self._place.port
        if self._tls is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        headers = {
            "Accept": "application/json, application/problem+json",
            "Authorization": f"Bearer {self._token}",
            "User-Agent": "tokenhost-python/0.1.0",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        target = self._base + path + ("?" + urlencode(query) if query else "")
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise TokenhostError("the daemon's answer is larger than 64 MiB")
            return answer.status, answer.getheader("Retry-After"), content
        except (OSError, http.client.HTTPException) as error:
            place = f"{self._place.scheme}://{self._place.netloc}"
            reason = str(error) or type(error).__name__
            raise Unreachable(f"the daemon at {place} can't be reached: {reason}", sent=sent) from error
        finally:
            connection.close()
