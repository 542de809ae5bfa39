"""Looking at somebody's network: what fits passes without a warning, and every wrong thing is one sentence."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.stats import binomtest

import telltale
from support.coloured import MEAN, NAMES, STD, TEXT, ColourNetwork, write_folder
from telltale.base.errors import InputError
from telltale.building.inspecting.cost import Measured, estimate, measure
from telltale.building.inspecting.inspect import Stated, inspect, wrap_model
from telltale.building.inspecting.inspection import Inspection
from telltale.building.inspecting.mistakes import find_reordering, sign_test
from telltale.building.inspecting.pictures import read_pictures
from telltale.building.inspecting.settings_file import read_settings, settings_text
from telltale.models.references import FoundModel, find_model
from telltale.recipes import own_plan

STATED = Stated(size=(16, 16), preprocess=telltale.Preprocess(mean=MEAN, std=STD), class_names=NAMES)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pictures") / "all")


def looked_at(folder: Path, stated: Stated = STATED, cost: bool = False, **options: object) -> Inspection:
    model = FoundModel("a:b", ColourNetwork(**options), {})
    return inspect("shop", model, read_pictures(str(folder), 200), str(folder), stated, cost=cost)


def test_a_network_that_is_as_stated_raises_no_warning(folder) -> None:
    found = looked_at(folder)
    assert found.warnings == () and found.images == 60 and found.accuracies[0].accuracy == 1.0
    assert found.classes.outputs == {"blue": 2, "green": 1, "red": 0}
    assert [name for name, _ in found.layers] == ["undo", "split", "gather"] and found.rectifiers == 1
    assert found.to_json()["head"] == [3, 6] and found.largest_gradient > 0
    worse = {way.name: way.accuracy for way in found.accuracies}
    assert worse["swapped"] < 0.5 and not any(way.better for way in found.accuracies)


def test_pictures_without_labels_are_looked_at_and_what_cannot_be_checked_is_said(folder, tmp_path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    for file in folder.rglob("*.png"):
        shutil.copyfile(file, loose / f"{file.parent.name}-{file.name}")
    (loose / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    pictures = read_pictures(str(loose), 200)
    assert len(pictures) == 60 and pictures.total == 61 and not pictures.labelled
    found = inspect("shop", FoundModel("a:b", ColourNetwork(), {}), pictures, str(loose), STATED, cost=False)
    unchecked, damaged = found.warnings
    assert unchecked.startswith("The pictures have no labels:") and "One folder of pictures per class" in unchecked
    assert "damaged.png" in damaged
    assert found.accuracies == () and found.classes.outputs == {} and found.largest_gradient > 0
    settings = tomllib.loads(settings_text(found, STATED))
    assert settings["data"] == {"source": str(loose), "classes": {}}


def test_what_is_not_stated_is_found_as_a_better_way(folder) -> None:
    flipped = ColourNetwork()
    mirrored = replace(STATED, preprocess=telltale.Preprocess(mean=0.5, std=0.25))
    pictures = read_pictures(str(folder), 200)
    with torch.no_grad():
        flipped.undo.weight.copy_(0.25 * torch.eye(3).flip(1).view(3, 3, 1, 1))
        flipped.undo.bias.fill_(0.5)
    found = inspect("shop", FoundModel("a:b", flipped, {}), pictures, "x", mirrored, cost=False)
    assert "red and blue swapped" in found.warnings[0] and "p = " in found.warnings[0]
    plain = looked_at(
        folder, replace(STATED, preprocess=telltale.Preprocess(mean=(0.9, -0.6, 0.1), std=(0.5, 0.1, 1.0)))
    )
    assert "preprocessing is probably not the network's" in plain.warnings[0]


def test_pixels_from_0_to_255_are_noticed(folder) -> None:
    network = ColourNetwork()
    with torch.no_grad():
        network.undo.weight.copy_((torch.eye(3) / 255).view(3, 3, 1, 1))
        network.undo.bias.zero_()
    stated = replace(STATED, preprocess=telltale.Preprocess(mean=MEAN, std=STD))
    found = inspect("shop", FoundModel("a:b", network, {}), read_pictures(str(folder), 200), "x", stated, cost=False)
    assert "pixels from 0 to 255" in found.warnings[0]
    assert max(found.accuracies, key=lambda way: way.accuracy).name == "raw_bytes"


def test_names_in_another_order_are_noticed(folder) -> None:
    found = looked_at(folder, order=(1, 2, 0))
    text = next(warning for warning in found.warnings if "not in the order" in warning)
    assert "'red' is mostly read as 'blue'" in text or "'blue' is mostly read as 'green'" in text
    assert "100.0%" in text
    fitting = text.removesuffix(".").rpartition(": ")[2].split(",")
    assert looked_at(folder, replace(STATED, class_names=fitting), order=(1, 2, 0)).warnings == ()


def test_wrong_names_are_not_taken_for_wrong_numbers_where_names_explain_more(folder) -> None:
    found = looked_at(folder, replace(STATED, class_names=("green", "blue", "red")))
    said = [warning for warning in found.warnings if "probably" in warning]
    assert len(said) == 1 and "not in the order of the outputs" in said[0]
    assert any(way.better and way.accuracy < 0.5 for way in found.accuracies), "swapped channels read a third"


def test_what_a_build_holds_out_itself_is_no_reference(tmp_path) -> None:
    found = looked_at(write_folder(tmp_path / "few", each=6))
    assert any("fewer than 5 pictures of blue, green, red to refer to" in warning for warning in found.warnings)
    assert looked_at(write_folder(tmp_path / "more", each=16)).warnings == ()


def test_a_head_that_is_not_linear_and_gradients_that_are_not_finite(folder) -> None:
    found = looked_at(folder, ending="softmax")
    assert any("is not the logits. There will be no influence" in warning for warning in found.warnings)
    with pytest.raises(InputError, match="gradients at the pixels are not finite numbers for 3 of 10 pictures"):
        looked_at(folder, ending="root")


def test_an_untrained_network_is_said_to_guess(folder) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = ColourNetwork()
        for parameter in network.head.parameters():
            torch.nn.init.zeros_(parameter)
        network.head.bias.data[1] = 1.0
        network.head.weight.data.normal_(0.0, 1e-4)
    found = inspect("shop", FoundModel("a:b", network, {}), read_pictures(str(folder), 200), "x", STATED, cost=False)
    expected = "always naming the commonest class is on 20, and the difference may be chance"
    assert any(expected in warning for warning in found.warnings)


def test_odd_folders_are_named(folder, tmp_path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(folder, odd)
    (odd / "green" / "broken.png").write_bytes(b"no picture")
    (odd / "purple").mkdir()
    shutil.copy(folder / "red" / "000.png", odd / "purple")
    for file in sorted((odd / "red").glob("*.png"))[1:]:
        file.unlink()
    for file in (odd / "blue").glob("*.png"):
        file.unlink()
    said = "\n".join(looked_at(odd).warnings)
    assert "No output of the network is named like purple" in said
    assert "There is no picture of blue" in said
    assert "fewer than 5 pictures of purple, red to refer to" in said
    assert "1 files cannot be read and are left out: green/broken.png" in said


def test_sizes_and_names_must_be_known(folder) -> None:
    with pytest.raises(InputError, match=r"The pictures differ in size: say by --size"):
        looked_at(folder, replace(STATED, size=None))
    with pytest.raises(InputError, match="does not say what its outputs are called"):
        looked_at(folder, replace(STATED, class_names=None))
    with pytest.raises(InputError, match="No class of the data is named like an output"):
        looked_at(folder, replace(STATED, class_names=("x", "y", "z")))


def test_many_outputs_and_few_folders(folder) -> None:
    network = ColourNetwork()
    network.head = torch.nn.Linear(6, 50)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[[40, 20, 30]] = ColourNetwork().head.weight
    names = [f"n{i:08} thing {i}" for i in range(50)]
    names[40], names[20], names[30] = "n00000040 red, scarlet", "Green", "n00000030 azure, blue"
    found = inspect(
        "shop",
        FoundModel("a:b", network, {}),
        read_pictures(str(folder), 200),
        "x",
        replace(STATED, class_names=names),
        cost=False,
    )
    assert found.classes.outputs == {"blue": 30, "green": 20, "red": 40} and found.accuracies[0].accuracy == 1.0


def test_held_out_folders_are_preferred_and_the_sample_takes_every_class(tmp_path) -> None:
    write_folder(tmp_path / "train", each=3)
    write_folder(tmp_path / "test", each=4)
    pictures = read_pictures(str(tmp_path), 7)
    assert pictures.counts == (7, 7, 7) and pictures.references == (3, 3, 3) and pictures.split == "test"
    assert sorted(np.bincount(pictures.labels)) == [2, 2, 3]
    digits = read_pictures("digits", 25)
    assert len(digits) == 25 and digits.pixels[0].shape == (1, 32, 32)


def test_the_split_that_was_read_is_said_and_a_class_is_missing_only_where_no_split_has_it(tmp_path) -> None:
    for split in ("train", "validation"):
        write_folder(tmp_path / split, each=6)
    shutil.rmtree(tmp_path / "validation" / "green")
    shutil.rmtree(tmp_path / "train" / "blue")
    found = looked_at(tmp_path)
    assert "pictures of" in repr(found) and "from the split 'validation'" in repr(found).splitlines()[0]
    said = "\n".join(found.warnings)
    assert "There is no picture of" not in said
    assert "All pictures of blue are in splits that the data hold out" in said


def test_numbers_of_bytes_are_not_taken_for_numbers_of_pixels() -> None:
    with pytest.raises(InputError, match=r"mean must be of pixels from 0 to 1\. Got 123\.7 .*divide it by 255"):
        telltale.Preprocess(mean=123.7, std=0.2)
    with pytest.raises(InputError, match="std must be of pixels from 0 to 1"):
        telltale.Preprocess(mean=0.4, std=(58.4, 57.1, 57.4))


def test_wrong_numbers_are_not_taken_for_names_in_another_order(folder) -> None:
    stated = replace(STATED, preprocess=telltale.Preprocess(mean=(0.9, -0.6, 0.1), std=(0.5, 0.1, 1.0)))
    found = looked_at(folder, stated)
    better = [way.words for way in found.accuracies if way.better]
    assert all(words in found.warnings[0] for words in better) and better
    assert not any("order of the outputs" in warning for warning in found.warnings)


def test_where_nothing_can_be_read_the_first_reasons_are_said(tmp_path) -> None:
    away = tmp_path / "elsewhere.png"
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(away)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "labels.csv").write_text(f"path,label\n{away},cat\n")
    with pytest.raises(InputError, match=r"can be read\. 'line 2, .*elsewhere\.png': leads out of the table's folder"):
        read_pictures(str(tmp_path / "set" / "labels.csv"), 10, 0)


def test_the_sign_test_is_the_binomial_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        wins, losses = rng.random(40) < 0.3, rng.random(40) < 0.2
        expected = binomtest(int(wins.sum()), int(wins.sum() + losses.sum()), 0.5, "greater").pvalue
        assert sign_test(wins, losses) == pytest.approx(expected)
    assert sign_test(np.zeros(3, bool), np.zeros(3, bool)) == 1.0


def test_another_order_is_found_only_where_it_is_better_on_other_pictures() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(6), 20)
    assert find_reordering(targets, targets, 6) is None
    assert find_reordering(rng.integers(0, 6, 120), targets, 6) is None
    found = find_reordering((targets + 1) % 6, targets, 6)
    assert found is not None and dict(found.pairs) == {i: (i + 1) % 6 for i in range(6)}
    assert (found.before, found.after) == (0.0, 1.0)


def test_the_estimate_adds_up() -> None:
    plan = own_plan("x", "y", ["fgsm"])  # 400 + 500 attacked at most
    measured = Measured(0.01, 0.1, {"fgsm": 0.05}, memory=2**30, images=10, read=0.002)
    found = estimate(measured, plan, images=10_000, image_bytes=2**20, processes=2)
    # 400 fit, 600 calibration, 1,000 test; 8,000 references; after the first pages those of fit again, shifted
    natural = 2000 * 0.1 + 8000 * 0.01
    reading = 10_000 * 0.002  # which one process does
    assert found.first_minutes == pytest.approx((reading + natural / 2) / 60)
    assert found.minutes == pytest.approx((reading + (natural + 400 * 0.1 + 900 * 0.15) / 2) / 60)
    assert "fitting, maps and scores come on top" in " ".join(found.assumptions)
    assert found.memory == pytest.approx(2 + 10_000 / 1024)


def test_the_estimate_knows_the_datas_own_splits() -> None:
    plan = own_plan("x", "y", ["fgsm"])
    measured = Measured(0.01, 0.1, {"fgsm": 0.05}, memory=2**30, images=10)

    def seconds(own_test: int, own_validation: int) -> float:
        found = estimate(
            measured, plan, images=2530, image_bytes=1, processes=1, own_held_out=(own_test, own_validation)
        )
        return 60 * found.first_minutes

    # 400 and 600 of 1,000 that are fitted to and calibrated with: of 341, 136.4 and 204.6
    assert seconds(372, 341) == pytest.approx((136 + 205 + 372) * 0.1 + 1817 * 0.01)
    assert seconds(372, 0) == pytest.approx((400 + 600 + 372) * 0.1 + (2530 - 372 - 1000) * 0.01)
    # one validation split that serves for testing, too: 400, 600 and 1,000 of 2,000
    assert seconds(0, 500) == pytest.approx((100 + 150 + 250) * 0.1 + 2030 * 0.01)
    with pytest.raises(InputError, match="too few"):
        seconds(0, 1)


def test_too_few_pictures_for_a_build_leave_the_estimate_out(tmp_path: Path) -> None:
    split = tmp_path / "few"
    for part in ("train", "validation"):
        write_folder(split / part, each=1)
    shutil.rmtree(split / "validation" / "red")
    shutil.rmtree(split / "validation" / "green")
    found = looked_at(split, cost=True)
    assert found.estimate is None and found.to_json()["estimate"] is None


def test_pictures_of_every_split_are_counted_and_held_out_ones_are_read(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("validation", 3), ("test", 2)):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for place in range(count):
                grey = Image.fromarray(np.full((16, 16), 10 * place + count, np.uint8))
                grey.save(tmp_path / split / name / f"{place}.png")
    found = read_pictures(str(tmp_path), 4)
    assert (found.total, found.own_held_out, found.counts, found.validated) == (20, (4, 6), (10, 10), True)
    only = read_pictures(str(tmp_path / "test"), 4)
    assert (only.total, only.own_held_out, only.validated) == (4, (0, 0), False)


def test_the_parts_of_a_build_are_measured(folder) -> None:
    found = looked_at(folder, cost=True)
    assert found.estimate is not None and 0 < found.estimate.first_minutes < found.estimate.minutes
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16)).astype(np.float32) / np.float32(255)
    ticks = iter(range(1000))
    plan = own_plan("x", "y", ["fgsm"])
    measured = measure(found.classifier, images, plan, now=lambda: 30.0 * next(ticks), read=0.25)
    assert measured.read == 0.25
    assert set(measured.attacks) == {"fgsm"} and measured.trace == pytest.approx(10.0)
    assert measured.attacks["fgsm"] == pytest.approx(60.0)  # one image, because the time was over


# --- the file of settings -------------------------------------------------------------------------------------------


@pytest.fixture
def written(folder, tmp_path) -> tuple[Inspection, Path]:
    (tmp_path / "shop.py").write_text(TEXT)
    save_file(ColourNetwork().state_dict(), tmp_path / "shop.safetensors")
    model = find_model(f"{tmp_path}/shop.py:make", tmp_path / "shop.safetensors", {"order": [0, 1, 2]})
    found = inspect("shop", model, read_pictures(str(folder), 60), str(folder), STATED, cost=False)
    file = tmp_path / "shop.toml"
    file.write_text(settings_text(found, STATED))
    return found, file


def test_what_is_written_makes_the_same_classifier(written) -> None:
    found, file = written
    settings = read_settings(file)
    again = settings.classifier()
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(again(images), found.classifier(images))
    assert again.spec.to_json() == found.classifier.spec.to_json()
    assert again.class_names == NAMES and settings.source == found.source
    assert settings.stated.classes == found.classes.outputs
    assert wrap_model(settings.find(), settings.stated).layers == found.classifier.layers


def test_the_name_for_people_is_kept(written) -> None:
    _, file = written
    assert read_settings(file).stated.title is None
    file.write_text(file.read_text().replace('# title = "Our model"', 'title = "Shop windows"'))
    assert read_settings(file).stated.title == "Shop windows"


def test_changed_weights_and_code_are_noticed(written) -> None:
    _, file = written
    settings = read_settings(file)
    assert settings.weights is not None
    save_file(ColourNetwork((1, 0, 2)).state_dict(), settings.weights)
    with pytest.raises(InputError, match="are not those that were inspected"):
        settings.find()
    save_file(ColourNetwork().state_dict(), settings.weights)
    (file.parent / "shop.py").write_text(TEXT + "\n")
    with pytest.raises(InputError, match="has changed since"):
        settings.find()


def test_settings_from_elsewhere_run_no_code(written, tmp_path, monkeypatch) -> None:
    _, file = written
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    with pytest.raises(InputError, match="nobody has named on this machine"):
        read_settings(file).find()
    lines = [line for line in file.read_text().splitlines() if not line.startswith("code_sha256")]
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"lacks 'code_sha256' in \[model\]"):
        read_settings(file)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("[build]", "[bulid]", r"has no section \[bulid\]; it has \[model\]"),
        ("attacks = []", "atacks = []", r"has 'atacks' in \[build\], which is not known; it takes title, attacks"),
        ("attacks = []", "attacks = 'fgsm'", r"'attacks' in \[build\] of .* must be a list of names\. Got 'fgsm'"),
        ("mean = [", "mean = ['a', ", r"'mean' in \[preprocess\] of .* must be a number or one per channel"),
        ('"red" = 0', '"red" = -1', r"'classes' in \[data\] of .* must be a table of outputs"),
        ('"red" = 0', '"red" = ', "is no TOML"),
        ("source = ", "sauce = ", "has 'sauce' in"),
        ("input_shape = [3, 16, 16]", "input_shape = [16, 16]", "must be three whole numbers"),
        ('interpolation = "bilinear"', 'interpolation = "nearest"', "must be 'bilinear' or 'bicubic'"),
    ],
)
def test_every_bad_field_is_one_sentence(written, before, after, sentence) -> None:
    _, file = written
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(InputError, match=sentence):
        read_settings(file)


def test_odd_names_survive_the_file(folder, tmp_path) -> None:
    names = ('re"d\\', "grün\x7f\n#", "= blue]")
    odd = write_folder(tmp_path / "odd", each=2, names=('re"d\\', "grün\x7f\n#", "= blue]"))
    stated = replace(STATED, class_names=names)
    found = inspect("shop", FoundModel("a:b", ColourNetwork(), {}), read_pictures(str(odd), 9), "x", stated, cost=False)
    raw = tomllib.loads(settings_text(found, stated))
    assert raw["network"]["class_names"] == list(names)
    assert raw["data"]["classes"] == found.classes.outputs and len(found.classes.outputs) == 3


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match="There is no file of settings"):
        read_settings(tmp_path / "none.toml")
