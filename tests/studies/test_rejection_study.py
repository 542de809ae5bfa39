"""Attacks at growing budgets, against attacks and analyses of the same images one by one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest

from support.shipped import shipped
from telltale.analysis.analyse import analyse_image
from telltale.attacks.attack import attack_images
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.progress import silent
from telltale.cli import main
from telltale.scores.rates import Rate
from telltale.scores.rejection import ADAPTIVE, NONE, WORST, Success, success_after_rejection
from telltale.scores.table import draw_test_ids
from telltale.studies.rejection import measure, results, words

IMAGES = 3
PLAN = measure.Plan((0, 40), ("fgsm",), IMAGES, "idefender", {"steps": 2})


@pytest.fixture
def here(monkeypatch):
    """Run the chunks in this process, and count them."""
    done = []

    def run(_, *works):
        for work in works:
            for job in work.jobs:
                done.append(job.file.name)
                work.do(job)

    monkeypatch.setattr(measure.Processes, "run", run)
    monkeypatch.setattr(measure, "kept", lambda _key, _make: shipped())
    return done


def test_rows_are_those_of_single_analyses_and_nothing_is_done_twice(here, tmp_path, monkeypatch) -> None:
    file = tmp_path / "digits.parquet"
    monkeypatch.setattr(measure, "save_rejection", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        measure.measure_rejection("digits", PLAN, file, silent)
    assert len(here) == 4 and not file.exists()
    monkeypatch.undo()
    monkeypatch.setattr(measure.Processes, "run", lambda _, *works: [1 / 0 for work in works for _ in work.jobs])
    found = measure.measure_rejection("digits", PLAN, file, silent)
    assert [entry.name for entry in tmp_path.iterdir()] == ["digits.parquet"]
    loaded = shipped()
    ids = draw_test_ids(loaded.bundle.scores, IMAGES, 0)
    image_set = loaded.bundle.image_set
    rows = found.table.to_pylist()
    assert [(r["attack"], r["eps"], r["image_id"]) for r in rows] == [
        (attack, eps, image) for attack in ("fgsm", "adaptive") for eps in (0, 40) for image in ids
    ]
    step = 0.01 * (40 / 255) / 0.1
    stored = {"detector": "idefender", "steps": 2, "restarts": 3, "step": step, "aims": "each in turn"}
    for row in rows:
        natural = image_set.images(np.array([row["image_id"]]))
        label = image_set.labels[row["image_id"]]
        image = natural[0]
        if row["eps"]:
            values = {"eps": 40 / 255} | (stored if row["attack"] == "adaptive" else {})
            labels = np.array([label])
            image = attack_images(
                loaded.classifier, natural, row["attack"], values, labels, defence=loaded.defence
            ).images[0]
        seen = analyse_image(loaded, image)
        assert row["wrong"] == (seen.prediction.label != label)
        assert row["score_fused"] == pytest.approx(seen.fused.attack.score, abs=1e-3)
        assert row["p_value"] == pytest.approx(seen.fused.attack.p_value, abs=0.01)
        assert row["knowledge"] == ("adaptive" if row["attack"] == "adaptive" else "none")
    assert not any(row["wrong"] for row in rows if row["eps"] == 0)
    assert results.load_rejection(file).origin == found.origin
    assert found.origin.bundle_id == loaded.bundle.id and found.origin.data_fingerprint == image_set.fingerprint


def test_both_who_know_the_detectors_stand_side_by_side_and_in_the_worst_case(here, tmp_path) -> None:
    both = ("adaptive", "adaptive_square")
    plan = measure.Plan((20,), ("fgsm",), 2, "idefender", {"steps": 2, "queries": 4}, adaptive=both)
    found = measure.measure_rejection("digits", plan, tmp_path / "digits.parquet", silent)
    rows = found.table.to_pylist()
    assert [(r["attack"], r["knowledge"]) for r in rows[::2]] == [
        ("fgsm", "none"),
        *((one, "adaptive") for one in both),
    ]
    settings = found.origin.parameters
    assert settings["adaptive_square"] == {"detector": "idefender", "queries": 4, "start": "image"}
    assert settings["adaptive"]["steps"] == 2 and "queries" not in settings["adaptive"]
    loaded, image = shipped(), rows[-1]["image_id"]
    searched = attack_images(
        loaded.classifier,
        loaded.bundle.image_set.images(np.array([image])),
        "adaptive_square",
        {"eps": 20 / 255, "queries": 4},
        loaded.bundle.image_set.labels[np.array([image])],
        defence=loaded.defence,
    )
    assert rows[-1]["wrong"] == bool(searched.fooled[0])
    assert rows[-1]["score_fused"] == pytest.approx(loaded.defence.scoring("fused")(searched.images)[0], abs=1e-3)
    unrejected = {(r["attack"], r["image_id"]): r["wrong"] and r["p_value"] > 0.9 for r in rows}
    images = sorted({r["image_id"] for r in rows})
    by_any = sum(any(unrejected[one, image] for one in ("fgsm", *both)) for image in images)
    worst = success_after_rejection(found.table, 0.9)[-1]
    assert (worst.attack, worst.knowledge, worst.after.count) == ("worst", "adaptive", by_any)


def test_the_command_prints_and_stores(here, tmp_path, capsys) -> None:
    file = tmp_path / "out.parquet"
    arguments = ["rejection", "digits", "--eps", "0,30", "--attacks", "fgsm", "--images", "2", "--out", str(file)]
    assert main([*arguments, "--alpha", "0.1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    wanted = success_after_rejection(results.load_rejection(file).table, 0.1)
    assert record["rows"] == json.loads(json.dumps([success.to_json() for success in wanted]))
    assert "do not know it" in record["title"] and record["detector"] is None


def test_only_a_table_of_this_very_bundle_is_shown(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    bundle = shipped().bundle
    assert results.stored_rejection(bundle) is None
    empty = results.SCHEMA.empty_table()
    for bundle_id in ("another", bundle.id):
        origin = results.Origin("digits", bundle_id, "f", "c", 0, None, {})
        results.save_rejection(results.stored_at(bundle), results.StoredRejection(empty, origin))
        assert (results.stored_rejection(bundle) is not None) == (bundle_id == bundle.id)
    (tmp_path / "digits.parquet").write_bytes(b"no table")
    with pytest.raises(DamagedBundleError):
        results.stored_rejection(bundle)


def test_the_headline_names_no_attacker_who_was_not_tried() -> None:
    titles = {
        detector: words.title_of(results.Origin("digits", "", "", "", 0, detector, {}))
        for detector in (None, "idefender", "fused", "idefender+knn_score")
    }
    assert titles[None].endswith("against attackers who do not know it")
    assert titles["idefender"].endswith("knows only I-defender")
    assert titles["fused"].endswith("by one who does")
    assert titles["idefender+knn_score"].endswith("knows only I-defender and kNN score")


def achieved(attack, knowledge, eps, after) -> Success:
    return Success(attack, knowledge, eps, Rate(90, 100), Rate(after, 100))


@pytest.mark.parametrize("detector", [None, "fused", "idefender"])
def test_the_sentences_take_each_attacker_at_its_best_budget(detector) -> None:
    """Larger changes are noticed more often: an attacker who may make them need not."""
    blind = [achieved("pgd", NONE, eps, after) for eps, after in ((0, 0), (4, 9), (8, 5))]
    worst = [achieved(WORST, ADAPTIVE, eps, after) for eps, after in ((0, 0), (4, 30), (8, 71))]
    knowing = [] if detector is None else [achieved("adaptive", ADAPTIVE, 8, 99), *worst]
    said = words.sentences([*blind, *knowing], results.Origin("digits", "", "", "", 0, detector, {}))
    assert said[0].startswith(
        "Attackers who do not know the detectors get 9 % of 100 images past the model and the fused verdict"
    )
    assert "by PGD, at ε = 4/255; without rejection it would be 90 %." in said[0]
    low, high = (100 * end for end in binomtest(9, 100).proportion_ci(0.95, "exact"))
    assert f"({low:.3g} % to {high:.3g} %)" in said[0]
    if detector is None:
        assert len(said) == 2 and said[1].startswith("All of this is against attackers who do not know it.")
        return
    name = {"fused": "the fused verdict", "idefender": "I-defender"}[detector]
    assert said[1].startswith(f"An attacker who knows {name} gets 71 % of 100 images past the model")
    assert "by whatever succeeds on an image, at ε = 8/255" in said[1]
    assert [line for line in said[2:] if "has not been tried" in line] == list(said[2:])
    assert len(said) == (2 if detector == "fused" else 3)


def test_the_command_that_a_page_names_is_a_plan_and_stores_where_the_page_reads(here, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    bundle = shipped().bundle
    line = results.full_command(bundle)
    given = dict(zip(line.split()[3::2], line.split()[4::2], strict=False))
    measure.Plan([int(eps) for eps in given["--eps"].split(",")], given["--attacks"].split(","))
    short = ["rejection", bundle.name, "--eps", "0,51", "--attacks", "fgsm", "--images", "2", "--adaptive"]
    assert main([*short, "--set", "steps=1", "--set", "restarts=2"]) == 0
    stored = results.stored_rejection(bundle)
    assert stored is not None and stored.origin.parameters["adaptive"]["restarts"] == 2
    assert words.effort(stored.origin) == (
        "Adaptive PGD: 1 steps, 2 runs, each with weighted and with orthogonal steps"
    )
    assert stored.origin.detector == measure.default_detector() and stored.table.num_rows == 2 * 2 * 2
    colour = SimpleNamespace(image_shape=(3, 32, 32), name="cifar10")
    checklist = (Path(__file__).parents[2] / "docs" / "evaluation-checklist.md").read_text()
    assert all(f"\n{results.full_command(one)}\n" in checklist for one in (bundle, colour))


def test_an_adaptive_attacker_tries_hard_unless_told_otherwise() -> None:
    stored = {"eps": 0.1, "step": 0.01, "steps": 20}
    for settings, steps, restarts in (({}, 100, 3), ({"steps": 7}, 7, 3)):
        plan = measure.Plan((8,), ("pgd",), 1, "idefender", settings)
        found = measure._parameters(plan, "adaptive", stored)
        assert (found["steps"], found["restarts"], found["step"]) == (steps, restarts, 0.01)
        assert measure._parameters(plan, "pgd", stored)["steps"] == 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budgets": (300,)}, r"\[0, 255\]"),
        ({"attacks": ("cw",)}, "no L∞ budget"),
        ({"attacks": ("adaptive",)}, "no L∞ budget"),
        ({"attacks": ()}, "Name an attack"),
        ({"budgets": (1, 1)}, "once"),
        ({"adaptive": ("adaptive", "adaptive")}, "once"),
        ({"adaptive": ("cw_opt",)}, "cannot be told what to hide from"),
        ({"adaptive": ("pgd",)}, "cannot be told what to hide from"),
        ({"detector": "lid", "settings": {"queries": 4}}, "No adaptive attacker has a parameter 'queries'"),
        ({"images": 0}, "At least one"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options, said) -> None:
    with pytest.raises(InputError, match=said):
        measure.Plan(**options)
