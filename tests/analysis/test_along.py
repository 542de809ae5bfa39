"""The fused verdict along a change is what each of its images gets by itself."""

from __future__ import annotations

import numpy as np
import pytest

from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.along import ALPHA, verdicts_along
from telltale.analysis.analyse import analyse_image, attack_image
from telltale.base.changes import scaled
from telltale.base.errors import CancelledError, InputError
from telltale.scores.calibration import fused_kind_at

STRENGTHS = tuple(np.round(np.arange(0.0, 1.51, 0.15), 2).tolist())  # more than are asked at once


@pytest.fixture(scope="module")
def changed() -> tuple[np.ndarray, np.ndarray]:
    natural = images_of(correct_test_ids(1))[0]
    return natural, attack_image(shipped(), natural, "pgd").images[0]


def test_every_strength_gets_what_its_image_gets_alone(changed: tuple[np.ndarray, np.ndarray]) -> None:
    natural, attacked = changed
    found = verdicts_along(shipped(), natural, attacked, STRENGTHS)
    assert len({verdict.kind for verdict in found}) > 1, "or nothing is told apart here"
    for strength, verdict in zip(STRENGTHS, found, strict=True):
        image = scaled(natural, attacked, strength)  # the picture that the pages show there
        alone = analyse_image(shipped(), image, ALPHA).fused
        assert alone is not None and verdict.kind == alone.kind, strength
        assert verdict.attack.score == pytest.approx(alone.attack.score, abs=2e-3), (
            strength
        )  # of 50 log odds; sums in batches


def test_the_score_of_natural_errors_is_each_images_own() -> None:
    loaded = shipped("cifar10")
    images = np.rint(255 * np.random.default_rng(0).random((2, *loaded.bundle.image_shape))).astype(np.float32) / 255
    found = verdicts_along(loaded, images[0], images[1], (0.0, 1.0))
    for verdict, image in zip(found, images, strict=True):
        alone = analyse_image(loaded, image, ALPHA).fused
        assert alone is not None and alone.error is not None and verdict.error is not None
        assert verdict.error.score == pytest.approx(alone.error.score, abs=2e-3)
    assert found[0].error != found[1].error


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5])
def test_another_rate_needs_no_other_look(changed: tuple[np.ndarray, np.ndarray], alpha: float) -> None:
    natural, attacked = changed
    for verdict, image in zip(verdicts_along(shipped(), natural, attacked, (0.0, 1.0)), changed, strict=True):
        alone = analyse_image(shipped(), image, alpha).fused
        assert alone is not None and fused_kind_at(verdict, alpha) == alone.kind


def test_wrong_strengths_are_refused_and_a_cancelled_run_ends(changed: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="strengths must be numbers in"):
        verdicts_along(shipped(), *changed, (0.0, 5.0))

    def cancel(fraction: float, _: str) -> None:
        if fraction > 0:
            raise CancelledError

    with pytest.raises(CancelledError):
        verdicts_along(shipped(), *changed, STRENGTHS, cancel)
