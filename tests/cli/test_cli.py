"""The command line: one JSON object or one sentence, never a traceback, never half a file."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import telltale
from telltale.attacks.base import AttackResult
from telltale.base import files
from telltale.base.errors import InputError
from telltale.base.images import image_sha256, to_floats
from telltale.bundle import DataReference, Manifest, load_bundle, write_bundle
from telltale.cli import main
from telltale.data.splits import Splits
from telltale.data.uploads import load_image_file, png_bytes
from telltale.scores.calibration import Calibration
from telltale.scores.evaluation import evaluate_stored, evaluate_table

ROOT = Path(__file__).parents[2]
SHAPE = (1, 8, 8)


def stored_scores(seed: int = 0) -> pa.Table:
    """Natural, misclassified, attacked and failed versions of 60 test images, and of others that must not count."""
    rng = np.random.default_rng(seed)
    rows = []

    def add(image_id: int, split: str, kind: str, attack: str, shift: float) -> None:
        knn, density = rng.normal(shift, 1), np.round(rng.normal(2 * shift, 1))
        row = {"image_id": image_id, "split": split, "kind": kind, "attack": attack}
        rows.append({**row, "linf": 0.1 * shift, "l2": shift, "score_knn": knn, "score_density": density})

    for i in range(60):
        add(i, "test", "natural", "", 0.0)
        add(i, "test", "adversarial" if i % 3 else "failed", "pgd", 1.0)
        add(i, "test", "adversarial", "fgsm", 0.5)
        add(100 + i, "fit", "natural", "", 5.0)
        add(100 + i, "fit", "adversarial", "pgd", -5.0)
    for i in range(60, 70):
        add(i, "test", "natural_error", "", 0.3)
    return pa.Table.from_pylist(rows)


def fill(folder: Path) -> Manifest:
    files.save_table(folder / "scores.parquet", stored_scores())
    ids = [np.arange(start, start + 10, dtype=np.int64) for start in range(0, 40, 10)]
    files.save_arrays(folder / "splits.safetensors", Splits(*ids).to_arrays())
    return Manifest(
        name="tiny",
        title="Tiny",
        seed=0,
        data=DataReference("digits", "0", 70, ("zero", "one", "two"), SHAPE),
        layers=("one",),
        architecture={},
        accuracies={"test": 0.9},
        attacks=({"name": "fgsm"}, {"name": "pgd"}),
        detectors={},
        versions={},
        notes={"macro_attacks": ["fgsm", "pgd"], "training_images": 50},
    )


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with a bundle, a good image and nothing else."""
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "bundles" / "tiny", fill)
    pixels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    (tmp_path / "good.png").write_bytes(png_bytes(to_floats(pixels)))
    return tmp_path


def fake_attack(image, *, bundle, attack, parameters, seed, target) -> AttackResult:
    print("a library's chatter")
    attacked = image[None].copy()
    attacked[0, 0, 0, 0] = 1.0 - np.round(attacked[0, 0, 0, 0])
    one = np.array([1], dtype=np.int64)
    return AttackResult(
        attack=attack,
        parameters=parameters,
        seed=seed,
        natural=image[None],
        images=attacked,
        labels=0 * one,
        targets=-one if target is None else target * one,
        predictions=2 * one,
        success=np.array([True]),
        linf=np.array([0.5]),
        l2=np.array([np.inf]),
        l0=np.array([1.0]),
        gradients=10 * one,
        queries=11 * one,
        seconds=0.25,
    )


def fake_analyse(image, *, bundle, alpha) -> SimpleNamespace:
    verdict = {"detector": "knn", "score": 0.5, "p_value": 0.2, "threshold": float("inf"), "adversarial": False}
    record = {
        "image_sha256": image_sha256(image),
        "prediction": {"label": "two", "confidence": 0.9},
        "verdicts": [verdict],
        "fused": None,
        "timings_ms": {"total": alpha},
    }
    return SimpleNamespace(to_json=lambda: record)


@pytest.fixture
def fakes(monkeypatch) -> None:
    monkeypatch.setattr(telltale, "attack", fake_attack, raising=False)
    monkeypatch.setattr(telltale, "analyse", fake_analyse, raising=False)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def answer(capsys, *arguments: str) -> dict[str, object]:
    """Run a command with --json: exactly one object on stdout, in strict JSON."""
    status, out, _ = run(capsys, *arguments, "--json")
    assert status == 0
    assert out.count("\n") == 1

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(out, parse_constant=refuse)


