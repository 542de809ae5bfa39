"""The failure slices of a bundle's model, described by all that is at hand: scores, images, and the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from telltale.base.progress import Progress, Share, part, stage
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.tails import UPPER
from telltale.evidence.label_doubt import class_shares
from telltale.kinds.neighbours import VOTING
from telltale.kinds.trajectory import TrajectoryView
from telltale.model_errors.evaluated import Evaluated, evaluated_images, evaluated_rows
from telltale.model_errors.slices import FailureSlices, find_slices
from telltale.model_errors.slices_features import (
    AGREEMENT,
    BRIGHTNESS,
    DEPARTURE,
    SHARPNESS,
    SHORT_NAMES,
    Codes,
    Feature,
    NumberFeature,
    Numbers,
    departure_feature,
    features_of_answers,
    leave_out,
)
from telltale.model_errors.slices_images import image_statistics
from telltale.scores.table import numbers, score_column

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle
    from telltale.bundle import Bundle
    from telltale.data.image_set import ImageSet

IMAGES_AT_ONCE = 256
NEED_IMAGES = "needs the model's images on this machine"
NEED_MODEL = "needs the model's images on this machine, which are read once more"


def failure_slices(
    bundle: Bundle, loaded: LoadedBundle | None, checkpoint: Progress, without: Sequence[str] = ()
) -> FailureSlices:
    """Find the failure slices of a bundle's model among its natural held-out images.

    Parameters
    ----------
    bundle, loaded, checkpoint
        See `features_of_bundle`.
    without : sequence of str
        What no group is described by; keys of `telltale.model_errors.slices_features.SHORT_NAMES`.

    Raises
    ------
    InputError
        If the images have no labels, or a name in `without` is none of them.
    """
    bundle.require_labels()
    leave_out((), without)  # a wrong name is said before images are read
    images = evaluated_images(bundle.scores)
    features, missing = features_of_bundle(bundle, loaded, images, part(checkpoint, 0.0, 0.9))
    checkpoint(0.9, "searching for groups")
    unwanted = {SHORT_NAMES[name] for name in without}
    missing = {name: reason for name, reason in missing.items() if name not in unwanted}
    return find_slices(images, leave_out(features, without), bundle.seed, missing=missing)


def features_of_bundle(
    bundle: Bundle, loaded: LoadedBundle | None, images: Evaluated, checkpoint: Progress
) -> tuple[list[Feature], dict[str, str]]:
    """Return what is known about a bundle's natural held-out images, and what is not.

    Parameters
    ----------
    bundle : Bundle
    loaded : LoadedBundle or None
        The same with its model; without one, what only the model can tell is left out.
    images : Evaluated
        n images.
    checkpoint : callable
        Told the done share and what is being done; may raise to stop.

    Returns
    -------
    list of NumberFeature and CodeFeature
        About the n images. Neighbours' agreement is the share of the `VOTING` nearest training images, on the last
        layer, that have the class read; without the images the stored kNN score's share of the vote for it.
    dict of str to str
        Features that are left out, and in a few words what would bring each.
    """
    features = features_of_answers(images, bundle.class_names)
    missing: dict[str, str] = {}
    if bundle.image_set is None:
        missing |= dict.fromkeys((BRIGHTNESS, SHARPNESS), NEED_IMAGES) | {DEPARTURE: NEED_MODEL}
        features += _stored_agreement(bundle, missing)
    else:
        features += _of_images(bundle.image_set, images, stage(checkpoint, 0.0, 0.1, "looking at the images"))
        if loaded is None:
            missing[DEPARTURE] = NEED_MODEL
            features += _stored_agreement(bundle, missing)
        else:
            features += _of_model(loaded, bundle.image_set, images, part(checkpoint, 0.1, 1.0), missing)
    return features, missing


def _stored_agreement(bundle: Bundle, missing: dict[str, str]) -> list[Feature]:
    """Return the kNN score's share of the vote for the class read, where the stored score is just that."""
    column, name = score_column(KnnScoreDetector.name), KnnScoreDetector.name
    settings = bundle.manifest.detectors.get(name, {}).get("parameters", {})
    if column not in bundle.scores.column_names or settings.get("tails", UPPER) != UPPER:
        missing[AGREEMENT] = NEED_MODEL
        return []
    return [NumberFeature(AGREEMENT, 1.0 - numbers(evaluated_rows(bundle.scores), column))]


def _of_images(image_set: ImageSet, images: Evaluated, progress: Share) -> list[Feature]:
    brightness, sharpness = np.empty(len(images)), np.empty(len(images))
    for rows in _chunks(len(images)):
        progress(rows.start / len(images))
        brightness[rows], sharpness[rows] = image_statistics(image_set.images(images.ids[rows]))
    return [NumberFeature(BRIGHTNESS, brightness), NumberFeature(SHARPNESS, sharpness)]


def _of_model(
    loaded: LoadedBundle, image_set: ImageSet, images: Evaluated, checkpoint: Progress, missing: dict[str, str]
) -> list[Feature]:
    """Return where every image departs from the runner-up, and how many of its neighbours have the class read."""
    agreement: Numbers = np.empty(len(images))
    departures: Codes = np.empty(len(images), dtype=np.int64)
    trajectory = next((kind for kind in loaded.available if kind.name == TrajectoryView.kind), None)
    reference = loaded.reference
    for rows in _chunks(len(images)):
        checkpoint(rows.start / len(images), f"reading image {rows.start + 1:,} of {len(images):,}")
        trace = loaded.classifier.trace(image_set.images(images.ids[rows]))
        evidence = loaded.evidence_of(trace)
        near = evidence.neighbours(reference.layers[-1], "none", min(VOTING, len(reference.labels)))
        shares = class_shares(reference.labels[near.rows], reference.classes)
        agreement[rows] = shares[np.arange(len(trace)), trace.predictions]
        if trajectory is not None:
            runners_up = np.argsort(trace.logits, axis=1)[:, -2].astype(np.int64)
            departures[rows] = trajectory.explain(loaded.seen(trajectory, evidence), runners_up)["departures"]
    found: list[Feature] = [NumberFeature(AGREEMENT, agreement)]
    if trajectory is None:
        missing[DEPARTURE] = reference.missing[TrajectoryView.kind]
        return found
    return [*found, departure_feature(departures, loaded.bundle.layers)]


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + IMAGES_AT_ONCE, count)) for start in range(0, count, IMAGES_AT_ONCE)]
