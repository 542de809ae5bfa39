"""The whole path for one image: trace, evidence, scores, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

from telltale.analysis.observing import observe_images
from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.analysis.results import (
    Analysis,
    LiveScores,
    Prediction,
    SweepPoint,
    Unavailable,
)
from telltale.attacks.attack import attack_images
from telltale.attacks.base import AttackResult, RandomTarget
from telltale.base.changes import scaled
from telltale.base.clock import Clock
from telltale.base.errors import InputError
from telltale.base.images import image_sha256
from telltale.base.progress import Progress, Share
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.kinds.registry import KINDS
from telltale.models.batch import batch_of
from telltale.models.trace import Trace
from telltale.scores.calibration import check_alpha, fused_kind, uncalibrated_verdict
from telltale.scores.verdicts import FusedVerdict, Verdict

__all__ = ["analyse_image", "attack_image", "live_scores", "open_bundle", "sweep"]

Image = npt.NDArray[np.float32]
MAX_STRENGTH = 4.0
SCORED_AT_ONCE = 8
STOPS = {"trace": "reading the layers", "versions": "reading it changed a little", "verdicts": "asking the detectors"}


def analyse_image(
    loaded: LoadedBundle, image: Image, alpha: float = 0.05, checkpoint: Progress | None = None
) -> Analysis:
    """Run one image through trace, all evidence, every detector and its calibration.

    Parameters
    ----------
    loaded : LoadedBundle
    image : array of float32, shape (C, H, W), in [0, 1]
        Rounded to 8 bits first.
    alpha : float
        False-positive rate at which verdicts are given, in (0, 1).
    checkpoint : callable, optional
        Told before every stop of the path; may raise `CancelledError`.

    Raises
    ------
    InputError
        If the image or alpha is not accepted.
    """
    check_alpha(alpha)
    clock = Clock(None if checkpoint is None else _stops(loaded, checkpoint))
    batch = batch_of(loaded.classifier, image)
    observed = observe_images(loaded.classifier, batch, clock=clock)
    evidence = loaded.evidence_from(batch, observed)
    missing = {name: Unavailable(reason) for name, reason in loaded.reference.missing.items()}
    views: dict[str, object] = dict.fromkeys(KINDS) | missing  # in the order of the registry
    for kind in loaded.available:
        with clock.timed(kind.name):
            views[kind.name] = kind.view(loaded.seen(kind, evidence, observed.details.get(kind.name)))
    with clock.timed("verdicts"):
        scores = loaded.fitted.score(evidence)
        verdicts = tuple(_verdict(loaded, name, float(values[0]), alpha) for name, values in scores.items())
        fused = next(iter(fused_verdicts(loaded, scores, observed.trace, alpha)), None)
    return Analysis(
        bundle=loaded.bundle.name,
        bundle_id=loaded.bundle.id,
        image_sha256=image_sha256(batch[0]),
        image=batch[0],
        prediction=_prediction(loaded, observed.trace),
        evidence=views,
        verdicts=verdicts,
        fused=fused,
        timings_ms=clock.report(),
    )


def attack_image(
    loaded: LoadedBundle,
    image: Image,
    attack: str,
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    target: int | RandomTarget | None = None,
    checkpoint: Progress | None = None,
) -> AttackResult:
    """Attack one image (C, H, W); see `telltale.attacks.attack_images`.

    Parameters that are left out are those behind the bundle's stored scores.
    """
    return attack_images(
        loaded.classifier,
        batch_of(loaded.classifier, image),
        attack,
        loaded.bundle.attack_parameters(attack) | dict(parameters or {}),
        targets=target if target is None or isinstance(target, str) else np.array([target]),
        seed=seed,
        checkpoint=_silent(checkpoint),
        defence=loaded.defence,
    )


def predict_image(loaded: LoadedBundle, image: Image) -> Prediction:
    """Return the classifier's answer for one image (C, H, W), and nothing else."""
    return _prediction(loaded, loaded.classifier.trace(batch_of(loaded.classifier, image)))


def sweep(
    loaded: LoadedBundle,
    natural: Image,
    attacked: Image,
    strengths: Sequence[float],
    checkpoint: Progress | None = None,
) -> tuple[SweepPoint, ...]:
    """Follow the straight line from a natural through an attacked image.

    Parameters
    ----------
    loaded : LoadedBundle
    natural, attacked : array of float32, shape (C, H, W), in [0, 1]
    strengths : sequence of float
        0 is the natural image, 1 the attacked one; each in [0, 4].
    checkpoint : callable, optional

    Raises
    ------
    InputError
        If an image or a strength is not accepted.
    """
    images = line_of(loaded, natural, attacked, strengths)
    start = batch_of(loaded.classifier, natural)
    points = []
    for done, strength in enumerate(strengths):
        if checkpoint is not None:
            checkpoint(done / len(strengths), f"strength {strength:g}")
        trace = loaded.classifier.trace(images[done : done + 1])
        evidence = loaded.evidence_of(trace)
        linf = float(np.abs(images[done] - start[0]).max())
        views = {kind.name: kind.view(loaded.seen(kind, evidence)) for kind in loaded.available if kind.followed}
        points.append(SweepPoint(strength, linf, _prediction(loaded, trace), views))
    return tuple(points)


