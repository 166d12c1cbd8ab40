"""The client: tokens, kept until near their end; rejections; what to add to a request; calls that the daemon makes.

Safe to share between threads: callers that need the same token at once cause one request.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any
from urllib.parse import quote

from . import _pace
from ._transport import Transport
from .answers import Answer, Authorization, Rejection, Token
from .errors import BadAnswer, Problem, TokenhostError

#: Where the daemon is where nobody says otherwise.
DEFAULT_URL = "http://127.0.0.1:8420"
#: A kept token has at least so many seconds left.
MARGIN = 30.0
#: A token whose end nobody knows is kept for so many seconds.
UNKNOWN = 60.0
#: The most tokens that are kept.
MOST = 1000


class _Flight(Future[Token]):
    """A request for a token, which all callers of the moment share."""

    def __init__(self) -> None:
        super().__init__()
        self.callers = 1


class Client:
    """A client of the daemon at ``url`` (``TOKENHOST_URL``), with the application or personal token ``token``
    (``TOKENHOST_TOKEN``).

    ``timeout``: seconds of silence after which an answer isn't waited for (the daemon itself waits up to 30 for a token).
    ``retries``: how often a request is sent once more after 429, 502, 503 or no answer, where it may be; ``max_wait``: the
    most seconds that one call waits in between.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 75.0,
        retries: int = 3,
        max_wait: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = url or os.environ.get("TOKENHOST_URL") or DEFAULT_URL
        token = (token or os.environ.get("TOKENHOST_TOKEN") or "").strip()
        if not token:
            raise TokenhostError("no token for the daemon: give one, or set TOKENHOST_TOKEN")
        self._transport = Transport(url, token)
        self._timeout, self._retries, self._max_wait = timeout, retries, max_wait
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        # By integration and scope: the token, and until when (by the clock) it is good; None: nobody knows.
        self._kept: dict[tuple[str, str], tuple[Token, float, float | None]] = {}
        self._flights: dict[tuple[str, str, int], _Flight] = {}

    def token(self, name: str, min_ttl: int | None = None, *, scope: str | None = None) -> Token:
        """A valid token of the integration, with at least ``min_ttl`` seconds left as far as its tokens last that long."""
        key = (name, scope or "")
        with self._lock:
            if kept := self._good(key, min_ttl or 0):
                return kept
            flight_key = (*key, min_ttl or 0)
            flight = self._flights.get(flight_key)
            is_first = flight is None
            if flight is None:
                flight = self._flights[flight_key] = _Flight()
            else:
                flight.callers += 1
        if is_first:
            try:
                token = self._ask(key, min_ttl)
            except BaseException as error:
                with self._lock:
                    del self._flights[flight_key]
                flight.set_exception(error)
                raise
            with self._lock:
                del self._flights[flight_key]
            flight.set_result(token)
            return token
        return flight.result()

    def reject(self, name: str, generation: int, *, scope: str | None = None) -> Rejection:
        """Reports that the service refused the token of this generation; a newer one is got unless there is one."""
        self._forget((name, scope or ""), generation)
        path, query = _path(name, "token", "reject"), {"scope": scope} if scope else {}
        return Rejection.of(self._call("POST", path, query, {"generation": generation}, repeatable=True))

    def authorize(
        self,
        name: str,
        operation: str,
        *,
        min_ttl: int | None = None,
        body_sha256: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: str | None = None,
        challenge: str | None = None,
    ) -> Authorization:
        """What to add to a request for ``operation``: an operation id, or ``"GET /contacts"``.

        ``body_sha256`` (hex), ``headers``, ``query`` (as in the URL) and ``challenge`` are what signatures need of the request.
        """
        body = _operation(operation) | _given(
            min_ttl=min_ttl, body_sha256=body_sha256, headers=headers, query=query, challenge=challenge
        )
        return Authorization.of(self._call("POST", _path(name, "authorize"), {}, body, repeatable=True))

    def call(
        self,
        name: str,
        operation: str,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        min_ttl: int | None = None,
        repeatable: bool = False,
    ) -> Answer:
        """Has the daemon call ``operation`` (an operation id, or ``"GET /contacts/{id}"``); gives what the service answered.

        ``body``: what JSON can hold, or ``bytes``. ``timeout``: seconds that the service has, rounded up. ``repeatable``: whether the
        call may reach the service twice, so that it is made once more where nobody knows whether it did.
        """
        if isinstance(body, (bytes, bytearray)):
            import base64

            body = {"base64": base64.b64encode(body).decode()}
        document = _operation(operation) | _given(
            parameters=parameters,
            body=body,
            content_type=content_type,
            headers=headers,
            timeout=None if timeout is None else math.ceil(timeout),
            min_ttl=min_ttl,
        )
        patience = self._timeout if timeout is None else max(self._timeout, timeout + 45)
        return Answer.of(self._call("POST", _path(name, "call"), {}, document, repeatable=repeatable, patience=patience))

    def renewed(self, name: str, token: Token, *, scope: str | None = None) -> Token | None:
        """What adapters do after a 401: rejects this token and gets the next; None where there is no newer one."""
        try:
            self.reject(name, token.generation, scope=scope)
        except Problem as problem:
            if problem.code != "too_soon":
                raise
        newer = self.token(name, scope=scope)
        return newer if newer.generation != token.generation else None

    def _good(self, key: tuple[str, str], min_ttl: int) -> Token | None:
        """The kept token, where it is good enough. Under the lock."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        token, until, end = kept
        now = self._clock()
        if now > until or (end is not None and end - now < min_ttl) or (end is None and min_ttl > 0):
            return None
        return token if end is None else _with_time(token, int(end - now))

    def _ask(self, key: tuple[str, str], min_ttl: int | None) -> Token:
        name, scope = key
        query = _given(min_ttl=None if min_ttl is None else str(min_ttl), scope=scope or None)
        asked = self._clock()
        token = Token.of(self._call("GET", _path(name, "token"), query, None, repeatable=True))
        end = None if token.expires_in is None else asked + token.expires_in
        until = asked + UNKNOWN if end is None else end - MARGIN
        with self._lock:
            if until > asked:
                if len(self._kept) >= MOST:
                    self._kept.clear()
                self._kept[key] = (token, until, end)
            else:
                self._kept.pop(key, None)
        return token

    def _forget(self, key: tuple[str, str], generation: int) -> None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0].generation <= generation:
                del self._kept[key]

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, Any],
        body: dict[str, Any] | None,
        *,
        repeatable: bool,
        patience: float | None = None,
    ) -> Any:
        """One call of the API, repeated where that may be; the JSON that came."""
        content = None if body is None else json.dumps(body).encode()
        waited = 0.0
        attempt = 1
        while True:
            try:
                return self._once(method, path, query, content, patience or self._timeout)
            except TokenhostError as error:
                wait = _pace.wait(attempt, error)
                again = attempt <= self._retries and _pace.may_repeat(error, repeatable)
                if not again or waited + wait > self._max_wait:
                    raise
                self._sleep(wait)
                waited += wait
                attempt += 1

    def _once(self, method: str, path: str, query: dict[str, Any], content: bytes | None, patience: float) -> Any:
        status, retry_after, answer = self._transport.send(method, path, query, content, patience)
        if not 200 <= status < 300:
            raise Problem.of(status, retry_after, answer)
        try:
            return json.loads(answer)
        except ValueError:
            raise BadAnswer("the answer is no JSON; is TOKENHOST_URL right?") from None


def _with_time(token: Token, seconds: int) -> Token:
    from dataclasses import replace

    return replace(token, expires_in=seconds)


def _path(name: str, *below: str) -> str:
    if name in ("", ".", ".."):
        raise TokenhostError(f"{name!r} is no name of an integration")
    return "/".join(["", "v1", "integrations", quote(name, safe=""), *below])


def _operation(operation: str) -> dict[str, Any]:
    """An operation id, or method and path."""
    method, blank, path = operation.partition(" ")
    if blank and path.startswith("/"):
        return {"method": method, "path": path}
    return {"operation_id": operation}


def _given(**members: Any) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in members.items() if value is not None
    }
