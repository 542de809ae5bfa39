"""Data sets by name, by folder and by hub id: one layout, one fingerprint, and bundles that find theirs again."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from telltale import bundle as bundles
from telltale.base import files
from telltale.base.errors import InputError
from telltale.base.images import to_floats
from telltale.bundle import DataReference, Manifest, store
from telltale.data.image_set import ImageSet
from telltale.data.sources import KNOWN_SOURCES, find_image_set, lasting_source, load_image_set
from telltale.data.splits import SPLIT_NAMES, Splits, SplitSizes
from telltale.data.uploads import png_bytes
from telltale.models.training import recipe_spec
from telltale.recipes import RECIPES

# Where the hub keeps each known data set's files, the columns they have, and one image's channels and side.
LAYOUTS = {
    "cifar10": ("plain_text", ("img", "label"), 3, 32),
    "cifar100": ("cifar100", ("img", "fine_label", "coarse_label"), 3, 32),
    "mnist": ("mnist", ("image", "label"), 1, 28),
    "fashion_mnist": ("fashion_mnist", ("image", "label"), 1, 28),
    "svhn": ("cropped_digits", ("image", "label"), 3, 32),
}
TRAIN, TEST = 12, 5


@pytest.fixture(autouse=True)
def nothing_known(tmp_path, monkeypatch) -> None:
    """Start without data folders, hub or cache."""
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def pictures(count: int, channels: int, side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def write(file: Path, columns: tuple[str, ...], pixels: np.ndarray, labels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    encoded = [{"bytes": png_bytes(to_floats(image)), "path": None} for image in pixels]
    others = {name: [99] * len(labels) for name in columns[2:]}
    pq.write_table(pa.table({columns[0]: encoded, columns[1]: labels, **others}), file)


def write_known(folder: Path, name: str, inside: str = "", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Write a little data set in the layout of a known one; returns its pixels and labels, train first."""
    _, columns, channels, side = LAYOUTS[name]
    parts = []
    for split, count in (("train", TRAIN), ("test", TEST)):
        pixels = pictures(count, channels, side, seed + count)
        labels = np.arange(count) % 4
        write(folder / inside / f"{split}-00000-of-00001.parquet", columns, pixels, labels)
        parts.append((pixels, labels))
    return np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("as_on_the_hub", [False, True])
def test_every_known_data_set_is_read_from_a_data_folder(tmp_path, monkeypatch, name, as_on_the_hub) -> None:
    inside, columns, channels, side = LAYOUTS[name]
    pixels, labels = write_known(tmp_path / "sets" / name, name, inside if as_on_the_hub else "")
    if name == "svhn":
        extra = pictures(3, channels, side, 77)
        place = tmp_path / "sets" / name / (inside if as_on_the_hub else "")
        write(place / "extra-00000-of-00001.parquet", columns, extra, np.zeros(3, dtype=np.int64))
        if as_on_the_hub:
            other = pa.table({"image": [b"x"], "digits": [[1]]})
            (tmp_path / "sets" / name / "full_numbers").mkdir()
            pq.write_table(other, tmp_path / "sets" / name / "full_numbers" / "train-00000-of-00001.parquet")
    monkeypatch.setenv("TELLTALE_DATA", f"{tmp_path / 'absent'}{os.pathsep}{tmp_path / 'sets'}")
    loaded = load_image_set(name, download=False)
    np.testing.assert_array_equal(loaded.pixels, pixels)
    np.testing.assert_array_equal(loaded.labels, labels)
    assert (loaded.name, loaded.own_test, len(loaded.class_names)) == (name, TEST, 4)
    by_path = load_image_set(str(tmp_path / "sets" / name))
    assert by_path.fingerprint == loaded.fingerprint


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_known_data_set_has_a_recipe_that_fits_it(name) -> None:
    recipe = RECIPES[name]
    _, _, channels, side = LAYOUTS[name]
    assert (recipe.name, recipe.source) == (name, name) and recipe.title
    assert recipe.sizes.test <= {"svhn": 26_032}.get(name, 10_000), "more than the data's own test split"
    assert recipe.flip == (name not in ("mnist", "svhn")), "a mirrored digit is another digit or none"
    planned = {plan.name for plan in recipe.attacks}
    assert planned == {plan.name for plan in RECIPES["cifar10"].attacks} and planned >= set(recipe.macro_attacks)
    blank = ImageSet(name, pictures(1, channels, side, 0), np.zeros(1, dtype=np.int64), ("a", "b"))
    assert recipe_spec(recipe, blank).height == side


