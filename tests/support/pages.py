"""The pages as tests open them: one script run after the other, in this process, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import telltale.bundle
import telltale.bundle.summary
from support.fake_analysis import FakeBundle
from telltale_app import words

MAIN = str(Path(__file__).resolve().parents[2] / "app" / "telltale_app" / "main.py")
PAGES = (
    "app_pages/workbench.py",
    "app_pages/feature_responses.py",
    "app_pages/trajectories.py",
    "app_pages/neighbours.py",
    "app_pages/hidden_state_density.py",
    "app_pages/detectors.py",
    "app_pages/paper_tables.py",
    "app_pages/about.py",
    "app_pages/cases.py",
    "app_pages/lessons.py",
)
ATTACKED = {"attack": "pgd~eps~0.2~seed~3", "alpha": "0.1", "image": "test-167"}


def open_app(page: str = PAGES[0], **query: str) -> AppTest:
    app = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if page != PAGES[0]:
        app.switch_page(page).run()
    return app


def text_of(app: AppTest) -> str:
    """Return everything that is said on the page; spaces that no line breaks at are like others."""
    parts = [element.value for kind in ("title", "header", "markdown", "caption") for element in app.get(kind)]
    parts += [picture.caption for shown in app.get("image") for picture in shown.proto.imgs]
    parts += [f"{metric.label}: {metric.value}" for metric in app.metric]
    for kind in ("success", "info", "warning", "error"):
        parts += [element.value for element in app.get(kind)]
    return "\n".join(str(part) for part in parts).replace(words.NO_BREAK, " ")


def show(monkeypatch: pytest.MonkeyPatch, bundle: FakeBundle) -> None:
    """Let the pages find one bundle of this name, and nothing else."""
    monkeypatch.setattr(telltale.bundle, "load_bundle", lambda _: bundle)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: (bundle.name,))
    monkeypatch.setattr(telltale.bundle.summary, "load_bundle", lambda _: bundle)
    monkeypatch.setenv("TELLTALE_BUNDLE", bundle.name)
