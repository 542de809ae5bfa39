"""Drawing on the workbench without a browser: what is sent to it, and what becomes of what comes back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.fake_app import fake_app
from support.pages import open_app, show, text_of
from telltale.base.images import to_bytes
from telltale_app import components, link_images
from telltale_app.case import Case
from telltale_app.link_images import read_image
from telltale_app.panels.drawing import DRAWN, Drawn

Levels = Any


@pytest.fixture
def colour(monkeypatch: pytest.MonkeyPatch) -> FakeBundle:
    """A model of 32-pixel colour images behind the pages."""
    bundle = FakeBundle(colour=True)
    fake_app(monkeypatch, bundle)
    show(monkeypatch, bundle)
    return bundle


def draw_source(bundle: FakeBundle, image: str = "test-167", **session: object) -> AppTest:
    """Open the workbench where one draws."""
    app = open_app(image=image)
    app.session_state[f"image-source-{bundle.name}"] = "Draw"
    for key, value in session.items():
        app.session_state[key.replace("_", "-")] = value
    return app.run()


def canvas(app: AppTest) -> tuple[dict[str, Any], Levels, Levels]:
    """Return what the canvas was sent: its header, what *Clear* leads back to, and what it shows; (H, W, C)."""
    (found,) = [one for one in app.get("bidi_component") if one.proto.component_name == "telltale.drawing"]
    line, levels = found.proto.bytes.split(b"\n", 1)
    header = json.loads(line)
    shape = (2, header["height"], header["width"], header["channels"])
    ground, shown = np.frombuffer(levels, np.uint8).reshape(shape)
    return header, ground, shown


def pixels_of(bundle: FakeBundle, reference: str) -> Levels:
    return np.moveaxis(to_bytes(read_image(reference, bundle)), 0, -1)  # type: ignore[arg-type]


def as_sent(levels: Levels) -> str:
    return base64.b64encode(levels.tobytes()).decode()


def taken(bundle: FakeBundle, ground: str, sent: object, case: Case | None = None) -> AppTest:
    """Let the callback of the canvas take what a browser sends."""

    def callback(bundle: object, ground: str, sent: object) -> None:
        from telltale_app.panels.drawing import take

        take(bundle, ground, sent)  # type: ignore[arg-type]

    app = AppTest.from_function(callback, args=(bundle, ground, sent))
    app.session_state["case"] = Case(bundle.name, "test-167", "pgd") if case is None else case
    app.run()
    assert not app.exception
    return app


def test_a_grey_model_begins_with_black_and_offers_light_and_dark(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = draw_source(bundle)
    header, ground, shown = canvas(app)
    assert not app.exception and (header["width"], header["height"], header["channels"]) == (8, 8, 1)
    assert not ground.any() and not shown.any()
    levels = [level for _, (level,) in header["colours"]]
    assert levels == sorted(levels) and levels[0] == 0 and levels[-1] == 255 and header["first"] == "white"
    assert "sticker on a stop sign" in text_of(app) and "Nothing is stored; the link carries" in text_of(app)


def test_a_colour_model_begins_with_the_image_itself(colour: FakeBundle) -> None:
    header, ground, shown = canvas(draw_source(colour))
    np.testing.assert_array_equal(ground, pixels_of(colour, "test-167"))
    np.testing.assert_array_equal(shown, ground)
    assert header["said"] == "Test image 167, to paint on"
    assert {"black", "white"} < {name for name, _ in header["colours"]}
    assert all(len(levels) == 3 for _, levels in header["colours"])


def test_either_ground_can_be_chosen(colour: FakeBundle) -> None:
    _, ground, _ = canvas(draw_source(colour, draw_on_cifar10="Empty"))
    assert np.unique(ground).tolist() == [128]


def test_a_drawing_is_the_cases_image_pixel_by_pixel(engine: FakeEngine, bundle: FakeBundle) -> None:
    drawn = np.random.default_rng(0).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    app = taken(bundle, "", as_sent(drawn))
    case = app.session_state["case"]
    assert case.image.startswith("png-") and case.attack is None and "upload-problem" not in app.session_state
    np.testing.assert_array_equal(pixels_of(bundle, case.image), drawn)
    page = draw_source(bundle, case.image, drawn=app.session_state[DRAWN])
    _, ground, shown = canvas(page)
    assert not ground.any(), "Clear leads back to the empty ground"
    np.testing.assert_array_equal(shown, drawn)


def test_a_sticker_leaves_every_other_pixel_as_it_was_and_can_be_cleared(colour: FakeBundle) -> None:
    before = pixels_of(colour, "test-167")
    painted = before.copy()
    painted[4:9, 20:30] = (200, 24, 36)
    app = taken(colour, "test-167", as_sent(painted))
    reference = app.session_state["case"].image
    after = pixels_of(colour, reference)
    changed = (after != before).any(axis=-1)
    assert changed[4:9, 20:30].all() and changed.sum() == 50
    _, ground, shown = canvas(draw_source(colour, reference, drawn=app.session_state[DRAWN]))
    np.testing.assert_array_equal(ground, before)
    np.testing.assert_array_equal(shown, painted)


def test_an_image_that_came_later_is_painted_on_as_it_is(colour: FakeBundle) -> None:
    kept = Drawn(colour.name, "png-of-another-case", "test-161")
    _, ground, shown = canvas(draw_source(colour, drawn=kept))
    np.testing.assert_array_equal(ground, pixels_of(colour, "test-167"))
    np.testing.assert_array_equal(shown, ground)


def test_large_drawings_are_kept_on_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = FakeBundle(colour=True, side=224)
    fake_app(monkeypatch, bundle)
    show(monkeypatch, bundle)
    monkeypatch.setenv("TELLTALE_PICTURES", str(tmp_path))
    painted = pixels_of(bundle, "test-167")
    painted[100:120, 30:90] = 255
    app = taken(bundle, "test-167", as_sent(painted))
    reference = app.session_state["case"].image
    assert reference.startswith("sha256-")
    np.testing.assert_array_equal(pixels_of(bundle, reference), painted)
    page = draw_source(bundle, reference, drawn=app.session_state[DRAWN])
    np.testing.assert_array_equal(canvas(page)[2], painted)
    assert "kept on this server" in text_of(page)


@pytest.mark.parametrize("sent", [3, [0] * 64, "", "AAAA", "A" * 10_000_000, "!" * 88], ids=lambda sent: repr(sent)[:9])
def test_what_is_no_drawing_is_said_and_changes_nothing(sent: object, engine: FakeEngine, bundle: FakeBundle) -> None:
    app = taken(bundle, "", sent)
    assert app.session_state["case"] == Case("digits", "test-167", "pgd") and DRAWN not in app.session_state
    problem = app.session_state["upload-problem"]
    page = draw_source(bundle, upload_problem=problem)
    assert [error.value for error in page.error] == [
        "This is no drawing for this model, which takes 8 × 8 pixels in grey, 64 bytes in base64. "
        "The image chosen before stays."
    ]


def test_what_cannot_be_kept_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = FakeBundle(colour=True, side=224)
    fake_app(monkeypatch, bundle)
    show(monkeypatch, bundle)
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("TELLTALE_PICTURES", str(blocked / "pictures"))
    app = taken(bundle, "", as_sent(np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)))
    assert app.session_state["case"].image == "test-167"
    assert app.session_state["upload-problem"].startswith("The picture cannot be kept in")


def test_the_canvas_of_a_model_that_has_gone_changes_nothing(engine: FakeEngine, bundle: FakeBundle) -> None:
    case = Case("signs", "test-3")
    app = taken(bundle, "", as_sent(np.zeros((8, 8, 1), np.uint8)), case)
    assert app.session_state["case"] == case
    app = taken(bundle, "", None)
    assert app.session_state["case"].image == "test-167" and "upload-problem" not in app.session_state


def test_an_image_that_is_not_here_leaves_an_empty_ground(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = FakeBundle(colour=True, side=224)
    fake_app(monkeypatch, bundle)
    show(monkeypatch, bundle)
    monkeypatch.setenv("TELLTALE_PICTURES", str(tmp_path))
    app = draw_source(bundle, "sha256-" + 64 * "0")
    assert not app.exception and link_images.is_gone("sha256-" + 64 * "0", bundle)  # type: ignore[arg-type]
    assert np.unique(canvas(app)[1]).tolist() == [128]


def test_its_scripts_are_files_and_never_text_that_the_headers_would_refuse(
    engine: FakeEngine, bundle: FakeBundle
) -> None:
    found = [
        one.proto for one in draw_source(bundle).get("bidi_component") if one.proto.component_name == "telltale.drawing"
    ]
    assert found[0].js_source_path == "draw.js" and not found[0].js_content
    assert "<script" not in found[0].html_content and "<script" not in found[0].css_content
    files = {path.name for path in (components.PACKAGE / components.FOLDERS["drawing"]).iterdir()}
    assert files == {"draw.js", "pixels.js", "draw.css"}