def line_of(loaded: LoadedBundle, natural: Image, attacked: Image, strengths: Sequence[float]) -> Image:
    """Return the images at these strengths, on the 8-bit grid, as an array of shape (strengths, C, H, W).

    Raises
    ------
    InputError
        If an image or a strength is not accepted.
    """
    if not strengths or not all(0.0 <= s <= MAX_STRENGTH for s in strengths):
        raise InputError(f"strengths must be numbers in [0, {MAX_STRENGTH:g}], got {tuple(strengths)}.")
    start, end = batch_of(loaded.classifier, natural), batch_of(loaded.classifier, attacked)
    return np.concatenate([scaled(start, end, strength) for strength in strengths])


def live_scores(
    loaded: LoadedBundle,
    attack: str,
    parameters: Mapping[str, object] | None,
    seed: int,
    ids: npt.NDArray[np.int64],
    checkpoint: Progress | None = None,
) -> LiveScores:
    """Attack data-set images now and score both versions with every detector.

    Parameters
    ----------
    loaded : LoadedBundle
    attack : str
    parameters : mapping, optional
    seed : int
    ids : array of int64, shape (n,)
        Images that the classifier gets wrong are skipped and counted.
    checkpoint : callable, optional

    Raises
    ------
    InputError
        If the data set is not on this machine, an id is not in it, or the attack's arguments are not accepted.
    """
    images, labels = _known_images(loaded, ids)
    correct = loaded.classifier.predict(images) == labels
    chosen, natural = np.asarray(ids, dtype=np.int64)[correct], images[correct]
    if len(chosen) == 0:
        empty: dict[str, npt.NDArray[np.float64]] = {name: np.empty(0) for name in loaded.fitted.names}
        return LiveScores(chosen, empty, dict(empty), np.empty(0, dtype=np.bool_), len(ids))
    result = attack_images(
        loaded.classifier,
        natural,
        attack,
        loaded.bundle.attack_parameters(attack) | dict(parameters or {}),
        labels=labels[correct],
        seed=seed,
        checkpoint=_silent(_part(checkpoint, 0.0, 0.6)),
        defence=loaded.defence,
    )
    before = _scores_of_many(loaded, natural, _part(checkpoint, 0.6, 0.8))
    after = _scores_of_many(loaded, result.images, _part(checkpoint, 0.8, 1.0))
    return LiveScores(chosen, before, after, result.fooled, len(ids) - len(chosen))


def _stops(loaded: LoadedBundle, checkpoint: Progress) -> Callable[[str], None]:
    """Return what reports every stop of an analysis by its name; each counts as much as any other."""
    stops = len(STOPS) + sum(bool(kind.readings) for kind in KINDS.values()) + len(loaded.available)
    passed = count()

    def begin(name: str) -> None:
        said = KINDS[name].title.lower() if name in KINDS else STOPS.get(name, name)
        checkpoint(min(1.0, next(passed) / stops), said)

    return begin


def _known_images(loaded: LoadedBundle, ids: npt.NDArray[np.int64]) -> tuple[Image, npt.NDArray[np.int64]]:
    image_set = loaded.bundle.require_images()
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= len(image_set):
        raise InputError(f"ids must be integers in [0, {len(image_set) - 1}].")
    return image_set.images(ids), image_set.labels[ids]


def _scores_of_many(
    loaded: LoadedBundle, images: Image, checkpoint: Progress | None
) -> dict[str, npt.NDArray[np.float64]]:
    """Score images a few at a time, so that a cancelled run ends soon."""
    parts = []
    for start in range(0, len(images), SCORED_AT_ONCE):
        if checkpoint is not None:
            checkpoint(start / len(images), "scoring")
        parts.append(loaded.fitted.score_all(loaded.evidence(images[start : start + SCORED_AT_ONCE])))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _verdict(loaded: LoadedBundle, name: str, score: float, alpha: float) -> Verdict:
    calibration = loaded.calibrations.get(name)
    return uncalibrated_verdict(name, score, alpha) if calibration is None else calibration.verdict(name, score, alpha)


def fused_verdicts(
    loaded: LoadedBundle, scores: Mapping[str, npt.NDArray[np.float64]], trace: Trace, alpha: float
) -> list[FusedVerdict]:
    """Return the fused verdict on each of n images, from every detector's n scores; none without a fusion."""
    fused = loaded.fitted.fuse(scores, trace)
    if fused is None:
        return []
    found = []
    for index, score in enumerate(fused.attack):
        attack = _verdict(loaded, FUSED, float(score), alpha)
        error = None if fused.error is None else _verdict(loaded, ERROR_SCORE, float(fused.error[index]), alpha)
        contributions = dict(zip(scores, fused.contributions[index].tolist(), strict=True))
        found.append(FusedVerdict(fused_kind(attack, error), attack, error, contributions))
    return found


def _prediction(loaded: LoadedBundle, trace: Trace) -> Prediction:
    label, probabilities = int(trace.predictions[0]), trace.probabilities[0]
    return Prediction(label, loaded.bundle.class_names[label], float(probabilities[label]), probabilities)


def _part(checkpoint: Progress | None, start: float, end: float) -> Progress | None:
    """Return the checkpoint of a stage that spans a part of the work."""
    if checkpoint is None:
        return None
    return lambda fraction, message: checkpoint(start + fraction * (end - start), message)


def _silent(checkpoint: Progress | None) -> Share | None:
    return None if checkpoint is None else lambda fraction: checkpoint(fraction, "")