class Hub:
    """Stands in for the hub: data sets by id and configuration, and whom it was asked for."""

    def __init__(self, tables: dict[tuple[str, str | None], dict[str, object]]) -> None:
        self.tables, self.asked = tables, []

    def load_dataset(self, place: str, configuration: str | None) -> dict[str, object]:
        self.asked.append((place, configuration))
        return self.tables[place, configuration]


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    import datasets

    load, tables = datasets.load_dataset, {}
    for name, known in KNOWN_SOURCES.items():
        write_known(tmp_path / "hub" / name, name)
        tables[known.hub_id, known.configuration] = load(str(tmp_path / "hub" / name))
    found = Hub(tables)
    monkeypatch.setattr(datasets, "load_dataset", found.load_dataset)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_name_and_its_hub_id_are_the_same_data(hub, name) -> None:
    known = KNOWN_SOURCES[name]
    by_name, by_id = load_image_set(name), load_image_set(known.hub_id)
    assert by_name.fingerprint == by_id.fingerprint and len(by_name) == TRAIN + TEST
    assert hub.asked == [(known.hub_id, known.configuration)] * 2
    assert lasting_source(known.hub_id) == lasting_source(name) == name


def test_what_came_from_the_hub_is_decoded_once(hub, monkeypatch) -> None:
    import telltale.data.sources

    first = load_image_set("mnist")
    monkeypatch.setattr(telltale.data.sources, "decode", None)
    np.testing.assert_array_equal(load_image_set("mnist", download=False).pixels, first.pixels)


