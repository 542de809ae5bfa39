"""A server with a login shows nothing before it; one without is open."""

from __future__ import annotations

import pytest
import streamlit as st
import streamlit.user_info
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeEngine
from support.pages import MAIN


def test_a_server_without_login_is_open(engine: FakeEngine) -> None:
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not app.exception and app.title[0].value == "Workbench"
    assert not [button for button in app.button if button.key in ("log-in", "log-out")]


def test_nobody_sees_a_page_or_asks_the_engine_before_the_login(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlit.user_info, "get_secrets_auth_section", lambda: {"client_id": "telltale"})
    asked = []
    monkeypatch.setattr(st, "login", lambda: asked.append("login"))
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not app.exception and [title.value for title in app.title] == ["Telltale"]
    assert not engine.submitted and not app.get("plotly_chart") and not app.get("imgs")
    app.button(key="log-in").click().run()
    assert asked == ["login"]


def test_who_is_logged_in_sees_the_page_and_can_leave(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamlit.user_info, "_get_user_info", lambda: {"is_logged_in": True})
    left = []
    monkeypatch.setattr(st, "logout", lambda: left.append("logout"))
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not app.exception and app.title[0].value == "Workbench"
    app.button(key="log-out").click().run()
    assert left == ["logout"]
