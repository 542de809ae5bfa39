"""What a model misreads by itself: what is known about it, as a table and in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from telltale.kinds.trajectory import NO_LAYER
from telltale.model_errors.evaluated import Evaluated, evaluated_images
from telltale.model_errors.reasons import LIKELY_LABEL_ERROR, ErrorReasons
from telltale_app import catalogue, words

if TYPE_CHECKING:
    from telltale.bundle import Bundle


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

    def reference(self, row: int) -> str:
        """Return how a case names the image of an error."""
        return f"{self.wrong.splits[row]}-{self.wrong.ids[row]}"

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
        columns: dict[str, object] = {}
        if "label_error" in reasons:
            columns["label error"] = reasons["label_error"]
            columns["neighbours of true class"] = reasons["true_share"]
            columns["neighbours of read class"] = reasons["predicted_share"]
        if "departures" in reasons:
            columns["departs at"] = [self.layer(int(layer)) for layer in reasons["departures"]]
        if "harmful_ids" in reasons:
            columns["most harmful training images"] = [
                " ".join(str(i) for i in row[:3]) for row in reasons["harmful_ids"]
            ]
        return columns

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
        f"The model misreads **{count:,}** of {total:,} natural images {catalogue.unseen_words(errors.bundle)} "
        f"({words.percent(count / total)}), without any attack. Most often it takes **{errors.name(int(true))}** for "
        f"**{errors.name(int(predicted))}** ({_images(int(counts.max()))})."
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def reason_words(errors: Errors, row: int) -> str:
    """Return why one image is misread, as far as it is known."""
    wrong, reasons = errors.wrong, errors.reasons
    true, read = errors.name(int(wrong.labels[row])), errors.name(int(wrong.predictions[row]))
    text = f"Its label says **{true}**; the model reads **{read}** ({words.percent(float(wrong.confidences[row]))})."
    if reasons is None:
        if errors.bundle.image_set is None:
            return text  # the page says at its top what is left out without the images
        return f"{text} The reasons behind it were not looked into."
    said = (
        _neighbour_words(errors, reasons, row, true, read),
        _departure_words(errors, reasons, row, read),
        _label_words(reasons, row),
    )
    return " ".join([text, *filter(None, said)])


def _neighbour_words(errors: Errors, reasons: ErrorReasons, row: int, true: str, read: str) -> str:
    if "true_share" not in reasons:
        return ""
    k = reasons["k"]
    agreeing, others = (round(k * float(share[row])) for share in (reasons["true_share"], reasons["predicted_share"]))
    word = catalogue.reference_word(errors.bundle)
    return f"Of its {k} nearest {word} images, {agreeing} are of class {true} and {others} of class {read}."


def _departure_words(errors: Errors, reasons: ErrorReasons, row: int, read: str) -> str:
    if "departures" not in reasons:
        return ""
    layer, count = int(reasons["departures"][row]), len(errors.bundle.layers)
    if layer == NO_LAYER:
        outside = catalogue.outside_words(errors.bundle, int(errors.wrong.predictions[row]))
        return outside or f"Its path through the layers never ends nearer to {read}: the last layer alone decides."
    return f"From **{errors.layer(layer)}** (layer {layer + 1} of {count}) on it stays nearer to {read}."


def _label_words(reasons: ErrorReasons, row: int) -> str:
    if "label_error" not in reasons:
        return ""
    score = float(reasons["label_error"][row])
    if score >= LIKELY_LABEL_ERROR:
        return f":material/label_off: Label-error score {score:.2f}: look whether the label is right."
    return f"Label-error score {score:.2f}."


def departure_words(errors: Errors) -> str:
    """Return by which trajectories departures are read; empty while they are not known."""
    if errors.reasons is None or "departures" not in errors.reasons:
        return ""
    measure = "Euclidean distance" if errors.reasons["distance"] == "l2" else "cosine similarity"
    return f" Departures follow the trajectory detector's own variant: {errors.reasons['pivot']}, {measure}."
