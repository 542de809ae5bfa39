"""Text in CSV files that people open in spreadsheets, which take a cell for a formula by its first character."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def as_text(cell: object) -> object:
    """Return a cell for a CSV file: text that a spreadsheet would run gets an apostrophe, which shows it as text.

    Numbers, also as text, stay as they are. `as_written` takes the apostrophe away again.

    Parameters
    ----------
    cell : object

    Examples
    --------
    >>> as_text("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    >>> as_text("-1.5e-3")
    '-1.5e-3'
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def as_written(cell: str) -> str:
    """Return the text that `as_text` was given.

    Examples
    --------
    >>> as_written("'=HYPERLINK(1)")
    '=HYPERLINK(1)'
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
