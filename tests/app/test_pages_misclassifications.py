"""The page on the model's own errors against a stand-in engine: filters, linked selections, one click to a case."""

# ruff: noqa: ARG005  # stand-ins take what the real ones take

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import telltale.bundle
from support.fake_analysis import LAYERS, FakeBundle, FakeEngine
from support.pages import chart_heights, open_app, show, text_of, unopened
from telltale.analysis.opened import load_reference
from telltale.figures.errors import confusion_matrix
from telltale.model_errors.evaluated import evaluated_images
from telltale.model_errors.reasons import ErrorReasons
from telltale.model_errors.slices import FailureSlices, Slice
from telltale.model_errors.suspicious import SuspiciousImages, suspicious_images
from telltale.scores.rates import Rate
from telltale_app import state
from telltale_app.panels import bars, error_choice, error_map, error_selection, error_tiles, selection, tiles
from telltale_app.panels.canvas_map import Choice
from telltale_app.panels.errors import Errors, errors_of

PAGE = "app_pages/misclassifications.py"
LABELS_TAB = "Suspicious training images"
SLICES_TAB = "Groups that fail more often"
HARMFUL = 3


def reasons_of(bundle: FakeBundle) -> ErrorReasons:
    """Return made-up reasons, the first label the most doubtful."""
    errors = evaluated_images(bundle.scores).errors()
    count = len(errors)
    harmful = np.arange(count * HARMFUL).reshape(count, HARMFUL) % 120
    return ErrorReasons(
        errors.ids,
        {
            "true_share": np.linspace(0.0, 0.5, count),
            "predicted_share": np.linspace(1.0, 0.5, count),
            "departures": np.arange(count) % len(LAYERS) - 1,
            "harmful_ids": harmful,
            "harmful_labels": harmful % 10,
            "harmful_values": -np.ones((count, HARMFUL)),
            "label_error": np.linspace(0.95, 0.3, count),
            "label_confidence": np.linspace(0.01, 0.09, count),
            "positions": {name: np.zeros((count, len(LAYERS), 2), np.float32) for name in ("umap", "pca")},
            "k": 20,
            "pivot": "centroid",
            "distance": "l2",
        },
    )


def ranked() -> SuspiciousImages:
    ids = np.arange(120)[::-1].copy()
    shares = np.linspace(1.0, 0.0, 120)
    return SuspiciousImages(ids, ids % 10, shares, shares / 9, shares, (ids + 1) % 10, shares, 20, "exact")


