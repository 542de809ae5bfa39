"""What an attack may touch: the classifier behind a meter that counts, reports progress and leaves no trace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.base.progress import Share
from telltale.models.classifier import Classifier

RANGE_TOLERANCE = 1e-6
SECONDS_BETWEEN_REPORTS = 0.1


class MeteredClassifier(nn.Module):
    """The classifier as an attack sees it: every forward and backward pass is counted for the image it serves.

    `begin` names the images under attack. An attack that passes on only some of them, or some more than once, says
    which with `rows`.

    Parameters
    ----------
    classifier : Classifier
    total : int
        Number of images that will be attacked.
    checkpoint : callable, optional
        Called at the first forward pass and then about every 0.1 s with the fraction done; what it raises, such as
        `CancelledError`, ends the attack.

    Attributes
    ----------
    queries, gradients : array of int64, shape (total,)
        Forward and backward passes per image; one row of a batch is one pass.
    check_range : bool
        Whether inputs outside [0, 1] are refused. Attacks whose algorithm leaves the range on purpose turn it off.
    """

    def __init__(self, classifier: Classifier, total: int, checkpoint: Share | None = None) -> None:
        super().__init__()
        self.classifier = classifier
        self.queries = np.zeros(total, dtype=np.int64)
        self.gradients = np.zeros(total, dtype=np.int64)
        self.check_range = True
        self._total = total
        self._checkpoint = checkpoint
        self._first = 0
        self._count = 1
        self._passes = 1
        self._calls = 0
        self._expected_calls = 0
        self._last_report = -np.inf
        self.eval()

    def begin(self, first: int, count: int = 1) -> None:
        """Count what follows for these images, `count` from position `first` on."""
        self._first = first
        self._count = count
        self._calls = 0
        self._expected_calls = 0
        self.check_range = True

    def expect(self, calls: int) -> None:
        """Announce about how many forward calls the images under attack will take, for the fraction done meanwhile."""
        self._expected_calls = calls

    def forward(self, images: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Map images (n, C, H, W) in [0, 1] to logits (n, classes).

        Values outside [0, 1] by less than 1e-6, which libraries hand over through float error, are moved to the
        bound.

        Parameters
        ----------
        images : Tensor, float32, shape (n, C, H, W)
        rows : Tensor, int64, shape (n,), optional
            Which of the images under attack each row is a version of; by default all of them in order, or the only
            one.

        Raises
        ------
        ValueError
            If a value is further outside while `check_range` is set, or it is not known whose rows these are.
        """
        return self.measure(self.classifier, images, rows)

    def measure(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        images: torch.Tensor,
        rows: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Apply a function to images (n, C, H, W), and count it like one `forward`, whatever it does itself.

        Parameters
        ----------
        function : callable
            Such as a detector's suspicion.
        images, rows : as for `forward`
        """
        positions = self._positions(len(images), rows)
        self._calls += 1
        self._report()
        np.add.at(self.queries, positions, 1)
        values = function(_in_range(images) if self.check_range else images)
        if values.requires_grad:
            values.register_hook(lambda _: self._count_gradients(positions))  # type: ignore[no-untyped-call]
        return values

    def class_gradients(self, logits: torch.Tensor, images: torch.Tensor, combinations: torch.Tensor) -> torch.Tensor:
        """Differentiate several combinations of the logits with respect to the images in one batched backward pass.

        Parameters
        ----------
        logits : Tensor, shape (n, classes)
            What `forward` made of `images`.
        images : Tensor, shape (n, C, H, W), requires gradients
        combinations : Tensor, shape (k, n, classes)
            Weights of the logits.

        Returns
        -------
        Tensor, shape (k, n, C, H, W)
            Each counts as a backward pass of its image.
        """
        self._passes = len(combinations)
        try:
            (gradients,) = torch.autograd.grad(logits, images, combinations, is_grads_batched=True)
        finally:
            self._passes = 1
        return gradients

    def _positions(self, count: int, rows: torch.Tensor | None) -> npt.NDArray[np.int64]:
        if rows is not None:
            return self._first + rows.numpy()
        if self._count == 1:
            return np.full(count, self._first)
        if count != self._count:
            raise ValueError(f"An attack on {self._count} images passed on {count} rows without saying whose they are.")
        return np.arange(self._first, self._first + count)

    def _count_gradients(self, positions: npt.NDArray[np.int64]) -> None:
        np.add.at(self.gradients, positions, self._passes)

    def _report(self) -> None:
        now = time.monotonic()
        if self._checkpoint is None or now - self._last_report < SECONDS_BETWEEN_REPORTS:
            return
        self._last_report = now
        within = min(self._calls / self._expected_calls, 1.0) if self._expected_calls else 0.0
        self._checkpoint((self._first + self._count * within) / self._total)


@contextmanager
def metered(classifier: Classifier, total: int, checkpoint: Share | None = None) -> Iterator[MeteredClassifier]:
    """Lend the classifier to an attack and take it back as it was.

    Inside, parameters do not require gradients, so that no attack can leave a ``.grad`` on them, and autograd is on
    whatever the caller's mode. Afterwards, also after an error, ``requires_grad`` is what it was.

    Raises
    ------
    InputError
        If the classifier is not in evaluation mode.
    RuntimeError
        If an attack left it in another mode.
    """
    if classifier.training:
        raise InputError("The classifier must be in evaluation mode: call its eval() first.")
    flags = [(parameter, parameter.requires_grad) for parameter in classifier.parameters()]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        with torch.inference_mode(False), torch.enable_grad():
            yield MeteredClassifier(classifier, total, checkpoint)
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
    if any(module.training for module in classifier.modules()):
        raise RuntimeError("An attack left the classifier in training mode.")


def _in_range(images: torch.Tensor) -> torch.Tensor:
    """Return images within [0, 1], with the gradient of the identity; NaN passes and is judged in the result."""
    values = images.detach()
    low, high = float(values.min()), float(values.max())
    if low < -RANGE_TOLERANCE or high > 1.0 + RANGE_TOLERANCE:
        raise ValueError(f"An attack handed over pixels in [{low:g}, {high:g}] instead of [0, 1].")
    if low < 0.0 or high > 1.0:
        return images + (values.clamp(0.0, 1.0) - values)
    return images
