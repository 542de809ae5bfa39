"""What a notebook draws and displays: the figures of the pages, exact pictures, escaped text."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import telltale
import telltale.bundle
import telltale.engine
import telltale.figures.notebook.accessors
from support.fake_analysis import LAYERS, FakeBundle, FakeEngine, analyse, attack
from support.pages import open_app
from telltale.analysis.results import Analysis, Comparison
from telltale.base.errors import InputError
from telltale.bundle.bundle import opened_bundle
from telltale.figures.notebook.html import attack_html, bundle_html
from telltale.kinds.trajectory import TrajectoryView
from telltale.scores.evaluation import evaluate_table

ROOT = Path(__file__).resolve().parents[2]
ALPHA = 0.1
LINK = {"attack": "pgd~eps~0.2~seed~3", "alpha": str(ALPHA), "image": "test-167"}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> Iterator[FakeBundle]:
    import streamlit as st

    fake = FakeBundle()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    monkeypatch.setattr(telltale.bundle, "load_bundle", lambda _: fake)
    monkeypatch.setattr(telltale.bundle, "list_bundles", lambda: ("digits",))
    monkeypatch.setattr(telltale.figures.notebook.accessors, "opened_bundle", lambda *_: fake)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield fake


@pytest.fixture
def pair(bundle: FakeBundle, engine: FakeEngine) -> Comparison:
    natural = bundle.image_set.images([167])[0]
    attacked = attack(natural, "pgd", {"eps": 0.2}, 3, None).images[0]
    return telltale.compare(*(analyse(image, ALPHA, engine.scores_of(image)) for image in (natural, attacked)))


def opened(page: str, **folds: str) -> AppTest:
    return open_app(f"app_pages/{page}.py", **LINK, **folds)


def drawn_on(page: str | AppTest) -> list[dict[str, Any]]:
    """Return the data of every chart on a page, in order."""
    app = opened(page) if isinstance(page, str) else page
    assert not app.exception
    return [json.loads(chart.proto.spec)["data"] for chart in app.get("plotly_chart")]


def data_of(figure: Any) -> list[dict[str, Any]]:
    return json.loads(figure.to_json())["data"]


def test_every_figure_of_the_evidence_pages_is_the_pages_own(pair: Comparison) -> None:
    figures = pair.figures
    assert drawn_on("trajectories")[:4] == [
        data_of(figure)
        for figure in (figures.trajectory("natural"), figures.trajectory(), figures.path(), figures.suspicion())
    ]
    assert drawn_on("feature_responses") == [
        *(data_of(figures.response(which)) for which in ("natural", "attacked", "difference")),
        *(data_of(figures.entropy(which)) for which in ("natural", "attacked", "difference")),
        data_of(figures.mean_entropy()),
        data_of(figures.stability()),
        data_of(figures.second_opinion()),
    ]
    # Both pages' maps are drawn by the browser, from the same points (test_density_map.py and test_packed_map.py here).
    assert drawn_on("hidden_state_density") == [data_of(figures.density())]
    assert drawn_on("neighbours") == [data_of(figures.votes(LAYERS[-1])), data_of(figures.votes())]


def test_the_curves_are_those_of_the_page(pair: Comparison) -> None:
    page = opened("detectors", scores="true")
    roc, densities, rates = drawn_on(page)[:3]
    assert roc == data_of(pair.figures.roc())
    assert (densities, rates) == (data_of(pair.figures.scores()), data_of(pair.figures.rates()))
    page.button_group(key="compare").set_value("Attacks")
    page.selectbox(key="detector").select("nnif")
    page.selectbox(key="against").select("pgd")
    page.toggle(key="log").set_value(True)
    assert drawn_on(page.run())[0] == data_of(pair.figures.roc("nnif", "pgd", compare="attacks", logarithmic=True))


def test_the_image_stands_on_the_curve_where_counting_puts_it(pair: Comparison, bundle: FakeBundle) -> None:
    figure = pair.attacked.figures.roc("idefender", "pgd")
    mark = next(trace for trace in figure.data if trace.name == "this image")
    score = pair.attacked.verdict("idefender").score
    rows = [row for row in bundle.scores.to_pylist() if row["split"] == "test"]
    reached = {
        kind: np.mean([row["score_idefender"] >= score for row in rows if (row["kind"], row["attack"]) == (kind, name)])
        for kind, name in (("natural", ""), ("adversarial", "pgd"))
    }
    assert (mark.x[0], mark.y[0]) == (reached["natural"], reached["adversarial"])


def test_the_verdicts_hold_every_p_value_and_no_marker_without_calibration(pair: Comparison) -> None:
    figure = pair.attacked.figures.verdicts()
    verdicts = [pair.attacked.fused.attack, *pair.attacked.verdicts]
    (marks,) = (trace for trace in figure.data if trace.name == "image")
    assert list(marks.x) == [verdict.p_value for verdict in verdicts]
    (bars,) = figure.select_traces({"type": "bar"})
    moved = pair.attacked.fused.contributions
    assert list(bars.x) == [None, *(moved.get(verdict.detector) for verdict in pair.attacked.verdicts)]
    assert any(bars.x)
    silent = [row for row, verdict in zip(marks.y, verdicts, strict=True) if verdict.p_value is None]
    assert silent and all(row.endswith("(not calibrated)") for row in silent)
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [ALPHA]
    assert 10 ** figure.layout.xaxis.range[0] < min(v.p_value for v in verdicts if v.p_value is not None)


def test_one_image_alone_is_compared_with_its_nearest_other_class(pair: Comparison) -> None:
    figure = pair.natural.figures.trajectory()
    view = pair.natural.view(TrajectoryView)
    table = view.distances[view.pivot, view.distance]
    own = pair.natural.prediction.label
    last = np.delete(table[-1], own)
    nearest = last.max() if view.distance == "cosine" else last.min()
    shown = [trace for trace in figure.data if trace.name and trace.name.startswith("class")]
    assert [trace.y[-1] for trace in shown] == [table[-1, own], nearest]
    assert list(shown[0].x) == list(LAYERS)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda f: f.response("difference"), "no image 'difference'; there are image"),
        (lambda f: f.neighbours("attic"), "no layer 'attic'"),
        (lambda f: f.neighbours(k=0), "k must be an integer of at least 1"),
        (lambda f: f.votes(LAYERS[0], k=0), "k must be an integer of at least 1"),
        (lambda f: f.embedding(method="tsne"), "no map 'tsne'; there are umap, pca"),
        (lambda f: f.roc("oracle"), "no scored detector 'oracle'"),
        (lambda f: f.roc(against="rain"), "no opponent 'rain'"),
        (lambda f: f.roc(compare="colours"), "no comparison 'colours'"),
        (lambda f: f.path(distance="l7"), "no distance 'l7'"),
    ],
)
def test_a_wrong_name_is_answered_in_a_sentence(pair: Comparison, ask: Any, answer: str) -> None:
    with pytest.raises(InputError, match=answer):
        ask(pair.natural.figures)


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{html}</div>")


def pictures_in(tree: ElementTree.Element) -> list[np.ndarray]:
    sources = [element.get("src", "") for element in tree.iter("img")]
    assert all(element.get("alt") for element in tree.iter("img"))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))) for source in sources]


def test_an_analysis_displays_the_exact_image_and_every_verdict(pair: Comparison) -> None:
    tree = parsed(pair.attacked._repr_html_())
    (picture,) = pictures_in(tree)
    side = picture.shape[0] // pair.attacked.image.shape[1]
    assert side > 1
    assert np.array_equal(picture[::side, ::side], np.rint(255 * pair.attacked.image[0]).astype(np.uint8))
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]
    assert len(rows) == 2 + len(pair.attacked.verdicts)
    assert rows[1][1] == "Adversarial" and rows[-1][1] == "Not calibrated"


def test_two_images_display_side_by_side(pair: Comparison) -> None:
    tree = parsed(pair._repr_html_())
    natural, change, attacked = pictures_in(tree)
    before, after = pair.natural.image[0], pair.attacked.image[0]
    assert natural.shape == change.shape == attacked.shape
    side = change.shape[0] // before.shape[0]
    assert np.array_equal(np.sign(change[::side, ::side].astype(int) - 128), np.sign(np.rint(255 * (after - before))))
    assert {len(row) for row in tree.iter("tr")} == {7}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a" onload="x', "R&D"])
def test_names_are_text_never_markup(pair: Comparison, name: str) -> None:
    evil = replace(pair.natural, bundle=name, prediction=replace(pair.natural.prediction, name=name))
    tree = parsed(evil._repr_html_())
    assert not list(tree.iter("script")) and not any(element.get("onload") for element in tree.iter())
    assert name in "".join(tree.itertext())
    assert name in next(tree.iter("img")).get("alt", "")


def test_an_attack_displays_what_it_changed(bundle: FakeBundle) -> None:
    result = attack(bundle.image_set.images([167])[0], "pgd", {"eps": 0.2}, 3, None)
    tree = parsed(attack_html(result))
    assert len(pictures_in(tree)) == 3
    assert "success" in "".join(tree.itertext())


def test_an_evaluation_displays_and_draws_what_it_was_computed_from(bundle: FakeBundle) -> None:
    evaluation = evaluate_table(bundle.scores, "<b>", None, 0)
    tree = parsed(evaluation._repr_html_())
    text = "".join(tree.itertext())
    assert "<b>" in text and f"{evaluation.rows[0].auc:.3f}" in text
    curve = evaluation.figures.roc("nnif", "pgd").data[3]
    area = next(row.auc for row in evaluation.rows if (row.detector, row.attack) == ("nnif", "pgd"))
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(area)


def test_a_bundle_displays_what_it_is(bundle: FakeBundle) -> None:
    text = "".join(parsed(bundle_html(bundle)).itertext())
    assert "Fake pictures" in text and "97.5 %" in text and "8 × 8, grey, 10 classes" in text


def test_only_images_of_one_bundle_and_one_rate_are_compared(pair: Comparison) -> None:
    with pytest.raises(InputError, match="same bundle"):
        telltale.compare(pair.natural, replace(pair.attacked, bundle_id="0" * 64))
    looser = tuple(replace(verdict, alpha=0.2) for verdict in pair.attacked.verdicts)
    with pytest.raises(InputError, match="same false-positive rate"):
        telltale.compare(pair.natural, replace(pair.attacked, verdicts=looser))


def test_figures_come_from_the_bundle_that_computed_the_result() -> None:
    shipped = telltale.load_bundle("digits")
    assert opened_bundle("nowhere", shipped.id) is shipped
    assert shipped.figures.embedding().data
    with pytest.raises(InputError, match="not the one that computed"):
        opened_bundle("digits", "0" * 64)


def test_a_real_analysis_has_figures_of_its_own(pair: Comparison) -> None:
    assert isinstance(pair.natural, Analysis)
    named = {name for name in dir(pair.figures) if not name.startswith("_")}
    assert {"trajectory", "response", "neighbours", "density", "verdicts", "roc"} <= named


def test_importing_telltale_imports_neither_plotly_nor_torch() -> None:
    code = (
        "import sys, telltale.analysis.results, telltale.bundle, telltale.scores.evaluation, telltale.scores.contests; "
        "import telltale.figures.results; "
        "telltale.load_bundle('digits'); print({'plotly', 'torch', 'streamlit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
