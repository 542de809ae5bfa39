"""The ImageNet tables: entropies image by image, detection and a density by hand, a reason in every empty cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from support.in_order import InOrder
from support.tiny import tiny_classifier, tiny_images
from telltale.base.images import to_bytes, to_floats
from telltale.building.attacking import AttackedImages
from telltale.evidence.response import feature_responses, local_entropy, luma, to_grey_levels
from telltale.models.weights import save_weights
from telltale.recipes import AttackPlan
from telltale.scores.metrics import auc, auc_interval
from telltale.studies.tables import figures, imagenet, protocol, response_entropies
from telltale.studies.tables.response_entropies import measure_entropies
from telltale.studies.tables.table import Cell

IMAGES = 24


class TinyLab:
    """Stands for a `Lab`: the tiny classifier, digits that it reads correctly, and attacks that are noise."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.images = folder, InOrder(), None
        self.classifier = tiny_classifier()
        self.weights = folder / "weights.safetensors"
        save_weights(self.classifier, self.weights)
        images, labels = tiny_images(IMAGES)
        self.image_set = SimpleNamespace(
            pixels=to_bytes(images), labels=labels, images=lambda ids: to_floats(self.image_set.pixels[ids])
        )
        self.plans: list[AttackPlan] = []

    @cached_property
    def loaded(self) -> Any:
        return SimpleNamespace(reference=SimpleNamespace(trace=self.classifier.trace(self.image_set.images(slice(9)))))

    def correct_ids(self, split: str) -> np.ndarray:
        return np.arange(IMAGES)[["fit", "calibration", "test"].index(split) :: 3]

    def capped(self, count: int) -> int:
        return count

    def progress(self, fraction: float, message: str) -> None:
        assert 0.0 <= fraction <= 1.0 and message

    def attacked_images(self, split: str, plans: Sequence[AttackPlan], counts: Sequence[int]) -> list[AttackedImages]:
        self.plans += plans
        found = []
        for place, (plan, count) in enumerate(zip(plans, counts, strict=True)):
            ids = self.correct_ids(split)[:count]
            noise = np.random.default_rng(place).integers(-60, 60, self.image_set.pixels[ids].shape)
            pixels = np.clip(self.image_set.pixels[ids] + noise, 0, 255).astype(np.uint8)
            success = np.arange(len(ids)) % 4 > 0
            found.append(AttackedImages(plan.name, ids, pixels, success, *np.zeros((3, len(ids)))))
        return found


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(figures, "RESAMPLES", 10)
    monkeypatch.setattr(protocol, "auc_interval", partial(auc_interval, n_resamples=10))
    monkeypatch.setattr(response_entropies, "CHUNK", 10)
    return TinyLab(tmp_path)


def _by_place(cells: Sequence[Cell]) -> dict[tuple[str, str], Cell]:
    found = {(cell.row, cell.column): cell for cell in cells}
    assert len(found) == len(cells)
    return found


def _plain_entropy(images: np.ndarray) -> np.ndarray:
    inputs = torch.from_numpy(images).requires_grad_()
    energy = tiny_classifier().stage(inputs).square().sum() / 2
    (gradient,) = torch.autograd.grad(energy, inputs)
    return local_entropy(to_grey_levels(luma(gradient.numpy()))).mean((1, 2))


