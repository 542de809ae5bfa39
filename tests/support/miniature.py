"""A recipe small enough to be built within a test, and a way to build it that dies in the middle.

``python -m support.miniature FOLDER`` builds it and kills itself as soon as the first images are attacked.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from telltale.base.processes import Work
from telltale.building.maps import LayerMaps
from telltale.data.splits import SplitSizes
from telltale.models.training import Progress
from telltale.recipes import AttackPlan, Recipe

ATTACKED = 30
CHUNKS = 4  # two attacks on two splits

RECIPE = Recipe(
    name="mini",
    title="Miniature",
    source="digits",
    sizes=SplitSizes(fit=60, calibration=80, test=60),
    base_width=4,
    depth=1,
    epochs=3,
    attacks=(AttackPlan("fgsm", ATTACKED, ATTACKED), AttackPlan("pgd", ATTACKED, ATTACKED, {"steps": 60})),
    macro_attacks=("fgsm", "pgd"),
)


class FlatMaps(LayerMaps):
    """Takes the place of `LayerMaps`, whose UMAP spends most of a miniature build on compiling."""

    def work(self, progress: Progress) -> Work[Any]:  # noqa: ARG002  # nothing is drawn
        return Work(_nothing, (), _nothing)

    def read(self) -> dict[str, npt.NDArray[np.float32]]:
        maps = np.stack([activations[:, :2] for activations in self.reference.read().trace.activations])
        return {"umap": maps, "pca": -maps}


def _nothing(*_: object) -> None:
    pass


def die_at_first_chunk(fraction: float, message: str) -> None:
    del fraction
    if message.startswith("Attacking"):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from telltale.building.build import build_recipe

    build_recipe(RECIPE, "digits", Path(sys.argv[1]), die_at_first_chunk)
