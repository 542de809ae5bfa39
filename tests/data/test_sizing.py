"""Photographs of different sizes become images of one size, one by one, in a mapped file."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.places import cache_folder
from telltale.data.pixel_file import PixelFile
from telltale.data.sizing import Sizing
from telltale.data.sources import find_image_set, load_image_set


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TELLTALE_DATA", raising=False)
    return tmp_path / "cache" / "images"


def corner(side: int) -> Sizing:
    """Take the upper left corner: what it gives is known without any resizing."""

    def to_size(picture: np.ndarray) -> np.ndarray:
        if min(picture.shape[1:]) < side:
            raise InputError(f"smaller than {side}.")
        return picture[:, :side, :side]

    return Sizing(to_size, f"corner {side}")


def photographs(folder: Path, count: int = 6, colour: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Write pictures of different sizes, those of `colour` in colour; returns their pixels (H, W) or (H, W, 3)."""
    written = []
    for number in range(count):
        shape = (20 + number, 30 - number) + ((3,) if number in colour else ())
        pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        place = folder / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
        written.append(pixels)
    return [written[number] for number in [*range(0, count, 2), *range(1, count, 2)]]


def test_pictures_are_brought_to_size_and_rounded(tmp_path, cache) -> None:
    pictures = photographs(tmp_path / "set")
    with pytest.raises(InputError, match=r"differ in size .*through a classifier's preprocessing"):
        load_image_set(str(tmp_path / "set"))
    found = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    np.testing.assert_array_equal(found.pixels[:, 0], [picture[:8, :8] for picture in pictures])
    assert not found.pixels.flags.writeable and not list(cache.glob(".partial-*"))
    again = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    np.testing.assert_array_equal(again.pixels, found.pixels)
    other = load_image_set(str(tmp_path / "set"), sizing=corner(5))
    assert other.pixels.shape == (6, 1, 5, 5), "another sizing is another entry of the cache"
    assert find_image_set(found.fingerprint, str(tmp_path / "set"), sizing=corner(8)) is not None
    assert find_image_set(found.fingerprint, str(tmp_path / "set"), sizing=corner(5)) is None


