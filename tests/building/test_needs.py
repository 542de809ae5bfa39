"""What kinds of evidence cannot do without: the sentence where it is missing, and none where it is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from telltale.kinds.needs import MOST_BYTES, ROOM_FOR_CURVATURE


def _fitting(classes: int, width: int) -> Any:
    return SimpleNamespace(classes=classes, trace=SimpleNamespace(hidden=np.empty((3, width), dtype=np.float32)))


@pytest.mark.parametrize(("classes", "width"), [(10, 64), (10, 1280), (1000, 512)])
def test_a_curvature_that_fits_is_no_problem(classes, width) -> None:
    assert 4 * classes * (width + 1) ** 2 <= MOST_BYTES
    assert ROOM_FOR_CURVATURE.problem(_fitting(classes, width)) is None


def test_a_curvature_of_many_gigabytes_is_said() -> None:
    sentence = ROOM_FOR_CURVATURE.problem(_fitting(1000, 1280))
    assert sentence is not None and "1,000 classes over 1,280 features would take 6.1 GiB, of which 2" in sentence
