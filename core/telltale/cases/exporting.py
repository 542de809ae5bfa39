"""A case as a zip: exact pictures, every number, and a script that computes them again."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, date, datetime

from telltale.cases.numbers import numbers_csv
from telltale.cases.record import SavedCase

RECORD, NATURAL, ATTACKED, TABLE, SCRIPT = "case.json", "natural.png", "attacked.png", "numbers.csv", "rerun.py"
NAMES = (RECORD, NATURAL, ATTACKED, TABLE, SCRIPT)
FIRST_DAY, LAST_DAY = date(1980, 1, 1), date(2107, 12, 31)  # of the format

_SCRIPT_TEXT = '''"""Compute this case again and print its numbers, as they stand in numbers.csv.

Unpack the whole zip and run this file with a Python in which Telltale is installed:

    python path/to/rerun.py

Exit status 0: the same numbers as saved; 1: some differ, and which is said on stderr; 2: something is missing.
"""

import sys
from pathlib import Path

try:
    from telltale.cases.rerun import main
except ModuleNotFoundError as missing:
    print(f"'{missing.name}' is missing: run this with a Python in which Telltale is installed.", file=sys.stderr)
    sys.exit(2)

sys.exit(main(Path(__file__).resolve().parent))
'''


def file_stem(case: SavedCase) -> str:
    """Return a name for the files of a case, safe on every system."""
    return f"telltale-{case.record.settings.bundle}-{case.record.id[:8]}"


def to_zip(case: SavedCase) -> bytes:
    """Return a case as a zip of `NAMES`; equal cases give equal bytes.

    ``case.json`` holds every digit, ``numbers.csv`` six significant ones, and the PNGs hold every pixel.
    """
    record = case.record
    files = {
        RECORD: json.dumps(record.to_json(), indent=1, allow_nan=False, ensure_ascii=False).encode(),
        NATURAL: case.natural_png,
        TABLE: numbers_csv(record.numbers).encode(),
        SCRIPT: _SCRIPT_TEXT.encode(),
    }
    if case.attacked_png is not None:
        files[ATTACKED] = case.attacked_png
    moment = record.saved_at.astimezone(UTC)
    stamp = (*_zip_date(moment), moment.hour, moment.minute, moment.second)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, stamp), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _zip_date(moment: datetime) -> tuple[int, int, int]:
    """Return the day, or the nearest one that zips can hold; ``case.json`` has the true one."""
    day = min(max(moment.date(), FIRST_DAY), LAST_DAY)
    return day.year, day.month, day.day
