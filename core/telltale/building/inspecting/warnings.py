"""What is probably wrong with a network that was looked at, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from telltale.building.inspecting.inspection import Inspection
from telltale.building.inspecting.mistakes import SIGNIFICANT, Accuracy, Reordering, find_reordering
from telltale.bundle.own_data import LEARNED_FROM_ALL
from telltale.models.class_names import listed

MOST_NAMES = 20  # of outputs that are written out
FEW = 5  # images of a class: trajectories, votes, errors and label doubts want as many

UNCHECKED = (
    "The pictures have no labels: whether the preprocessing and the order of the classes' names are right cannot be "
    "checked, and errors will not be known. One folder of pictures per class would bring both."
)

NO_PICTURES_GIVEN = (
    "There are no pictures: neither the preprocessing nor the order of the classes' names can be checked. Pictures "
    "like those that the network will judge (--data), one folder per class, would bring both."
)

Labels = npt.NDArray[np.int64]


def find_warnings(found: Inspection, answers: tuple[Labels, Labels] | None, validated: bool = True) -> tuple[str, ...]:
    """Return one sentence for each thing that a person should look at, the gravest first.

    Parameters
    ----------
    found : Inspection
    answers : (predictions, targets), arrays of int64, shape (n,)
        What the network reads with the stated preprocessing, and what is right; None where that is not known.
    validated : bool
        Whether the data have a validation split of their own.
    """
    if found.source is None:
        of_answers = [NO_PICTURES_GIVEN]
    else:
        of_answers = [UNCHECKED] if answers is None else [*_of_answers(found, *answers), *_of_classes(found)]
    of_splits = [LEARNED_FROM_ALL] if found.trained_on and found.source is not None and not validated else []
    return (*of_answers, *of_splits, *_of_network(found), *_of_files(found))


def _of_answers(found: Inspection, predictions: Labels, targets: Labels) -> Iterator[str]:
    stated, *others = found.accuracies
    better = sorted((other for other in others if other.better), key=lambda other: -other.accuracy)
    reordering = find_reordering(predictions, targets, found.classifier.classes)
    best = max((way.accuracy for way in better), default=0.0)
    # Each of the two mistakes looks a little like the other: what explains more is said, and both where they tie.
    if reordering is None or reordering.after <= best:
        yield from _of_preprocessing(stated, better)
    if reordering is not None and reordering.after >= best:
        yield _of_order(found, reordering)
    yield from _of_guessing(found, predictions, targets)


def _of_preprocessing(stated: Accuracy, better: Sequence[Accuracy]) -> Iterator[str]:
    if better:
        best, *rest = better
        others = [f"{way.accuracy:.1%} with {way.words}" for way in rest]
        yield (
            f"The preprocessing is probably not the network's: it is right on {stated.accuracy:.1%} of the pictures as "
            f"stated, and on {best.accuracy:.1%} with {best.words} (p = {best.p_value:.1g})"
            f"{f'; better than stated are also {listed(others)}' if others else ''}."
        )


def _of_order(found: Inspection, other: Reordering) -> str:
    first = "'{}' is mostly read as '{}'".format(*map(found.class_name, other.pairs[0]))
    more = f", and {len(other.pairs) - 1} more are read as others" if len(other.pairs) > 1 else ""
    fitting = _fitting_names(found, other)
    return (
        f"The names of the classes are probably not in the order of the outputs: {first}{more}. In the order that "
        f"fits, {other.after:.1%} of the other pictures are right and not {other.before:.1%}: {fitting}."
    )


def _fitting_names(found: Inspection, other: Reordering) -> str:
    """Return the names as --classes takes them, or where they are many what becomes of those that change."""
    renamed = {read: found.class_name(named) for named, read in other.pairs}
    outputs = found.classifier.classes
    if outputs <= MOST_NAMES and set(renamed) == {named for named, _ in other.pairs}:
        return ",".join(renamed.get(output, found.class_name(output)) for output in range(outputs))
    shown = [f"output {output} is '{name}'" for output, name in sorted(renamed.items())]
    return listed(shown)


def _of_guessing(found: Inspection, predictions: Labels, targets: Labels) -> Iterator[str]:
    right, count = int((predictions == targets).sum()), len(targets)
    most = int(np.bincount(targets).max()) / count
    # A network that always gives the commonest class is right so often.
    if binom.sf(right - 1, count, most) > SIGNIFICANT and count >= 10:
        weights = "" if found.model.weights is not None else " (on the command line by --weights)"
        yield (
            f"The network is right on {right} of {count} pictures; always naming the commonest class is on "
            f"{round(most * count)}, and the difference may be chance: are the weights loaded{weights}, and is the "
            "preprocessing right?"
        )


def _of_classes(found: Inspection) -> Iterator[str]:
    classes = found.classes
    if found.classifier.class_names is None and classes.outputs:
        yield (
            "The outputs of the network have no names, so the data's classes are taken for them in their order; name "
            "them by telltale.wrap(..., classes=[...])."
        )
    if classes.unmatched:
        yield (
            f"No output of the network is named like {listed(classes.unmatched)}; these classes are left out. If one "
            "is another name for an output, say so under [data.classes] in the file of settings."
        )
    for folder, outputs in classes.ambiguous.items():
        names = " and ".join(f"{output} ({found.class_name(output)})" for output in outputs)
        yield f"The class '{folder}' may be any of the outputs {names}; choose one in the file of settings."
    empty = [name for name, (count, _) in found.classes_held.items() if count == 0]
    if empty:
        yield f"There is no picture of {listed(empty)}."
    held_out = [name for name, (count, references) in found.classes_held.items() if count > 0 == references]
    if held_out:
        yield (
            f"All pictures of {listed(held_out)} are in splits that the data hold out: without one to refer to, such a "
            "class is absent from neighbours, trajectories and densities."
        )
    few = [name for name, (_, references) in found.classes_held.items() if 0 < references < FEW]
    if few:
        yield (
            f"There are fewer than {FEW} pictures of {listed(few)} to refer to: trajectories, votes and label doubts "
            "need as many of every class."
        )


def _of_network(found: Inspection) -> Iterator[str]:
    if found.largest_gradient == 0.0:
        yield "The gradients at the pixels of the first pictures are all 0: attacks that follow them will find nothing."
    if found.classifier.head_problem is not None:
        yield f"{found.classifier.head_problem} There will be no influence of training images."
    if not found.rectifiers:
        yield "No rectifier runs before the last stage: feature responses are plain gradients."


def _of_files(found: Inspection) -> Iterator[str]:
    if found.damaged:
        yield f"{len(found.damaged)} files cannot be read and are left out: {listed(found.damaged)}."