def test_sources_are_named_so_that_they_last(tmp_path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    assert lasting_source("digits") == "digits"
    assert lasting_source("here") == lasting_source("./here") == str(tmp_path / "here")
    assert lasting_source("owner/name") == "owner/name"
    (tmp_path / "cifar10").mkdir()
    assert lasting_source("cifar10") == "cifar10", "a known name never means a folder that happens to be near"
    monkeypatch.chdir("/")
    assert lasting_source(str(tmp_path / "here")) == str(tmp_path / "here")


def test_data_are_looked_for_in_every_place_and_known_by_their_fingerprint(tmp_path, monkeypatch) -> None:
    wanted, _ = write_known(tmp_path / "second" / "mnist", "mnist")
    write_known(tmp_path / "first" / "mnist", "mnist", seed=9)
    fingerprint = load_image_set(str(tmp_path / "second" / "mnist")).fingerprint
    with pytest.raises(InputError, match="'mnist' was not downloaded before"):
        find_image_set(fingerprint, "mnist")
    monkeypatch.setenv("TELLTALE_DATA", str(tmp_path / "first"))
    assert find_image_set(fingerprint, "mnist") is None
    monkeypatch.setenv("TELLTALE_DATA", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    assert not np.array_equal(load_image_set("mnist").pixels, wanted)
    np.testing.assert_array_equal(find_image_set(fingerprint, "mnist").pixels, wanted)
    np.testing.assert_array_equal(find_image_set(fingerprint, "/gone/away", "mnist").pixels, wanted)
    with pytest.raises(InputError, match="no data set or folder '/gone/away'"):
        find_image_set(fingerprint, "/gone/away")


def bundle_on(tmp_path: Path, name: str, source: str, image_set: ImageSet) -> bundles.Bundle:
    def fill(folder: Path) -> Manifest:
        files.save_arrays(folder / "splits.safetensors", {n: np.array([i]) for i, n in enumerate(SPLIT_NAMES)})
        shape = image_set.pixels.shape[1:]
        data = DataReference(source, image_set.fingerprint, len(image_set), image_set.class_names, shape)
        return Manifest(name, name, 0, data, ("one",), {}, {}, (), {}, {})

    store.write_bundle(tmp_path / "bundles" / name, fill)
    return bundles.load_bundle(tmp_path / "bundles" / name)


def reopened(tmp_path: Path, name: str) -> bundles.Bundle:
    """Open a bundle as another process would."""
    found = bundles.load_bundle(tmp_path / "bundles" / name)
    return replace(found)


def test_a_bundle_beside_other_data_of_the_same_length_shows_none_of_them(tmp_path) -> None:
    folder = tmp_path / "mine"
    pixels, labels = write_known(folder, "mnist")
    bundle = bundle_on(tmp_path, "mine", lasting_source("mine"), load_image_set("mine"))
    np.testing.assert_array_equal(bundle.image_set.pixels, pixels)
    pixels[3, 0, 0, 0] ^= 1
    write(folder / "train-00000-of-00001.parquet", ("image", "label"), pixels[:TRAIN], labels[:TRAIN])
    again = reopened(tmp_path, "mine")
    assert again.image_set is None
    assert "is not the one that 'mine' was built on: their fingerprints differ" in again.data_problem
    pixels[3, 0, 0, 0] ^= 1
    labels[3] += 1
    write(folder / "train-00000-of-00001.parquet", ("image", "label"), pixels[:TRAIN], labels[:TRAIN])
    assert reopened(tmp_path, "mine").image_set is None, "other labels are other data"


def test_a_bundle_finds_data_whose_folder_has_moved(tmp_path, monkeypatch) -> None:
    pixels, _ = write_known(tmp_path / "old" / "mnist", "mnist")
    bundle_on(tmp_path, "mnist", str(tmp_path / "old" / "mnist"), load_image_set(str(tmp_path / "old" / "mnist")))
    (tmp_path / "old").rename(tmp_path / "new")
    gone = reopened(tmp_path, "mnist")
    assert gone.image_set is None and "not on this machine: there is no data set or folder" in gone.data_problem
    monkeypatch.setenv("TELLTALE_DATA", str(tmp_path / "new"))
    np.testing.assert_array_equal(reopened(tmp_path, "mnist").image_set.pixels, pixels)
    write_known(tmp_path / "new" / "mnist", "mnist", seed=3)
    other = reopened(tmp_path, "mnist")
    assert other.image_set is None and "fingerprints differ" in other.data_problem


@st.composite
def own_test_problems(draw: st.DrawFn) -> tuple[np.ndarray, int, SplitSizes]:
    labels = np.array(draw(st.lists(st.integers(0, 4), min_size=6, max_size=90)), dtype=np.int64)
    own_test = draw(st.integers(1, len(labels) - 3))
    learned = len(labels) - own_test
    fit = draw(st.integers(0, learned - 1))
    calibration = draw(st.integers(0, learned - 1 - fit))
    return labels, own_test, SplitSizes(fit, calibration, draw(st.integers(0, own_test - 1) | st.just(own_test)))


@settings(max_examples=150, deadline=None)
@given(own_test_problems(), st.integers(0, 2**32))
def test_test_images_come_from_the_datas_own_test_split_alone(problem, seed) -> None:
    labels, own_test, sizes = problem
    splits = Splits.draw(labels, sizes, seed, own_test)
    start = len(labels) - own_test
    assert (len(splits.fit), len(splits.calibration), len(splits.test)) == (sizes.fit, sizes.calibration, sizes.test)
    learned = np.sort(np.concatenate([splits.train, splits.fit, splits.calibration]))
    np.testing.assert_array_equal(learned, np.arange(start))
    assert (splits.test >= start).all() and (splits.test < len(labels)).all() and (np.diff(splits.test) > 0).all()
    for ids, whole in [
        (splits.fit, labels[:start]),
        (splits.calibration, labels[:start]),
        (splits.test, labels[start:]),
    ]:
        for label in np.unique(whole):
            assert abs((labels[ids] == label).sum() - (whole == label).sum() * len(ids) / len(whole)) < 1
    again = Splits.draw(labels, sizes, seed, own_test)
    assert all(np.array_equal(getattr(splits, name), getattr(again, name)) for name in SPLIT_NAMES)


@settings(max_examples=100, deadline=None)
@given(own_test_problems(), st.integers(1, 40), st.booleans(), st.integers(0, 2**32))
def test_what_is_held_out_comes_from_the_datas_own_validation_split(problem, validation, tested, seed) -> None:
    labels, own_test, asked = problem
    own_test = own_test if tested else 0
    train = len(labels) - own_test
    labels = np.concatenate([labels[:train], np.arange(validation) % 3, labels[train:]])
    try:
        sizes = asked.within(len(labels), own_test, validation)
    except InputError:
        assert validation < asked.fit + asked.calibration + asked.test, "there was enough"
        return
    splits = Splits.draw(labels, sizes, seed, own_test, validation)
    np.testing.assert_array_equal(splits.train, np.arange(train))
    held_out = [splits.fit, splits.calibration, *([] if own_test else [splits.test])]
    own = np.concatenate(held_out)
    assert len(np.unique(own)) == len(own) and ((own >= train) & (own < train + validation)).all()
    if own_test:
        assert (splits.test >= train + validation).all()
    assert (len(splits.fit), len(splits.calibration), len(splits.test)) == (sizes.fit, sizes.calibration, sizes.test)
    again = Splits.draw_within(labels, asked, seed, own_test, validation)
    assert all(np.array_equal(getattr(splits, name), getattr(again, name)) for name in SPLIT_NAMES)


def test_more_held_out_images_than_the_data_bring_for_validation_are_refused() -> None:
    with pytest.raises(InputError, match="bring 90 training images and 10 for validation"):
        Splits.draw(np.zeros(100, dtype=np.int64), SplitSizes(6, 5, 0), 0, own_validation=10)


def test_more_test_images_than_the_data_bring_are_refused() -> None:
    with pytest.raises(InputError, match="bring 20 test images; 21 were asked for"):
        Splits.draw(np.zeros(100, dtype=np.int64), SplitSizes(5, 5, 21), 0, 20)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 3000), st.integers(1, 900), st.integers(1, 900), st.integers(1, 12_000))
