"""Images that are too large for a link: links name them, the server keeps them, and what has gone is said."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import telltale
from support.fake_analysis import WORDS, FakeBundle, FakeEngine
from support.fake_app import fake_app
from support.pages import PAGES, open_app, show, text_of
from telltale.base.images import image_sha256, to_floats
from telltale.bundle.own_data import sizing_notes
from telltale.cases.picture_store import picture_store
from telltale.data.photographs import find_photograph, photograph_for
from telltale.data.sources import load_image_set
from telltale_app.link_images import carry, fits_into_links, read_image

SIDE = 224
SHAPE = (3, SIDE, SIDE)
ATTACK = "pgd~eps~0.2~seed~3"
PREPROCESS = telltale.Preprocess(resize=256, crop=SIDE, interpolation="bicubic")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """A model of 224-pixel colour images, and a store of its own that is still empty."""
    bundle = FakeBundle(colour=True, side=SIDE)
    return opened_with(monkeypatch, tmp_path, bundle)


@pytest.fixture
def large_photographs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """Such a model that was built from photographs of any size."""
    bundle = FakeBundle(colour=True, side=SIDE)
    bundle.notes |= sizing_notes(PREPROCESS, 3)
    monkeypatch.setenv("TELLTALE_CACHE", str(tmp_path / "cache"))
    return opened_with(monkeypatch, tmp_path, bundle)


@pytest.fixture
def bundle_of_many(monkeypatch: pytest.MonkeyPatch, large: FakeEngine) -> FakeBundle:
    """Such a model with a thousand classes, of which ten have images."""
    bundle = FakeBundle(colour=True)
    bundle.class_names = (*WORDS, *(f"class {c}" for c in range(len(WORDS), 1000)))
    show(monkeypatch, bundle)
    return bundle


def opened_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: FakeBundle) -> FakeEngine:
    engine = fake_app(monkeypatch, bundle)
    show(monkeypatch, bundle)
    monkeypatch.setenv("TELLTALE_PICTURES", str(tmp_path / "pictures"))
    return engine


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, SHAPE, dtype=np.uint8)


def file_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.moveaxis(pixels, 0, -1)).save(buffer, "PNG")
    return buffer.getvalue()


def upload(app: AppTest, pixels: np.ndarray) -> AppTest:
    app.session_state["image-source-cifar10"] = "Upload"
    app.run()
    return app.file_uploader[0].upload("mine.png", file_of(pixels)).run()


def shown(engine: FakeEngine) -> np.ndarray:
    """Return the image that was analysed first."""
    return next(arguments["image"] for task, arguments in engine.submitted if task == "analyse")


def forget_pictures() -> None:
    for file in picture_store().folder.glob("*.png"):
        file.unlink()


def test_an_upload_is_named_by_its_sha_256_and_opens_in_another_session(large: FakeEngine) -> None:
    app = upload(open_app(), picture())
    assert not app.exception and not app.error
    assert "That part is kept on this server for whoever has the link" in text_of(app)
    reference = str(app.query_params["image"])
    assert reference == f"sha256-{image_sha256(to_floats(picture()))}"
    large.submitted.clear()
    again = open_app(image=reference, attack=ATTACK)
    assert not again.warning and not again.error
    assert np.array_equal(shown(large), to_floats(picture()))
    assert "Your image" in text_of(again) and "PGD succeeded" in text_of(again)


def test_an_attacked_picture_that_is_uploaded_has_a_link_as_well(large: FakeEngine) -> None:
    open_app(image=carry(to_floats(picture())), attack=ATTACK)
    attacked = next(a["image"] for task, a in reversed(large.submitted) if task == "analyse")
    assert not np.array_equal(attacked, to_floats(picture()))
    app = upload(open_app(), np.rint(attacked * 255).astype(np.uint8))
    large.submitted.clear()
    open_app(image=str(app.query_params["image"]))
    assert np.array_equal(shown(large), attacked)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_says_that_a_picture_has_gone_and_asks_for_it(large: FakeEngine, page: str) -> None:
    reference = f"sha256-{image_sha256(to_floats(picture()))}"
    app = open_app(page, image=reference, attack=ATTACK)
    assert not app.exception
    assert app.query_params["image"] == reference and app.query_params["attack"].startswith("pgd~")
    assert "Its picture is no longer on this server." in text_of(app)
    for error in app.error:
        assert "The picture of this link is no longer on this server" in error.value
        assert "Upload it once more" in error.value
    if page in PAGES[:5]:
        assert len(app.error) == 1 and app.button(key="upload-again")


def test_uploading_a_picture_that_had_gone_brings_the_whole_link_back(large: FakeEngine) -> None:
    reference = carry(to_floats(picture()))
    forget_pictures()
    app = open_app(image=reference, attack=ATTACK, alpha="0.1")
    assert app.file_uploader  # asked for at once
    app = app.file_uploader[0].upload("mine.png", file_of(picture())).run()
    assert not app.exception and not app.error
    assert app.query_params["image"] == reference and app.query_params["attack"].startswith("pgd~eps~0.2~")
    assert "PGD succeeded" in text_of(app)
    other = upload(app, picture(1))
    assert other.query_params["attack"] == "none" and other.query_params["image"] != reference


def test_another_page_leads_to_the_upload(large: FakeEngine) -> None:
    app = open_app(PAGES[2], image=f"sha256-{'0' * 64}")
    app.button(key="upload-again").click()
    app.run()
    assert not app.exception
    assert app.session_state["image-source-cifar10"] == "Upload"


def test_a_photographs_usual_square_needs_no_store(large: FakeEngine) -> None:
    chelsea = find_photograph("chelsea")
    assert chelsea is not None
    image = photograph_for(chelsea, SHAPE)
    app = open_app(image=f"chelsea-sha256-{image_sha256(image)}")
    assert not app.error and not app.warning
    assert np.array_equal(shown(large), image)
    assert "Chelsea the cat" in text_of(app)
    assert not picture_store().folder.exists()


def test_another_square_of_a_photograph_is_kept(large: FakeEngine) -> None:
    app = open_app()
    app.session_state["image-source-cifar10"] = "Photographs"
    app.run()
    app.button(key="photograph-coffee").click().run()
    app.slider(key="crop-side-coffee").set_value(200).run()
    reference = str(app.query_params["image"])
    assert reference.startswith("coffee-sha256-")
    large.submitted.clear()
    assert not open_app(image=reference).error
    assert image_sha256(shown(large)) == reference.removeprefix("coffee-sha256-")
    forget_pictures()
    assert "no longer on this server" in open_app(image=reference).error[0].value


def test_a_pinned_case_whose_picture_has_gone_is_left_out(large: FakeEngine) -> None:
    gone = f"cifar10!sha256-{'0' * 64}!none!0.05"
    app = open_app(pin=gone)
    assert not app.exception and not app.error
    assert [w.value for w in app.warning] == ["One pinned case is left out: the picture is no longer on this server."]


def test_a_picture_of_another_size_is_refused(large: FakeEngine) -> None:
    reference = f"sha256-{picture_store().keep(np.zeros((3, 64, 64), dtype=np.float32))}"
    app = open_app(image=reference)
    assert "The image in the link must be 224 × 224 pixels for this model." in app.warning[0].value


def test_a_store_that_cannot_be_written_is_one_sentence(
    large: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TELLTALE_PICTURES", str(tmp_path / "file" / "pictures"))
    app = upload(open_app(), picture())
    assert not app.exception
    (said,) = (error.value for error in app.error)
    assert said.startswith("The picture cannot be kept in ") and said.endswith("The image chosen before stays.")


def test_small_pictures_travel_in_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_PICTURES", str(tmp_path / "pictures"))
    rng = np.random.default_rng(0)
    for side in range(8, 60):
        shape = (3, side, side)
        bundle = FakeBundle(colour=True, side=8)
        bundle.image_shape = shape
        image = to_floats(rng.integers(0, 256, shape, dtype=np.uint8))
        reference = carry(image)
        assert np.array_equal(read_image(reference, bundle), image)
        if fits_into_links(shape):  # noise, which no compression shortens, is the longest
            assert reference.startswith("png-")
    assert fits_into_links((3, 32, 32)) and not fits_into_links(SHAPE)


def photograph(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 200, (3, height, width), dtype=np.uint8)


def test_an_upload_is_first_cut_as_the_model_cuts_pictures(large_photographs: FakeEngine, tmp_path: Path) -> None:
    app = upload(open_app(), photograph(400, 300))
    assert not app.exception and not app.error
    assert "Resized and cropped as the images that it was built with" in text_of(app)
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "mine.png").write_bytes(file_of(photograph(400, 300)))
    (expected,) = load_image_set(str(tmp_path / "set"), sizing=PREPROCESS.sizing(3)).images([0])
    assert app.query_params["image"] == f"sha256-{image_sha256(expected)}"
    large_photographs.submitted.clear()
    open_app(image=str(app.query_params["image"]))
    assert np.array_equal(shown(large_photographs), expected)


def test_another_part_of_an_upload_can_be_taken_and_given_up_again(large_photographs: FakeEngine) -> None:
    app = upload(open_app(), photograph(400, 300))
    first = app.query_params["image"]
    (left,) = (slider for slider in app.slider if slider.label == "From the left")
    (side,) = (slider for slider in app.slider if slider.label == "Side of the square")
    assert (side.value, left.value) == (262, 68)  # 224 of 256 pixels, to which 300 were brought, in the middle
    assert not [button for button in app.button if button.key == "own-part"]
    left.set_value(100).run()
    assert not app.exception and app.query_params["image"] != first
    assert "Resized and cropped as" not in text_of(app)
    app.button(key="own-part").click().run()
    assert not app.exception and app.query_params["image"] == first
    (left,) = (slider for slider in app.slider if slider.label == "From the left")
    assert left.value == 68


def test_what_the_model_cannot_bring_to_size_is_cut_to_a_square(
    large_photographs: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = FakeBundle(colour=True, side=SIDE)
    bundle.notes |= sizing_notes(telltale.Preprocess(crop=SIDE), 3)
    show(monkeypatch, bundle)
    app = upload(open_app(), photograph(300, 200))
    assert not app.exception and not app.error
    assert "Resized and cropped as" not in text_of(app)
    assert next(slider.value for slider in app.slider if slider.label == "Side of the square") == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_a_thousand_classes(large: FakeEngine, bundle_of_many: FakeBundle, page: str) -> None:
    app = open_app(page, image="test-167", attack=ATTACK)
    assert not app.exception and not app.error
    assert not any("class 999" in line for line in text_of(app).splitlines())


def test_test_images_of_many_classes_are_found_by_typing(large: FakeEngine, bundle_of_many: FakeBundle) -> None:
    app = open_app()
    app.session_state["image-source-cifar10"] = "Test images"
    app.run()
    (choice,) = (box for box in app.selectbox if box.label == "Class")
    assert choice.options == ["any", *WORDS], "only classes that have test images"
    choice.set_value(3).run()
    picked = [button.key for button in app.button if (button.key or "").startswith("pick-")]
    labels = bundle_of_many.require_images().labels
    assert picked and all(labels[int(key.rpartition("-")[2])] == 3 for key in picked)
