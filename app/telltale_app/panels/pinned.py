"""Pinned cases beside the current one: images, answers, costs and verdicts in columns, with what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from telltale.analysis.results import Analysis
from telltale.attacks.base import AttackResult
from telltale.detectors.fusion import FUSED
from telltale.scores import titles
from telltale_app import catalogue, pictures, pins, words
from telltale_app.analyses import CaseAnalysis, analyse
from telltale_app.link_images import image_words, is_gone

LETTERS = "ABC"
COMPARED = "compared"
SAME, OTHER = "same", "**differs**"
TOGETHER = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Side:
    """One column of the comparison.

    Attributes
    ----------
    title : str
    case : CaseAnalysis
    analysis : Analysis
        Of the image in this column.
    attack : AttackResult or None
        None for a natural image.
    """

    title: str
    case: CaseAnalysis
    analysis: Analysis
    attack: AttackResult | None


def pin_button(case: CaseAnalysis) -> None:
    """Offer to keep the current case for comparison, or to let it go."""
    if case.case in pins.pinned():
        st.button(
            "Unpin",
            icon=":material/keep_off:",
            key="unpin",
            on_click=pins.unpin,
            args=(case.case,),
            help="This case is pinned. Choose another attack, image or model to see both side by side.",
        )
        return
    st.button(
        "Pin to compare",
        icon=":material/keep:",
        key="pin",
        on_click=pins.pin,
        help=f"Keeps this case beside the next ones, at most {pins.MOST}: then choose another attack, image or model.",
    )


def show_pinned(current: CaseAnalysis) -> None:
    """Show the pinned cases beside the current one; nothing where none is pinned."""
    if not pins.pinned():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header("Compare with what is pinned", anchor="compare")
        st.button("Unpin all", icon=":material/keep_off:", key="unpin-all", on_click=pins.unpin_all)
    gone = sum(is_gone(case.image, catalogue.bundle(case.bundle)) for case in pins.pinned())
    if gone:
        st.warning(
            f"{'One pinned case is' if gone == 1 else f'{gone} pinned cases are'} left out: "
            "the picture is no longer on this server.",
            icon=":material/image_not_supported:",
        )
    others = _others(current)
    if not others and not gone:
        st.info(
            "This case is pinned. Choose another attack, image or model above: both then stand here side by side.",
            icon=":material/keep:",
        )
    if not others:
        return
    alpha = current.case.alpha
    columns = sides([*others, current])
    _pictures(columns)
    st.table(rows(columns), hide_index=True, alt="Answers, costs and verdicts of the compared images, column by column")
    st.caption(
        f"Every verdict stands at {words.percent(alpha)} false alarms. The last column compares the lettered ones."
    )


def lettered(current: CaseAnalysis) -> list[tuple[str, str, Analysis]]:
    """Return letter, name and analysis of every pinned case but the current one, at the current α."""
    found = []
    for letter, case in zip(LETTERS, _others(current), strict=False):
        name = "natural" if case.attack is None else catalogue.attack_title(case.attack.attack)
        found.append((letter, f"{name}, pinned", case.attacked or case.natural))
    return found


def _others(current: CaseAnalysis) -> list[CaseAnalysis]:
    """Return the pinned cases other than the current one whose pictures are still there."""
    alpha = current.case.alpha
    there = [case for case in pins.pinned() if not is_gone(case.image, catalogue.bundle(case.bundle))]
    return [analyse(replace(case, alpha=alpha), announce=False) for case in there if case != current.case]


def sides(cases: Sequence[CaseAnalysis]) -> list[Side]:
    """Return the columns: the image of each case, after the natural one where all of them attack the same."""
    columns = []
    first = cases[0]
    one_image = len({(case.case.bundle, case.case.image) for case in cases}) == 1
    if one_image and all(case.attacked is not None for case in cases):
        columns.append(Side("Natural", first, first.natural, None))
    several_models = len({case.case.bundle for case in cases}) > 1
    for letter, case in zip(LETTERS, cases, strict=False):
        title = "natural" if case.attack is None else catalogue.attack_title(case.attack.attack)
        model = f", {case.bundle.manifest.title}" if several_models else ""
        columns.append(Side(f"{letter}: {title}{model}", case, case.attacked or case.natural, case.attack))
    return columns


def _pictures(columns: Sequence[Side]) -> None:
    with st.grid(len(columns), min_column_width=140, gap="small"):
        for side in columns:
            with st.container(gap="xxsmall"):
                name, prediction = image_words(side.case.case.image), side.analysis.prediction
                st.markdown(f"**{side.title}**")
                pictures.show(side.analysis.image, alt=f"{side.title}: {name}, read as {prediction.name}")
                st.caption(f"{name}, read as {prediction.name} ({words.percent(prediction.confidence)})")
                if side.attack is not None:
                    st.caption(_settings(side.attack))


def rows(columns: Sequence[Side]) -> list[dict[str, str]]:
    """Return the table: one row per fact and per detector, one column per side, and what differs."""
    facts: list[tuple[str, Callable[[Side], str]]] = [
        ("read as", lambda side: side.analysis.prediction.name),
        ("L∞", lambda side: _of_attack(side, lambda attack: f"{float(attack.linf[0]):.3f}")),
        ("L2", lambda side: _of_attack(side, lambda attack: words.number(float(attack.l2[0])))),
        ("pixels changed", lambda side: _of_attack(side, lambda attack: f"{int(attack.l0[0])}")),
        ("gradients", lambda side: _of_attack(side, lambda attack: f"{int(attack.gradients[0]):,}")),
        ("queries", lambda side: _of_attack(side, lambda attack: f"{int(attack.queries[0]):,}")),
        ("time", lambda side: _of_attack(side, lambda attack: words.seconds(attack.seconds))),
    ]
    table = [_row(name, columns, [cell(side) for side in columns]) for name, cell in facts]
    for detector in _detectors(columns):
        answers = [_verdict(side.analysis, detector) for side in columns]
        row = _row(catalogue.detector_title(detector), columns, [f"{word}{p}" for word, p in answers])
        table.append(row | {COMPARED: _compared(columns, [word for word, _ in answers])})
    return table


def _row(name: str, columns: Sequence[Side], cells: Sequence[str]) -> dict[str, str]:
    values = {side.title: cell for side, cell in zip(columns, cells, strict=True)}
    return {"": name, **values, COMPARED: _compared(columns, cells)}


def _compared(columns: Sequence[Side], cells: Sequence[str]) -> str:
    """Say whether the lettered columns, the natural image left out, hold the same."""
    compared = [cell for side, cell in zip(columns, cells, strict=True) if side.title != "Natural"]
    return SAME if len(set(compared)) == 1 else OTHER


def _of_attack(side: Side, write: Callable[[AttackResult], str]) -> str:
    return "–" if side.attack is None else write(side.attack)


def _settings(attack: AttackResult) -> str:
    return f"{titles.settings(attack.parameters, catalogue.attack_parameters(attack.attack))}; seed {attack.seed}"


def _detectors(columns: Sequence[Side]) -> list[str]:
    """Return every detector that one of the models has, the fused verdict first."""
    fused = [FUSED] if any(side.analysis.fused is not None for side in columns) else []
    named = [verdict.detector for side in columns for verdict in side.analysis.verdicts]
    return [*fused, *dict.fromkeys(named)]


def _verdict(analysis: Analysis, detector: str) -> tuple[str, str]:
    """Return a detector's answer in words, with its icon, and its p-value; a dash where the model has none."""
    if detector == FUSED and analysis.fused is not None:
        word, icon, _ = words.fused_words(analysis.fused.kind)
        verdict = analysis.fused.attack
    else:
        found = [verdict for verdict in analysis.verdicts if verdict.detector == detector]
        if not found:
            return "–", ""
        verdict = found[0]
        word, icon, _ = words.verdict_words(verdict)
    return f"{icon} {word}", "" if verdict.p_value is None else f", p{TOGETHER}={TOGETHER}{verdict.p_value:.3f}"
