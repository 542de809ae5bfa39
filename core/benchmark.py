"""How long one image takes, stop by stop, and against the network's own forward and backward pass."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from core.analysis import analyse_image
from core.bundle.model import LoadedBundle
from core.engine.worker_state import load
from core.errors import InputError
from core.images import FloatImages

IMAGES = 40


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
    influence_ms, neighbours_ms, response_ms : float
        Medians of these stops inside `analyse`.
    n_train : int
    peak_rss_mb : float
        Of this process, in MiB.
    """

    analyse_ms: Percentiles
    forward_backward_ms: float
    influence_ms: float
    neighbours_ms: float
    response_ms: float
    n_train: int
    peak_rss_mb: float

    def to_json(self) -> dict[str, object]:
        """Return the stable JSON object of ``python -m core bench --json``."""
        return asdict(self)


def bench(name: str) -> Bench:
    """Measure a bundle on its own test images.

    Raises
    ------
    InputError
        If there is no such bundle or its data set is not on this machine.
    """
    loaded: LoadedBundle = load(name)
    image_set = loaded.bundle.image_set
    if image_set is None:
        raise InputError(loaded.bundle.data_problem or "The data set of this bundle is not on this machine.")
    images = image_set.images(loaded.bundle.splits.test[: IMAGES + 1])
    timings = [analyse_image(loaded, image).timings_ms for image in images][1:]
    totals = [t["total"] for t in timings]
    return Bench(
        Percentiles(float(np.percentile(totals, 50)), float(np.percentile(totals, 95))),
        _median_ms(_forward_backward(loaded), images),
        _median_of("influence", timings),
        _median_of("neighbours", timings),
        _median_of("response", timings),
        len(loaded.reference.labels),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


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
