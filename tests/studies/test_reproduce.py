"""What every table rests on: cells, how they are stored and laid out, the command line, runs that go on."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

import telltale.studies.tables.lab
from support.in_order import InOrder
from support.paper_cells import CELLS, TABLE, store
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.places import PRECOMPUTED
from telltale.base.processes import Processes
from telltale.bundle.own_data import OUTPUTS, sizing_notes
from telltale.cli import main
from telltale.data.sources import load_image_set
from telltale.detectors.base import Labels
from telltale.models.preprocess import Preprocess
from telltale.recipes import AttackPlan
from telltale.studies.tables import results
from telltale.studies.tables.lab import Lab, compute
from telltale.studies.tables.layout import CSV_COLUMNS, Grid, distinct_notes, full_run_command, to_csv
from telltale.studies.tables.network import network_of
from telltale.studies.tables.protocol import CURVE_POINTS, auc_cell, share_cell
from telltale.studies.tables.registry import TABLES, get_table
from telltale.studies.tables.table import Cell, PaperTable, check_complete

ROOT = Path(__file__).resolve().parents[2]
CELL_KEYS = ["row", "column", "paper", "ours", "low", "high", "n", "note"]


class Stopped(Exception):
    """Ends a run where a test has seen enough."""


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a made-up run, in the place of the shipped one."""
    folder = store(tmp_path / "results")
    for name in ("load_results", "save_results", "stored_network", "stored_results"):
        monkeypatch.setattr(results, name, partial(getattr(results, name), folder=folder))
    return folder


def equal(first: Sequence[Cell], second: Sequence[Cell]) -> bool:
    """Compare cells with their curves, which `==` leaves out and the file holds in single precision."""
    curves = zip(first, second, strict=True)
    return tuple(first) == tuple(second) and all(
        np.array_equal(np.float32(getattr(a, key)), getattr(b, key)) for a, b in curves for key in ("fpr", "tpr")
    )


def test_an_empty_cell_must_say_why() -> None:
    with pytest.raises(ValueError, match="DkNN / FGSM must say why"):
        Cell("DkNN", "FGSM", 1.0, None)
    assert Cell("DkNN", "FGSM", 1.0, None, note="no data").difference is None


@pytest.mark.parametrize(("paper", "ours", "difference"), [(90.0, 92.5, 2.5), (90.0, 80.0, -10.0), (None, 1.0, None)])
def test_the_difference_is_ours_less_the_papers(paper: float | None, ours: float, difference: float | None) -> None:
    assert Cell("a", "b", paper, ours).difference == difference


def test_the_json_of_a_cell_has_the_stable_keys() -> None:
    assert [list(cell.to_json()) for cell in CELLS] == [CELL_KEYS] * len(CELLS)


def test_a_table_with_two_figures_for_one_cell_is_refused() -> None:
    check_complete(get_table(TABLE), CELLS)
    with pytest.raises(InputError, match="two figures for one cell"):
        check_complete(get_table(TABLE), [*CELLS, replace(CELLS[0], ours=1.0)])


def test_results_come_back_as_they_were_stored(tmp_path: Path) -> None:
    file = results.save_results("some-table", CELLS, tmp_path / "new")
    assert [entry.name for entry in file.parent.iterdir()] == ["some-table.parquet"]
    assert equal(CELLS, results.load_results("some-table", file.parent))
    assert results.stored_results(file.parent) == ("some-table",)
    results.save_results("some-table", CELLS[:2], file.parent)
    assert equal(CELLS[:2], results.load_results("some-table", file.parent))


def test_a_run_says_which_network_it_came_from(tmp_path: Path) -> None:
    manifest = json.loads((PRECOMPUTED / "digits" / "manifest.json").read_text())
    right = f"{100 * manifest['accuracies']['test']:.1f} %"
    network = network_of(replace(get_table(TABLE), recipe="digits"))
    assert network is not None and right in network and "small_resnet" in network
    results.save_results("some-table", CELLS, tmp_path, network)
    assert results.stored_network("some-table", tmp_path) == network
    assert equal(CELLS, results.load_results("some-table", tmp_path))
    results.save_results("other", CELLS, tmp_path)
    assert results.stored_network("other", tmp_path) is None
    assert network_of(get_table("idefender-table3")) is None, "it trains its own"


