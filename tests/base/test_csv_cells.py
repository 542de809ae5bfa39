"""Cells of CSV files that a spreadsheet would take for formulas, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telltale.base.csv_cells import as_text, as_written


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(1)", "--", "-"])
def test_what_a_spreadsheet_would_run_is_shown_as_text(text: str) -> None:
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "-1.5", "+2", "-113.456", "1e-05", "-inf", "nan", "cat", "a=b", "it's", "'quoted'"]
)
def test_numbers_and_other_text_stay_as_they_are(text: str) -> None:
    assert as_text(text) == text


def test_what_is_no_text_stays_what_it_is() -> None:
    assert [as_text(cell) for cell in (-1, -1.5, None, True)] == [-1, -1.5, None, True]


@given(st.text() | st.from_regex(r"'*[=+\-@\t\r].*"))
def test_what_was_written_is_read_again(text: str) -> None:
    written = as_text(text)
    assert isinstance(written, str)
    assert as_written(written) == text
    assert written[:1] not in ("=", "@", "\t", "\r")
