"""What stands beside every page: the model, the current case, and its link."""

from __future__ import annotations

import streamlit as st

from telltale.base.errors import InputError
from telltale.cases.picture_store import GonePictureError
from telltale_app import catalogue, corrections, layout, pictures, state
from telltale_app.link_images import image_words, read_image
from telltale_app.panels.models import model_button, model_list
from telltale_app.panels.save_case import save_button


def show_sidebar() -> None:
    """Show the current case and its link beside every page."""
    case = state.current()
    with st.sidebar:
        st.caption("Model")
        asked = model_button(case.bundle)
        if state.current_bundle().drawn:
            st.caption(":material/brush: Its pictures are drawn, not photographed.")
        st.caption("Current case")
        try:
            image = read_image(case.image, catalogue.bundle(case.bundle))
            pictures.show(image, alt=f"{image_words(case.image)}, before any attack", side=96)
        except GonePictureError:
            st.caption(":material/image_not_supported: Its picture is no longer on this server.")
        except InputError:
            st.caption("No image yet.")
        attack = "not attacked" if case.attack is None else catalogue.attack_title(case.attack)
        st.markdown(f"{image_words(case.image)}, {attack}")
        if said := corrections.words(state.current_bundle()):
            st.markdown(f":material/edit: Training images: {said}")
        layout.copy_link("copies-case", state.link(), "This link opens the same case with the same numbers.")
        save_button()
    if asked:
        model_list(case.bundle)
