"""The matrix of catches: what it shows, what a click on it chooses, and the images behind a cell."""

from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_app, show, text_of
from telltale.scores.caught import CaughtMatrix
from telltale.scores.contests import contest
from telltale.scores.rates import thresholds
from telltale_app.panels import who_catches

PAGE = "app_pages/detectors.py"


def chosen(app: AppTest) -> AppTest:
    app.selectbox(key="detector").select("idefender")
    return app.selectbox(key="against").select("pgd").run()


def matrix_of(app: AppTest) -> pd.DataFrame:
    frame: pd.DataFrame = app.dataframe[0].value
    return frame


def test_the_matrix_shows_what_each_threshold_catches(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE, alpha="0.1")
    assert not app.exception
    frame = matrix_of(app)
    named = dict(zip(frame["detector"], range(len(frame)), strict=True))
    known = thresholds(bundle.scores, 0.1)
    for detector, title in (("nnif", "NNIF"), ("idefender", "I-defender")):
        against = contest(bundle.scores, detector, "pgd")
        false_rate, true_rate = against.rates(known[detector])
        row = frame.iloc[named[title]]
        assert row["PGD"] == pytest.approx(100 * true_rate)
        assert row["false alarms"] == pytest.approx(100 * false_rate)
    assert "at α 10 %" in text_of(app)


def test_the_images_behind_a_rate_open_with_their_attack(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = chosen(open_app(PAGE))
    assert not app.exception
    against = contest(bundle.scores, "idefender", "pgd")
    threshold = thresholds(bundle.scores, 0.05)["idefender"]
    missed = int((against.adversarial.values < threshold).sum())
    labels = [tab.label for tab in app.tabs]
    assert f"Missed ({missed} of {len(against.adversarial)})" in labels
    keys = [button.key or "" for button in app.button]
    shown = [key for key in keys if key.startswith(("missed-open", "found-open"))]
    assert shown
    app.button(key=shown[0]).click().run()
    assert app.query_params["image"] == f"test-{shown[0].rpartition('-')[2]}"
    assert app.query_params["attack"].split("~")[0] == "pgd"


def test_without_images_they_are_listed(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, FakeBundle(False, colour=True))
    app = chosen(open_app(PAGE))
    assert not app.exception
    assert not [button for button in app.button if "-open-" in (button.key or "")]
    assert any(frame.value.columns[0] == "test image" for frame in app.dataframe)


def test_without_a_threshold_nothing_is_counted(engine: FakeEngine, bundle: FakeBundle) -> None:
    bundle.calibrations = {}
    keep = [name for name in bundle.scores.column_names if name != "split"]
    bundle.scores = bundle.scores.select(keep).append_column("split", [["test"] * bundle.scores.num_rows])
    app = open_app(PAGE)
    assert "nothing can be counted" in text_of(app)


def test_a_click_on_a_cell_chooses_its_detector_and_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = CaughtMatrix(("fused", "lid", "low_confidence"), ("natural", "all attacks", "pgd"), {})
    for row, column, taken in (
        (1, "PGD", {"detector": "lid", "against": "pgd"}),
        (0, "false alarms", {"detector": "fused"}),
        (2, "all attacks", {"against": "all attacks"}),  # a control has no evidence to look at
        (1, "detector", {"detector": "lid"}),
    ):
        session: dict[str, object] = {
            who_catches.KEY: {"selection": {"rows": [], "columns": [], "cells": [(row, column)]}}
        }
        monkeypatch.setattr("streamlit.session_state", session)
        who_catches.choose(matrix, who_catches.KEY)
        assert {name: value for name, value in session.items() if name != who_catches.KEY} == taken
