"""The server of `map_page.py`: every layer of the app's own, and no engine."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from telltale_app import serving

app = st.App(Path(__file__).with_name("map_page.py"), middleware=serving.MIDDLEWARE)
