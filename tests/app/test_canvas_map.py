"""The map on its page without a browser: what is sent, and that nothing that comes back is believed unseen."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import streamlit as st
import streamlit.user_info
from streamlit.testing.v1 import AppTest

from support.fake_analysis import FakeBundle, FakeEngine
from support.pages import ATTACKED, MAIN, open_app, text_of
from telltale_app import components, thumbnails
from telltale_app.panels import map_selection
from telltale_app.panels.canvas_map import Choice, row_of, rows_of

PAGE = "app_pages/neighbours.py"


def sent(app: AppTest) -> dict[str, Any]:
    """Return the header of the map on the page."""
    (found,) = all_sent(app)
    return found


def all_sent(app: AppTest) -> list[dict[str, Any]]:
    """Return the headers of the maps on the page, in its order."""
    packed = [found.proto.bytes for found in app.get("bidi_component")]
    return [dict(json.loads(each[4 : 4 + int.from_bytes(each[:4], "little")])) for each in packed]


@pytest.mark.parametrize("query", [{"image": ATTACKED["image"]}, ATTACKED], ids=["natural", "attacked"])
def test_the_page_sends_every_point_and_says_what_it_shows(
    query: dict[str, str], engine: FakeEngine, bundle: FakeBundle
) -> None:
    header = sent(open_app(PAGE, **query))
    assert header["count"] == len(bundle.splits.train)
    assert header["chosen"] == len(header["images"]) - 1 == ("attack" in query)
    assert header["said"].startswith("UMAP map of 120 training images at hidden, with this image connected to")
    assert header["thumbnails"] == thumbnails.address(bundle) and not header["selected"]  # type: ignore[arg-type]
    assert header["map"] == f"{bundle.id}-umap-4"


def test_its_scripts_are_files_and_never_text_that_the_headers_would_refuse(engine: FakeEngine) -> None:
    (found,) = open_app(PAGE).get("bidi_component")
    assert found.proto.js_source_path == "map.js" and not found.proto.js_content
    assert "<script" not in found.proto.html_content and "<script" not in found.proto.css_content
    assert {path.name for path in (components.PACKAGE / components.FOLDERS["map"]).iterdir()} == {
        *("map.js", "dots.js", "drawing.js", "places.js", "saving.js", "svg.js", "map.css")
    }


@pytest.mark.parametrize(
    "value",
    [None, 3, "[1]", {"0": 1}, [-1], [120], [1.0], [True], ["1"], [None], [[1]], [2**70], [*range(120), 0]],
)
def test_rows_that_cannot_be_are_none(value: object) -> None:
    assert rows_of(value, 120) is None


def test_rows_are_ascending_and_once_each() -> None:
    found = rows_of([5, 3, 5, 119, 0], 120)
    assert found is not None and found.tolist() == [0, 3, 5, 119] and found.dtype == np.int64
    nothing = rows_of([], 120)
    assert nothing is not None and len(nothing) == 0


@pytest.mark.parametrize(("value", "row"), [(0, 0), (-1, -1), (119, 119), (120, None), (-2, None), (True, None)])
def test_one_row_is_one_of_the_points_or_the_image(value: object, row: int | None) -> None:
    assert row_of(value, 120) == row
    assert row_of(str(value), 120) is None


def test_what_is_chosen_is_listed_below_the_map_until_it_is_taken_back(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {}
    with monkeypatch.context() as patch:
        patch.setattr(st, "session_state", kept)
        map_selection.take(Choice(np.array([3, 13, 119]), None), bundle)  # type: ignore[arg-type]
    assert kept[map_selection.LASSO]["scope"] == bundle.id
    assert kept[map_selection.LASSO]["ids"].tolist() == bundle.splits.train[[3, 13, 119]].tolist()
    app = open_app(PAGE)
    app.session_state[map_selection.LASSO] = kept[map_selection.LASSO]
    app.run()
    assert "3 training images** inside the lasso" in text_of(app)
    assert sent(app)["selected"] and sent(app)["picked"] == [3, 13, 119]
    with monkeypatch.context() as patch:
        patch.setattr(st, "session_state", kept)
        map_selection.take(Choice(np.array([], np.int64), None), bundle)  # type: ignore[arg-type]
        map_selection.take(Choice(None, None), bundle)  # type: ignore[arg-type]
    assert kept == {map_selection.LASSO: None}


def test_a_second_layers_map_stands_beside_the_first_with_the_same_images_marked_and_chosen(
    engine: FakeEngine, bundle: FakeBundle
) -> None:
    app = open_app(PAGE, **ATTACKED, beside=bundle.layers[1])
    app.session_state[map_selection.LASSO] = {"scope": bundle.id, "ids": bundle.splits.train[[3, 13]]}
    app.run()
    one, other = all_sent(app)
    assert [one["map"], other["map"]] == [f"{bundle.id}-umap-{layer}" for layer in (len(bundle.layers) - 1, 1)]
    assert one["linked"] == other["linked"] == bundle.id and one["picked"] == other["picked"] == [3, 13]
    assert one["lists"] == other["lists"], "the nearest ones of the first map's layer"
    assert one["file"] != other["file"]
    app.selectbox(key="layer").set_value(bundle.layers[1]).run()
    assert not app.exception and len(all_sent(app)) == 1, "no layer stands beside itself"


def test_a_layer_that_is_not_there_stands_beside_nothing(engine: FakeEngine) -> None:
    app = open_app(PAGE, **ATTACKED, beside="no such layer")
    assert not app.exception and len(all_sent(app)) == 1


@pytest.mark.parametrize("row", [-1, 7])
def test_what_is_opened_is_the_case_of_the_workbench(row: int, engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    before = app.query_params["image"]
    app.session_state[map_selection.OPENED] = row
    app.run()
    assert not app.exception and app.title[0].value == "Workbench"
    assert app.query_params["image"] == (before if row < 0 else f"train-{bundle.splits.train[row]}")


def test_before_the_login_nobody_is_told_where_pictures_lie(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamlit.user_info, "get_secrets_auth_section", lambda: {"client_id": "telltale"})
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not app.exception and not app.get("bidi_component")
