"""The time left: from the pace of the present stage, in words, in the lines that a command prints."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest

import telltale.cli.output
from telltale.base.time_left import TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def words(*reports: tuple[float, float, str]) -> list[str]:
    """What is said after each report of (seconds since the start, fraction, message)."""
    clock = Clock()
    left = TimeLeft(clock)
    said = []
    for seconds, fraction, message in reports:
        clock.now = 1000.0 + seconds
        said.append(left.words(fraction, message))
    return said


@pytest.mark.parametrize(
    ("seconds", "fraction", "expected"),
    [
        (10, 0.5, "10 s left"),
        (60, 0.5, "60 s left"),
        (60, 0.25, "3 min left"),
        (600, 0.1, "1 h 30 min left"),
        (600, 0.125, "70 min left"),
        (6000, 0.05, "31 h 40 min left"),
        (2.9, 0.5, ""),
        (60, 1.0, ""),
        (60, 0.0, ""),
    ],
)
def test_the_rest_goes_at_the_pace_so_far(seconds: float, fraction: float, expected: str) -> None:
    assert words((0, 0.0, "Working"), (seconds, fraction, "Working on")) == ["", expected]


def test_a_new_stage_has_a_pace_of_its_own() -> None:
    said = words((0, 0.0, "Reading"), (30, 0.5, "Training, epoch 15 of 28"), (40, 0.6, "Training, epoch 16 of 28"))
    assert said == ["", "", "40 s left"], "a resumed training was taken for a fast one"


def test_lines_tell_what_is_done_how_fast_and_the_time_left(monkeypatch, capsys) -> None:
    clock = Clock()
    monkeypatch.setattr(telltale.cli.output.time, "monotonic", clock)
    monkeypatch.setattr(telltale.cli.output, "TimeLeft", lambda: TimeLeft(clock))

    def work(name: str, *, data: object, out: object, progress: telltale.cli.output.Report) -> str:
        progress(0.0, "Reading made")
        for step in range(1, 101):
            clock.now += 4.0
            progress(step / 100, f"Training, epoch {1 + step // 10} of 10, 850 images/s")
        return "made"

    module = ModuleType("telltale.models.training")
    module.train = work
    monkeypatch.setitem(sys.modules, "telltale.models.training", module)
    assert telltale.cli.main(["train", "made"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "Trained made.\n"
    lines = printed.err.splitlines()
    assert len(lines) == 34, "one every three reports, of 4 s each"
    assert lines[0] == "  1% Training, epoch 1 of 10, 850 images/s"
    assert lines[11] == " 34% Training, epoch 4 of 10, 850 images/s, 4 min left"
    assert lines[-1].startswith("100% Training")
    assert [int(re.match(r" *(\d+)%", line)[1]) for line in lines] == list(range(1, 101, 3))