def test_a_random_target_is_handed_on(place, monkeypatch, capsys) -> None:
    def noting(*args, target, **keywords) -> AttackResult:
        assert target == "random"
        return fake_attack(*args, target=2, **keywords)

    monkeypatch.setattr(telltale, "attack", noting)
    arguments = ("attack", "good.png", "--bundle", "tiny", "--attack", "pgd", "--target", "random")
    assert answer(capsys, *arguments)["target"] == "two"


def test_attack_writes_the_attacked_image_exactly_and_reports_it(place, fakes, capsys) -> None:
    arguments = ("attack", "good.png", "--bundle", "tiny", "--attack", "pgd", "--set", "eps=0.1", "--out", "adv.png")
    record = answer(capsys, *arguments, "--seed", "7", "--target", "one")
    expected = fake_attack(
        load_image_file("good.png", SHAPE), bundle="tiny", attack="pgd", parameters={}, seed=7, target=1
    )
    np.testing.assert_array_equal(load_image_file("adv.png", SHAPE), expected.images[0])
    assert record["parameters"]["eps"] == 0.1
    assert len(record["parameters"]) > 1
    del record["parameters"]
    assert record == {
        "attack": "pgd",
        "bundle": "tiny",
        "seed": 7,
        "target": "one",
        "success": True,
        "label": "zero",
        "prediction": "two",
        "linf": 0.5,
        "l2": None,
        "l0": 1,
        "gradients": 10,
        "queries": 11,
        "seconds": 0.25,
        "out": "adv.png",
        "image_sha256": image_sha256(expected.images[0]),
    }
    assert sorted(p.name for p in place.iterdir()) == ["adv.png", "bundles", "good.png"]


def test_analyse_prints_its_object_with_null_for_infinity(place, fakes, capsys) -> None:
    record = answer(capsys, "analyse", "good.png", "--bundle", "tiny", "--alpha", "0.1")
    assert record["image_sha256"] == image_sha256(load_image_file("good.png", SHAPE))
    assert record["verdicts"][0]["threshold"] is None
    assert record["timings_ms"] == {"total": 0.1}


def test_analyse_says_in_words_what_a_threshold_just_above_nothing_is(place, monkeypatch, capsys) -> None:
    verdict = Calibration.of(np.zeros(99)).verdict("dknn", 0.0, 0.05).to_json()

    def same_scores(image, *, bundle, alpha) -> SimpleNamespace:
        record = fake_analyse(image, bundle=bundle, alpha=alpha).to_json()
        return SimpleNamespace(to_json=lambda: record | {"verdicts": [verdict]})

    monkeypatch.setattr(telltale, "analyse", same_scores, raising=False)
    status, out, _ = run(capsys, "analyse", "good.png", "--bundle", "tiny")
    said = " ".join(out.split())
    assert status == 0 and "above 0" in said and "e-324" not in said
    assert "dknn: every held-out natural image scores 0: it tells none of them apart." in said
    assert answer(capsys, "analyse", "good.png", "--bundle", "tiny")["verdicts"] == [verdict]


def test_evaluate_agrees_with_sklearn_on_the_test_rows(place, capsys) -> None:
    record = answer(capsys, "evaluate", "tiny")
    table = [row for row in stored_scores().to_pylist() if row["split"] == "test"]
    rows = {(row["detector"], row["attack"]): row for row in record["rows"]}
    assert set(rows) == {(d, a) for d in ("knn", "density") for a in ("pgd", "fgsm", "natural_error")}
    for (detector, attack), row in rows.items():
        natural = [r[f"score_{detector}"] for r in table if r["kind"] == "natural"]
        wanted = ("natural_error", "") if attack == "natural_error" else ("adversarial", attack)
        attacked = [r[f"score_{detector}"] for r in table if (r["kind"], r["attack"]) == wanted]
        labels = [0] * len(natural) + [1] * len(attacked)
        assert row["auc"] == pytest.approx(roc_auc_score(labels, natural + attacked))
        assert row["auc_low"] < row["auc"] < row["auc_high"]
        assert (row["n_natural"], row["n_adversarial"]) == (len(natural), len(attacked))
        assert set(row["tpr_at_fpr"]) == {"0.01", "0.05", "0.1"}
    for detector in ("knn", "density"):
        expected = np.mean([rows[detector, attack]["auc"] for attack in ("pgd", "fgsm")])
        assert record["macro_auc"][detector] == pytest.approx(expected)
    assert record["attacks"] == [
        {"attack": "pgd", "success_rate": pytest.approx(40 / 60), "linf": pytest.approx(0.1), "l2": 1.0},
        {"attack": "fgsm", "success_rate": 1.0, "linf": pytest.approx(0.05), "l2": 0.5},
    ]


