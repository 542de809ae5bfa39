"""Building: the same bytes every time, whole or not at all, resumed after a kill, and what it stores is true."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from sklearn.metrics import roc_auc_score

import telltale.building.build
import telltale.building.fresh
import telltale.models.training
import telltale.models.weights
from support.clouds import mixed, reference
from support.in_order import InOrder
from support.miniature import ATTACKED, CHUNKS, RECIPE, FlatMaps
from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.attacks.attack import attack_images
from telltale.base import processes
from telltale.base.errors import InputError
from telltale.base.files import save_arrays
from telltale.base.processes import Processes
from telltale.building.build import build_recipe
from telltale.building.fitting import held_out_scores, select
from telltale.building.fresh import evaluate_fresh, evaluate_unseen
from telltale.building.maps import LayerMaps, umap_of
from telltale.bundle import list_bundles, load_bundle, verify_bundle
from telltale.bundle.bundle import REFERENCE_FILE, SPLITS_FILE
from telltale.bundle.fitted import ReferenceFiles, reference_arrays
from telltale.cli import main
from telltale.data import digits
from telltale.data.splits import Splits
from telltale.detectors.base import Labels
from telltale.detectors.fusion import FUSED
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.registry import DETECTORS, get_detector
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.models.trace import Trace
from telltale.models.training import train
from telltale.recipes import AttackPlan, Recipe
from telltale.scores.controls import CONTROLS
from telltale.scores.evaluation import evaluate_stored

ROOT = Path(__file__).resolve().parents[2]
# Where a format's own mark stands, and the mark; a pickle begins with neither.
MARKS = {".safetensors": (8, b"{"), ".parquet": (0, b"PAR1"), ".json": (0, b"{")}


class Stopped(Exception):
    """Ends a build where a test has seen enough."""


def silent(fraction: float, message: str) -> None:
    pass


def stop_at_first_chunk(fraction: float, message: str) -> None:
    if message.startswith("Attacking"):
        raise Stopped(message)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def chunk_times(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in folder.glob(".build/*-attacks-*/*.safetensors")}


@pytest.fixture(scope="module", autouse=True)
def quick_maps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        yield


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do the jobs: what is tested is what they compute, and each worker takes seconds to start."""
    for module in (telltale.building.build, telltale.building.fresh):
        monkeypatch.setattr(module, "Processes", InOrder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature, built once in one go by one worker; tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        return build_recipe(RECIPE, "digits", tmp_path_factory.mktemp("bundles") / "mini", silent)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Where a build was killed while it attacked, and the processes it had started."""
    place = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "support.miniature", str(place / "mini")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    workers: set[int] = set()
    while process.poll() is None:
        try:
            workers |= {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    assert process.wait() == -signal.SIGKILL
    return place, sorted(workers)


@pytest.mark.slow
def test_what_was_built_is_whole_and_can_be_opened(built: Path) -> None:
    assert {report.state for report in verify_bundle(built)} == {"ok"}
    loaded = open_bundle(str(built))
    assert list(loaded.detectors) == [name for name in DETECTORS if name != "twin"]  # none was trained
    assert all(calibration is not None for calibration in loaded.calibrations.values())
    fusion = loaded.fitted.fusion
    assert fusion is not None and fusion.members == tuple(loaded.detectors) and fusion.grown is None
    assert {entry["recall"] for entry in loaded.bundle.manifest.notes["indices"].values()} == {1.0}
    assert loaded.bundle.manifest.data.source == "digits"
    assert not (built.parent / ".build").exists(), "what the build kept for itself is cleared away"
    rows = loaded.bundle.scores.to_pylist()
    for split in ("fit", "test"):
        for plan in RECIPE.attacks:
            assert sum(row["split"] == split and row["attack"] == plan.name for row in rows) == ATTACKED
    assert all(math.isfinite(v) for row in rows for k, v in row.items() if k.startswith("score_"))
    for row in rows[::25]:
        scores = {name: np.array([row[f"score_{name}"]]) for name in loaded.detectors}
        fused = fusion.combine(scores, np.array([row["margin"]]))
        assert fused.error is not None
        assert (fused.attack[0], fused.error[0]) == pytest.approx((row["score_fused"], row["error_score"]), abs=1e-9)


def test_the_fusion_learns_from_scores_by_detectors_that_did_not_see_the_image() -> None:
    evidence, labels = mixed(reference(), 30, 1)
    kind = get_detector("nnif")
    held_out = held_out_scores(kind(), evidence, labels)
    for fit, rest in labels.folds():
        assert not set(labels.groups[fit]) & set(labels.groups[rest])
        without = kind().fit(evidence.take(fit), labels.take(fit))
        np.testing.assert_allclose(held_out[rest], without.score(evidence.take(rest)), rtol=1e-9)
    assert np.abs(held_out - kind().fit(evidence, labels).score(evidence)).max() > 1e-3


@pytest.mark.slow
def test_a_killed_build_leaves_no_bundle_and_no_process(killed: tuple[Path, list[int]]) -> None:
    place, workers = killed
    assert workers
    with pytest.raises(InputError):
        load_bundle(place / "mini")
    assert [entry.name for entry in place.iterdir()] == [".build"]
    deadline = time.monotonic() + 5
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in workers):
        assert time.monotonic() < deadline, "workers outlive a killed build"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_a_killed_build_goes_on_and_ends_in_the_same_bytes(built: Path, killed: tuple[Path, list[int]]) -> None:
    place, _ = killed
    test_a_killed_build_leaves_no_bundle_and_no_process(killed)
    before = chunk_times(place)
    assert 1 <= len(before) < CHUNKS, "it was killed in the middle of the attacks"
    messages, at_end = [], {}

    def watch(fraction: float, message: str) -> None:
        messages.append(message)
        if message.startswith("Attacking"):
            at_end.update(chunk_times(place))

    resumed = build_recipe(RECIPE, "digits", place / "mini", watch)
    assert not [message for message in messages if message.startswith("Training")]
    attacking = [message for message in messages if message.startswith("Attacking")]
    assert attacking[-1].endswith(f"{CHUNKS - len(before)} of {CHUNKS - len(before)} chunks")
    assert {name: at_end[name] for name in before} == before, "finished chunks were attacked again"
    assert len(at_end) == CHUNKS
    # Two builds in two processes, one of them interrupted: not one byte differs, the manifest's included.
    first, second = contents(built), contents(resumed)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.slow
def test_no_file_is_a_pickle(built: Path) -> None:
    for name, data in contents(built).items():
        place, mark = MARKS[Path(name).suffix]
        assert data[place:].startswith(mark), name


@pytest.mark.slow
def test_a_damaged_file_is_named_and_refused(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "mini"
    for name, data in contents(built).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(data)
    file = copy / "detectors" / "nnif.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    bad = [report for report in verify_bundle(copy) if report.state != "ok"]
    assert [(report.file, report.state) for report in bad] == [("detectors/nnif.safetensors", "damaged")]
    with pytest.raises(InputError, match=r"detectors/nnif\.safetensors.*damaged"):
        open_bundle(str(copy))
    assert main(["verify", str(copy)]) == 2
    assert "detectors/nnif.safetensors" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_evaluating_afresh_gives_the_stored_figures(built: Path) -> None:
    loaded = open_bundle(str(built))
    stored, fresh = evaluate_stored(loaded.bundle), evaluate_fresh(loaded, lambda *_: None)
    assert stored.rows and [(r.detector, r.attack) for r in fresh.rows] == [(r.detector, r.attack) for r in stored.rows]
    for ours, theirs in zip(fresh.rows, stored.rows, strict=True):
        kept = dataclasses.asdict(theirs)
        for key, value in dataclasses.asdict(ours).items():
            if key != "tpr_intervals":
                assert value == pytest.approx(kept[key], abs=1e-9), (ours.detector, ours.attack, key)
        for rate, ends in ours.tpr_intervals.items():
            assert ends == pytest.approx(theirs.tpr_intervals[rate], abs=1e-9)
    assert fresh.attacks == stored.attacks
    assert {row.detector for row in stored.controls} == set(CONTROLS)
    judged = [
        {alarm.name: alarm for alarm in found.rates.alarms if alarm.name != "random"} for found in (fresh, stored)
    ]
    assert judged[0] == judged[1] and "energy" in judged[0]


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_one_attack_can_be_evaluated_with_other_parameters(built: Path) -> None:
    loaded = open_bundle(str(built))
    found = evaluate_fresh(loaded, silent, [AttackPlan("fgsm", 0, 20, {"eps": 0.2})])
    assert [summary.attack for summary in found.attacks] == ["fgsm"]
    assert {row.attack for row in found.rows} <= {"fgsm", "natural_error"}
    norm = found.attacks[0].linf
    assert norm is not None and 0.1 < norm <= 0.2 + 1e-9


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_detectors_that_were_shown_one_attack_are_judged_by_all(built: Path) -> None:
    loaded = open_bundle(str(built))
    found = evaluate_unseen(loaded, ["fgsm"], silent)
    aucs = {(row.detector, row.attack): row.auc for row in found.rows}
    assert {attack for _, attack in aucs} >= {"fgsm", "pgd"}
    assert found.macro_auc[FUSED] == aucs[FUSED, "pgd"]
    fit, _ = by_hand(loaded, "fit", "fgsm")
    detector = select(MahalanobisDetector, *fit, ("fgsm",)).detector
    for attack in ("fgsm", "pgd"):
        (evidence, labels), successes = by_hand(loaded, "test", attack)
        assert successes == next(a.success_rate for a in found.attacks if a.attack == attack)
        expected = roc_auc_score(labels.adversarial, detector.score(evidence))
        assert aucs["mahalanobis", attack] == pytest.approx(expected, abs=1e-3)


def by_hand(loaded: LoadedBundle, split: str, attack: str) -> tuple[tuple[Evidence, Labels], float]:
    """Attack, trace and label a split's images without what builds and evaluations use; the success rate beside it."""
    image_set, classifier = loaded.bundle.image_set, loaded.classifier
    ids = getattr(loaded.bundle.splits, split)
    ids = ids[classifier.predict(image_set.images(ids)) == image_set.labels[ids]]
    chosen = ids[:ATTACKED]
    parameters = loaded.bundle.attack_parameters(attack)
    result = attack_images(
        classifier,
        image_set.images(chosen),
        attack,
        parameters,
        labels=image_set.labels[chosen],
        seed=RECIPE.seed,
        batch_size=50,
    )
    traces = [classifier.trace(image_set.images(ids)), classifier.trace(result.images[result.fooled])]
    count = len(ids) + int(result.fooled.sum())
    names = np.repeat(["", attack], [len(ids), count - len(ids)])
    labels = Labels(names != "", names, np.concatenate([ids, chosen[result.fooled]]))
    evidence = Evidence(loaded.reference, Trace.concatenate(traces), Readings())
    return (evidence, labels), float(result.fooled.mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seen", "said"),
    [(["spell"], "holds no attack 'spell'; it holds fgsm, pgd"), (["fgsm", "pgd"], "leave at least one out")],
)
def test_attacks_to_show_must_be_known_and_not_all(built: Path, seen: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate_unseen(open_bundle(str(built)), seen, silent)


@pytest.mark.slow
def test_a_fault_in_an_attack_ends_the_build_without_running_the_rest(tmp_path: Path) -> None:
    # The faulty one is not batched, so it begins first; the others take far longer than it takes to fail.
    slow = (AttackPlan(name, ATTACKED, ATTACKED, {"steps": 1000}) for name in ("pgd", "bim", "mifgsm"))
    attacks = (AttackPlan("onepixel", 1, 1, {"popsize": 0}), *slow)
    with pytest.raises(InputError, match="popsize"):
        build_recipe(dataclasses.replace(RECIPE, attacks=attacks), "digits", tmp_path / "mini", silent)
    assert len(chunk_times(tmp_path)) < 6, "all chunks beside the faulty one"
    assert not list(tmp_path.glob("mini*"))


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_other_weights_are_attacked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telltale.models.training, "PRECOMPUTED", tmp_path)
    shipped = tmp_path / "weights" / "mini.safetensors"
    for epochs in (1, 2):
        train_miniature(dataclasses.replace(RECIPE, epochs=epochs), shipped, monkeypatch)
        with pytest.raises(Stopped, match="1 of "):
            build_recipe(RECIPE, "digits", tmp_path / "mini", stop_at_first_chunk)
    assert len(list(tmp_path.glob(".build/mini-attacks-*"))) == 2, "chunks of other weights would be taken for these"


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("changed", [False, True])
def test_shipped_weights_stand_for_their_own_data_under_any_name(tmp_path: Path, monkeypatch, changed: bool) -> None:
    monkeypatch.setattr(telltale.models.training, "PRECOMPUTED", tmp_path)
    train_miniature(dataclasses.replace(RECIPE, epochs=1), tmp_path / "weights" / "mini.safetensors", monkeypatch)
    data = digits.load()
    data.pixels[0, 0, 0, 0] ^= changed
    monkeypatch.setattr(telltale.building.build, "load_image_set", lambda _: data)

    def stop(fraction: float, message: str) -> None:
        if message.startswith(("Training", "Attacking")):
            raise Stopped(message)

    with pytest.raises(Stopped, match="Training" if changed else "Attacking"):
        build_recipe(RECIPE, "other/digits", tmp_path / "mini", stop)


def train_miniature(recipe: Recipe, file: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(telltale.models.training, "get_recipe", lambda _: recipe)
    assert train("mini", out=file, progress=silent) == file
    return file.read_bytes()


@pytest.mark.slow
def test_training_is_repeatable_and_follows_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2)
    torch.manual_seed(1)
    first = train_miniature(recipe, tmp_path / "a.safetensors", monkeypatch)
    torch.manual_seed(2)  # whatever else drew random numbers before must not matter
    assert train_miniature(recipe, tmp_path / "b.safetensors", monkeypatch) == first
    other = dataclasses.replace(recipe, seed=1)
    assert train_miniature(other, tmp_path / "c.safetensors", monkeypatch) != first


@pytest.mark.slow
def test_weights_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=1)
    file = tmp_path / "weights.safetensors"
    before = train_miniature(recipe, file, monkeypatch)

    def full_disk(path: Path, *_: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(telltale.models.weights, "save_arrays", full_disk)
    with pytest.raises(OSError, match="No space"):
        train_miniature(dataclasses.replace(recipe, seed=1), file, monkeypatch)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.slow
def test_maps_are_repeatable_in_any_process_and_hold_every_training_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # every process compiles UMAP: one beside this one is enough
    fitted = reference()
    files = ReferenceFiles(tmp_path, fitted.layers, fitted.classes)
    nobody = np.empty(0, dtype=np.int64)
    save_arrays(tmp_path / SPLITS_FILE, Splits(fitted.ids, nobody, nobody, nobody).to_arrays())
    save_arrays(tmp_path / REFERENCE_FILE, reference_arrays(fitted, half=False))
    drawn = LayerMaps(files, 0, tmp_path / "maps")
    with Processes() as processes:
        processes.run(drawn.work(silent))
    maps = drawn.read()
    assert not drawn.work(silent).jobs, "what is drawn is kept"
    for place, activations in enumerate(fitted.trace.activations):
        np.testing.assert_array_equal(maps["umap"][place], umap_of(activations, 0))
        centred = activations - activations.mean(0)
        left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
        np.testing.assert_allclose(np.abs(maps["pca"][place]), np.abs(left[:, :2] * sizes[:2]), atol=1e-5)


@pytest.mark.slow
def test_of_many_images_the_map_draws_some_and_places_the_rest_between_the_nearest() -> None:
    points = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    drawn = umap_of(points, 0, sample=40)
    seen = np.sort(np.random.default_rng(0).permutation(60)[:40])
    np.testing.assert_array_equal(drawn[seen], umap_of(points[seen], 0))
    for row in np.setdiff1d(np.arange(60), seen):
        distances = np.linalg.norm(points[seen].astype(np.float64) - points[row], axis=1)
        near = np.argsort(distances)[:10]
        expected = np.average(drawn[seen][near], axis=0, weights=1.0 / distances[near])
        np.testing.assert_allclose(drawn[row], expected, atol=1e-4)


@pytest.mark.slow
def test_a_build_that_is_under_way_is_no_bundle(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(built.parent))
    (built.parent / ".build" / "mini-0").mkdir(parents=True)
    assert "mini" in list_bundles() and not [name for name in list_bundles() if "build" in name]
    (built.parent / ".build" / "mini-0").rmdir()
    (built.parent / ".build").rmdir()


def test_what_the_jobs_of_a_stage_share_is_made_once_and_gone_in_the_next() -> None:
    made: list[str] = []

    def work(name: str) -> None:
        processes.kept("shared", lambda: made.append(name))

    def other(name: str) -> None:
        assert not processes._kept

    for stage, name in ((work, "first"), (work, "second"), (other, "third"), (work, "fourth")):
        processes._run((stage, name))
    assert made == ["first", "fourth"]
