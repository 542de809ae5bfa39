"""Correcting training images on the pages: picked anywhere, marked once, asked again, undone, taken along."""

# ruff: noqa: ARG005  # stand-ins take what the real ones take

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import telltale.bundle
from support.fake_analysis import FakeBundle, FakeEngine, predict
from support.pages import open_app, show, text_of, unopened
from telltale.base.errors import InputError
from telltale.model_errors.changed_answers import ChangedAnswers
from telltale.model_errors.corrections import REMOVED, TrainingSet, require_corrections
from telltale.model_errors.label_votes import LabelVotes
from telltale.model_errors.reasons import ErrorReasons
from telltale.model_errors.refitting import WHOLE, Answers, Refit
from telltale.model_errors.suspicious import SuspiciousImages
from telltale_app import corrections
from telltale_app.panels import correction_files

NEIGHBOURS, ERRORS = "app_pages/neighbours.py", "app_pages/misclassifications.py"
LABELS_TAB = "Suspicious training images"


def refitted(ids: np.ndarray, new_labels: np.ndarray, image: np.ndarray | None) -> Refit:
    """Every correction moves a tenth from the class that is read to the next one; influence foretells half of it."""
    count = len(ids)
    answers = None
    if image is not None:
        before = np.asarray(predict(image).probabilities, dtype=np.float64)
        read, moved = int(before.argmax()), 0.1 * min(count, 9)

        def shifted(share: float) -> np.ndarray:
            values = before.copy()
            values[read] -= share
            values[(read + 1) % 10] += share
            return values

        answers = Answers(before, before, shifted(moved / 2), shifted(moved), np.full(count, 0.01))
    votes = LabelVotes(np.full(count, 0.25, np.float32), np.zeros(count, np.int64), np.full(count, 0.5, np.float32), 20)
    removed = int((new_labels == REMOVED).sum())
    return Refit(ids, removed, answers, np.full(count, 0.75), votes, WHOLE, 0.04)


