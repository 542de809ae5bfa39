"""Images that are traced in parts: few of them in each where one takes long, and the same figures in any case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.tiny import small_classifier
from telltale.base.images import to_floats
from telltale.base.processes import Processes
from telltale.base.progress import silent
from telltale.building.observing import Batch, observe
from telltale.data.rows import Rows
from telltale.models.weights import save_weights


class HereAndNow(Processes):
    """Does every job in this process, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs = 0

    def run(self, *works: object) -> None:
        for work in works:
            for done, job in enumerate(work.jobs, start=1):  # type: ignore[attr-defined]
                work.do(job)  # type: ignore[attr-defined]
                work.done(done, job)  # type: ignore[attr-defined]
                self.jobs += 1


@pytest.mark.parametrize(("side", "count", "jobs"), [(28, 120, 1), (64, 120, 1), (72, 120, 3)])
def test_large_images_are_traced_in_small_parts_that_add_up(side: int, count: int, jobs: int, tmp_path: Path) -> None:
    classifier = small_classifier(1, side, side, classes=3, base_width=4, depth=1)
    weights = tmp_path / "weights.safetensors"
    save_weights(classifier, weights)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, side, side), dtype=np.uint8)
    processes = HereAndNow()
    batch = Batch("natural", Rows.all_of(pixels), readings=False)
    (found,) = observe(classifier, weights, [batch], tmp_path / "observed", processes, silent)
    assert processes.jobs == jobs
    expected = classifier.trace(to_floats(pixels))
    np.testing.assert_allclose(found.trace.logits, expected.logits, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(found.trace.activations, expected.activations, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    observe(classifier, weights, [batch], tmp_path / "observed", processes, silent)
    assert processes.jobs == jobs, "what is there is not traced again"
