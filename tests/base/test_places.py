"""Where shipped files lie and what replaces them, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from telltale.base import places
from telltale.studies.tables import results
from telltale.studies.tables.table import Cell

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that the package was installed; returns its shipped folder."""
    shipped = tmp_path / "site-packages" / "telltale" / "precomputed"
    shipped.mkdir(parents=True)
    monkeypatch.setattr(places, "_INSTALLED", shipped)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return shipped


def test_a_checkout_keeps_what_is_built_beside_its_source() -> None:
    assert places.PRECOMPUTED == ROOT / "precomputed"
    assert places.writable(places.PRECOMPUTED / "digits") == ROOT / "precomputed" / "digits"


def test_an_installed_package_is_left_as_it_was_installed(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "data" / "telltale" / "precomputed"
    assert places.writable(installed) == own
    assert places.writable(installed / "weights" / "a.safetensors") == own / "weights" / "a.safetensors"
    assert places.writable(own / "digits") == own / "digits", "what was mapped once is not mapped again"
    assert places.writable(tmp_path / "elsewhere") == tmp_path / "elsewhere"


def test_what_was_made_here_is_read_instead_of_what_was_shipped(installed: Path) -> None:
    shipped = installed / "weights"
    shipped.write_text("shipped")
    assert places.newest(shipped) == shipped
    places.writable(shipped).parent.mkdir(parents=True)
    places.writable(shipped).write_text("own")
    assert places.newest(shipped).read_text() == "own"


def test_full_runs_are_stored_outside_an_installed_package_and_listed_with_the_shipped(installed: Path) -> None:
    folder = installed / "results"
    folder.mkdir()
    (folder / "shipped.parquet").write_bytes(b"")
    results.save_results("own", [Cell("row", "column", 1.0, 2.0)], folder)
    assert [file.name for file in folder.iterdir()] == ["shipped.parquet"]
    assert results.stored_results(folder) == ("own", "shipped")
    assert results.load_results("own", folder)[0].ours == 2.0
