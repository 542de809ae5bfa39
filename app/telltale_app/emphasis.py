"""How the button that matters most stands out, in either theme."""

from __future__ import annotations

from typing import Literal

import streamlit as st


def filled(main: bool = True) -> Literal["primary", "secondary"]:
    """Return the type of a button: filled where it is the main one, but only in the light theme.

    Streamlit labels filled buttons in white. On dark pages, an accent light enough to be read as text leaves too little
    contrast for that, so there the main button is outlined as the others are.

    Parameters
    ----------
    main : bool
        Whether the button is the main one of its place, or the chosen one of several.
    """
    return "primary" if main and st.context.theme.type != "dark" else "secondary"
