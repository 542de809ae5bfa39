"""What the head is given for every image, computed once: a new head is fitted to that alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from telltale.base.progress import Progress
from telltale.building.fine_tuning.views import mirrored
from telltale.data.image_set import ImageSet
from telltale.models.classifier import Classifier
from telltale.models.training import Checkpoint

Floats: TypeAlias = npt.NDArray[np.float32]
Ids: TypeAlias = npt.NDArray[np.int64]
View: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

PASS = "pass."


@dataclass(frozen=True)
class Features:
    """Inputs of the head.

    Attributes
    ----------
    training : array of float32, shape (copies, n, d)
        Of every training image as it is, and mirrored.
    validation : array of float32, shape (m, d)
    """

    training: Floats
    validation: Floats


def find_features(
    classifier: Classifier,
    image_set: ImageSet,
    training: Ids,
    validation: Ids,
    checkpoint: Checkpoint,
    progress: Progress,
) -> Features:
    """Run images, and mirrored training images, through a network; what was stopped goes on pass by pass.

    Parameters
    ----------
    classifier : Classifier
    image_set : ImageSet
    training, validation : array of int64
    checkpoint : Checkpoint
        Where finished passes are kept.
    progress : callable
    """
    views: list[tuple[Ids, View]] = [(validation, _as_they_are), (training, _as_they_are), (training, mirrored)]
    done = _Passes()
    first = checkpoint.resume(done)
    total = sum(len(ids) for ids, _ in views)
    before = sum(len(ids) for ids, _ in views[:first])
    for place, (ids, view) in enumerate(views[first:], first):
        done.found.append(_pass(classifier, image_set, ids, view, _counted(progress, before, total)))
        checkpoint.keep(done, place + 1)
        before += len(ids)
    return Features(np.stack(done.found[1:]), done.found[0])


class _Passes:
    """What finished passes have found; it can be taken out and put back."""

    def __init__(self) -> None:
        self.found: list[Floats] = []

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {f"{PASS}{place}": found for place, found in enumerate(self.found)}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], epochs: int) -> None:
        self.found = [np.asarray(arrays[f"{PASS}{place}"], dtype=np.float32) for place in range(epochs)]


@torch.inference_mode()
def _pass(classifier: Classifier, image_set: ImageSet, ids: Ids, view: View, tell: Callable[[int], None]) -> Floats:
    parts: list[Floats] = []
    size = classifier.images_at_once
    for start in range(0, len(ids), size):
        tell(start)
        images = torch.from_numpy(image_set.images(ids[start : start + size]))
        parts.append(classifier.hidden(view(images)).numpy())
    return np.concatenate(parts)


def _counted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    return lambda count: progress((before + count) / total, f"Reading images, {before + count:,} of {total:,}")


def _as_they_are(images: torch.Tensor) -> torch.Tensor:
    return images
