"""Box-constrained L-BFGS attack (Szegedy et al. 2014), as the papers on deep features describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

GROWTH = 10.0
GRID_STEPS = 8


@dataclass(frozen=True)
class LbfgsSettings(AttackSettings):
    """Settings of the attack."""

    c0: float = parameter(
        0.1, low=1e-6, high=1e6, help="First weight of the loss against the squared distance.", title="First weight c₀"
    )
    steps: int = parameter(50, low=1, high=1000, help="Iterations of L-BFGS per search step.")
    binary_search_steps: int = parameter(
        5, low=0, high=20, help="Bisections of the weight after it first succeeds.", title="Search steps"
    )


def run(problem: AttackProblem, settings: LbfgsSettings) -> torch.Tensor:
    """Minimise squared distance plus weighted cross-entropy toward the target in the box [0, 1].

    A coarse grid finds the first weight that reaches the target, bisection then lowers it; the nearest image that
    reached the target is returned, or the last attempt.
    """
    weight, steps = settings.c0, settings.steps
    searches = settings.binary_search_steps
    problem.classifier.expect((searches + 1) * steps)
    attempt, success = _minimise(problem, weight, steps)
    lower = 0.0
    for _ in range(GRID_STEPS):
        if success:
            break
        lower, weight = weight, weight * GROWTH
        attempt, success = _minimise(problem, weight, steps)
    if not success:
        return attempt
    best, upper = attempt, weight
    for _ in range(searches):
        weight = (lower + upper) / 2.0
        attempt, success = _minimise(problem, weight, steps)
        lower, upper = (lower, weight) if success else (weight, upper)
        if success and problem.distance(attempt) < problem.distance(best):
            best = attempt
    return best


def _minimise(problem: AttackProblem, weight: float, steps: int) -> tuple[torch.Tensor, bool]:
    """Return the minimiser (1, C, H, W) for one weight and whether it has the target's class."""
    import torch
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    shape, target = problem.images.shape, problem.targets
    assert target is not None

    def to_images(pixels: npt.NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(pixels.astype(np.float32)).reshape(shape)

    def objective(pixels: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        images = to_images(pixels).requires_grad_()
        loss = torch.nn.functional.cross_entropy(problem.classifier(images), target)
        value = (images - problem.images).square().sum() + weight * loss
        (gradient,) = torch.autograd.grad(value, images)
        return value.item(), gradient.numpy().ravel().astype(np.float64)

    start = problem.images.numpy().ravel().astype(np.float64)
    options = {"maxiter": steps, "maxfun": 2 * steps}
    bounds = [(0.0, 1.0)] * start.size
    with threadpool_limits(1, user_api="blas"):  # threads cost more than they bring at this size
        found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    attempt = to_images(found.x)
    with torch.no_grad():
        success = bool((problem.classifier(attempt).argmax(1) == target).all())
    return attempt, success


SPEC = AttackSpec(
    name="lbfgs",
    title="L-BFGS",
    norm="l2",
    paper="Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow, Fergus: Intriguing Properties of Neural Networks. "
    "ICLR 2014.",
    summary="Searches the smallest Euclidean change that reaches a target class, with a box-constrained quasi-Newton "
    "method.",
    settings=LbfgsSettings,
    run=run,
    targeted=True,
    random_target=True,
)
