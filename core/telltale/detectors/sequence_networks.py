"""The two small networks that read trajectories: an LSTM over the layers, and a perceptron over the flat sequence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

ArchitectureName: TypeAlias = Literal["lstm", "mlp"]
HIDDEN_UNITS = 100
LEARNING_RATE = 3e-4
BATCH_SIZE = 128
PATIENCE = 100


class TrajectoryLstm(nn.Module):
    """One LSTM layer of 100 units over the layers, then a linear unit on its state.

    Parameters
    ----------
    classes : int
        Width of one step of the sequence.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(classes, HIDDEN_UNITS, batch_first=True)
        self.head = nn.Linear(HIDDEN_UNITS, 1)

    def running_logits(self, sequences: torch.Tensor) -> torch.Tensor:
        """Logit of "adversarial" after every layer: (n, L, C) to (n, L)."""
        states, _ = self.lstm(sequences)
        return self.head(states).squeeze(-1)  # type: ignore[no-any-return]

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Logit of "adversarial" after the last layer: (n, L, C) to (n,)."""
        return self.running_logits(sequences)[:, -1]


class TrajectoryMlp(nn.Module):
    """100 ReLU units over the flattened sequence, with dropout 0.5, then a linear unit.

    Parameters
    ----------
    layers, classes : int
        Shape of one sequence.
    """

    def __init__(self, layers: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(),
            nn.Linear(layers * classes, HIDDEN_UNITS),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN_UNITS, 1),
        )

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Logit of "adversarial": (n, L, C) to (n,)."""
        return self.body(sequences).squeeze(-1)  # type: ignore[no-any-return]


def build_network(
    architecture: ArchitectureName, layers: int, classes: int, seed: int
) -> TrajectoryLstm | TrajectoryMlp:
    """Build an untrained network with weights drawn from `seed`; the global random state is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TrajectoryLstm(classes) if architecture == "lstm" else TrajectoryMlp(layers, classes)


def train_network(
    network: TrajectoryLstm | TrajectoryMlp,
    sequences: npt.NDArray[np.float32],
    adversarial: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    held_out: Callable[[nn.Module], float],
    epochs: int,
    seed: int,
) -> int:
    """Train with Adam on binary cross-entropy, drawing examples by their weights.

    Parameters
    ----------
    network : TrajectoryLstm or TrajectoryMlp
        Changed in place; ends in evaluation mode at its best epoch.
    sequences : array of float32, shape (n, L, C)
    adversarial : array of bool, shape (n,)
    weights : array of float64, shape (n,)
        Sampling weights.
    held_out : callable
        Quality of the network after an epoch, larger is better; the best epoch's weights are kept.
    epochs : int
        At most; training stops once `PATIENCE` epochs brought nothing better.
    seed : int

    Returns
    -------
    int
        Epochs after which the kept weights stood.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    inputs, targets = torch.from_numpy(sequences), torch.from_numpy(adversarial.astype(np.float32))
    draws = np.random.default_rng(seed)
    best, best_epoch, best_state = -np.inf, 0, copy.deepcopy(network.state_dict())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            network.train()
            order = draws.choice(len(inputs), size=len(inputs), p=weights / weights.sum())
            for start in range(0, len(order), BATCH_SIZE):
                _step(network, optimiser, inputs, targets, torch.from_numpy(order[start : start + BATCH_SIZE]))
            network.eval()
            quality = held_out(network)
            if quality > best:
                best, best_epoch, best_state = quality, epoch, copy.deepcopy(network.state_dict())
            if epoch - best_epoch >= PATIENCE:
                break
    network.load_state_dict(best_state)
    return best_epoch


def _step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    batch: torch.Tensor,
) -> None:
    loss = nn.functional.binary_cross_entropy_with_logits(network(inputs[batch]), targets[batch])
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
