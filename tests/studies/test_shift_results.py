"""Stored alarms under natural shift: what is read is what was written, and only about this very bundle."""

from __future__ import annotations

from types import SimpleNamespace

import pyarrow as pa
import pytest

from support.shifted import made_shift
from telltale.base.errors import DamagedBundleError
from telltale.base.files import save_table
from telltale.studies.shift import results

BUNDLE = SimpleNamespace(name="digits", id="a" * 64)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "shift")


def test_what_is_read_is_what_was_written() -> None:
    assert results.stored_shift(BUNDLE) is None
    found = made_shift()
    file = results.save_shift(BUNDLE, found)
    assert [entry.name for entry in file.parent.iterdir()] == ["digits.parquet"]
    assert results.stored_shift(BUNDLE) == found
    assert results.stored_shift(SimpleNamespace(name="digits", id="b" * 64)) is None
    assert results.stored_shift(SimpleNamespace(name="cifar10", id=BUNDLE.id)) is None


def test_a_file_of_something_else_is_damaged() -> None:
    file = results.save_shift(BUNDLE, made_shift())
    save_table(file, pa.table({"a": [1]}))
    with pytest.raises(DamagedBundleError, match="does not hold alarms under natural shift"):
        results.stored_shift(BUNDLE)
    save_table(file, results.SCHEMA.empty_table())
    with pytest.raises(DamagedBundleError, match="does not say what its figures came from"):
        results.stored_shift(BUNDLE)


def test_the_command_that_is_named_is_one() -> None:
    import shlex

    import typer

    from telltale.cli.program import program

    _, name, *words = shlex.split(results.shift_command("cifar10"))
    command = typer.main.get_command(program).commands[name]
    assert command.make_context(name, list(words)).params["name"] == "cifar10"
