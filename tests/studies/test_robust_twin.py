"""A hardened twin, on the tiny classifier: its training, its attacks and its counts, against loops over images."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import roc_auc_score

from support.tiny import TRAINING_IMAGES, tiny_classifier, tiny_digits, tiny_images
from telltale import recipes
from telltale.attacks.attack import attack_images
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.progress import silent
from telltale.cli import main
from telltale.data.shifts import blur
from telltale.data.splits import Splits, SplitSizes
from telltale.models.weights import save_weights
from telltale.recipes import DIGITS, Twin
from telltale.studies.robust_twin import measure, results
from telltale.studies.robust_twin.defences import Judge, agreement, with_twin
from telltale.studies.robust_twin.figures import figures
from telltale.studies.robust_twin.hardening import Hardening, attacked
from telltale.studies.robust_twin.plan import Plan

RECIPE = replace(
    DIGITS,
    name="tiny",
    sizes=SplitSizes(fit=60, calibration=80, test=60),
    base_width=4,
    depth=1,
    twin=Twin(base_width=3, depth=1, epochs=1),
)
PLAN = Plan((25,), epochs=1, training_images=200, eps=(30,), images=6, natural=20, steps=3)


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """Make the tiny classifier a recipe's, keep all work in this process, and return its file of weights."""
    monkeypatch.setitem(recipes.RECIPES, RECIPE.name, RECIPE)
    monkeypatch.setattr(measure.Processes, "run", lambda _, *works: [w.do(job) for w in works for job in w.jobs])
    monkeypatch.setattr(results, "RESULTS", tmp_path / "stored")
    save_weights(tiny_classifier(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_steps_are_those_of_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(3, 1, 4, 4)).astype(np.float32)
    images = rng.choice([0.0, 0.03, 0.5, 1.0], size=slope.shape).astype(np.float32)
    start = rng.uniform(-0.1, 0.1, slope.shape).astype(np.float32)

    def loss(moved: torch.Tensor) -> torch.Tensor:
        return (moved * torch.from_numpy(slope)).sum()

    found = attacked(loss, torch.from_numpy(images), torch.from_numpy(start), 0.1).numpy()
    for index in np.ndindex(slope.shape):
        x = float(images[index])
        there = min(max(x + float(start[index]), 0.0), 1.0)
        for _ in range(3):
            change = min(max(there + 0.05 * np.sign(slope[index]) - x, -0.1), 0.1)
            there = min(max(x + change, 0.0), 1.0)
        assert found[index] == pytest.approx(there, abs=1e-6)


def test_a_hardened_network_resists_its_own_attack_and_the_given_one_stays_as_it_was() -> None:
    twin, data = tiny_classifier().twin, tiny_digits()
    before = {name: array.copy() for name, array in twin.arrays().items()}
    recipe = replace(RECIPE.of_twin(), epochs=5, learning_rate=0.05, batch_size=32)
    images, labels = tiny_images(40)

    def resisting(network) -> float:
        values = {"eps": 0.05, "step": 0.015, "steps": 6}
        result = attack_images(network, images, "pgd", values, labels=labels, batch_size=40)
        return float((result.predictions == labels).mean())

    hardened = Hardening(twin, recipe, data.pixels[:TRAINING_IMAGES], data.labels[:TRAINING_IMAGES], 0.05).run(silent)
    assert all(np.array_equal(before[name], array) for name, array in twin.arrays().items())
    assert not hardened.training
    assert resisting(hardened) > 0.25 + resisting(twin), (resisting(hardened), resisting(twin))


def test_agreement_is_the_mean_of_logarithms_and_each_member_can_veto() -> None:
    twin = tiny_classifier().twin
    images = tiny_images(4)[0]
    found = agreement([with_twin(tiny_classifier(), None), twin]).logits_of(images)
    expected = np.log(tiny_classifier().probabilities(images)) + np.log(twin.probabilities(images))
    np.testing.assert_allclose(found, expected / 2, atol=1e-4)


def test_a_copy_beside_another_twin_leaves_the_first_alone() -> None:
    own = tiny_classifier().twin
    assert own is not None
    assert with_twin(tiny_classifier(), None).twin is None and tiny_classifier().twin is own


def test_rows_are_those_of_single_images_and_nothing_is_done_twice(weights, tmp_path, monkeypatch) -> None:
    file = tmp_path / "tiny.parquet"
    stopped = pytest.MonkeyPatch()
    stopped.setattr(measure, "save_defence", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        measure.measure_robust_twin("tiny", PLAN, file, silent, weights=weights)
    stopped.undo()
    assert not file.exists()
    (folder,) = tmp_path.glob("*.partial")
    hardened = measure.Bench(measure.Materials(RECIPE, "digits", weights, folder, PLAN)).judge("hardened_25").classifier
    monkeypatch.setattr(measure.Processes, "run", lambda _, *works: [1 / 0 for w in works for _ in w.jobs])
    table = measure.measure_robust_twin("tiny", PLAN, file, silent, weights=weights).table
    assert not folder.exists() and results.load_defence(file).table.equals(table)

    data, splits = tiny_digits(), Splits.draw(tiny_digits().labels, RECIPE.sizes, 0)
    classifier = with_twin(tiny_classifier(), None)
    twins = {"twin": tiny_classifier().twin, "hardened_25": hardened.twin}

    def doubts(twin, images):
        rows = np.arange(len(images))
        return -np.log(twin.probabilities(images)[rows, classifier.predict(images)])

    ids, labels = splits.calibration, data.labels[splits.calibration]
    right = ids[classifier.predict(data.images(ids)) == labels]
    calibration = {name: doubts(twin, data.images(right)) for name, twin in twins.items()}
    rows = table.to_pylist()
    for row in rows:
        if row["defence"] not in twins or row["condition"] not in ("none", "blur", "fgsm", "adaptive"):
            continue
        image, label = data.images([row["image_id"]]), data.labels[[row["image_id"]]]
        twin = twins[row["defence"]]
        if row["condition"] == "blur":
            image = np.round(blur(image, 0.6) * 255) / np.float32(255)
        if row["condition"] == "fgsm":
            image = attack_images(classifier, image, "fgsm", {"eps": 30 / 255}, label).images
        if row["condition"] == "adaptive":
            judge = Judge(with_twin(classifier, twin), data.images(splits.fit[:50]), data.labels[splits.fit[:50]])
            values = {"detector": "twin", "eps": 30 / 255, "steps": 3, "step": 2.5 * 30 / 255 / 3}
            image = attack_images(judge.classifier, image, "adaptive", values, labels=label, defence=judge.defence)
            image = image.images
        score = doubts(twin, image)[0]
        assert row["score"] == pytest.approx(score, rel=1e-3, abs=1e-4)
        assert row["wrong"] == (classifier.predict(image) != label)[0]
        assert row["second_wrong"] == (twin.predict(image) != label)[0]
        at_least = int((calibration[row["defence"]] >= row["score"]).sum())
        assert row["p_value"] == pytest.approx((1 + at_least) / (1 + len(right)), abs=1.01 / (1 + len(right)))
    natural = {row["image_id"] for row in rows if row["condition"] == "none"}
    attacked_ids = {row["image_id"] for row in rows if row["condition"] == "pgd"}
    assert len(natural) == 20 and natural <= set(splits.test) and len(attacked_ids) == 6 and attacked_ids <= natural
    assert {row["eps"] for row in rows if row["condition"] == "pgd"} == {30}


def test_targets_are_what_the_second_opinion_likes_best_after_the_label() -> None:
    images, labels = tiny_images(8)
    judge = Judge(tiny_classifier(), images, labels)
    probabilities = tiny_classifier().twin.probabilities(images)
    for row, label, target in zip(probabilities, labels, judge.runner_up(images, labels), strict=True):
        assert target == max((c for c in range(10) if c != label), key=lambda c: row[c])


def test_figures_are_counts_over_rows() -> None:
    rng = np.random.default_rng(1)
    groups = [("none", "natural", 0), ("jpeg", "natural", 0), ("fgsm", "none", 4), ("pgd", "none", 4)]
    groups += [("adaptive", "adaptive", 4), ("adaptive_targeted", "adaptive", 4)]
    rows = []
    for group in groups:
        for image in range(40):
            p_value = float(rng.integers(1, 41)) / 40
            known = dict(zip(("condition", "knowledge", "eps"), group, strict=True))
            flags = {"wrong": bool(rng.random() < 0.5), "second_wrong": bool(rng.random() < 0.3)}
            rows.append({"defence": "twin", **known, "image_id": image, **flags, "score": -p_value, "p_value": p_value})
    (found,) = figures(pa.Table.from_pylist(rows, schema=results.SCHEMA), 0.3)

    def of(condition, wanted):
        return [row for row in rows if row["condition"] == condition and (wanted is None or row["wrong"] == wanted)]

    def alarms(chosen):
        return (sum(row["p_value"] <= 0.3 for row in chosen), len(chosen))

    def pair(rate):
        return (rate.count, rate.total)

    assert pair(found.accuracy) == (sum(not row["second_wrong"] for row in of("none", None)), 40)
    assert pair(found.alarms) == alarms(of("none", False)) and pair(found.all_alarms) == alarms(of("none", None))
    assert pair(found.errors_caught) == alarms(of("none", True))
    assert pair(found.shifts["jpeg"]) == alarms(of("jpeg", False))
    natural = [row["score"] for row in of("none", False)]
    for detection in found.detections:
        attack = [row["score"] for row in of(detection.attack, True)]
        expected = roc_auc_score([0] * len(natural) + [1] * len(attack), natural + attack)
        assert detection.auc == pytest.approx(expected) and pair(detection.caught) == alarms(of(detection.attack, True))
    worst = {name: 0 for name in ("none", "adaptive")}
    for image in range(40):
        mine = [row for row in rows if row["image_id"] == image and row["eps"] == 4]
        passed = {row["condition"] for row in mine if row["wrong"] and row["p_value"] > 0.3}
        worst["none"] += bool(passed & {"fgsm", "pgd"})
        worst["adaptive"] += bool(passed)
    assert {name: found.success(name, 4).after.count for name in worst} == worst


def test_the_command_prints_what_is_stored(weights, capsys) -> None:
    arguments = ["robust-twin", "tiny", "--weights", str(weights), "--train-eps", "25", "--epochs", "1", "--eps", "30"]
    arguments += ["--training-images", "64", "--images", "3", "--natural", "10", "--steps", "2"]
    assert main(["robust-twin", "tiny", "--stored"]) == 2
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in record["defences"]] == ["confidence", "twin", "hardened_25", "both_25"]
    assert record["origin"] == asdict(results.stored_defence("tiny").origin)
    assert main(["robust-twin", "tiny", "--stored", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == record
    assert main(["robust-twin", "tiny", "--stored"]) == 0
    assert "Rejection at 5 %" in capsys.readouterr().out


def test_what_cannot_be_is_refused(weights, tmp_path) -> None:
    with pytest.raises(InputError, match="trains no twin"):
        measure.measure_robust_twin("digits", PLAN, tmp_path / "x.parquet", silent)
    for options, said in (({"eps": (4, 4)}, "different"), ({"train_eps": (0,)}, "levels"), ({"steps": 0}, "'steps'")):
        with pytest.raises(InputError, match=said):
            Plan(**options)
    with pytest.raises(InputError, match="alpha"):
        figures(results.SCHEMA.empty_table(), 0.0)
    other = tmp_path / "other.parquet"
    results.save_defence(
        other,
        results.StoredDefence(
            results.SCHEMA.empty_table(), results.Origin("", "", "", "", [], 0, 0.0, 0, [], 0, 0, 0, 0)
        ),
    )
    assert results.load_defence(other).origin.recipe == ""
    other.write_bytes(b"no table")
    with pytest.raises(DamagedBundleError):
        results.load_defence(other)