@pytest.mark.parametrize("colour", [(0,), (3,), (5,), (0, 1, 2, 3, 4, 5)])
def test_one_picture_in_colour_makes_the_set_colour_wherever_it_stands(tmp_path, colour, monkeypatch) -> None:
    monkeypatch.setattr("telltale.data.pixel_file.AT_ONCE", 100)  # less than two images: several rounds
    pictures = photographs(tmp_path / "set", colour=colour)
    found = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    expected = [p[:8, :8] if p.ndim == 3 else np.stack([p[:8, :8]] * 3, axis=-1) for p in pictures]
    np.testing.assert_array_equal(found.pixels.transpose(0, 2, 3, 1), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_classifier_is_given_the_channels_that_it_takes(tmp_path, channels) -> None:
    pictures = photographs(tmp_path / "set", colour=(1,))
    sizing = Sizing(corner(8).to_size, "corner 8", channels)
    found = load_image_set(str(tmp_path / "set"), sizing=sizing)
    assert found.pixels.shape == (6, channels, 8, 8)
    np.testing.assert_array_equal(found.pixels[0], [pictures[0][:8, :8]] * channels)
    luminance = pictures[3][:8, :8] @ [0.299, 0.587, 0.114]
    if channels == 1:
        np.testing.assert_allclose(found.pixels[3, 0], luminance, atol=1)


def test_a_picture_that_cannot_be_brought_to_size_is_left_out_by_name(tmp_path) -> None:
    photographs(tmp_path / "set")
    Image.new("L", (7, 30)).save(tmp_path / "set" / "a" / "narrow.png")
    found = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    assert len(found) == 6 and [(left.name, left.reason) for left in found.left_out] == [
        ("a/narrow.png", "smaller than 8")
    ]


def test_sizes_that_still_differ_are_a_sentence(tmp_path) -> None:
    photographs(tmp_path / "set")
    with pytest.raises(InputError, match=r"preprocessing leaves the images of .* at sizes that differ"):
        load_image_set(str(tmp_path / "set"), sizing=Sizing(lambda picture: picture, "none"))


def test_the_digits_are_brought_to_size_as_well() -> None:
    whole, small = load_image_set("digits"), load_image_set("digits", sizing=corner(16))
    np.testing.assert_array_equal(small.pixels, whole.pixels[:, :, :16, :16])
    np.testing.assert_array_equal(small.labels, whole.labels)


def test_preprocessing_is_a_sizing() -> None:
    from telltale.models.preprocess import Preprocess

    preprocess = Preprocess(resize=16, crop=12, mean=0.5, std=0.25)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    floats = np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    expected = np.rint(preprocess.to_size(floats).astype(np.float64) * 255).astype(np.uint8)
    np.testing.assert_array_equal(preprocess.sizing(3).apply(picture), expected)
    assert preprocess.sizing().key == Preprocess(resize=16, crop=12).sizing().key, "normalising changes no pixels"
    keys = {Preprocess(resize=r, crop=c).sizing().key for r in (16, (16, 16), None) for c in (12, None)}
    assert len(keys) == 6


def test_another_interpolation_is_not_answered_from_the_cache_of_the_first(tmp_path) -> None:
    from telltale.models.preprocess import Preprocess

    photographs(tmp_path / "set")
    found = [
        load_image_set(str(tmp_path / "set"), sizing=Preprocess(resize=(6, 6), interpolation=how).sizing(3))
        for how in ("bilinear", "bicubic")
    ]
    assert (found[0].pixels != found[1].pixels).any()


def test_a_reading_that_is_stopped_leaves_nothing(tmp_path, cache) -> None:
    photographs(tmp_path / "set")
    told = []

    def stop(fraction: float, message: str) -> None:
        told.append((fraction, message))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_image_set(str(tmp_path / "set"), sizing=corner(8), progress=stop)
    assert told == [(0.0, f"Reading {tmp_path / 'set'}")]
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_a_full_disk_is_a_sentence(tmp_path, monkeypatch) -> None:
    photographs(tmp_path / "set")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PixelFile, "append", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); TELLTALE_CACHE"):
        load_image_set(str(tmp_path / "set"), sizing=corner(8))


def test_what_a_full_disk_keeps_from_being_closed_leaves_nothing(cache) -> None:
    class Full:
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), PixelFile() as file:
        file._file.close()
        file._file = Full()  # type: ignore[assignment]
        raise OSError(28, "No space left on device")
    assert list(cache.iterdir()) == []


def test_the_fingerprint_of_a_reading_is_that_of_its_pixels_and_labels(tmp_path) -> None:
    photographs(tmp_path / "set", colour=(4,))
    found = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    by_hand = hashlib.sha256(b"(6, 3, 8, 8)" + found.pixels.tobytes() + found.labels.tobytes()).hexdigest()
    assert found.fingerprint == by_hand


def test_without_a_cache_folder_the_images_are_there_all_the_same(tmp_path, monkeypatch) -> None:
    pictures = photographs(tmp_path / "set")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "file"))
    found = load_image_set(str(tmp_path / "set"), sizing=corner(8))
    np.testing.assert_array_equal(found.pixels[:, 0], [picture[:8, :8] for picture in pictures])
    assert cache_folder() == tmp_path / "file"


MEMORY = """
import resource, sys, tempfile
import numpy as np
from telltale.data.image_set import fingerprint_of
from telltale.data.pixel_file import PixelFile
image = np.zeros((3, 224, 224), dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with PixelFile() as file:
    for number in range(400):
        image[:] = number % 251
        file.append(image)
    pixels = file.mapped()
    fingerprint_of(pixels.shape, file.blocks(), np.zeros(400, dtype=np.int64))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, pixels.shape, pixels[399].max())
"""


def test_memory_stays_flat_however_many_images_there_are(tmp_path) -> None:
    ran = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    grown, rest = ran.stdout.split(maxsplit=1)
    assert rest.strip() == f"(400, 3, 224, 224) {399 % 251}"
    assert int(grown) < 8_000, f"60 MB of images took {grown} kB of memory"
