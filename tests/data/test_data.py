"""Splits and image sources."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import to_floats
from telltale.data.sources import load_image_set
from telltale.data.splits import SPLIT_NAMES, Splits, SplitSizes
from telltale.data.uploads import png_bytes


@st.composite
def split_problems(draw: st.DrawFn) -> tuple[np.ndarray, SplitSizes]:
    labels = np.array(draw(st.lists(st.integers(0, 6), min_size=4, max_size=120)), dtype=np.int64)
    fit = draw(st.integers(0, len(labels) - 1))
    calibration = draw(st.integers(0, len(labels) - 1 - fit))
    test = draw(st.integers(0, len(labels) - 1 - fit - calibration))
    return labels, SplitSizes(fit, calibration, test)


@settings(max_examples=150, deadline=None)
@given(split_problems(), st.integers(0, 2**32))
def test_splits_cover_every_image_once_with_exact_sizes_and_even_classes(problem, seed) -> None:
    labels, sizes = problem
    splits = Splits.draw(labels, sizes, seed)
    arrays = splits.to_arrays()
    assert (len(splits.fit), len(splits.calibration), len(splits.test)) == (sizes.fit, sizes.calibration, sizes.test)
    assert sorted(np.concatenate(list(arrays.values())).tolist()) == list(range(len(labels)))
    for ids in arrays.values():
        assert ids.dtype == np.int64
        assert ids.tolist() == sorted(ids.tolist())
        for label in np.unique(labels):
            quota = (labels == label).sum() * len(ids) / len(labels)
            assert abs((labels[ids] == label).sum() - quota) < 1


def test_splits_depend_on_the_seed_and_on_nothing_else() -> None:
    labels = np.arange(100, dtype=np.int64) % 10
    first, again, other = (Splits.draw(labels, SplitSizes(20, 20, 20), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(getattr(first, n), getattr(again, n)) for n in SPLIT_NAMES)
    assert not np.array_equal(first.test, other.test)


def test_splits_survive_storage() -> None:
    splits = Splits.draw(np.arange(30, dtype=np.int64) % 3, SplitSizes(5, 5, 5), 0)
    again = Splits.from_arrays(splits.to_arrays())
    assert all(np.array_equal(getattr(splits, n), getattr(again, n)) for n in SPLIT_NAMES)


@pytest.mark.parametrize("sizes", [SplitSizes(5, 5, 0), SplitSizes(-1, 2, 2)])
def test_impossible_sizes_are_refused(sizes) -> None:
    with pytest.raises(InputError, match="leave training images"):
        Splits.draw(np.zeros(10, dtype=np.int64), sizes, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fit": np.array([0], dtype=np.int64)}, "one split only"),
        ({"fit": np.array([5, 4], dtype=np.int64)}, "ascending"),
        ({"fit": np.array([4.0])}, "64-bit integers"),
        ({"extra": np.array([9], dtype=np.int64)}, "must be train, fit"),
    ],
)
def test_stored_splits_that_overlap_or_are_malformed_are_refused(change, sentence) -> None:
    good = {name: np.array([i], dtype=np.int64) for i, name in enumerate(SPLIT_NAMES)}
    with pytest.raises(InputError, match=sentence):
        Splits.from_arrays(good | change)


def image_folder(folder: Path, images: dict[str, list[np.ndarray]]) -> Path:
    for name, pixels in images.items():
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(folder / name / f"{i}.png")
    return folder


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_digits_need_nothing() -> None:
    digits = load_image_set("digits")
    assert digits.pixels.shape == (1797, 1, 32, 32)
    assert digits.fingerprint == load_image_set("digits", download=False).fingerprint


def test_a_folder_of_images_keeps_every_pixel(tmp_path) -> None:
    grey = {"cat": [noise(5, 6, seed=i) for i in range(3)], "dog": [noise(5, 6, seed=9)]}
    loaded = load_image_set(str(image_folder(tmp_path / "pets", grey)))
    assert (loaded.name, loaded.class_names, loaded.pixels.shape) == ("pets", ("cat", "dog"), (4, 1, 5, 6))
    assert loaded.labels.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(loaded.pixels[:, 0], [*grey["cat"], *grey["dog"]])


def test_one_colour_image_makes_the_set_colour(tmp_path) -> None:
    folder = image_folder(tmp_path / "mixed", {"a": [noise(4, 4)], "b": [noise(4, 4, 3)]})
    loaded = load_image_set(str(folder))
    np.testing.assert_array_equal(loaded.pixels[0], np.stack([noise(4, 4)] * 3))
    np.testing.assert_array_equal(loaded.pixels[1], noise(4, 4, 3).transpose(2, 0, 1))


def parquet(path: Path, column: str, labels: list[object], seed: int = 0, **more: list[object]) -> None:
    encoded = [{"bytes": png_bytes(to_floats(noise(1, 4, 4, seed=seed + i))), "path": None} for i in range(len(labels))]
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({column: encoded, "label": labels, **more}), path)


def test_parquet_files_without_types_are_read_train_first(tmp_path) -> None:
    folder = tmp_path / "set"
    parquet(folder / "test-00000-of-00001.parquet", "img", ["x", "y"], seed=50)
    parquet(folder / "train-00000-of-00001.parquet", "img", ["y", "x", "z"])
    loaded = load_image_set(str(folder))
    assert (loaded.class_names, loaded.labels.tolist()) == (("x", "y", "z"), [1, 0, 2, 0, 1])
    expected = [noise(1, 4, 4, seed=s) for s in (0, 1, 2, 50, 51)]
    np.testing.assert_array_equal(loaded.pixels, expected)


def test_short_names_are_looked_for_in_the_data_folders_first(tmp_path, monkeypatch) -> None:
    parquet(tmp_path / "mnist" / "train-00000-of-00001.parquet", "image", [3, 5])
    monkeypatch.setenv("TELLTALE_DATA", f"{tmp_path / 'none'}{os.pathsep}{tmp_path}")
    loaded = load_image_set("mnist", download=False)
    assert (loaded.name, loaded.class_names, loaded.labels.tolist()) == ("mnist", ("3", "5"), [0, 1])


def test_folders_that_hold_no_image_set_are_refused_in_a_sentence(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "a.csv").write_text("x,y\n1,2\n")
    image_folder(tmp_path / "sizes", {"a": [noise(4, 4)], "b": [noise(5, 4)]})
    for name, sentence in {
        "empty": "no readable data set",
        "table": r"needs columns path and label, and may have split; 'a\.csv' has x, y",
        "sizes": r"differ in size \(4×4 and 4×5\)",
        "none": "There is no file or folder",
    }.items():
        with pytest.raises(InputError, match=sentence):
            load_image_set(str(tmp_path / name))


def test_images_whose_label_is_withheld_are_left_out_by_name(tmp_path) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    images = [Image.fromarray(noise(4, 4, seed=seed)) for seed in range(3)]
    (tmp_path / "set").mkdir()
    hidden = datasets.Dataset.from_dict({"image": images, "label": [-1, 1, -1]}, features=features)
    hidden.to_parquet(tmp_path / "set" / "train.parquet")
    loaded = load_image_set(str(tmp_path / "set"))
    np.testing.assert_array_equal(loaded.pixels, [[noise(4, 4, seed=1)]])
    assert (loaded.labels.tolist(), loaded.class_names) == ([1], ("a", "b"))
    assert [(left.name, left.reason) for left in loaded.left_out] == [
        ("train.parquet, row 0", "no label"),
        ("train.parquet, row 2", "no label"),
    ]


def test_the_hub_is_asked_by_its_id_and_its_failure_is_one_sentence(monkeypatch) -> None:
    import datasets

    asked = []

    def unreachable(*arguments: object) -> None:
        asked.append((*arguments, datasets.config.HF_HUB_OFFLINE))
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    with pytest.raises(InputError, match="'svhn' could not be fetched: the hub cannot be reached"):
        load_image_set("svhn")
    with pytest.raises(InputError, match="'owner/name' was not downloaded before"):
        load_image_set("owner/name", download=False)
    assert asked == [("ufldl-stanford/svhn", "cropped_digits", False), ("owner/name", None, True)]
    assert datasets.config.HF_HUB_OFFLINE is False


MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs a local copy of MNIST beside the repository")
def test_a_slice_of_mnist_agrees_with_its_parquet_file(tmp_path) -> None:
    (tmp_path / "mnist").mkdir()
    for split, n in (("train", 30), ("test", 20)):
        source = pq.read_table(MNIST / f"{split}-00000-of-00001.parquet").slice(0, n)
        pq.write_table(source, tmp_path / "mnist" / f"{split}-00000-of-00001.parquet")
    loaded = load_image_set(str(tmp_path / "mnist"))
    last = source.to_pylist()[-1]
    assert loaded.pixels.shape == (50, 1, 28, 28)
    assert loaded.class_names == tuple("0123456789")
    assert loaded.labels[-1] == last["label"]
    np.testing.assert_array_equal(loaded.pixels[-1, 0], np.asarray(Image.open(io.BytesIO(last["image"]["bytes"]))))