def test_every_shipped_run_on_a_bundle_says_which_network_it_came_from() -> None:
    shipped = results.stored_results(PRECOMPUTED / "results")
    assert shipped
    for name in shipped:
        noted = results.stored_network(name, PRECOMPUTED / "results")
        assert (noted is None) == get_table(name).own_networks, name


def test_a_run_that_is_not_there_or_damaged_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No full run of 'nothing'"):
        results.load_results("nothing", tmp_path)
    whole = store(tmp_path).joinpath(f"{TABLE}.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    pq.write_table(pa.table({"row": ["a"]}), tmp_path / "other.parquet")
    for name in ("cut", "other"):
        with pytest.raises(DamagedBundleError, match=name):
            results.load_results(name, tmp_path)


def scored(seed: int = 0, n: int = 400) -> tuple[np.ndarray, Labels]:
    """Scores with ties, of which a third belong to adversarial versions of the natural images."""
    rng = np.random.default_rng(seed)
    hit = np.arange(n) % 3 == 0
    scores = np.round(rng.normal(hit, 1.0), 1)
    return scores, Labels(hit, np.where(hit, "fgsm", "").astype("<U32"), np.arange(n) // 3)


def test_the_auc_is_scikit_learns_and_its_curve_runs_from_corner_to_corner() -> None:
    scores, labels = scored()
    cell = auc_cell("NNIF", "FGSM", 90.0, scores, labels)
    assert cell.ours == pytest.approx(100 * roc_auc_score(labels.adversarial, scores), abs=1e-9)
    assert cell.low is not None and cell.high is not None and cell.low < cell.ours < cell.high
    assert cell.n == labels.adversarial.sum()
    for rates in (cell.fpr, cell.tpr):
        assert rates[0] == 0 and rates[-1] == 1 and (np.diff(rates) >= 0).all() and len(rates) <= CURVE_POINTS


def test_a_thinned_curve_keeps_its_area() -> None:
    rng = np.random.default_rng(1)
    hit = np.arange(3000) % 2 == 0
    labels = Labels(hit, np.where(hit, "fgsm", "").astype("<U32"), np.arange(3000) // 2)
    cell = auc_cell("a", "b", None, rng.normal(2 * hit), labels)
    assert len(cell.fpr) == CURVE_POINTS
    assert 100 * np.trapezoid(cell.tpr, cell.fpr) == pytest.approx(cell.ours, abs=0.1)


def test_an_attack_that_never_succeeded_leaves_a_cell_that_says_so() -> None:
    scores, labels = scored()
    natural = labels.take(np.flatnonzero(~labels.adversarial))
    cell = auc_cell("a", "b", 50.0, scores[~labels.adversarial], natural)
    assert cell.ours is None and cell.note == "no attack succeeded" and cell.paper == 50.0


@pytest.mark.parametrize(("hits", "n"), [(0, 30), (7, 30), (30, 30)])
def test_the_interval_of_a_share_is_the_exact_binomial_one(hits: int, n: int) -> None:
    cell = share_cell("a", "b", None, np.arange(n) < hits)
    exact = binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert cell.ours == pytest.approx(100 * hits / n) and cell.n == n
    assert (cell.low, cell.high) == pytest.approx((100 * exact.low, 100 * exact.high), abs=1e-9)


def test_cells_are_laid_out_in_the_order_in_which_they_come() -> None:
    grid = Grid.of(CELLS)
    assert grid.rows == ("DkNN", "NNIF", "SVHN: NNIF")
    assert grid.columns == ("accuracy", "FGSM", "EAD")
    assert grid.cells[("NNIF", "EAD")] is CELLS[3] and ("DkNN", "EAD") not in grid.cells
    assert grid.has_gaps and not Grid.of(CELLS[1:3]).has_gaps
    assert grid.most_telling is CELLS[1] and Grid.of(CELLS[:1]).most_telling is CELLS[0]


def test_shades_are_shares_of_the_largest_difference() -> None:
    grid = Grid.of(CELLS)
    assert grid.limit == pytest.approx(87.81 - 75.0)
    assert [grid.shade(cell) for cell in CELLS] == pytest.approx([0, -1, 0.0012 / 12.81, 0.5, 0, 0], abs=1e-6)
    even = Grid.of([Cell("a", "b", 1.0, 1.0)])
    assert even.limit == 0 and even.shade(even.cells[("a", "b")]) == 0


def test_notes_are_numbered_once_each() -> None:
    grid = Grid.of(CELLS)
    assert grid.notes == distinct_notes(CELLS) and len(grid.notes) == 3
    assert [grid.note_number(cell) for cell in CELLS] == [1, None, 2, None, 3, 3]


def test_the_csv_holds_every_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(CELLS))))
    assert list(rows[0]) == list(CSV_COLUMNS)
    for row, cell in zip(rows, CELLS, strict=True):
        for key in ("paper", "ours", "difference", "low", "high"):
            assert (float(row[key]) if row[key] else None) == getattr(cell, key)
        assert (row["row"], row["column"], int(row["n"]), row["note"]) == (cell.row, cell.column, cell.n, cell.note)


