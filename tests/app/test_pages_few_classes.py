"""The attack among few classes: asked for by hand, said in one sentence, drawn beside the natural image."""

from __future__ import annotations

import numpy as np
import pytest

from support.fake_analysis import FakeEngine
from support.pages import ATTACKED, open_app, text_of
from telltale.analysis.results import FewClasses
from telltale_app.panels.few_classes import sentence

NAMES = ("stop", "give way", "no entry", "speed limit 30")


def few(count: int, l2: float, fooled: bool = True) -> FewClasses:
    ends = (l2 / 2, 2 * l2) if fooled else (l2, np.inf)
    return FewClasses(tuple(range(count)), np.zeros((1, 2, 2), np.float32), int(fooled), fooled, l2, l2 / 2, ends, 5)


def test_nothing_is_attacked_before_it_is_asked_for(engine: FakeEngine) -> None:
    app = open_app("app_pages/feature_responses.py", **ATTACKED)
    assert not app.exception and "few_classes" not in [task for task, _ in engine.submitted]
    app.toggle(key="few-classes").set_value(True).run()
    assert not app.exception and [task for task, _ in engine.submitted].count("few_classes") == 1
    said = text_of(app)
    assert "must be **2.5 times** with 1 other (2 to 3 in 5 draws) and **2 times** with 2 others" in said
    assert "2 classes: read as" in said and "10 classes: read as" in said and "natural: " in said


def test_the_sentence_takes_its_side_from_the_figures() -> None:
    said = sentence((few(2, 3.0), few(3, 2.0), few(4, 0.5)), NAMES)
    assert said == (
        "With nothing but **stop** and others drawn by lot to answer, the change must be **6 times** with 1 other (3 "
        "to 12 in 5 draws) and **4 times** with 2 others (2 to 8 in 5 draws) as large as among all 4 classes (L2 0.5)."
    )
    said = sentence((few(2, 0.0, fooled=False), few(3, 1.0), few(4, 0.5)), NAMES)
    assert "must be **2 times** with 2 others (1 to 4 in 5 draws) as large" in said
    said = sentence((few(2, 0.0, fooled=False), few(3, 0.0, fooled=False), few(4, 0.5)), NAMES)
    assert said == (
        "Among few classes no change was found that fools the model on this image; among all classes one was."
    )
    said = sentence((few(2, 3.0), few(4, 0.5, fooled=False)), NAMES)
    assert said == "Even among all 4 classes no change was found that fools the model on this image."


@pytest.mark.parametrize("fooled", [True, False])
def test_an_image_that_needs_no_change_has_no_ratio(fooled: bool) -> None:
    said = sentence((few(2, 0.0, fooled), few(4, 0.0, fooled=False)), NAMES)
    assert "no change was found" in said and "times" not in said
