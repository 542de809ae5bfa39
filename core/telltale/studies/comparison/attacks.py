"""DeepFool and C&W-L2, beside torchattacks and foolbox on the same images: time, success and distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from telltale.attacks.base import AttackProblem
from telltale.attacks.budget import metered
from telltale.attacks.libraries import import_foolbox
from telltale.attacks.registry import get_attack
from telltale.base.images import FloatImages
from telltale.models.classifier import Classifier
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import one_thread, timed

BATCH = 50
WARM_UP = 2

IntArray: TypeAlias = npt.NDArray[np.int64]
Attack: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Outcome:
    """What an attack made of n images, before anything is rounded.

    Attributes
    ----------
    success : array of bool, shape (n,)
        Whether a fresh forward pass gives another label.
    distances : array of float64, shape (n,)
        L2 norms of the perturbations, in [0, 1] pixel units.
    """

    success: npt.NDArray[np.bool_]
    distances: npt.NDArray[np.float64]


def attack_rows(
    classifier: Classifier, images: FloatImages, labels: IntArray, frozen: bool = False
) -> Iterator[ComparisonRow]:
    """Compare both attacks with both libraries on one thread; takes minutes, nearly all of them theirs.

    The libraries are called plainly, on a classifier as it was loaded. Part of their time goes into gradients of the
    weights, which nobody asked for; ``frozen=True`` spares them that.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W)
        Correctly classified natural images.
    labels : array of int64, shape (n,)
    frozen : bool
        Whether the libraries get a classifier whose parameters need no gradients.
    """
    plain = deepcopy(classifier).requires_grad_(not frozen)
    with one_thread():
        yield from deepfool_rows(classifier, plain, images, labels)
        yield from cw_rows(classifier, plain, images, labels)


def deepfool_rows(
    classifier: Classifier, theirs: Classifier, images: FloatImages, labels: IntArray
) -> Iterator[ComparisonRow]:
    """Compare DeepFool at our defaults, and with as many candidate classes as foolbox takes."""
    torchattacks = {"torchattacks DeepFool, its defaults (all classes)": _torchattacks(theirs, "DeepFool")}
    foolbox = {"foolbox L2DeepFoolAttack, its defaults (10 candidates)": _foolbox(theirs, "L2DeepFoolAttack")}
    yield from _rows(classifier, images, labels, "deepfool", {}, torchattacks | foolbox)
    yield from _rows(classifier, images, labels, "deepfool", {"candidates": 10}, foolbox)


def cw_rows(
    classifier: Classifier, theirs: Classifier, images: FloatImages, labels: IntArray
) -> Iterator[ComparisonRow]:
    """Compare C&W: our defaults with the same numbers in foolbox, and our quickest with torchattacks' defaults.

    Torchattacks does not search the weight and stops as soon as the summed loss rises; what takes as long there is
    here ``patience=0``, which stops at the first success.

    Foolbox's own defaults, 9 searches of up to 10,000 steps, would take hours.
    """
    torchattacks = {"torchattacks CW, its defaults (c = 1, up to 50 steps)": _torchattacks(theirs, "CW")}
    searched = {"steps": 100, "binary_search_steps": 5, "initial_const": 1.0, "stepsize": 0.05}
    foolbox = {
        "foolbox L2CarliniWagnerAttack, c = 1, 5 searches of up to 100 steps": _foolbox(
            theirs, "L2CarliniWagnerAttack", **searched
        )
    }
    yield from _rows(classifier, images, labels, "cw", {}, torchattacks | foolbox)
    quick = {"patience": 0, "steps": 50, "binary_search_steps": 1}
    yield from _rows(classifier, images, labels, "cw", quick, torchattacks)


def _rows(
    classifier: Classifier,
    images: FloatImages,
    labels: IntArray,
    name: str,
    parameters: Mapping[str, object],
    others: Mapping[str, Attack],
) -> Iterator[ComparisonRow]:
    inputs = torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels)
    settings = ", ".join(f"{key} {value}" for key, value in parameters.items()) or "defaults"
    ours_ms, attacked = _timed(partial(_ours, classifier, name, parameters), *inputs)
    ours = _judged(classifier, attacked, *inputs)
    for against, attack in others.items():
        theirs_ms, attacked = _timed(attack, *inputs)
        theirs = _judged(classifier, attacked, *inputs)
        work = f"{get_attack(name).title} on {len(images)} images, {settings}"
        yield ComparisonRow(work, against, ours_ms, theirs_ms, _compared(ours, theirs))


def _timed(attack: Attack, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    attack(images[:WARM_UP], labels[:WARM_UP])
    return timed(lambda: attack(images, labels))


def _ours(
    classifier: Classifier, name: str, parameters: Mapping[str, object], images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Run an attack of the registry in batches, without what `attack_images` does about rounding."""
    spec = get_attack(name)
    settings = spec.settings.read(parameters, name)
    parts = []
    with metered(classifier, len(images)) as meter:
        for start in range(0, len(images), BATCH):
            part, owners = images[start : start + BATCH], labels[start : start + BATCH]
            meter.begin(start, len(part))
            parts.append(spec.run(AttackProblem(meter, part, owners, None, (0,) * len(part)), settings))
    return torch.cat(parts)


def _torchattacks(classifier: Classifier, name: str) -> Attack:
    import torchattacks

    attack: Attack = getattr(torchattacks, name)(classifier)
    return attack


def _foolbox(classifier: Classifier, name: str, **settings: Any) -> Attack:
    foolbox = import_foolbox()
    model = foolbox.PyTorchModel(classifier, bounds=(0, 1), device="cpu")
    attack = getattr(foolbox.attacks, name)(**settings)

    def run(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        attacked: torch.Tensor = attack(model, images, labels, epsilons=None)[0]
        return attacked

    return run


def _judged(classifier: Classifier, attacked: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> Outcome:
    attacked = attacked.detach()
    success = classifier.predict(attacked.clamp(0.0, 1.0).numpy()) != labels.numpy()
    # Foolbox's C&W returns a black image where it fails, and a black image may be classified otherwise.
    degenerate = attacked.flatten(1).amax(1).numpy() == 0.0
    distances = (attacked - images).double().flatten(1).norm(dim=1).numpy()
    return Outcome(success & ~degenerate, distances)


def _compared(ours: Outcome, theirs: Outcome) -> str:
    both = ours.success & theirs.success
    first, second = ours.distances[both], theirs.distances[both]
    return (
        f"success {ours.success.mean():.1%} (theirs {theirs.success.mean():.1%}); L2 where both succeed: "
        f"mean {first.mean():.4f} ({second.mean():.4f}), median {np.median(first):.4f} ({np.median(second):.4f})"
    )
