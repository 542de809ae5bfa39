"""What is said where a model's images are not on this machine, have no labels, or were never given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.bundle.summary import images_command

if TYPE_CHECKING:
    from telltale.bundle import Bundle


def missing_images_note(bundle: Bundle, consequence: str) -> None:
    """Say that the images are missing or different, what follows from it, and the command that brings them.

    Nothing is drawn where the images are at hand.

    Parameters
    ----------
    bundle : Bundle
    consequence : str
        One sentence on what this page does without them.
    """
    if bundle.data_problem is None:
        return
    command = images_command(bundle)
    st.info(f"{bundle.data_problem} {consequence}", icon=":material/image_not_supported:")
    if command is not None:
        show_command(command)


def missing_labels_note(bundle: Bundle) -> None:
    """End the page with what would bring it, where the images have no labels."""
    if bundle.label_problem is not None:
        st.info(bundle.label_problem, icon=":material/label_off:")
        st.stop()


def only_model_note(bundle: Bundle) -> None:
    """End the page with what would bring it, where the model was given without images."""
    if bundle.alone:
        st.info(str(bundle.data_problem), icon=":material/image_not_supported:")
        st.stop()


def show_command(command: str) -> None:
    """Show what brings a model's images."""
    st.caption(
        "This command, in Telltale's folder, brings the images. It builds the model anew, which takes about 20 minutes "
        "for CIFAR-10; after `--data` a folder that holds the data can stand as well:"
    )
    st.code(command, language="sh", wrap_lines=True)
