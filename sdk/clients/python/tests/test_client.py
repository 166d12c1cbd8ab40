"""What belongs to Python alone: where daemon and credential come from, what shows no secret, streams as bodies."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest
import requests
import tokenhost
from tokenhost.requests import TokenAuth

from scripted import Scripted


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


TOKEN = {"access_token": "hunter2", "token_type": "Bearer", "expires_in": 900, "generation": 1}


def test_daemon_and_credential_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, server: Scripted) -> None:
    monkeypatch.setenv("TOKENHOST_URL", server.url + "/below/")
    monkeypatch.setenv("TOKENHOST_TOKEN", "tha_env\n")
    expected = {"method": "GET", "path": "/below/v1/integrations/crm/token", "headers": {"authorization": "Bearer tha_env"}}
    server.play([{"request": expected, "answer": {"status": 200, "body": TOKEN}}], lambda callers: None)
    token = tokenhost.Client().token("crm")
    assert (token.access_token, server.faults) == ("hunter2", [])
    assert "hunter2" not in repr(token)
    monkeypatch.delenv("TOKENHOST_TOKEN")
    with pytest.raises(tokenhost.TokenhostError, match="TOKENHOST_TOKEN"):
        tokenhost.Client()


@pytest.mark.parametrize("url", ["127.0.0.1:8420", "ftp://a", "http://me:pw@a", "http://a?x=y", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(tokenhost.TokenhostError, match="TOKENHOST_URL"):
        tokenhost.Client(url, "tha_x")


def test_a_token_that_no_header_holds_is_refused_and_not_repeated() -> None:
    with pytest.raises(tokenhost.TokenhostError) as caught:
        tokenhost.Client("http://a", "tha_hunter\n2")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(tokenhost.TokenhostError, match="no name"):
        tokenhost.Client("http://127.0.0.1:1", "tha_x").token(name)


def test_where_nobody_listens_nothing_was_sent_and_it_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        waits: list[float] = []
        client = tokenhost.Client(f"http://127.0.0.1:{unused.getsockname()[1]}", "tha_x", sleep=waits.append)
        with pytest.raises(tokenhost.Unreachable) as caught:
            client.call("crm", "create", body=b"x")
    assert (caught.value.sent, len(waits)) == (False, 3)


def test_a_stream_is_sent_again_from_where_it_began(server: Scripted) -> None:
    service = {"method": "POST", "path": "/service", "text": "body"}
    server.play(
        [
            {"request": {"method": "GET", "path": "/v1/integrations/crm/token"}, "answer": {"status": 200, "body": TOKEN}},
            {"request": service, "answer": {"status": 401}},
            {
                "request": {"method": "POST", "path": "/v1/integrations/crm/token/reject"},
                "answer": {"status": 202, "body": {"result": "renewing"}},
            },
            {
                "request": {"method": "GET", "path": "/v1/integrations/crm/token"},
                "answer": {"status": 200, "body": TOKEN | {"generation": 2}},
            },
            {"request": service, "answer": {"status": 200, "text": "fine"}},
        ],
        lambda callers: None,
    )
    stream = io.BytesIO(b"some body")
    stream.seek(5)
    auth = TokenAuth(tokenhost.Client(server.url, "tha_x"), "crm")
    answer = requests.post(server.url + "/service", data=stream, auth=auth, timeout=10)
    assert (answer.text, server.faults, [one.status_code for one in answer.history]) == ("fine", [], [401])
