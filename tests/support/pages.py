"""The pages as tests open them: one script run after the other, in this process, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import telltale.bundle
import telltale.bundle.summary
from support.fake_analysis import FakeBundle
from telltale_app import pages, words

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
    "app_pages/evaluation.py",
    "app_pages/versus.py",
)
ATTACKED = {"attack": "pgd~eps~0.2~seed~3", "alpha": "0.1", "image": "test-167"}


def open_link(**query: str) -> AppTest:
    """Open the app by a link, at its first page."""
    app = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def open_app(page: str = PAGES[0], **query: str) -> AppTest:
    """Open a page as a link to it does: no other page runs before it."""
    return unopened(page, **query).run()


def unopened(page: str, timeout: float = 60, **query: str) -> AppTest:
    """Return the app whose first run is this page's.

    `AppTest.switch_page` knows the addresses of pages only after a run, which would be the workbench's.
    """
    app = AppTest.from_file(MAIN, default_timeout=timeout)
    for key, value in query.items():
        app.query_params[key] = value
    (path,) = (entry.path for entry in pages.PAGES if page == f"app_pages/{entry.file}")
    app._page_hash = calc_hash(path) if path else ""
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


def chart_heights(app: AppTest) -> dict[str, float]:
    """Return how high every chart of a page is, by the name that its button to save it says."""
    charts = [json.loads(chart.proto.spec)["layout"]["height"] for chart in app.get("plotly_chart")]
    saved = [button.label for button in app.button if button.label.startswith("Save the chart: ")]
    assert len(set(saved)) == len(charts), "every chart can be saved"
    return dict(zip(saved, charts, strict=True))
