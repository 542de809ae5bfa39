"""The server of `map_page.py`: every layer of the app's own, and no engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st

from telltale_app import serving
from telltale_app.prompt_answers import send_at_once


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Answer as the app does."""
    send_at_once()
    yield


app = st.App(Path(__file__).with_name("map_page.py"), lifespan=lifespan, middleware=serving.MIDDLEWARE)
