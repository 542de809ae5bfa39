"""Rows of a stored study of success after rejection, drawn at random."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from telltale.scores.rejection import Knowledge


def judged_rows(
    attackers: Iterable[tuple[str, Knowledge]],
    budgets: Sequence[int],
    images: int,
    certain: int,
    steps: int,
    seed: int,
) -> list[dict]:
    """Return one row per attacker, budget and image.

    The chance of being read wrongly is the budget's share of `certain`; p-values are whole multiples of 0.01 up to
    `steps` of them.
    """
    generator = np.random.default_rng(seed)
    return [
        {
            "attack": attack,
            "knowledge": knowledge,
            "eps": eps,
            "image_id": image,
            "wrong": bool(generator.random() < eps / certain),
            "score_fused": 0.0,
            "p_value": float(generator.integers(1, steps + 1)) / 100,
        }
        for attack, knowledge in attackers
        for eps in budgets
        for image in range(images)
    ]
