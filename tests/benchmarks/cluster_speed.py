"""How much faster two workers of a cluster are than one, on attacked test images of the digits.

Run it from the root of the repository, on a machine with two cores and nothing else to do::

    python tests/benchmarks/cluster_speed.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PATHS = [str(ROOT / part) for part in ("core", "app", "tests")]
sys.path[:0] = PATHS

from support.clusters import Cluster  # noqa: E402
from telltale.analysis.opened import open_bundle  # noqa: E402
from telltale.base.processes import Processes  # noqa: E402
from telltale.base.progress import silent  # noqa: E402
from telltale.base.remote.address import SCHEDULER_VARIABLE  # noqa: E402
from telltale.building.attacking import attack_splits  # noqa: E402
from telltale.bundle.bundle import WEIGHTS_FILE  # noqa: E402
from telltale.recipes import AttackPlan  # noqa: E402

BUNDLE = "digits"
PLAN = AttackPlan("pgd", 0, 400, {"steps": 100})
TIMES = 3
WANTED = 1.8


def main() -> None:
    """Print the median time with one worker and with two, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), environment={"PYTHONPATH": os.pathsep.join(PATHS)})
        os.environ[SCHEDULER_VARIABLE] = cluster.address
        try:
            medians = []
            for name in ("one", "two"):
                cluster.start_worker(name)
                attacked(Path(folder) / f"warm-{name}")  # libraries are loaded, files are sent
                medians.append(np.median([attacked(Path(folder) / f"{name}-{i}") for i in range(TIMES)]))
                print(f"{len(medians)} worker(s): {medians[-1]:.1f} s", flush=True)
        finally:
            cluster.stop()
    print(f"{medians[0] / medians[1]:.2f} times as fast with two; wanted are {WANTED}")


def attacked(folder: Path) -> float:
    """Attack test images, and return the seconds that took from the first chunk that was handed out."""
    loaded = open_bundle(BUNDLE)
    bundle, images = loaded.bundle, loaded.bundle.require_images()
    wanted = [(PLAN, bundle.splits.test[: PLAN.test])]
    with Processes() as processes:
        begun = time.perf_counter()
        attack_splits(loaded.classifier, bundle.path(WEIGHTS_FILE), images, wanted, 0, folder, processes, silent)
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
