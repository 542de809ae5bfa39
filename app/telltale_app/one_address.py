"""Addresses of this server's own, below its base path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import streamlit as st
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("GET", "HEAD")


def base_path() -> str:
    """Return the path below which the pages lie, without a slash at its end: ``""`` or ``"/team/telltale"``."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def asks_for(scope: Scope, name: str) -> bool:
    """Whether a request over HTTP is for this address below the base path."""
    return scope["type"] == "http" and str(scope["path"]) == f"{base_path()}/{name}"


class OneAddress(ABC):
    """Middleware that answers one address.

    A route of the application would stand outside the base path, where Streamlit puts its own; below it, every address
    without a route is a page.

    Parameters
    ----------
    app : ASGI application
        Answers everything else.

    Attributes
    ----------
    address : str
        Below the base path, without a slash at its beginning.
    """

    address: ClassVar[str]

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @abstractmethod
    def answer(self) -> Response:
        """Return what is said there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        asked = asks_for(scope, self.address) and scope["method"] in METHODS
        await (self.answer() if asked else self.app)(scope, receive, send)
