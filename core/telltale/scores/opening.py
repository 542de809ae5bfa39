"""The attacked test image that a person sees first: the story that the bundle's plan names, or the most usual one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    if story.label not in class_names:
        return None
    reached = [label for label, name in enumerate(class_names) if name.startswith(story.read_as)]
    told = scores.filter(
        (pc.field(SPLIT) == "test")
        & (pc.field(KIND) == ADVERSARIAL)
        & (pc.field(LABEL) == list(class_names).index(story.label))
        & pc.field(PREDICTION).isin(reached)
        & pc.field(ATTACK).isin(list(ATTACKS))
    ).select([ATTACK, IMAGE_ID, CONFIDENCE])
    if not told.num_rows:
        return None
    best = max(
        told.to_pylist(), key=lambda row: (row[ATTACK] == attack, np.nan_to_num(row[CONFIDENCE]), -row[IMAGE_ID])
    )
    return Opening(int(best[IMAGE_ID]), best[ATTACK])
