"""The attacked test image that a person sees first: the story that the bundle's plan names, or the most usual one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from telltale.attacks.registry import ATTACKS
from telltale.recipes import Story
from telltale.scores.table import (
    ADVERSARIAL,
    ATTACK,
    CONFIDENCE,
    IMAGE_ID,
    KIND,
    LABEL,
    PREDICTION,
    SPLIT,
    fooled_test_ids,
)


@dataclass(frozen=True)
class Opening:
    """A test image and the attack that fools the model on it.

    Attributes
    ----------
    image_id : int
    attack : str
    """

    image_id: int
    attack: str


def opening(scores: pa.Table, attack: str, class_names: Sequence[str], story: Story | None = None) -> Opening | None:
    """Choose the attacked test image that a person sees first, from the stored scores.

    Parameters
    ----------
    scores : pyarrow Table
        `Bundle.scores`.
    attack : str
        Preferred.
    class_names : sequence of str
    story : Story, optional
        Which class should be read as which; of such images, the one that `attack` fools, else another attack, most
        surely.

    Returns
    -------
    Opening or None
        None where no stored attack succeeded as asked.
    """
    found = None if story is None else _told(scores, attack, class_names, story)
    if found is not None:
        return found
    usual = fooled_test_ids(scores, attack)
    return Opening(int(usual[0]), attack) if len(usual) else None


def _told(scores: pa.Table, attack: str, class_names: Sequence[str], story: Story) -> Opening | None:
    columns = scores.select([SPLIT, KIND, ATTACK, IMAGE_ID, LABEL, PREDICTION, CONFIDENCE]).to_pydict()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    told = [
        row
        for row in rows
        if (row[SPLIT], row[KIND]) == ("test", ADVERSARIAL)
        and row[ATTACK] in ATTACKS
        and class_names[row[LABEL]] == story.label
        and class_names[row[PREDICTION]].startswith(story.read_as)
    ]
    if not told:
        return None
    best = max(told, key=lambda row: (row[ATTACK] == attack, np.nan_to_num(row[CONFIDENCE]), -row[IMAGE_ID]))
    return Opening(int(best[IMAGE_ID]), best[ATTACK])
