"""Failure slices of a shipped model: features against what other code says of the same images, and the command."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from support.direct_engine import DirectEngine
from support.shipped import shipped
from telltale.base.errors import InputError
from telltale.base.progress import silent
from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.reasons import explain_errors
from telltale.model_errors.slices_features import (
    AGREEMENT,
    BRIGHTNESS,
    CONFIDENCE,
    DEPARTURE,
    READ_AS,
    SHARPNESS,
    TRUE_CLASS,
    NumberFeature,
)
from telltale.model_errors.slices_of_bundle import failure_slices, features_of_bundle


def test_features_of_errors_are_their_reasons_where_the_runner_up_is_the_truth() -> None:
    loaded = shipped()
    images = evaluated_images(loaded.bundle.scores)
    features, missing = features_of_bundle(loaded.bundle, loaded, images, silent)
    known = {feature.name: feature for feature in features}
    assert list(known) == [READ_AS, TRUE_CLASS, CONFIDENCE, BRIGHTNESS, SHARPNESS, AGREEMENT, DEPARTURE] and not missing
    reasons = explain_errors(loaded, silent)
    rows = np.flatnonzero(images.wrong)
    np.testing.assert_array_equal(images.ids[rows], reasons.ids)
    np.testing.assert_allclose(known[AGREEMENT].values[rows], reasons["predicted_share"])
    logits = loaded.classifier.trace(loaded.bundle.image_set.images(reasons.ids)).logits
    second = np.argsort(-logits, axis=1)[:, 1] == images.labels[rows]
    assert second.sum() > 0
    np.testing.assert_array_equal(known[DEPARTURE].codes[rows][second], reasons["departures"][second])
    assert set(known[DEPARTURE].codes[~images.wrong]) - {-1}, "images that are read correctly depart as well"
    first = loaded.bundle.image_set.images(images.ids[:1])[0]
    assert known[BRIGHTNESS].values[0] == pytest.approx(first.mean(), rel=1e-5)


def stand_in(tails: str) -> SimpleNamespace:
    """The shipped bundle on a machine without its images."""
    bundle = load_bundle("digits")
    detectors = {"knn_score": {"parameters": {**bundle.manifest.detectors["knn_score"]["parameters"], "tails": tails}}}
    return SimpleNamespace(
        scores=bundle.scores,
        class_names=bundle.class_names,
        image_set=None,
        seed=0,
        require_labels=lambda: None,
        manifest=SimpleNamespace(detectors=detectors),
    )


def test_without_images_there_is_what_the_scores_tell() -> None:
    bundle = stand_in("upper")
    found = failure_slices(bundle, None, silent)
    assert found.features == (READ_AS, TRUE_CLASS, CONFIDENCE, AGREEMENT)
    assert sorted(found.missing) == sorted((BRIGHTNESS, SHARPNESS, DEPARTURE))
    images = evaluated_images(bundle.scores)
    feature = features_of_bundle(bundle, None, images, silent)[0][-1]
    assert isinstance(feature, NumberFeature)
    stored = {
        row["image_id"]: row["score_knn_score"]
        for row in bundle.scores.to_pylist()
        if row["kind"].startswith("natural")
    }
    np.testing.assert_allclose(feature.values, [1.0 - stored[i] for i in images.ids])


def test_a_score_that_is_not_a_share_of_the_vote_is_not_taken_for_one() -> None:
    assert AGREEMENT in failure_slices(stand_in("both"), None, silent).missing


def test_what_is_left_out_describes_no_group_and_is_not_missed() -> None:
    found = failure_slices(shipped().bundle, shipped(), silent, ("confidence", "agreement"))
    assert found.features == (READ_AS, TRUE_CLASS, BRIGHTNESS, SHARPNESS, DEPARTURE)
    assert not any("confidence" in text or "agreement" in text for group in found.slices for text in group.details)
    without_images = failure_slices(stand_in("upper"), None, silent, ("departure", "read"))
    assert without_images.features == (TRUE_CLASS, CONFIDENCE, AGREEMENT) and DEPARTURE not in without_images.missing
    with pytest.raises(InputError, match="'doubt' cannot be left out; choose among read, true, confidence"):
        failure_slices(shipped().bundle, None, silent, ("doubt",))


def test_the_engine_answers_what_the_library_finds() -> None:
    found = DirectEngine().submit("failure_slices", bundle="digits").result()
    assert found.to_json() == failure_slices(shipped().bundle, shipped(), silent).to_json()


def test_the_command_prints_what_the_library_finds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slices", "digits", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    expected = failure_slices(shipped().bundle, shipped(), silent).to_json()
    assert record == json.loads(json.dumps({"bundle": "digits", **expected}))
    assert record["overall"]["total"] == 450 and record["features"][0] == READ_AS
    assert main(["slices", "digits", "--without", "read, true", "--json"]) == 0
    expected = failure_slices(shipped().bundle, shipped(), silent, ("read", "true")).to_json()
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps({"bundle": "digits", **expected}))
    assert main(["slices", "digits", "--without", "doubt"]) == 2
    assert "cannot be left out" in capsys.readouterr().err
    assert main(["slices", "digits"]) == 0
    assert "images misread" in capsys.readouterr().out
    assert main(["slices", "nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