def test_entropies_are_those_of_single_images_and_kept(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = lab.image_set.pixels
    found = measure_entropies(lab, "natural", pixels)
    images = to_floats(pixels)
    guided = [float(feature_responses(lab.classifier, image[None]).mean_entropy[0]) for image in images]
    np.testing.assert_allclose(found.guided, guided, atol=2e-3)
    np.testing.assert_allclose(found.plain, _plain_entropy(images), atol=2e-3)
    assert np.abs(found.plain - found.guided).max() > 0.1
    np.testing.assert_allclose(found.confidence, lab.classifier.trace(images).probabilities.max(1), atol=1e-5)
    monkeypatch.setattr(response_entropies, "feature_responses", None)  # nothing is measured twice
    np.testing.assert_array_equal(measure_entropies(lab, "natural", pixels).plain, found.plain)


def test_the_response_table_judges_all_held_out_images(lab: Any) -> None:
    cells = _by_place(imagenet.response_table_1(lab))
    natural = np.concatenate([lab.correct_ids(split) for split in imagenet.HELD_OUT])
    (fgsm,) = [plan for plan in imagenet.RESPONSE_PLANS.values() if plan.name == "fgsm"]
    parts = [lab.attacked_images(split, [fgsm], [imagenet.ALL])[0] for split in imagenet.HELD_OUT]
    hit = np.concatenate([part.pixels[part.success] for part in parts])
    success = cells["FGSM", "success"]
    assert success.ours == pytest.approx(75.0) and success.n == IMAGES and success.paper == 92.5
    for column, entropies in (
        ("AUC, plain gradient", _plain_entropy),
        ("AUC, guided", lambda images: feature_responses(lab.classifier, images).mean_entropy),
        ("AUC, 1 − confidence", lambda images: 1 - lab.classifier.trace(images).probabilities.max(1)),
    ):
        by_hand = auc(entropies(lab.image_set.images(natural)), entropies(to_floats(hit)))
        assert cells["FGSM", column].ours == pytest.approx(100 * by_hand, abs=0.5), column
    assert cells["FGSM", "TPR at FPR 1 %"].paper == 95.4
    assert cells["PGD", "TPR at FPR 1 %"].paper is None and cells["PGD", "TPR at FPR 1 %"].ours is not None
    for row in ("One pixel", "Boundary"):
        assert cells[row, "success"].ours is None and "not run" in cells[row, "success"].note


def test_what_one_photograph_of_a_class_does_not_give_is_said_in_every_cell(lab: Any) -> None:
    knn, networks = imagenet.knn_table_2(lab), imagenet.trajectory_table_2(lab)
    assert len(_by_place(knn)) == 36 and len(_by_place(networks)) == 48
    assert all(cell.ours is None and cell.paper is not None for cell in (*knn, *networks))
    assert {cell.note for cell in knn} == {imagenet.ONE_EACH}


def test_success_is_that_of_the_attacks_as_applied(lab: Any) -> None:
    cells = _by_place(imagenet.trajectory_table_1(lab))
    assert len(cells) == 17 and all(cell.ours == pytest.approx(75.0) for cell in cells.values())
    assert cells["FGSM 20/255", "ε as applied"].note == "ε 4.5/255 in pixels"


def test_the_graybox_table_has_one_density_where_it_cannot_have_one_per_class(lab: Any) -> None:
    cells = _by_place(imagenet.idefender_table_9(lab))
    column = "Iterative L∞, ε 0.019"
    assert cells["α = 1", f"{column}, AUC"].paper == 97.215 and cells["α = 1", f"{column}, AUC"].ours is None
    assert cells["Source alone", f"{column}, Adv Acc"].ours == pytest.approx(25.0)
    states = lab.loaded.reference.trace.activations[-1].astype(np.float64)
    precision, mean = np.linalg.inv(ledoit_wolf(states)[0]), states.mean(0)

    def surprise(images: np.ndarray) -> np.ndarray:
        away = lab.classifier.trace(images).activations[-1] - mean
        return np.einsum("nd,de,ne->n", away, precision, away)

    attacked = lab.attacked_images("test", list(imagenet.GRAYBOX_PLANS.values()), [imagenet.ALL] * 3)[1]
    natural = surprise(lab.image_set.images(lab.correct_ids("test")))
    by_hand = auc(natural, surprise(to_floats(attacked.pixels[attacked.success])))
    assert cells["Source alone", f"{column}, AUC"].ours == pytest.approx(100 * by_hand, abs=1e-6)
