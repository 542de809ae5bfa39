"""Distances whose slopes stay finite."""

from __future__ import annotations

import torch

SMALLEST = 1e-24  # of a squared distance; below it a square root has no usable slope


def squared_distances(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances (n, N), above 0, from float64 rows (n, d) to (N, d), by one product."""
    products = queries @ points.T
    squared = queries.square().sum(1, keepdim=True) + points.square().sum(1) - 2.0 * products
    return squared.clamp(min=SMALLEST)


def distances_to_each(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Euclidean distances (n, m), above 0, from rows (n, d) to their own points (n, m, d), in float64."""
    differences = queries.double()[:, None] - points.double()
    return differences.square().sum(-1).clamp(min=SMALLEST).sqrt()
