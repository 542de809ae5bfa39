"""Bundles: a model, its data reference and everything fitted to them, in one folder."""

from telltale.bundle.bundle import Bundle, DensityMap, find_bundle, list_bundles, load_bundle
from telltale.bundle.manifest import DataReference, FileEntry, Manifest
from telltale.bundle.store import write_bundle
from telltale.bundle.verify import FileReport, verify_bundle

__all__ = [
    "Bundle",
    "DataReference",
    "DensityMap",
    "FileEntry",
    "FileReport",
    "Manifest",
    "find_bundle",
    "list_bundles",
    "load_bundle",
    "verify_bundle",
    "write_bundle",
]
