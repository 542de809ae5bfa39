"""A model's errors in numbers: why one of them is misread, and figures, table and file of those that are shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.model_errors.reasons import LIKELY_LABEL_ERROR, ErrorReasons
from telltale_app import state, words
from telltale_app.corrections import Pick
from telltale_app.link_images import image_words
from telltale_app.panels import error_selection, selection
from telltale_app.panels.correcting import Asked
from telltale_app.panels.errors import Errors, reason_words
from telltale_app.panels.picking import pick_button, pointer


def show_image(errors: Errors, rows: npt.NDArray[np.int64]) -> Asked | None:
    """Show why the chosen error is misread: else that of the current case, else the first; return it to be asked about.

    Parameters
    ----------
    errors : Errors
    rows : array of int64
        The errors that the page shows, in their order.
    """
    row = error_selection.chosen_row(errors)
    if row is None:
        row = int(rows[_current_case(errors, rows)])
    _show_reasons(errors, row)
    return _asked(errors, row)


def show_numbers(errors: Errors, rows: npt.NDArray[np.int64]) -> None:
    """Show figures, table and file of the errors that the page shows; a click on a row chooses its image."""
    frame = errors.frame.iloc[rows].reset_index(drop=True)
    selection.metrics(_figures(errors, rows))
    key = f"errors-table-{errors.bundle.name}"
    selection.choosable_table(
        frame.round(3),  # else the bars' percentages have two decimals
        f"{len(frame)} misread images with true and predicted class, confidence and reasons",
        key,
        _columns(errors),
        lambda place: error_selection.choose(errors, int(rows[place])),
    )
    st.caption("Click a row to choose its image: its reasons stand above. A click on a column's name sorts.")
    selection.download(frame, f"{errors.bundle.name}-errors.csv", "errors-csv")


def _asked(errors: Errors, row: int) -> Asked | None:
    """Return an error as corrections are tried on it; None where its image is not on this machine."""
    images, wrong = errors.bundle.image_set, errors.wrong
    if images is None:
        return None
    image_id = int(wrong.ids[row])
    return Asked(images.images([image_id])[0], image_words(errors.reference(row)), int(wrong.labels[row]))


def _current_case(errors: Errors, rows: npt.NDArray[np.int64]) -> int:
    """Return the place of the current case among the rows; the first where it is not one of them."""
    image = state.current().image
    return next((place for place, row in enumerate(rows) if errors.reference(int(row)) == image), 0)


def _figures(errors: Errors, rows: npt.NDArray[np.int64]) -> list[tuple[str, str, str]]:
    wrong, reasons = errors.wrong, errors.reasons
    figures = [
        ("Errors", f"{len(rows):,}", f"Of {len(wrong):,} in all."),
        (
            "Mean confidence",
            words.percent(float(wrong.confidences[rows].mean())),
            "Softmax probability of the wrong answer.",
        ),
    ]
    if reasons is None or "label_error" not in reasons:
        return figures
    likely = int((reasons["label_error"][rows] >= LIKELY_LABEL_ERROR).sum())
    return [
        *figures,
        (
            "Agree with label",
            words.percent(float(reasons["true_share"][rows].mean())),
            f"Mean share of the {reasons['k']} nearest references, on the last layer, that have the true class.",
        ),
        (
            "Agree with model",
            words.percent(float(reasons["predicted_share"][rows].mean())),
            f"Mean share of the {reasons['k']} nearest references, on the last layer, that have the read class.",
        ),
        (
            "Doubtful labels",
            f"{likely:,}",
            f"Label-error score of at least {LIKELY_LABEL_ERROR}: network and neighbours both favour another class.",
        ),
    ]


def _columns(errors: Errors) -> dict[str, object]:
    k = "k" if errors.reasons is None or "k" not in errors.reasons else errors.reasons["k"]

    def share(explained: str, label: str | None = None) -> object:
        return st.column_config.ProgressColumn(label, format="percent", min_value=0.0, max_value=1.0, help=explained)

    return {
        "image": st.column_config.NumberColumn(format="%d", help="Data-set id"),
        "confidence": share("Softmax probability of the wrong answer."),
        "label error": share("How likely the given label is wrong: mean doubt of the network and of the neighbours."),
        "neighbours of true class": share(
            f"Share of the {k} nearest references, on the last layer, that have the true class.",
            "agree with label",
        ),
        "neighbours of read class": share(
            f"Share of the {k} nearest references, on the last layer, that have the read class.",
            "agree with model",
        ),
        "departs at": st.column_config.TextColumn(
            help="First layer from which the image stays nearer to the class it is read as."
        ),
        "most harmful training images": st.column_config.TextColumn(
            help="Ids of those that most raise the loss of the true class, the strongest first."
        ),
    }


def _show_reasons(errors: Errors, row: int) -> None:
    """Show one error: the image, why it is misread in words, and the training images that made it so."""
    with st.container(border=True):
        if errors.bundle.image_set is None:
            _reasons(errors, row)
            return
        left, right = st.columns([1, 4], gap="medium")
        with left:
            true, read = (errors.name(int(of[row])) for of in (errors.wrong.labels, errors.wrong.predictions))
            image_id = int(errors.wrong.ids[row])
            selection.picture(errors.bundle, image_id, f"Image {image_id}, class {true}, read as {read}", side=160)
            selection.open_button(errors.bundle, errors.reference(row), "errors-open-chosen")
        with right:
            _reasons(errors, row)


def _reasons(errors: Errors, row: int) -> None:
    st.markdown(f"**Image {errors.wrong.ids[row]}.** {reason_words(errors, row)}")
    if errors.reasons is not None and "harmful_ids" in errors.reasons:
        _harmful(errors, errors.reasons, row)


def _harmful(errors: Errors, reasons: ErrorReasons, row: int) -> None:
    true = errors.name(int(errors.wrong.labels[row]))
    st.markdown(f":material/thumb_down: **Most harmful training images**: without them {true} would gain support.")
    with st.grid("auto", min_column_width=84, gap="xsmall"):
        for image_id, label in zip(reasons["harmful_ids"][row], reasons["harmful_labels"][row], strict=True):
            with st.container(gap="xxsmall"):
                name = errors.name(int(label))
                said, caption = f"Training image {image_id}, class {name}, harmful", f"**{name}**  \nno. {image_id}"
                selection.picture(errors.bundle, int(image_id), said, caption)
                reason = f"harmful to {errors.reference(row)}, which is of class {true}"
                pick_button(errors.bundle, Pick(int(image_id), reason), "errors-harmful")
    pointer(errors.bundle)
