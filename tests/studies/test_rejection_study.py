"""Attacks at growing budgets, against attacks and analyses of the same images one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.shipped import shipped
from telltale.analysis.analyse import analyse_image
from telltale.attacks.attack import attack_images
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.progress import silent
from telltale.cli import main
from telltale.scores.rejection import success_after_rejection
from telltale.scores.table import draw_test_ids
from telltale.studies.rejection import measure, results

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
    stored = {"detector": "idefender", "steps": 2, "step": 0.01 * (40 / 255) / 0.1}
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
        detector: results.title_of(results.Origin("digits", "", "", "", 0, detector, {}))
        for detector in (None, "idefender", "fused")
    }
    assert titles[None].endswith("against attackers who do not know it")
    assert titles["idefender"].endswith("knows only I-defender")
    assert titles["fused"].endswith("by one who does")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budgets": (300,)}, r"\[0, 255\]"),
        ({"attacks": ("cw",)}, "no L∞ budget"),
        ({"attacks": ("adaptive",)}, "no L∞ budget"),
        ({"attacks": ()}, "Name an attack"),
        ({"budgets": (1, 1)}, "once"),
        ({"images": 0}, "At least one"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options, said) -> None:
    with pytest.raises(InputError, match=said):
        measure.Plan(**options)