def changed(ids: np.ndarray, new_labels: np.ndarray) -> ChangedAnswers:
    return ChangedAnswers(40, 40, 38, 39, np.array([161]), np.array([165, 166]), np.empty(0, np.int64))


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-in engine answer what is asked about corrections, and what the pages ask besides."""
    ids = np.arange(120)[::-1].copy()
    shares = np.linspace(1.0, 0.0, 120)
    ranked = SuspiciousImages(ids, ids % 10, shares, shares / 9, shares, (ids + 1) % 10, shares, 20, "exact")
    answers: dict[str, Any] = {
        "_refit": lambda _, bundle, ids, new_labels, image: refitted(ids, new_labels, image),
        "_changed_answers": lambda _, bundle, ids, new_labels: changed(ids, new_labels),
        "_suspicious_images": lambda _, bundle: ranked,
        "_explain_errors": lambda _, bundle: reasons(telltale.bundle.load_bundle(bundle)),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(FakeEngine, name, answer, raising=False)


def reasons(bundle: FakeBundle) -> ErrorReasons:
    from telltale.model_errors.evaluated import evaluated_images

    errors = evaluated_images(bundle.scores).errors()
    harmful = np.arange(len(errors) * 3).reshape(-1, 3)
    return ErrorReasons(
        errors.ids,
        {
            "harmful_ids": harmful,
            "harmful_labels": harmful % 10,
            "positions": {name: np.zeros((len(errors), 5, 2), np.float32) for name in ("umap", "pca")},
        },
    )


def made(app: AppTest, bundle: FakeBundle) -> dict[int, int | None]:
    kept = app.session_state["corrections-made"].get(bundle.id, {})
    return {image_id: correction.new_label for image_id, correction in kept.items()}


def keys(app: AppTest, part: str) -> list[str]:
    return [button.key for button in app.button if part in (button.key or "")]


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception and not app.error
    return app


def tasks_asked(engine: FakeEngine) -> list[str]:
    return [task for task, _ in engine.submitted]


def test_a_tile_is_picked_removed_asked_and_undone(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(NEIGHBOURS, image="test-163")
    assert "Pick** it above" in text_of(app) and "refit" not in tasks_asked(engine)
    key = keys(app, "harmful-pick-")[0]
    image_id = int(key.rpartition("-")[2])
    press(app, key)
    assert "**1 training image** picked" in text_of(app) and not made(app, bundle)
    assert "refit" not in tasks_asked(engine) and app.button(key=key).label == "Picked"
    assert "Training images: **1 picked**. [Go on at the end of this page](#correct)" in text_of(app)
    press(app, "correct-remove")
    assert made(app, bundle) == {image_id: None}
    assert app.query_params["corrections"] == f"{image_id}x"
    asked = [arguments for task, arguments in engine.submitted if task == "refit"][-1]
    assert asked["ids"].tolist() == [image_id] and asked["new_labels"].tolist() == [REMOVED]
    text = text_of(app)
    assert "Training images corrected: **1 removed**." in text
    assert "Test image 163 is still read as **3** (81 %), before with 91 %, which is right." in text
    for said in ("Right before: 38", "Right after: 39", "Wrong → right: 2", "Right → wrong: 1"):
        assert said in text
    frame = next(table.value for table in app.dataframe if "after refitting" in table.value)
    row = frame.set_index("class").loc["3"]
    assert row.tolist() == pytest.approx([0.91, 0.91, 0.86, 0.81])
    press(app, f"made-{image_id}-undo")
    assert not made(app, bundle) and "corrections" not in app.query_params
    assert "Training images corrected" not in text_of(app)


def test_corrections_survive_other_pages_and_all_can_be_undone(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(NEIGHBOURS, image="test-163")
    for key in keys(app, "nearest-pick-")[:3]:
        press(app, key)
    app.selectbox(key="correct-label-digits").select(0).run()
    press(app, "correct-relabel")
    first = made(app, bundle)
    assert set(first.values()) == {0} and 1 <= len(first) <= 3
    app.switch_page(ERRORS).run()
    assert f"Training images: {len(first)} relabelled" in "".join(text.value for text in app.sidebar.markdown)
    assert made(app, bundle) == first and f"**{len(first)} relabelled**" in text_of(app)
    assert app.query_params["corrections"] == ".".join(f"{image_id}-0" for image_id in first)
    press(app, keys(app, "errors-harmful-pick-")[0])
    press(app, "correct-remove")
    assert len(made(app, bundle)) == len(first) + 1
    press(app, "correct-undo-all")
    assert not made(app, bundle)


def test_images_that_have_the_class_already_stay_picked(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = unopened(NEIGHBOURS)
    app.session_state["corrections-picked"] = {bundle.id: {i: corrections.Pick(i, "why") for i in (13, 24)}}
    app.run()
    app.selectbox(key="correct-label-digits").select(3).run()
    press(app, "correct-relabel")
    assert made(app, bundle) == {24: 3} and list(app.session_state["corrections-picked"][bundle.id]) == [13]
    press(app, "picked-13")
    assert "picked. What" not in text_of(app)


def test_the_harmful_images_of_an_error_are_tried_on_that_error(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(ERRORS)
    press(app, keys(app, "errors-harmful-pick-")[0])
    press(app, "correct-remove")
    asked = [arguments for task, arguments in engine.submitted if task == "refit"][-1]
    (shown,) = re.findall(r"\*\*Image (\d+)\.\*\*", text_of(app))
    np.testing.assert_array_equal(asked["image"], bundle.image_set.images([int(shown)])[0])
    kept = app.session_state["corrections-made"][bundle.id]
    assert next(iter(kept.values())).reason.startswith("harmful to ")


def test_suspicious_images_are_picked_one_by_one_and_by_ticks(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = unopened(ERRORS)
    app.session_state["misclassifications-tab"] = LABELS_TAB
    app.run()
    press(app, "suspicious-pick-119")
    app.session_state["suspicious-table-digits"] = {"selection": {"rows": [1, 2], "columns": [], "cells": []}}
    app.run()
    press(app, "suspicious-pick")
    press(app, "correct-remove")
    assert made(app, bundle) == {119: None, 118: None, 117: None}
    first = app.session_state["corrections-made"][bundle.id][118]
    assert first.reason == "suspicious label, rank 2 of 120" and first.evidence.neighbours_say == 9


def test_a_lasso_is_picked_as_a_whole(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = unopened(NEIGHBOURS)
    app.session_state["map-lasso"] = {"scope": bundle.id, "ids": [13, 3, 23]}
    app.run()
    press(app, "map-pick")
    press(app, "correct-remove")
    assert made(app, bundle) == {3: None, 13: None, 23: None}


def test_a_link_brings_its_corrections_and_says_what_it_cannot(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(NEIGHBOURS, corrections="7x.23-5.24-4.150x.8-77.junk.9x")
    assert made(app, bundle) == {7: None, 23: 5, 9: None}
    assert "4 corrections of the link were left out: no such training image or class." in text_of(app)
    assert app.query_params["corrections"] == "7x.23-5.9x"


def test_what_does_not_fit_into_a_link_is_said(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "LONGEST_TEXT", 8)
    app = open_app(NEIGHBOURS, corrections="7x.23-5")
    assert app.query_params["corrections"] == "7x.23-5" and "do not fit into a link" not in text_of(app)
    press(app, keys(app, "nearest-pick-")[0])
    press(app, "correct-remove")
    assert "corrections" not in app.query_params and "do not fit into a link" in text_of(app)
    assert len(made(app, bundle)) == 3


def test_the_file_of_the_page_is_what_the_command_line_reads(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    real = correction_files.st.download_button
    monkeypatch.setattr(
        correction_files.st,
        "download_button",
        lambda label, data, *rest, **named: (given.__setitem__(label, data), real(label, data, *rest, **named))[1],
    )
    app = open_app(NEIGHBOURS, corrections="7x.23-5")
    assert not app.exception
    (first, second) = require_corrections(given["Corrections as CSV"], TrainingSet.of_bundle(bundle))
    assert (first.image_id, first.new_label, second.image_id, second.new_label) == (7, None, 23, 5)
    assert first.evidence.self_influence == 0.75 and first.evidence.disagreement == 0.75
    assert first.reason == "from a link"
    assert given["Corrected images as folders"]()[:2] == b"PK"
    code = "\n".join(block.value for block in app.code)
    assert "telltale train digits --data 'fake' --corrections digits-corrections.csv" in code
    assert "telltale corrections folders digits digits-corrections.csv" in code


def test_a_file_is_taken_row_by_row(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(NEIGHBOURS)
    rows = b"image_id,action,new_class\n7,remove,\n500,remove,\n23,relabel,5\n"
    app.file_uploader[0].upload("made.csv", rows).run()
    assert made(app, bundle) == {7: None, 23: 5}
    text = text_of(app)
    assert "2 corrections taken from the file." in text
    assert "Row 3: image 500 is not among the training images." in text
    app.run()
    assert "Row 3" not in text_of(app), "said once"
    app.file_uploader[0].upload("other.csv", b"nothing").run()
    assert "lack the column 'image_id'" in text_of(app) and len(made(app, bundle)) == 2


def test_without_images_the_head_is_refitted_all_the_same(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = FakeBundle(False, colour=True)
    show(monkeypatch, bundle)
    app = unopened(ERRORS, bundle="cifar10", corrections="7x")
    app.session_state["misclassifications-tab"] = LABELS_TAB
    app.run()
    assert not app.exception and not app.error
    assert "can be counted only where the images are at hand" in text_of(app)
    assert "changed_answers" not in tasks_asked(engine) and "refit" in tasks_asked(engine)
    assert {button.label for button in app.get("download_button")} >= {"Corrections as CSV"}


def test_a_head_that_cannot_be_refitted_says_why_and_the_rest_goes_on(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Refit:
        raise InputError("This network has no linear head.")

    monkeypatch.setattr(FakeEngine, "_refit", refuse, raising=False)
    app = open_app(NEIGHBOURS, corrections="7x")
    assert not app.exception and "This network has no linear head." in text_of(app)
    assert "1 removed" in text_of(app) and app.get("download_button")


def test_another_model_has_corrections_of_its_own(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(NEIGHBOURS, corrections="7x")
    app.session_state["corrections-made"] = {"of another model": app.session_state["corrections-made"][bundle.id]}
    app.run()
    assert "corrections" not in app.query_params and "Training images corrected" not in text_of(app)
