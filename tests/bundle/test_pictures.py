"""A picture of any size for a bundle: the same pixels as the data's folder gives, or another square of it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from telltale.base.errors import InputError
from telltale.base.images import to_bytes
from telltale.bundle.own_data import sizing_notes
from telltale.bundle.pictures import fit_picture, load_picture, own_part
from telltale.data.sources import load_image_set
from telltale.data.uploads import Square, decode_image
from telltale.models.preprocess import Preprocess

WAYS = (
    Preprocess(resize=40, crop=32),
    Preprocess(resize=37, crop=32, interpolation="bicubic"),
    Preprocess(resize=(32, 32)),
    Preprocess(resize=(44, 36), crop=32, interpolation="bicubic"),
    Preprocess(crop=32),
)
SIZES = ((61, 40), (40, 75), (33, 90), (32, 33), (97, 96))


def bundle_of(preprocess: Preprocess, channels: int = 3, size: tuple[int, int] = (32, 32)) -> Any:
    return SimpleNamespace(notes=sizing_notes(preprocess, channels), image_shape=(channels, *size))


def photograph(size: tuple[int, int], seed: int = 0) -> Image.Image:
    width, height = size
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def photographs(folder: Path) -> list[Path]:
    """Write a picture of every size as PNG, a grey one, and one that a camera turned."""
    files = []
    for number, size in enumerate(SIZES):
        files.append(folder / "a" / f"{number}.png")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        photograph(size, number).save(files[-1])
    photograph((50, 45)).convert("L").save(folder / "a" / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph((70, 48)).save(folder / "a" / "turned.jpg", exif=turned)
    return [*files, folder / "a" / "grey.png", folder / "a" / "turned.jpg"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("preprocess", WAYS, ids=str)
def test_an_upload_has_the_pixels_that_the_folder_gives(
    preprocess: Preprocess, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    files = photographs(tmp_path / "set")
    image_set = load_image_set(str(tmp_path / "set"), sizing=preprocess.sizing(channels))
    bundle = bundle_of(preprocess, channels)
    assert image_set.names == tuple(str(file.relative_to(tmp_path / "set")) for file in files)
    for place, file in enumerate(files):
        uploaded = fit_picture(bundle, decode_image(file.read_bytes()))
        np.testing.assert_array_equal(uploaded, image_set.images([place])[0])
        np.testing.assert_array_equal(load_picture(bundle, file), uploaded)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("preprocess", WAYS, ids=str)
def test_what_is_marked_is_what_reaches_the_model(preprocess: Preprocess, size: tuple[int, int]) -> None:
    """Every row and column of the picture is blackened in turn: only those that are marked may change the input."""
    bundle, pixels = bundle_of(preprocess), np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    found = own_part(bundle, size)
    assert found is not None
    left, top, right, bottom = found
    x, y = size[0] / 32 + 2, size[1] / 32 + 2  # as far as resizing looks around a pixel of the input, and more
    for axis, (start, stop, reach) in enumerate(((top, bottom, y), (left, right, x))):
        for place in range(pixels.shape[axis]):
            changed = pixels.copy()
            np.moveaxis(changed, axis, 0)[place] = 0
            reached = bool((fit_picture(bundle, Image.fromarray(changed)) < 1.0).any())
            if start <= place <= stop - 1:
                assert reached, f"row or column {place} of {found} is marked and does not reach the model"
            if place < start - reach or place > stop + reach:
                assert not reached, f"row or column {place} reaches the model and is not marked: {found}"


def test_another_square_is_resized_as_the_model_resizes() -> None:
    bundle, picture = bundle_of(Preprocess(resize=40, crop=32, interpolation="bicubic")), photograph((90, 70))
    cut = picture.crop((30, 10, 78, 58))
    expected = Preprocess(resize=(32, 32), interpolation="bicubic").sizing(3).apply(cut)
    np.testing.assert_array_equal(to_bytes(fit_picture(bundle, picture, Square(30, 10, 48))), expected)
    with pytest.raises(InputError, match="leaves the picture of 90×70 pixels"):
        fit_picture(bundle, picture, Square(60, 10, 48))


def test_black_and_white_are_exchanged_last() -> None:
    bundle, picture = bundle_of(Preprocess(resize=40, crop=32), 1), photograph((90, 70))
    plain, exchanged = (to_bytes(fit_picture(bundle, picture, invert=invert)) for invert in (False, True))
    np.testing.assert_array_equal(exchanged, 255 - plain)


def test_a_picture_of_the_models_size_is_taken_bit_for_bit() -> None:
    picture = photograph((32, 32))
    fitted = fit_picture(bundle_of(Preprocess(resize=40, crop=32)), picture)
    np.testing.assert_array_equal(to_bytes(fitted), np.moveaxis(np.asarray(picture), -1, 0))


def test_what_the_preprocessing_cannot_bring_to_size_is_refused() -> None:
    with pytest.raises(InputError, match="smaller than the crop"):
        fit_picture(bundle_of(Preprocess(crop=32)), photograph((31, 60)))
    with pytest.raises(InputError, match="brings the picture to 64×32 pixels; it takes 32×32"):
        fit_picture(bundle_of(Preprocess(resize=32)), photograph((100, 50)))


def test_a_bundle_of_images_of_one_size_has_no_part_of_its_own() -> None:
    bundle = SimpleNamespace(notes={}, image_shape=(3, 32, 32))
    assert own_part(bundle, (90, 70)) is None  # type: ignore[arg-type]  # only these two are read
    buffer = io.BytesIO()
    photograph((90, 70)).save(buffer, "PNG")
    square = Square.centred((90, 70))
    cut = photograph((90, 70)).crop(tuple(map(int, square.box))).resize((32, 32), Image.Resampling.LANCZOS)
    fitted = fit_picture(bundle, decode_image(buffer.getvalue()), square)  # type: ignore[arg-type]
    np.testing.assert_array_equal(to_bytes(fitted), np.moveaxis(np.asarray(cut), -1, 0))