def test_natural_errors_are_judged_by_the_score_made_for_them() -> None:
    rows = stored_scores().to_pylist()
    draws = np.random.default_rng(0)
    for row in rows:
        row["error_score"] = draws.normal(2.0 * (row["kind"] == "natural_error"))
    natural, wrong = (
        [r["error_score"] for r in rows if r["split"] == "test" and r["kind"] == kind]
        for kind in ("natural", "natural_error")
    )
    found = evaluate_table(pa.Table.from_pylist(rows), "tiny", None, 0).natural_errors
    assert found is not None
    assert found.auc == pytest.approx(roc_auc_score([0] * len(natural) + [1] * len(wrong), natural + wrong))
    assert evaluate_table(stored_scores(), "tiny", None, 0).natural_errors is None


def test_versions_of_one_image_are_resampled_together(place) -> None:
    evaluation = evaluate_stored(load_bundle("tiny"))
    shuffled = stored_scores().to_pylist()
    for row in shuffled:
        if row["kind"] == "adversarial":
            row["image_id"] += 1000
    apart = evaluate_table(pa.Table.from_pylist(shuffled), "tiny", None, 0)
    for paired, unpaired in zip(evaluation.rows, apart.rows, strict=True):
        assert paired.auc == unpaired.auc
        assert (paired.auc_low != unpaired.auc_low) == (paired.attack != "natural_error")


def test_a_macro_without_one_of_its_attacks_is_null_and_a_table_without_columns_is_refused() -> None:
    evaluation = evaluate_table(stored_scores(), "tiny", ["pgd", "cw"], 0)
    assert evaluation.to_json()["macro_auc"] == {"knn": None, "density": None}
    with pytest.raises(InputError, match="lack attack, l2"):
        evaluate_table(stored_scores().drop_columns(["attack", "l2"]), "tiny", None, 0)
    with pytest.raises(InputError, match="no natural test images"):
        evaluate_table(stored_scores().slice(0, 0), "tiny", None, 0)


def test_a_fresh_evaluation_and_the_benchmark_come_from_the_package(place, monkeypatch, capsys) -> None:
    stored = evaluate_stored(load_bundle("tiny"))
    answers = {("tiny", True): stored}
    monkeypatch.setattr(telltale, "evaluate", lambda name, fresh, **_: answers[name, fresh], raising=False)
    assert answer(capsys, "evaluate", "tiny", "--fresh") == json.loads(json.dumps(stored.to_json()))
    benchmark = ModuleType("telltale.studies.comparison.benchmark")
    row = {"work": "x", "against": "y", "ours_ms": 1.0, "theirs_ms": 4.0, "ratio": 4.0, "equal": "same"}
    figures = {"analyse_ms": {"p50": 1.0, "p95": float("nan")}, "n_train": 3, "comparisons": [row]}
    benchmark.bench = lambda _, compare, **_progress: SimpleNamespace(
        to_json=lambda: figures | ({} if compare else {"comparisons": []})
    )
    monkeypatch.setitem(sys.modules, "telltale.studies.comparison.benchmark", benchmark)
    known = {"analyse_ms": {"p50": 1.0, "p95": None}, "n_train": 3}
    assert answer(capsys, "bench", "tiny") == known | {"comparisons": [row]}
    assert answer(capsys, "bench", "tiny", "--quick") == known | {"comparisons": []}


@pytest.mark.parametrize("options", [["--attack", "fgsm"], ["--fresh", "--set", "eps=0.1"]])
def test_attack_settings_are_for_fresh_evaluations_only(place, capsys, options) -> None:
    status, _, complaint = run(capsys, "evaluate", "tiny", *options)
    assert status == 2 and "--attack needs --fresh" in complaint


def test_build_and_train_report_progress_on_stderr(place, monkeypatch, capsys) -> None:
    for module_name, name in [("telltale.building.build", "build"), ("telltale.models.training", "train")]:
        asked = []

        def work(bundle, *, data, out, progress, asked=asked, **rest) -> Path:
            progress(0.5, "Half way")
            asked.append((bundle, data, out, rest))
            return Path("made")

        module = ModuleType(module_name)
        setattr(module, name, work)
        monkeypatch.setitem(sys.modules, module_name, module)
        options = ["--compact", "--work", "kept"] if name == "build" else []
        status, out, _ = run(capsys, name, "new", "--data", "mnist", "--out", "there", *options)
        assert (status, "made" in out) == (0, True)
        rest = {"compact": True, "work": Path("kept")} if name == "build" else {}
        assert asked == [("new", "mnist", Path("there"), rest)]


