"""Influence of all training images on one image, beside Captum and beside one gradient per training image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from captum.influence import TracInCPFast
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction
from scipy.stats import spearmanr
from torch import nn
from torch.utils.data import TensorDataset

from telltale.base.errors import InputError
from telltale.evidence.curvature import ConjugateInfluence
from telltale.evidence.influence import HeadInfluence, SoftmaxHead
from telltale.evidence.reference import Reference
from telltale.models.trace import Trace
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import timed

REPEATS = 21
BATCH = 4096  # of Captum's data loaders; larger ones are no faster


@dataclass(frozen=True)
class HeadProblem:
    """One test image, all training images, and the head between them, as tensors.

    Attributes
    ----------
    head : SoftmaxHead
    hidden : tensor of float32, shape (N, d)
    labels : tensor of int64, shape (N,)
    query : tensor of float32, shape (1, d)
    prediction : tensor of int64, shape (1,)
    """

    head: SoftmaxHead
    hidden: torch.Tensor
    labels: torch.Tensor
    query: torch.Tensor
    prediction: torch.Tensor

    @classmethod
    def of(cls, reference: Reference, trace: Trace) -> HeadProblem:
        """Take the first image of a trace."""
        tensors = (reference.trace.hidden, reference.labels, trace.hidden[:1], trace.predictions[:1])
        return cls(reference.head, *(torch.from_numpy(np.ascontiguousarray(a)) for a in tensors))

    def linear(self) -> nn.Sequential:
        """Return the head as a torch module."""
        classes, width = self.head.weights.shape
        layer = nn.Linear(width - 1, classes)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.head.weights[:, :-1]))
            layer.bias.copy_(torch.from_numpy(self.head.weights[:, -1]))
        return nn.Sequential(layer)

    def captum(self, method: Callable[..., object], **settings: object) -> object:
        """Set one of Captum's influence methods up on the head alone, with the features as its data set."""
        model = self.linear()
        return method(
            model,
            train_dataset=TensorDataset(self.hidden, self.labels),
            checkpoints_load_func=_keep_weights,
            loss_fn=nn.CrossEntropyLoss(reduction="sum"),
            batch_size=BATCH,
            **({"final_fc_layer": model[0]} if method is TracInCPFast else {}),
            **settings,
        )


def influence_rows(reference: Reference, trace: Trace) -> Iterator[ComparisonRow]:
    """Time the influence of all training images on the first image of a trace.

    Parameters
    ----------
    reference : Reference
    trace : Trace of at least one test image

    Raises
    ------
    InputError
        If the head is so large that only the strongest influences are computed.
    """
    problem = HeadProblem.of(reference, trace)
    influence = reference.influence
    if not isinstance(influence, HeadInfluence | ConjugateInfluence):
        raise InputError(
            "Influence of all training images can be compared only where the head's Hessian is solved whole."
        )
    ours_ms, values = timed(lambda: influence.values(trace.hidden[:1], trace.predictions[:1])[0], REPEATS)
    work = f"influence of all {len(reference.labels):,} training images on one image"
    setup_ms, direction = timed(lambda: explicit_direction(problem))
    loop_ms, explicit = timed(lambda: loop_over_gradients(problem, direction))
    agreement = f"Spearman {_spearman(values, explicit):.6f} with autograd's Hessian and one gradient per image"
    yield ComparisonRow(
        work,
        f"PyTorch, one gradient per training image, Hessian set up before in {setup_ms / 1000.0:.0f} s",
        ours_ms,
        loop_ms,
        agreement,
    )
    for name, against in (("TracInCPFast", _tracin), ("ArnoldiInfluenceFunction", _arnoldi)):
        text, theirs_ms, theirs = against(problem)
        others = f"{agreement}; Captum's {name} has {_spearman(theirs, explicit):.3f}"
        yield ComparisonRow(work, text, ours_ms, theirs_ms, others)


def explicit_direction(problem: HeadProblem) -> torch.Tensor:
    """H^-1 grad L_test / N in float64, with every row of the Hessian from autograd, shape (C (d + 1),)."""
    weights = torch.from_numpy(problem.head.weights).requires_grad_()
    logits = _with_ones(problem.hidden) @ weights.T
    loss = nn.functional.cross_entropy(logits, problem.labels) + problem.head.damping / 2 * weights.square().sum()
    (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
    rows = [torch.autograd.grad(g, weights, retain_graph=True)[0].flatten() for g in gradient.flatten()]
    test_loss = nn.functional.cross_entropy(_with_ones(problem.query) @ weights.T, problem.prediction)
    (test_gradient,) = torch.autograd.grad(test_loss, weights)
    direction: torch.Tensor = torch.linalg.solve(torch.stack(rows), test_gradient.flatten()) / len(logits)
    return direction


def loop_over_gradients(problem: HeadProblem, direction: torch.Tensor) -> npt.NDArray[np.float64]:
    """Take the gradient of every training image's loss by itself, and its product with a direction, shape (N,)."""
    weights = torch.from_numpy(problem.head.weights).requires_grad_()
    values = []
    for feature, label in zip(_with_ones(problem.hidden), problem.labels, strict=True):
        loss = nn.functional.cross_entropy(weights @ feature, label)
        (gradient,) = torch.autograd.grad(loss, weights)
        values.append(gradient.flatten() @ direction)
    return torch.stack(values).numpy()


def _tracin(problem: HeadProblem) -> tuple[str, float, npt.NDArray[np.float64]]:
    method = problem.captum(TracInCPFast, checkpoints=["the head"])
    milliseconds, values = _query(method, problem, 3)
    return f"Captum TracInCPFast on the head, batches of {BATCH}", milliseconds, values


def _arnoldi(problem: HeadProblem) -> tuple[str, float, npt.NDArray[np.float64]]:
    setup_ms, method = timed(
        lambda: problem.captum(ArnoldiInfluenceFunction, checkpoint="the head", sample_wise_grads_per_batch=True)
    )
    milliseconds, values = _query(method, problem, 1)
    text = f"Captum ArnoldiInfluenceFunction on the head, set up before in {setup_ms / 1000.0:.0f} s"
    return text, milliseconds, values


def _query(method: object, problem: HeadProblem, repeats: int) -> tuple[float, npt.NDArray[np.float64]]:
    milliseconds, values = timed(lambda: method.influence((problem.query, problem.prediction)), repeats)  # type: ignore[attr-defined]
    return milliseconds, values[0].detach().numpy().astype(np.float64)


def _keep_weights(model: nn.Module, checkpoint: str) -> float:
    """Stand in for loading a checkpoint: the model holds its weights already. Returns the learning rate."""
    del model, checkpoint
    return 1.0


def _with_ones(hidden: torch.Tensor) -> torch.Tensor:
    return torch.hstack([hidden.double(), torch.ones(len(hidden), 1, dtype=torch.float64)])


def _spearman(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(spearmanr(a, b).statistic)
