"""The tasks that the engine runs, by name. Importing this imports no torch: each adapter imports what it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from telltale.analysis.kept import load
from telltale.base.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from telltale.analysis.class_neighbours import ClassNeighbours
    from telltale.analysis.results import Analysis, FewClasses, LiveScores, SavedReading, SweepPoint
    from telltale.attacks.base import AttackResult, RandomTarget
    from telltale.engine.checkpoint import Checkpoint
    from telltale.kinds.response import ResponseView
    from telltale.model_errors.changed_answers import ChangedAnswers
    from telltale.model_errors.reasons import ErrorReasons
    from telltale.model_errors.refitting import Refit
    from telltale.model_errors.slices import FailureSlices
    from telltale.model_errors.suspicious import SuspiciousImages
    from telltale.model_errors.versus import TwoAnswers
    from telltale.model_errors.versus_attacks import Transfers
    from telltale.scores.verdicts import FusedVerdict

    Image = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.int64]


def analyse(checkpoint: Checkpoint, bundle: str, image: Image, alpha: float) -> Analysis:
    """Return the `Analysis` of one image (C, H, W)."""
    from telltale.analysis import analyse as analysis

    return analysis.analyse_image(load(bundle), image, alpha, checkpoint)


def attack(
    checkpoint: Checkpoint,
    bundle: str,
    image: Image,
    attack: str,
    parameters: Mapping[str, object],
    seed: int,
    target: int | RandomTarget | None = None,
) -> AttackResult:
    """Return the `AttackResult` of one image (C, H, W)."""
    from telltale.analysis import analyse as analysis

    return analysis.attack_image(load(bundle), image, attack, parameters, seed, target, checkpoint)


def respond(checkpoint: Checkpoint, bundle: str, image: Image, levels: int, patch: int) -> ResponseView:
    """Return the `ResponseView` of one image (C, H, W) at other settings than the detector's."""
    from telltale.kinds import response

    checkpoint(0.05, "following the response back to the pixels")
    return response.respond(load(bundle).classifier, image, levels, patch)


def sweep(
    checkpoint: Checkpoint, bundle: str, natural: Image, attacked: Image, strengths: tuple[float, ...]
) -> tuple[SweepPoint, ...]:
    """Return one `SweepPoint` per strength on the line from the natural to the attacked image."""
    from telltale.analysis import analyse as analysis

    return analysis.sweep(load(bundle), natural, attacked, strengths, checkpoint)


def verdicts_along(
    checkpoint: Checkpoint, bundle: str, natural: Image, attacked: Image, strengths: tuple[float, ...]
) -> tuple[FusedVerdict, ...]:
    """Return one `FusedVerdict` per strength on the line from the natural to the attacked image."""
    from telltale.analysis import along

    return along.verdicts_along(load(bundle), natural, attacked, strengths, checkpoint)


def survive(checkpoint: Checkpoint, bundle: str, attacked: Image, label: int, target: int) -> tuple[SavedReading, ...]:
    """Return one `SavedReading` per file format of an attacked image (C, H, W)."""
    from telltale.analysis import survival

    checkpoint(0.05, "saving the image and opening it again")
    return survival.survival(load(bundle), attacked, label, target)


def few_classes(checkpoint: Checkpoint, bundle: str, image: Image) -> tuple[FewClasses, ...]:
    """Return a `FewClasses` for two, three and all classes: what it takes to fool the model on one image (C, H, W)."""
    from telltale.analysis import few_classes as few

    return few.few_classes(load(bundle), image, checkpoint)


def live(
    checkpoint: Checkpoint,
    bundle: str,
    attack: str,
    parameters: Mapping[str, object],
    seed: int,
    ids: npt.NDArray[np.int64],
) -> LiveScores:
    """Return the `LiveScores` of freshly attacked images beside their natural versions."""
    from telltale.analysis import analyse as analysis

    return analysis.live_scores(load(bundle), attack, parameters, seed, ids, checkpoint)


def class_neighbours(
    checkpoint: Checkpoint, bundle: str, ids: tuple[int, ...], attacks: tuple[str, ...]
) -> ClassNeighbours:
    """Return the `ClassNeighbours`: test images, attacked again, beside the nearest reference of the class read."""
    from telltale.analysis import class_neighbours as beside

    return beside.class_neighbours(load(bundle), ids, attacks, checkpoint)


def explain_errors(checkpoint: Checkpoint, bundle: str) -> ErrorReasons:
    """Return the `ErrorReasons` of everything that the bundle's model misreads by itself."""
    from telltale.model_errors import reasons

    return reasons.explain_errors(load(bundle), checkpoint)


def suspicious_images(checkpoint: Checkpoint, bundle: str) -> SuspiciousImages:
    """Return the `SuspiciousImages`: the bundle's training images, the least trustworthy label first."""
    from telltale.model_errors import suspicious

    loaded = load(bundle)
    loaded.bundle.require_labels()
    return suspicious.suspicious_images(loaded.reference, checkpoint)


def refit(checkpoint: Checkpoint, bundle: str, ids: Ids, new_labels: Ids, image: Image | None) -> Refit:
    """Return the `Refit` of the bundle's head on corrected training images, and its answer for one image (C, H, W)."""
    from telltale.model_errors import refitting

    return refitting.refit(load(bundle), ids, new_labels, image, checkpoint)


def changed_answers(checkpoint: Checkpoint, bundle: str, ids: Ids, new_labels: Ids) -> ChangedAnswers:
    """Return the `ChangedAnswers` of the refitted head for the bundle's natural test images."""
    from telltale.model_errors import changed_answers as changed

    return changed.changed_answers(load(bundle), ids, new_labels, checkpoint)


def failure_slices(checkpoint: Checkpoint, bundle: str, without: Sequence[str] = ()) -> FailureSlices:
    """Return the `FailureSlices`: groups of natural images that the bundle's model misreads more often than others."""
    from telltale.model_errors import slices_of_bundle

    loaded = load(bundle)
    return slices_of_bundle.failure_slices(loaded.bundle, loaded, checkpoint, without)


def two_answers(checkpoint: Checkpoint, bundle: str, other: str) -> TwoAnswers:
    """Return the `TwoAnswers` of two bundles' models on the natural images that the first one holds out."""
    from telltale.bundle import load_bundle
    from telltale.model_errors import versus

    return versus.two_answers(load_bundle(bundle), load_bundle(other), checkpoint, lambda: load(other))


def transfers(
    checkpoint: Checkpoint,
    bundle: str,
    other: str,
    attack: str,
    parameters: Mapping[str, object],
    images: int,
    seed: int,
) -> Transfers:
    """Return the `Transfers` of one attack between two bundles' models."""
    from telltale.model_errors import versus_attacks

    return versus_attacks.transfers(load(bundle), load(other), attack, parameters, images, seed, checkpoint)


REGISTRY: Mapping[str, str] = {
    task.__name__: f"{task.__module__}:{task.__name__}"
    for task in (
        *(analyse, attack, respond, sweep, verdicts_along, survive, few_classes, live, class_neighbours),
        *(explain_errors, suspicious_images, refit, changed_answers),
        *(failure_slices, two_answers, transfers),
    )
}


def resolve(task: str) -> str:
    """Return the ``module:function`` path of a registered task, or the path itself where one is given.

    Raises
    ------
    InputError
        If `task` is neither.
    """
    if task in REGISTRY:
        return REGISTRY[task]
    module, colon, function = task.partition(":")
    if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise InputError(f"The engine has no task {task!r}; it accepts {', '.join(REGISTRY)}.")
    return task
