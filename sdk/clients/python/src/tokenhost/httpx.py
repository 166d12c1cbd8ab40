"""An authentication object for ``httpx``, in both its forms: puts the integration's token into each request, and after a 401
tries once more.

    httpx.Client(auth=TokenAuth(Client(), "crm-prod"))

The service is whoever the caller names: give it only to clients that talk to the integration's own service. Under
``AsyncClient`` the daemon is asked in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import httpx

from .client import Client


class TokenAuth(httpx.Auth):
    """The token of an integration, as ``Authorization``."""

    # A stream would be at its end the second time.
    requires_request_body = True

    def __init__(self, client: Client, name: str, *, min_ttl: int | None = None, scope: str | None = None) -> None:
        self._client, self._name, self._min_ttl, self._scope = client, name, min_ttl, scope

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """As httpx's own says."""
        request.read()
        token = self._client.token(self._name, self._min_ttl, scope=self._scope)
        request.headers["Authorization"] = token.authorization
        response = yield request
        if response.status_code == 401:
            response.read()
            newer = self._client.renewed(self._name, token, scope=self._scope)
            if newer is not None:
                request.headers["Authorization"] = newer.authorization
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As httpx's own says."""
        await request.aread()
        token = await asyncio.to_thread(self._client.token, self._name, self._min_ttl, scope=self._scope)
        request.headers["Authorization"] = token.authorization
        response = yield request
        if response.status_code == 401:
            await response.aread()
            newer = await asyncio.to_thread(self._client.renewed, self._name, token, scope=self._scope)
            if newer is not None:
                request.headers["Authorization"] = newer.authorization
                yield request
