"""The exact best pair of features under a product of sums, without a table of all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LARGEST_TABLE = 2**22  # pairs looked at in one go: 16 MB of float32


def best_pairs(first: torch.Tensor, second: torch.Tensor, free: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Find for every image the pair p ≠ q that maximises (a_p + a_q) · (b_p + b_q), both sums being positive.

    Where p lies below two others in both a and b, one of them, the one that is not q, makes at least as good a pair
    with q. So the best pair is found among the features that lie below at most one other, a handful of thousands.

    Parameters
    ----------
    first, second : Tensor, float32, shape (n, features)
        a and b.
    free : Tensor, bool, shape (n, features)
        The features that may be chosen.

    Returns
    -------
    pairs : Tensor, int64, shape (n, 2)
    found : Tensor, bool, shape (n,)
        Whether there is a pair with positive sums; without one, `pairs` means nothing.
    """
    import torch

    candidates = _candidates(first, second, free)
    a, b = (values.masked_fill(~free, -torch.inf).gather(1, candidates) for values in (first, second))
    count = candidates.shape[1]
    best = first.new_zeros(len(first))
    places = torch.zeros((len(first), 2), dtype=torch.int64)
    block = max(1, LARGEST_TABLE // (len(first) * count))
    for start in range(0, count, block):
        products = _products(a, b, slice(start, start + block))
        value, place = products.flatten(1).max(1)
        better = value > best
        best = torch.where(better, value, best)
        found = torch.stack([start + place // count, place % count], dim=1)
        places = torch.where(better[:, None], found, places)
    return candidates.gather(1, places), best > 0.0


def _candidates(first: torch.Tensor, second: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
    """Return the features below at most one other, int64 (n, m); rows with fewer than m are filled up with others.

    In order of falling a, a feature lies below two others where the second largest b before it is at least its own.
    """
    import torch

    order = first.masked_fill(~free, -torch.inf).argsort(dim=1, descending=True, stable=True)
    b = second.masked_fill(~free, -torch.inf).gather(1, order)
    largest = b.cummax(1).values
    entering = b[:, 1:].minimum(largest[:, :-1])  # what is not the largest so far, or no longer
    second_largest = torch.nn.functional.pad(entering.cummax(1).values, (2, 0), value=-torch.inf)[:, :-1]
    kept = b > second_largest
    width = max(2, int(kept.sum(1).max()))
    return order.gather(1, kept.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :width])


def _products(a: torch.Tensor, b: torch.Tensor, part: slice) -> torch.Tensor:
    """Return the products (n, block, m) of a block of candidates with all; 0 where a sum is not positive."""
    import torch

    a_sums, b_sums = (values[:, part, None] + values[:, None] for values in (a, b))
    products = torch.where((a_sums > 0.0) & (b_sums > 0.0), a_sums * b_sums, 0.0)
    itself = torch.arange(a.shape[1])[part]
    products[:, itself - part.start, itself] = 0.0
    return products
