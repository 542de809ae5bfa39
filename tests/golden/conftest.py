"""The command line as golden files have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.golden import TERMINAL, Said
from telltale.cli import main


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Run a command in this process and in the repository's folder, and return what it prints."""
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    for name, value in TERMINAL.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        assert main(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run
