"""Pictures and probabilities along the strength of an attack, as the browser gets them."""

from __future__ import annotations

import numpy as np

from telltale.figures import palette
from telltale.figures.strength import StrengthFrame, StrengthVerdict, along_strength, leading_classes

STRENGTHS = [0.0, 0.5, 1.0, 1.5]
PROBABILITIES = np.array([[0.9, 0.1, 0.0, 0.0], [0.3, 0.2, 0.5, 0.0], [0.1, 0.8, 0.1, 0.0], [0.0, 0.2, 0.1, 0.7]])
FRAMES = [StrengthFrame(strength, f"data:{strength}", f"said at {strength}") for strength in STRENGTHS]


def drawn():  # type: ignore[no-untyped-def]
    named = (("own", 0, palette.NATURAL), ("rival", 1, palette.ATTACKED), ("between", 2, "#123456"))
    lines = [(name, PROBABILITIES[:, label].tolist(), colour) for name, label, colour in named]
    return along_strength(STRENGTHS, lines, FRAMES, shown=2, changes_at=0.5)


def test_every_class_that_leads_anywhere_is_followed_once() -> None:
    assert leading_classes(PROBABILITIES, [0, 1]) == [0, 1, 2, 3]
    assert leading_classes(PROBABILITIES[:2]) == [0, 2]


def test_every_step_of_the_slider_shows_its_own_picture_and_place() -> None:
    figure = drawn()
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == [frame.said for frame in FRAMES]
    frames = {frame.name: frame for frame in figure.frames}
    for step, wanted in zip(slider.steps, FRAMES, strict=True):
        frame = frames[step.args[0][0]]
        assert [image.source for image in frame.layout.images] == [wanted.picture]
        (moved,) = frame.traces
        assert figure.data[moved].name is None and tuple(frame.data[0].x) == (wanted.strength, wanted.strength)


def test_it_opens_at_the_attack() -> None:
    figure = drawn()
    assert figure.layout.sliders[0].active == 2
    assert figure.layout.images[0].source == "data:1.0" and tuple(figure.data[-1].x) == (1.0, 1.0)


def test_lines_are_the_probabilities_that_were_given_and_the_flip_is_marked() -> None:
    figure = drawn()
    for trace, label in zip(figure.data[:3], (0, 1, 2), strict=True):
        assert np.array_equal(np.asarray(trace.y), PROBABILITIES[:, label])
    assert [trace.line.color for trace in figure.data[:3]] == [palette.NATURAL, palette.ATTACKED, "#123456"]
    assert len({trace.line.dash for trace in figure.data[:3]}) == 3
    assert [shape.x0 for shape in figure.layout.shapes] == [0.5]
    assert not along_strength(STRENGTHS, [], FRAMES, 0, None).layout.shapes


def test_the_fused_verdict_stands_above_the_lines_at_every_strength() -> None:
    kinds = ("natural", "error", "adversarial", "adversarial")
    verdicts = [StrengthVerdict(s, kind, f"p = {s}") for s, kind in zip(STRENGTHS, kinds, strict=True)]
    figure = along_strength(STRENGTHS, [], FRAMES, 0, 0.5, verdicts)
    (band,) = [trace for trace in figure.data if trace.yaxis == "y2"]
    assert list(band.x) == STRENGTHS
    assert list(band.marker.color) == [palette.NATURAL, palette.MISREAD, palette.ATTACKED, palette.ATTACKED]
    assert list(band.marker.symbol) == ["circle", "square", "diamond", "diamond"], "shapes tell them apart, too"
    assert [text.rpartition(", ")[2] for text in band.customdata] == [verdict.said for verdict in verdicts]
    assert figure.layout.yaxis.domain[1] < figure.layout.yaxis2.domain[0]
    (moved,) = figure.frames[0].traces
    assert figure.data[moved].yaxis != "y2", "dragging moves the line, not the verdicts"
    assert all(trace.yaxis != "y2" for trace in drawn().data), "no row without verdicts"
