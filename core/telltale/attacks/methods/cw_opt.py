"""CW-Opt, the white-box attack on NNIF (Cohen, Sapiro & Giryes 2020, Eqs. 2 and 3), as the paper writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.minimising import Nearest, WeightSearch
from telltale.attacks.shared_parameters import confidence_margin
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

INSIDE = 1.0 - 1e-6  # keeps black and white pixels at a finite place under the inverse of tanh


@dataclass(frozen=True)
class CwOptSettings(AttackSettings):
    """Settings of the attack."""

    m: int = parameter(
        50,
        low=1,
        high=500,
        help="Helpful training images, M of Eq. 3; at most half of all are used.",
        title="Helpful images M",
    )
    weight: float = parameter(
        1.0,
        low=0.0,
        high=1.0,
        help="Weight of Eq. 3; 1 is the paper, 0 is C&W-L2.",
        step=0.05,
        title="Weight of hiding",
    )
    confidence: float = confidence_margin()
    lr: float = parameter(
        0.01, low=1e-4, high=1.0, help="Learning rate of Adam on the variables of tanh.", title="Learning rate"
    )
    steps: int = parameter(100, low=1, high=10000, help="Number of steps per search step.")
    binary_search_steps: int = parameter(
        5, low=1, high=20, help="Steps of the search for the weight c.", title="Search steps"
    )
    c0: float = parameter(
        0.1, low=1e-6, high=1e6, help="First weight c of both terms against the distance.", title="First weight c₀"
    )


def run(problem: AttackProblem, settings: CwOptSettings) -> torch.Tensor:
    """Minimise ‖x - x'‖² + c (l_cw(x') + weight · l_*(x')), with c searched by bisection for each image.

    l_cw is the hinge of Carlini & Wagner on the margin between logits; l_* the sum over the M training images most
    helpful to the *original* image of the L1 distance between its hidden state and theirs. Adam moves the variables
    of tanh, as in their paper. The nearest image that reached its class is kept.
    """
    problem.classifier.expect(settings.binary_search_steps * settings.steps)
    helpful = _helpful_states(problem, settings.m)
    search, nearest = WeightSearch(len(problem.images), settings.c0), Nearest(problem)
    for _ in range(settings.binary_search_steps):
        search.narrow(search.open_rows(), _descend(problem, settings, helpful, search.weights, nearest))
    return nearest.images


def _helpful_states(problem: AttackProblem, m: int) -> torch.Tensor:
    """Hidden states of the M training images most helpful to each original image, shape (n, M, d)."""
    import torch

    from telltale.detectors.suspicions.suspicion import view

    defence = problem.known_defence
    reference = defence.reference
    with torch.no_grad():
        seen = view(defence.classifier, problem.images)
    count = min(m, len(reference.labels) // 2)
    found = reference.influence.top(seen.hidden.numpy(), seen.predictions.numpy(), count)
    return torch.from_numpy(reference.trace.hidden[found.helpful])


def _descend(
    problem: AttackProblem, settings: CwOptSettings, helpful: torch.Tensor, weights: torch.Tensor, nearest: Nearest
) -> torch.Tensor:
    """Minimise Eq. 2 from the originals at weights c (n,); return which images reached their class, bool (n,)."""
    import torch

    variables = torch.atanh((2.0 * problem.images - 1.0) * INSIDE).requires_grad_()
    optimiser = torch.optim.Adam([variables], lr=settings.lr)
    found = torch.zeros(len(problem.images), dtype=torch.bool)
    for _ in range(settings.steps):
        images = 0.5 * (torch.tanh(variables) + 1.0)
        distances = (images - problem.images).flatten(1).square().sum(1)
        margins, pull = _terms(problem, helpful, images)
        reached = margins + settings.confidence <= 0.0
        successful = (reached & (margins < 0.0)).nonzero()[:, 0]
        nearest.offer(successful, images.detach()[successful], distances.detach()[successful])
        found |= reached
        hinge = (margins + settings.confidence).clamp(min=0.0)
        objective = (distances + weights * (hinge + settings.weight * pull)).sum()
        (variables.grad,) = torch.autograd.grad(objective, variables)
        optimiser.step()
    return found


def _terms(problem: AttackProblem, helpful: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the margin still missing to the class, and l_* of Eq. 3, each (n,), from one forward pass."""
    import torch

    from telltale.detectors.suspicions.suspicion import view

    def logits_and_hidden(pixels: torch.Tensor) -> torch.Tensor:
        seen = view(problem.known_defence.classifier, pixels)
        return torch.cat([seen.logits, seen.hidden], dim=1)

    joint = problem.classifier.measure(logits_and_hidden, images)
    logits, hidden = joint[:, : -helpful.shape[2]], joint[:, -helpful.shape[2] :]
    classes = problem.labels if problem.targets is None else problem.targets
    own = logits.gather(1, classes[:, None])[:, 0]
    others = logits.scatter(1, classes[:, None], -torch.inf).amax(1)
    margins = own - others if problem.targets is None else others - own
    return margins, (hidden[:, None] - helpful).abs().sum((1, 2))


SPEC = AttackSpec(
    name="cw_opt",
    title="CW-Opt",
    norm="l2",
    paper="Cohen, Sapiro, Giryes: Detecting Adversarial Samples Using Influence Functions and Nearest Neighbors. "
    "CVPR 2020, Eqs. 2 and 3.",
    summary="Flips the class while holding the hidden state near the training images that decided about the original.",
    settings=CwOptSettings,
    run=run,
    targeted=True,
    batched=True,
    needs_detectors=True,
)
