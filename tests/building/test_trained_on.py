"""Influence and mislabelled training images: of images that the network has learned from, and of no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import telltale
import telltale.building.build
import telltale.engine
from support.direct_engine import DirectEngine
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import text_of, unopened
from support.tiny import tiny_classifier, tiny_digits
from telltale.base.images import to_bytes
from telltale.building.build import build_around
from telltale.bundle import Bundle, load_bundle
from telltale.bundle.own_data import HELD_OUT_LEARNED, LEARNED_FROM_ALL
from telltale.bundle.summary import summarise
from telltale.cli import main
from telltale.data.splits import SplitSizes
from telltale.kinds.influence import InfluenceView
from telltale.kinds.needs import NOT_TRAINED_ON, UNKNOWN_TRAINING
from telltale.kinds.neighbours import NeighboursView
from telltale.recipes import BundlePlan

pytestmark = pytest.mark.slow

IMAGES = 300
SENTENCES = {True: None, None: UNKNOWN_TRAINING, False: NOT_TRAINED_ON}


@pytest.fixture(scope="module", params=[True, False, None], ids=str)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bool | None, Bundle]:
    """Whether the references were learned from, and a bundle that knows it; tests must not change it."""
    place = tmp_path_factory.mktemp("trained")
    return request.param, build(place, write(place / "images", "."), request.param)


def write(folder: Path, held_out: str) -> Path:
    """Write labelled digits, a quarter of them into a folder of their own."""
    labels = tiny_digits().labels
    for image_id in range(IMAGES):
        within = folder / (held_out if image_id % 4 == 0 else "." if held_out == "." else "train")
        place = within / str(labels[image_id])
        place.mkdir(parents=True, exist_ok=True)
        pixels = to_bytes(tiny_digits().images([image_id])[0])[0]
        Image.fromarray(pixels, mode="L").save(place / f"{image_id:04}.png")
    return folder


def build(place: Path, source: Path, trained_on: bool | None) -> Bundle:
    plan = BundlePlan(
        name="own",
        title="own",
        source=str(source),
        sizes=SplitSizes(fit=40, calibration=60, test=40),
        attacks=(),
        macro_attacks=(),
        detectors=("confidence", "knn_score"),
        own=True,
        trained_on=trained_on,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telltale.building.build, "Processes", InOrder)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        build_around(tiny_classifier(), plan, place / "own", lambda *_: None)
    return load_bundle(str(place / "own"))


def test_influence_is_there_where_the_references_were_learned_from(built: tuple[bool | None, Bundle]) -> None:
    trained_on, bundle = built
    assert bundle.trained_on is trained_on and bundle.notes.get("trained_on") is trained_on
    image = bundle.require_images().images(bundle.splits.test[:1])[0]
    seen = telltale.analyse(image, bundle=str(bundle.folder))
    assert (seen.find(InfluenceView) is not None) == bool(trained_on)
    assert bundle.training_problem == SENTENCES[trained_on]
    if not trained_on:
        assert seen.evidence["influence"].reason == SENTENCES[trained_on]
    assert seen.find(NeighboursView) is not None, "neighbours need no such thing"


def test_lists_and_corrections_of_training_images_say_what_would_bring_them(
    built: tuple[bool | None, Bundle],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    trained_on, bundle = built
    monkeypatch.setenv("TELLTALE_BUNDLES", str(bundle.folder.parent))
    for command in (["label-errors", "own"], ["corrections", "propose", "own", "--out", str(tmp_path / "out.csv")]):
        status = main(command)
        assert (status == 0) == bool(trained_on)
        if not trained_on:
            assert SENTENCES[trained_on] in " ".join(capsys.readouterr().err.split())
    lacks = " ".join(summarise("own").lacks)
    assert ("no list of training images" in lacks) != bool(trained_on)
    # A folder without splits of its own: what it has learned from lies among what p-values are set by.
    assert (LEARNED_FROM_ALL in lacks) == (bundle.notes.get(HELD_OUT_LEARNED) is True) == bool(trained_on)


def test_pages_call_references_what_they_are(
    built: tuple[bool | None, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on, bundle = built
    monkeypatch.setenv("TELLTALE_BUNDLES", str(bundle.folder.parent))
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    query = {"bundle": "own", "image": f"test-{bundle.splits.test[0]}"}
    app = unopened("app_pages/neighbours.py", 120, **query).run()
    said = text_of(app)
    assert not app.exception and not app.error
    assert ("Most harmful" in said) == bool(trained_on)
    picks = [button for button in app.button if button.label == "Pick"]
    assert bool(picks) == bool(trained_on), "images that cannot be corrected are not picked"
    if not trained_on:
        assert said.count(SENTENCES[trained_on]) == 2, "where influence would stand, and where it would be corrected"
        assert "nearest reference images" in said and "nearest training images" not in said
    app = unopened("app_pages/misclassifications.py", 120, **query)
    app.session_state["misclassifications-tab"] = "Suspicious training images"
    app.run()
    assert not app.exception and not app.error
    assert ("are ranked here" in text_of(app)) == bool(trained_on)
    assert trained_on or SENTENCES[trained_on] in text_of(app)


def test_with_a_validation_folder_of_its_own_p_values_are_set_by_others(tmp_path: Path) -> None:
    bundle = build(tmp_path, write(tmp_path / "images", "validation"), True)
    names = bundle.require_images().names
    assert {Path(names[i]).parts[0] for i in bundle.splits.train} == {"train"}
    assert {Path(names[i]).parts[0] for i in bundle.splits.calibration} == {"validation"}
    assert HELD_OUT_LEARNED not in bundle.notes and bundle.trained_on


def test_a_bundle_from_before_the_question_shows_what_was_built(built: tuple[bool | None, Bundle]) -> None:
    trained_on, bundle = built
    notes = {name: note for name, note in bundle.notes.items() if name != "trained_on"}
    for own, expected in ((True, None), (False, True)):
        found = replace(bundle.manifest, notes=notes | {"own_classifier": own})
        assert Bundle(bundle.folder, bundle.id, found).trained_on is expected, trained_on
