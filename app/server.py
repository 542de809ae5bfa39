"""What `streamlit run` starts, from a checkout and from an installed package alike."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import streamlit as st

# In a checkout the library lies beside this folder, and needs no installation; worker processes are told as well.
_LIBRARY = Path(__file__).resolve().parents[1] / "core"
if (_LIBRARY / "telltale").is_dir() and str(_LIBRARY) not in sys.path:
    sys.path.insert(0, str(_LIBRARY))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_LIBRARY), os.environ.get("PYTHONPATH"))))

from telltale_app import serving  # noqa: E402

serving.check_settings()
app = st.App(serving.MAIN, lifespan=serving.lifespan, middleware=serving.MIDDLEWARE)
