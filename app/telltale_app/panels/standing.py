"""Where the fused verdict stands: beside controls that cost nothing, and what it shows images as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from telltale.figures.palette import BAND
from telltale.scores import rates, table
from telltale.scores.contests import NATURAL_ERRORS, opponent_title
from telltale.scores.evaluation import stored_ahead, stored_joint, stored_macro_attacks, stored_standings
from telltale.scores.standings import Standing, ahead_sentence, standing_sentences, where
from telltale.scores.titles import kind_title
from telltale_app import catalogue, words
from telltale_app.analyses import CaseAnalysis

if TYPE_CHECKING:
    from telltale.bundle import Bundle
    from telltale.scores.comparing import JointBootstrap, Macro, PairedComparison

GROUP_TITLES = {
    table.NATURAL: "natural, read correctly",
    table.NATURAL_ERROR: NATURAL_ERRORS,
    rates.ALL_NATURAL: "all natural images",
}


def show_standings(bundle: Bundle) -> None:
    """Say which controls and single detectors the fused verdict does not beat, in plain words."""
    st.subheader("Beside what costs nothing", anchor=False)
    with st.skeleton(height=160):
        found = _standings(bundle, bundle.id)
    if not found:
        st.markdown("This model has no fused verdict to compare.")
        return
    st.markdown("\n".join(f"- {sentence}" for sentence in standing_sentences(found)))
    _show_ahead(bundle)
    st.caption(
        "By AUC on the stored test scores; better or worse only where the 95 % interval of the difference leaves 0 out "
        "(1,000 resamples of whole images, the same for both). The best control and the best detector are chosen on "
        "these very images, which favours them."
    )


def _show_ahead(bundle: Bundle) -> None:
    """List every detector and control that is ahead of the fused verdict, attack by attack."""
    found = _ahead(bundle, bundle.id)
    st.markdown(f"**Where the fused verdict is beaten.** {ahead_sentence(found)}")
    if not found:
        return
    rows = [
        {
            "test images": _upper(where(pair)),
            "by": catalogue.detector_title(pair.second),
            "AUC ahead by": -pair.auc.value,
            "95 % interval": f"{-pair.auc.high:.3f} to {-pair.auc.low:.3f}",
            "the verdict is": "beaten" if pair.auc.outcome == "worse" else "not told apart from it",
        }
        for pair in found
    ]
    st.dataframe(
        rows,
        hide_index=True,
        alt="Detectors and controls with a larger AUC than the fused verdict, per attack, with the difference",
        column_config={
            "test images": st.column_config.TextColumn(pinned=True),
            "AUC ahead by": st.column_config.NumberColumn(format="%.3f"),
        },
    )


def _upper(words_within: str) -> str:
    return words_within[:1].upper() + words_within[1:]


def show_macro(bundle: Bundle, detector: str) -> None:
    """Say the detector's unweighted means over the bundle's macro attacks."""
    attacks = stored_macro_attacks(bundle, _joint(bundle, bundle.id))
    if not attacks:
        return
    macro = _macro(bundle, bundle.id, detector, attacks)
    rate, low, high = (words.percent(round(value, 3)) for value in (macro.tpr, macro.tpr_low, macro.tpr_high))
    st.caption(
        f"Macro-AUC of {catalogue.detector_title(detector)}: {macro.auc:.3f} ({macro.auc_low:.3f} – "
        f"{macro.auc_high:.3f}), macro TPR at 5 % FPR: {rate} ({low} – {high}); the plain means over "
        f"{words.listed([opponent_title(attack) for attack in attacks])}, their images resampled jointly."
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _joint(_bundle: Bundle, bundle_id: str) -> JointBootstrap:  # noqa: ARG001  # the id is the key
    return stored_joint(_bundle)


@st.cache_data(max_entries=16, show_spinner=False)
def _standings(_bundle: Bundle, bundle_id: str) -> tuple[Standing, ...]:
    return stored_standings(_bundle, _joint(_bundle, bundle_id))


@st.cache_data(max_entries=16, show_spinner=False)
def _ahead(_bundle: Bundle, bundle_id: str) -> tuple[PairedComparison, ...]:
    return stored_ahead(_bundle, _joint(_bundle, bundle_id))


@st.cache_data(max_entries=64, show_spinner=False)
def _macro(_bundle: Bundle, bundle_id: str, detector: str, attacks: tuple[str, ...]) -> Macro:
    return _joint(_bundle, bundle_id).macro(detector, attacks)


def show_shown_as(bundle: Bundle, case: CaseAnalysis) -> None:
    """Show what the fused verdict takes natural and attacked test images for, at the chosen false-alarm rate."""
    alpha = case.case.alpha
    found = _rates(bundle, bundle.id, alpha)
    if not found.shown:
        st.markdown("This model has no fused verdict, so no image is shown as anything.")
        return
    titles = {kind: kind_title(kind) for kind in ("adversarial", "error", "natural")}
    rows = [
        {
            "test images": GROUP_TITLES.get(group.group, opponent_title(group.group)),
            **{title: 100 * getattr(group, kind).share for kind, title in titles.items()},
            "number": group.natural.total,
        }
        for group in found.shown
    ]
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        alt="Share of test images that the fused verdict shows as adversarial, probably wrong and natural, per attack",
        column_config={
            "test images": st.column_config.TextColumn(pinned=True),
            **{title: st.column_config.NumberColumn(format="%.1f %%") for title in titles.values()},
        },
    )
    st.caption(
        f"The fused verdict at α {words.percent(alpha)}. An image that raises both its alarms is shown as what is "
        "likelier, so an attack can be shown as an error: noticed, but not called an attack."
        + ("" if found.errors is None else f" {rates.error_sentence(found.errors)}")
    )


def false_alarms(bundle: Bundle, detector: str, alpha: float) -> rates.FalseAlarms:
    """Return a calibrated detector's false alarms among natural test images."""
    return next(alarms for alarms in _rates(bundle, bundle.id, alpha).alarms if alarms.name == detector)


def threshold_of(bundle: Bundle, name: str, alpha: float) -> float | None:
    """Return the calibrated threshold of a detector or control; None where it has none."""
    return _thresholds(bundle, bundle.id, alpha).get(name)


@st.cache_data(max_entries=64, show_spinner=False)
def _rates(_bundle: Bundle, bundle_id: str, alpha: float) -> rates.Rates:  # noqa: ARG001  # the id is the key
    return rates.rates_of(_bundle.scores, alpha)


@st.cache_data(max_entries=64, show_spinner=False)
def _thresholds(_bundle: Bundle, bundle_id: str, alpha: float) -> Mapping[str, float]:  # noqa: ARG001  # the id is the key
    return rates.thresholds(_bundle.scores, alpha)


def muted(rows: Sequence[Mapping[str, object]], quiet: Sequence[bool]) -> pd.io.formats.style.Styler:
    """Return a table whose quiet rows have a grey ground, which leaves their text readable in both themes."""
    grounds = [f"background-color: {BAND}" if is_quiet else "" for is_quiet in quiet]
    return pd.DataFrame(rows).style.apply(lambda _: grounds, axis=0)