class EmptyLab:
    """Stops whoever asks it for anything."""

    def __getattr__(self, name: str) -> None:
        raise LookupError(f"'{name}' was asked of the lab")


def test_every_table_is_computed_by_a_function_of_a_lab() -> None:
    for name, table in TABLES.items():
        assert table.name == name
        try:
            cells = table.compute(EmptyLab())
        except LookupError as error:
            assert "asked of the lab" in str(error)
        else:
            assert all(cell.ours is None and cell.note for cell in cells)  # says why nothing can be computed


def test_what_the_pages_read_never_imports_torch() -> None:
    modules = ", ".join(f"telltale.studies.tables.{name}" for name in ("table", "registry", "results", "layout"))
    code = f"import sys, {modules}; assert not {{'torch', 'streamlit'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["reproduce", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_all_lists_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "all", "--json")
    assert status == 0 and out.count("\n") == 1
    assert [entry["name"] for entry in json.loads(out)["tables"]] == list(TABLES)


def test_a_stored_run_is_one_object(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, TABLE, "--stored", "--json")
    assert status == 0 and out.count("\n") == 1 and not err
    record = json.loads(out)
    assert record["table"] == TABLE
    assert record["cells"] == [{key: getattr(cell, key) for key in CELL_KEYS} for cell in CELLS]
    assert all(list(cell) == CELL_KEYS for cell in record["cells"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("no-such-table",), "There is no table 'no-such-table'"), (("nnif-transfer", "--stored"), "No full run of")],
)
def test_what_is_not_there_is_one_sentence(
    stored: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out
    assert said in err and err.count("\n") == 1


@pytest.mark.parametrize("name", [TABLE, "nnif-whitebox"])
def test_the_full_runs_command_computes_and_stores(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    asked: list[Any] = []

    def computed(table: PaperTable, data: str | None, images: int | None, progress: object) -> tuple[Cell, ...]:
        asked.append((table.name, data, images))
        return CELLS[1:2]

    monkeypatch.setattr(telltale.studies.tables.lab, "compute", computed)
    program, command, *arguments = shlex.split(full_run_command(get_table(name)))
    assert (program, command) == ("telltale", "reproduce")
    status, _, _ = run(capsys, *arguments)
    assert status == 0
    assert asked == [(name, "uoft-cs/cifar10", None)]
    assert equal(CELLS[1:2], results.load_results(name))
    assert results.stored_network(name) == network_of(get_table(name))


def test_a_table_of_the_digits_needs_no_data() -> None:
    assert "--data" not in full_run_command(replace(get_table(TABLE), recipe="digits"))


PLANS = (AttackPlan("fgsm", 20, 20, {"eps": 0.3}), AttackPlan("pgd", 20, 20, {"eps": 0.3, "steps": 5}))


def shares_that_fooled(lab: Lab) -> list[Cell]:
    found = lab.attacked("test", PLANS, [20, 20], readings=False)
    return [share_cell(plan.name, "success", None, seen.success) for plan, seen in zip(PLANS, found, strict=True)]


TINY = PaperTable("tiny", "Tiny", "No paper", "%", "", shares_that_fooled, "digits")


def silent(fraction: float, message: str) -> None:
    pass


def test_an_interrupted_run_goes_on_where_it_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telltale.studies.tables.lab, "Processes", InOrder)
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "whole"))
    whole = compute(TINY, "digits", 10, silent)
    assert [cell.n for cell in whole] == [10, 10]

    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "broken"))
    messages: list[str] = []

    def stop(fraction: float, message: str) -> None:
        raise Stopped(message)

    with pytest.raises(Stopped, match="Attacking with fgsm, 1 of 2"):
        compute(TINY, "digits", 10, stop)
    assert equal(whole, compute(TINY, "digits", 10, lambda _, message: messages.append(message)))
    assert [message for message in messages if "ttacking" in message] == ["Attacking with pgd, 1 of 1 chunks"]
    messages.clear()
    assert equal(whole, compute(TINY, "digits", 10, lambda _, message: messages.append(message)))
    assert not messages, "nothing is left to do"


