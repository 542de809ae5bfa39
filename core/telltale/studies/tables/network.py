"""What network a table was computed with, in words. Importing this module never imports torch."""

from __future__ import annotations

from telltale.bundle.bundle import load_bundle
from telltale.bundle.manifest import Manifest
from telltale.models.spec import ClassifierSpec
from telltale.studies.tables.table import PaperTable


def network_of(table: PaperTable) -> str | None:
    """Describe the network of the bundle that a table runs on; None where it trains its own.

    Raises
    ------
    InputError
        If the bundle is not on this machine.
    """
    return None if table.own_networks else describe(load_bundle(table.recipe).manifest)


def describe(manifest: Manifest) -> str:
    """Return a network's factory, its width and depth, and how many test images it reads correctly."""
    spec = ClassifierSpec.from_json(manifest.architecture)
    sizes = ", ".join(f"{name} {spec.arguments[name]}" for name in ("width", "depth") if name in spec.arguments)
    name = f"{spec.factory} ({sizes})" if sizes else spec.factory
    return f"{name}, which reads {100 * manifest.accuracies['test']:.1f} % of the test images correctly"