def test_held_out_splits_shrink_to_what_the_data_can_spare(learned, own_test, fit, calibration, test) -> None:
    asked = SplitSizes(fit, calibration, test)
    images = learned + own_test
    try:
        sizes = asked.within(images, own_test)
    except InputError:
        wanted = [fit, calibration] if own_test else [fit, calibration, min(test, images // 4)]
        assert min(wanted) * (2 * learned // 3) < sum(wanted), "each would have had an image"
        return
    for name in ("fit", "calibration", "test"):
        assert 1 <= getattr(sizes, name) <= getattr(asked, name)
    held_out = sizes.fit + sizes.calibration + (0 if own_test else sizes.test)
    assert 3 * held_out <= 2 * learned
    if own_test:
        assert sizes.test == min(test, own_test)
    if 3 * (fit + calibration + (0 if own_test else test)) <= 2 * learned and (not own_test or test <= own_test):
        assert sizes == asked
    splits = Splits.draw_within(np.arange(images) % 3, asked, 0, own_test)
    assert (len(splits.fit), len(splits.calibration), len(splits.test)) == (sizes.fit, sizes.calibration, sizes.test)


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="needs a local copy of MNIST beside the repository")
def test_mnist_is_mapped_pixel_by_pixel(monkeypatch) -> None:
    import io

    monkeypatch.setenv("TELLTALE_DATA", str(DATA))
    read = [load_image_set("mnist") for _ in range(2)]
    assert read[0].fingerprint == read[1].fingerprint and not read[1].pixels.flags.writeable
    assert (len(read[1]), read[1].own_test) == (70_000, 10_000)
    assert replace(read[1], known_fingerprint=None).fingerprint == read[1].fingerprint
    table = pq.read_table(DATA / "mnist" / "test-00000-of-00001.parquet").to_pylist()
    for row in (0, 4_321, 9_999):
        expected = np.asarray(Image.open(io.BytesIO(table[row]["image"]["bytes"])))
        np.testing.assert_array_equal(read[1].pixels[60_000 + row, 0], expected)
        assert read[1].labels[60_000 + row] == table[row]["label"]


@pytest.mark.parametrize(
    "source",
    ["photos/labels.csv", "photos/labels.parquet", "photos/a.JPG", "photos/all.tar.gz", "photos/set.7z", "here/none"],
)
@pytest.mark.parametrize("within", [True, False])
def test_a_path_that_leads_nowhere_is_no_hub_id(source: str, within: bool, tmp_path, monkeypatch) -> None:
    """Neither asked for on the network nor called a data set that was not downloaded."""
    monkeypatch.setattr("telltale.data.hub.find", lambda *_: pytest.fail("The hub was asked for a path."))
    (tmp_path / "data" / "here").mkdir(parents=True)
    monkeypatch.setenv("TELLTALE_DATA", str(tmp_path / "data") if within else "")
    monkeypatch.chdir(tmp_path if within else tmp_path / "data")
    nowhere = f"There is no file or folder '{source}' here or in a folder of TELLTALE_DATA"
    for download in (True, False):
        with pytest.raises(InputError, match=f"^{nowhere}; use digits.*or a hub id"):
            load_image_set(source, download=download)
    with pytest.raises(InputError, match=f"^{nowhere}.$"):
        find_image_set("0" * 64, source)


@pytest.mark.parametrize("source", ["owner/name", "owner/name-v1.0", "owner/set_2.1", "uoft-cs/cifar10"])
def test_an_id_of_the_hub_stays_one(source: str, tmp_path, monkeypatch) -> None:
    """Also with a version at its end; a known one even beside a folder that is called as its owner."""
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "uoft-cs").mkdir()
    with pytest.raises(InputError, match=f"'{source}' was not downloaded before"):
        load_image_set(source, download=False)


def test_a_file_that_is_no_table_is_not_called_missing(tmp_path, monkeypatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "labels.txt").write_text("path,label\n")
    monkeypatch.chdir(tmp_path)
    for source in ("photos/labels.txt", str(tmp_path / "photos" / "labels.txt")):
        with pytest.raises(InputError, match=f"The file '{source}' is no table of images; use digits"):
            load_image_set(source)
