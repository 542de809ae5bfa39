"""Where attacks begin that know nothing but the predicted class: an image that is adversarial already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem

if TYPE_CHECKING:
    import torch

START_ROUNDS = 10
CELLS = (2, 3, 4, 6, 8, 16)
BLENDS = 32


def starting_point(problem: AttackProblem) -> torch.Tensor | None:
    """Return the adversarial image (1, C, H, W) nearest to the natural one among blends with random images.

    The problem holds one image. None where no round of random images has found any.
    """
    import torch

    weights = torch.linspace(1.0 / BLENDS, 1.0, BLENDS)[:, None, None, None]
    best: torch.Tensor | None = None
    best_distance = float("inf")
    for _ in range(START_ROUNDS):
        candidates = _random_images(problem.images)
        for candidate in candidates[adversarial(problem, candidates)]:
            blends = problem.images + weights * (candidate - problem.images)
            nearest: torch.Tensor = blends[int(adversarial(problem, blends).to(torch.int64).argmax())]
            distance = problem.distance(nearest)
            if distance < best_distance:
                best, best_distance = nearest[None], distance
        if best is not None:
            return best
    return None


def _random_images(natural: torch.Tensor) -> torch.Tensor:
    """Return the inverse of the natural image, mirrored copies, and uniform noise of several grain sizes."""
    import torch

    _, channels, height, width = natural.shape
    derived = [1.0 - natural, natural.flip(2), natural.flip(3), natural.flip(2, 3), natural.roll(width // 2, 3)]
    noise = [torch.rand(1, channels, height, width)]
    for cells in CELLS:
        coarse = torch.rand(1, channels, cells, cells)
        noise.append(torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear"))
    return torch.cat(derived + noise + [(image > 0.5).float() for image in noise])


def adversarial(problem: AttackProblem, images: torch.Tensor) -> torch.Tensor:
    """Say which versions (n, C, H, W) of the one image have left the label or, with targets, reached the target."""
    import torch

    with torch.no_grad():
        predictions: torch.Tensor = problem.classifier(images).argmax(1)
    if problem.targets is None:
        return predictions != problem.labels
    return predictions == problem.targets
