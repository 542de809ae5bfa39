"""How well the detectors do on the bundle's stored scores, and where the current case stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import catalogue, layout, words
from app.analyses import CaseAnalysis
from core import metrics, views
from core.figures import palette
from core.figures.maps import distributions
from core.figures.roc import rates_against_threshold, roc_curves
from core.results import Analysis

if TYPE_CHECKING:
    from core.bundle import Bundle
    from core.metrics import DetectorMetrics

NATURAL_ERRORS = "natural errors"
EVERY_ATTACK = "all attacks"


@dataclass(frozen=True)
class Contest:
    """One detector against one attack on stored test scores.

    Attributes
    ----------
    detector, attack : str
        Registry names; `attack` may be `NATURAL_ERRORS` or `EVERY_ATTACK`.
    natural, adversarial : ScoreSet
    """

    detector: str
    attack: str
    natural: views.ScoreSet
    adversarial: views.ScoreSet

    @property
    def possible(self) -> bool:
        """Whether there are scores on both sides."""
        return len(self.natural) > 0 and len(self.adversarial) > 0


def contest(bundle: Bundle, detector: str, attack: str) -> Contest:
    """Gather the stored test scores of one detector against one attack."""
    column = f"score_{detector}"
    natural = views.select_scores(bundle.scores, column, "natural")
    if attack == NATURAL_ERRORS:
        return Contest(detector, attack, natural, views.select_scores(bundle.scores, column, "natural_error"))
    chosen = None if attack == EVERY_ATTACK else attack
    return Contest(detector, attack, natural, views.select_scores(bundle.scores, column, "adversarial", attack=chosen))


def scored_detectors(bundle: Bundle) -> tuple[str, ...]:
    """Return the detectors with stored scores."""
    return tuple(name.removeprefix("score_") for name in bundle.scores.column_names if name.startswith("score_"))


def attack_words(attack: str) -> str:
    """Return the name of an attack, or of what stands in its place, for people."""
    return attack if attack in (NATURAL_ERRORS, EVERY_ATTACK) else catalogue.attack_title(attack)


def measure(bundle: Bundle, item: Contest) -> DetectorMetrics:
    """Return every published figure of one contest, the same as on the command line."""
    return _measure(item, bundle.id, item.detector, item.attack, bundle.manifest.seed)


@st.cache_data(max_entries=512, show_spinner=False)
def _measure(_contest: Contest, bundle_id: str, detector: str, attack: str, seed: int) -> DetectorMetrics:  # noqa: ARG001
    paired = attack != NATURAL_ERRORS
    return metrics.evaluate_detector(
        detector,
        attack,
        _contest.natural.values,
        _contest.adversarial.values,
        seed=seed,
        natural_groups=_contest.natural.ids if paired else None,
        adversarial_groups=_contest.adversarial.ids if paired else None,
    )


def auc(bundle: Bundle, item: Contest) -> float:
    """Return the area under the curve alone, at once: an interval takes seconds where there are many images."""
    return _auc(item, bundle.id, item.detector, item.attack)


@st.cache_data(max_entries=512, show_spinner=False)
def _auc(_contest: Contest, bundle_id: str, detector: str, attack: str) -> float:  # noqa: ARG001  # they are the key
    return metrics.auc(_contest.natural.values, _contest.adversarial.values)


def show_macro_auc(bundle: Bundle, detector: str) -> None:
    """Say the detector's unweighted mean AUC over the bundle's macro attacks."""
    attacks = bundle.manifest.notes.get("macro_attacks") or views.attacks_in(bundle.scores)
    contests = [contest(bundle, detector, attack) for attack in attacks]
    if not all(item.possible for item in contests):
        return
    value = metrics.macro_auc({item.attack: auc(bundle, item) for item in contests})
    named = words.listed([attack_words(attack) for attack in attacks])
    st.caption(f"Macro-AUC of {catalogue.detector_title(detector)}: {value:.3f}, the plain mean over {named}.")


def show_roc(
    bundle: Bundle, contests: Sequence[Contest], chosen: Contest, case: CaseAnalysis, logarithmic: bool
) -> None:
    """Show the ROC curves with the operating point and the current case on the chosen one."""
    curves = []
    for item in contests:
        curve = metrics.roc_curve(item.natural.values, item.adversarial.values)
        label = attack_words(item.attack) if _one_detector(contests) else catalogue.detector_title(item.detector)
        turns = views.corners(curve.fpr, curve.tpr)
        curves.append((f"{label}, AUC {auc(bundle, item):.3f}", curve.fpr[turns], curve.tpr[turns]))
    best = max(contests, key=lambda item: auc(bundle, item))
    layout.chart(
        roc_curves(curves, _marks(chosen, case), logarithmic, 1.0 / len(chosen.natural)),
        f"ROC of {len(contests)} curves; the best is {catalogue.detector_title(best.detector)} against "
        f"{attack_words(best.attack)} with AUC {auc(bundle, best):.3f}",
        "roc",
    )


def _one_detector(contests: Sequence[Contest]) -> bool:
    return len({item.detector for item in contests}) == 1


def _marks(chosen: Contest, case: CaseAnalysis) -> list[tuple[str, float, float, str, str]]:
    marks = []
    for image, analysis in case.views():
        score = analysis.verdict(chosen.detector).score
        colour, symbol = palette.IMAGE_COLOURS[image], palette.MAP_SYMBOLS[image]
        marks.append((f"this image, {image}", *_rates(chosen, score), colour, symbol))
    threshold = case.natural.verdict(chosen.detector).threshold
    if threshold is not None:
        name = f"operating point, α {words.percent(case.case.alpha)}"
        marks.append((name, *_rates(chosen, threshold), palette.NEUTRAL, "circle"))
    return marks


def _score(analysis: Analysis, chosen: Contest) -> float:
    return analysis.verdict(chosen.detector).score


def _rates(chosen: Contest, threshold: float) -> tuple[float, float]:
    return (
        views.share_at_least(chosen.natural.values, threshold),
        views.share_at_least(chosen.adversarial.values, threshold),
    )


def show_operating_point(chosen: Contest, case: CaseAnalysis) -> None:
    """Show what the chosen false-alarm rate gives on test images."""
    verdict = case.natural.verdict(chosen.detector)
    if verdict.threshold is None:
        st.info(
            "This detector is not calibrated for this model: it has scores but no threshold.", icon=":material/help:"
        )
        return
    false_rate, true_rate = _rates(chosen, verdict.threshold)
    with st.grid("auto", min_column_width=140, gap="small"):
        st.metric(
            "Caught (TPR)",
            words.percent(true_rate),
            border=True,
            help=f"Of {len(chosen.adversarial):,} adversarial test images.",
        )
        st.metric(
            "False alarms (FPR)",
            words.percent(false_rate),
            border=True,
            help=f"Of {len(chosen.natural):,} natural test images; α promised {words.percent(case.case.alpha)}.",
        )
        st.metric(
            "Threshold",
            words.number(verdict.threshold),
            border=True,
            help=f"From {verdict.n_calibration} held-out natural images.",
        )
    low, high = metrics.binomial_interval(round(false_rate * len(chosen.natural)), len(chosen.natural))
    st.caption(
        f"With {len(chosen.natural):,} natural test images the false-alarm rate is only known to lie between "
        f"{words.percent(low)} and {words.percent(high)} (95 %)."
    )


def show_scores(chosen: Contest, case: CaseAnalysis) -> None:
    """Show the densities of the scores, and both rates against the threshold."""
    threshold = case.natural.verdict(chosen.detector).threshold
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Scores**")
        groups = [
            ("natural", *views.density_curve(chosen.natural.values), palette.NATURAL),
            (attack_words(chosen.attack), *views.density_curve(chosen.adversarial.values), palette.ATTACKED),
        ]
        marks = [
            (
                f"this image, {image}",
                _score(analysis, chosen),
                palette.IMAGE_COLOURS[image],
                palette.IMAGE_SYMBOLS[image],
            )
            for image, analysis in case.views()
        ]
        said = words.listed([f"{name} {words.number(score)}" for name, score, _, _ in marks])
        layout.chart(distributions(groups, marks, "score", threshold), f"Score densities; {said}", "score-densities")
    with right:
        st.markdown("**Rates against the threshold**")
        curve = metrics.roc_curve(chosen.natural.values, chosen.adversarial.values)
        layout.chart(
            rates_against_threshold(curve.thresholds[1:], curve.tpr[1:], curve.fpr[1:], threshold),
            f"Catches and false alarms fall as the threshold rises; it stands at {words.number(threshold)}",
            "rates",
        )


def show_table(bundle: Bundle, contests: Sequence[Contest], case: CaseAnalysis) -> None:
    """Show the figures of every contest: at the calibrated threshold, and read off the test images' own ROC curve."""
    alpha = words.percent(case.case.alpha)
    with st.skeleton(height=40 * (len(contests) + 1)):
        measured = [measure(bundle, item) for item in contests]
    rows = []
    for item, found in zip(contests, measured, strict=True):
        rows.append(
            {
                "detector": catalogue.detector_title(item.detector),
                "against": attack_words(item.attack),
                **_calibrated_rates(item, case, alpha),
                "AUC": found.auc,
                "95 % interval": f"{found.auc_low:.3f} – {found.auc_high:.3f}",
                "EER accuracy": 100 * found.eer_accuracy,
                **{f"TPR at {words.percent(rate)} FPR": 100 * value for rate, value in found.tpr_at_fpr.items()},
                "natural": found.n_natural,
                "adversarial": found.n_adversarial,
            }
        )
    percent_columns = [name for name in rows[0] if name.startswith(("EER", "TPR", "caught", "false"))]
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        alt="AUC with interval, equal-error accuracy and true-positive rates per detector and attack",
        column_config={
            "AUC": st.column_config.NumberColumn(format="%.3f"),
            **{name: st.column_config.NumberColumn(format="%.1f %%") for name in percent_columns},
        },
    )
    st.caption(
        f"Caught and false alarms at α {alpha}: with the threshold from held-out natural images, as a user has it. "
        "TPR at an FPR: read off the ROC curve of these test images, as papers report it."
    )


def _calibrated_rates(item: Contest, case: CaseAnalysis, alpha: str) -> dict[str, float | None]:
    """Return what a detector catches, and its false alarms, at its calibrated threshold."""
    threshold = case.natural.verdict(item.detector).threshold
    false_rate, true_rate = (None, None) if threshold is None else _rates(item, threshold)
    return {
        f"caught at α {alpha}": None if true_rate is None else 100 * true_rate,
        "false alarms": None if false_rate is None else 100 * false_rate,
    }
