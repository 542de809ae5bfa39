"""Cases whose answers are known, computed alone in this process by the library; and whether pages show them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from support.drawn_page import Page, Path, place
from support.page_differences import Difference
from support.shipped import images_of, shipped
from telltale.analysis.analyse import analyse_image, attack_image
from telltale.analysis.results import Analysis
from telltale.attacks.registry import get_attack
from telltale.base.images import ByteImages, image_sha256, to_bytes
from telltale.base.parameters import validate_parameters
from telltale.scores.table import draw_test_ids
from telltale.scores.titles import detector_title, verdict_figures
from telltale.scores.verdicts import Verdict
from telltale_app.case import Case

ATTACKS = ("pgd", "fgsm", "deepfool", "bim", "mifgsm", "pgd_l2")
MARKDOWN, CODE = "new_element.markdown.body", "new_element.code.code_text"
PACKED = "new_element.bidi_component.bytes"
IMAGE_ALT, IMAGE_URL = "new_element.imgs.imgs[0].alt", "new_element.imgs.imgs[0].url"
SPEC, CHART_ID = "new_element.plotly_chart.spec", "new_element.plotly_chart.id"
ALPHA = 0.05


@dataclass(frozen=True)
class Side:
    """One image of a case, the natural or the attacked one.

    Attributes
    ----------
    name : str
        ``"natural"`` or ``"attacked"``, as the pages write it.
    pixels : array of uint8, shape (C, H, W)
    digest : str
        SHA-256 of its 8-bit pixels and shape.
    verdicts : tuple of Verdict
        Of every detector.
    """

    name: str
    pixels: ByteImages
    digest: str
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, name: str, analysis: Analysis) -> Side:
        """Keep of an analysis what the workbench shows exactly."""
        image = analysis.image
        return cls(name, to_bytes(image), image_sha256(image), tuple(analysis.verdicts))


@dataclass(frozen=True)
class KnownCase:
    """One case with its answers.

    Attributes
    ----------
    query : dict of str to str
        Of a link to it.
    natural, attacked : Side
    """

    query: dict[str, str]
    natural: Side
    attacked: Side

    def detector(self, turn: int) -> str:
        """Return one of the detectors, another one at each turn."""
        return self.natural.verdicts[turn % len(self.natural.verdicts)].detector


def known_cases(count: int, seed: int = 7) -> list[KnownCase]:
    """Compute cases on test images of the digits: every attack in turn, each with a seed of its own."""
    stored = shipped().bundle.scores
    most = len(draw_test_ids(stored, 10**6, seed))
    ids = draw_test_ids(stored, min(count, most), seed)
    return [_known(int(ids[turn % len(ids)]), ATTACKS[turn % len(ATTACKS)], turn) for turn in range(count)]


def _known(image_id: int, attack: str, seed: int) -> KnownCase:
    loaded = shipped()
    image = images_of([image_id])[0]
    spec = get_attack(attack)
    settings = validate_parameters(spec.parameters, loaded.bundle.attack_parameters(attack), spec.title)
    result = attack_image(loaded, image, attack, settings, seed=seed)
    case = Case("digits", f"test-{image_id}", attack, tuple(settings.items()), None, seed, ALPHA)
    natural = analyse_image(loaded, image, ALPHA)
    attacked = analyse_image(loaded, result.images[0], ALPHA)
    return KnownCase(case.to_query(), Side.of("natural", natural), Side.of("attacked", attacked))


def wrong_on_workbench(case: KnownCase, page: Page, files: Mapping[str, bytes]) -> Iterator[Difference]:
    """Yield what a workbench shows otherwise than the library says: pixels and verdicts, each in its own place."""
    for side in (case.natural, case.attacked):
        yield from _wrong_pixels(side, page, files)
        yield from _wrong_verdicts(side, page)


def _wrong_pixels(side: Side, page: Page, files: Mapping[str, bytes]) -> Iterator[Difference]:
    starts = ("Natural image (",) if side.name == "natural" else ("Attacked image (", "Best attempt image (")
    places = {
        path: _pixels(files[str(page.parts[path][IMAGE_URL])], side.pixels.shape)
        for path, alt in page.texts(IMAGE_ALT)
        if alt.startswith(starts)
    }
    packed = ((path, fields[PACKED]) for path, fields in page.parts.items() if PACKED in fields)
    places |= {
        path: _packed(data) for path, data in packed if isinstance(data, bytes) and _said(data).startswith(starts)
    }
    if len(places) != 1:
        yield _wrong(f"the {side.name} image", "shown once", f"shown {len(places)} times")
    for path, pixels in places.items():
        if not np.array_equal(pixels, side.pixels):
            yield _wrong(f"{place(path)} pixels of the {side.name} image", side.digest, "other pixels")
    head = f"**{side.name.capitalize()} image**, SHA-256"
    shown = [_next(page, path, CODE) for path, text in page.texts(MARKDOWN) if text.startswith(head)]
    if shown != [side.digest]:
        yield _wrong(f"SHA-256 under “{head}”", side.digest, repr(shown))


def _said(data: bytes) -> str:
    """Return what a picture that the browser draws says of itself; empty for other bytes."""
    line = data.partition(b"\n")[0]
    return str(json.loads(line)["said"]) if line.startswith(b'{"width"') else ""


def _packed(data: bytes) -> ByteImages:
    """Return the pixels (C, H, W) of a picture that the browser draws."""
    line, _, rest = data.partition(b"\n")
    about = json.loads(line)
    shape = about["height"], about["width"], about["channels"]
    return np.frombuffer(rest, np.uint8, int(np.prod(shape))).reshape(shape).transpose(2, 0, 1)


def _pixels(png: bytes, shape: tuple[int, ...]) -> ByteImages | None:
    """Return the pixels (C, H, W) of a picture that was enlarged by repeating each; None where it was not."""
    with Image.open(io.BytesIO(png)) as opened:
        shown = np.asarray(opened)
    shown = shown[None] if shown.ndim == 2 else shown.transpose(2, 0, 1)
    if len(shown) != shape[0] or shown.shape[1] % shape[1] or shown.shape[2] % shape[2]:
        return None
    tall, wide = shown.shape[1] // shape[1], shown.shape[2] // shape[2]
    once = shown[:, ::tall, ::wide]
    return once if np.array_equal(once.repeat(tall, 1).repeat(wide, 2), shown) else None


def _next(page: Page, path: Path, field: str) -> str:
    """Return the text that stands right below a place."""
    return str(page.parts.get((*path[:-1], path[-1] + 1), {}).get(field, ""))


def _wrong_verdicts(side: Side, page: Page) -> Iterator[Difference]:
    """Look for every detector's p-value in the chart, to the last bit, and for score and threshold in its words."""
    specs = [fields for fields in page.parts.values() if str(fields.get(CHART_ID, "")).endswith("-verdict-rows")]
    if len(specs) != 1:
        yield _wrong("the chart of the verdicts", "shown once", f"shown {len(specs)} times")
        return
    (marks,) = (trace for trace in json.loads(str(specs[0][SPEC]))["data"] if trace.get("name") == side.name)
    count = len(side.verdicts)  # the fused verdict's row stands above theirs
    shown = zip(side.verdicts, marks["y"][-count:], marks["x"][-count:], marks["customdata"][-count:], strict=True)
    for verdict, row, p_value, said in shown:
        expected = detector_title(verdict.detector), verdict.p_value, verdict_figures(verdict)
        if (str(row).removesuffix(" (not calibrated)"), p_value, said) != expected:
            yield _wrong(f"the row of {verdict.detector}, {side.name}", repr(expected), repr((row, p_value, said)))


