"""Bundles: a model, its data reference and everything fitted to them, in one folder."""

from core.bundle.bundle import Bundle, DensityMap, find_bundle, list_bundles, load_bundle
from core.bundle.manifest import DataReference, FileEntry, Manifest
from core.bundle.store import write_bundle
from core.bundle.verify import FileReport, verify_bundle

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
