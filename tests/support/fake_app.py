"""The app with nothing behind it: a made-up bundle, and an engine that answers at once."""

from __future__ import annotations

import pytest

import telltale.bundle
import telltale.engine
from support.fake_analysis import FakeBundle, FakeEngine


def fake_app(monkeypatch: pytest.MonkeyPatch, bundle: FakeBundle) -> FakeEngine:
    """Put a bundle and an engine in the place of the real ones, and forget what pages have cached."""
    import streamlit as st

    engine = FakeEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    monkeypatch.setattr(telltale.bundle, "load_bundle", lambda _: bundle)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: ("digits",))
    monkeypatch.setenv("TELLTALE_BUNDLE", "digits")
    st.cache_data.clear()
    st.cache_resource.clear()
    return engine
