"""Pages are told where their server is; everything else goes through untouched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from telltale_app.server_address import SCRIPT, ServerAddress

PAGE = b"<!doctype html><html><head><title>x</title></head><body>\xe2\x9c\x93</body></html>"
BROWSER = {"accept": "text/html,application/xhtml+xml", "accept-encoding": "gzip, br"}


def answer(
    method: str = "GET",
    asked: dict[str, str] = BROWSER,
    status: int = 200,
    kind: str = "text/html; charset=utf-8",
    parts: tuple[bytes, ...] = (PAGE,),
) -> tuple[dict[str, Any], bytes, dict[str, str]]:
    """Return the start and the body of an answer, and the headers that the server saw."""
    seen: dict[str, str] = {}

    async def served(scope: Any, receive: Any, send: Any) -> None:
        del receive
        seen.update({name.decode(): value.decode() for name, value in scope["headers"]})
        length = str(sum(map(len, parts))).encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", length)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for i, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": i + 1 < len(parts)})

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in asked.items()]
    scope = {"type": "http", "method": method, "path": "/trajectories", "headers": headers}
    asyncio.run(ServerAddress(served)(scope, send, send))
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    return start, b"".join(body["body"] for body in bodies), seen


@pytest.mark.parametrize("cut", [0, 20, 31, len(PAGE)])
def test_a_page_is_told_once_however_it_arrives(cut: int) -> None:
    start, body, seen = answer(parts=(PAGE[:cut], PAGE[cut:]))
    assert body == PAGE.replace(b"<head>", b"<head>" + SCRIPT)
    assert dict(start["headers"])[b"content-length"] == str(len(body)).encode()
    assert "accept-encoding" not in seen and seen["accept"] == BROWSER["accept"]


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "application/json"},
        {"status": 404},
        {"method": "HEAD"},
        {"method": "POST"},
        {"asked": {"accept": "*/*", "accept-encoding": "gzip"}},
    ],
    ids=["data", "missing", "head", "post", "not a browser's page"],
)
def test_everything_else_stays_as_it_is(other: dict[str, Any]) -> None:
    start, body, _ = answer(**other)
    assert body == PAGE
    assert dict(start["headers"])[b"content-length"] == str(len(PAGE)).encode()


def test_the_encoding_that_others_ask_for_reaches_the_server() -> None:
    _, _, seen = answer(asked={"accept": "*/*", "accept-encoding": "gzip"})
    assert seen["accept-encoding"] == "gzip"


def test_a_websocket_goes_through() -> None:
    met = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        met.append((scope, receive, send))

    scope = {"type": "websocket", "headers": []}
    asyncio.run(ServerAddress(served)(scope, len, len))  # type: ignore[arg-type]
    assert met == [(scope, len, len)]
