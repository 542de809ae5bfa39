"""Carlini and Wagner's L2 attack (2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.attacks.base import AttackProblem, AttackSpec
from core.attacks.libraries import import_foolbox, run_foolbox
from core.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Minimise distance plus weighted logit margin with Adam, and search the weight by bisection."""
    searches, steps = int(parameters["binary_search_steps"]), int(parameters["steps"])
    problem.classifier.expect(searches * steps)
    attack = import_foolbox().attacks.L2CarliniWagnerAttack(
        binary_search_steps=searches,
        steps=steps,
        stepsize=float(parameters["lr"]),
        confidence=float(parameters["confidence"]),
        initial_const=float(parameters["c0"]),
    )
    return run_foolbox(attack, problem)


SPEC = AttackSpec(
    name="cw",
    title="C&W-L2",
    norm="l2",
    paper="Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks. IEEE S&P 2017.",
    summary="Searches the smallest Euclidean change that flips the class, by optimisation.",
    parameters=(
        Parameter("confidence", "float", 0.0, 0.0, 100.0, help="Margin between the logits that must be reached."),
        Parameter("lr", "float", 0.05, 1e-4, 1.0, help="Learning rate of Adam."),
        Parameter("steps", "int", 100, 1, 10000, help="Adam steps per search step."),
        Parameter("binary_search_steps", "int", 5, 1, 20, help="Steps of the search for the weight of the margin."),
        Parameter("c0", "float", 1.0, 1e-6, 1e6, help="First weight of the margin against the distance."),
    ),
    run=run,
    targeted=True,
)
