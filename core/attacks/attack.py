"""`attack_images`: the one way to run an attack. It owns validation, seeding, rounding, bounds, success and cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.attacks.base import AttackProblem, AttackResult, AttackSpec
from core.attacks.perturbation import extended_attempts, is_degenerate, perturbation_norms, round_within_budget
from core.attacks.randomness import isolated_randomness, stream_seed
from core.attacks.registry import get_attack
from core.errors import InputError
from core.images import FloatImages, round_to_8_bits
from core.parameters import ParameterValue, validate_parameters

if TYPE_CHECKING:
    from core.attacks.budget import MeteredClassifier
    from core.models.classifier import Classifier

IntArray = npt.NDArray[np.int64]
UNTARGETED = -1


def attack_images(
    classifier: Classifier,
    images: FloatImages,
    attack: str,
    parameters: Mapping[str, object] | None = None,
    labels: IntArray | None = None,
    targets: IntArray | None = None,
    seed: int = 0,
    checkpoint: Callable[[float], None] | None = None,
) -> AttackResult:
    """Attack images one by one and judge what comes out on the 8-bit grid.

    The result for an image depends on the classifier, the image, its label and target, the parameters and the seed,
    never on the other images of the call. A perturbation that rounding pushes back over the decision boundary is
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
    targets : array of int, shape (n,), optional
        The classes to reach, for attacks that can be targeted.
    seed : int
        Together with the image it seeds every random choice; global generators are left untouched.
    checkpoint : callable, optional
        Called about every 0.1 s with the fraction done; may raise `CancelledError`.

    Returns
    -------
    AttackResult

    Raises
    ------
    InputError
        If the attack is unknown or a parameter, the images, labels, targets or seed are not accepted.
    """
    from core.attacks.budget import metered

    started = time.perf_counter()
    spec = get_attack(attack)
    values = validate_parameters(spec.parameters, parameters or {}, f"attack '{spec.name}'")
    natural = _checked_images(classifier, images)
    seed = _checked_seed(seed)
    labels = classifier.predict(natural) if labels is None else _checked_labels(classifier, natural, labels)
    targets = _checked_targets(classifier, spec, natural, labels, targets, seed)
    with metered(classifier, len(natural), checkpoint) as meter:
        attempts = []
        for index in range(len(natural)):
            meter.begin(index)
            case = _Case(natural[index], int(labels[index]), int(targets[index]), seed)
            attempts.append(_attack_one(spec, values, meter, case))
    attacked = np.stack(attempts)
    predictions = classifier.predict(attacked)
    linf, l2, l0 = perturbation_norms(natural, attacked)
    reached = np.where(targets == UNTARGETED, predictions != labels, predictions == targets)
    if checkpoint is not None:
        checkpoint(1.0)
    return AttackResult(
        attack=spec.name,
        parameters=values,
        seed=seed,
        natural=natural,
        images=attacked,
        labels=labels,
        targets=targets,
        predictions=predictions,
        success=reached & (l0 > 0),
        linf=linf,
        l2=l2,
        l0=l0.astype(np.float64),
        gradients=meter.gradients,
        queries=meter.queries,
        seconds=time.perf_counter() - started,
    )


def draw_targets(images: FloatImages, labels: IntArray, classes: int, seed: int) -> IntArray:
    """Draw for every image a random class other than its label.

    Parameters
    ----------
    images : array of float32, shape (n, C, H, W)
        Natural images on the 8-bit grid; an image's draw depends on the seed and on itself alone.
    labels : array of int64, shape (n,)
    classes : int
        Number of classes, at least 2.
    seed : int

    Returns
    -------
    array of int64, shape (n,)
    """
    shifts = [np.random.default_rng(stream_seed(seed, image, "target")).integers(1, classes) for image in images]
    return (labels + np.array(shifts, dtype=np.int64)) % classes


@dataclass(frozen=True)
class _Case:
    """One image under attack: natural pixels (C, H, W), class to leave, class to reach or -1, the caller's seed."""

    natural: FloatImages
    label: int
    target: int
    seed: int


