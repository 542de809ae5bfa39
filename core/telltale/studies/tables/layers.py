"""Reading the penultimate layer only: references and image versions with the other layers left out."""

from __future__ import annotations

from dataclasses import replace

from telltale.building.versions import Versions
from telltale.evidence.reference import Reference
from telltale.evidence.trajectory import Pivots
from telltale.models.trace import Trace


def last_layer_of_reference(reference: Reference) -> Reference:
    """Return a reference set that knows its last layer only."""
    return Reference(
        reference.ids,
        reference.labels,
        reference.classes,
        _last(reference.trace),
        {**reference.fitted, "trajectory": Pivots(reference.pivots.centroid[-1:], reference.pivots.medoid[-1:])},
        reference.missing,
    )


def last_layer_of_versions(versions: Versions) -> Versions:
    """Return image versions that know their last layer only."""
    return replace(versions, trace=_last(versions.trace))


def _last(trace: Trace) -> Trace:
    return Trace(trace.layers[-1:], trace.activations[-1:], trace.logits)
