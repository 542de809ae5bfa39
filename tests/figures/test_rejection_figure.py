"""The figure of success after rejection against loops over the stored rows."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from support.judged import judged_rows
from telltale.figures.results.rejection import success_curves
from telltale.scores.rejection import ADAPTIVE, NONE, SCHEMA, success_after_rejection

BUDGETS, IMAGES = (0, 2, 8), 30
ATTACKERS = {"FGSM": ("fgsm", NONE), "PGD": ("pgd", NONE), "Adaptive PGD": ("adaptive", ADAPTIVE)}
WORST = {
    "Worst case, zero-knowledge": [("fgsm", NONE), ("pgd", NONE)],
    "Worst case, adaptive": list(ATTACKERS.values()),
}
CURVES = {name: [attacker] for name, attacker in ATTACKERS.items()} | WORST


def stored(attackers=None) -> list[dict]:
    return judged_rows(attackers or ATTACKERS.values(), BUDGETS, IMAGES, certain=10, steps=100, seed=1)


def drawn(rows: list[dict], alpha: float) -> go.Figure:
    return success_curves(success_after_rejection(pa.Table.from_pylist(rows, schema=SCHEMA), alpha))


def counted(rows: list[dict], attackers: list, eps: int, alpha: float | None) -> int:
    """Count images that one of the attackers turns wrong, and at some alpha also unrejected."""
    won = {
        row["image_id"]
        for row in rows
        if (row["attack"], row["knowledge"]) in attackers and row["eps"] == eps and row["wrong"]
        if alpha is None or not row["p_value"] <= alpha
    }
    return len(won)


@pytest.mark.parametrize("alpha", [0.05, 0.4])
def test_every_line_is_what_counting_gives(alpha) -> None:
    rows = stored()
    figure = drawn(rows, alpha)
    after = {trace.name: trace for trace in figure.data if trace.showlegend is None}
    before = {trace.name: trace for trace in figure.data if trace.name and trace.showlegend is False}
    assert list(after) == list(before) == list(CURVES)
    for name, attackers in CURVES.items():
        counts = [counted(rows, attackers, eps, alpha) for eps in BUDGETS]
        assert list(after[name].x) == list(before[name].x) == list(BUDGETS)
        assert list(after[name].y) == pytest.approx([count / IMAGES for count in counts])
        wrong = [counted(rows, attackers, eps, None) / IMAGES for eps in BUDGETS]
        assert list(before[name].y) == pytest.approx(wrong) and wrong[-1] > counts[-1] / IMAGES
        exact = [binomtest(count, IMAGES).proportion_ci(0.95, "exact") for count in counts]
        low, high = ([getattr(interval, end) for interval in exact] for end in ("low", "high"))
        assert np.allclose(after[name].customdata, np.transpose([low, high]))
        if name in WORST:
            (band,) = (trace for trace in figure.data if trace.fill and trace.legendgroup == name)
            assert list(band.y) == pytest.approx([*high, *reversed(low)])
        else:
            assert np.allclose(after[name].y + np.array(after[name].error_y.array), high)
            assert np.allclose(after[name].y - np.array(after[name].error_y.arrayminus), low)


def test_who_knows_the_detectors_is_dashed_and_every_line_differs_by_more_than_colour() -> None:
    figure = drawn(stored(), 0.05)
    lines = [trace for trace in figure.data if trace.showlegend is None]
    assert {trace.name for trace in lines if trace.line.dash == "dash"} == {
        "Adaptive PGD",
        "Worst case, adaptive",
    }
    looks = {(trace.line.dash, trace.line.width, trace.marker.symbol) for trace in lines}
    assert len(looks) == len(lines) == 5
    thin = [trace for trace in figure.data if trace.name and trace.showlegend is False]
    assert max(trace.line.width for trace in thin) < min(trace.line.width for trace in lines)


def test_it_can_be_sent_and_lets_the_page_show_through() -> None:
    figure = drawn(stored(), 0.05)
    assert json.loads(figure.to_json())["data"] and figure == drawn(stored(), 0.05)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert list(figure.layout.xaxis.tickvals) == list(BUDGETS)


def test_one_attacker_alone_has_no_worst_case() -> None:
    figure = drawn(stored([("pgd", NONE)]), 0.05)
    assert [trace.name for trace in figure.data] == ["PGD", "PGD"]
