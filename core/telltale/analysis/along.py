"""The fused verdict along the straight line from a natural through an attacked image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from telltale.analysis.analyse import fused_verdicts, line_of
from telltale.analysis.observing import observe_images
from telltale.analysis.opened import LoadedBundle
from telltale.base.progress import Progress
from telltale.scores.verdicts import FusedVerdict

Image = npt.NDArray[np.float32]
AT_ONCE = 8  # images, so that a cancelled run ends soon
ALPHA = 0.05


def verdicts_along(
    loaded: LoadedBundle,
    natural: Image,
    attacked: Image,
    strengths: Sequence[float],
    checkpoint: Progress | None = None,
) -> tuple[FusedVerdict, ...]:
    """Return what the fused verdict makes of every strength of a change, at a false-positive rate of 5 %.

    `telltale.scores.calibration.fused_kind_at` says what each is at another rate.

    Parameters
    ----------
    loaded : LoadedBundle
    natural, attacked : array of float32, shape (C, H, W), in [0, 1]
    strengths : sequence of float
        As for `telltale.analysis.analyse.sweep`.
    checkpoint : callable, optional

    Returns
    -------
    tuple of FusedVerdict
        One per strength; empty where this bundle has no fused verdict.

    Raises
    ------
    InputError
        If an image or a strength is not accepted.
    """
    images = line_of(loaded, natural, attacked, strengths)
    found: list[FusedVerdict] = []
    for start in range(0, len(images), AT_ONCE):
        if checkpoint is not None:
            checkpoint(start / len(images), "asking the detectors along the change")
        part = images[start : start + AT_ONCE]
        observed = observe_images(loaded.classifier, part)
        scores = loaded.fitted.score(loaded.evidence_from(part, observed))
        found += fused_verdicts(loaded, scores, observed.trace, ALPHA)
    return tuple(found)
