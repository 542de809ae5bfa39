"""Whoever logs in comes back to the page on which they did, and never to another server."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import Any

import pytest

from telltale_app.login_return import COOKIE, LONGEST, LoginReturn

PAGE = "/trajectories?bundle=digits&image=test-12&attack=pgd~eps~0.1~seed~0&alpha=0.05"
HOST = "telltale.example.org"


def answer(path: str, scheme: str = "https", status: int = 302, **asked: str) -> list[tuple[str, str]]:
    """Return the headers of an answer that would lead to the first page."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": status, "headers": [(b"location", b"/")]})
        await send({"type": "http.response.body", "body": b""})

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode("latin-1")) for name, value in {"host": HOST, **asked}.items()]
    scope = {"type": "http", "scheme": scheme, "path": path, "headers": headers}
    asyncio.run(LoginReturn(served)(scope, send, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]


def cookies(headers: list[tuple[str, str]]) -> list[str]:
    return [value for name, value in headers if name == "set-cookie"]


@pytest.mark.parametrize("base", ["", "/tools/telltale"])
@pytest.mark.parametrize("page", [PAGE, "/", "/?bundle=cifar10&image=chelsea-png-" + "iVBOR_w0-" * 370])
def test_a_link_survives_the_way_to_the_provider_and_back(base: str, page: str) -> None:
    (kept,) = cookies(answer(base + "/auth/login", referer=f"https://{HOST}{base}{page}"))
    assert len(kept) < 4096 and "HttpOnly" in kept and "SameSite=Lax" in kept and "Secure" in kept
    ((name, morsel),) = SimpleCookie(kept).items()
    assert name == COOKIE
    headers = answer(base + "/oauth2callback", cookie=f"other=1; {COOKIE}={morsel.value}")
    assert dict(headers)["location"] == base + page
    (gone,) = cookies(headers)
    assert "Max-Age=0" in gone


def test_a_server_without_encryption_keeps_it_too() -> None:
    (kept,) = cookies(answer("/auth/login", "http", referer=f"http://{HOST}{PAGE}"))
    assert "Secure" not in kept


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "https://elsewhere.example.org/x",
        f"https://{HOST}//elsewhere.example.org",
        f"https://{HOST}/" + "x" * LONGEST,
    ],
    ids=["none", "another server", "two slashes", "too long"],
)
def test_what_cannot_be_kept_leads_to_the_first_page(referer: str) -> None:
    headers = answer("/auth/login", referer=referer)
    assert not cookies(headers) and dict(headers)["location"] == "/"


@pytest.mark.parametrize(
    "value",
    [
        "https%3A//elsewhere.example.org",
        "//elsewhere.example.org",
        "/%5Celsewhere.example.org",
        "/a%0D%0Ab",
        "/%C3%A9",
        "",
    ],
)
def test_a_forged_cookie_leads_nowhere_else(value: str) -> None:
    headers = answer("/oauth2callback", cookie=f"{COOKIE}={value}")
    assert headers == [("location", "/")]


@pytest.mark.parametrize(("path", "status"), [("/trajectories", 302), ("/auth/login", 200), ("/oauth2callback", 200)])
def test_everything_else_stays_as_it_is(path: str, status: int) -> None:
    asked = {"referer": f"https://{HOST}{PAGE}", "cookie": f"{COOKIE}={PAGE}"}
    assert answer(path, status=status, **asked) == [("location", "/")]
