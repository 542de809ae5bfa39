"""A saved case in words, the same in a report, on a page and on the command line. No markup here."""

from __future__ import annotations

from datetime import UTC, datetime

from telltale.attacks.registry import ATTACKS
from telltale.cases.record import CaseRecord, CaseSettings, ImageNumbers, VerdictNumbers
from telltale.detectors.fusion import ERROR_SCORE
from telltale.scores import titles
from telltale.scores.titles import number, percent


def detector_title(name: str) -> str:
    """Return a detector's name for people, or that of the score of natural errors."""
    return "Misclassified" if name == ERROR_SCORE else titles.detector_title(name)


def attack_title(settings: CaseSettings) -> str:
    """Return the attack's name for people, or that there is none."""
    return "not attacked" if settings.attack is None else titles.attack_title(settings.attack)


def settings_words(settings: CaseSettings) -> str:
    """Return the attack's parameters under their labels, and the seed."""
    spec = ATTACKS.get(settings.attack or "")
    return titles.settings({**settings.parameters, "seed": settings.seed}, () if spec is None else spec.parameters)


def fused_words(image: ImageNumbers) -> str:
    """Return the answer of all detectors together; empty for a bundle without a fusion."""
    return "" if image.fused is None else titles.kind_title(image.fused.kind)


def reading_words(verdict: VerdictNumbers) -> str:
    """Return score, p-value and threshold."""
    score = number(verdict.score)
    if verdict.p_value is None:
        return f"score {score}"
    return f"score {score}, p = {verdict.p_value:.3f}, threshold {titles.threshold(verdict.threshold)}"


def sentence(record: CaseRecord) -> str:
    """Return in a few sentences what the case is and who noticed."""
    numbers, title = record.numbers, record.title
    natural, attacked = numbers.natural, numbers.attacked
    text = f"{title} is read as {natural.prediction} ({percent(natural.confidence)})"
    if numbers.true_class not in (None, natural.prediction):
        text += f", wrongly: the label says {numbers.true_class}"
    noticed = noticed_words(numbers.judged, record.settings.alpha)
    if attacked is None:
        return f"{text}. It has not been attacked. {noticed}"
    done = f"After {attack_title(record.settings)} it is read as {attacked.prediction} ({percent(attacked.confidence)})"
    if numbers.attack is not None and not numbers.attack.success:
        done = f"{attack_title(record.settings)} failed within its budget: still read as {attacked.prediction}"
    return f"{text}. {done}. {noticed}"


def moment(value: datetime) -> str:
    """Return a moment as people write it."""
    return f"{value.astimezone(UTC):%d %b %Y, %H:%M} UTC"


def noticed_words(image: ImageNumbers, alpha: float) -> str:
    """Return how many detectors notice an image, with their false-alarm rate."""
    noticing, calibrated = image.noticing
    verb = "notices" if noticing == 1 else "notice"
    return f"{noticing} of {calibrated} detectors {verb}, at {percent(alpha)} false alarms."
