"""What a live run has gathered: every score beside the image that it belongs to."""

from __future__ import annotations

import numpy as np

from telltale.analysis.results import LiveScores
from telltale_app.live import LiveRun


def scores_of(ids: list[int], success: list[bool]) -> LiveScores:
    """Return a part of a run in which an image's scores are its id, and its id and a half once attacked."""
    numbers = np.array(ids, dtype=np.float64)
    return LiveScores(np.array(ids), {"lid": numbers}, {"lid": numbers + 0.5}, np.array(success), 0)


def test_scores_lie_beside_their_images_over_all_parts() -> None:
    run = LiveRun("digits", "pgd", {}, 0, np.arange(9))
    run.results = [scores_of([4, 1], [False, True]), scores_of([7, 8], [True, True])]
    natural, attacked = run.scores("lid")
    of_natural, of_attacked = run.image_ids()
    np.testing.assert_array_equal(of_natural, [4, 1, 7, 8])
    np.testing.assert_array_equal(of_attacked, [1, 7, 8])
    np.testing.assert_array_equal(natural, of_natural)
    np.testing.assert_array_equal(attacked, of_attacked + 0.5)
