"""Saved cases made of the stand-in engine's numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from support.fake_analysis import CLASSES, FakeEngine
from telltale.base.images import round_to_8_bits
from telltale.cases.making import new_case
from telltale.cases.numbers import case_numbers
from telltale.cases.record import CaseSettings, SavedCase

BUNDLE_ID = "f" * 64
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def saved_case(
    number: int = 0, note: str = "", tags: tuple[str, ...] = (), attacked: bool = True, eps: float = 0.1
) -> SavedCase:
    """Return a case of its own image, saved `number` minutes after the first one."""
    engine = FakeEngine()
    image = round_to_8_bits(np.random.default_rng(number).random((1, 8, 8)).astype(np.float32) * 0.6)
    natural = engine._analyse("digits", image, 0.05)
    parameters = {"eps": eps, "step": 0.01, "steps": 20, "random_start": True}
    attack = engine._attack("digits", image, "pgd", parameters, number, None) if attacked else None
    after = None if attack is None else engine._analyse("digits", attack.images[0], 0.05)
    settings = CaseSettings(
        "digits", f"test-{number}", "pgd" if attacked else None, parameters if attacked else {}, None, number, 0.05
    )
    numbers = case_numbers(natural, attack, after, CLASSES, number % 10)
    made = new_case(
        settings,
        f"Test image {number}",
        BUNDLE_ID,
        numbers,
        image,
        None if attack is None else attack.images[0],
        note,
        tags,
    )
    return replace(made, record=replace(made.record, saved_at=START + timedelta(minutes=number)))