def test_verify_names_every_bad_file(place, capsys) -> None:
    assert answer(capsys, "verify", "tiny") == {
        "bundle": "tiny",
        "ok": True,
        "files": [{"file": file, "state": "ok"} for file in ("scores.parquet", "splits.safetensors")],
    }
    file = place / "bundles" / "tiny" / "scores.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (file.parent / "more.bin").write_bytes(b"")
    status, out, err = run(capsys, "verify", "tiny", "--json")
    assert (status, json.loads(out)["ok"]) == (2, False)
    assert err == "The bundle 'tiny' is not as it was built: scores.parquet (damaged), more.bin (unexpected).\n"


def test_bundles_lists_good_and_damaged_ones(place, capsys) -> None:
    write_bundle(place / "bundles" / "other", lambda folder: replace(fill(folder), name="other"))
    (place / "bundles" / "other" / "scores.parquet").unlink()
    found = {row["name"]: row for row in answer(capsys, "bundles")["bundles"]}
    files = [path for path in (place / "bundles" / "tiny").iterdir() if path.name != "manifest.json"]
    lacks = found["tiny"].pop("lacks")
    assert found["tiny"] == {
        "name": "tiny", "title": "Tiny", "classes": 3, "images": 70, "accuracy": 0.9, "problem": None,
        "image_shape": list(SHAPE), "references": 10, "training_images": 50, "images_command": None,
        "size_bytes": sum(file.stat().st_size for file in files),
    }  # fmt: skip
    assert len(lacks) == 2 and "fingerprints differ" in lacks[0] and "10 of 50 training images" in lacks[1]
    assert "scores.parquet" in found["other"]["problem"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("command", [["bundles"], ["bundles", "--nothing…"], ["--help"]], ids=str)
def test_no_command_dies_of_its_terminals_encoding(command: list[str], encoding: str, place, monkeypatch) -> None:
    title = "Tiny … ∞ ε 中 [/b] :cat:"
    write_bundle(place / "bundles" / "odd", lambda folder: replace(fill(folder), name="odd", title=title))
    outputs = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", outputs[0])
    monkeypatch.setattr(sys, "stderr", outputs[1])
    status = main(command)
    for output in outputs:
        output.flush()
    printed, said = (output.buffer.getvalue().decode(encoding) for output in outputs)
    if "--nothing…" in command:
        assert (status, printed, "nothing" in said) == (2, "", True)
    else:
        assert (status, said) == (0, "") and printed
    if command == ["bundles"]:
        assert "[/b]" in printed and ":cat:" in printed


def test_bundles_names_a_folder_that_is_not_there(place, monkeypatch, capsys) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", f"{place / 'bundles'}{os.pathsep}{place / 'nowhere'}")
    found = answer(capsys, "bundles")
    assert "tiny" in [row["name"] for row in found["bundles"]]
    (problem,) = found["problems"]
    assert str(place / "nowhere") in problem
    _, out, _ = run(capsys, "bundles")
    assert "not a folder" in " ".join(out.split())


@pytest.mark.parametrize("command", ["analyse good.png", "attack good.png", "evaluate", "verify", "bundles"])
def test_without_json_a_table_is_printed(place, fakes, capsys, command) -> None:
    name, *image = command.split()
    where = {"evaluate": ["tiny"], "verify": ["tiny"], "bundles": []}.get(name, [*image, "--bundle", "tiny"])
    status, out, _ = run(capsys, name, *where)
    assert status == 0
    assert "━" in out


ANALYSE = "analyse {} --bundle tiny"
ATTACK = "attack good.png --bundle tiny "
BAD = {
    "no command": ("", "Missing command"),
    "unknown command": ("dance", "No such command 'dance'"),
    "missing argument": ("analyse", "Missing argument 'IMAGE'"),
    "unknown option": ("bundles --colour", "--colour"),
    "wrong option type": (ATTACK + "--seed x", "--seed"),
    "missing file": (ANALYSE.format("none.png"), "There is no file 'none.png'"),
    "a folder": (ANALYSE.format("bundles"), "is a folder"),
    "long name": (ANALYSE.format("a" * 300), "File name too long"),
    "not an image": (ANALYSE.format("text.png"), "not a readable image"),
    "wrong size": (ANALYSE.format("large.png"), "expected 8×8 greyscale, got 9×8 greyscale"),
    "wrong mode": (ANALYSE.format("colour.png"), "expected 8×8 greyscale, got 8×8 RGB"),
    "unknown bundle": ("analyse good.png --bundle nope", "There is no bundle 'nope'; bundles present: .*tiny"),
    "bundle elsewhere": ("evaluate ../tiny", "There is no bundle"),
    "long bundle": ("evaluate /" + "a" * 300, "File name too long"),
    "damaged bundle": ("analyse good.png --bundle damaged", "is damaged"),
    "damaged bundle, evaluate": ("evaluate damaged", "is damaged"),
    "damaged bundle, bench": ("bench damaged", "is damaged"),
    "alpha": (ANALYSE.format("good.png") + " --alpha 1", "between 0 and 1"),
    "unknown attack": (ATTACK + "--attack nope", "no attack 'nope'"),
    "unknown parameter": (ATTACK + "--attack pgd --set epsilon=1", "has no parameter 'epsilon'"),
    "out of range": (ATTACK + "--attack pgd --set eps=-1", "'eps' parameter of attack 'pgd' must be"),
    "no number": (ATTACK + "--attack pgd --set eps=big", "must be a number"),
    "infinite": (ATTACK + "--attack pgd --set eps=inf", "must be a number"),
    "no value": (ATTACK + "--set eps", "NAME=VALUE"),
    "twice": (ATTACK + "--set eps=0.1 --set eps=0.2", "'eps' twice"),
    "target": (
        ATTACK + "--attack pgd --target 3",
        "--target must be one of zero, one, two, an index below 3, or random",
    ),
    "untargeted": (ATTACK + "--attack deepfool --target 1", "cannot aim at a class"),
    "out is no png": (ATTACK + "--out adv.jpg", "must name a .png file"),
    "out nowhere": (ATTACK + "--out none/adv.png", "there is no folder 'none'"),
    "out is a folder": (ATTACK + "--out bundles.png", "is a folder"),
    "out too long": (ATTACK + "--out " + "a" * 260 + ".png", "File name too long"),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("command", "sentence"), BAD.values(), ids=list(BAD))
def test_bad_input_is_one_sentence_and_status_2(place, fakes, capsys, command, sentence, as_json) -> None:
    (place / "text.png").write_text("hello")
    (place / "bundles.png").mkdir()
    Image.new("L", (9, 8)).save(place / "large.png")
    Image.new("RGB", (8, 8)).save(place / "colour.png")
    write_bundle(place / "bundles" / "damaged", lambda folder: replace(fill(folder), name="damaged"))
    file = place / "bundles" / "damaged" / "scores.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    before = sorted(path.name for path in place.iterdir())
    status, out, err = run(capsys, *command.split(), *(["--json"] if as_json and command else []))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert re.search(sentence, err)
    assert sorted(path.name for path in place.iterdir()) == before


def test_whoever_reads_the_old_file_keeps_all_of_it(place, fakes, capsys) -> None:
    (place / "adv.png").write_bytes(b"old")
    with (place / "adv.png").open("rb") as old:
        answer(capsys, "attack", "good.png", "--bundle", "tiny", "--out", "adv.png")
        assert old.read() == b"old"
    assert load_image_file(place / "adv.png", SHAPE).shape == SHAPE


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(place, fakes, capsys, monkeypatch) -> None:
    (place / "adv.png").write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    status, out, err = run(capsys, "attack", "good.png", "--bundle", "tiny", "--out", "adv.png", "--json")
    assert (status, out) == (2, "")
    assert err == "--out 'adv.png' cannot be written: No space left on device.\n"
    assert (place / "adv.png").read_bytes() == b"old"
    assert sorted(path.name for path in place.iterdir()) == ["adv.png", "bundles", "good.png"]


def test_a_fault_of_our_own_is_status_1_and_no_traceback(place, monkeypatch, capsys) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(telltale, "analyse", broken, raising=False)
    status, out, err = run(capsys, "analyse", "good.png", "--bundle", "tiny", "--json")
    assert (status, out, err) == (1, "", "Telltale failed: RuntimeError: two lines\n")


def test_the_module_runs_as_a_program_without_torch(place) -> None:
    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "telltale", *arguments],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip

    good = program("evaluate", "tiny", "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["bundle"] == "tiny"
    assert " torch\n" not in good.stderr
    bad = program("evaluate", "nope", "--json")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "Traceback" not in bad.stderr
    assert program("--help").returncode == 0
