"""What tests of the pages start from: pages with nothing behind them, and a real server with a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.browser import ARGUMENTS, NOT_OURS, PATIENCE, Visit, chromium, console_line
from support.fake_analysis import FakeBundle, FakeEngine
from support.fake_app import fake_app
from support.running_app import running_app
from telltale_app.lessons import course


@pytest.fixture
def bundle() -> FakeBundle:
    return FakeBundle()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, bundle: FakeBundle) -> FakeEngine:
    return fake_app(monkeypatch, bundle)


@pytest.fixture
def lesson_engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Let the lessons be about the one model that there is when nothing is behind the pages."""
    monkeypatch.setattr(course, "MODEL", "digits")
    return engine


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server whose workers hold the shipped bundle."""
    chromium()
    nothing = str(tmp_path_factory.mktemp("nothing"))  # a machine to which no images were brought
    with running_app(TELLTALE_DATA=nothing, HF_HOME=nothing, TELLTALE_CACHE=nothing) as app:
        yield app.address
        assert "Traceback" not in app.log.read_text(), app.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser; it goes with its module, because while Playwright runs, nothing else here can run an event loop."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(server: str, browser: Any) -> Iterator[Any]:
    """Open tabs, each of a person of its own; afterwards no tab may have complained."""
    visits = []

    def opened(path: str, viewport: dict[str, int], scheme: str = "light") -> Visit:
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        visit = Visit(page)
        page.on("console", lambda message: visit.complaints.append(console_line(message)))
        page.on("pageerror", lambda error: visit.complaints.append(f"uncaught: {error}"))
        page.on("requestfailed", lambda request: visit.complaints.append(f"error: {request.failure} {request.url}"))
        visits.append(visit)
        page.goto(path if path.startswith("http") else f"{server}/{path}", timeout=PATIENCE)
        visit.settle()
        return visit

    yield opened
    for visit in visits:
        visit.page.context.close()
    loud = [line for visit in visits for line in visit.complaints if line.startswith(("error", "warning", "uncaught"))]
    assert not [line for line in loud if not any(re.search(known, line) for known in NOT_OURS)]
