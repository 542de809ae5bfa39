"""Elastic-net attack (Chen et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.attacks.base import AttackProblem, AttackSpec
from core.attacks.libraries import import_foolbox, run_foolbox
from core.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Minimise L1 and squared L2 distance plus weighted logit margin by accelerated shrinkage-thresholding."""
    searches, steps = int(parameters["binary_search_steps"]), int(parameters["steps"])
    problem.classifier.expect(2 * searches * steps)
    problem.classifier.check_range = False  # the accelerated iterate runs ahead of the projected one
    attack = import_foolbox().attacks.EADAttack(
        binary_search_steps=searches,
        steps=steps,
        initial_stepsize=float(parameters["lr"]),
        confidence=float(parameters["confidence"]),
        initial_const=float(parameters["c0"]),
        regularization=float(parameters["beta"]),
        decision_rule=str(parameters["decision"]),
    )
    return run_foolbox(attack, problem)


SPEC = AttackSpec(
    name="ead",
    title="EAD",
    norm="l1",
    paper="Chen, Sharma, Zhang, Yi, Hsieh: EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples. "
    "AAAI 2018.",
    summary="Searches a small and sparse change that flips the class, by optimisation under an elastic-net penalty.",
    parameters=(
        Parameter("beta", "float", 0.01, 0.0, 1.0, help="Weight of the L1 norm: higher changes fewer pixels."),
        Parameter("confidence", "float", 0.0, 0.0, 100.0, help="Margin between the logits that must be reached."),
        Parameter("lr", "float", 0.05, 1e-4, 1.0, help="First step size; it decays with the square root."),
        Parameter("steps", "int", 100, 1, 10000, help="Iterations per search step."),
        Parameter("binary_search_steps", "int", 5, 1, 20, help="Steps of the search for the weight of the margin."),
        Parameter("c0", "float", 1.0, 1e-6, 1e6, help="First weight of the margin against the distance."),
        Parameter("decision", "choice", "EN", choices=("EN", "L1"), help="Distance by which the best is kept."),
    ),
    run=run,
    targeted=True,
)
