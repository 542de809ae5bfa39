"""Pictures that are made to cost, by every way in: a sentence each, and the process that serves pages decodes none."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from support import hostile
from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_app, text_of
from support.saved_cases import saved_case
from telltale.base.errors import InputError
from telltale.cases.exporting import NATURAL, to_zip
from telltale.cases.importing import from_zip
from telltale.data.sources import load_image_set
from telltale.data.uploads import decode_image, png_bytes
from telltale.models import guarded
from telltale.models.decoders import decoders
from telltale_app import link_images
from telltale_app.panels import cropping

MEGABYTE = 2**20
BOMB = hostile.png_of(30_000, 30_000, b"")


@pytest.fixture
def opened_here(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every file that this process opens as a picture."""
    seen: list[bytes] = []
    plain = Image.open

    def noted(file: Any, *rest: Any, **options: Any) -> Image.Image:
        seen.append(file.getvalue() if isinstance(file, io.BytesIO) else b"")
        return plain(file, *rest, **options)

    monkeypatch.setattr(Image, "open", noted)
    return seen


def upload(data: bytes) -> list[str]:
    app = open_app()
    app.session_state["image-source-digits"] = "Upload"
    app.run()
    app.file_uploader[0].upload("mine.png", data).run()
    assert not app.exception
    return [error.value for error in app.error]


def test_an_upload_is_decoded_elsewhere(engine: FakeEngine, opened_here: list[bytes]) -> None:
    picture = hostile.encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)), "PNG")
    assert upload(picture) == []
    assert picture not in opened_here
    [said] = upload(BOMB)
    assert said.startswith("The image has far too many pixels; at most 40 million are accepted")
    assert BOMB not in opened_here


