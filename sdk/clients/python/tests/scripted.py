"""A server on loopback that plays the exchanges of ``sdk/clients/cases``: daemon and service at once."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Scripted:
    """Answers what the script says, in order, and notes what it didn't expect."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._exchanges: deque[dict[str, Any]] = deque()
        self._ready: Callable[[int], None] = lambda callers: None
        script = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                script._answer(self)

            do_GET = do_POST = handle_any

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def play(self, exchanges: list[dict[str, Any]], ready: Callable[[int], None]) -> None:
        """``ready`` returns when so many callers wait."""
        self._exchanges, self._ready = deque(exchanges), ready

    def left(self) -> int:
        return len(self._exchanges)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        content = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.close_connection = True
        if not self._exchanges:
            self.faults.append(f"{request.command} {request.path} was not expected")
            request.send_error(500)
            return
        exchange = self._exchanges.popleft()
        self._compare(request, content, exchange["request"])
        if "when_waiting" in exchange:
            self._ready(exchange["when_waiting"])
        answer = exchange["answer"]
        if answer == "drop":
            return
        media = "text/plain"
        body = answer.get("text", "")
        for member, kind in (("body", "application/json"), ("problem", "application/problem+json")):
            if member in answer:
                media, body = kind, json.dumps(answer[member])
        request.send_response(answer["status"])
        for name, value in {"content-type": media, "connection": "close", **answer.get("headers", {})}.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    def _compare(self, request: BaseHTTPRequestHandler, content: bytes, expected: dict[str, Any]) -> None:
        target = urlsplit(request.path)
        got: dict[str, Any] = {"method": request.command, "path": target.path}
        if "query" in expected:
            got["query"] = dict(parse_qsl(target.query, keep_blank_values=True))
        if "headers" in expected:
            got["headers"] = {name: request.headers.get(name) for name in expected["headers"]}
        if "body" in expected:
            got["body"] = json.loads(content or b"null")
        if "text" in expected:
            got["text"] = content.decode()
        if got != expected:
            self.faults.append(f"expected {expected}, got {got}")
