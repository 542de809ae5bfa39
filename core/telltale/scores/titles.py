"""Names and numbers as people read them, the same on pages, in figures and in notebooks."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

import telltale.attacks.registry as attack_registry
import telltale.detectors.registry as detector_registry
from telltale.base.parameters import Parameter
from telltale.detectors.fusion import Fusion
from telltale.scores.controls import CONTROLS
from telltale.scores.verdicts import Verdict

LONGEST_DECIMAL = len("0.0001")
SMALLEST_SHARE = 1e-4


def attack_title(name: str) -> str:
    """Return the name shown to people; an unknown attack keeps its registry name."""
    spec = attack_registry.ATTACKS.get(name)
    return name if spec is None else spec.title


def detector_title(name: str) -> str:
    """Return the name shown to people, a control's marked as one; an unknown detector keeps its registry name."""
    if name == Fusion.name:
        return Fusion.title
    if name in CONTROLS:
        return f"Control: {CONTROLS[name].title}"
    detector = detector_registry.DETECTORS.get(name)
    return name if detector is None else detector.title


def verdict_title(adversarial: bool | None) -> str:
    """Return what one detector says of an image; None stands for one without enough calibration."""
    if adversarial is None:
        return "Not calibrated"
    return "Adversarial" if adversarial else "Looks natural"


def kind_title(kind: str) -> str:
    """Return what the fused verdict takes an image for; see `telltale.scores.verdicts.FusedVerdict.kind`."""
    if kind == "error":
        return "Probably wrong, not attacked"
    return verdict_title(None if kind == "uncalibrated" else kind == "adversarial")


def percent(share: float) -> str:
    """Return a share as a percentage with no more digits than it needs."""
    if not math.isfinite(share):
        return "unknown"
    return "under 0.01 %" if 0.0 < share < SMALLEST_SHARE else f"{100 * share:.3g} %"


def number(value: float | None) -> str:
    """Return a number with four significant digits, or a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4g}"


def threshold(value: float | None) -> str:
    """Return a threshold with four significant digits, or a dash; the next number after 0 as "above 0".

    A threshold is the smallest score that raises an alarm: where natural images score 0, any score above it does.
    """
    if value is not None and 0.0 < value < sys.float_info.min:
        return "above 0"
    return number(value)


def alike(common_score: float) -> str:
    """Say what a score is worth where all natural images behind its threshold have the same."""
    return f"every held-out natural image scores {number(common_score)}: it tells none of them apart"


def verdict_figures(verdict: Verdict) -> str:
    """Return a verdict's score, p-value and threshold, and what is missing of them, in words."""
    score = f"score {number(verdict.score)}"
    if verdict.p_value is None:
        said = f"{score}; no natural images to compare with, so this score has no threshold"
    elif verdict.adversarial is None:
        said = f"{score}, p = {verdict.p_value:.3f}, no threshold at this α"
    else:
        said = f"{score}, p = {verdict.p_value:.3f}, threshold {threshold(verdict.threshold)}"
    return said if verdict.common_score is None else f"{said}; {alike(verdict.common_score)}"


def listed(items: Sequence[str]) -> str:
    """Return items as "a, b and c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else "none"


def settings(parameters: Mapping[str, object], declared: Sequence[Parameter] = ()) -> str:
    """Return parameters as "budget ε (L∞) 0.1, steps 20", under the labels that were declared for them."""
    labels = {parameter.name: parameter.label for parameter in declared}
    named = ((_within_sentence(labels.get(name, name)), setting(value)) for name, value in parameters.items())
    return ", ".join(f"{name} {value}" for name, value in named)


def setting(value: object) -> str:
    """Return the value of a parameter as people write it: also as a share of 255 grey levels, such as 8/255."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, float):
        return str(value)
    text, levels = f"{value:g}", round(255 * value)
    in_levels = 0 < levels < 255 and math.isclose(255 * value, levels, rel_tol=1e-6)
    return f"{levels}/255" if in_levels and len(text) > LONGEST_DECIMAL else text


def _within_sentence(label: str) -> str:
    """Return a label as it is written within a sentence: "L1 weight β" keeps its capital, "Step size" does not."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label
