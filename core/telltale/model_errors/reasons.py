"""Why a model misreads its natural errors: what every kind of evidence says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.progress import Progress
from telltale.model_errors.evaluated import Evaluated, evaluated_images

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle

Rows = npt.NDArray[np.int64]

IMAGES_AT_ONCE = 16
LIKELY_LABEL_ERROR = 0.9  # network and neighbours nearly agree on another class


@dataclass(frozen=True)
class ErrorReasons:
    """What lies behind n natural errors, in the order of `Evaluated.errors`.

    Attributes
    ----------
    ids : array of int64, shape (n,)
        Data-set ids of the misread images.
    found : mapping of str to object
        What every kind of evidence says (`telltale.kinds.kind.Kind.explain`), by name: arrays of shape (n, ...), dicts
        of such arrays, and numbers or words about all of them. A kind that is not available says nothing. Besides,
        `label_confidence`, float64 of shape (n,): the softmax probability of the true class.
    """

    ids: Rows
    found: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def __getitem__(self, name: str) -> Any:
        """Return what was found under a name.

        Raises
        ------
        InputError
            If no available kind of evidence says it.
        """
        if name not in self.found:
            raise InputError(f"No evidence of this bundle says anything of '{name}'.")
        return self.found[name]


def explain_errors(loaded: LoadedBundle, checkpoint: Progress) -> ErrorReasons:
    """Find what lies behind every natural error of a bundle's model.

    Parameters
    ----------
    loaded : LoadedBundle
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the images have no labels, or are not on this machine.
    """
    loaded.bundle.require_labels()
    images = loaded.bundle.require_images()
    errors = evaluated_images(loaded.bundle.scores).errors()
    parts = []
    for start in range(0, len(errors), IMAGES_AT_ONCE):
        checkpoint(start / len(errors), f"error {start + 1} of {len(errors)}")
        part = errors.take(np.arange(start, min(start + IMAGES_AT_ONCE, len(errors))))
        parts.append(_explain(loaded, part, images.images(part.ids)))
    names = parts[0] if parts else {}
    return ErrorReasons(errors.ids, {name: _joined([part[name] for part in parts]) for name in names})


def _explain(loaded: LoadedBundle, errors: Evaluated, images: npt.NDArray[np.float32]) -> dict[str, Any]:
    trace = loaded.classifier.trace(images)
    evidence = loaded.evidence_of(trace)
    found: dict[str, Any] = {"label_confidence": trace.probabilities[np.arange(len(errors)), errors.labels]}
    for kind in loaded.available:
        found |= kind.explain(loaded.seen(kind, evidence), errors.labels)
    return found


def _joined(parts: list[Any]) -> Any:
    """Join what was found about several groups of images; what holds for all of them is the same in each."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    return first
