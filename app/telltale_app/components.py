"""What the browser draws itself: folders of scripts and styles that Streamlit hands out as components.

Streamlit would hand a script that is given as text to the browser under an address of the page's own making, which the
server's headers refuse to run; given as files of a folder that a component declares, they come from this server like
every other script.
"""

from __future__ import annotations

from pathlib import Path

from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

PACKAGE = Path(__file__).resolve().parent
OWNER = "telltale"
SHARED = {"canvas": "canvas"}  # scripts that the components import
FOLDERS = {"map": "canvas_map", "pictures": "linked_pictures", "drawing": "drawing", "crop": "crop_square", **SHARED}
MANIFEST = ComponentManifest(OWNER, "1", [ComponentConfig(name, folder) for name, folder in FOLDERS.items()])


def declare() -> None:
    """Let this server answer for these files, which the browser may ask of another process than the page's."""
    manager = get_bidi_component_manager()
    if any(manager.get_component_asset_root(f"{OWNER}.{name}") is None for name in FOLDERS):
        manager.register_from_manifest(MANIFEST, PACKAGE)
