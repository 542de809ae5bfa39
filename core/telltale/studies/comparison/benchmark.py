"""How long one image takes, stop by stop, against the network's own passes and against other libraries."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import torch
from torch import nn

from telltale.analysis.analyse import analyse_image
from telltale.analysis.kept import load
from telltale.analysis.opened import LoadedBundle
from telltale.base.images import FloatImages
from telltale.base.progress import Progress
from telltale.data.image_set import ImageSet
from telltale.studies.comparison.attacks import attack_rows
from telltale.studies.comparison.evidence import evidence_rows
from telltale.studies.comparison.row import ComparisonRow

IMAGES = 40
COMPARED = 64
ATTACKED = 200
ROWS = 20  # about as many comparisons as there are, for the progress


@dataclass(frozen=True)
class Percentiles:
    """Median and 95th percentile in milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Bench:
    """Measured on one thread, after one warm-up image.

    Attributes
    ----------
    analyse_ms : Percentiles
        Everything for one image.
    forward_backward_ms : float
        Median of one forward and one backward pass of the network alone.
    analyse_to_forward_backward : float
        Ratio of the two medians.
    influence_ms, neighbours_ms, response_ms : float
        Medians of these stops inside `analyse`.
    n_train : int
    peak_rss_mb : float
        Of this process before other libraries are measured, in MiB.
    comparisons : tuple of ComparisonRow
        The same work done by other libraries; empty where they were not asked for.
    """

    analyse_ms: Percentiles
    forward_backward_ms: float
    analyse_to_forward_backward: float
    influence_ms: float
    neighbours_ms: float
    response_ms: float
    n_train: int
    peak_rss_mb: float
    comparisons: tuple[ComparisonRow, ...]

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of ``telltale bench --json``."""
        rows = [asdict(row) | {"ratio": row.ratio} for row in self.comparisons]
        return asdict(self) | {"comparisons": rows}


def bench(name: str, compare: bool = True, progress: Progress | None = None) -> Bench:
    """Measure a bundle on its own test images.

    Parameters
    ----------
    name : str
    compare : bool
        Whether other libraries are measured too, which takes minutes.
    progress : callable, optional

    Raises
    ------
    InputError
        If there is no such bundle or its data set is not on this machine.
    """
    loaded: LoadedBundle = load(name)
    image_set = loaded.bundle.require_images()
    images = image_set.images(loaded.bundle.splits.test[: IMAGES + 1])
    timings = [analyse_image(loaded, image).timings_ms for image in images][1:]
    totals = [t["total"] for t in timings]
    whole = Percentiles(float(np.percentile(totals, 50)), float(np.percentile(totals, 95)))
    passes = _median_ms(_forward_backward(loaded), images)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = tuple(_comparisons(loaded, image_set, progress or (lambda _fraction, _message: None))) if compare else ()
    return Bench(
        whole,
        passes,
        whole.p50 / passes,
        _median_of("influence", timings),
        _median_of("neighbours", timings),
        _median_of("response", timings),
        len(loaded.reference.labels),
        peak,
        rows,
    )


def _comparisons(loaded: LoadedBundle, image_set: ImageSet, progress: Progress) -> Iterator[ComparisonRow]:
    """Yield every row, and say each as soon as it is measured."""
    first = loaded.bundle.splits.test[: 2 * ATTACKED]
    natural = image_set.images(first)
    correct = np.flatnonzero(loaded.classifier.predict(natural) == image_set.labels[first])[:ATTACKED]
    images, labels = natural[correct], image_set.labels[first][correct]
    rows = chain(
        evidence_rows(loaded.reference, loaded.classifier, images[:COMPARED]),
        attack_rows(loaded.classifier, images, labels),
    )
    for done, row in enumerate(rows, start=1):
        progress(min(0.99, done / ROWS), f"{row.work}: {row.ratio:.1f} × {row.against}")
        yield row


def _forward_backward(loaded: LoadedBundle) -> Callable[[FloatImages], None]:
    def run(image: FloatImages) -> None:
        inputs = torch.from_numpy(image[None]).requires_grad_()
        logits = loaded.classifier(inputs)
        torch.autograd.grad(nn.functional.cross_entropy(logits, logits.argmax(1)), inputs)

    return run


def _median_of(stop: str, timings: Sequence[Mapping[str, float]]) -> float:
    return float(np.median([t[stop] for t in timings]))


def _median_ms(run: Callable[[FloatImages], None], images: FloatImages) -> float:
    times = []
    for image in images:
        start = time.perf_counter()
        run(image)
        times.append(1000.0 * (time.perf_counter() - start))
    return float(np.median(times[1:]))
