"""Keeps the way to the same address with one slash more, or less, on the server as the browser knows it.

Behind a proxy that ends TLS, or that puts pages under a path of its own, the server knows neither its scheme nor its
whole path. A redirect that names them would send people to another address than the one they are on.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REDIRECTS = range(300, 400)


class SlashRedirects:
    """Middleware that makes redirects relative where they only add slashes at the end, or take them away.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in REDIRECTS:
                headers = MutableHeaders(raw=message["headers"])
                location = headers.get("location", "")  # "not modified" has none
                if urlsplit(location).netloc in ("", Headers(scope=scope).get("host")) and location:
                    headers["location"] = relative(str(scope["path"]), location)
            await send(message)

        await self.app(scope, receive, answer)


def relative(asked: str, location: str) -> str:
    """Return the same redirect, relative to the path that was asked for where only slashes at the end differ.

    Parameters
    ----------
    asked : str
        Path of the request, decoded.
    location : str
        Where it is sent.
    """
    target = urlsplit(location)
    added = target.path.endswith("/") and not asked.endswith("/")
    taken = asked.endswith("/") and not target.path.endswith("/")
    if not (added or taken) or unquote(target.path).rstrip("/") != asked.rstrip("/"):
        return location
    name = target.path.rstrip("/").rpartition("/")[2]
    query = f"?{target.query}" if target.query else ""
    if added:
        return f"./{name}/{query}"
    return "../" * (len(asked) - len(asked.rstrip("/"))) + name + query
