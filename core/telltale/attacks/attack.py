"""`attack_images`: the one way to run an attack. It owns validation, batches, seeds, rounding, success and cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.attacks.base import UNTARGETED, AnyAttack, AttackProblem, AttackResult, AttackSettings, IntArray, Targets
from telltale.attacks.checks import (
    check_classes,
    check_defence,
    checked_batch_size,
    checked_images,
    checked_labels,
    checked_seed,
    checked_targets,
)
from telltale.attacks.perturbation import extended_attempts, is_degenerate, perturbation_norms, round_within_budget
from telltale.attacks.randomness import isolated_randomness, stream_seed
from telltale.attacks.registry import get_attack
from telltale.base.images import FloatImages, round_to_8_bits
from telltale.base.progress import Share

if TYPE_CHECKING:
    from telltale.attacks.budget import MeteredClassifier
    from telltale.detectors.defence import Defence
    from telltale.models.classifier import Classifier


def attack_images(
    classifier: Classifier,
    images: FloatImages,
    attack: str,
    parameters: Mapping[str, object] | None = None,
    labels: IntArray | None = None,
    targets: Targets = None,
    seed: int = 0,
    checkpoint: Share | None = None,
    batch_size: int = 1,
    defence: Defence | None = None,
) -> AttackResult:
    """Attack images and judge what comes out on the 8-bit grid.

    The result for an image depends on the classifier, the image, its label and target, the parameters and the seed.
    With one image at a time it never depends on the other images of the call; in batches it does so only through
    the order in which the processor adds floats. A perturbation that rounding pushes back over the decision boundary is
    extended along its direction where the attack has no budget. An image left as it was is never a success.

    Parameters
    ----------
    classifier : Classifier
        In evaluation mode; left exactly as it was.
    images : array of float, shape (n, C, H, W)
        Natural images in [0, 1]; rounded to 8 bits first.
    attack : str
        Registry name.
    parameters : mapping, optional
        Values by name; defaults are filled in.
    labels : array of int, shape (n,), optional
        The classes to leave; by default the classifier's predictions.
    targets : array of int, shape (n,), or "random", optional
        The classes to reach, for attacks that can be targeted; "random" draws another class for each image, the same
        for every attack (`draw_targets`).
    seed : int
        Together with the image it seeds every random choice; global generators are left untouched.
    checkpoint : callable, optional
        Called about every 0.1 s with the fraction done; may raise `CancelledError`.
    batch_size : int
        How many images at most an attack that can be batched is given at once, and no more than the classifier takes;
        others always get one at a time.
    defence : Defence, optional
        The detectors, for attacks that aim at them.

    Returns
    -------
    AttackResult

    Raises
    ------
    InputError
        If the attack is unknown or a parameter, the images, labels, targets, seed or batch size are not accepted, or
        the attack aims at detectors and there are none.
    """
    from telltale.attacks.budget import metered

    started = time.perf_counter()
    spec = get_attack(attack)
    settings = spec.settings.read(parameters or {}, f"attack '{spec.name}'")
    check_defence(spec, defence)
    check_classes(spec, classifier)
    natural = checked_images(classifier, images)
    seed = checked_seed(seed)
    labels = classifier.predict(natural) if labels is None else checked_labels(classifier, natural, labels)
    targets = checked_targets(classifier, spec, natural, labels, targets, seed)
    most = min(checked_batch_size(batch_size), classifier.images_at_once)
    size = most if spec.batched else 1
    with metered(classifier, len(natural), checkpoint) as meter:
        attempts = []
        for start in range(0, len(natural), size):
            part = slice(start, start + size)
            cases = _Cases(natural[part], labels[part], targets[part], seed, defence)
            meter.begin(start, len(cases.natural))
            attempts.append(_attack_batch(spec, settings, meter, cases))
    attacked = np.concatenate(attempts)
    predictions = classifier.predict(attacked)
    linf, l2, l0 = perturbation_norms(natural, attacked)
    if checkpoint is not None:
        checkpoint(1.0)
    return AttackResult(
        attack=spec.name,
        parameters=settings.values(),
        seed=seed,
        natural=natural,
        images=attacked,
        labels=labels,
        targets=targets,
        predictions=predictions,
        success=reached(predictions, labels, targets) & (l0 > 0),
        linf=linf,
        l2=l2,
        l0=l0.astype(np.float64),
        gradients=meter.gradients,
        queries=meter.queries,
        seconds=time.perf_counter() - started,
    )


def reached(predictions: IntArray, labels: IntArray, targets: IntArray) -> npt.NDArray[np.bool_]:
    """Say which images have their target's class or, where the target is -1, another than their label; all (n,)."""
    return np.asarray(np.where(targets == UNTARGETED, predictions != labels, predictions == targets))


