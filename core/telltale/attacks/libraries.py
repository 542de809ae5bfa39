"""The few lines between an `AttackProblem` and the attack libraries; nothing here imports them before it is called."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from typing import TYPE_CHECKING, Any

from telltale.attacks.base import AttackProblem

if TYPE_CHECKING:
    import torch


def run_torchattacks(attack: Any, problem: AttackProblem) -> torch.Tensor:
    """Run a torchattacks attack, targeted where the problem has targets; return images (n, C, H, W)."""
    targets = problem.targets
    if targets is not None:
        with contextlib.redirect_stdout(io.StringIO()):  # the library announces the mode with a print
            attack.set_mode_targeted_by_function(lambda images, labels: targets)  # noqa: ARG005
    attacked: torch.Tensor = attack(problem.images, problem.labels)
    return attacked


def import_foolbox() -> Any:
    """Import foolbox on machines without a git executable too, and without its deprecation warnings."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import foolbox
    return foolbox


def foolbox_model(problem: AttackProblem) -> Any:
    """Return the metered classifier as a foolbox model on the device of the images."""
    return import_foolbox().PyTorchModel(problem.classifier, bounds=(0, 1), device=problem.images.device)


def foolbox_criterion(problem: AttackProblem) -> Any:
    """Return what foolbox calls success: leaving the label or, where there are targets, reaching the target."""
    foolbox = import_foolbox()
    if problem.targets is None:
        return foolbox.criteria.Misclassification(problem.labels)
    return foolbox.criteria.TargetedMisclassification(problem.targets)


def run_foolbox(attack: Any, problem: AttackProblem, **arguments: Any) -> torch.Tensor:
    """Run a foolbox attack that minimises the perturbation; return images (n, C, H, W).

    Where C&W or EAD fail, foolbox returns a black image and says that it succeeded if black happens to be classified
    otherwise: the caller must judge the images itself.
    """
    attacked: torch.Tensor
    attacked, _, _ = attack(
        foolbox_model(problem), problem.images, foolbox_criterion(problem), epsilons=None, **arguments
    )
    return attacked
