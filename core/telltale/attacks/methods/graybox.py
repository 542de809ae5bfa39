"""The gray-box attack on I-defender (Zheng & Hong 2018, Eq. 6).

The attacker has trained a classifier and an I-defender of its own and attacks those; what comes out is then shown to
the target. Attacking the target's own classifier and mixtures instead is the paper's "Source" column.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec, Norm
from telltale.attacks.gradients import lengths
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

    from telltale.detectors.suspicions.density import MixtureDensities

Step: TypeAlias = "Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float, float], torch.Tensor]"

PAPER = (
    "Zheng, Hong: Robust Detection of Adversarial Attacks by Modeling the Intrinsic Properties of Deep Neural "
    "Networks. NeurIPS 2018, Eq. 6."
)
EPS_HELP = "Largest change in the norm, in [0, 1] pixel units."
STEP_HELP = "Length of one step, in [0, 1] pixel units."


@dataclass(frozen=True)
class GrayboxSettings(AttackSettings):
    """Settings of the attack in the L∞ norm."""

    alpha: float = parameter(0.1, low=0.0, high=1.0, step=0.001, help="α of Eq. 6.", title="Weight of the detector α")
    eps: float = parameter(0.1, low=0.0, high=1.0, help=EPS_HELP, title="Budget ε (L∞)", pixels=True)
    step: float = parameter(0.02, low=0.0, high=1.0, help=STEP_HELP, title="Step size", pixels=True)
    steps: int = parameter(10, low=1, high=1000, help="Number of steps; one of length ε is FGSM.")
    keep: float = parameter(
        0.95,
        low=0.5,
        high=0.999,
        help="Share of each class's images that its threshold lets pass.",
        title="Share let pass",
    )


@dataclass(frozen=True)
class GrayboxL2Settings(GrayboxSettings):
    """Settings of the attack in the Euclidean norm."""

    eps: float = parameter(2.5, low=0.0, high=20.0, help=EPS_HELP, title="Budget ε (L2)")
    step: float = parameter(0.5, low=0.0, high=20.0, help=STEP_HELP, title="Step size")


def attack_with(step: Step) -> Callable[[AttackProblem, GrayboxSettings], torch.Tensor]:
    """Return the attack that climbs Eq. 6 by one kind of step: ``step(start, images, gradients, length, eps)``."""

    def run(problem: AttackProblem, settings: GrayboxSettings) -> torch.Tensor:
        import torch

        from telltale.detectors.suspicions.density import MixtureDensities

        defence, steps = problem.known_defence, settings.steps
        densities = MixtureDensities(defence.reference.densities)
        thresholds = torch.from_numpy(defence.thresholds(settings.keep))
        problem.classifier.expect(steps)
        images = problem.images
        for _ in range(steps):
            gradients = _gradients(problem, densities, thresholds, settings.alpha, images)
            images = step(problem.images, images, gradients, settings.step, settings.eps)
        return images

    return run


def equation_6(
    logits: torch.Tensor, log_density: torch.Tensor, labels: torch.Tensor, thresholds: torch.Tensor, alpha: float
) -> torch.Tensor:
    """Return J(x, s) + α Π_{k≠s} Reject(x, k) · max_{k≠s} log P(H | k), shape (n,).

    Parameters
    ----------
    logits, log_density : Tensors, shape (n, C)
        The latter in nats.
    labels : Tensor, int64, shape (n,)
        s, the class to leave.
    thresholds : Tensor, float64, shape (C,)
        TH_k: class k rejects hidden states whose log density is below.
    alpha : float
    """
    import torch

    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    own = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()
    rejected = ((log_density < thresholds) | own).all(1)
    promising = log_density.masked_fill(own, -torch.inf).amax(1)
    return loss + alpha * torch.where(rejected, promising, 0.0)


def _gradients(
    problem: AttackProblem, densities: MixtureDensities, thresholds: torch.Tensor, alpha: float, images: torch.Tensor
) -> torch.Tensor:
    """Gradients of Eq. 6 with respect to images (n, C, H, W)."""
    import torch

    from telltale.detectors.suspicions.suspicion import view

    def objective(pixels: torch.Tensor) -> torch.Tensor:
        seen = view(problem.known_defence.classifier, pixels)
        return equation_6(seen.logits, densities.log_density(seen.hidden), problem.labels, thresholds, alpha)

    images = images.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(problem.classifier.measure(objective, images).sum(), images)
    return gradients


def _linf_step(
    start: torch.Tensor, images: torch.Tensor, gradients: torch.Tensor, length: float, eps: float
) -> torch.Tensor:
    low, high = (start - eps).clamp(min=0.0), (start + eps).clamp(max=1.0)
    return (images + length * gradients.sign()).clamp(low, high)


def _l2_step(
    start: torch.Tensor, images: torch.Tensor, gradients: torch.Tensor, length: float, eps: float
) -> torch.Tensor:
    change = images + length * gradients / lengths(gradients) - start
    return (start + change * (eps / lengths(change)).clamp(max=1.0)).clamp(0.0, 1.0)


def _spec(
    name: str, title: str, norm: Norm, step: Step, settings: type[GrayboxSettings], parameters_of: str
) -> AttackSpec[GrayboxSettings]:
    return AttackSpec(
        name=name,
        title=title,
        norm=norm,
        paper=PAPER,
        summary="Flips the class and moves the hidden state to where an I-defender expects the other class.",
        settings=settings,
        run=attack_with(step),
        budget="eps",
        batched=True,
        needs_detectors=True,
        parameters_of=parameters_of,
    )


SPEC = _spec("graybox", "I-defender gray-box", "linf", _linf_step, GrayboxSettings, "pgd")
SPEC_L2 = _spec("graybox_l2", "I-defender gray-box, L2", "l2", _l2_step, GrayboxL2Settings, "pgd_l2")