def _attack_one(
    spec: AttackSpec, values: Mapping[str, ParameterValue], meter: MeteredClassifier, case: _Case
) -> FloatImages:
    """Return the attacked image (C, H, W) on the 8-bit grid, within the budget, never degenerate."""
    raw = _run(spec, values, meter, case)
    if is_degenerate(raw):
        return case.natural
    attempt = np.clip(raw, 0.0, 1.0)
    if spec.budget is None:
        rounded = _extended_if_needed(meter, case, attempt)
    else:
        rounded = round_within_budget(case.natural, attempt, spec.norm, float(values[spec.budget]))
    return case.natural if is_degenerate(rounded) else rounded


def _run(spec: AttackSpec, values: Mapping[str, ParameterValue], meter: MeteredClassifier, case: _Case) -> FloatImages:
    import torch

    stream = stream_seed(case.seed, case.natural, spec.name)
    problem = AttackProblem(
        classifier=meter,
        images=torch.from_numpy(case.natural.copy())[None],
        labels=torch.tensor([case.label]),
        targets=None if case.target == UNTARGETED else torch.tensor([case.target]),
        seed=stream,
    )
    with isolated_randomness(stream):
        raw = spec.run(problem, values)
    if raw.shape != problem.images.shape:
        raise ValueError(f"Attack '{spec.name}' returned shape {tuple(raw.shape)}, not {tuple(problem.images.shape)}.")
    return raw[0].detach().numpy().astype(np.float32)


def _extended_if_needed(meter: MeteredClassifier, case: _Case, attempt: FloatImages) -> FloatImages:
    """Return the attempt rounded, or its nearest extension that succeeds where rounding undid it."""
    rounded = round_to_8_bits(attempt)
    if _succeeds(meter, case, rounded[None])[0]:
        return rounded
    candidates = extended_attempts(case.natural, attempt)
    candidates = candidates[[not is_degenerate(candidate) for candidate in candidates]]
    if len(candidates) == 0:
        return rounded
    successes = _succeeds(meter, case, candidates)
    return candidates[successes.argmax()] if successes.any() else rounded


def _succeeds(meter: MeteredClassifier, case: _Case, images: FloatImages) -> npt.NDArray[np.bool_]:
    import torch

    with torch.no_grad():
        predictions = meter(torch.from_numpy(images)).argmax(1).numpy()
    reached = predictions != case.label if case.target == UNTARGETED else predictions == case.target
    changed = (images != case.natural).any(axis=(1, 2, 3))
    return np.asarray(reached & changed)


def _checked_images(classifier: Classifier, images: FloatImages) -> FloatImages:
    if not isinstance(images, np.ndarray) or images.dtype.kind != "f":
        raise InputError("Images must be a float array with values in [0, 1].")
    classifier.check_images(images)
    return round_to_8_bits(images)


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InputError(f"The seed must be an integer. Got {seed!r} instead.")
    return int(seed)


def _checked_labels(classifier: Classifier, natural: FloatImages, labels: IntArray) -> IntArray:
    return _checked_classes("labels", labels, len(natural), classifier.architecture.classes)


def _checked_targets(
    classifier: Classifier,
    spec: AttackSpec,
    natural: FloatImages,
    labels: IntArray,
    targets: IntArray | None,
    seed: int,
) -> IntArray:
    classes = classifier.architecture.classes
    if targets is None:
        if spec.random_target:
            return draw_targets(natural, labels, classes, seed)
        return np.full(len(natural), UNTARGETED, dtype=np.int64)
    if not spec.targeted:
        raise InputError(f"Attack '{spec.name}' cannot be aimed at a target class.")
    checked = _checked_classes("targets", targets, len(natural), classes)
    if (checked == labels).any():
        raise InputError("A target must be another class than the image's label.")
    return checked


def _checked_classes(name: str, values: IntArray, count: int, classes: int) -> IntArray:
    array = np.asarray(values)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(f"Expected {name} to be {count} integers, got {array.dtype} of shape {array.shape}.")
    if array.min() < 0 or array.max() >= classes:
        raise InputError(f"Expected {name} in [0, {classes - 1}], got {array.min()} to {array.max()}.")
    return array.astype(np.int64)
