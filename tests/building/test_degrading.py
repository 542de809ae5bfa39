"""What a bundle has with less than everything: whatever is missing is said where it would stand, and is no error."""

from __future__ import annotations

from collections.abc import Callable
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
from support.pages import text_of, unopened
from support.tiny import tiny_classifier, tiny_digits
from telltale.analysis.opened import open_bundle
from telltale.base.errors import InputError
from telltale.base.images import to_bytes
from telltale.building.build import build_around
from telltale.bundle import under_way
from telltale.bundle.bundle import NEED_LABELS, Bundle, load_bundle
from telltale.cli import main
from telltale.data.image_set import NO_LABEL
from telltale.data.splits import SplitSizes
from telltale.model_errors.reasons import explain_errors
from telltale.recipes import BundlePlan
from telltale_app.pages import PAGES

pytestmark = pytest.mark.slow

WITHOUT_ATTACKS = ("confidence", "knn_score", "feature_squeezing", "stability")
IMAGES = 240


def plan(source: Path, calibration: int = 60, detectors: tuple[str, ...] = WITHOUT_ATTACKS) -> BundlePlan:
    sizes = SplitSizes(fit=30, calibration=calibration, test=40)
    return BundlePlan(
        name="own",
        title="own",
        source=str(source),
        sizes=sizes,
        attacks=(),
        macro_attacks=(),
        detectors=detectors,
        own=True,
    )


def write_digits(folder: Path, ids: np.ndarray, folder_of: Callable[[int], str]) -> Path:
    """Write digits as PNG, each into the folder that its id belongs to."""
    for image_id in ids:
        place = folder / folder_of(int(image_id))
        place.mkdir(parents=True, exist_ok=True)
        pixels = to_bytes(tiny_digits().images([image_id])[0])[0]
        Image.fromarray(pixels, mode="L").save(place / f"{image_id:04}.png")
    return folder


def build(place: Path, made: BundlePlan) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telltale.building.build, "Processes", InOrder)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        patch.setattr(under_way, "SECONDS_BETWEEN", 0.0)
        build_around(tiny_classifier(), made, place / "own", lambda *_: None)
    return load_bundle(str(place / "own"))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of images without labels; tests must not change it."""
    place = tmp_path_factory.mktemp("unlabelled")
    write_digits(place / "images", np.arange(300, 300 + IMAGES), lambda _: ".")
    return build(place, plan(place / "images"))


def test_images_without_labels_give_neighbours_maps_and_p_values_relative_to_what_is_read(unlabelled: Bundle) -> None:
    images = unlabelled.require_images()
    used = np.concatenate(list(unlabelled.splits.to_arrays().values()))
    read = tiny_classifier().predict(images.images(used))
    assert (images.labels[used] == read).all() and images.class_names == unlabelled.class_names
    assert (np.delete(images.labels, used) == NO_LABEL).all()
    assert unlabelled.manifest.accuracies == {}, "what was not measured is not said"
    image = images.images(unlabelled.splits.test[:1])[0]
    seen = telltale.analyse(image, bundle=str(unlabelled.folder))
    assert {"neighbours", "response", "squeezing", "stability"} <= {
        name for name, view in seen.evidence.items() if not hasattr(view, "reason")
    }
    assert {verdict.detector for verdict in seen.verdicts} == set(WITHOUT_ATTACKS)
    for verdict in seen.verdicts:
        calibration = unlabelled.calibration(verdict.detector)
        assert calibration is not None and len(calibration) == len(unlabelled.splits.calibration)
        assert verdict.p_value == (1 + (calibration.scores >= verdict.score).sum()) / (1 + len(calibration))


def test_nothing_that_needs_labels_is_made_up(
    unlabelled: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="one folder per class would bring"):
        explain_errors(open_bundle(str(unlabelled.folder)), lambda *_: None)
    monkeypatch.setenv("TELLTALE_BUNDLES", str(unlabelled.folder.parent))
    for command in (["slices", "own"], ["label-errors", "own"]):
        assert main(command) != 0
        assert NEED_LABELS in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_opens_without_labels(unlabelled: Bundle, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(unlabelled.folder.parent))
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    case = {"bundle": "own", "image": f"test-{unlabelled.splits.test[0]}", "attack": "fgsm"}
    app = unopened(f"app_pages/{page}", 120, **case).run()
    assert not app.exception, app.exception
    assert not app.error and not app.warning
    if page in ("misclassifications.py", "about.py", "neighbours.py"):
        assert NEED_LABELS in text_of(app)
    assert "the label says" not in text_of(app)


@pytest.mark.parametrize(("calibration", "possible"), [(9, False), (24, True)])
def test_a_verdict_at_5_percent_takes_19_held_out_images(
    tmp_path: Path, calibration: int, possible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tiny_digits().labels
    write_digits(tmp_path / "images", np.arange(300, 300 + IMAGES), lambda i: str(labels[i]))
    bundle = build(tmp_path, plan(tmp_path / "images", calibration, ("confidence",)))
    known = bundle.calibration("confidence")
    assert known is not None and (len(known) >= 19) == possible
    assert np.isfinite(known.threshold(0.05)) == possible
    image = bundle.require_images().images(bundle.splits.test[:1])[0]
    (verdict,) = telltale.analyse(image, bundle=str(bundle.folder)).verdicts
    assert verdict.p_value is not None and verdict.p_value >= 1 / (1 + len(known))
    assert (verdict.adversarial is not None) == possible
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path))
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    query = {"bundle": "own", "image": f"test-{bundle.splits.test[0]}", "alpha": "0.05"}
    said = text_of(unopened("app_pages/workbench.py", 120, **query).run())
    assert ("takes 19 held-out images that the model reads correctly; here are" in said) == (not possible)
    assert ("No verdict yet" in said) == (not possible)


def test_a_network_and_pictures_without_labels_are_enough_for_the_three_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    monkeypatch.chdir(tmp_path)
    Path("shop.py").write_text(TEXT)
    save_file(ColourNetwork().state_dict(), "shop.safetensors")
    Path("photos").mkdir()
    for file in sorted(write_folder(tmp_path / "sorted", each=40).rglob("*.png")):
        file.rename(Path("photos") / f"{file.parent.name}-{file.name}")
    given = ["--model", "shop.py:make", "--weights", "shop.safetensors", "--data", "photos", "--no-cost"]
    stated = ["--classes", "red,green,blue", "--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"]
    assert main(["inspect", "shop", *given, *stated]) == 0
    settings = Path("shop.toml").read_text()
    assert "# Look at this first: The pictures have no labels" in settings
    settings = settings.replace("attacks = []", 'attacks = ["fgsm", "deepfool"]')
    Path("shop.toml").write_text(settings.replace("detectors = []", 'detectors = ["confidence", "lid"]'))
    assert main(["build", "shop", "--out", str(tmp_path / "bundles" / "shop")]) == 0
    bundle = load_bundle("shop")
    images = bundle.require_images()
    named = [bundle.class_names.index(Path(name).name.partition("-")[0]) for name in images.names]
    used = np.concatenate(list(bundle.splits.to_arrays().values()))
    assert (images.labels[used] == np.array(named)[used]).all(), "this network reads every picture correctly"
    assert not bundle.labelled and set(bundle.manifest.detectors) == {"confidence", "lid"}
    seen = telltale.analyse(images.images(bundle.splits.test[:1])[0], bundle="shop")
    assert {verdict.detector for verdict in seen.verdicts} == {"confidence", "lid"} and seen.fused is not None
