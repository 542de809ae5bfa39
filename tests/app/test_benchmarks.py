"""The benchmarks that people run by hand still run: each once with tiny numbers, its figures not judged."""

from __future__ import annotations

import contextlib
import re

import pytest

from benchmarks import fair, load, small_host, soak

pytestmark = pytest.mark.slow


def test_a_small_crowd_is_shown_what_each_of_it_is_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    load.main(["--sessions", "2", "--idle", "2", "--analyses", "6", "--switches", "4"])
    said = capsys.readouterr().out
    assert "All sessions at once: 2 sessions, 0 lost, 0 wrong; 7 pages drawn" in said
    assert "2 idle connections, 0 lost" in said


def test_the_smallest_host_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    small_host.main(["--attacks", "1", "--only-measure", "--limit", "100000"])
    said = capsys.readouterr().out
    assert "13 pages drawn of 13, 0 differences" in said
    assert re.search(r"largest sum: \d{3,4} MB", said)


def test_two_visitors_are_timed(capsys: pytest.CaptureFixture[str]) -> None:
    # On a machine that tests share nobody knows how long anything takes: the ratio may end it with a sentence.
    try:
        fair.main(["--waiting", "6", "--times", "1"])
    except SystemExit as ended:
        assert "wanted is at most" in str(ended)
    assert len(re.findall(r"median ratio \d+\.\d\d", capsys.readouterr().out)) == 2


def test_a_short_soak_comes_out_as_alone(capsys: pytest.CaptureFixture[str]) -> None:
    # Nor is it known how soon a busy machine notices that a process is missing; what visitors saw counts nevertheless.
    with contextlib.suppress(SystemExit):
        soak.main(["--minutes", "0.3", "--visitors", "1", "--cases", "1", "--fault-every", "4"])
    said = capsys.readouterr().out
    assert "0 differences without a sentence, 0 problems" in said
    assert re.search(r"afterwards (\d+) of \1 errands came out as alone", said)
