"""What the middlewares have in common that change the headers of answers and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REDIRECTS = range(300, 400)


class AnswerHeaders(ABC):
    """Middleware that may change the headers of every answer to a request over HTTP.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @abstractmethod
    def change(self, headers: MutableHeaders, status: int, scope: Scope) -> None:
        """Change the headers of the answer to one request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.change(MutableHeaders(raw=message["headers"]), message["status"], scope)
            await send(message)

        await self.app(scope, receive, answer)
