"""What a build came from besides its data: library versions and Telltale's own code."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = (
    "torch",
    "captum",
    "torchattacks",
    "foolbox",
    "scikit-learn",
    "scikit-image",
    "faiss-cpu",
    "umap-learn",
    "numpy",
)


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that figures depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def code_sha256(*packages: str) -> str:
    """Return the SHA-256 (hex) of all of Telltale's own code, or of some of its rooms."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    places = [root / package for package in packages] if packages else [root]
    for file in sorted(file for place in places for file in place.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
