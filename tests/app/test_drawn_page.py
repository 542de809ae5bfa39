"""Two drawn pages are compared to the last bit, and what a browser takes away is not part of one."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from google.protobuf.message import Message
from PIL import Image
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from support.drawn_page import Drawing, Page
from support.known_cases import KnownCase, Side, wrong_on_detectors, wrong_on_workbench
from support.page_differences import differences
from telltale.figures.verdicts import Marks, verdict_rows
from telltale.scores.titles import detector_title, number
from telltale.scores.verdicts import Verdict

SCORE, THRESHOLD = 0.1 + 0.2, 0.25
PIXELS = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)


def element(path: Sequence[int], **fields: object) -> ForwardMsg:
    """A message that draws one element: its kind, and what is set in it."""
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    for kind, values in fields.items():
        part = getattr(message.delta.new_element, kind)
        part.SetInParent()
        _set(part, values)
    return message


def _set(part: Message, values: object) -> None:
    assert isinstance(values, dict)
    for name, value in values.items():
        setattr(part, name, value)


def block(path: Sequence[int], name: str = "") -> ForwardMsg:
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    message.delta.add_block.vertical.SetInParent()
    message.delta.add_block.id = name
    return message


def picture(path: Sequence[int], address: str, alt: str) -> ForwardMsg:
    message = element(path, imgs={})
    shown = message.delta.new_element.imgs.imgs.add()
    shown.url, shown.alt = address, alt
    return message


def drawn(*messages: ForwardMsg, files: dict[str, str] | None = None) -> Page:
    drawing = Drawing()
    drawing.begin(())
    for message in messages:
        drawing.take(message)
    drawing.finish()
    return Page.of(drawing, files or {})


def chart(values: Sequence[float], packed: bool) -> ForwardMsg:
    points = np.asarray(values) if packed else list(values)
    return element((0, 1), plotly_chart={"spec": go.Figure(go.Scatter(x=points)).to_json(), "id": "a-chart"})


@pytest.mark.parametrize("packed", [False, True])
def test_the_last_bit_of_one_double_in_a_figure_is_found_in_its_place(packed: bool) -> None:
    values = [1.0, SCORE, 3.0]
    off = [1.0, math.nextafter(SCORE, 1.0), 3.0]
    assert f"{off[1]:.15f}" == f"{SCORE:.15f}"  # rounded text could not tell them apart
    assert not list(differences("p", drawn(chart(values, packed)), drawn(chart(values, packed))))
    (found,) = differences("p", drawn(chart(values, packed)), drawn(chart(off, packed)))
    assert found.page == "p"
    assert found.path == "main.1 new_element.plotly_chart.spec/data/0/x/1"
    assert (found.expected, found.got) == (repr(SCORE), repr(off[1]))


def test_one_pixel_of_one_picture_is_found() -> None:
    off = PIXELS.copy()
    off[0, 7, 7] ^= 1
    pages = []
    for pixels in (PIXELS, off):
        digest = hashlib.sha256(png(pixels)).hexdigest()
        pages.append(drawn(picture((0, 2), "/media/a.png", "a digit"), files={"/media/a.png": digest}))
    (found,) = differences("", *pages)
    assert found.path == "main.2 new_element.imgs.imgs[0].url"
    assert found.expected != found.got


def test_a_text_in_another_place_is_not_the_same() -> None:
    one = drawn(element((0, 0), markdown={"body": "a"}), element((0, 1), markdown={"body": "b"}))
    swapped = drawn(element((0, 0), markdown={"body": "b"}), element((0, 1), markdown={"body": "a"}))
    assert [found.path[:6] for found in differences("", one, swapped)] == ["main.0", "main.1"]


def test_what_is_drawn_later_at_a_place_counts_once_and_takes_along_what_stood_below() -> None:
    page = drawn(
        block((0, 0)), element((0, 0, 0), markdown={"body": "waiting"}), element((0, 0), markdown={"body": "there"})
    )
    assert page.texts("new_element.markdown.body") == [((0, 0), "there")]


def test_what_a_run_does_not_draw_again_is_gone_but_fragments_take_away_their_own_alone() -> None:
    drawing = Drawing()
    for fragments, texts in (((), "abc"), ((), "ab")):
        drawing.begin(fragments)
        for index, text in enumerate(texts):
            drawing.take(element((0, index), markdown={"body": text}))
        drawing.finish()
    assert [text for _, text in Page.of(drawing, {}).texts("new_element.markdown.body")] == ["a", "b"]
    drawing.begin(("mine",))
    for index in range(2):
        message = element((0, 2, index), markdown={"body": f"fragment {index}"})
        message.delta.fragment_id = "mine"
        drawing.take(message)
    drawing.finish()
    drawing.begin(("mine",))
    message = element((0, 2, 0), markdown={"body": "fragment again"})
    message.delta.fragment_id = "mine"
    drawing.take(message)
    drawing.finish()
    assert [text for _, text in Page.of(drawing, {}).texts("new_element.markdown.body")] == ["a", "b", "fragment again"]


def test_whoever_had_to_wait_has_the_same_page_unless_the_frame_still_holds_something() -> None:
    at_once = drawn(block((0, 0)), element((0, 0, 0), markdown={"body": "result"}))
    frame = block((0, 0, 0), "$$ID-1-waiting-3f2a")
    waited = drawn(
        block((0, 0)), frame, element((0, 0, 0, 0), empty={}), element((0, 0, 1), markdown={"body": "result"})
    )
    assert not list(differences("", at_once, waited))
    waits = drawn(block((0, 0)), frame, element((0, 0, 0, 0), markdown={"body": "2 ahead"}))
    assert any("waiting" in str(fields) for fields in waits.parts.values())


def test_of_measured_times_only_the_figure_is_left_out() -> None:
    def times(label: str, body: str) -> Page:
        return drawn(element((0, 0), metric={"label": label, "body": body}))

    assert not list(differences("", times("Time", "1.2 s"), times("Time", "3 s")))
    assert list(differences("", times("L2", "1.2"), times("L2", "3")))


def case() -> KnownCase:
    def side(name: str, pixels: np.ndarray, score: float) -> Side:
        verdict = Verdict("lid", score, 0.125, THRESHOLD, score > THRESHOLD, 0.05, 100)
        return Side(name, pixels, f"digest of {name}", (verdict,))

    return KnownCase({}, side("natural", PIXELS, SCORE), side("attacked", PIXELS[:, ::-1], 0.75))


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[0].repeat(4, 0).repeat(4, 1)).save(file, "PNG")
    return file.getvalue()


def workbench(known: KnownCase, swapped: bool = False, pixels: np.ndarray | None = None) -> tuple[Page, dict]:
    """A workbench with everything of a case in its place; or both verdicts swapped, or other pixels."""
    sides = (known.natural, known.attacked)
    shown = {"natural": known.natural.pixels if pixels is None else pixels, "attacked": known.attacked.pixels}
    marks = []
    for side, answered in zip(sides, reversed(sides) if swapped else sides, strict=True):
        verdict = answered.verdicts[0]
        figures = f"score {number(verdict.score)}, p = {verdict.p_value:.3f}, threshold {number(THRESHOLD)}"
        marks.append(Marks(side.name, [0.5, verdict.p_value], ["", figures], "red", "circle"))
    rows = verdict_rows(["Fused verdict", detector_title("lid")], marks, 0.05, [None, 1.0])
    spec = json.dumps(json.loads(rows.to_json()))
    messages = [element((0, 5, 0), plotly_chart={"spec": spec, "id": "$$ID-1-verdict-rows"})]
    files = {}
    for index, side in enumerate(sides):
        name = side.name.capitalize()
        files[side.name] = png(shown[side.name])
        messages.append(picture((0, 1, index), f"/media/{side.name}", f"{name} image (Test image 3), read as 3"))
        head = f"**{name} image**, SHA-256 `digest…`"
        messages.append(element((0, 9, 3 * index), markdown={"body": head}))
        messages.append(element((0, 9, 3 * index + 1), code={"code_text": side.digest}))
    return drawn(*messages, files={f"/media/{name}": name for name in files}), files


def test_a_workbench_is_held_against_the_library_image_by_image() -> None:
    known = case()
    assert not list(wrong_on_workbench(known, *workbench(known)))
    # Both answers are on the page, each in the other's place.
    assert len(list(wrong_on_workbench(known, *workbench(known, swapped=True)))) == 2
    (verdict,) = known.natural.verdicts
    nudged = replace(known.natural, verdicts=(replace(verdict, p_value=math.nextafter(0.125, 1.0)),))
    (found,) = wrong_on_workbench(known, *workbench(replace(known, natural=nudged)))
    assert "the row of lid, natural" in found.path
    off = known.natural.pixels.copy()
    off[0, 0, 0] ^= 1
    (found,) = wrong_on_workbench(known, *workbench(known, pixels=off))
    assert "pixels of the natural image" in found.path


@pytest.mark.parametrize("planted", ["nothing", "natural", "attacked", "threshold"])
def test_the_marks_on_the_detectors_page_are_the_librarys_doubles(planted: str) -> None:
    known = case()

    def off(name: str, value: float) -> float:
        return math.nextafter(value, 9.0) if name == planted else value

    figure = go.Figure()
    for side in (known.natural, known.attacked):
        x = off(side.name, side.verdicts[0].score)
        figure.add_scatter(x=[x, x], name=f"this image, {side.name}")
    figure.add_vline(x=off("threshold", THRESHOLD))
    spec = json.dumps(json.loads(figure.to_json()))
    page = drawn(element((0, 0), plotly_chart={"spec": spec, "id": "$$ID-1-score-densities"}))
    assert len(list(wrong_on_detectors(known, "lid", page))) == (planted != "nothing")
