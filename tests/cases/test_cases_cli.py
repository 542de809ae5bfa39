"""Saved cases on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.saved_cases import saved_case
from telltale.cases.exporting import to_zip
from telltale.cases.store import CaseStore, open_store
from telltale.cli import main


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CaseStore:
    monkeypatch.setenv("TELLTALE_CASES", str(tmp_path / "store" / "cases.sqlite"))
    return open_store()


def test_a_case_goes_out_and_comes_in(store: CaseStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, other = saved_case(1, "a note", ("tag",)), saved_case(2)
    store.save(kept)
    store.save(other)
    assert main(["cases", "list", "note", "--tag", "tag", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "total": 1,
        "cases": [json.loads(json.dumps(kept.record.to_json()))],
        "unreadable": [],
    }
    assert main(["cases", "list"]) == 0
    assert kept.record.id[:8] in capsys.readouterr().out
    assert main(["cases", "export", kept.record.id, "--out", str(tmp_path / "case.zip")]) == 0
    assert (tmp_path / "case.zip").read_bytes() == to_zip(kept)
    assert main(["cases", "export", kept.record.id, "--out", str(tmp_path / "case.html")]) == 0
    assert "a note" in (tmp_path / "case.html").read_text()
    store.delete(kept.record.id)
    assert main(["cases", "import", str(tmp_path / "case.zip")]) == 0
    assert store.get(kept.record.id) == kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "0" * 32, "--out", "case.zip"], "no saved case of that id"),
        (["export", "0" * 32, "--out", "case.pdf"], "must name a .zip or .html file"),
        (["import", "no-such.zip"], "'no-such.zip' cannot be used"),
        (["import", __file__], "no readable zip"),
    ],
)
def test_bad_input_is_one_sentence(
    store: CaseStore, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["cases", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err and len(shown.err.strip().splitlines()) == 1 and not shown.out
    assert store.find().total == 0
