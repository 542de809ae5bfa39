"""One-pixel attack (Su et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from telltale.attacks.base import AttackProblem, AttackSpec
from telltale.attacks.libraries import run_torchattacks
from telltale.base.parameters import Parameter, ParameterValue

if TYPE_CHECKING:
    import torch

BATCH = 128


def run(problem: AttackProblem, parameters: Mapping[str, ParameterValue]) -> torch.Tensor:
    """Search position and value of a few pixels by differential evolution."""
    popsize, steps = int(parameters["popsize"]), int(parameters["steps"])
    problem.classifier.expect((steps + 1) * (popsize // BATCH + 2))
    attack = one_pixel_class()(
        problem.classifier, pixels=int(parameters["pixels"]), steps=steps, popsize=popsize, inf_batch=BATCH
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
    parameters=(
        Parameter("pixels", "int", 5, 1, 50, help="Number of pixels that may change; the paper took 1, 3 and 5."),
        Parameter("steps", "int", 50, 1, 1000, help="Generations of the differential evolution.", title="Generations"),
        Parameter(
            "popsize", "int", 100, 5, 1000, help="Candidates per generation; the paper took 400.", title="Population"
        ),
    ),
    run=run,
    targeted=True,
    needs_gradients=False,
    budget="pixels",
)
