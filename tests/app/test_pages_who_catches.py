"""The matrix of catches: what it shows, what a click on it chooses, and the images behind a cell."""

from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_app, show, text_of
from telltale.scores.caught import CaughtMatrix, extremes
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


def which(app: AppTest) -> ButtonGroup:
    (found,) = (group for group in app.get("button_group") if group.key == "which-images-shown")
    return found


def show_images(app: AppTest, chosen: str) -> AppTest:
    app.session_state["which-images-shown"] = chosen
    return app.run()


def test_the_images_behind_a_rate_open_with_their_attack(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = chosen(open_app(PAGE))
    assert not app.exception
    against = contest(bundle.scores, "idefender", "pgd")
    threshold = thresholds(bundle.scores, 0.05)["idefender"]
    missed = int((against.adversarial.values < threshold).sum())
    assert f"Hardest: missed ({missed} of {len(against.adversarial)})" in [
        option.content for option in which(app).proto.options
    ]
    for name in ("missed", "found"):
        app = show_images(app, name)
        keys = [button.key for button in app.button if (button.key or "").startswith(f"{name}-open")]
        assert keys
    app.button(key=keys[0]).click().run()
    assert app.query_params["image"] == f"test-{keys[0].rpartition('-')[2]}"
    assert app.query_params["attack"].split("~")[0] == "pgd"


def test_each_image_stands_beside_the_nearest_training_image_of_the_class_it_is_read_as(
    engine: FakeEngine, bundle: FakeBundle
) -> None:
    app = show_images(chosen(open_app(PAGE, alpha="0.1")), "found")
    asked = [arguments for task, arguments in engine.submitted if task == "class_neighbours"][-1]
    found = extremes(bundle.scores, "idefender", "pgd", thresholds(bundle.scores, 0.1)["idefender"], 8).found
    assert asked["ids"] == tuple(image.image_id for image in found) and set(asked["attacks"]) == {"pgd"}
    beside = engine._class_neighbours("digits", **{name: asked[name] for name in ("ids", "attacks")})
    said = text_of(app)
    for label, distance in zip(beside.predictions, beside.distances, strict=True):
        if label == 9:
            assert "No training image of **9** is kept." in said
        else:
            assert f"**{label}**, no. {label}  \nd = {distance:.1f}" in said
    assert "nearest to it on **hidden**: d is the Euclidean distance" in text_of(app)
    app = show_images(app, "accused")
    asked = [arguments for task, arguments in engine.submitted if task == "class_neighbours"][-1]
    assert asked["attacks"] == ("", ""), "natural images are attacked by nobody"


def test_where_the_work_was_cancelled_images_stand_alone_and_still_open(engine: FakeEngine, bundle: FakeBundle) -> None:
    found = extremes(bundle.scores, "idefender", "pgd", thresholds(bundle.scores, 0.05)["idefender"], 8).missed
    ids, attacks = (tuple(getattr(image, name) for image in found) for name in ("image_id", "attack"))
    app = chosen(open_app(PAGE))
    app.session_state["-".join(["stopped", "class_neighbours", bundle.id, str(ids), str(attacks)])] = True
    app.run()
    assert "was cancelled" in text_of(app) and "nearest to it on" not in text_of(app)
    assert [button.key for button in app.button if (button.key or "").startswith("missed-open")]
    app.button(key="again-class_neighbours").click().run()
    assert "nearest to it on" in text_of(app)


def test_without_images_they_are_listed(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    show(monkeypatch, FakeBundle(False, colour=True))
    app = chosen(open_app(PAGE))
    assert not app.exception
    assert not [button for button in app.button if "-open-" in (button.key or "")]
    assert any(frame.value.columns[0] == "test image" for frame in app.dataframe)
    assert "nor the nearest training images of the classes that they are read as can be shown" in text_of(app)
    assert "class_neighbours" not in [task for task, _ in engine.submitted]


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
