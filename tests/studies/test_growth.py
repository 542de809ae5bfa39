"""The measurement of growth at sizes that take seconds, its chart and its table, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from telltale import cli
from telltale.base.errors import InputError
from telltale.evidence.influence import head_hessian, with_bias
from telltale.studies.growth.chart import PANELS, growth_svg
from telltale.studies.growth.generated import CHUNK, GeneratedFeatures
from telltale.studies.growth.measure import SCALES, Growth, Scale, measure_growth, to_csv

QUIET = lambda _fraction, _message: None  # noqa: E731


def figures(**changes) -> Growth:
    numbers = {name: 1.0 for name in Growth.__dataclass_fields__}
    return Growth(**{**numbers, "references": 1000, "index": "exact", "influence": "exact", **changes})


@pytest.mark.slow
def test_one_exact_and_one_sparse_size_are_measured(tmp_path, monkeypatch) -> None:
    scales = (Scale(600, 10, (8, 16)), Scale(3_000, 1_000, (60,)))  # 61,000 weights: too many for conjugate gradients
    small, large = measure_growth(scales, tmp_path, QUIET)
    assert (small.references, small.classes, small.layers, small.width) == (600, 10, 2, 16)
    assert small.index == "exact" and small.recall == 1.0 and "exact Hessian" in small.influence
    assert "sparse residuals" in large.influence and large.layers == 1
    for growth in (small, large):
        parts = growth.neighbours_ms, growth.influence_ms, growth.ranks_ms
        assert 0 < max(parts) <= growth.total_ms <= growth.total_p95_ms
        assert 0.01 < growth.held_gb + growth.mapped_gb <= growth.peak_gb * 1.1
    assert large.disk_gb > 4 * 3_000 * 60 / 1e9 > small.disk_gb
    assert not list(tmp_path.iterdir())  # features are gone


def test_generated_features_have_the_moments_they_were_made_with() -> None:
    features = GeneratedFeatures.make(30, 12)
    hidden, labels = features.draw(60_000, 1)
    expected = features.means @ features.axes + 1.0
    found = np.stack([hidden[labels == c].mean(0) for c in range(30)])
    np.testing.assert_allclose(found, expected, atol=0.35)
    centred = hidden - expected[labels]
    np.testing.assert_allclose(centred.T @ centred / len(hidden), features.axes.T @ features.axes, atol=0.15)


def test_their_head_is_at_the_optimum_of_its_loss() -> None:
    features = GeneratedFeatures.make(10, 6)
    hidden, labels = features.draw(60_000, 1)
    head = features.head()
    probabilities = head.probabilities(hidden)
    gradient = (probabilities - np.eye(10)[labels]).T @ with_bias(hidden) / len(hidden)
    curvature = head_hessian(with_bias(hidden), probabilities, 1e-4)
    step = np.linalg.solve(curvature, gradient.ravel())
    assert np.linalg.norm(step) < 0.05 * np.linalg.norm(head.weights)  # what is left is the sample's own


def test_features_are_written_chunk_by_chunk_as_they_are_drawn(tmp_path) -> None:
    features, count = GeneratedFeatures.make(5, 4), CHUNK + 10
    labels = features.write(tmp_path / "hidden.npy", count, seed=3)
    hidden = np.load(tmp_path / "hidden.npy", allow_pickle=False)
    assert hidden.shape == (count, 4) and labels.shape == (count,)
    for start, stop, seed in ((0, CHUNK, 3), (CHUNK, count, 4)):
        expected = features.draw(stop - start, seed)
        np.testing.assert_array_equal(hidden[start:stop], expected[0])
        np.testing.assert_array_equal(labels[start:stop], expected[1])


def test_imagenets_size_is_among_those_measured() -> None:
    assert Scale(1_280_000, 1_000, (512,)) in SCALES
    assert [scale.references for scale in SCALES] == sorted(scale.references for scale in SCALES)


def test_a_folder_that_will_not_do_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        measure_growth(SCALES[:1], tmp_path / "none", QUIET)
    with pytest.raises(InputError, match=r"GB free; the features need up to"):
        measure_growth([Scale(10**12, 10, (512,))], tmp_path, QUIET)


def test_the_table_can_be_read_back() -> None:
    measured = [figures(), figures(references=2000, index="with, a comma", total_ms=2.5)]
    rows = list(csv.DictReader(io.StringIO(to_csv(measured))))
    assert [row["references"] for row in rows] == ["1000", "2000"]
    assert rows[1]["index"] == "with, a comma" and float(rows[1]["total_ms"]) == 2.5


def test_the_chart_places_sizes_and_figures_on_logarithmic_axes() -> None:
    counts, times = (1_000, 10_000, 100_000), (1.0, 10.0, 100.0)
    measured = [figures(references=n, total_ms=t) for n, t in zip(counts, times, strict=True)]
    root = ElementTree.fromstring(growth_svg(measured))
    lines = root.findall(".//{*}polyline")
    assert len(lines) == sum(len(panel.lines) for panel in PANELS)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in lines[0].attrib["points"].split())
    assert x1 - x0 == pytest.approx(x2 - x1) and x1 > x0
    assert y1 - y0 == pytest.approx(y2 - y1) and y1 < y0
    parted = ElementTree.fromstring(growth_svg([*measured, figures(references=200_000, layers=7.0)]))
    assert len(parted.findall(".//{*}polyline")) == 2 * len(lines)
    words = {element.text for element in root.findall(".//{*}text")}
    assert {"1,000", "10,000", "100,000", "100", "training images", "influence"} <= words


def test_the_command_prints_and_writes_what_was_measured(tmp_path, monkeypatch, capsys) -> None:
    asked = []
    monkeypatch.setattr(
        "telltale.studies.growth.measure.measure_growth",
        lambda scales, folder, _: asked.append((scales, folder)) or [figures()],
    )
    out, svg = tmp_path / "growth.csv", tmp_path / "growth.svg"
    arguments = ["growth", "--up-to", "5000", "--out", str(out), "--svg", str(svg), "--folder", str(tmp_path), "--json"]
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"growth": [figures().to_json()]}
    assert [scale.references for scale in asked[0][0]] == [1_000, 2_000, 5_000] and asked[0][1] == tmp_path
    assert out.read_text() == to_csv([figures()]) and svg.read_text() == growth_svg([figures()])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--up-to", "10"], "--up-to must be at least 1000; got 10.\n"),
        (
            ["--out", "missing/growth.csv"],
            "--out 'missing/growth.csv' cannot be written: there is no folder 'missing'.\n",
        ),
        (["--svg", "."], "--svg '.' is a folder.\n"),
    ],
)
def test_the_command_refuses_before_it_measures(monkeypatch, capsys, arguments, sentence) -> None:
    monkeypatch.setattr("telltale.studies.growth.measure.measure_growth", None)
    assert cli.main(["growth", *arguments]) == 2
    assert capsys.readouterr().err == sentence
