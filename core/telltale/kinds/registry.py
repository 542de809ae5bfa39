"""All kinds of evidence, in the order in which they are computed and shown. Importing this imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telltale.kinds.density import DensityKind
from telltale.kinds.influence import InfluenceKind
from telltale.kinds.kind import Kind
from telltale.kinds.neighbours import NeighboursKind
from telltale.kinds.response import ResponseKind
from telltale.kinds.squeezing import SqueezingKind
from telltale.kinds.stability import StabilityKind
from telltale.kinds.trajectory import TrajectoryKind
from telltale.kinds.twin import TwinKind

if TYPE_CHECKING:
    from telltale.models.spec import ClassifierSpec

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


def lacking(spec: ClassifierSpec) -> dict[str, str]:
    """Return the kinds that cannot observe a classifier's images, with the reason in one sentence."""
    found = {name: kind.lacks(spec) for name, kind in KINDS.items()}
    return {name: reason for name, reason in found.items() if reason is not None}
