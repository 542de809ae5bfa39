"""Gradient attack: one L2-normalised gradient, followed as far as needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from core.attacks.base import AttackProblem, AttackSpec
from core.attacks.libraries import foolbox_criterion, foolbox_model, import_foolbox
from core.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Follow the loss gradient at the natural image in growing steps and stop at the first that succeeds."""
    attack = _fast_gradient_attack()
    model, criterion = foolbox_model(problem), foolbox_criterion(problem)
    steps = int(parameters["steps"])
    problem.classifier.expect(2 * steps)
    attacked = problem.images
    for length in np.linspace(0.0, float(parameters["max_length"]), steps + 1)[1:]:
        _, attacked, success = attack(model, problem.images, criterion, epsilons=float(length))
        if bool(success.all()):
            break
    return attacked


def _fast_gradient_attack() -> Any:
    """Return foolbox's L2 fast gradient attack with the gradient, which is the same for every length, kept."""
    base: Any = import_foolbox().attacks.L2FastGradientAttack

    class FastGradientOnce(base):  # type: ignore[misc]
        kept: tuple[Any, Any] | None = None

        def value_and_grad(self, loss_fn: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
            if self.kept is None:
                self.kept = super().value_and_grad(loss_fn, x)
            return self.kept

    return FastGradientOnce()


SPEC = AttackSpec(
    name="gradient",
    title="Gradient",
    norm="l2",
    paper="Rauber, Brendel, Bethge: Foolbox: A Python Toolbox to Benchmark the Robustness of Machine Learning Models. "
    "2017 (GradientAttack); used by Amirian et al. 2018.",
    summary="Follows the loss gradient at the natural image in a straight line and stops as soon as the class changes.",
    parameters=(
        Parameter("steps", "int", 100, 1, 1000, help="Number of lengths that are tried."),
        Parameter("max_length", "float", 10.0, 0.1, 100.0, help="Longest L2 length tried, in [0, 1] pixel units."),
    ),
    run=run,
)