def test_a_run_refuses_images_that_are_not_the_bundles() -> None:
    with pytest.raises(InputError, match="'digits' does not hold the images that bundle 'cifar10' was built on"):
        _ = Lab("cifar10", "digits", 5, Processes(), silent).image_set


def photographs(folder: Path, seed: int = 0) -> Path:
    """Write pictures of different sizes in the folders of two classes."""
    rng = np.random.default_rng(seed)
    for number in range(6):
        place = folder / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (30 + number, 40 - number, 3), dtype=np.uint8)).save(place)
    return folder


def lab_of(data: Path, fingerprint: str, preprocess: Preprocess) -> Lab:
    """Return a lab whose bundle was built from photographs that this preprocessing brings to size."""
    notes = {**sizing_notes(preprocess, 3), OUTPUTS: {"a": 2, "b": 0}}
    data_noted = SimpleNamespace(fingerprint=fingerprint)
    bundle = SimpleNamespace(
        notes=notes, class_names=("b", "other", "a"), manifest=SimpleNamespace(data=data_noted), name="shop"
    )
    lab = Lab("shop", str(data), None, InOrder(), lambda *_: None)
    vars(lab)["loaded"] = SimpleNamespace(bundle=bundle)
    return lab


def test_other_data_are_brought_to_size_as_the_bundles_images_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    preprocess = Preprocess(resize=20, crop=16, interpolation="bicubic")
    expected = load_image_set(str(photographs(tmp_path / "photos")), sizing=preprocess.sizing(3))
    found = lab_of(tmp_path / "photos", expected.fingerprint, preprocess).image_set
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.pixels.shape == (6, 3, 16, 16)
    assert found.labels.tolist() == [2, 2, 2, 0, 0, 0], "numbered as the classifier's outputs"


def test_data_that_another_preprocessing_brings_to_size_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    preprocess = Preprocess(resize=20, crop=16)
    fingerprint = load_image_set(str(photographs(tmp_path / "photos")), sizing=preprocess.sizing(3)).fingerprint
    for wrong in (
        lab_of(photographs(tmp_path / "others", 1), fingerprint, preprocess),
        lab_of(tmp_path / "photos", fingerprint, Preprocess(resize=18, crop=16)),
    ):
        with pytest.raises(InputError, match="does not hold the images that bundle 'shop' was built on"):
            _ = wrong.image_set