def grouped(bundle: FakeBundle, count: int = 2) -> FailureSlices:
    errors = evaluated_images(bundle.scores).errors()
    groups = (
        Slice("Dark images read as 4", ("brightness at most 0.2", "read as 4"), Rate(9, 20), 0.2, 0.7, 0.001, 0.5,
              errors.ids[errors.predictions == 4]),
        Slice("Images, low confidence", ("confidence at most 0.6",), Rate(6, 30), 0.1, 0.4, 0.02, 0.3, errors.ids[:2]),
    )  # fmt: skip
    missing = {"sharpness": "needs the images", "size": "needs the images", "departure layer": "There is no path."}
    return FailureSlices(groups[:count], Rate(18, 180), 1234, 8, ("read as", "confidence"), missing)


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stand-in engine answer what this page asks."""
    monkeypatch.setattr(
        FakeEngine, "_explain_errors", lambda _, bundle: reasons_of(telltale.bundle.load_bundle(bundle)), raising=False
    )
    monkeypatch.setattr(FakeEngine, "_suspicious_images", lambda _, bundle: ranked(), raising=False)
    monkeypatch.setattr(
        FakeEngine,
        "_failure_slices",
        lambda _, bundle, without: grouped(telltale.bundle.load_bundle(bundle)),
        raising=False,
    )


def table_of(app: AppTest) -> pd.DataFrame:
    return app.dataframe[0].value


def open_slices(**query: str) -> AppTest:
    app = unopened(PAGE, **query)
    app.session_state["misclassifications-tab"] = SLICES_TAB
    return app.run()


def open_labels(**query: str) -> AppTest:
    app = unopened(PAGE, **query)
    app.session_state["misclassifications-tab"] = LABELS_TAB
    return app.run()


@pytest.mark.parametrize(
    ("colour", "with_data"), [(False, True), (True, True), (True, False)], ids=["digits", "cifar10", "without its data"]
)
def test_both_tabs_open(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, colour: bool, with_data: bool) -> None:
    show(monkeypatch, FakeBundle(with_data, colour=colour))
    app = open_app(PAGE)
    for tab in ("Model errors", LABELS_TAB):
        app.session_state["misclassifications-tab"] = tab
        app.run()
        assert not app.exception and not app.error and not app.warning
        assert len(app.dataframe) == 1 and app.get("download_button")
        assert ("not on this machine" in text_of(app)) != with_data


def test_the_summary_and_the_table_say_what_the_scores_say(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    evaluated = evaluated_images(bundle.scores)
    errors = evaluated.errors()
    assert f"The model misreads **{len(errors)}** of {len(evaluated)} natural images" in text_of(app)
    frame = table_of(app)
    assert sorted(frame["image"]) == sorted(errors.ids)
    by_image = frame.set_index("image")
    for image_id, label, prediction in zip(errors.ids, errors.labels, errors.predictions, strict=True):
        row = by_image.loc[image_id]
        assert (row["true class"], row["read as"]) == (bundle.class_names[label], bundle.class_names[prediction])
    assert frame["label error"].is_monotonic_decreasing
    assert dict((metric.label, metric.value) for metric in app.metric)["Doubtful labels"] == "1"


def test_without_images_what_needs_none_is_shown_and_nothing_is_computed(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    show(monkeypatch, FakeBundle(False, colour=True))
    app = open_app(PAGE)
    assert list(table_of(app).columns) == ["image", "split", "true class", "read as", "confidence"]
    assert "explain_errors" not in [task for task, _ in engine.submitted]
    assert not [button for button in app.button if "open" in (button.key or "")]


def test_every_error_is_a_tile_with_both_confidences_a_reason_and_what_its_label_is_worth(
    engine: FakeEngine, bundle: FakeBundle
) -> None:
    app = open_app(PAGE)
    found, errors = reasons_of(bundle), evaluated_images(bundle.scores).errors()
    said = text_of(app)
    assert said.index("Read as **4**, labelled **3**") < said.index("**Image "), "pictures stand first"
    assert said.count("labelled **3**") + said.count("labelled **4**") == len(errors)
    assert "Most neighbours agree with the reading (20 of 20 are 4, none is 3); its path does not end nearer" in said
    assert "Neither class has most of its neighbours (10 of 20 are 5, 10 are 4)" in said
    assert said.count("The label is doubtful, look whether it is wrong: label-error score 0.95, at least 0.9.") == 1
    assert said.count("Not enough to doubt the label") == len(errors) - 1
    drawn = [html.proto.body for html in app.get("html") if "width:90.0%" in html.proto.body]
    assert len(drawn) == len(errors), "every read class has a confidence of 90 %"
    for share, markup in zip(found["label_confidence"], drawn, strict=True):
        assert f"width:{100 * share:.1f}%" in markup


def test_without_images_errors_are_chips_without_crossed_pictures(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = FakeBundle(False, colour=True)
    show(monkeypatch, bundle)
    app = open_app(PAGE)
    errors = evaluated_images(bundle.scores).errors()
    said = text_of(app)
    assert "Read as **deer**, labelled **cat**" in said and f"Test image {errors.ids[-1]}" in said
    assert len(app.get("image")) <= 1, "none but the case's own, in the sidebar"
    assert said.count("not on this machine") == 1


def test_names_of_classes_stay_names_in_the_drawn_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(bars.st, "html", given.append)
    monkeypatch.setattr(bars.layout, "theme_colour", lambda _: "#123456")
    bars.named_bars([bars.Bar("<img src=x>", 1.5, "&")])
    assert "<img" not in given[0] and "&lt;img src=x&gt;" in given[0] and "width:100.0%" in given[0]


def test_filters_narrow_table_and_file(engine: FakeEngine) -> None:
    app = open_app(PAGE)
    before = len(table_of(app))
    app.multiselect[0].select(3).run()
    assert set(table_of(app)["true class"]) == {"3"} and len(table_of(app)) == before / 2
    app.slider(key="errors-confidence").set_value((95, 100)).run()
    assert "No error passes these filters" in text_of(app) and not app.dataframe
    app.slider(key="errors-confidence").set_value((90, 90)).run()
    assert len(table_of(app)) == before / 2
    app.get("button_group")
    app.session_state["errors-splits"] = ["test"]
    app.run()
    assert set(table_of(app)["split"]) == {"test"}


def test_a_chosen_cell_and_a_lasso_narrow_the_errors_together(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    ids = evaluated_images(bundle.scores).errors().ids
    app.session_state["errors-lasso"] = {"scope": bundle.id, "ids": ids[:3].tolist()}
    app.run()
    assert sorted(table_of(app)["image"]) == sorted(ids[:3])
    app.session_state["errors-cell"] = {"scope": bundle.id, "ids": [3, 4]}
    app.run()
    assert set(table_of(app)["true class"]) == {"3"} and set(table_of(app)["image"]) <= set(ids[:3])
    assert "Only **3** read as **4** and inside the lasso." in text_of(app)
    app.button(key="errors-clear").click().run()
    assert len(table_of(app)) == len(ids)
    app.session_state["errors-lasso"] = {"scope": "another model", "ids": []}
    app.run()
    assert len(table_of(app)) == len(ids)


def test_what_a_chart_reports_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        {"curve_number": 0, "customdata": 7},
        {"curve_number": 1, "customdata": [5]},
        {"curve_number": 1, "customdata": {"0": 3, "1": 4}},  # as the browser sends a row of an array
        {"curve_number": 1},
    ]
    session: dict[str, Any] = {"chart": {"selection": {"points": points}}}
    monkeypatch.setattr(selection.st, "session_state", session)
    selection.take("chart", "kept", "scope")
    assert selection.selected("kept", "scope").tolist() == [7, 5, 3, 4]
    assert selection.selected("kept", "another") is None
    session["chart"] = {"selection": {"points": []}}
    selection.take("chart", "kept", "scope")
    assert selection.selected("kept", "scope") is None


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let callbacks be called without a page."""
    kept: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", kept)
    return kept


