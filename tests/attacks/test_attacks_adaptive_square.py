"""The search that knows exact scores: on nothing to hide from, on steps without a slope, against all it has tried."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from support.attack_cases import linear_problem
from support.shipped import correct_test_ids, images_of, shipped
from telltale.attacks import AttackResult, attack_images
from telltale.base.errors import InputError
from telltale.base.images import FloatImages, round_to_8_bits, to_bytes
from telltale.detectors.base import Arrays, Detector, Labels
from telltale.detectors.defence import Defence
from telltale.detectors.fusion import FUSED
from telltale.evidence.evidence import Evidence
from telltale.evidence.margins import logit_margins
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference

NAME = "idefender"  # any name that can be asked for: what stands behind it is the test's own
EPS = 0.1
GREY_STEPS = 500  # of the broken detector, between black and white


class Given(Detector):
    """A detector that says what a function of the images says."""

    name = NAME

    def __init__(self) -> None:
        super().__init__()
        self._fitted = True

    def _fit(self, evidence: Evidence, labels: Labels) -> None: ...

    def _score(self, evidence: Evidence) -> np.ndarray:
        return evidence.readings["given"]

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None: ...


def constant(images: np.ndarray) -> np.ndarray:
    return np.zeros(len(images))


def steps(images: np.ndarray) -> np.ndarray:
    """Return how many steps brighter than black images are: flat almost everywhere."""
    return np.floor(images.mean((1, 2, 3), dtype=np.float64) * GREY_STEPS)


class Guarded:
    """A linear classifier with one detector, which is told what to say, and everything that was ever scored."""

    def __init__(self, says: Callable[[np.ndarray], np.ndarray]) -> None:
        self._says = says
        self.classifier, self.images = linear_problem()
        self.scored: list[FloatImages] = []
        trace = self.classifier.trace(self.images)
        self._reference = Reference(np.arange(6), trace.predictions, 5, trace)
        slopes = {NAME: lambda images: torch.floor(images.double().mean((1, 2, 3)) * GREY_STEPS)}
        self.defence = Defence(self.classifier, self._reference, {NAME: Given()}, None, slopes, look=self._look)

    def _look(self, images: FloatImages, kinds: Collection[str]) -> Evidence:
        assert not kinds
        self.scored += list(images.copy())
        readings = Readings({"given": self._says(images)})
        return Evidence(self._reference, self.classifier.trace(images), readings)

    def attack(self, name: str = "adaptive_square", images: FloatImages | None = None, **given: Any) -> AttackResult:
        images = self.images if images is None else images
        values: Mapping[str, object] = {"detector": NAME, "eps": EPS} | given
        return attack_images(self.classifier, images, name, values, batch_size=len(images), defence=self.defence)


def test_it_works_at_all_where_there_is_nothing_to_hide_from() -> None:
    guarded = Guarded(constant)
    result = guarded.attack(queries=100)
    assert result.success.all() and (result.gradients == 0).all()
    assert np.array_equal(guarded.classifier.predict(result.images) != result.labels, result.success)
    targets = (result.labels + 1) % 5
    aimed = attack_images(
        guarded.classifier,
        guarded.images,
        "adaptive_square",
        {"eps": 0.2, "queries": 300},
        targets=targets,
        batch_size=6,
        defence=guarded.defence,
    )
    assert np.array_equal(guarded.classifier.predict(aimed.images)[aimed.success], targets[aimed.success])
    assert aimed.success.all()


def test_it_evades_a_broken_detector_that_gradients_cannot() -> None:
    """The score falls with the brightness, which anybody can lower, but in steps: its slope is zero everywhere."""
    guarded = Guarded(steps)
    blind = guarded.attack("adaptive", weight=0.0)
    followed = guarded.attack("adaptive", weight=0.5)
    found = guarded.attack(queries=400)
    assert followed.success.all() and found.success.all()
    by_gradients, by_search = (steps(result.images) for result in (followed, found))
    assert np.abs(by_gradients - steps(blind.images)).max() <= 5, "it has not hidden"
    assert (by_search < by_gradients - 10).all()
    # An alarm that no natural image raises, at the darkest of them: every image gets below it.
    assert (by_search < steps(guarded.images).min()).all()


def test_the_least_suspicious_success_of_all_that_were_tried_is_kept() -> None:
    guarded = Guarded(steps)
    for row in range(3):
        guarded.scored.clear()
        image = guarded.images[row : row + 1]
        found = guarded.attack(images=image, queries=200)
        tried = np.stack(guarded.scored)
        np.testing.assert_array_equal(round_to_8_bits(tried), tried)
        assert np.abs(to_bytes(tried).astype(int) - to_bytes(image).astype(int)).max() <= int(255 * EPS)
        assert (guarded.classifier.predict(tried) != found.labels[0]).all(), "what is read right needs no score"
        assert steps(found.images)[0] == steps(tried).min()
        assert found.queries[0] == 200 + len(tried)
        assert (tried == found.images[0]).all((1, 2, 3)).any()


def test_pixels_that_need_not_change_get_their_natural_values_back() -> None:
    natural = linear_problem()[1][:1]

    def changed(images: np.ndarray) -> np.ndarray:
        return (to_bytes(images) != to_bytes(natural)).sum((1, 2, 3)).astype(np.float64)

    guarded = Guarded(changed)
    first, found = (guarded.attack(images=natural, queries=queries) for queries in (2, 300))
    assert found.success.all() and changed(found.images)[0] < 0.5 * changed(first.images)[0]


def test_more_queries_hide_better_and_gradients_are_a_start_that_is_not_lost() -> None:
    guarded = Guarded(steps)
    few, many = (steps(guarded.attack(queries=queries).images).mean() for queries in (30, 500))
    assert many < few
    followed = guarded.attack("adaptive", weight=0.5)
    only = guarded.attack(start="gradients", queries=1)
    np.testing.assert_array_equal(only.images, followed.images)
    assert (only.gradients > 0).all()
    onwards = guarded.attack(start="gradients", queries=200)
    assert onwards.success.all()
    assert (steps(onwards.images) < steps(followed.images)).all()


def test_images_that_resist_come_back_with_a_smaller_margin() -> None:
    guarded = Guarded(steps)
    result = guarded.attack(eps=2 / 255, queries=100)
    assert not result.success.all()
    before, after = (
        logit_margins(guarded.classifier.trace(images).logits, result.labels)
        for images in (guarded.images, result.images)
    )
    assert (after < before).all()


def test_less_than_a_grey_level_changes_nothing_and_asks_nothing() -> None:
    result = Guarded(steps).attack(eps=0.003)
    assert np.array_equal(result.images, result.natural) and (result.queries == 0).all()


@pytest.mark.parametrize("aim", [FUSED, "lid", "mahalanobis+feature_squeezing"])
def test_exact_scores_are_those_of_an_analysis(aim: str) -> None:
    loaded = shipped()
    images = images_of(correct_test_ids(3))
    images = np.concatenate([images, round_to_8_bits(np.clip(images + 0.1, 0.0, 1.0))])
    evidence = loaded.evidence(images)
    every = loaded.fitted.score_all(evidence)
    if "+" in aim:
        fusion = loaded.fitted.fusion
        assert fusion is not None
        surprises = fusion.surprises(every)
        expected = sum(surprises[:, fusion.members.index(name)] for name in aim.split("+"))
    else:
        expected = every[aim]
    np.testing.assert_allclose(loaded.defence.scoring(aim)(images), expected, rtol=1e-6, atol=1e-8)


def test_nothing_is_measured_on_pixels_for_detectors_that_do_not_read_it() -> None:
    loaded, asked = shipped(), []

    def look(images: FloatImages, kinds: Collection[str]) -> Evidence:
        asked.append(set(kinds))
        assert loaded.defence.look is not None
        evidence = loaded.defence.look(images, kinds)
        measured.append(set(evidence.readings.arrays))
        return evidence

    measured: list[set[str]] = []
    defence = Defence(loaded.classifier, loaded.reference, loaded.detectors, loaded.fitted.fusion, look=look)
    for aim in ("idefender", "feature_squeezing"):
        defence.scoring(aim)(images_of(correct_test_ids(1)))
    assert asked == [{"density"}, {"squeezing"}] and measured == [set(), {"squeezed"}]


def test_what_has_no_exact_score_is_said_in_one_sentence() -> None:
    guarded = Guarded(steps)
    with pytest.raises(InputError, match=r"must be one of .* or several, joined by '\+'"):
        guarded.attack(detector="lid+nobody")
    with pytest.raises(InputError, match="There is no fitted detector 'lid' to aim at; there are idefender"):
        guarded.attack(detector="lid")
    with pytest.raises(InputError, match="There is no fused verdict here"):
        guarded.attack(detector=FUSED)
    guarded.defence = Defence(guarded.classifier, guarded.defence.reference, guarded.defence.detectors)
    with pytest.raises(InputError, match="cannot be analysed here, without which 'idefender' has no exact score"):
        guarded.attack()
