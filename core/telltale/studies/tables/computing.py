"""How every table is computed. What a table needs, torch with it, is imported when the table is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telltale.studies.tables.lab import Lab
    from telltale.studies.tables.table import Cell


def knn_table_2(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2017): Table 2."""
    from telltale.studies.tables.knn import table_2

    return table_2(lab)


def trajectory_table_1(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2018): Table 1."""
    from telltale.studies.tables.trajectory import table_1

    return table_1(lab)


def trajectory_table_2(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2018): Table 2."""
    from telltale.studies.tables.trajectory import table_2

    return table_2(lab)


def response_table_1(lab: Lab) -> Sequence[Cell]:
    """Compute Amirian et al. (2018): Table 1."""
    from telltale.studies.tables.response import table_1

    return table_1(lab)


def response_table_2(lab: Lab) -> Sequence[Cell]:
    """Compute Amirian et al. (2018): Table 2."""
    from telltale.studies.tables.response import table_2

    return table_2(lab)


def nnif_table_1(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): Table 1."""
    from telltale.studies.tables.nnif import table_1

    return table_1(lab)


def nnif_explained(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): what rounding and failed attacks do to the figures."""
    from telltale.studies.tables.nnif import explained

    return explained(lab)


def nnif_by_classifier(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): one row per training time of the network."""
    from telltale.studies.tables.nnif import by_classifier

    return by_classifier(lab)


def nnif_ablation(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): Table 2."""
    from telltale.studies.tables.nnif import ablation

    return ablation(lab)


def nnif_transfer(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): Table 3."""
    from telltale.studies.tables.nnif import transfer

    return transfer(lab)


def nnif_whitebox(lab: Lab) -> Sequence[Cell]:
    """Compute Cohen et al. (2020): Table 4."""
    from telltale.studies.tables.nnif import whitebox

    return whitebox(lab)


def idefender_table_2(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 2."""
    from telltale.studies.tables.idefender import table_2

    return table_2(lab)


def idefender_table_3(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 3."""
    from telltale.studies.tables.idefender import table_3

    return table_3(lab)


def idefender_table_4(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 4."""
    from telltale.studies.tables.idefender import table_4

    return table_4(lab)


def idefender_table_5(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 5."""
    from telltale.studies.tables.idefender import table_5

    return table_5(lab)


def semi_white_box_table_6(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 6."""
    from telltale.studies.tables.semi_white_box import table_6

    return table_6(lab)


def graybox_tables_7_and_8(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Tables 7 and 8."""
    from telltale.studies.tables.graybox import tables_7_and_8

    return tables_7_and_8(lab)


def response_table_1_imagenet(lab: Lab) -> Sequence[Cell]:
    """Compute Amirian et al. (2018): Table 1 at the paper's image size."""
    from telltale.studies.tables.imagenet import response_table_1

    return response_table_1(lab)


def knn_table_2_imagenet(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2017): Table 2 on ImageNet photographs."""
    from telltale.studies.tables.imagenet import knn_table_2

    return knn_table_2(lab)


def trajectory_table_1_imagenet(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2018): Table 1 on ImageNet photographs."""
    from telltale.studies.tables.imagenet import trajectory_table_1

    return trajectory_table_1(lab)


def trajectory_table_2_imagenet(lab: Lab) -> Sequence[Cell]:
    """Compute Carrara et al. (2018): Table 2 on ImageNet photographs."""
    from telltale.studies.tables.imagenet import trajectory_table_2

    return trajectory_table_2(lab)


def idefender_table_9(lab: Lab) -> Sequence[Cell]:
    """Compute Zheng & Hong (2018): Table 9."""
    from telltale.studies.tables.imagenet import idefender_table_9

    return idefender_table_9(lab)