def click(errors: Errors, session: dict[str, Any], true: int, read: int) -> None:
    session["chart"] = {"selection": {"points": [{"customdata": [true, read]}]}}
    error_selection.take_cell(errors, "chart")


def test_a_cell_a_point_and_a_tile_are_one_selection(bundle: FakeBundle, session: dict[str, Any]) -> None:
    errors = errors_of(bundle)  # type: ignore[arg-type]
    is_three = errors.wrong.labels == 3
    three, four = (int(np.flatnonzero(mask)[0]) for mask in (is_three, ~is_three))
    error_selection.choose(errors, three)
    assert error_selection.chosen_row(errors) == three
    assert error_selection.marked_cell(errors) == (3, 4) and error_selection.chosen_cell(errors) is None
    click(errors, session, 3, 4)
    assert error_selection.chosen_row(errors) == three, "it lies in the cell"
    click(errors, session, 3, 4)
    assert error_selection.chosen_cell(errors) is None, "the same cell again takes it back"
    click(errors, session, 4, 5)
    assert error_selection.chosen_row(errors) is None, "it is not in this cell"
    assert error_selection.in_cell(errors, (4, 5)).tolist() == (~is_three).tolist()
    error_selection.choose(errors, three)
    assert error_selection.chosen_cell(errors) is None, "the cell left it out"
    error_selection.take_points(errors, np.flatnonzero(~is_three))
    assert error_selection.chosen_row(errors) is None
    assert session[error_selection.LASSO]["ids"].tolist() == errors.wrong.ids[~is_three].tolist()
    error_selection.choose(errors, four)
    assert session[error_selection.LASSO] is not None, "it is inside the lasso"
    error_selection.choose(errors, three)
    assert error_selection.LASSO not in session
    error_selection.take_points(errors, np.array([], np.int64))
    assert session[error_selection.LASSO] is None and error_selection.chosen_row(errors) is None


