"""What kinds of evidence need, and the sentences that say what is missing."""

from __future__ import annotations

import numpy as np

from telltale.kinds.kind import Fitting, Need

LEAST_FOR_A_MIXTURE = 2


def _head(fitting: Fitting) -> str | None:
    return fitting.head_problem


def _every_class(fitting: Fitting) -> str | None:
    counts = np.bincount(fitting.labels, minlength=fitting.classes)
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return None
    return f"Every class needs a training image as reference; {len(empty)} of {fitting.classes} have none."


def _several_per_class(fitting: Fitting) -> str | None:
    counts = np.bincount(fitting.labels, minlength=fitting.classes)
    few = int((counts < LEAST_FOR_A_MIXTURE).sum())
    if not few:
        return None
    return (
        f"Every class needs {LEAST_FOR_A_MIXTURE} training images as references; {few} of {fitting.classes} have fewer."
    )


LINEAR_HEAD = Need(_head)
REFERENCES_PER_CLASS = Need(_every_class)
SEVERAL_PER_CLASS = Need(_several_per_class)
