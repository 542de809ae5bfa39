"""Addresses that are for the owner of the server alone: what Streamlit counts about sessions, caches and memory."""

from __future__ import annotations

import hmac
import os

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from telltale_app.one_address import asks_for

TOKEN_VARIABLE = "TELLTALE_OWNER_TOKEN"
SHORTEST_TOKEN = 16
METRICS = "_stcore/metrics"


class OwnerOnly:
    """Middleware that hides these addresses from everybody who does not show the owner's token.

    An address on this machine proves nothing: behind a proxy, everybody comes from there.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if asks_for(scope, METRICS) and not _shows_token(Headers(scope=scope)):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _shows_token(asked: Headers) -> bool:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    kind, _, shown = asked.get("authorization", "").partition(" ")
    long_enough = len(token) >= SHORTEST_TOKEN  # a short one could be guessed
    same = hmac.compare_digest(shown.strip().encode("latin-1"), token.encode())
    return long_enough and kind.lower() == "bearer" and same
