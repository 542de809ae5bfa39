"""CW-Opt, the white-box attack on NNIF (Cohen, Sapiro & Giryes 2020, Eqs. 2 and 3), as the paper writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.minimising import Nearest, WeightSearch
from telltale.attacks.shared_parameters import CONFIDENCE
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch

INSIDE = 1.0 - 1e-6  # keeps black and white pixels at a finite place under the inverse of tanh


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Minimise ‖x - x'‖² + c (l_cw(x') + weight · l_*(x')), with c searched by bisection for each image.

    l_cw is the hinge of Carlini & Wagner on the margin between logits; l_* the sum over the M training images most
    helpful to the *original* image of the L1 distance between its hidden state and theirs. Adam moves the variables
    of tanh, as in their paper. The nearest image that reached its class is kept.
    """
    settings = _Settings.read(parameters)
    problem.classifier.expect(settings.rounds * settings.steps)
    helpful = _helpful_states(problem, int(parameters["m"]))
    search, nearest = WeightSearch(len(problem.images), float(parameters["c0"])), Nearest(problem)
    for _ in range(settings.rounds):
        search.narrow(search.open_rows(), _descend(problem, settings, helpful, search.weights, nearest))
    return nearest.images


@dataclass(frozen=True)
class _Settings:
    weight: float
    confidence: float
    rate: float
    steps: int
    rounds: int

    @classmethod
    def read(cls, parameters: Mapping[str, ParameterValue]) -> _Settings:
        return cls(
            weight=float(parameters["weight"]),
            confidence=float(parameters["confidence"]),
            rate=float(parameters["lr"]),
            steps=int(parameters["steps"]),
            rounds=int(parameters["binary_search_steps"]),
        )


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
    problem: AttackProblem, settings: _Settings, helpful: torch.Tensor, weights: torch.Tensor, nearest: Nearest
) -> torch.Tensor:
    """Minimise Eq. 2 from the originals at weights c (n,); return which images reached their class, bool (n,)."""
    import torch

    variables = torch.atanh((2.0 * problem.images - 1.0) * INSIDE).requires_grad_()
    optimiser = torch.optim.Adam([variables], lr=settings.rate)
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
    parameters=(
        Parameter(
            "m",
            "int",
            50,
            1,
            500,
            help="Helpful training images, M of Eq. 3; at most half of all are used.",
            title="Helpful images M",
        ),
        Parameter(
            "weight",
            "float",
            1.0,
            0.0,
            1.0,
            step=0.05,
            help="Weight of Eq. 3; 1 is the paper, 0 is C&W-L2.",
            title="Weight of hiding",
        ),
        CONFIDENCE,
        Parameter(
            "lr",
            "float",
            0.01,
            1e-4,
            1.0,
            help="Learning rate of Adam on the variables of tanh.",
            title="Learning rate",
        ),
        Parameter("steps", "int", 100, 1, 10000, help="Number of steps per search step."),
        Parameter(
            "binary_search_steps", "int", 5, 1, 20, help="Steps of the search for the weight c.", title="Search steps"
        ),
        Parameter(
            "c0",
            "float",
            0.1,
            1e-6,
            1e6,
            help="First weight c of both terms against the distance.",
            title="First weight c₀",
        ),
    ),
    run=run,
    targeted=True,
    batched=True,
    needs_detectors=True,
)
