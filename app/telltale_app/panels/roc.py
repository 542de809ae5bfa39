"""How well the detectors do on the bundle's stored scores, and where the current case stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from telltale.figures.results.scores import rates_against_threshold, roc_curves, score_densities
from telltale.scores import metrics
from telltale.scores.calibration import rate_interval
from telltale.scores.contests import NATURAL_ERRORS, Contest, opponent_title
from telltale.scores.controls import CONTROLS
from telltale_app import catalogue, layout, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels import standing

if TYPE_CHECKING:
    from telltale.bundle import Bundle
    from telltale.scores.metrics import DetectorMetrics
    from telltale.scores.verdicts import Verdict

NAMES = 225  # pixels of the column of names: the longest is a control's


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


def show_roc(
    bundle: Bundle, contests: Sequence[Contest], chosen: Contest, case: CaseAnalysis, logarithmic: bool
) -> None:
    """Show the ROC curves with the operating point and the current case on the chosen one."""
    areas = [auc(bundle, item) for item in contests]
    st.subheader("ROC curves", anchor="roc-curves")
    best = max(contests, key=lambda item: auc(bundle, item))
    layout.chart(
        roc_curves(contests, areas, chosen, case.views(), logarithmic),
        f"ROC of {len(contests)} curves; the best is {catalogue.detector_title(best.detector)} against "
        f"{opponent_title(best.attack)} with AUC {auc(bundle, best):.3f}",
        "roc",
    )
    if len({item.detector for item in contests}) > 1:
        st.caption(
            "Grey: all others; point at a curve for its name. Every figure stands in the table *All figures* below."
        )


def show_operating_point(bundle: Bundle, chosen: Contest, case: CaseAnalysis) -> None:
    """Show what the chosen false-alarm rate gives on test images."""
    verdict = case.natural.verdict(chosen.detector)
    if verdict.threshold is None:
        st.info(
            "This detector is not calibrated for this model: it has scores but no threshold.", icon=":material/help:"
        )
        return
    false_rate, true_rate = chosen.rates(verdict.threshold)
    alarms = standing.false_alarms(bundle, chosen.detector, case.case.alpha)
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
            help=f"Of the {len(chosen.natural):,} natural test images that the model reads correctly; α promised "
            f"{words.percent(case.case.alpha)}.",
        )
        st.metric(
            "FPR, all natural",
            words.percent(alarms.every.share),
            border=True,
            help=f"Of all {alarms.every.total:,} natural test images, misread ones included, for which α promises "
            "nothing.",
        )
        st.metric(
            "Threshold",
            words.threshold(verdict.threshold),
            border=True,
            help=f"From {verdict.n_calibration} held-out natural images.",
        )
    low, high = alarms.correct.interval
    all_low, all_high = alarms.every.interval
    st.caption(
        f"With {len(chosen.natural):,} natural test images the false-alarm rate is only known to lie between "
        f"{words.percent(low)} and {words.percent(high)} (95 %), and with all {alarms.every.total:,}, misread ones "
        f"included, between {words.percent(all_low)} and {words.percent(all_high)}. {_promise_words(verdict)}"
    )


def _promise_words(verdict: Verdict) -> str:
    """Say how exactly a stated rate can hold at all."""
    low, high = rate_interval(verdict.n_calibration, verdict.alpha)
    return (
        f"The threshold rests on {verdict.n_calibration:,} other natural images: so many place a stated rate of "
        f"{words.percent(verdict.alpha)} between {words.percent(low)} and {words.percent(high)}."
    )


def show_scores(chosen: Contest, case: CaseAnalysis) -> None:
    """Show the densities of the scores, and both rates against the threshold."""
    threshold = case.natural.verdict(chosen.detector).threshold
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Scores", anchor=False)
        said = words.listed(
            [
                f"this image, {image} {words.number(analysis.verdict(chosen.detector).score)}"
                for image, analysis in case.views()
            ]
        )
        layout.chart(score_densities(chosen, case.views()), f"Score densities; {said}", "score-densities")
    with right:
        st.subheader("Rates against the threshold", anchor=False)
        layout.chart(
            rates_against_threshold(chosen, case.views()),
            f"Catches and false alarms fall as the threshold rises; it stands at {words.threshold(threshold)}",
            "rates",
        )


def show_table(bundle: Bundle, contests: Sequence[Contest], case: CaseAnalysis) -> None:
    """Show the figures of every contest: at the calibrated threshold, and read off the test images' own ROC curve."""
    alpha = words.percent(case.case.alpha)
    with st.skeleton(height=40 * (len(contests) + 1)):
        measured = [measure(bundle, item) for item in contests]
    by_attack = len({item.detector for item in contests}) == 1 < len(contests)
    rows = []
    for item, found in zip(contests, measured, strict=True):
        rows.append(
            {
                **_named(item, by_attack),
                **_calibrated_rates(item, standing.threshold_of(bundle, item.detector, case.case.alpha), alpha),
                "AUC": found.auc,
                "95 % interval": f"{found.auc_low:.3f} – {found.auc_high:.3f}",
                "EER accuracy": 100 * found.eer_accuracy,
                **_rates_with_intervals(found),
                "natural": found.n_natural,
                "adversarial": found.n_adversarial,
            }
        )
    percent_columns = [name for name in rows[0] if name.startswith(("EER", "TPR", "caught", "false"))]
    st.dataframe(
        standing.muted(rows, [item.detector in CONTROLS for item in contests]),
        hide_index=True,
        height="content",
        alt="AUC with interval, equal-error accuracy and true-positive rates per detector and attack",
        column_config={
            next(iter(rows[0])): st.column_config.TextColumn(pinned=True, width=NAMES),
            "AUC": st.column_config.NumberColumn(format="%.3f"),
            **{name: st.column_config.NumberColumn(format="%.1f %%") for name in percent_columns},
        },
    )
    st.caption(
        f"Caught and false alarms at α {alpha}: with the threshold from held-out natural images, as a user has it. "
        "TPR at an FPR, with its 95 % interval: read off the ROC curve of these test images, as papers report it."
        + (" Grey rows are controls, which cost nothing." if any(i.detector in CONTROLS for i in contests) else "")
    )


def _named(item: Contest, by_attack: bool) -> dict[str, str]:
    """Return what tells a row from the others: its attack where all rows are of one detector, else its detector."""
    if by_attack:
        return {"against": opponent_title(item.attack)}
    return {"detector": catalogue.detector_title(item.detector)}


def _rates_with_intervals(found: DetectorMetrics) -> dict[str, float | str]:
    """Return the true-positive rates read off the curve, each beside its interval."""
    cells: dict[str, float | str] = {}
    for rate, value in found.tpr_at_fpr.items():
        low, high = found.tpr_intervals[rate]
        cells[f"TPR at {words.percent(rate)} FPR"] = 100 * value
        cells[f"95 % interval at {words.percent(rate)}"] = f"{100 * low:.0f} – {100 * high:.0f} %"
    return cells


def _calibrated_rates(item: Contest, threshold: float | None, alpha: str) -> dict[str, float | None]:
    """Return what a detector catches, and its false alarms, at its calibrated threshold."""
    false_rate, true_rate = (None, None) if threshold is None else item.rates(threshold)
    return {
        f"caught at α {alpha}": None if true_rate is None else 100 * true_rate,
        "false alarms": None if false_rate is None else 100 * false_rate,
    }
