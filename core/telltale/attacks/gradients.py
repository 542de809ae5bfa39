"""Gradients with respect to the images, each image as if it were alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telltale.attacks.base import AttackProblem

if TYPE_CHECKING:
    import torch

SMALLEST_LENGTH = 1e-12


def loss_gradients(problem: AttackProblem, images: torch.Tensor) -> torch.Tensor:
    """Differentiate the cross-entropy, of the label or negated of the target, at versions of the problem's images.

    Parameters
    ----------
    problem : AttackProblem
    images : Tensor, float32, shape (n, C, H, W)
        One version of every image under attack; moving along the gradient brings success nearer.

    Returns
    -------
    Tensor, float32, shape (n, C, H, W)
    """
    import torch

    images = images.detach().requires_grad_()
    logits = problem.classifier(images)
    classes = problem.labels if problem.targets is None else problem.targets
    loss = torch.nn.functional.cross_entropy(logits, classes, reduction="sum")
    (gradients,) = torch.autograd.grad(loss if problem.targets is None else -loss, images)
    return gradients


def lengths(images: torch.Tensor) -> torch.Tensor:
    """Return the L2 norm of every image, shape (n, 1, 1, 1), kept above zero so that it can divide."""
    norms: torch.Tensor = images.flatten(1).norm(dim=1)
    return norms.clamp(min=SMALLEST_LENGTH)[:, None, None, None]
