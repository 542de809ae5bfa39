"""How far to trust influence, on the Neighbours page: the stored study, its words, and what is said without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_app, text_of
from support.trust import made_trust
from telltale.studies.influence_trust import methods, results

PAGE = "app_pages/neighbours.py"
SCORES = {methods.HEAD: 0.2, methods.TRAK: 0.5, methods.RANDOM: 0.0}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return tmp_path


def points(app: AppTest) -> list[tuple[str, float]]:
    """Return what the chart of scores shows; nothing where there is none."""
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    found = [c for c in charts if "LDS" in (c["layout"]["xaxis"].get("title") or {}).get("text", "")]
    assert len(found) <= 1
    return [(t["y"][0].strip(), t["x"][0]) for chart in found for t in chart["data"]]


def test_the_page_says_what_is_stored(engine: FakeEngine, bundle: FakeBundle) -> None:
    results.save_trust(results.stored_at("digits"), made_trust(SCORES, bundle.manifest.data.fingerprint))
    app = open_app(PAGE)
    assert not app.exception and not app.error
    assert "How far to trust influence" in [header.value for header in app.header]
    assert points(app) == [(methods.TITLES[name], pytest.approx(score)) for name, score in SCORES.items()]
    text = text_of(app)
    assert "score **0.20** (0.18 to 0.22, ± 0.02)" in text and "60 random halves of 897 training images" in text


def test_without_a_study_of_these_data_one_sentence_says_so(engine: FakeEngine, bundle: FakeBundle) -> None:
    for fingerprint in (None, "of other data"):
        if fingerprint is not None:
            results.save_trust(results.stored_at("digits"), made_trust(SCORES, fingerprint))
        app = open_app(PAGE)
        assert not app.exception and not app.error and points(app) == []
        assert "has not been measured for this model; `telltale influence-lds digits` measures it." in text_of(app)


def test_a_damaged_study_is_one_sentence(engine: FakeEngine, bundle: FakeBundle, folder: Path) -> None:
    (folder / "digits.parquet").write_bytes(b"nonsense")
    app = open_app(PAGE)
    assert not app.exception and len(app.error) == 1 and "digits.parquet" in app.error[0].value
    assert points(app) == []
