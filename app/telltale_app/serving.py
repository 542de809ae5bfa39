"""What serves the pages: what every request passes, and an engine that starts with the server and ends with it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

# These packages import their own modules. Begun by two threads at once, as by the first two visitors, such an import
# fails; here there is one thread.
import telltale.attacks
import telltale.bundle  # noqa: F401
from telltale.base.errors import InputError, TelltaleError
from telltale.base.guard import exit_when_orphaned
from telltale.base.terminal import hold_every_character
from telltale.engine import get_engine
from telltale.engine.settings import Settings
from telltale.models.decoders import decoders
from telltale_app import components
from telltale_app.compressed_files import CompressedFiles
from telltale_app.contact import SecurityTxt, contact
from telltale_app.login_return import LoginReturn
from telltale_app.one_address import base_path
from telltale_app.owner_only import OwnerOnly
from telltale_app.prompt_answers import send_at_once
from telltale_app.readiness import Readiness
from telltale_app.security_headers import SecurityHeaders
from telltale_app.server_address import ServerAddress
from telltale_app.slash_redirects import SlashRedirects
from telltale_app.thumbnails import Thumbnails

MAIN = Path(__file__).with_name("main.py")
EVERYWHERE_OR_HERE = {"", "0.0.0.0", "::", "127.0.0.1", "localhost"}


def check_settings() -> None:
    """End with a sentence, and no traceback, where the owner's settings cannot be used.

    Raises
    ------
    SystemExit
        With the sentence.
    """
    try:
        contact()
        Settings.from_environment()
    except InputError as error:
        raise SystemExit(str(error)) from None


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Start engine, decoders and store beside the server, which serves from the first moment; end their processes."""
    hold_every_character()
    end_with_starter()
    send_at_once()
    components.declare()
    engine = get_engine()
    await asyncio.to_thread(decoders().start)
    store = asyncio.create_task(asyncio.to_thread(prepare_store))
    sys.stdout.write(f"Telltale is at {address()}\n")
    sys.stdout.flush()
    try:
        yield
    finally:
        await store
        await asyncio.to_thread(decoders().close)
        await asyncio.to_thread(engine.close)


def end_with_starter() -> None:
    """Where `telltale app` has started this server, end it even when that is killed and cannot end it in order."""
    starter = os.environ.get("TELLTALE_STARTED_BY", "")
    if starter == str(os.getppid()):
        threading.Thread(target=exit_when_orphaned, args=(int(starter),), name="orphan-watch", daemon=True).start()


def prepare_store() -> None:
    """Bring the tables of saved cases up to date before anybody asks; the page of cases repeats what went wrong."""
    from telltale.cases.store import open_store

    try:
        open_store()
    except TelltaleError as error:
        sys.stderr.write(f"{error}\n")


def address() -> str:
    """Return the address under which a browser on this machine finds the pages."""
    listening = str(st.get_option("server.address") or "")
    host = "localhost" if listening in EVERYWHERE_OR_HERE else f"[{listening}]" if ":" in listening else listening
    return f"http://{host}:{st.get_option('server.port')}" + base_path()


LAYERS = (
    *(SecurityHeaders, CompressedFiles, OwnerOnly, Readiness),
    *(SecurityTxt, Thumbnails, SlashRedirects, ServerAddress, LoginReturn),
)
MIDDLEWARE = [Middleware(layer) for layer in LAYERS]
