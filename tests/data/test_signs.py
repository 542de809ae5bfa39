"""The drawn signs as an image set: known without drawing one, found by their fingerprint, drawn by all cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from telltale.data import signs
from telltale.data.image_set import fingerprint_of
from telltale.data.sources import find_image_set, lasting_source, list_images, load_image_set
from telltale.signs import drawn
from telltale.signs.kinds import NAMES
from telltale.signs.picture import render


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path))
    return tmp_path


def test_nothing_is_drawn_before_it_is_asked_for(monkeypatch) -> None:
    def refuse(*_: object) -> np.ndarray:
        raise AssertionError("drawn")

    monkeypatch.setattr(drawn, "render", refuse)
    image_set = find_image_set(signs.FINGERPRINT, "signs")
    assert image_set is not None and len(image_set) == 12000 and image_set.class_names == NAMES
    assert {split: len(ids) for split, ids in image_set.own_splits.items()} == {
        "train": 8000, "validation": 2000, "test": 2000
    }  # fmt: skip
    assert image_set.pixels.shape == (12000, 3, 48, 48)
    assert find_image_set("0" * 64, "signs") is None
    assert lasting_source("signs") == "signs"


def test_images_are_what_render_draws() -> None:
    image_set = signs.look()
    found = image_set.images([10_000, 1])
    assert found.dtype == np.float32
    assert np.array_equal(found, np.stack([render(0, "test", 0), render(0, "train", 1)]) / np.float32(255))
    assert NAMES[image_set.labels[10_000]] == NAMES[0]


def test_the_listing_names_every_picture_with_split_and_class() -> None:
    listing = list_images("signs")
    listed = list(listing.images)
    assert len(listed) == listing.count == 12000
    assert [(item.split, item.label) for item in (listed[0], listed[8001], listed[11_999])] == [
        ("train", NAMES[0]), ("validation", NAMES[1]), ("test", NAMES[1999 % 22])
    ]  # fmt: skip
    assert listed[3].read()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_all_pictures_have_the_fingerprint_by_which_bundles_know_them(monkeypatch, tmp_path) -> None:
    said: list[str] = []
    image_set = load_image_set("signs", progress=lambda _, words: said.append(words))
    pixels = np.asarray(image_set.pixels)
    assert fingerprint_of(pixels.shape, [pixels.reshape(-1).data], image_set.labels) == signs.FINGERPRINT
    assert said[-1] == "Drawing signs, 12,000 of 12,000 images"
    assert signs.look().pixels.missing() == []
