"""A made-up stored run: published, computed, extra and missing figures, with and without curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from telltale.studies.tables.results import save_results
from telltale.studies.tables.table import Cell

TABLE = "nnif-table1"
RATES = np.array([0.0, 0.25, 1.0]), np.array([0.0, 0.75, 1.0])
CELLS = (
    Cell("DkNN", "accuracy", None, 92.0, 90.5, 93.25, 400, "published networks: 93 to 95 %"),
    Cell("DkNN", "FGSM", 87.81, 75.0, 70.0, 80.0, 300, "", *RATES),
    Cell("NNIF", "FGSM", 99.96, 99.9612, 99.5, 100.0, 300, "half of them, rounded", *RATES),
    Cell("NNIF", "EAD", 70.0, 76.405, 70.0, 80.0, 20, "", *RATES),
    Cell("SVHN: NNIF", "FGSM", 99.5, None, note="needs SVHN and a network trained on it"),
    Cell("SVHN: NNIF", "EAD", 97.4, None, note="needs SVHN and a network trained on it"),
)


def store(folder: Path) -> Path:
    """Write the run into a folder and return it."""
    save_results(TABLE, CELLS, folder)
    return folder