def test_a_picture_that_was_refused_is_not_tried_again_by_every_run_of_the_page(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def too_long(*_: object, **__: object) -> None:
        tried.append("decoded")
        raise InputError("Decoding the image takes more than 2 seconds.")

    monkeypatch.setattr(cropping, "cut_strangers_picture", too_long)
    monkeypatch.setattr(cropping, "look_at_strangers_picture", too_long)
    app = open_app()
    app.session_state["image-source-digits"] = "Upload"
    app.run()
    app.file_uploader[0].upload("mine.png", b"a picture").run()
    assert [error.value for error in app.error] == [
        "Decoding the image takes more than 2 seconds. The image chosen before stays."
    ]
    app.run()
    assert not app.error and not app.exception
    assert tried == ["decoded"]
    app.file_uploader[0].upload("mine.png", b"another picture").run()
    assert tried == ["decoded"] * 2


def test_a_link_that_claims_a_huge_picture_is_a_sentence_beside_a_sample(
    engine: FakeEngine, opened_here: list[bytes]
) -> None:
    for width, height in ((13_000, 13_000), (13_500, 13_500), (30_000, 30_000), (2**31 - 1, 1)):
        bomb = hostile.png_of(width, height, b"")
        app = open_app(image=hostile.link_of(bomb))
        assert not app.exception
        assert "The image in the link must be 8 × 8 pixels for this model. A sample image is shown" in text_of(app)
        assert bomb not in opened_here


def test_a_pasted_link_is_decoded_elsewhere_too(engine: FakeEngine, opened_here: list[bytes]) -> None:
    app = open_app()
    app.session_state["image-source-digits"] = "Link"
    app.run()
    app.text_input(key="pasted-link").set_value(f"http://x/?bundle=digits&image={hostile.link_of(BOMB)}").run()
    assert not app.exception
    assert "must be 8 × 8 pixels" in text_of(app)
    assert BOMB not in opened_here


def test_pictures_of_a_strangers_case_are_decoded_elsewhere_too(opened_here: list[bytes]) -> None:
    case = saved_case(3)
    strange = hostile.encoded(Image.new("L", (9, 9)), "PNG", compress_level=0)  # as it is never written here
    assert from_zip(to_zip(case)) == case
    opened_here.clear()
    with pytest.raises(InputError, match="not the one that the case's numbers are of"):
        from_zip(zip_with(strange))
    assert strange not in opened_here


def zip_with(picture: bytes) -> bytes:
    """The zip of a case with another picture in it."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(to_zip(saved_case(3)))) as archive, zipfile.ZipFile(changed, "w") as written:
        for name in archive.namelist():
            written.writestr(name, picture if name == NATURAL else archive.read(name))
    return changed.getvalue()


def variants(data: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    """A file as it is, cut off, and damaged in a few places."""
    yield data
    yield data[: len(data) // 2]
    changed = bytearray(data)
    for place in rng.integers(0, len(data), 4):
        changed[place] ^= int(rng.integers(1, 256))
    yield bytes(changed)


def by_upload(data: bytes) -> object:
    photo = cropping.of_file(data)
    return guarded.look(photo.read(), 480, (3, 32, 32))


def by_link(data: bytes) -> object:
    return link_images.read_image(hostile.link_of(data[:8_900]), FakeBundle())  # type: ignore[arg-type]


def by_zip(data: bytes) -> object:
    return from_zip(zip_with(data))


def highest_memory() -> float:
    """The most that this process has held since the last look, in MB."""
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    Path("/proc/self/clear_refs").write_text("5")  # start counting anew
    return peak / 1024


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_pictures_by_every_way_cost_the_server_neither_memory_nor_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    files = [(name, one) for name, make in hostile.HOSTILE.items() for one in variants(make(), rng)]
    ways: tuple[Callable[[bytes], object], ...] = (by_upload, by_link, by_zip)
    by_upload(hostile.encoded(Image.new("L", (64, 64), 9), "PNG"))
    before = psutil.Process().memory_info().rss / MEGABYTE
    highest_memory()
    times: list[tuple[float, str]] = []
    refused = 0
    for name, data in files:
        for way in ways:
            start = time.monotonic()
            try:
                way(data)
            except InputError as error:
                refused += 1
                assert re.fullmatch(r"[A-Z'][^\n]*\.", str(error)), (name, str(error))
            times.append((time.monotonic() - start, f"{name}, {way.__name__}"))
    grown = highest_memory() - before
    decoders().close()
    with capsys.disabled():
        slowest = "; ".join(f"{name} {seconds:.2f} s" for seconds, name in sorted(times, reverse=True)[:4])
        print(f"\n{len(times)} times, {refused} refused, at most +{grown:.0f} MB, {slowest}")
    assert len(times) >= 180
    assert refused > len(times) // 2
    assert grown < 100
    # Each of an upload's two looks is ended after 2.5 s; unlimited, some of these take more than a minute.
    assert max(times)[0] < 12.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_pictures_in_a_folder_of_data_are_named_and_left_out(tmp_path: Path) -> None:
    good = np.random.default_rng(1).integers(0, 256, (2, 8, 8), dtype=np.uint8)
    (tmp_path / "cat").mkdir()
    for number, pixels in enumerate(good):
        (tmp_path / "cat" / f"good {number}.png").write_bytes(hostile.encoded(Image.fromarray(pixels), "PNG"))
    expected = 2
    for name, make in hostile.HOSTILE.items():
        data = make()
        try:
            expected += decode_image(data).size == (8, 8)
        except InputError:
            (tmp_path / "cat" / f"{name}.png").write_bytes(data)
    found = load_image_set(str(tmp_path))
    np.testing.assert_array_equal(found.pixels[:, 0], good)
    assert {left.name.removeprefix("cat/") for left in found.left_out} == {
        path.name for path in (tmp_path / "cat").iterdir() if not path.name.startswith("good")
    }
    assert len(found.left_out) >= 12


def test_what_was_read_elsewhere_is_shown_exactly(engine: FakeEngine) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8), dtype=np.uint8)
    image = png_bytes(pixels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(by_link(image), pixels.astype(np.float32) / np.float32(255))
