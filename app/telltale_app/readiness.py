"""The address that says whether this server can be sent people: `/ready`, below the server's base path."""

from __future__ import annotations

from starlette.responses import JSONResponse

from telltale.engine import get_engine
from telltale_app.one_address import OneAddress


class Readiness(OneAddress):
    """Middleware that answers `/ready`."""

    address = "ready"

    def answer(self) -> JSONResponse:
        """Answer 200 once every worker holds the default bundle, 503 and the reason before.

        Whoever spreads load over several instances sends people only to those that answer 200. `/_stcore/health` is
        liveness.
        """
        status = get_engine().status()
        return JSONResponse(status, 200 if status["ready"] else 503, {"Cache-Control": "no-store"})
