"""The page on two models against a stand-in engine: the other model, answers, attacks on demand, two paths."""

# ruff: noqa: ARG005  # stand-ins take what the real ones take

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import telltale.bundle
import telltale.bundle.summary
from support.fake_analysis import LAYERS, FakeBundle, FakeEngine
from support.pages import ATTACKED, chart_heights, open_app, text_of, unopened
from telltale.bundle.summary import BundleSummary
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.versus import TwoAnswers
from telltale.model_errors.versus_attacks import Crossing, Transfers
from telltale.scores.rates import Rate
from telltale_app import catalogue, state

PAGE = "app_pages/versus.py"
ATTACKS_TAB, PATHS_TAB = "Whose attack fools whom", "One image in both"


@pytest.fixture
def other(bundle: FakeBundle) -> FakeBundle:
    found = FakeBundle()
    found.name, found.id = "second", "e" * 64
    return found


def answers(bundle: FakeBundle) -> TwoAnswers:
    images = evaluated_images(bundle.scores)
    second = images.predictions.copy()
    second[:4] = (second[:4] + 1) % 10
    return TwoAnswers(
        "digits", "second", images.ids, images.labels, images.splits, images.predictions, second, new_to_both=True
    )


def crossings() -> Transfers:
    def one(made: str, read: str, fooled: int) -> Crossing:
        departures = np.arange(fooled) % len(LAYERS) - 1
        return Crossing(made, read, Rate(fooled, 20), Rate(1, 20), departures, np.arange(fooled))

    pairs = [("digits", "digits", 18), ("digits", "second", 8), ("second", "digits", 0), ("second", "second", 20)]
    natural = {"digits": Rate(2, 40), "second": Rate(4, 40)}
    return Transfers(
        "pgd", {}, 0, np.arange(20), natural, tuple(one(*pair) for pair in pairs), {"digits": LAYERS, "second": LAYERS}
    )


@pytest.fixture(autouse=True)
def models(engine: FakeEngine, bundle: FakeBundle, other: FakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models are here, and the stand-in engine answers what this page asks."""
    known = {"digits": bundle, "second": other}
    monkeypatch.setattr(telltale.bundle, "load_bundle", known.__getitem__)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: tuple(known))
    monkeypatch.setattr(catalogue, "summary", lambda name: BundleSummary(name, name))
    monkeypatch.setattr(FakeEngine, "_two_answers", lambda _, bundle, other: answers(known[bundle]), raising=False)
    monkeypatch.setattr(FakeEngine, "_transfers", lambda _, **asked: crossings(), raising=False)


def open_tab(tab: str, **query: str) -> AppTest:
    app = unopened(PAGE, **query)
    app.session_state["versus-tab"] = tab
    return app.run()


def test_answers_are_said_and_differing_images_shown(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    assert not app.exception and not app.error
    found = answers(bundle)
    text = text_of(app)
    assert f"Of {len(found):,} images held out, **4** (" in text and "McNemar's exact test" in text
    assert "**4** images" in text
    assert [task for task, _ in engine.submitted] == ["two_answers"], "attacks and paths wait until they are asked for"
    assert engine.submitted[0][1] == {"bundle": "digits", "other": "second"}
    app.session_state["versus-cell"] = {
        "scope": f"{bundle.id}-second",
        "ids": [int(found.first[0]), int(found.second[0])],
    }
    app.run()
    expected = ((found.first == found.first[0]) & (found.second == found.second[0])).sum()
    assert f"**{expected}** images" in text_of(app)
    app.button(key="versus-clear").click().run()
    assert "**4** images" in text_of(app)


def test_the_matrix_of_answers_is_saved_and_enlarged_as_every_chart_is(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = chart_heights(open_app(PAGE))
    monkeypatch.setattr(state, "presenting", lambda: True)
    assert len(plain) == 1
    assert chart_heights(open_app(PAGE)) == {name: 1.5 * height for name, height in plain.items()}


def test_attacks_start_when_asked_and_are_said_with_interval_and_control(engine: FakeEngine) -> None:
    app = open_tab(ATTACKS_TAB)
    assert "transfers" not in [task for task, _ in engine.submitted]
    app.button(key="versus-start").click().run()
    assert not app.exception and not app.error
    assert engine.submitted[-1] == (
        "transfers",
        {"bundle": "digits", "other": "second", "attack": "pgd", "images": 24, "seed": 0, "parameters": {}},
    )
    text = text_of(app)
    assert (
        "Attacks made on **digits** fool **second** in 40 % (19.1 % to 63.9 %) of 20, the same perturbations on" in text
    )
    assert "of all test images the models misread: digits 5 % and second 10 %" in text
    assert len(app.get("plotly_chart")) == 3


def test_one_image_is_read_by_both(engine: FakeEngine) -> None:
    app = open_tab(PATHS_TAB, **ATTACKED)
    assert not app.exception and not app.error
    asked = [arguments["bundle"] for task, arguments in engine.submitted if task == "analyse"]
    assert sorted(asked) == ["digits", "digits", "second", "second"]
    assert text_of(app).count("The path leaves class") == 2 or text_of(app).count("The path is nearer") == 2
    assert len(app.get("plotly_chart")) == 2


def test_without_a_second_model_the_page_says_what_would_bring_one(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, other: FakeBundle
) -> None:
    other.class_names = tuple("abcdefghij")
    app = open_app(PAGE)
    assert "No other model here knows the same classes" in text_of(app)
    assert not engine.submitted


def test_without_images_answers_are_shown_and_attacks_say_what_they_need(bundle: FakeBundle) -> None:
    bundle.image_set, bundle.data_problem = None, "The images of 'digits' are not on this machine: none."
    assert "McNemar" in text_of(open_app(PAGE))
    app = open_tab(ATTACKS_TAB)
    assert "not on this machine" in text_of(app) and not [b for b in app.button if b.key == "versus-start"]