def wrong_on_detectors(case: KnownCase, detector: str, page: Page) -> Iterator[Difference]:
    """Yield where the marks of both images and the threshold in the scores' figure are not the library's doubles."""
    specs = [fields for fields in page.parts.values() if str(fields.get(CHART_ID, "")).endswith("-score-densities")]
    if len(specs) != 1:
        yield _wrong("the figure of the scores", "shown once", f"shown {len(specs)} times", "detectors")
        return
    figure = json.loads(str(specs[0][SPEC]))
    for side in (case.natural, case.attacked):
        (verdict,) = (one for one in side.verdicts if one.detector == detector)
        marks = [trace["x"] for trace in figure["data"] if trace.get("name") == f"this image, {side.name}"]
        if marks != [[verdict.score, verdict.score]]:
            yield _wrong(f"mark of the {side.name} image, {detector}", repr(verdict.score), repr(marks), "detectors")
    lines = [shape.get("x0") for shape in figure["layout"].get("shapes", ())]
    (natural,) = (one for one in case.natural.verdicts if one.detector == detector)
    if natural.threshold is not None and natural.threshold not in lines:
        yield _wrong(f"line of the threshold, {detector}", repr(natural.threshold), repr(lines), "detectors")


def _wrong(where: str, expected: str, got: str, page: str = "") -> Difference:
    return Difference(page, f"{where} (as the library computes it)", expected, got)
