"""What is said of alarms under natural shift, from counts made by hand."""

from __future__ import annotations

from scipy.stats import binomtest

from telltale.scores.rates import Rate
from telltale.scores.shift import OF_OTHERS, AlarmsUnderShift, ShiftAlarms, shift_sentences
from telltale.scores.titles import percent


def made(**alarms: tuple[int, int, int]) -> ShiftAlarms:
    """Return counts under three changes, of which the last leaves no image that is read correctly."""
    shifts = tuple(
        AlarmsUnderShift(name, title, kept, {key: Rate(counts[place], kept) for key, counts in alarms.items()})
        for place, (name, title, kept) in enumerate((("none", "as it is", 50), ("blur", "blurred", 40), ("x", "x", 0)))
    )
    return ShiftAlarms(0.05, 50, tuple(alarms), shifts)


def test_ten_percent_is_still_kept_and_the_worst_change_is_named() -> None:
    found = made(fused=(5, 4, 0), nnif=(5, 5, 0), lid=(6, 1, 0), random=(40, 40, 0))
    keeping, losing, others = shift_sentences(found)
    assert others == OF_OTHERS
    high = binomtest(5, 50).proportion_ci(0.95, "exact").high
    assert keeping == (
        "At α 5 %, false alarms stay at or below 10 % under every change for Fused verdict. "
        f"95 % intervals of the worst of each reach up to {percent(high)}."
    )
    low, high = binomtest(5, 40).proportion_ci(0.95, "exact")
    interval = f"{percent(low)} to {percent(high)}"
    assert losing.startswith(
        f"At α 5 %, false alarms exceed 10 % under some change for NNIF (12.5 %, {interval}, blurred); Local"
    )
    assert "as it is)" in losing and "random" not in losing
    assert found.worst("lid") == ("as it is", Rate(6, 50))


def test_nothing_is_said_of_whom_nobody_is() -> None:
    assert len(shift_sentences(made(fused=(0, 0, 0)))) == 2
    assert shift_sentences(made(random=(0, 0, 0))) == ()
