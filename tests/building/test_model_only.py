"""A model and nothing else: two commands make a bundle that opens everywhere; what is missing says what brings it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import telltale
import telltale.building.build
import telltale.engine
from support.coloured import MEAN, STD, TEXT, ColourNetwork, write_folder
from support.direct_engine import DirectEngine
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import text_of, unopened
from telltale.building.inspecting.settings_file import read_settings
from telltale.bundle import Bundle, load_bundle, verify_bundle
from telltale.bundle.summary import summarise
from telltale.cli import main
from telltale.scores.table import natural_test_ids
from telltale_app.link_images import carry
from telltale_app.pages import PAGES

pytestmark = pytest.mark.slow

STATED = ["--classes", "red,green,blue", "--size", "16", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"]
MODEL = ["--model", "shop.py:make", "--weights", "shop.safetensors"]
BRINGS = "telltale build shop --data FOLDER"
ALONE = {"confidence", "stability", "feature_squeezing", "feature_response"}
COMPARING = ("trajectories.py", "neighbours.py", "hidden_state_density.py", "detectors.py", "misclassifications.py")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network, its file of settings, and what was built from it; tests must not change it."""
    found = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        at_home(found, patch)
        Path("shop.py").write_text(TEXT)
        save_file(ColourNetwork().state_dict(), "shop.safetensors")
        assert main(["inspect", "shop", *MODEL, *STATED]) == 0
        assert main(["build", "shop", "--out", str(found / "bundles" / "shop")]) == 0
    return found


