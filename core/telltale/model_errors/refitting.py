"""What corrections of training images do to the softmax head: foretold by influence, and really, by refitting it.

The features are frozen. With g_i the gradient of image i's loss, w the head at its optimum, H its Hessian and

    s = sum of g_i over removed images + sum of g_i(old label) - g_i(new label) over relabelled ones,

the corrected head is, to first order, w + H^-1 s / N, the sum of the influences of single corrections (Koh & Liang
2017; Koh et al. 2019). The real one minimises

    (1/N) sum of the losses of what is left + lambda/2 |w|^2:

the penalty stays what it was, as scikit-learn's `LogisticRegression` keeps it with the same C = 1/(N lambda).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.progress import Progress
from telltale.evidence.influence import HeadInfluence, SoftmaxHead, with_bias
from telltale.evidence.iterative_head import Precondition, fit_head_iteratively, solve_with_curvature
from telltale.model_errors.corrections import REMOVED, Correction, LabelEvidence, TrainingSet
from telltale.model_errors.label_votes import LabelVotes, leave_one_out_votes
from telltale.model_errors.suspicious import NEIGHBOURS

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.evidence.reference import Reference

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

TOLERANCE = 1e-8  # largest entry of the gradient; a probability is then off by less than a page shows
ROWS_AT_ONCE = 512
WHOLE = "solved with the inverse of the head's whole Hessian"
PASSES = (
    "solved in passes over all training images, which takes longer the larger the head is: its whole Hessian was too "
    "large to invert"
)


@dataclass(frozen=True)
class CorrectedHeads:
    """A softmax head before and after corrections of its training images.

    Attributes
    ----------
    before, after : SoftmaxHead
        At the optimum on the given and on the corrected images.
    first_order : SoftmaxHead
        The sum of the influences of single corrections.
    method : str
        How they were found, in words.
    """

    before: SoftmaxHead
    first_order: SoftmaxHead
    after: SoftmaxHead
    method: str


@dataclass(frozen=True)
class Answers:
    """What is said of one image, each as softmax outputs, shape (C,).

    Attributes
    ----------
    network
        By the network itself.
    before, first_order, after
        By each of `CorrectedHeads`.
    influences : array of float64, shape (k,)
        To first order, by how much each correction raises the loss of the class that the network reads.
    """

    network: Doubles
    before: Doubles
    first_order: Doubles
    after: Doubles
    influences: Doubles


@dataclass(frozen=True)
class Refit:
    """What k corrections of training images do.

    Attributes
    ----------
    ids : array of int64, shape (k,)
        Corrected images, ascending.
    removed : int
        How many of them are removed; the others are relabelled.
    answers : Answers or None
        None where no image was handed in.
    self_influence : array of float64, shape (k,)
        In nats, on the loss of the label that was given; NaN where the head is too large to find it in time.
    votes : LabelVotes
        Of the nearest other training images on each corrected one's label.
    method : str
        How the heads were found, in words.
    seconds : float
        That it took.
    """

    ids: Ids
    removed: int
    answers: Answers | None
    self_influence: Doubles
    votes: LabelVotes
    method: str
    seconds: float


def refit(loaded: LoadedBundle, ids: Ids, new_labels: Ids, image: Floats | None, checkpoint: Progress) -> Refit:
    """Refit a bundle's head on its corrected reference set and ask it again.

    Parameters
    ----------
    loaded : LoadedBundle
    ids, new_labels : array of int64, shape (k,)
        As `telltale.model_errors.corrections.as_arrays` returns them.
    image : array of float32, shape (C, H, W), optional
        Whose answer is looked at.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If an id is no training image's or comes twice, a label is no other class, or too few images are left.
    """
    started = time.perf_counter()
    reference = loaded.reference
    checkpoint(0.1, "refitting the head")
    heads = correct_head(reference, ids, new_labels, lambda: checkpoint(0.2, "refitting the head"))
    checkpoint(0.8, "asking it again")
    rows = checked_rows(reference, ids, new_labels)
    answers = None if image is None else _answers(loaded, heads, rows, new_labels, image)
    k = min(NEIGHBOURS, len(reference.labels) - 1)
    votes = leave_one_out_votes(
        reference.trace.hidden, reference.labels, reference.classes, k, lambda _: None, asked=rows
    )
    own = _self_influence(reference, rows)
    removed = int((new_labels == REMOVED).sum())
    return Refit(ids, removed, answers, own, votes, heads.method, time.perf_counter() - started)


def with_evidence(corrections: Iterable[Correction], found: Refit) -> tuple[Correction, ...]:
    """Return corrections with what a refit found about them, where it was not known before."""
    places = {int(image_id): place for place, image_id in enumerate(found.ids)}
    complete = []
    for correction in corrections:
        place = places.get(correction.image_id)
        if place is None:
            complete.append(correction)
            continue
        known, own = correction.evidence, float(found.self_influence[place])
        filled = LabelEvidence(
            self_influence=own if known.self_influence is None and np.isfinite(own) else known.self_influence,
            disagreement=1.0 - float(found.votes.own[place]) if known.disagreement is None else known.disagreement,
            neighbours_say=int(found.votes.rival[place]) if known.neighbours_say is None else known.neighbours_say,
        )
        complete.append(replace(correction, evidence=filled))
    return tuple(complete)


def correct_head(
    reference: Reference, ids: Ids, new_labels: Ids, stop: Callable[[], None] = lambda: None
) -> CorrectedHeads:
    """Return the head of a reference set before and after corrections, foretold and real.

    Parameters
    ----------
    reference : Reference
    ids, new_labels : array of int64, shape (k,)
    stop : callable
        Called before every pass over the images; may raise to stop.

    Raises
    ------
    InputError
        As `refit` does, and where the reference set has no head or the corrected one does not converge.
    """
    rows = checked_rows(reference, ids, new_labels)
    head, hidden, count = reference.head, reference.trace.hidden, len(reference.labels)
    inverse = _inverse(reference)
    kept, labels = corrected(reference.labels, rows, new_labels)
    left = hidden[kept]
    # The losses of what is left are averaged over fewer images, so that the same penalty weighs more against them.
    damping = head.damping * count / len(left)
    push = changed_residuals(head, hidden[rows], reference.labels[rows], new_labels).T @ with_bias(hidden[rows])
    if inverse is not None:
        first = inverse(push / count)
    else:
        first = solve_with_curvature(hidden, head, push / count, stop=stop)
    start = head.weights + first
    try:
        after = fit_head_iteratively(
            left, labels, reference.classes, damping, TOLERANCE, start=start, precondition=inverse, stop=stop
        )
    except RuntimeError as error:
        raise InputError(f"The head cannot be refitted on these corrections. {error}") from error
    return CorrectedHeads(
        before=head,
        first_order=SoftmaxHead(start, damping),
        after=after,
        method=PASSES if inverse is None else WHOLE,
    )


def checked_rows(reference: Reference, ids: Ids, new_labels: Ids) -> Ids:
    """Return the rows of corrected images in the reference set, shape (k,).

    Raises
    ------
    InputError
        If an id is no training image's or comes twice, a label is no other class, or fewer than two images are left.
    """
    training = TrainingSet(reference.ids, reference.labels, ())
    rows = training.rows(ids)
    if (rows < 0).any():
        raise InputError(f"Image {int(ids[rows < 0][0])} is not among the training images of this model.")
    if len(np.unique(rows)) < len(rows):
        raise InputError("A training image can be corrected once only.")
    relabelled = new_labels != REMOVED
    wrong = relabelled & ((new_labels < 0) | (new_labels >= reference.classes) | (new_labels == reference.labels[rows]))
    if wrong.any():
        raise InputError(f"Image {int(ids[wrong][0])} can only be given another of the {reference.classes} classes.")
    if len(reference.labels) - int((~relabelled).sum()) < 2:
        raise InputError("No head can be refitted: fewer than two training images are left.")
    return rows


def corrected(labels: Ids, rows: Ids, new_labels: Ids) -> tuple[npt.NDArray[np.bool_], Ids]:
    """Return which of N images are kept, shape (N,), and the labels of those that are."""
    changed, kept = labels.copy(), np.ones(len(labels), dtype=np.bool_)
    changed[rows] = new_labels
    kept[rows[new_labels == REMOVED]] = False
    return kept, changed[kept]


def changed_residuals(head: SoftmaxHead, hidden: Floats, labels: Ids, new_labels: Ids) -> Doubles:
    """Return what each correction takes out of the sum of gradients, as factors of [features, 1]; shape (k, C).

    Parameters
    ----------
    head : SoftmaxHead
    hidden : array of float32, shape (k, d)
    labels, new_labels : array of int64, shape (k,)
    """
    classes = np.eye(len(head.weights))
    kept = new_labels != REMOVED
    # p - y(old) for a removed image; p - y(old) - (p - y(new)) for a relabelled one.
    residuals = head.probabilities(hidden) - classes[labels]
    residuals[kept] = classes[new_labels[kept]] - classes[labels[kept]]
    return np.asarray(residuals)


def _answers(loaded: LoadedBundle, heads: CorrectedHeads, rows: Ids, new_labels: Ids, image: Floats) -> Answers:
    trace, reference = loaded.classifier.trace(image[None]), loaded.reference
    hidden, read = trace.hidden, int(trace.predictions[0])
    gradient = (heads.before.probabilities(hidden)[0] - np.eye(reference.classes)[read])[:, None] * with_bias(hidden)
    inverse = _inverse(reference)
    if inverse is not None:
        direction = inverse(gradient)
    else:
        direction = solve_with_curvature(reference.trace.hidden, heads.before, gradient)
    theirs = reference.trace.hidden[rows]
    residuals = changed_residuals(heads.before, theirs, reference.labels[rows], new_labels)
    return Answers(
        network=trace.probabilities[0],
        before=heads.before.probabilities(hidden)[0],
        first_order=heads.first_order.probabilities(hidden)[0],
        after=heads.after.probabilities(hidden)[0],
        influences=np.asarray((residuals * (with_bias(theirs) @ direction.T)).sum(1) / len(reference.labels)),
    )


def _self_influence(reference: Reference, rows: Ids) -> Doubles:
    """Return the influence of some images on their own loss, shape (k,); see `telltale.model_errors.self_influence`."""
    inverse = _inverse(reference)
    if inverse is None:
        return np.full(len(rows), np.nan)
    values = np.empty(len(rows))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        hidden, labels = reference.trace.hidden[rows[part]], reference.labels[rows[part]]
        residuals = changed_residuals(reference.head, hidden, labels, np.full(len(labels), REMOVED))
        gradients = residuals[:, :, None] * with_bias(hidden)[:, None, :]
        values[part] = np.einsum("kcd,kcd->k", gradients, inverse(gradients))
    return values / len(reference.labels)


def _inverse(reference: Reference) -> Precondition | None:
    """Return what multiplies by the inverse of the whole Hessian; None where that was too large."""
    influence = reference.influence
    return influence.solve if isinstance(influence, HeadInfluence) else None
