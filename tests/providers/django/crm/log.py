"""Counts the requests to the token endpoint, so that a test can prove "exactly one" and "no refresh token sent twice".

It holds no token, only SHA-256 digests.
"""

import base64
import hashlib
import json
import threading
import time
from urllib.parse import unquote_plus

from django.conf import settings
from django.http import JsonResponse

ENTRIES = []
LOCK = threading.Lock()


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest() if token else None


def client_id(request):
    """Of the `Authorization` header, else of the form."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            return unquote_plus(base64.b64decode(value).decode().partition(":")[0])
        except ValueError:
            return None
    return request.POST.get("client_id")


class TokenLog:
    """Middleware: writes the log, and delays the token endpoint's answers where the command line says so."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path != "/o/token/":
            return self.get_response(request)
        now = int(time.time() * 1000)
        response = self.get_response(request)
        try:
            answer = json.loads(response.content)
        except ValueError:
            answer = {}
        entry = {
            "time": now,
            "grant_type": request.POST.get("grant_type"),
            "client_id": client_id(request),
            "username": request.POST.get("username"),
            "status": response.status_code,
            "error": answer.get("error"),
            "refresh_token_sha256": digest(request.POST.get("refresh_token")),
            "issued_refresh_token_sha256": digest(answer.get("refresh_token")),
        }
        with LOCK:
            ENTRIES.append(entry)
        if delay := settings.CHOSEN["answer_delay_ms"]:
            time.sleep(delay / 1000)
        return response


def show(request):
    """`GET /_log` shows the log, `DELETE /_log` empties it."""
    with LOCK:
        if request.method == "DELETE":
            ENTRIES.clear()
        return JsonResponse(list(ENTRIES), safe=False)
