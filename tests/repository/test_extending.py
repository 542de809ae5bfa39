"""The examples of docs/extending.md, run as they are printed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from support.clouds import problem
from support.tiny import tiny_classifier, tiny_images
from telltale.attacks import attack_images
from telltale.attacks.registry import ATTACKS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


def example(number: int, folder: Path) -> ModuleType:
    block = re.findall(r"```python\n(.*?)   ```", DOCUMENT.read_text(), re.DOTALL)[number]
    file = folder / f"example_{number}.py"
    file.write_text("\n".join(line.removeprefix("   ") for line in block.splitlines()))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_detector_of_the_guide_detects_and_can_be_stored(tmp_path: Path) -> None:
    kind = example(0, tmp_path).ClassDistance
    (evidence, labels), (fresh, fresh_labels) = problem()
    detector = kind().fit(evidence, labels)
    scores = detector.score(fresh)
    assert roc_auc_score(fresh_labels.adversarial, scores) >= 0.9
    np.testing.assert_array_equal(kind().restore(detector.arrays()).score(fresh), scores)


def test_the_attack_of_the_guide_does_what_the_registered_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = example(1, tmp_path).SPEC
    monkeypatch.setitem(ATTACKS, spec.name, spec)
    images, _ = tiny_images(4)
    ours, known = (attack_images(tiny_classifier(), images, name, {"eps": 0.2}) for name in (spec.name, "fgsm"))
    np.testing.assert_array_equal(ours.images, known.images)
    assert ours.success.any()
