"""All kinds of evidence, in the order in which they are computed and shown. Importing this imports no torch."""

from __future__ import annotations

from telltale.kinds.density import DensityKind
from telltale.kinds.influence import InfluenceKind
from telltale.kinds.kind import Kind
from telltale.kinds.neighbours import NeighboursKind
from telltale.kinds.response import ResponseKind
from telltale.kinds.squeezing import SqueezingKind
from telltale.kinds.stability import StabilityKind
from telltale.kinds.trajectory import TrajectoryKind

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
    )
}
