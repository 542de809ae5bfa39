"""Every table that can be computed again, by name."""

from __future__ import annotations

from core.data.sources import KNOWN_SOURCES
from core.errors import InputError
from core.recipes import RECIPES
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
        "nnif-explained",
        "What rounding and failed attacks do to NNIF's figures",
        f"No table of {NNIF}",
        "AUC, %",
        f"{NNIF_SETTING} Published sets kept float images and counted failed attacks as adversarial; each is "
        "switched on and off here.",
        "core.reproduce.nnif:explained",
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


def full_run_command(table: PaperTable) -> str:
    """Return the one command that computes a table and stores it as the full run.

    It names the public id of the data set where there is one; a folder of the same data does as well.
    """
    recipe = RECIPES.get(table.recipe)
    known = KNOWN_SOURCES.get(recipe.source) if recipe else None
    data = f" --data {known.hub_id}" if known else ""
    return f"python -m core reproduce {table.name}{data} --save"
