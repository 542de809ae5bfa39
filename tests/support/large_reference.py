"""A reference set that counts as large, because the sizes from which one does are lowered; and what it answers.

``python -m support.large_reference KIND FOLDER OUT`` answers from what FOLDER holds, and fails if anything that was
stored is made again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telltale.base.processes import use_one_thread
from telltale.bundle.fitted import ReferenceFiles
from telltale.evidence import approximate, by_size, curvature, sparse_tables
from telltale.evidence.neighbours import PROCESSINGS
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace
from telltale.studies.growth.generated import GeneratedFeatures

CLASSES, WIDTHS, COUNT, QUERIES = 30, (10, 12), 3000, 6
LAYERS = ("first", "last")
# Images from which search is approximate, weights from which the whole Hessian is not factored, and not solved.
SIZES = {"exact": (10**6, 10**6, 10**6), "conjugate": (1000, 300, 10**6), "sparse": (1000, 300, 300)}


def lower_sizes(kind: str, patch: pytest.MonkeyPatch) -> None:
    for name, size in zip(("APPROXIMATE_FROM", "FACTORED_WEIGHTS", "CONJUGATE_WEIGHTS"), SIZES[kind], strict=True):
        patch.setattr(by_size, name, size)


def features(count: int, seed: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    drawn = [GeneratedFeatures.make(CLASSES, width).draw(count, seed) for width in WIDTHS]
    return tuple(hidden for hidden, _ in drawn), drawn[0][1]


def make() -> Reference:
    activations, labels = features(COUNT, 1)
    head = by_size.fit_softmax_head(activations[-1], labels, CLASSES, 1e-3)
    trace = Trace(LAYERS, activations, head.probabilities(activations[-1]).astype(np.float32))
    return Reference(np.arange(COUNT), labels, CLASSES, trace, {"influence": head})


def answers(reference: Reference) -> dict[str, np.ndarray]:
    """Neighbours on every layer in every processing, and the most influential images."""
    queries, labels = features(QUERIES, 2)
    found: dict[str, np.ndarray] = {}
    for layer, activations in zip(LAYERS, queries, strict=True):
        for processing in PROCESSINGS:
            near = reference.index(layer, processing).search(activations, 50)
            found |= {f"{layer}-{processing}-rows": near.rows, f"{layer}-{processing}-distances": near.distances}
    top = reference.influence.top(queries[-1], labels, 20)
    return found | vars(top)


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("This was stored and is made again.")


if __name__ == "__main__":
    use_one_thread()  # as the test that compares: a product's last digit depends on how it is divided
    kind, folder, out = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch:
        lower_sizes(kind, patch)
        patch.setattr(approximate.ApproximateIndex, "train", refuse)
        patch.setattr(approximate, "fit_pca", refuse)
        patch.setattr(curvature.ClassBlocks, "fit", refuse)
        patch.setattr(sparse_tables.SparseProbabilities, "of", refuse)
        np.savez(out, **answers(ReferenceFiles(Path(folder), LAYERS, CLASSES).read()))
