"""Names and numbers as people read them, the same on pages, in figures and in notebooks."""

from __future__ import annotations

import math

import core.attacks.registry as attack_registry
import core.detectors.registry as detector_registry
from core.detectors.fusion import Fusion


def attack_title(name: str) -> str:
    """Return the name shown to people; an unknown attack keeps its registry name."""
    spec = attack_registry.ATTACKS.get(name)
    return name if spec is None else spec.title


def detector_title(name: str) -> str:
    """Return the name shown to people; an unknown detector keeps its registry name."""
    if name == Fusion.name:
        return Fusion.title
    detector = detector_registry.DETECTORS.get(name)
    return name if detector is None else detector.title


def verdict_title(adversarial: bool | None) -> str:
    """Return what one detector says of an image; None stands for a detector without calibration."""
    if adversarial is None:
        return "Not calibrated"
    return "Adversarial" if adversarial else "Looks natural"


def kind_title(kind: str) -> str:
    """Return what the fused verdict takes an image for; see `core.results.FusedVerdict.kind`."""
    if kind == "error":
        return "Probably wrong, not attacked"
    return verdict_title(None if kind == "uncalibrated" else kind == "adversarial")


def percent(share: float) -> str:
    """Return a share as a percentage with no more digits than it needs."""
    return f"{100 * share:.3g} %" if math.isfinite(share) else "unknown"


def number(value: float | None) -> str:
    """Return a number with four significant digits, or a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4g}"
