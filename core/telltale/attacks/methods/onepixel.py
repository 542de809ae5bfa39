"""One-pixel attack (Su et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telltale.attacks.base import AttackProblem, AttackSettings, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.base.settings import parameter

if TYPE_CHECKING:
    import torch

BATCH = 128


@dataclass(frozen=True)
class OnePixelSettings(AttackSettings):
    """Settings of the attack."""

    pixels: int = parameter(5, low=1, high=50, help="Number of pixels that may change; the paper took 1, 3 and 5.")
    steps: int = parameter(50, low=1, high=1000, help="Generations of the differential evolution.", title="Generations")
    popsize: int = parameter(
        100, low=5, high=1000, help="Candidates per generation; the paper took 400.", title="Population"
    )


def run(problem: AttackProblem, settings: OnePixelSettings) -> torch.Tensor:
    """Search position and value of a few pixels by differential evolution."""
    popsize, steps = settings.popsize, settings.steps
    problem.classifier.expect((steps + 1) * (popsize // BATCH + 2))
    attack = one_pixel_class()(
        problem.classifier, pixels=settings.pixels, steps=steps, popsize=popsize, inf_batch=BATCH
    )
    return run_torchattacks(attack, problem)


def one_pixel_class() -> Any:
    """Return torchattacks' class with its objective in double precision.

    In single precision, which the library uses, the probability of a confident classifier is 1 for every candidate
    and the search is blind.
    """
    import torch
    import torchattacks

    class OnePixel(torchattacks.OnePixel):  # type: ignore[misc]
        def _get_prob(self, images: torch.Tensor) -> Any:
            with torch.no_grad():
                logits = [self.get_logits(batch) for batch in torch.split(images, self.inf_batch)]
            return torch.cat(logits).double().softmax(1).numpy()

    return OnePixel


SPEC = AttackSpec(
    name="onepixel",
    title="One pixel",
    norm="l0",
    paper="Su, Vargas, Sakurai: One Pixel Attack for Fooling Deep Neural Networks. IEEE TEVC 2019.",
    summary="Searches by differential evolution a few pixels whose change flips the class; needs no gradients.",
    settings=OnePixelSettings,
    run=run,
    targeted=True,
    needs_gradients=False,
    budget="pixels",
)
