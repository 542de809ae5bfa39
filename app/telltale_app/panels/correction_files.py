"""Corrections as files: what is taken along, what comes in, and the commands that go on from there."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.model_errors.corrected_folders import write_zip
from telltale.model_errors.corrections import MOST_BYTES, Correction, TrainingSet, from_csv, to_csv
from telltale.model_errors.refitting import Refit, with_evidence
from telltale.recipes import RECIPES
from telltale_app import corrections

if TYPE_CHECKING:
    from telltale.bundle import Bundle

MOST_ZIPPED = 5_000
SHOWN_PROBLEMS = 20
_FILE, _PROBLEMS, _DONE = "corrections-file", "corrections-problems", "corrections-done"


def show_export(bundle: Bundle, result: Refit | None) -> None:
    """Offer the corrections as CSV and as folders, and say how to go on.

    Parameters
    ----------
    bundle : Bundle
    result : Refit or None
        What is known of the corrected images; None where the head was not refitted.
    """
    made = corrections.made(bundle)
    file = f"{bundle.name}-corrections.csv"
    known = made if result is None else with_evidence(made, result)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Corrections as CSV",
            to_csv(known, bundle.class_names),
            file,
            "text/csv",
            icon=":material/download:",
            key="correct-csv",
            on_click="ignore",
        )
        if bundle.image_set is not None and len(bundle.image_set) <= MOST_ZIPPED:
            st.download_button(
                "Corrected images as folders",
                lambda: _zip(bundle, made),
                f"{bundle.name}-corrected.zip",
                "application/zip",
                icon=":material/folder_zip:",
                key="correct-zip",
                on_click="ignore",
                help="All images, one folder per class, the corrections applied to the training images.",
            )
    if not corrections.fit_in_link(bundle):
        st.caption(":material/link_off: So many corrections do not fit into a link: pass the CSV on beside it.")
    with st.expander("Go on from here: retrain the whole network", icon=":material/terminal:"):
        st.markdown(_retraining_words(bundle))
        st.code("\n".join(_commands(bundle, file)), language="sh", wrap_lines=True)


def show_import(bundle: Bundle) -> None:
    """Draw the place to drop a CSV of corrections; what is wrong with it is said row by row."""
    with st.expander("Bring corrections from a file", icon=":material/upload_file:", key="correct-import"):
        st.file_uploader(
            "Corrections (CSV)",
            type=["csv"],
            key=_FILE,
            max_upload_size=MOST_BYTES // 10**6,
            on_change=_take,
            args=(bundle,),
        )
        st.caption(
            "Columns: image_id, action (remove or relabel), new_class; also class, reason and what was exported "
            "besides. They are added to those above."
        )
    if done := st.session_state.pop(_DONE, None):
        st.success(done, icon=":material/check_circle:")
    problems: tuple[str, ...] = st.session_state.pop(_PROBLEMS, ())
    if problems:
        more = len(problems) - SHOWN_PROBLEMS
        listed = [*problems[:SHOWN_PROBLEMS], *([f"… and {more:,} more."] if more > 0 else [])]
        st.warning("  \n".join(listed), icon=":material/error:")


def _take(bundle: Bundle) -> None:
    file = st.session_state.get(_FILE)
    if file is None:
        return
    try:
        read = from_csv(file.getvalue(), TrainingSet.of_bundle(bundle))
    except InputError as error:
        st.session_state[_PROBLEMS] = (str(error),)
        return
    corrections.take(bundle, read.corrections)
    count = len(read.corrections)
    st.session_state[_DONE] = f"{count:,} correction{'' if count == 1 else 's'} taken from the file."
    st.session_state[_PROBLEMS] = read.problems


def _zip(bundle: Bundle, made: tuple[Correction, ...]) -> bytes:
    """Return the folders as a zip; made only when it is asked for, where no session can be read."""
    file = io.BytesIO()
    write_zip(bundle, made, file)
    return file.getvalue()


def _retraining_words(bundle: Bundle) -> str:
    if _recipe(bundle):
        return (
            "Only the head was refitted here. The first command trains the whole network anew on the corrected images, "
            "with the same held-out images, and says its accuracy on them; the second copies all images into class "
            "folders with the corrections applied. They run where Telltale is installed, beside the CSV from above."
        )
    return (
        "Only the head was refitted here. This network was not trained by Telltale, so it is trained again where it "
        "was trained before: the command copies all images into class folders with the corrections applied."
    )


def _commands(bundle: Bundle, file: str) -> list[str]:
    copy = f"telltale corrections folders {bundle.name} {file} --out {bundle.name}-corrected"
    if not _recipe(bundle):
        return [copy]
    source = bundle.manifest.data.source
    data = "" if source == RECIPES[bundle.name].source else f" --data '{source}'"
    weights = f"{bundle.name}-corrected.safetensors"
    return [f"telltale train {bundle.name}{data} --corrections {file} --out {weights}", copy]


def _recipe(bundle: Bundle) -> bool:
    return bundle.name in RECIPES and not bundle.own
