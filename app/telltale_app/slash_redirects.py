"""Keeps the way to the same address with one slash more, or less, on the server as the browser knows it.

Behind a proxy that ends TLS, or that puts pages under a path of its own, the server knows neither its scheme nor its
whole path. A redirect that names them would send people to another address than the one they are on.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from telltale_app.answer_headers import REDIRECTS, AnswerHeaders


class SlashRedirects(AnswerHeaders):
    """Middleware that makes redirects relative where they only add slashes at the end, or take them away."""

    def change(self, headers: MutableHeaders, status: int, scope: Scope) -> None:
        """Make the redirect relative, where it is one to this server."""
        location = headers.get("location", "")  # "not modified" has none
        if status in REDIRECTS and location and urlsplit(location).netloc in ("", Headers(scope=scope).get("host")):
            headers["location"] = relative(str(scope["path"]), location)


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