@dataclass(frozen=True)
class _Cases:
    """Images under attack at once: pixels (n, C, H, W), classes to leave, classes to reach or -1, the caller's seed.

    And the detectors, where the attack aims at them.
    """

    natural: FloatImages
    labels: IntArray
    targets: IntArray
    seed: int
    defence: Defence | None


def _attack_batch(spec: AnyAttack, settings: AttackSettings, meter: MeteredClassifier, cases: _Cases) -> FloatImages:
    """Return the attacked images (n, C, H, W) on the 8-bit grid, within the budget, never degenerate."""
    raw = _run(spec, settings, meter, cases)
    usable = ~_degenerate(raw)
    attempts = np.where(_per_image(usable), np.clip(raw, 0.0, 1.0), cases.natural)
    if spec.budget is None:
        rounded = _extended_where_needed(meter, cases, attempts)
    else:
        bound = float(settings.values()[spec.budget])
        pairs = zip(cases.natural, attempts, strict=True)
        rounded = np.stack([round_within_budget(natural, attempt, spec.norm, bound) for natural, attempt in pairs])
    return np.where(_per_image(_degenerate(rounded)), cases.natural, rounded)


def _run(spec: AnyAttack, settings: AttackSettings, meter: MeteredClassifier, cases: _Cases) -> FloatImages:
    import torch

    problem = AttackProblem(
        classifier=meter,
        images=torch.from_numpy(cases.natural.copy()),
        labels=torch.from_numpy(cases.labels.copy()),
        targets=None if UNTARGETED in cases.targets else torch.from_numpy(cases.targets.copy()),
        seeds=tuple(stream_seed(cases.seed, natural, spec.name) for natural in cases.natural),
        defence=cases.defence,
    )
    with isolated_randomness(problem.seeds[0]):
        raw = spec.run(problem, settings)
    if raw.shape != problem.images.shape:
        raise ValueError(f"Attack '{spec.name}' returned shape {tuple(raw.shape)}, not {tuple(problem.images.shape)}.")
    return raw.detach().numpy().astype(np.float32)


def _extended_where_needed(meter: MeteredClassifier, cases: _Cases, attempts: FloatImages) -> FloatImages:
    """Return the attempts rounded, or their nearest extensions that succeed where rounding undid them."""
    rounded = round_to_8_bits(attempts)
    moved = np.flatnonzero((attempts != cases.natural).any(axis=(1, 2, 3)))
    fallen = moved[~_succeeds(meter, cases, moved, rounded[moved])]
    if len(fallen) == 0:
        return rounded
    extensions = np.stack([extended_attempts(cases.natural[row], attempts[row]) for row in fallen])
    flat, rows = np.concatenate(extensions), np.repeat(fallen, extensions.shape[1])
    usable = np.flatnonzero(~_degenerate(flat))
    successes = np.zeros(len(flat), dtype=np.bool_)
    successes[usable] = _succeeds(meter, cases, rows[usable], flat[usable])
    for row, images, hits in zip(fallen, extensions, successes.reshape(extensions.shape[:2]), strict=True):
        if hits.any():
            rounded[row] = images[hits.argmax()]
    return rounded


def _succeeds(meter: MeteredClassifier, cases: _Cases, rows: IntArray, images: FloatImages) -> npt.NDArray[np.bool_]:
    """Judge images (m, C, H, W), each a version of the case that its row names."""
    import torch

    if len(rows) == 0:
        return np.zeros(0, dtype=np.bool_)
    predictions, size = np.empty(len(rows), dtype=np.int64), meter.classifier.images_at_once
    with torch.no_grad():
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            logits = meter(torch.from_numpy(images[part]), torch.from_numpy(rows[part]))
            predictions[part] = logits.argmax(1).numpy()
    changed = (images != cases.natural[rows]).any(axis=(1, 2, 3))
    return np.asarray(reached(predictions, cases.labels[rows], cases.targets[rows]) & changed)


def _degenerate(images: FloatImages) -> npt.NDArray[np.bool_]:
    return np.array([is_degenerate(image) for image in images], dtype=np.bool_)


def _per_image(choices: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Shape one choice per image so that it broadcasts over pixels."""
    return choices[:, None, None, None]
