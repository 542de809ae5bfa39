"""Every table that can be computed again, by name."""

from __future__ import annotations

from core.errors import InputError
from core.reproduce.table import PaperTable

NNIF = "Cohen, Sapiro & Giryes (2020)"
NNIF_SETTING = (
    "ResNet-14 instead of ResNet-34; only attacks whose 8-bit image gets another label count as adversarial; influence "
    "through the softmax head over all reference images; detectors fitted per attack on validation images, reported on "
    "test images."
)

_TABLES = (
    PaperTable(
        "nnif-table1",
        "Four detectors against six attacks",
        f"{NNIF}, Table 1",
        "AUC, %",
        NNIF_SETTING,
        "core.reproduce.nnif:table_1",
        "cifar10",
    ),
    PaperTable(
        "nnif-ablation",
        "Which features of NNIF count",
        f"{NNIF}, Table 2",
        "%",
        f"{NNIF_SETTING} DeepFool, penultimate layer only.",
        "core.reproduce.nnif:ablation",
        "cifar10",
    ),
    PaperTable(
        "nnif-transfer",
        "Fitted on FGSM, judged on other attacks",
        f"{NNIF}, Table 3",
        "AUC, %",
        f"{NNIF_SETTING} Penultimate layer only.",
        "core.reproduce.nnif:transfer",
        "cifar10",
    ),
    PaperTable(
        "nnif-whitebox",
        "C&W and an attack that knows NNIF",
        f"{NNIF}, Table 4",
        "accuracy, %",
        f"{NNIF_SETTING} Penultimate layer only; as many natural as adversarial images; the published code of the "
        "attack does not implement its Eq. 3, ours does.",
        "core.reproduce.nnif:whitebox",
        "cifar10",
    ),
)

TABLES: dict[str, PaperTable] = {table.name: table for table in _TABLES}


def get_table(name: str) -> PaperTable:
    """Return a table by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in TABLES:
        raise InputError(f"There is no table '{name}'; there are {', '.join(TABLES)}.")
    return TABLES[name]
