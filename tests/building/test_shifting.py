"""Alarms under natural shift, against analyses of one image at a time."""

from __future__ import annotations

import pytest

from support.shipped import shipped
from telltale.analysis.analyse import analyse_image
from telltale.base.errors import InputError
from telltale.base.images import round_to_8_bits
from telltale.base.progress import silent
from telltale.building.shifting import shift_alarms
from telltale.data.shifts import SHIFTS
from telltale.scores.rates import Rate
from telltale.scores.table import draw_test_ids

IMAGES = 12


@pytest.mark.slow
def test_alarms_are_those_of_single_analyses() -> None:
    loaded = shipped()
    found = shift_alarms(loaded, 0.05, IMAGES, silent)
    assert found.images == IMAGES and [shift.name for shift in found.shifts] == [shift.name for shift in SHIFTS]
    image_set = loaded.bundle.require_images()
    ids = draw_test_ids(loaded.bundle.scores, IMAGES, loaded.bundle.seed)
    for shift, counted in zip(SHIFTS, found.shifts, strict=True):
        kept, alarms = 0, dict.fromkeys((*loaded.fitted.names, "high_confidence"), 0)
        sure = loaded.bundle.scores.to_pandas().query("split == 'calibration' and kind == 'natural'")["confidence"]
        for image_id, image in zip(ids, shift.apply(image_set.images(ids)), strict=True):
            result = analyse_image(loaded, round_to_8_bits(image), 0.05)
            if result.prediction.label != image_set.labels[image_id]:
                continue
            kept += 1
            for verdict in (*result.verdicts, result.fused.attack):
                alarms[verdict.detector] += bool(verdict.adversarial)
            more_sure = (sure >= result.prediction.confidence).sum()
            alarms["high_confidence"] += (1 + more_sure) / (1 + len(sure)) <= 0.05
        assert counted.kept == kept
        for name, count in alarms.items():
            assert counted.alarms[name] == Rate(count, kept), (shift.name, name)


def test_an_alpha_that_is_none_is_refused_before_anything_is_computed() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        shift_alarms(shipped(), 0.0, 2, silent)
