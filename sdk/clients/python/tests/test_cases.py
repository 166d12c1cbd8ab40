"""The client and its adapters held against ``sdk/clients/cases``, which the clients in all languages read."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import tokenhost
import tokenhost.httpx
import tokenhost.requests
from scripted import Scripted

CASES = Path(__file__).parents[2] / "cases"


def cases(*names: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{name}: {case['name']}")
        for name in names
        for case in json.loads((CASES / f"{name}.json").read_text())
    ]


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


class Time:
    """A clock that a test moves, and waits that only pass on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def requests_adapter(client: tokenhost.Client, url: str, step: dict[str, Any]) -> tuple[int, str]:
    auth = tokenhost.requests.TokenAuth(client, step["integration"])
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(step["method"], url, data=step.get("body"), auth=auth, timeout=10)
    return answer.status_code, answer.text


def httpx_adapter(client: tokenhost.Client, url: str, step: dict[str, Any]) -> tuple[int, str]:
    auth = tokenhost.httpx.TokenAuth(client, step["integration"])
    with httpx.Client(auth=auth, trust_env=False) as session:
        answer = session.request(step["method"], url, content=step.get("body"))
    return answer.status_code, answer.text


def async_httpx_adapter(client: tokenhost.Client, url: str, step: dict[str, Any]) -> tuple[int, str]:
    async def send() -> tuple[int, str]:
        auth = tokenhost.httpx.TokenAuth(client, step["integration"])
        async with httpx.AsyncClient(auth=auth, trust_env=False) as session:
            answer = await session.request(step["method"], url, content=step.get("body"))
        return answer.status_code, answer.text

    return asyncio.run(send())


ADAPTERS = [requests_adapter, httpx_adapter, async_httpx_adapter]
Adapter = Callable[[tokenhost.Client, str, dict[str, Any]], tuple[int, str]]


def do(client: tokenhost.Client, server: Scripted, step: dict[str, Any], adapter: Adapter) -> dict[str, Any]:
    """Does a step; what came of it as a document."""
    known = ("integration", "do", "exchanges", "waits", "result", "error", "callers", "method", "path")
    given = {name: value for name, value in step.items() if name not in known}
    match step["do"]:
        case "token":
            return dataclasses.asdict(client.token(step["integration"], **given))
        case "reject":
            return dataclasses.asdict(client.reject(step["integration"], **given))
        case "authorize":
            return dataclasses.asdict(client.authorize(step["integration"], **given))
        case "call":
            answer = dataclasses.asdict(client.call(step["integration"], **given))
            if isinstance(answer["body"], bytes):
                answer["bytes"] = list(answer["body"])
            return answer
        case "send":
            status, text = adapter(client, server.url + step["path"], step)
            return {"status": status, "text": text}
        case other:
            raise AssertionError(other)


def outcome(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return act()
    except tokenhost.Problem as problem:
        fields = [dataclasses.asdict(field) for field in problem.fields]
        return {"kind": "problem", **vars(problem), "fields": fields}
    except tokenhost.Unreachable:
        return {"kind": "unreachable"}
    except tokenhost.BadAnswer:
        return {"kind": "bad_answer"}


def run(case: dict[str, Any], server: Scripted, adapter: Adapter) -> None:
    clock = Time()
    client = tokenhost.Client(
        server.url, "tha_test", clock=lambda: clock.now, sleep=clock.sleep, **case.get("options", {})
    )

    def ready(callers: int) -> None:
        deadline = time.monotonic() + 30
        while sum(flight.callers for flight in client._flights.values()) < callers and time.monotonic() < deadline:
            time.sleep(0.001)

    for number, step in enumerate(case["steps"]):
        if "advance" in step:
            clock.now += step["advance"]
            continue
        server.play(step["exchanges"], ready)
        clock.waits.clear()
        callers = step.get("callers", 1)
        with ThreadPoolExecutor(callers) as pool:
            futures = [pool.submit(outcome, lambda: do(client, server, step, adapter)) for _ in range(callers)]
            got = [future.result() for future in futures]
        assert server.faults == [] and server.left() == 0, f"step {number}"
        expected = step.get("result") or step["error"]
        for one in got:
            assert ("kind" in one) == ("error" in step), one
            assert {name: one.get(name) for name in expected} == expected, f"step {number}: {one}"
        wanted = step.get("waits", [])
        assert len(clock.waits) == len(wanted), clock.waits
        assert all(low <= wait <= high for wait, (low, high) in zip(clock.waits, wanted)), clock.waits


@pytest.mark.parametrize("case", cases("token", "problems", "call"))
def test_client(case: dict[str, Any], server: Scripted) -> None:
    run(case, server, requests_adapter)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", cases("adapter"))
def test_adapter(case: dict[str, Any], adapter: Adapter, server: Scripted) -> None:
    run(case, server, adapter)
