"""Redirects that only add or take slashes name neither scheme nor host; all others are left as they are."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urljoin

import pytest

from telltale_app.slash_redirects import SlashRedirects

HOST = "telltale.example.org"


def redirected(asked: str, location: str | None, status: int = 307) -> str | None:
    sent: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        headers = [] if location is None else [(b"location", location.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": asked, "headers": [(b"host", HOST.encode())]}
    asyncio.run(SlashRedirects(served)(scope, send, send))  # type: ignore[arg-type]
    return {name: value.decode() for name, value in sent[0]["headers"]}.get(b"location")


@pytest.mark.parametrize(
    ("asked", "location", "relative"),
    [
        ("/team/telltale", f"http://{HOST}/team/telltale/?alpha=0.2&x=a%2Fb", "./telltale/?alpha=0.2&x=a%2Fb"),
        ("/team", f"http://{HOST}/team/", "./team/"),
        ("/team/telltale/cases/", "/team/telltale/cases", "../cases"),
        ("/équipe", f"http://{HOST}/%C3%A9quipe/", "./%C3%A9quipe/"),
        ("/a:b", f"http://{HOST}/a:b/", "./a:b/"),
    ],
)
@pytest.mark.parametrize("outside", ["https://telltale.example.org", "https://proxy.example.org/prefix"])
def test_it_leads_to_the_same_page_whatever_stands_before_the_path(
    asked: str, location: str, relative: str, outside: str
) -> None:
    found = redirected(asked, location)
    assert found == relative
    there = urljoin(outside + asked.replace("é", "%C3%A9"), found)
    assert there == outside + location.removeprefix(f"http://{HOST}")


def test_every_slash_too_many_is_a_step_back() -> None:
    assert redirected("/cases//", "/cases?alpha=0.2", 301) == "../../cases?alpha=0.2"


@pytest.mark.parametrize(
    ("asked", "location", "status"),
    [
        ("/auth/login", "https://login.example.com/authorize?x=1", 302),
        ("/cases", "https://elsewhere.example.com/cases/", 307),
        ("/oauth2callback", "/", 302),
        ("/cases", "/trajectories/", 307),
        ("/cases", "/cases/", 200),
        ("/cases", None, 304),
    ],
)
def test_every_other_answer_stays_as_it_is(asked: str, location: str | None, status: int) -> None:
    assert redirected(asked, location, status) == location


def test_a_websocket_goes_through() -> None:
    met = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        met.append((scope, receive, send))

    scope = {"type": "websocket", "headers": []}
    asyncio.run(SlashRedirects(served)(scope, len, len))  # type: ignore[arg-type]
    assert met == [(scope, len, len)]
