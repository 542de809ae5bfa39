"""The square that is dragged on a photograph: what is sent, and that nothing that comes back is believed unseen."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import open_app
from telltale.base.images import to_bytes
from telltale.data.uploads import Square
from telltale_app import components
from telltale_app.case import Case
from telltale_app.link_images import read_image
from telltale_app.panels import cropping
from telltale_app.panels.crop_canvas import square_of

SIZE = (451, 300)


def with_photograph() -> AppTest:
    app = open_app()
    app.session_state["image-source-digits"] = "Photographs"
    app.run()
    app.button(key="photograph-chelsea").click().run()
    assert not app.exception
    return app


def crop(app: AppTest) -> tuple[dict[str, Any], Image.Image]:
    """Return what the browser is told of the photograph, and the photograph itself."""
    (found,) = [one for one in app.get("bidi_component") if one.proto.component_name == "telltale.crop"]
    line, png = found.proto.bytes.split(b"\n", 1)
    return json.loads(line), Image.open(io.BytesIO(png))


def dragged(app: AppTest, value: object, **session: object) -> AppTest:
    """Let the callback take a square that a browser sends of the photograph; return the session afterwards."""

    def callback(sent: object) -> None:
        import streamlit as st

        from telltale.data.photographs import find_photograph
        from telltale_app import state
        from telltale_app.panels import cropping

        photograph = find_photograph("chelsea")
        assert photograph is not None
        st.session_state["sent"] = {"square": sent}
        cropping.take_dragged(cropping.of_photograph(photograph), state.current_bundle(), (451, 300), "sent")

    after = AppTest.from_function(callback, args=(value,), default_timeout=60)
    for key in ("case", "crop"):
        after.session_state[key] = app.session_state[key]
    for key, kept in session.items():
        after.session_state[key] = kept
    after.run()
    assert not after.exception
    return after


@pytest.mark.parametrize("value", [[0, 0, 300], [151, 0, 300], [10, 20, 8], [443, 292, 8]])
def test_a_square_within_the_picture_is_taken(value: list[int]) -> None:
    assert square_of(value, SIZE) == Square(*value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 3, "0,0,300", {"0": 1}, [], [0, 0], [0, 0, 300, 0], (0, 0, 300), [0, 0, 300.0], [True, 0, 300]),
        *([0, 0, "300"], [0, 0, None], [-1, 0, 300], [0, 1, 300], [152, 0, 300], [0, 0, 301], [0, 0, 7], [0, 0, 0]),
        *([0, 0, -8], [2**70, 0, 8], [0, 0, 2**70], [float("nan"), 0, 8], [[0], 0, 8]),
    ],
)
def test_what_is_no_square_of_the_picture_is_none(value: object) -> None:
    assert square_of(value, SIZE) is None


def test_the_browser_is_sent_the_photograph_and_what_is_marked(engine: FakeEngine) -> None:
    header, picture = crop(with_photograph())
    assert header["size"] == list(SIZE) and header["square"] == [60, 0, 300] and header["box"] == [60, 0, 360, 300]
    assert header["smallest"] == 8 and picture.size == SIZE
    assert header["said"].endswith("with 300 × 300 pixels marked, 60 from the left and 0 from the top")


def test_where_it_comes_to_rest_is_the_cases_image_and_the_sliders_follow(
    engine: FakeEngine, bundle: FakeBundle
) -> None:
    app = with_photograph()
    after = dragged(app, [20, 30, 100])
    by_sliders = app
    for name, value in (("side", 100), ("left", 20), ("top", 30)):
        by_sliders.slider(key=f"crop-{name}-chelsea").set_value(value).run()
    assert after.session_state["case"].image == by_sliders.session_state["case"].image
    again = open_app(image=after.session_state["case"].image)
    again.session_state["image-source-digits"] = "Photographs"
    again.session_state["crop"] = after.session_state["crop"]
    again.run()
    assert [again.slider(key=f"crop-{name}-chelsea").value for name in ("side", "left", "top")] == [100, 20, 30]
    assert crop(again)[0]["square"] == [20, 30, 100]


@pytest.mark.parametrize(
    "value", [None, [0, 0, 301], [0, 0, 7], ["0", 0, 8], "x" * 1_000_000], ids=lambda v: str(v)[:9]
)
def test_what_is_no_square_changes_nothing(value: object, engine: FakeEngine) -> None:
    app = with_photograph()
    after = dragged(app, value)
    assert after.session_state["case"] == app.session_state["case"]
    assert "upload-problem" not in after.session_state


def test_the_square_of_a_photograph_that_has_gone_moves_nothing(engine: FakeEngine) -> None:
    app = with_photograph()
    other = cropping.Crop("another", "digits", None, "test-167")
    after = dragged(app, [20, 30, 100], crop=other, case=Case("digits", "test-167"))
    assert after.session_state["case"].image == "test-167" and after.session_state["crop"] == other


def test_its_scripts_are_files_and_never_text_that_the_headers_would_refuse(engine: FakeEngine) -> None:
    (found,) = [
        one.proto for one in with_photograph().get("bidi_component") if one.proto.component_name == "telltale.crop"
    ]
    assert found.js_source_path == "crop.js" and not found.js_content
    assert "<script" not in found.html_content and "<script" not in found.css_content
    files = {path.name for path in (components.PACKAGE / components.FOLDERS["crop"]).iterdir()}
    assert files == {"crop.js", "crop.css"}


def test_the_part_that_is_dragged_to_reaches_the_model_as_it_is(engine: FakeEngine, bundle: FakeBundle) -> None:
    after = dragged(with_photograph(), [20, 30, 8])
    image = read_image(after.session_state["case"].image, bundle)  # type: ignore[arg-type]
    _, picture = crop(with_photograph())
    expected = np.asarray(picture.crop((20, 30, 28, 38)).convert("L"))
    np.testing.assert_array_equal(to_bytes(image)[0], expected)
