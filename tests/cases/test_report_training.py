"""The training images of a report against the analysis that they are of, and its map against the stored places."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.fake_analysis import FakeBundle, FakeEngine
from support.saved_cases import saved_case
from telltale.analysis.results import Analysis, Unavailable
from telltale.cases.pixels import read_png
from telltale.cases.record import SavedCase
from telltale.cases.report import to_html
from telltale.cases.report_map import STEP, map_svg, on_screen
from telltale.cases.report_training import SHOWN, TrainingImages, training_images
from telltale.figures.results.neighbours import listed_ids
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView


def analysed(case: SavedCase) -> Analysis:
    return FakeEngine()._analyse("digits", read_png(case.judged_png), 0.05)


def found_in(case: SavedCase, bundle: Any, analysis: Analysis | None = None) -> TrainingImages:
    record = replace(case.record, bundle_id=bundle.id)
    found = training_images(bundle, record, analysed(case) if analysis is None else analysis)
    assert found is not None
    return found


@pytest.mark.parametrize("attacked", [False, True])
def test_a_report_carries_the_training_images_that_decided(attacked: bool) -> None:
    case, bundle = saved_case(4, attacked=attacked), FakeBundle()
    analysis = analysed(case)
    found = found_in(case, bundle, analysis)
    assert found.image == ("attacked" if attacked else "natural") and found.layer == "hidden"
    near, influence = analysis.view(NeighboursView), analysis.view(InfluenceView)
    wanted = {
        "nearest": (near.ids[-1], near.distances[-1]),
        "helpful": (influence.helpful_ids, influence.helpful_distances[-1]),
        "harmful": (influence.harmful_ids, influence.harmful_distances[-1]),
    }
    assert list(found.lists) == list(wanted)
    html = to_html(case, found)
    shown = dict(re.findall(r'alt="[^"]*training image (\d+), class \d" src="data:image/png;base64,([^"]+)"', html))
    for kind, (ids, distances) in wanted.items():
        assert [image.image_id for image in found.lists[kind]] == ids[:SHOWN].tolist()
        assert [image.distance for image in found.lists[kind]] == pytest.approx(distances[:SHOWN].tolist())
        for image in found.lists[kind]:
            assert image.class_name == str(image.image_id % 10)
            picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown[str(image.image_id)]))))
            np.testing.assert_array_equal(picture, bundle.image_set.pixels[image.image_id, 0])
            assert f"<strong>{image.class_name}</strong><br>no. {image.image_id}<br>d = " in html


def test_without_the_images_they_are_named() -> None:
    case = saved_case(4)
    html = to_html(case, found_in(case, FakeBundle(False)))
    assert html.count("<li><strong>") == 3 * SHOWN and html.count("<img") == 3


def test_the_map_is_that_of_the_pages_whatever_comes_first() -> None:
    case, bundle = saved_case(4), FakeBundle()
    bundle.maps = dict(sorted(bundle.maps.items()))
    assert next(iter(bundle.maps)) == "pca" and 'aria-label="UMAP map' in found_in(case, bundle).map


def test_without_influence_the_nearest_stand_alone() -> None:
    case = saved_case(4)
    analysis = analysed(case)
    analysis.evidence[InfluenceView.kind] = Unavailable("There is no head.")  # type: ignore[index]
    html = to_html(case, found_in(case, FakeBundle(), analysis))
    assert "● Nearest" in html and "Most helpful" not in html and "joined to its nearest ones" in html


def test_evidence_of_something_else_is_left_out() -> None:
    case, bundle = saved_case(4), FakeBundle()
    other_build = replace(case.record, bundle_id="0" * 64)
    assert training_images(bundle, other_build, analysed(case)) is None  # type: ignore[arg-type]
    record, other_image = replace(case.record, bundle_id=bundle.id), analysed(saved_case(5))
    assert training_images(bundle, record, other_image) is None  # type: ignore[arg-type]
    assert "Left out: the model that computed this case" in to_html(case)
    assert "Left out" not in to_html(case, found_in(case, bundle))


def test_the_map_has_one_scale_and_its_second_axis_downwards() -> None:
    points = np.random.default_rng(3).normal(size=(40, 2)) * [9, 2]
    drawn = on_screen(points)
    steps, moved = np.diff(points, axis=0), np.diff(drawn, axis=0)
    np.testing.assert_allclose(moved[:, 0] / steps[:, 0], -moved[:, 1] / steps[:, 1])
    assert drawn.min() >= 24 and (drawn.max(axis=0) <= [640 - 24, 480 - 24]).all()
    assert on_screen(np.ones((3, 2))).tolist() == [[320.0, 240.0]] * 3


def test_the_map_shows_every_training_image_and_joins_this_one_to_its_lists() -> None:
    case, bundle = saved_case(4), FakeBundle()
    analysis = analysed(case)
    ids = listed_ids(analysis, -1, SHOWN)
    svg = map_svg(bundle, "umap", "attacked", analysis, ids)  # type: ignore[arg-type]
    own = analysis.view(NeighboursView).positions["umap"][-1]
    placed = on_screen(np.concatenate([bundle.maps["umap"][-1], own[None]]).astype(np.float64))
    dots = np.array(re.findall(r"M(\d+) (\d+)h0", svg), dtype=float)
    apart = np.abs(placed[:-1, None] - dots[None]).max(axis=2)
    assert apart.min(axis=1).max() <= STEP / 2 and apart.min(axis=0).max() <= STEP / 2
    lines = np.array(re.findall(r'x1="([\d.]+)" y1="([\d.]+)" x2="([\d.]+)" y2="([\d.]+)"', svg), dtype=float)
    np.testing.assert_allclose(lines[:, :2], np.tile(placed[-1], (3 * SHOWN, 1)), atol=0.051)
    ends = placed[np.concatenate(list(ids.values()))]
    np.testing.assert_allclose(lines[:, 2:], ends, atol=0.051)
    assert (
        'aria-label="UMAP map of 120 training images: the attacked image, joined to its nearest, most helpful, most'
        in svg
    )
    assert svg.count("<circle") == SHOWN and svg.count("<polygon") == 2 * SHOWN + 1


@pytest.mark.parametrize(
    ("link", "shown"),
    [("https://host/?a=1&b=<2>", True), ("http://host/", True), ("javascript:alert(1)", False), ("/?a=1", False)],
)
def test_a_report_leads_back_to_its_case_and_nowhere_else(link: str, shown: bool) -> None:
    html = to_html(saved_case(4), link=link)
    assert ("Open this case in Telltale" in html) == shown
    assert html.count("href=") == int(shown) and "<2>" not in html and "javascript:" not in html
    if shown:
        assert 'rel="noreferrer noopener"' in html
