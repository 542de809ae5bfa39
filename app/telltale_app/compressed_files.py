"""Streamlit's scripts and styles, compressed once for everybody: they are most of what a first visit loads.

Streamlit leaves that to a proxy, which small servers do not have, and would compress them for every visitor anew.
"""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telltale_app.one_address import base_path

TYPES = {".js": ("text/javascript", "application/javascript"), ".css": ("text/css",)}
LEVEL = 6  # higher ones take three times as long for two hundredths less


class CompressedFiles:
    """Middleware that compresses these files where a browser takes that.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # An address without a file is answered with the page itself, which is of another type: so there are at most as
        # many in here as Streamlit has such files.
        self._kept: dict[tuple[str, str], bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not _is_file(scope) or not _takes_gzip(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Compressing(str(scope["path"]), self._kept, send))


def _is_file(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    path = str(scope["path"])
    return path.startswith(f"{base_path()}/static/") and path.endswith(tuple(TYPES))


def _takes_gzip(asked: Headers) -> bool:
    """Whether a browser takes gzip and asks for the whole file."""
    taken = [part.strip().partition(";") for part in asked.get("accept-encoding", "").split(",")]
    refused = {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return "range" not in asked and any(name == "gzip" and rest.strip() not in refused for name, _, rest in taken)


class _Compressing:
    """What takes one answer, and sends it on compressed where it is a whole file."""

    def __init__(self, path: str, kept: dict[tuple[str, str], bytes], send: Send) -> None:
        self.path, self.kept, self.send = path, kept, send
        self.start: Message | None = None
        self.body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 200 and self._is_script_or_style(Headers(raw=message["headers"])):
                self.start = message
                return
        elif message["type"] == "http.response.body" and self.start is not None:
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_whole(self.start)
            return
        await self.send(message)

    def _is_script_or_style(self, headers: Headers) -> bool:
        kind = headers.get("content-type", "").partition(";")[0].strip()
        return "content-encoding" not in headers and any(
            self.path.endswith(suffix) and kind in kinds for suffix, kinds in TYPES.items()
        )

    async def _send_whole(self, start: Message) -> None:
        headers = MutableHeaders(raw=start["headers"])
        tag = headers.get("etag", "")
        smaller = self.kept.get((self.path, tag))
        if smaller is None:
            smaller = await asyncio.to_thread(gzip.compress, bytes(self.body), LEVEL, mtime=0)
            self.kept[self.path, tag] = smaller
        headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(smaller))
        headers.add_vary_header("Accept-Encoding")
        if tag and not tag.startswith("W/"):
            headers["etag"] = f"W/{tag}"  # the same content in other bytes
        await self.send(start)
        await self.send({"type": "http.response.body", "body": smaller})
