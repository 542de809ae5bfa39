"""Brings people back to the link they opened, once they have logged in.

Streamlit's own way back from the provider ends on the first page. The browser says on which page "Log in" was clicked;
a cookie keeps that until the provider has answered.
"""

from __future__ import annotations

from http.cookies import SimpleCookie
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from telltale_app.answer_headers import REDIRECTS, AnswerHeaders

COOKIE = "telltale_return"
LEAVING, COMING_BACK = "/auth/login", "/oauth2callback"
KEPT_SECONDS = 900
LONGEST = 3_800  # bytes; browsers drop cookies of more than 4,096


class LoginReturn(AnswerHeaders):
    """Middleware that keeps the page on which people log in, and sends them back to it."""

    def change(self, headers: MutableHeaders, status: int, scope: Scope) -> None:
        """Keep the page in the answer that leads to the provider, and lead to it in the one that comes back."""
        path = str(scope["path"])
        if status not in REDIRECTS:
            return
        if path.endswith(LEAVING):
            _keep(headers, _page_left(Headers(scope=scope)), str(scope.get("scheme")))
        elif path.endswith(COMING_BACK):
            _go_back(headers, _page_kept(Headers(scope=scope)))


def _page_left(asked: Headers) -> str:
    """Return path and query of the page that sent this request; empty where it is not one of this server."""
    page = urlsplit(asked.get("referer", ""))
    if not page.netloc or page.netloc != asked.get("host"):
        return ""
    return _own(page._replace(scheme="", netloc="", fragment="").geturl())


def _page_kept(asked: Headers) -> str:
    """Return path and query that the cookie keeps; empty where there are none, or they lead elsewhere."""
    kept = SimpleCookie(asked.get("cookie", "")).get(COOKIE)
    return "" if kept is None else _own(unquote(kept.value))


def _own(address: str) -> str:
    """Return an address if it can only be one of this server, in characters that a header may hold; else nothing."""
    elsewhere = not address.startswith("/") or address.startswith(("//", "/\\"))
    return "" if elsewhere or not address.isascii() or not address.isprintable() else address


def _keep(headers: MutableHeaders, page: str, scheme: str) -> None:
    value = quote(page, safe="/?=&~.-_")
    if page and len(value) <= LONGEST:
        secure = "; Secure" if scheme == "https" else ""
        headers.append(
            "set-cookie", f"{COOKIE}={value}; Path=/; Max-Age={KEPT_SECONDS}; HttpOnly; SameSite=Lax{secure}"
        )


def _go_back(headers: MutableHeaders, page: str) -> None:
    if page:
        headers["location"] = page
        headers.append("set-cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
