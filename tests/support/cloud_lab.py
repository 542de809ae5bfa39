"""A stand-in for a `Lab` whose images and attacks are drawn from clouds: whole tables in a second."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from support import clouds
from telltale.building.versions import Versions
from telltale.models.trace import Trace
from telltale.recipes import AttackPlan
from telltale.studies.tables.trials import Trial

IMAGES, ERRORS = 60, 30


class CloudLab:
    """Stands for a `Lab`: images and attacks drawn from clouds; every tenth attack fails, the hopeless one always."""

    def __init__(self, hopeless: str = "") -> None:
        self.loaded = SimpleNamespace(reference=clouds.reference())
        self.hopeless = hopeless
        self.plans: list[AttackPlan] = []

    def natural(self, split: str, count: int, readings: bool = True) -> Versions:
        del count, readings
        trace, labels = clouds.natural_trace(IMAGES, seed=len(split))
        return versions_of(split, "", labels, trace, trace.predictions == labels)

    def errors(self, split: str, count: int, readings: bool = True) -> Versions:
        del count, readings
        trace, labels = clouds.natural_trace(ERRORS, seed=50)
        return versions_of(split, "", (labels + 1) % clouds.CLASSES, trace, np.zeros(ERRORS, dtype=bool))

    def attacked(
        self, split: str, plans: Sequence[AttackPlan], counts: Sequence[int], readings: bool = True
    ) -> list[Versions]:
        del counts, readings
        self.plans += plans
        success = np.arange(IMAGES) % 10 > 0
        labels = np.arange(IMAGES) % clouds.CLASSES
        traces = [clouds.attacked_trace(IMAGES, 100 * len(split) + i) for i in range(len(plans))]
        return [
            versions_of(split, plan.name, labels, trace, success & (plan.name != self.hopeless))
            for plan, trace in zip(plans, traces, strict=True)
        ]

    def scored(self, trials: Sequence[Trial]) -> list[Any]:
        return [trial.scores(self.loaded.reference) for trial in trials]

    def progress(self, fraction: float, message: str) -> None:
        del message
        assert 0.0 <= fraction <= 1.0


def versions_of(split: str, attack: str, labels: np.ndarray, trace: Trace, success: np.ndarray) -> Versions:
    count, zeros = len(labels), np.zeros(len(labels))
    entropy = np.random.default_rng(len(attack)).normal(2.3 if attack else 2.0, 0.2, count)
    readings = clouds.readings(entropy)
    return Versions(split, attack, np.arange(count), labels, trace, readings, success, zeros, zeros, zeros)


def cloud_lab(hopeless: str = "") -> Any:
    """Return the stand-in, as a type that passes for a `Lab`."""
    return CloudLab(hopeless)
