"""A bundle that version 0.2.0 has built opens, and says what it said there."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import telltale
from support.golden import GOLDEN, golden, same

SAID = golden("bundle-0.2.0.json")


@pytest.fixture(scope="module")
def built_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    with zipfile.ZipFile(GOLDEN / "bundle-0.2.0.zip") as archive:
        archive.extractall(folder)
    return folder / "mini"


def test_it_is_described_as_bundles_were_then(built_before: Path) -> None:
    bundle = telltale.load_bundle(built_before)
    assert bundle.manifest.schema_version == 1
    assert "factory" not in bundle.manifest.architecture
    assert not {"margin", "logsumexp", "max_logit"} & set(bundle.scores.column_names)
    assert bundle.data_problem is None


@pytest.mark.parametrize("image_id", SAID)
def test_it_says_of_an_image_what_it_said_then(built_before: Path, image_id: str) -> None:
    image = telltale.load_bundle(built_before).require_images().images([int(image_id)])[0]
    found = telltale.analyse(image, bundle=str(built_before))
    assert found.fused is not None
    now = {
        "prediction": found.prediction.name,
        "confidence": float(found.prediction.confidence),
        "verdicts": {verdict.detector: [verdict.score, verdict.p_value] for verdict in found.verdicts},
        "fused": [found.fused.kind, found.fused.attack.score],
    }
    same(SAID[image_id], now)
