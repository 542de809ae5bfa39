"""From analyses to the numbers that are stored, from numbers to a table, and what differs between two tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np

from telltale.analysis.results import Analysis
from telltale.attacks.base import AttackResult
from telltale.base.csv_cells import as_text
from telltale.cases.record import (
    AttackNumbers,
    CaseNumbers,
    ClassShare,
    FusedNumbers,
    ImageNumbers,
    VerdictNumbers,
    finite_or_none,
)
from telltale.kinds.density import DensityView
from telltale.kinds.response import ResponseView
from telltale.kinds.trajectory import TrajectoryView
from telltale.scores.verdicts import FusedVerdict, Verdict

SHOWN_CLASSES = 5
COLUMNS = ("image", "what", "value", "p_value", "threshold", "adversarial")
OF_THE_NETWORK = ("confidence", "log_density", "mean_entropy")  # rows that a detector of the same name must not hide
Row = tuple[str, ...]


def case_numbers(
    natural: Analysis,
    attack: AttackResult | None,
    attacked: Analysis | None,
    class_names: tuple[str, ...],
    own: int | None,
) -> CaseNumbers:
    """Return what is stored of a case.

    Parameters
    ----------
    natural : Analysis
    attack : AttackResult or None
        Of one image.
    attacked : Analysis or None
        Of the attacked image.
    class_names : tuple of str
    own : int or None
        The data set's label of the image, where it has one.
    """
    return CaseNumbers(
        true_class=None if own is None else class_names[own],
        natural=image_numbers(natural, class_names),
        attack=None if attack is None else _attack_numbers(attack, class_names),
        attacked=None if attacked is None else image_numbers(attacked, class_names),
    )


def image_numbers(analysis: Analysis, class_names: tuple[str, ...]) -> ImageNumbers:
    """Return what is stored of one image's analysis; wall times are left out, because no rerun repeats them."""
    prediction, density, path = analysis.prediction, analysis.find(DensityView), analysis.find(TrajectoryView)
    likeliest = np.argsort(-prediction.probabilities, kind="stable")[:SHOWN_CLASSES]
    return ImageNumbers(
        image_sha256=analysis.image_sha256,
        label=int(prediction.label),
        prediction=prediction.name,
        confidence=float(prediction.confidence),
        top=tuple(ClassShare(class_names[c], float(prediction.probabilities[c])) for c in likeliest),
        mean_entropy=float(analysis.view(ResponseView).mean_entropy),
        log_density=None if density is None else finite_or_none(float(density.log_density[prediction.label])),
        suspicion=() if path is None else tuple(path.suspicion.tolist()),
        verdicts=tuple(_verdict_numbers(verdict) for verdict in analysis.verdicts),
        fused=None if analysis.fused is None else _fused_numbers(analysis.fused),
    )


def numbers_csv(numbers: CaseNumbers) -> str:
    """Return the numbers as CSV: one row per image and figure or detector, six significant digits.

    Columns are those of `COLUMNS`; a figure that is no detector's has only a value.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(as_text, row) for row in _rows(numbers))
    return text.getvalue()


def differences(before: CaseNumbers, now: CaseNumbers) -> tuple[str, ...]:
    """Return what differs between two sets of numbers, to six significant digits, as ``"attacked lid"``."""
    old, new = ({row[:2]: row[2:] for row in _rows(numbers)} for numbers in (before, now))
    return tuple(
        f"{image} {what}" for image, what in {**old, **new} if old.get((image, what)) != new.get((image, what))
    )


def _rows(numbers: CaseNumbers) -> Iterator[Row]:
    for name, image in numbers.images():
        yield (name, "sha256", image.image_sha256, "", "", "")
        yield (name, "prediction", image.prediction, "", "", "")
        yield (name, "confidence", _text(image.confidence), "", "", "")
        yield (name, "mean_entropy", _text(image.mean_entropy), "", "", "")
        yield (name, "log_density", _text(image.log_density), "", "", "")
        yield from (_verdict_row(name, verdict) for verdict in image.verdicts)
        if image.fused is not None:
            yield (name, "fused_kind", image.fused.kind, "", "", "")
            yield _verdict_row(name, image.fused.attack)
            if image.fused.error is not None:
                yield _verdict_row(name, image.fused.error)
    if numbers.attack is not None:
        attack = numbers.attack
        yield ("attack", "success", _text(attack.success), "", "", "")
        yield ("attack", "target", attack.target or "", "", "", "")
        for what in ("linf", "l2", "l0", "gradients", "queries"):
            yield ("attack", what, _text(getattr(attack, what)), "", "", "")


def _verdict_row(image: str, verdict: VerdictNumbers) -> Row:
    values = (verdict.score, verdict.p_value, verdict.threshold, verdict.adversarial)
    clash = verdict.detector in OF_THE_NETWORK
    what = f"{verdict.detector} detector" if clash else verdict.detector
    return (image, what, *(_text(value) for value in values))


def _text(value: float | bool | None) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f"{value:.6g}"


def _verdict_numbers(verdict: Verdict) -> VerdictNumbers:
    return VerdictNumbers(
        verdict.detector,
        finite_or_none(verdict.score),
        verdict.p_value,
        finite_or_none(verdict.threshold),
        verdict.adversarial,
        verdict.n_calibration,
    )


def _fused_numbers(fused: FusedVerdict) -> FusedNumbers:
    return FusedNumbers(
        fused.kind,
        _verdict_numbers(fused.attack),
        None if fused.error is None else _verdict_numbers(fused.error),
        {name: float(value) for name, value in fused.contributions.items()},
    )


def _attack_numbers(attack: AttackResult, class_names: tuple[str, ...]) -> AttackNumbers:
    target = int(attack.targets[0])
    return AttackNumbers(
        success=bool(attack.success[0]),
        target=None if target < 0 else class_names[target],
        linf=float(attack.linf[0]),
        l2=float(attack.l2[0]),
        l0=int(attack.l0[0]),
        gradients=int(attack.gradients[0]),
        queries=int(attack.queries[0]),
    )