def at_home(found: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_DATA_HOME", str(found / "home"))
    patch.setenv("TELLTALE_BUNDLES", str(found / "bundles"))
    patch.delenv("TELLTALE_MODELS", raising=False)
    patch.chdir(found)


@pytest.fixture
def shop(place: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    at_home(place, monkeypatch)
    return load_bundle("shop")


def picture(colour: tuple[float, float, float] = (0.9, 0.3, 0.2), side: int = 16) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 0.02, (3, side, side))
    return (np.clip(np.array(colour)[:, None, None] + noise, 0, 1) * 255).round().astype(np.float32) / np.float32(255)


def test_inspecting_says_that_nothing_can_be_checked_and_leaves_a_place_for_pictures(
    place: Path, shop: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = (place / "shop.toml").read_text()
    assert "# Look at this first: There are no pictures: neither the preprocessing nor the order" in settings
    assert '# source = "photos/"' in settings and "[data.classes]" not in settings
    assert read_settings(place / "shop.toml").source is None
    out = str(tmp_path / "again.toml")
    assert main(["inspect", "shop", *MODEL, *STATED, "--out", out, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["data"], record["images"], record["accuracies"], record["estimate"]) == (None, 0, [], None)
    assert record["head"] == [3, 6] and record["rectifiers"] > 0 and record["largest_gradient"] > 0
    for given, sentence in (
        (
            [*MODEL, "--classes", "folders", "--size", "16"],
            "--classes folders takes the names of the folders in --data",
        ),
        ([*MODEL, "--classes", "red,green,blue"], "There are no pictures to tell it by: say by --size"),
        ([*MODEL, *STATED, "--trained-on"], "are about the pictures in --data, and there are none"),
        ([*MODEL, "--size", "16"], "give the names, in the order of the outputs, by --classes"),
    ):
        assert main(["inspect", "shop", *given, "--out", out]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())


def test_the_bundle_is_small_whole_and_knows_no_image(shop: Bundle) -> None:
    assert shop.alone and shop.image_set is None and BRINGS in str(shop.data_problem)
    assert shop.class_names == ("red", "green", "blue") and shop.image_shape == (3, 16, 16)
    assert (
        shop.manifest.architecture["factory"].endswith("shop.py:make") and len(shop.manifest.architecture["code"]) == 64
    )
    assert shop.manifest.architecture["resize"] == [16, 16] and shop.manifest.data.fingerprint == ""
    assert all(len(ids) == 0 for ids in shop.splits.to_arrays().values()) and shop.scores.num_rows == 0
    assert len(natural_test_ids(shop.scores)) == 0 and shop.maps == {} and shop.manifest.accuracies == {}
    assert {report.state for report in verify_bundle(shop.folder)} == {"ok"}
    (lack,) = summarise("shop").lacks
    assert "knows no images" in lack and BRINGS in lack
    assert not shop.labelled and shop.trained_on is None and shop.calibration("confidence") is None


def test_an_image_is_read_attacked_and_scored_without_p_values(
    shop: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = picture()
    Image.fromarray((image.transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(tmp_path / "red.png")
    assert main(["analyse", str(tmp_path / "red.png"), "--bundle", "shop", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    pixels = torch.from_numpy((image - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]).float()
    with torch.no_grad():
        probabilities = ColourNetwork().eval()(pixels[None]).softmax(1)[0]
    assert record["prediction"]["label"] == "red" and probabilities.argmax() == 0
    assert record["prediction"]["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
    assert {v["detector"] for v in record["verdicts"]} == ALONE and record["fused"] is None
    assert all(v["p_value"] is None and v["adversarial"] is None for v in record["verdicts"])
    given = [
        "attack",
        str(tmp_path / "red.png"),
        "--bundle",
        "shop",
        "--attack",
        "pgd",
        "--set",
        "eps=0.5",
        "--set",
        "step=0.1",
    ]
    assert main([*given, "--out", str(tmp_path / "out.png"), "--json"]) == 0
    attacked = json.loads(capsys.readouterr().out)
    assert attacked["success"] and attacked["linf"] <= 0.5 and (tmp_path / "out.png").is_file()
    # Budgets that are usual for photographs, as in every build around somebody's own network.
    assert shop.attack_parameters("pgd")["eps"] == pytest.approx(8 / 255)


COMMANDS = [
    ["evaluate"],
    ["evaluate", "--fresh"],
    ["leaderboard"],
    ["label-errors"],
    ["slices"],
    ["rejection"],
    ["corrections", "propose", "--out", "none.csv"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_that_compare_say_in_one_sentence_what_brings_it(
    shop: Bundle, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command
    before = [name, *rest[:1], "shop", *rest[1:]] if name == "corrections" else [name, "shop", *rest]
    assert main(before) == 2
    said = capsys.readouterr().err
    assert BRINGS in " ".join(said.split()) and "Traceback" not in said


def test_a_second_network_alone_leaves_nothing_to_compare_on(
    shop: Bundle, place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["--settings", str(place / "shop.toml"), "--out", str(tmp_path / "other")]
    assert main(["build", "other", *settings]) == 0
    monkeypatch.setenv("TELLTALE_BUNDLES", f"{shop.folder.parent}:{tmp_path}")
    assert main(["versus", "shop", "other"]) == 2
    assert BRINGS in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def engine(shop: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    del shop
    found = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: found)


@pytest.mark.parametrize("page", [page.file for page in PAGES])
@pytest.mark.usefixtures("engine")
def test_every_page_opens_and_says_what_brings_what_is_missing(page: str) -> None:
    query = {"bundle": "shop", "image": carry(picture()), "attack": "pgd~eps~0.5~seed~0"}
    app = unopened(f"app_pages/{page}", 120, **query).run()
    assert not app.exception, app.exception
    assert not app.error and not app.warning
    said = text_of(app)
    if page in COMPARING:
        assert "would bring" in said
    if page in ("workbench.py", "about.py", "detectors.py", "misclassifications.py", "versus.py"):
        assert BRINGS in said
    if page == "workbench.py":
        assert (
            "No detector is calibrated" in said and "Scores have no p-values" in said and "as it should be" not in said
        )


@pytest.mark.usefixtures("engine")
def test_without_a_link_a_photograph_is_shown_and_every_way_to_choose_one_is_open() -> None:
    app = unopened("app_pages/workbench.py", 120, bundle="shop").run()
    assert not app.exception and "Chelsea the cat" in text_of(app)
    for source in ("Start here", "Test images", "Photographs", "Upload", "Camera", "Draw", "Link"):
        app.session_state["image-source-shop"] = source
        app.run()
        assert not app.exception and not app.error, source
        if source in ("Start here", "Test images"):
            assert BRINGS in text_of(app)


def test_pictures_named_at_the_build_bring_the_rest(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(place, monkeypatch)
    monkeypatch.setattr(telltale.building.build, "Processes", InOrder)
    monkeypatch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
    write_folder(tmp_path / "photos", each=30)
    settings = (place / "shop.toml").read_text()
    settings = settings.replace("attacks = []", 'attacks = ["fgsm"]')
    (tmp_path / "full.toml").write_text(settings.replace("detectors = []", 'detectors = ["confidence"]'))
    given = ["--settings", str(tmp_path / "full.toml"), "--data", str(tmp_path / "photos")]
    assert main(["build", "full", *given, "--out", str(tmp_path / "full")]) == 0
    full = load_bundle(str(tmp_path / "full"))
    assert not full.alone and full.labelled and len(full.splits.train) > 0
    assert full.calibration("confidence") is not None
