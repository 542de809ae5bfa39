"""What commands print and write: one table or one JSON object, files whole or not at all, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from telltale.base.errors import InputError
from telltale.base.terminal import plain_console
from telltale.base.time_left import TimeLeft

LINE_SECONDS = 10.0


def print_record(record: Mapping[str, object], table: Table, as_json: bool) -> None:
    """Print a record as one JSON object, or the table that shows it."""
    if as_json:
        print_json(record)
    else:
        plain_console().print(table)


def print_json(record: Mapping[str, object]) -> None:
    """Print a record as one JSON object."""
    sys.stdout.write(json.dumps(_plain(record), allow_nan=False) + "\n")


def pairs_table(record: Mapping[str, object]) -> Table:
    """Lay out a record, a line for each key."""
    table = Table("what", "value")
    for key, value in record.items():
        if isinstance(value, Mapping):
            table.add_row(key, ", ".join(f"{name}={text(item)}" for name, item in value.items()))
        else:
            table.add_row(key, text(value))
    return table


def text(value: object) -> str:
    """Write a value as tables show it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Report:
    """Progress on stderr, a bar in a terminal and now and then a line elsewhere; called as any `Progress`.

    Nothing is shown before the first report, nor a line before anything is done, so that refused input leaves one
    sentence and nothing else.
    """

    def __init__(self) -> None:
        self._console = plain_console(stderr=True)
        columns = (_words("description"), BarColumn(), TimeElapsedColumn(), _words("fields[left]"))
        self._bar = ProgressBar(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("Starting", total=1.0, left="")
        self._time_left = TimeLeft()
        self._said_at = -LINE_SECONDS

    def __call__(self, fraction: float, message: str) -> None:
        """Show that a share of everything is done, and what is being done."""
        left = self._time_left.words(fraction, message)
        self._bar.start()
        self._bar.update(self._task, completed=fraction, description=message, left=left)
        due = fraction >= 1.0 or (fraction > 0.0 and time.monotonic() - self._said_at >= LINE_SECONDS)
        if due and not self._console.is_terminal:
            self._said_at = time.monotonic()
            self.say(f"{fraction:4.0%} {', '.join(part for part in (message, left) if part)}")

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar where there is one."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextlib.contextmanager
def progress() -> Iterator[Report]:
    """Yield what shows progress on stderr, and stdout that libraries cannot write to."""
    report = Report()
    with quiet_stdout():
        try:
            yield report
        finally:
            report.stop()


def _words(what: str) -> TextColumn:
    return TextColumn(f"{{task.{what}}}", markup=False)


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Drop what libraries print, so that stdout holds the answer and nothing else."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def check_writable(path: Path | None, option: str) -> None:
    """Refuse a file that cannot be written, before anything is computed for it; `option` names it."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option} '{path}' is a folder.")
    if not path.parent.is_dir():
        raise InputError(f"{option} '{path}' cannot be written: there is no folder '{path.parent}'.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{option} '{path}' cannot be written: the folder '{path.parent}' is read-only.")


def write_whole(path: Path, data: bytes, option: str = "--out") -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(f".telltale-{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{option} '{path}' cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Replace numbers that JSON cannot hold (NaN, infinity) by null, everywhere inside."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