def test_a_chosen_image_drops_the_group_that_leaves_it_out(bundle: FakeBundle, session: dict[str, Any]) -> None:
    errors = errors_of(bundle)  # type: ignore[arg-type]
    for rows, kept in ((slice(None), True), (slice(1, None), False)):
        session["errors-slice"] = {"scope": bundle.id, "name": "group", "ids": errors.wrong.ids[rows]}
        error_selection.choose(errors, 0)
        assert ("errors-slice" in session) == kept


def test_only_errors_are_chosen_on_the_map_and_training_images_opened(
    bundle: FakeBundle, session: dict[str, Any]
) -> None:
    errors = errors_of(bundle)  # type: ignore[arg-type]
    error_map.take(Choice(np.array([3, 119, 121]), None), errors)
    assert error_selection.chosen_row(errors) == 1, "the second behind 120 training images"
    error_map.take(Choice(None, 123), errors)
    assert error_selection.chosen_row(errors) == 3 and error_map.OPENED not in session
    for opened in (-1, 7):
        error_map.take(Choice(None, opened), errors)
        assert session[error_map.OPENED] == opened and error_selection.chosen_row(errors) == 3


def sent(app: AppTest) -> dict[str, Any]:
    """Return the header of the map on the page."""
    (found,) = app.get("bidi_component")
    packed = found.proto.bytes
    return dict(json.loads(packed[4 : 4 + int.from_bytes(packed[:4], "little")]))


