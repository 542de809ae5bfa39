"""Lesson: choosing a threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from telltale.detectors.fusion import FUSED
from telltale.scores import contests
from telltale.scores.table import scored_detectors, share_at_least
from telltale_app import catalogue, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.lessons import cases
from telltale_app.lessons.lesson import Choice, Fact, Lesson, Question, Step
from telltale_app.panels import roc

if TYPE_CHECKING:
    from telltale.bundle import Bundle

PLACE = 4
STRICT = 0.01
PICTURES = 2000


def by_auc(bundle: Bundle) -> list[str]:
    """Return the single detectors from the weakest to the strongest against all attacks of the bundle together."""
    return _by_auc(bundle, bundle.id)


@st.cache_data(max_entries=8, show_spinner=False)
def _by_auc(_bundle: Bundle, bundle_id: str) -> list[str]:  # noqa: ARG001  # the id is the key
    names = [name for name in scored_detectors(_bundle.scores) if name != FUSED]
    return sorted(names, key=lambda name: roc.auc(_bundle, _against_all(_bundle, name)))


def _against_all(bundle: Bundle, detector: str) -> contests.Contest:
    return contests.contest(bundle.scores, detector, contests.EVERY_ATTACK)


def _strongest(bundle: Bundle) -> str:
    return by_auc(bundle)[-1]


def _weakest(bundle: Bundle) -> str:
    return by_auc(bundle)[0]


def _view(choose: Callable[[Bundle], str]) -> Callable[[Bundle], dict[str, str]]:
    return lambda bundle: {"compare": "Detectors", "detector": choose(bundle), "against": contests.EVERY_ATTACK}


def _title(choose: Callable[[Bundle], str]) -> Fact:
    return lambda case: catalogue.detector_title(choose(case.bundle))


def _auc(choose: Callable[[Bundle], str]) -> Fact:
    return lambda case: f"{roc.auc(case.bundle, _against_all(case.bundle, choose(case.bundle))):.3f}"


def _rate(choose: Callable[[Bundle], str], adversarial: bool) -> Fact:
    """Return the fact of a share of test images that reach the detector's threshold at the case's α."""

    def fact(case: CaseAnalysis) -> str:
        detector = choose(case.bundle)
        contest = _against_all(case.bundle, detector)
        threshold = case.natural.verdict(detector).threshold
        scores = contest.adversarial if adversarial else contest.natural
        return "an unknown share" if threshold is None else words.percent(share_at_least(scores.values, threshold))

    return fact


LESSON = Lesson(
    name="threshold",
    title="Choosing a threshold",
    learns="A threshold is a price: you choose how many false alarms you pay, and read off what you catch for it.",
    minutes=5,
    facts={
        "strong": _title(_strongest),
        "strong_auc": _auc(_strongest),
        "caught": _rate(_strongest, adversarial=True),
        "alarms": _rate(_strongest, adversarial=False),
        "weak": _title(_weakest),
        "weak_auc": _auc(_weakest),
        "weak_caught": _rate(_weakest, adversarial=True),
        "weak_alarms": _rate(_weakest, adversarial=False),
        "pictures": lambda _: f"{PICTURES:,}",
        "expected": lambda case: f"{PICTURES * case.case.alpha:,.0f}",
    },
    steps=(
        Step(
            title="A score is not a verdict yet",
            text="**{strong}** gives every picture a score. Somewhere a line must be drawn. With α = {alpha} false "
            "alarms allowed, it catches **{caught}** of the adversarial test images and wrongly accuses {alarms} of "
            "the natural ones.",
            look="the grey dot on the curve: it is this operating point. *Scores* shows the line through both groups.",
            page="detectors",
            anchor="roc-curves",
            case=cases.attacked(PLACE),
            view=_view(_strongest),
            question=Question(
                "{pictures} natural pictures pass by, and nobody attacks. How many alarms should you expect at "
                "α = {alpha}?",
                (
                    Choice(
                        "None, if the detector is good",
                        "A good detector catches more at the same price. The price is what you set: about {expected}.",
                    ),
                    Choice(
                        "About {expected}",
                        "Whatever the detector: the threshold was placed on held-out natural images so that it "
                        "comes out at {alpha} on average. The {alarms} above is one draw of few images.",
                        right=True,
                    ),
                    Choice(
                        "That depends on the attack",
                        "What is *caught* depends on the attack. False alarms come from natural pictures alone: about "
                        "{expected}.",
                    ),
                ),
            ),
        ),
        Step(
            title="A stricter threshold",
            text="Now only {alpha} false alarms are allowed. **{strong}** catches **{caught}** and wrongly accuses "
            "{alarms}.",
            look="the slider *False alarms allowed*: move it and watch the dot walk along the curve.",
            page="detectors",
            anchor="roc-curves",
            case=cases.attacked(PLACE, alpha=STRICT),
            view=_view(_strongest),
            question=Question(
                "You allow fewer false alarms. What can that do to the share that is caught?",
                (
                    Choice(
                        "Raise it: a strict detector looks closer",
                        "It looks the same; only the line has moved up. Every score below it passes, natural or not.",
                    ),
                    Choice(
                        "Lower it or leave it as it is, never raise it",
                        "The line moved up, so a picture that passed before passes still.",
                        right=True,
                    ),
                    Choice(
                        "Nothing: the two have nothing to do with each other",
                        "One line decides both. That is why the curve only ever rises from left to right.",
                    ),
                ),
            ),
        ),
        Step(
            title="A threshold cannot save a weak detector",
            text="**{weak}** has an area under the curve of {weak_auc}, **{strong}** one of {strong_auc}; guessing has "
            "0.5. At the same price of {alpha} it catches **{weak_caught}** and wrongly accuses {weak_alarms}.",
            look="the curve of {weak} beside the dotted line, which is guessing.",
            page="detectors",
            anchor="roc-curves",
            case=cases.attacked(PLACE),
            view=_view(_weakest),
            question=Question(
                "Would another threshold make {weak} useful on this model?",
                (
                    Choice(
                        "Yes, with a lower one it catches everything",
                        "It would, and accuse nearly every natural picture as well. The curve shows the price.",
                    ),
                    Choice(
                        "No: a threshold only chooses a point on its curve, and the curve is poor",
                        "Choose the detector by its curve first, then the point by what a false alarm costs you.",
                        right=True,
                    ),
                ),
            ),
        ),
    ),
)
