"""What the texts of all lessons can name: each fact is read from the running analysis, never written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from telltale.analysis.reading import count_noticing
from telltale.analysis.results import Analysis
from telltale.kinds.trajectory import TrajectoryView
from telltale_app import catalogue, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons.lesson import Fact, Facts
from telltale_app.panels.trajectory import departure_words

GREY_LEVELS = 255


def _attacked(case: CaseAnalysis) -> Analysis:
    """Return the attacked image's analysis; only steps whose case is attacked name facts of it."""
    assert case.attacked is not None
    return case.attacked


def _levels(case: CaseAnalysis) -> str:
    assert case.attack is not None
    return f"{round(GREY_LEVELS * float(case.attack.linf[0]))} of {GREY_LEVELS} grey levels"


def _fused(choose: Callable[[CaseAnalysis], Analysis]) -> Fact:
    def fact(case: CaseAnalysis) -> str:
        fused = choose(case).fused
        return "none" if fused is None else words.fused_words(fused.kind)[0]

    return fact


def _noticing(choose: Callable[[CaseAnalysis], Analysis]) -> Fact:
    def fact(case: CaseAnalysis) -> str:
        noticing, calibrated = count_noticing(choose(case).verdicts)
        return f"{noticing} of {calibrated}"

    return fact


def natural(case: CaseAnalysis) -> Analysis:
    """Return the natural image's analysis."""
    return case.natural


def p_value(analysis: Analysis, detector: str) -> str:
    """Return a detector's p-value as the pages write it."""
    value = analysis.verdict(detector).p_value
    return "not calibrated" if value is None else f"p = {value:.3f}"


SHARED: Facts = {
    "own": lambda case: case.natural.prediction.name,
    "own_confidence": lambda case: words.percent(case.natural.prediction.confidence),
    "rival": lambda case: _attacked(case).prediction.name,
    "rival_confidence": lambda case: words.percent(_attacked(case).prediction.confidence),
    "attack": lambda case: catalogue.attack_title(case.case.attack or ""),
    "levels": _levels,
    "alpha": lambda case: words.percent(case.case.alpha),
    "noticing": _noticing(_attacked),
    "noticing_natural": _noticing(natural),
    "fused": _fused(_attacked),
    "fused_natural": _fused(natural),
    "layers": lambda case: str(len(case.bundle.layers)),
    "last_layer": lambda case: case.bundle.layers[-1],
    "departure": lambda case: departure_words(
        case, (case.natural.view(TrajectoryView).pivot, case.natural.view(TrajectoryView).distance)
    )[0],
}


@dataclass(frozen=True)
class FactsOf(Mapping[str, str]):
    """The facts of one running analysis, each read only when a text names it.

    Attributes
    ----------
    case : CaseAnalysis
    facts : mapping of str to function
    """

    case: CaseAnalysis
    facts: Facts

    def __getitem__(self, name: str) -> str:
        return self.facts[name](self.case)

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


def filled(text: str, case: CaseAnalysis, own: Facts) -> str:
    """Return a text with its facts filled in.

    Parameters
    ----------
    text : str
        May name facts in braces.
    case : CaseAnalysis
    own : mapping of str to function
        The lesson's own facts.

    Raises
    ------
    KeyError
        If the text names a fact that there is not.
    """
    return text.format_map(FactsOf(case, {**SHARED, **own}))
