"""From a network and a folder of photographs to pages: inspect, build, open, without a line of code of the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

import telltale
import telltale.building.build
import telltale.engine
from support.coloured import TEXT, ColourNetwork, write_folder
from support.direct_engine import DirectEngine
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import unopened
from telltale.bundle.bundle import Bundle, load_bundle
from telltale.cli import main
from telltale.data.image_set import NO_LABEL
from telltale_app.pages import PAGES

pytestmark = pytest.mark.slow
EACH = 40
INSPECT = [
    *("inspect", "shop", "--model", "shop.py:make", "--weights", "shop.safetensors", "--data", "photos"),
    *("--classes", "red,green,blue", "--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3", "--no-cost"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the three steps were taken; tests must not change it."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(place / "home"))
        patch.delenv("TELLTALE_MODELS", raising=False)
        patch.chdir(place)
        patch.setattr(telltale.building.build, "Processes", InOrder)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        (place / "shop.py").write_text(TEXT)
        save_file(ColourNetwork().state_dict(), place / "shop.safetensors")
        write_folder(place / "photos", each=EACH)
        other = place / "photos" / "violet"  # a class that the network does not know
        other.mkdir()
        Image.fromarray(np.full((30, 50, 3), (90, 0, 160), dtype=np.uint8)).save(other / "one.png")
        (place / "photos" / "red" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
        assert main(INSPECT) == 0
        assert '# "violet" =' in (place / "shop.toml").read_text()
        settings = (place / "shop.toml").read_text()
        settings = settings.replace("attacks = []", 'attacks = ["fgsm", "deepfool"]')
        settings = settings.replace("detectors = []", 'detectors = ["confidence", "knn_score", "stability", "lid"]')
        (place / "shop.toml").write_text(settings)
        assert main(["build", "shop", "--out", str(place / "bundles" / "shop")]) == 0
    return place


@pytest.fixture
def bundle(place: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "home"))
    monkeypatch.setenv("TELLTALE_BUNDLES", str(place / "bundles"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    return load_bundle("shop")


def test_its_images_are_found_again_in_the_networks_size_and_classes(bundle: Bundle) -> None:
    found = bundle.require_images()
    assert found.class_names == bundle.class_names == ("red", "green", "blue")
    assert found.pixels.shape == (3 * EACH + 1, 3, 16, 16)
    assert [left.name for left in found.left_out] == ["red/damaged.png"]
    named = [Path(name).parts[0] for name in found.names]
    expected = [("red", "green", "blue").index(name) if name != "violet" else NO_LABEL for name in named]
    assert found.labels.tolist() == expected
    splits = np.concatenate(list(bundle.splits.to_arrays().values()))
    assert len(splits) == 3 * EACH and (found.labels[splits] >= 0).all()


def test_a_photograph_is_analysed_as_the_network_reads_it(bundle: Bundle) -> None:
    image = bundle.require_images().images(bundle.splits.test[:1])[0]
    result = telltale.analyse(image, bundle="shop")
    label = bundle.require_images().labels[bundle.splits.test[0]]
    assert result.prediction.label == label
    assert {verdict.detector for verdict in result.verdicts} == {"confidence", "knn_score", "stability", "lid"}
    attacked = telltale.attack(image, bundle="shop", attack="fgsm", parameters={"eps": 0.3})
    assert attacked.linf[0] <= 0.3 + 1e-6


@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_opens(bundle: Bundle, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    case = {"bundle": "shop", "image": f"test-{bundle.splits.test[0]}", "attack": "fgsm"}
    app = unopened(f"app_pages/{page}", 120, **case).run()
    assert not app.exception, app.exception
    assert not app.error and not app.warning
