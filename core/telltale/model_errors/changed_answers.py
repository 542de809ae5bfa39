"""Which test images a refitted head answers differently: what corrections of training images are worth to others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.progress import Progress
from telltale.model_errors.evaluated import Evaluated, evaluated_images
from telltale.model_errors.refitting import correct_head

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.evidence.influence import SoftmaxHead

Ids = npt.NDArray[np.int64]

MOST_IMAGES = 2_000  # tracing more takes longer than anybody waits for
TRACED_AT_ONCE = 32
KEPT = 3

_kept: OrderedDict[str, tuple[Evaluated, npt.NDArray[np.float32]]] = OrderedDict()
_tracing = threading.RLock()


@dataclass(frozen=True)
class ChangedAnswers:
    """How a refitted head reads natural test images, beside the head before.

    Attributes
    ----------
    images, of : int
        How many were read, of how many natural test images; evenly spread over them.
    right_before, right_after : int
        How many of them were read correctly.
    to_wrong, to_right : array of int64
        Ids of those that were read correctly before and are not now, and the other way round.
    to_other : array of int64
        Ids of those read wrongly both times, and differently.
    """

    images: int
    of: int
    right_before: int
    right_after: int
    to_wrong: Ids
    to_right: Ids
    to_other: Ids


def changed_answers(loaded: LoadedBundle, ids: Ids, new_labels: Ids, checkpoint: Progress) -> ChangedAnswers:
    """Refit a bundle's head on its corrected reference set and let both heads read the natural test images.

    Parameters
    ----------
    loaded : LoadedBundle
    ids, new_labels : array of int64, shape (k,)
        As `telltale.model_errors.corrections.as_arrays` returns them.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If the images are not on this machine, or the corrections are none; see `refit`.
    """
    heads = correct_head(loaded.reference, ids, new_labels, lambda: checkpoint(0.0, "refitting the head"))
    test, hidden = _natural_test(loaded, checkpoint)
    of = int((evaluated_images(loaded.bundle.scores).splits == "test").sum())
    return compare(test, of, hidden, heads.before, heads.after)


def compare(
    test: Evaluated, of: int, hidden: npt.NDArray[np.float32], before: SoftmaxHead, after: SoftmaxHead
) -> ChangedAnswers:
    """Compare two heads on images (n,) with hidden states (n, d)."""
    first, second = before.probabilities(hidden).argmax(1), after.probabilities(hidden).argmax(1)
    was, is_now = first == test.labels, second == test.labels
    return ChangedAnswers(
        images=len(test),
        of=of,
        right_before=int(was.sum()),
        right_after=int(is_now.sum()),
        to_wrong=test.ids[was & ~is_now],
        to_right=test.ids[~was & is_now],
        to_other=test.ids[~was & ~is_now & (first != second)],
    )


def _natural_test(loaded: LoadedBundle, checkpoint: Progress) -> tuple[Evaluated, npt.NDArray[np.float32]]:
    """Return natural test images and their hidden states; traced once per process and bundle."""
    key = loaded.bundle.id
    with _tracing:
        if key not in _kept:
            _kept[key] = _traced(loaded, checkpoint)
        _kept.move_to_end(key)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return _kept[key]


def _traced(loaded: LoadedBundle, checkpoint: Progress) -> tuple[Evaluated, npt.NDArray[np.float32]]:
    images = loaded.bundle.require_images()
    natural = evaluated_images(loaded.bundle.scores)
    test = natural.take(natural.splits == "test")
    if len(test) > MOST_IMAGES:
        test = test.take(np.linspace(0, len(test) - 1, MOST_IMAGES).astype(np.int64))
    parts = [np.empty((0, loaded.reference.trace.hidden.shape[1]), dtype=np.float32)]
    for start in range(0, len(test), TRACED_AT_ONCE):
        checkpoint(start / len(test), f"reading test image {start + 1} of {len(test)}")
        parts.append(loaded.classifier.trace(images.images(test.ids[start : start + TRACED_AT_ONCE])).hidden)
    return test, np.concatenate(parts)
