"""The address that says whether this server can be sent people: `/ready`, below the server's base path."""

from __future__ import annotations

import streamlit as st
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from telltale.engine import get_engine

NAME = "ready"
METHODS = ("GET", "HEAD")


def base_path() -> str:
    """Return the path below which the pages lie, without a slash at its end: ``""`` or ``"/team/telltale"``."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def ready() -> JSONResponse:
    """Answer 200 once every worker holds the default bundle, 503 and the reason before; `/_stcore/health` is liveness.

    Whoever spreads load over several instances sends people only to those that answer 200.
    """
    status = get_engine().status()
    return JSONResponse(status, 200 if status["ready"] else 503, {"Cache-Control": "no-store"})


class Readiness:
    """Middleware that answers `/ready`.

    A route of the application would stand outside the base path, where Streamlit puts its own; below it, every address
    without a route is a page.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = scope["type"] == "http" and scope["method"] in METHODS and scope["path"] == f"{base_path()}/{NAME}"
        await (ready() if asked else self.app)(scope, receive, send)
