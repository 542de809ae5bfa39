"""Success after rejection, drawn: every attack and the worst cases, for the budgets of a stored study."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go

from telltale.figures import rejection
from telltale.figures.rejection import SuccessCurve
from telltale.scores.rejection import ADAPTIVE, WORST, Success
from telltale.scores.titles import attack_title


def success_curves(successes: Sequence[Success]) -> go.Figure:
    """Return one curve for each attacker.

    Parameters
    ----------
    successes : sequence of Success
        As `telltale.scores.rejection.success_after_rejection` orders them: attacker by attacker, budgets ascending.
    """
    by_attacker = groupby(successes, key=lambda success: (success.attack, success.knowledge))
    return rejection.success_curves([_curve(list(found)) for _, found in by_attacker])


def _curve(found: Sequence[Success]) -> SuccessCurve:
    first = found[0]
    worst = first.attack == WORST
    name = first.title if worst else attack_title(first.attack)  # dashes say what it knows; a legend has little room
    intervals = [success.after.interval for success in found]
    return SuccessCurve(
        name,
        [success.eps for success in found],
        [success.before.share for success in found],
        [success.after.share for success in found],
        [low for low, _ in intervals],
        [high for _, high in intervals],
        first.after.total,
        first.knowledge == ADAPTIVE,
        worst,
    )
