"""An authentication object for ``requests``: puts the integration's token into each request, and after a 401 tries once more.

    requests.get(url, auth=TokenAuth(Client(), "crm-prod"))

The service is whoever the caller names: give it only to sessions that talk to the integration's own service.
"""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import AuthBase

from .answers import Token
from .client import Client


class TokenAuth(AuthBase):
    """The token of an integration, as ``Authorization``."""

    def __init__(self, client: Client, name: str, *, min_ttl: int | None = None, scope: str | None = None) -> None:
        self._client, self._name, self._min_ttl, self._scope = client, name, min_ttl, scope

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._client.token(self._name, self._min_ttl, scope=self._scope)
        request.headers["Authorization"] = token.authorization
        body = request.body
        # A stream is at its end after the first time: it can be sent again only from where it began.
        start = body.tell() if body is not None and hasattr(body, "tell") and hasattr(body, "seek") else None
        is_repeatable = body is None or isinstance(body, (bytes, str)) or start is not None

        def after(response: requests.Response, **settings: Any) -> requests.Response:
            if response.status_code == 401 and is_repeatable:
                return self._again(response, token, start, settings)
            return response

        request.register_hook("response", after)  # type: ignore[no-untyped-call]
        return request

    def _again(
        self, response: requests.Response, token: Token, start: int | None, settings: dict[str, Any]
    ) -> requests.Response:
        """The request once more, with a newer token, if there is one."""
        sent = response.request
        if sent.headers.get("Authorization") != token.authorization:
            # Another place, after a redirect: requests took the token away, and it isn't given to others.
            return response
        newer = self._client.renewed(self._name, token, scope=self._scope)
        if newer is None:
            return response
        # Read to its end, so that the connection can be used again.
        response.content
        response.close()
        again = sent.copy()
        again.headers["Authorization"] = newer.authorization
        again.hooks = {"response": []}
        body: Any = again.body
        if start is not None:
            body.seek(start)
        answer: requests.Response = response.connection.send(again, **settings)
        answer.history.append(response)
        answer.request = again
        return answer
