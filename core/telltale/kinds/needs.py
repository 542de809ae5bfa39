"""What kinds of evidence need, and the sentences that say what is missing."""

from __future__ import annotations

import numpy as np

from telltale.evidence.density import FEWEST, enough
from telltale.kinds.kind import Fitting, Need

LEAST_CLASSES = 2


def _head(fitting: Fitting) -> str | None:
    return fitting.head_problem


def _two_classes(fitting: Fitting) -> str | None:
    found = len(np.unique(fitting.labels))
    if found >= LEAST_CLASSES:
        return None
    return f"Labelled reference images of at least {LEAST_CLASSES} classes would bring it; there are those of {found}."


def _a_mixture(fitting: Fitting) -> str | None:
    if enough(fitting.labels, fitting.classes).any():
        return None
    return f"A class with at least {FEWEST} labelled reference images would bring it; none has as many."


LINEAR_HEAD = Need(_head)
REFERENCES_OF_CLASSES = Need(_two_classes)
SEVERAL_OF_A_CLASS = Need(_a_mixture)
