"""Starts an OAuth provider on loopback that gives tokens for signed JWTs (RFC 7523 section 2.1), for tests.

The grant is Authlib's: it checks signature, issuer, audience, lifetime and subject. Here is only what Authlib leaves to
whoever uses it: a client, a user, and HTTP. It prints one line of JSON when it is ready, and ends when its standard input
closes. Run it with any python3, as ../django/server.py.
"""

import json
import os
import pathlib
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from prepared import use_prepared_environment  # noqa: E402, beside this folder

ISSUER, USER, SCOPES = "robot@project.example", "ada", "crm.read crm.write"


def make_server(url):
    """The authorization server, the client's private key, and the tokens that were given, each with whose it is."""
    from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
    from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
    from authlib.oauth2.rfc6750 import BearerTokenGenerator
    from authlib.oauth2.rfc7523 import JWTBearerGrant
    from joserfc.jwk import ECKey

    key, given = ECKey.generate_key("P-256"), {}

    class Client(ClientMixin):
        def get_allowed_scope(self, scope):
            return " ".join(word for word in (scope or "").split() if word in SCOPES.split())

        def check_grant_type(self, grant_type):
            return grant_type == JWTBearerGrant.GRANT_TYPE

    class Request(OAuth2Request):
        @property
        def form(self):
            return self.payload.data

    class Server(AuthorizationServer):
        def save_token(self, token, request):
            given[token["access_token"]] = {"user": request.user, "scopes": token.get("scope", "").split()}

        def create_oauth2_request(self, request):
            made = Request(request.command, f"{url}{request.path}", headers=request.headers)
            made.payload = BasicOAuth2Payload(request.fields)
            return made

        def handle_response(self, status, body, headers):
            return status, body, headers

        def send_signal(self, name, *args, **kwargs):
            pass

    class Grant(JWTBearerGrant):
        def resolve_issuer_client(self, issuer):
            return Client() if issuer == ISSUER else None

        def resolve_client_public_key(self, client):
            return ECKey.import_key(key.as_dict(private=False))

        def authenticate_user(self, subject):
            return subject if subject in (USER, ISSUER) else None

        def get_audiences(self):
            return [f"{url}/token"]

        def has_granted_permission(self, client, user):
            return True

    server = Server(SCOPES.split())
    generator = BearerTokenGenerator(lambda **_: secrets.token_urlsafe(24), expires_generator=lambda *_: 300)
    server.register_token_generator("default", generator)
    server.register_grant(Grant)
    return server, key, given


def main():
    use_prepared_environment("authlib")
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # on loopback
    log = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body, headers=()):
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(text)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.fields = dict(parse_qsl(body.decode()))
            status, answer, headers = server.create_token_response(self)
            log.append({"grant_type": self.fields.get("grant_type"), "status": status, "error": answer.get("error")})
            self.answer(status, answer, headers)

        def do_GET(self):
            whose = given.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            if self.path == "/_log":
                self.answer(200, log, [("Content-Type", "application/json")])
            else:
                self.answer(200 if whose else 401, whose or {}, [("Content-Type", "application/json")])

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{http.server_port}"
    server, key, given = make_server(url)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    client = {"issuer": ISSUER, "private_key": key.as_pem(private=True).decode()}
    ready = {"ready": True, "provider": "authlib", "issuer": url, "token_url": f"{url}/token", "api_url": f"{url}/me",
             "log_url": f"{url}/_log", "user": {"username": USER}, "clients": {"robot": client}}
    print(json.dumps(ready), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
