"""The server: the pages, a readiness route, and an engine that starts with it and ends with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

# `streamlit run` puts this folder on the path, but the packages `app` and `core` live one above.
ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

# These packages import their own modules. Begun by two threads at once, as by the first two visitors, such an import
# fails; here there is one thread.
import core.attacks  # noqa: E402
import core.bundle  # noqa: E402, F401
from app.login_return import LoginReturn  # noqa: E402
from app.server_address import ServerAddress  # noqa: E402
from core.engine import get_engine  # noqa: E402
from core.errors import TelltaleError  # noqa: E402


async def ready(_: Request) -> JSONResponse:
    """Answer 200 once every worker holds the default bundle, 503 and the reason before; `/_stcore/health` is liveness.

    Whoever spreads load over several instances sends people only to those that answer 200.
    """
    status = get_engine().status()
    return JSONResponse(status, 200 if status["ready"] else 503, {"Cache-Control": "no-store"})


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Start engine and store beside the server, which serves from the first moment; end the engine's processes."""
    engine = get_engine()
    store = asyncio.create_task(asyncio.to_thread(prepare_store))
    sys.stdout.write(f"Telltale is at {address()}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        await store
        await asyncio.to_thread(engine.close)


def prepare_store() -> None:
    """Bring the tables of saved cases up to date before anybody asks; the page of cases repeats what went wrong."""
    from core.cases.store import open_store

    try:
        open_store()
    except TelltaleError as error:
        sys.stderr.write(f"{error}\n")


def address() -> str:
    """Return the address under which a browser on this machine finds the pages."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"http://localhost:{st.get_option('server.port')}" + (f"/{base}" if base else "")


app = st.App(
    ROOT / "app" / "main.py",
    routes=[Route("/ready", ready)],
    lifespan=lifespan,
    middleware=[Middleware(ServerAddress), Middleware(LoginReturn)],
)
