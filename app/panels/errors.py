"""What a model misreads by itself: filters, confusion matrix, map, table, and the reasons behind one error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import words
from app.panels import selection
from app.panels.selection import Places, Thumbnail
from core.figures.errors import confusion_matrix, errors_map
from core.model_errors.evaluated import Evaluated, evaluated_images
from core.model_errors.reasons import LIKELY_LABEL_ERROR, NO_LAYER, ErrorReasons

if TYPE_CHECKING:
    from core.bundle import Bundle

Mask = npt.NDArray[np.bool_]

CELL, LASSO = "errors-cell", "errors-lasso"
SPLITS = {"test": "Test", "calibration": "Calibration", "fit": "Fitting"}
MAP_TITLES = {"umap": "UMAP", "pca": "PCA"}
ORDERS = {
    "Most doubtful label first": ("label error", False),
    "Most confident first": ("confidence", False),
    "Least confident first": ("confidence", True),
    "Fewest agreeing neighbours first": ("neighbours of true class", True),
    "By image": ("image", True),
}


@dataclass(frozen=True)
class Errors:
    """Everything the page knows about a model's errors.

    Attributes
    ----------
    bundle : Bundle
    evaluated : Evaluated
        All natural held-out images.
    reasons : ErrorReasons or None
        In the order of `wrong`; None while they are not known.
    """

    bundle: Bundle
    evaluated: Evaluated
    reasons: ErrorReasons | None = None

    @cached_property
    def wrong(self) -> Evaluated:
        """The misread ones."""
        return self.evaluated.errors()

    def name(self, label: int) -> str:
        """Return the name of a class."""
        return self.bundle.class_names[label]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per error; what needs the images is left out where there are none."""
        wrong = self.wrong
        columns: dict[str, object] = {
            "image": wrong.ids,
            "split": wrong.splits,
            "true class": [self.name(label) for label in wrong.labels],
            "read as": [self.name(label) for label in wrong.predictions],
            "confidence": wrong.confidences,
        }
        return pd.DataFrame(columns if self.reasons is None else columns | self._reason_columns(self.reasons))

    def _reason_columns(self, reasons: ErrorReasons) -> dict[str, object]:
        return {
            "label error": reasons.label_error,
            "neighbours of true class": reasons.true_share,
            "neighbours of read class": reasons.predicted_share,
            "departs at": [self.layer(int(layer)) for layer in reasons.departures],
            "most harmful training images": [" ".join(str(i) for i in row[:3]) for row in reasons.harmful_ids],
        }

    def layer(self, index: int) -> str:
        """Return a layer's name."""
        return "never" if index == NO_LAYER else self.bundle.layers[index]


def errors_of(bundle: Bundle) -> Errors:
    """Return what is known about a bundle's errors without images."""
    return Errors(bundle, _evaluated(bundle, bundle.id))


@st.cache_resource(max_entries=8, show_spinner=False)
def _evaluated(_bundle: Bundle, bundle_id: str) -> Evaluated:  # noqa: ARG001  # the id is the key
    return evaluated_images(_bundle.scores)


