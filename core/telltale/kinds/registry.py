"""All kinds of evidence, in the order in which they are computed and shown. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping

from telltale.kinds.density import DensityKind
from telltale.kinds.influence import InfluenceKind
from telltale.kinds.kind import Beside, Fitting, Kind, problem_of
from telltale.kinds.neighbours import NeighboursKind
from telltale.kinds.response import ResponseKind
from telltale.kinds.squeezing import SqueezingKind
from telltale.kinds.stability import StabilityKind
from telltale.kinds.trajectory import TrajectoryKind
from telltale.kinds.twin import TwinKind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ResponseKind(),
        SqueezingKind(),
        StabilityKind(),
        TrajectoryKind(),
        NeighboursKind(),
        InfluenceKind(),
        DensityKind(),
        TwinKind(),
    )
}


def lacking(classifier: Beside) -> dict[str, str]:
    """Return the kinds that cannot observe a classifier's images, with the reason in one sentence."""
    found = {name: kind.lacks(classifier) for name, kind in KINDS.items()}
    return {name: reason for name, reason in found.items() if reason is not None}


def missing(fitting: Fitting, lacking: Mapping[str, str]) -> dict[str, str]:
    """Return the kinds that cannot be had with these training images, or are `lacking` anyway, each with the reason."""
    problems = {name: problem_of(kind, fitting) for name, kind in KINDS.items()}
    return {name: problem for name, problem in problems.items() if problem is not None} | dict(lacking)