def test_a_cell_filters_the_map_beside_the_matrix(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    errors = evaluated_images(bundle.scores).errors()
    header = sent(app)
    assert (header["first"], header["count"]) == (120, 120 + len(errors)) and not header["selected"]
    (strong,) = header["lists"]
    assert sorted(strong["rows"]) == list(range(120, header["count"])) and not strong["joined"]
    assert not any(look["involved"] for look in header["looks"])
    app.session_state[error_selection.CELL] = {"scope": bundle.id, "ids": [3, 4]}
    app.run()
    header = sent(app)
    (strong,) = header["lists"]
    assert sorted(row - 120 for row in strong["rows"]) == np.flatnonzero(errors.labels == 3).tolist()
    assert [look["name"] for look in header["looks"] if look["involved"]] == ["3", "4"]
    assert f"{len(strong['rows'])} of them shown" in header["said"]
    assert '"shapes"' in app.get("plotly_chart")[0].proto.spec, "the cell is framed"


def test_a_chosen_tile_is_marked_on_the_map_in_the_matrix_and_in_words(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    errors = evaluated_images(bundle.scores).errors()
    row = int(np.flatnonzero(errors.labels == 4)[-1])
    reference = f"{errors.splits[row]}-{errors.ids[row]}"
    app.button(key=f"errors-choose-{reference}").click().run()
    assert not app.exception
    said = text_of(app)
    assert f"**Image {errors.ids[row]}.**" in said and said.count("**Chosen**") == 1
    header = sent(app)
    assert header["selected"] and header["words"][row] == f"image {errors.ids[row]}: 4, read as 5"
    (image,) = header["images"]
    assert image["place"] == [0.0, 0.0] and image["name"] == "chosen image"
    harmful = header["lists"][-1]
    assert harmful["joined"] and harmful["rows"] == reasons_of(bundle)["harmful_ids"][row].tolist()
    assert '"shapes"' in app.get("plotly_chart")[0].proto.spec
    assert len(header["lists"][0]["rows"]) == len(errors), "one chosen image hides no other"


def test_the_tile_of_the_chosen_image_is_turned_to_once(
    engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "PICTURES", 2)
    app = open_app(PAGE)
    ids = table_of(app)["image"].tolist()
    app.session_state[error_selection.CHOSEN] = {"scope": bundle.id, "ids": [ids[-1]]}
    app.run()
    assert app.session_state["errors-page"] == len(ids) / 2 and text_of(app).count("**Chosen**") == 1
    app.session_state["errors-page"] = 1
    app.run()
    assert app.session_state["errors-page"] == 1


def test_one_click_opens_an_error_in_the_workbench(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app(PAGE)
    key = next(button.key for button in app.button if (button.key or "").startswith("errors-open-test-"))
    app.button(key=key).click().run()
    assert not app.exception
    assert app.query_params["image"] == key.removeprefix("errors-open-")
    assert [title.value for title in app.title] == ["Workbench"]


def test_the_first_row_says_why(engine: FakeEngine, bundle: FakeBundle) -> None:
    first = reasons_of(bundle)
    text = text_of(open_app(PAGE))
    assert f"**Image {first.ids[0]}.** Its label says **3**; the model reads **4** (90 %)." in text
    assert "Of its 20 nearest training images, 0 are of class 3 and 20 of class 4." in text
    assert "never ends nearer to 4" in text and "Label-error score 0.95: look whether the label is right." in text
    for image_id in first["harmful_ids"][0]:
        assert f"no. {image_id}" in text


def test_the_current_case_says_why_where_it_is_one_of_the_errors(engine: FakeEngine, bundle: FakeBundle) -> None:
    rows = table_of(open_app(PAGE))
    (test,) = np.flatnonzero(rows["split"] == "test")[-1:]
    assert test > 0
    shown = text_of(open_app(PAGE, image=f"test-{rows['image'][test]}"))
    assert f"**Image {rows['image'][test]}.**" in shown
    assert f"**Image {rows['image'][0]}.**" not in shown


@pytest.mark.parametrize(
    "clicked",
    [
        {"rows": [1], "columns": [], "cells": []},
        {"rows": [], "columns": [], "cells": [(1, "confidence")]},
        {"rows": [], "columns": [], "cells": []},
        {"rows": [9], "columns": [], "cells": []},
    ],
)
def test_a_click_anywhere_in_a_row_chooses_it(monkeypatch: pytest.MonkeyPatch, clicked: dict[str, list]) -> None:
    given: dict[str, Any] = {}
    chosen: list[int] = []
    monkeypatch.setattr(st, "session_state", {"table": {"selection": clicked}})
    monkeypatch.setattr(st, "dataframe", lambda *_, **options: given.update(options))
    selection.choosable_table(pd.DataFrame({"image": [5, 7, 9]}), "three images", "table", {}, chosen.append)
    given["on_select"]()
    assert chosen == ([1] if clicked["rows"] == [1] or clicked["cells"] else [])


def test_cancelled_work_leaves_the_rest_and_starts_only_when_asked(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = unopened(PAGE)
    app.session_state[f"stopped-explain_errors-{bundle.id}"] = True
    app.run()
    assert "Looking into every error was cancelled." in text_of(app)
    assert "The reasons behind it were not looked into." in text_of(app)
    assert "not on this machine" not in text_of(app) and "images at hand" not in text_of(app)
    assert len(table_of(app)) == 6 and "explain_errors" not in [task for task, _ in engine.submitted]
    app.button(key="again-explain_errors").click().run()
    assert "label error" in table_of(app)


def test_slow_work_ends_in_its_result(engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.seconds = 0.8
    drawn: list[str] = []
    show_tiles = error_tiles.tiles
    monkeypatch.setattr(error_tiles, "tiles", lambda *shown: (drawn.append(shown[3]), show_tiles(*shown)))
    app = open_app(PAGE)
    assert drawn == ["errors-first", "errors"], "pictures stand there while the reasons are looked for"
    assert text_of(app).count("Read as **") == len(evaluated_images(bundle.scores).errors())
    assert "label error" in table_of(app)
    assert not [button for button in app.button if button.label == "Cancel"]


def test_a_model_without_errors_says_so(engine: FakeEngine, bundle: FakeBundle) -> None:
    table = bundle.scores.to_pandas()
    import pyarrow as pa

    bundle.scores = pa.Table.from_pandas(table[table["kind"] != "natural_error"], preserve_index=False)
    app = open_app(PAGE)
    assert not app.exception and "there is nothing to explain here" in text_of(app)


def test_suspicious_images_come_in_order_with_both_labels(engine: FakeEngine) -> None:
    app = open_labels()
    frame = table_of(app)
    assert frame["image"].tolist() == list(range(119, 19, -1)) and frame["rank"].tolist() == list(range(1, 101))
    text = text_of(app)
    assert "The **120** of 300 training images that this compact model keeps are ranked here" in text
    assert "Labelled **9**" in text and "Its neighbours favour 0: 0 of 20 are 9, 20 are 0." in text
    assert "The label is doubtful, look whether it is wrong: 20 of 20 neighbours contradict it." in text
    assert frame["strongest other label"].tolist()[:2] == ["0", "9"]
    app.selectbox(key="suspicious-label-digits").select(4).run()
    assert set(table_of(app)["given label"]) == {"4"} and len(table_of(app)) == 12


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_the_shipped_models_open_with_their_own_list(
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TELLTALE_DATA", str(tmp_path))  # decoding 60,000 images is not what is tested
    real = telltale.bundle.bundle.load_bundle(name)
    show(monkeypatch, real)
    found = suspicious_images(load_reference(real), lambda *_: None)
    monkeypatch.setattr(FakeEngine, "_suspicious_images", lambda _, bundle: found)
    app = open_labels(bundle=name)
    assert not app.exception and not app.error
    assert table_of(app)["image"].tolist() == found.ids[:100].tolist()


def test_the_file_holds_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(selection.st, "download_button", lambda _label, data, *_, **__: given.append(data))
    frame = pd.DataFrame({"image": [5, 7], "read as": ["cat", 'a "dog", wet']})
    selection.download(frame, "errors.csv", "key")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(given[0])), frame)


def test_a_lasso_on_the_neighbours_map_becomes_table_figures_and_file(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_app("app_pages/neighbours.py")
    assert "inside the lasso" not in text_of(app)
    app.session_state["map-lasso"] = {"scope": bundle.id, "ids": [13, 3, 3, 23, 4, 10**6]}
    app.run()
    assert not app.exception
    frame = next(table.value for table in app.dataframe if "lists" in table.value)
    found = sorted(zip(frame["image"], frame["class"], strict=True))
    assert found == [(3, "3"), (4, "4"), (13, "3"), (23, "3")]
    assert (frame["lists"] == "").is_monotonic_increasing, "what is on a list comes first"
    shown = {metric.label: metric.value for metric in app.metric}
    assert (shown["Images"], shown["Classes"], shown["Most frequent"]) == ("4", "2", "3")
    app.button(key="map-open-train-13").click().run()
    assert app.query_params["image"] == "train-13"


def test_a_matrix_cell_knows_its_classes_and_numbers_stand_where_they_belong() -> None:
    counts = np.array([[50, 2, 0], [7, 60, 1], [0, 0, 70]])
    figure = confusion_matrix(counts, ["cat", "dog", "frog"])
    cells = figure.data[-1]
    assert len(cells.x) == 6, "the diagonal cannot be chosen"
    for x, y, (true, read), text in zip(cells.x, cells.y, cells.customdata, cells.text, strict=True):
        assert (y, x) == (["cat", "dog", "frog"][true], ["cat", "dog", "frog"][read])
        assert int(text) == counts[true, read]
    written = {(note.y, note.x): int(note.text) for note in figure.layout.annotations}
    assert written == {(r, c): counts[r, c] for r in range(3) for c in range(3) if counts[r, c]}


@pytest.mark.parametrize("labels", [None, (4, 7, 9)])
def test_a_marked_cell_has_a_frame_around_its_number(labels: tuple[int, ...] | None) -> None:
    counts, names = np.array([[50, 2, 0], [7, 60, 1], [0, 0, 70]]), ["cat", "dog", "frog"]
    true, read = (labels or (0, 1, 2))[1], (labels or (0, 1, 2))[2]
    figure = confusion_matrix(counts, names, labels=labels, marked=(true, read))
    (frame,) = figure.layout.shapes
    (number,) = (
        note for note in figure.layout.annotations if frame.x0 < note.x < frame.x1 and frame.y0 < note.y < frame.y1
    )
    assert number.text == "1"
    assert not confusion_matrix(counts, names, labels=labels, marked=(true, 55)).layout.shapes
    assert not confusion_matrix(counts, names, labels=labels).layout.shapes


def test_the_matrix_is_saved_and_enlarged_as_every_chart_is(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = chart_heights(open_app(PAGE))
    monkeypatch.setattr(state, "presenting", lambda: True)
    assert "Confusion" in {name.split()[3] for name in plain}
    assert chart_heights(open_app(PAGE)) == {name: 1.5 * height for name, height in plain.items()}


def test_the_confusion_matrix_is_kept_once_for_each_theme(bundle: FakeBundle) -> None:
    evaluated = evaluated_images(bundle.scores)
    for colour in ("#0c1519", "#e8eef0", "#0c1519"):
        figure = error_choice._confusion(evaluated, bundle, bundle.id, colour, None)
        assert {note.font.color for note in figure.layout.annotations} == {colour}
        assert figure.layout.xaxis.tickfont.color == figure.layout.yaxis.title.font.color == colour


def test_groups_are_shown_with_rate_interval_counts_and_conditions(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_slices()
    assert not app.exception and not app.error
    text = text_of(app)
    assert "**2 groups are misread more often** than all images (10 %). 1,234 groups were tried" in text
    assert "**Dark images read as 4**" in text and "brightness at most 0.2 · read as 4" in text
    assert "**45 %** misread (20 % to 70 %), 4.5 times the rate of all: 9 of 20 images, and 50 % of all errors." in text
    assert "Not looked at: sharpness and size: needs the images; departure layer: There is no path." in text
    (chart,) = app.get("plotly_chart")
    assert "Dark images read as 4" in str(chart.proto)
    assert [task for task, _ in engine.submitted] == ["failure_slices"], (
        "the other tabs' work waits until it is asked for"
    )


def test_one_click_on_a_group_shows_its_errors_and_show_all_drops_it(engine: FakeEngine, bundle: FakeBundle) -> None:
    app = open_slices()
    app.button(key="slice-0").click().run()
    assert not app.exception
    group = grouped(bundle).slices[0]
    assert sorted(table_of(app)["image"]) == sorted(group.ids) and set(table_of(app)["read as"]) == {"4"}
    assert "Only in the group **Dark images read as 4**." in text_of(app)
    app.button(key="errors-clear").click().run()
    assert len(table_of(app)) == len(evaluated_images(bundle.scores).errors())
    app.session_state["errors-slice"] = {"scope": "another model", "name": "x", "ids": []}
    app.run()
    assert len(table_of(app)) == len(evaluated_images(bundle.scores).errors())


def test_groups_are_described_by_the_models_doubt_only_when_it_is_asked_for(engine: FakeEngine) -> None:
    app = open_slices()
    app.toggle(key="slices-doubt").set_value(True).run()
    asked = [arguments["without"] for task, arguments in engine.submitted if task == "failure_slices"]
    assert [tuple(without) for without in asked] == [("confidence", "agreement"), ()]


def test_no_group_is_an_answer(engine: FakeEngine, bundle: FakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = grouped(bundle, count=0)
    monkeypatch.setattr(FakeEngine, "_failure_slices", lambda _, bundle, without: nothing)
    app = open_slices()
    assert "**No group stands out.**" in text_of(app) and not app.get("plotly_chart")
    rare = replace(nothing, overall=Rate(0, 180), counted=0)
    monkeypatch.setattr(FakeEngine, "_failure_slices", lambda _, bundle, without: rare)
    assert "Too few of the 180 images that would be counted are misread (0)" in text_of(open_slices())
