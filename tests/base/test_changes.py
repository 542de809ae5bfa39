"""Changes of an image made visible and scaled, against results worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from telltale.base import changes


def test_gain_never_clips_where_a_smaller_one_does_not() -> None:
    assert changes.sensible_gain(0.1, (1, 2, 5, 10, 20)) == 10
    assert changes.sensible_gain(0.0, (1, 2, 5)) == 5
    assert changes.sensible_gain(2.0, (1, 2, 5)) == 1


def test_amplified_change_is_grey_where_nothing_changed() -> None:
    change = np.array([[[0.0, 0.1, -0.1, 1.0]]], np.float32)
    assert changes.amplified(change, 5.0).ravel().tolist() == pytest.approx([0.5, 0.75, 0.25, 1.0])


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.2), (0.5, 0.5), (1.0, 0.8), (1.5, 1.0)])
def test_scaled_perturbation(strength: float, expected: float) -> None:
    image = changes.scaled(np.full((1, 1, 1), 0.2, np.float32), np.full((1, 1, 1), 0.8, np.float32), strength)
    assert float(image[0, 0, 0]) == pytest.approx(round(255 * expected) / 255, abs=1 / 255)