def summary_words(errors: Errors) -> str:
    """Return how often the model errs, and how."""
    evaluated, wrong = errors.evaluated, errors.wrong
    count, total = len(wrong), len(evaluated)
    if not count:
        return f"The model reads all **{total:,}** held-out natural images correctly: there is nothing to explain here."
    counts = evaluated.confusion(len(errors.bundle.class_names))
    np.fill_diagonal(counts, 0)
    true, predicted = np.unravel_index(counts.argmax(), counts.shape)
    return (
        f"The model misreads **{count:,}** of {total:,} natural images that it has not learned from "
        f"({words.percent(count / total)}), without any attack. Most often it takes **{errors.name(int(true))}** for "
        f"**{errors.name(int(predicted))}** ({_images(int(counts.max()))})."
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def filters(errors: Errors) -> Mask:
    """Draw the filters and return which errors pass them, shape (n,)."""
    bundle, wrong = errors.bundle, errors.wrong
    classes = list(range(len(bundle.class_names)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        splits = st.pills(
            "Split",
            list(SPLITS),
            default=list(SPLITS),
            format_func=SPLITS.__getitem__,
            selection_mode="multi",
            key="errors-splits",
            persist_state="session",
            help="The model learned from none of them. Thresholds were set on the calibration images.",
        )
        true, read = (
            st.multiselect(
                title,
                classes,
                format_func=errors.name,
                key=f"errors-{title}-{bundle.name}",
                placeholder="any",
                persist_state="session",
                width=220,
            )
            for title in ("True class", "Read as")
        )
        low, high = st.slider(
            "Confidence", 0, 100, (0, 100), format="%d %%", key="errors-confidence", persist_state="session", width=260
        )
    confidences = 100.0 * wrong.confidences
    passing = np.isin(wrong.splits, splits) & (confidences >= low) & (confidences <= high)
    for chosen, values in ((true, wrong.labels), (read, wrong.predictions)):
        if chosen:
            passing &= np.isin(values, chosen)
    return np.asarray(passing)


def show_confusion(errors: Errors) -> None:
    """Show the confusion matrix of all splits; a chosen cell is kept in the session."""
    bundle = errors.bundle
    selection.selectable_cells(
        _confusion(errors.evaluated, bundle, bundle.id),
        f"Confusion matrix of {len(errors.evaluated):,} held-out natural images. {summary_words(errors)}",
        f"errors-matrix-{bundle.name}",
        CELL,
        bundle.id,
    )
    st.caption("Rows are true classes, columns what the model says. Choose a cell to see its images.")


@st.cache_resource(max_entries=8, show_spinner=False)
def _confusion(_evaluated: Evaluated, _bundle: Bundle, bundle_id: str) -> go.Figure:  # noqa: ARG001  # id is the key
    return confusion_matrix(_evaluated.confusion(len(_bundle.class_names)), _bundle.class_names)


def show_map(errors: Errors) -> None:
    """Show all errors on the training images' map of one layer; a lasso is kept in the session."""
    bundle, reasons = errors.bundle, errors.reasons
    if reasons is None:
        st.info(
            "Where the errors lie among the training images can be said only with the images at hand.",
            icon=":material/map:",
        )
        return
    methods = [name for name in MAP_TITLES if name in bundle.maps]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer_name = st.selectbox(
            "Layer", bundle.layers, index=len(bundle.layers) - 1, key="errors-layer", persist_state="session", width=200
        )
        method = st.segmented_control(
            "Map",
            methods,
            default=methods[0],
            format_func=MAP_TITLES.__getitem__,
            required=True,
            key="errors-map",
            persist_state="session",
        )
    layer = bundle.layers.index(layer_name)
    selection.selectable_map(
        _map(errors, bundle.id, str(method), layer),
        Places(reasons.positions[str(method)][:, layer], reasons.ids),
        f"{MAP_TITLES[str(method)]} map at {layer_name}: {len(errors.wrong):,} misread images among training images",
        f"errors-map-{bundle.name}-{method}-{layer}",
        LASSO,
        bundle.id,
    )
    st.caption(
        f"{selection.HOW_TO} Every error stands at the weighted mean of its nearest training images' places; pale "
        "points are training images."
    )


@st.cache_resource(max_entries=32, show_spinner=False)
def _map(_errors: Errors, bundle_id: str, method: str, layer: int) -> go.Figure:  # noqa: ARG001  # the id is the key
    bundle, reasons = _errors.bundle, _errors.reasons
    assert reasons is not None
    frame = _errors.frame
    readings = [f"{true}, read as {read}" for true, read in zip(frame["true class"], frame["read as"], strict=True)]
    return errors_map(
        (np.asarray(bundle.maps[method][layer]), np.asarray(bundle.density_map.labels), bundle.splits.train),
        (reasons.positions[method][:, layer], reasons.ids),
        readings,
        bundle.class_names,
    )


def chosen_errors(errors: Errors, passing: Mask) -> Mask:
    """Narrow the filtered errors to the chosen cell and lasso, and say what they are, with a way out."""
    wrong, scope, said = errors.wrong, errors.bundle.id, []
    cell, lasso = selection.selected(CELL, scope), selection.selected(LASSO, scope)
    chosen = passing.copy()
    if cell is not None and len(cell) == 2:
        chosen &= (wrong.labels == cell[0]) & (wrong.predictions == cell[1])
        said.append(f"**{errors.name(int(cell[0]))}** read as **{errors.name(int(cell[1]))}**")
    if lasso is not None:
        chosen &= np.isin(wrong.ids, lasso)
        said.append("inside the lasso")
    if said:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/filter_alt: Only {words.listed(said)}.")
            st.button(
                "Show all", icon=":material/close:", key="errors-clear", on_click=selection.clear, args=(CELL, LASSO)
            )
    return chosen


def show_chosen(errors: Errors, chosen: Mask) -> None:
    """Show figures, table, reasons, thumbnails and file of the chosen errors."""
    if not chosen.any():
        st.info("No error passes these filters. Widen them, or choose another cell.", icon=":material/filter_alt_off:")
        return
    rows = _ordered(errors, np.flatnonzero(chosen))
    frame = errors.frame.iloc[rows].reset_index(drop=True)
    selection.metrics(_figures(errors, rows))
    why = st.container()  # above the table, so that it is in sight when a row is chosen
    picked = selection.choosable_table(
        frame.round(3),  # else the bars' percentages have two decimals
        f"{len(frame)} misread images with true and predicted class, confidence and reasons",
        f"errors-table-{errors.bundle.name}",
        _columns(errors),
    )
    st.caption("Click a row: its reasons stand above the table. A click on a column's name sorts.")
    with why:
        show_reasons(errors, int(rows[picked]))
    selection.download(frame, f"{errors.bundle.name}-errors.csv", "errors-csv")
    selection.thumbnails(errors.bundle, len(rows), lambda i: _thumbnail(errors, int(rows[i])), "errors")


def _ordered(errors: Errors, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    offered = [title for title, (column, _) in ORDERS.items() if column in errors.frame]
    order = st.selectbox("Order", offered, key=f"errors-order-{errors.reasons is not None}", width=320)
    column, ascending = ORDERS[order]
    values = errors.frame[column].to_numpy()[rows]
    return np.asarray(rows[np.argsort(values if ascending else -values, kind="stable")])


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
    if reasons is None:
        return figures
    likely = int((reasons.label_error[rows] >= LIKELY_LABEL_ERROR).sum())
    return [
        *figures,
        (
            "Agree with label",
            words.percent(float(reasons.true_share[rows].mean())),
            f"Mean share of the {reasons.k} nearest training images, on the last layer, that have the true class.",
        ),
        (
            "Agree with model",
            words.percent(float(reasons.predicted_share[rows].mean())),
            f"Mean share of the {reasons.k} nearest training images, on the last layer, that have the read class.",
        ),
        (
            "Doubtful labels",
            f"{likely:,}",
            f"Label-error score of at least {LIKELY_LABEL_ERROR}: network and neighbours both favour another class.",
        ),
    ]


def _columns(errors: Errors) -> dict[str, object]:
    k = "k" if errors.reasons is None else errors.reasons.k

    def share(explained: str, label: str | None = None) -> object:
        return st.column_config.ProgressColumn(label, format="percent", min_value=0.0, max_value=1.0, help=explained)

    return {
        "image": st.column_config.NumberColumn(format="%d", help="Data-set id"),
        "confidence": share("Softmax probability of the wrong answer."),
        "label error": share("How likely the given label is wrong: mean doubt of the network and of the neighbours."),
        "neighbours of true class": share(
            f"Share of the {k} nearest training images, on the last layer, that have the true class.",
            "agree with label",
        ),
        "neighbours of read class": share(
            f"Share of the {k} nearest training images, on the last layer, that have the read class.",
            "agree with model",
        ),
        "departs at": st.column_config.TextColumn(
            help="First layer from which the image stays nearer to the class it is read as."
        ),
        "most harmful training images": st.column_config.TextColumn(
            help="Ids of those that most raise the loss of the true class, the strongest first."
        ),
    }


def _reference(errors: Errors, row: int) -> str:
    return f"{errors.wrong.splits[row]}-{errors.wrong.ids[row]}"


def _thumbnail(errors: Errors, row: int) -> Thumbnail:
    wrong = errors.wrong
    image_id = int(wrong.ids[row])
    true, read = errors.name(int(wrong.labels[row])), errors.name(int(wrong.predictions[row]))
    said = f"Image {image_id}, class {true}, read as {read}"
    caption = f"**{true}** → **{read}**  \n{words.percent(float(wrong.confidences[row]))}"
    return Thumbnail(image_id, _reference(errors, row), said, caption)


def show_reasons(errors: Errors, row: int) -> None:
    """Show one error: the image, why it is misread in words, and the training images that made it so."""
    item = _thumbnail(errors, row)
    with st.container(border=True):
        left, right = st.columns([1, 4], gap="medium")
        with left:
            selection.picture(errors.bundle, item.image_id, item.said, side=160)
            selection.open_button(errors.bundle, item.reference, "errors-open-chosen")
        with right:
            st.markdown(f"**Image {item.image_id}.** {reason_words(errors, row)}")
            if errors.reasons is not None:
                _harmful(errors, errors.reasons, row)


def reason_words(errors: Errors, row: int) -> str:
    """Return why one image is misread, as far as it is known."""
    wrong, reasons = errors.wrong, errors.reasons
    true, read = errors.name(int(wrong.labels[row])), errors.name(int(wrong.predictions[row]))
    text = f"Its label says **{true}**; the model reads **{read}** ({words.percent(float(wrong.confidences[row]))})."
    if reasons is None:
        return f"{text} The reasons behind it need the image itself, which is not on this machine."
    agreeing, others = (round(reasons.k * float(share[row])) for share in (reasons.true_share, reasons.predicted_share))
    text += f" Of its {reasons.k} nearest training images, {agreeing} are of class {true} and {others} of class {read}."
    layer = int(reasons.departures[row])
    if layer == NO_LAYER:
        text += f" Its path through the layers never ends nearer to {read}: the last layer alone decides."
    else:
        count = len(errors.bundle.layers)
        text += f" From **{errors.layer(layer)}** (layer {layer + 1} of {count}) on it stays nearer to {read}."
    score = float(reasons.label_error[row])
    if score >= LIKELY_LABEL_ERROR:
        return f"{text} :material/label_off: Label-error score {score:.2f}: look whether the label is right."
    return f"{text} Label-error score {score:.2f}."


def _harmful(errors: Errors, reasons: ErrorReasons, row: int) -> None:
    true = errors.name(int(errors.wrong.labels[row]))
    st.markdown(f":material/thumb_down: **Most harmful training images**: without them {true} would gain support.")
    with st.grid("auto", min_column_width=84, gap="xsmall"):
        for image_id, label in zip(reasons.harmful_ids[row], reasons.harmful_labels[row], strict=True):
            with st.container(gap="xxsmall"):
                name = errors.name(int(label))
                said, caption = f"Training image {image_id}, class {name}, harmful", f"**{name}**  \nno. {image_id}"
                selection.picture(errors.bundle, int(image_id), said, caption)


def departure_words(errors: Errors) -> str:
    """Return by which trajectories departures are read; empty while they are not known."""
    if errors.reasons is None:
        return ""
    measure = "Euclidean distance" if errors.reasons.distance == "l2" else "cosine similarity"
    return f" Departures follow the trajectory detector's own variant: {errors.reasons.pivot}, {measure}."
