"""The first attacked image: the one that a rule over the stored rows names, checked row by row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from telltale.bundle import load_bundle
from telltale.recipes import Story
from telltale.scores.opening import Opening, opening
from telltale.scores.table import natural_test_ids

NAMES = ("stop", "give way", "speed limit 30", "speed limit 80")
STORY = Story("stop", "speed limit")


def table(*rows: tuple[str, str, str, int, int, int, float]) -> pa.Table:
    names = ("split", "kind", "attack", "image_id", "label", "prediction", "confidence")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) | {"score_x": [0.0] * len(rows)})


NATURAL = [("test", "natural", "", image, image % 4, image % 4, 0.9) for image in range(8)]


def test_the_story_is_told_by_the_preferred_attack_most_surely() -> None:
    rows = [
        *NATURAL,
        ("fit", "adversarial", "pgd", 0, 0, 2, 0.99),
        ("test", "failed", "pgd", 0, 0, 3, 0.99),
        ("test", "adversarial", "pgd", 1, 1, 2, 0.99),
        ("test", "adversarial", "pgd", 4, 0, 1, 0.99),
        ("test", "adversarial", "fgsm", 4, 0, 3, 0.98),
        ("test", "adversarial", "pgd", 0, 0, 2, 0.5),
        ("test", "adversarial", "pgd", 4, 0, 3, 0.7),
        ("test", "adversarial", "an-attack-of-a-table", 4, 0, 3, 1.0),
    ]
    assert opening(table(*rows), "pgd", NAMES, STORY) == Opening(4, "pgd")
    assert opening(table(*rows[:-2]), "pgd", NAMES, STORY) == Opening(0, "pgd")
    assert opening(table(*rows[:-3]), "pgd", NAMES, STORY) == Opening(4, "fgsm")
    # Nobody reads a stop sign as a speed limit: then the most usual image that the attack fools.
    assert opening(table(*rows[:-4]), "pgd", NAMES, STORY) == Opening(1, "pgd")
    assert opening(table(*NATURAL), "pgd", NAMES, STORY) is None


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_shipped_models_open_on_an_image_that_was_read_rightly_and_then_wrongly(name: str) -> None:
    bundle = load_bundle(name)
    found = opening(bundle.scores, "pgd", bundle.class_names, bundle.story)
    assert found is not None and found.attack == "pgd"
    rows = [r for r in bundle.scores.to_pylist() if r["image_id"] == found.image_id and r["split"] == "test"]
    attacked = next(r for r in rows if r["attack"] == "pgd")
    assert attacked["kind"] == "adversarial" and attacked["prediction"] != attacked["label"]
    fooled = {r["image_id"] for r in bundle.scores.to_pylist() if (r["attack"], r["kind"]) == ("pgd", "adversarial")}
    assert found.image_id == next(i for i in natural_test_ids(bundle.scores).tolist() if i in fooled)
