"""Cases as files: a zip that brings everything back, zips that are refused, a report that needs nothing else."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.saved_cases import saved_case
from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.analyse import analyse_image, attack_image
from telltale.base.errors import InputError
from telltale.base.images import image_sha256
from telltale.cases.exporting import to_zip
from telltale.cases.importing import MOST_BYTES, from_zip
from telltale.cases.making import MOST_TAGS, new_case
from telltale.cases.numbers import case_numbers, differences
from telltale.cases.pixels import read_png
from telltale.cases.reading import read_record
from telltale.cases.record import CaseSettings, SavedCase
from telltale.cases.report import to_html

ROOT = Path(__file__).resolve().parents[2]
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("year", "kept"), [(1, 1980), (1979, 1980), (1980, 1980), (2107, 2107), (2108, 2107), (9999, 2107)]
)
def test_a_case_of_any_date_goes_out_and_comes_in(year: int, kept: int) -> None:
    case = saved_case(1)
    case = replace(case, record=replace(case.record, saved_at=case.record.saved_at.replace(year=year)))
    data = to_zip(case)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {kept}
        assert archive.testzip() is None
    assert from_zip(data) == case


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a case's zip whose record was changed."""
    files = unzip(to_zip(saved_case(1)))
    record = json.loads(files["case.json"])
    change(record)
    return zipped(files | {"case.json": json.dumps(record).encode()})


@pytest.mark.parametrize("attacked", [True, False])
def test_a_zip_brings_back_the_same_case(attacked: bool) -> None:
    case = saved_case(5, "Ünicode, a comma, “quotes”\nand a line", ("a tag",), attacked)
    data = to_zip(case)
    assert from_zip(data) == case
    assert to_zip(from_zip(data)) == data


def test_pictures_in_a_zip_hold_every_pixel() -> None:
    case = saved_case(2)
    files = unzip(to_zip(case))
    for name, numbers in (("natural", case.record.numbers.natural), ("attacked", case.record.numbers.attacked)):
        picture = Image.open(io.BytesIO(files[f"{name}.png"]))
        assert picture.format == "PNG" and numbers is not None
        pixels = np.asarray(picture)[None].astype(np.float32) / np.float32(255)
        assert image_sha256(pixels) == numbers.image_sha256


def test_the_table_says_what_the_record_says() -> None:
    files = unzip(to_zip(saved_case(2)))
    record = json.loads(files["case.json"])["numbers"]
    rows = {(row["image"], row["what"]): row for row in csv.DictReader(io.StringIO(files["numbers.csv"].decode()))}
    for image in ("natural", "attacked"):
        for verdict in record[image]["verdicts"]:
            row = rows[image, verdict["detector"]]
            assert float(row["value"]) == pytest.approx(verdict["score"], rel=1e-5)
            assert row["adversarial"] == {True: "true", False: "false", None: ""}[verdict["adversarial"]]
        assert rows[image, "sha256"]["value"] == record[image]["image_sha256"]
    assert int(rows["attack", "l0"]["value"]) == record["attack"]["l0"]
    assert len(rows) == 2 * (5 + 5 + 3) + 7


def claims_to_be_small(data: bytes) -> bytes:
    """Return a zip whose directory says that every file unpacks to one byte."""
    out = bytearray(data)
    for found in re.finditer(b"PK\x01\x02", data):
        struct.pack_into("<I", out, found.start() + 24, 1)
    return bytes(out)


def encrypted(data: bytes) -> bytes:
    out = bytearray(data)
    for found in re.finditer(b"PK\x01\x02", data):
        out[found.start() + 8] |= 1
    return bytes(out)


def twice(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("case.json", b"{}")
        del archive  # the names stay within the number that a case has
    return buffer.getvalue()


FILES = unzip(to_zip(saved_case(1)))
WITHOUT_SCRIPT = {name: data for name, data in FILES.items() if name != "rerun.py"}
PICTURE = Image.fromarray(np.zeros((8, 8), np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"nonsense", "no readable zip"),
    "nothing": (lambda: b"", "no readable zip"),
    "too large": (lambda: b"PK" + bytes(MOST_BYTES), "at most 8 MB"),
    "cut off": (lambda: zipped(FILES)[:-40], "no readable zip"),
    "a path upwards": (lambda: zipped(WITHOUT_SCRIPT | {"../../evil.py": b"x"}), "no part of a case"),
    "an absolute path": (lambda: zipped(WITHOUT_SCRIPT | {"/etc/passwd": b"x"}), "no part of a case"),
    "a folder": (lambda: zipped({f"case/{name}": data for name, data in FILES.items()}), "no part of a case"),
    "many files": (lambda: zipped(FILES | {f"f{i}": b"" for i in range(3000)}), "at most 5"),
    "a file twice": (lambda: twice(zipped(WITHOUT_SCRIPT)), "a file twice"),
    "no record": (lambda: zipped({"natural.png": FILES["natural.png"]}), "lacks 'case.json'"),
    "no picture": (lambda: zipped({"case.json": FILES["case.json"]}), "lacks 'natural.png'"),
    "no attacked picture": (
        lambda: zipped({name: FILES[name] for name in ("case.json", "natural.png")}),
        "do not belong together",
    ),
    "a bomb of JSON": (lambda: zipped(FILES | {"case.json": b" " * 2**26}), "unpacks to more than 1 MB"),
    "a bomb of PNG": (lambda: zipped(FILES | {"natural.png": bytes(2**26)}), "unpacks to more than 3 MB"),
    "a bomb that lies": (lambda: claims_to_be_small(zipped(FILES | {"case.json": b" " * 2**26})), "no readable zip"),
    "a bomb of pixels": (
        lambda: zipped(FILES | {"natural.png": png(Image.new("L", (4_000, 4_000)))}),
        "megapixel",
    ),
    "another packing": (lambda: zipped(FILES, zipfile.ZIP_LZMA), "packed in a way"),
    "encrypted": (lambda: encrypted(zipped(FILES)), "encrypted"),
    "another picture": (lambda: zipped(FILES | {"natural.png": png(PICTURE)}), "not the one that the case's numbers"),
    "a palette": (lambda: zipped(FILES | {"natural.png": png(PICTURE.convert("P"))}), "8-bit grey or RGB"),
    "a JPEG": (lambda: zipped(FILES | {"natural.png": b"\xff\xd8\xff\xe0" + bytes(64)}), "no PNG"),
    "no JSON": (lambda: zipped(FILES | {"case.json": b"{"}), "JSON cannot be read"),
    "no text": (lambda: zipped(FILES | {"case.json": b"\xff\xfe\xfd"}), "JSON cannot be read"),
    "deep JSON": (lambda: zipped(FILES | {"case.json": b"[" * 500_000}), "JSON cannot be read"),
    "NaN": (lambda: zipped(FILES | {"case.json": FILES["case.json"].replace(b"0.91", b"NaN")}), "JSON cannot be read"),
    "infinity": (lambda: zipped(FILES | {"case.json": FILES["case.json"].replace(b"0.91", b"1e999")}), "confidence"),
    "another format": (lambda: changed(lambda r: r.update(format="other")), "no saved case"),
    "a later version": (lambda: changed(lambda r: r.update(version=2)), "another version"),
    "true as version": (lambda: changed(lambda r: r.update(version=True)), "another version"),
    "a field too few": (lambda: changed(lambda r: r["numbers"].pop("natural")), "lacks 'natural'"),
    "a field too many": (lambda: changed(lambda r: r.update(extra=1)), "has 'extra'"),
    "text for a number": (lambda: changed(lambda r: r["settings"].update(alpha="0.05")), "settings.alpha"),
    "a number for text": (lambda: changed(lambda r: r.update(note=7)), "note"),
    "true for a number": (lambda: changed(lambda r: r["settings"].update(seed=True)), "settings.seed"),
    "no time zone": (lambda: changed(lambda r: r.update(saved_at="2026-01-01T00:00:00")), "saved_at"),
    "no moment": (lambda: changed(lambda r: r.update(saved_at="yesterday")), "saved_at"),
    "a NUL": (lambda: changed(lambda r: r.update(note="a\0b")), "note"),
    "half a character": (lambda: changed(lambda r: r.update(note="\ud800")), "note"),
    "a long note": (lambda: changed(lambda r: r.update(note="a" * 5000)), "at most 4,000 characters"),
    "a very long note": (lambda: changed(lambda r: r.update(note="a" * 10**5)), "note"),
    "many tags": (lambda: changed(lambda r: r.update(tags=[str(i) for i in range(MOST_TAGS + 1)])), "at most 20 tags"),
    "an odd id": (lambda: changed(lambda r: r.update(id="../" * 10)), "malformed"),
    "an unknown verdict": (lambda: changed(lambda r: r["numbers"]["natural"]["fused"].update(kind="x")), "fused.kind"),
    "an unknown attack": (lambda: changed(lambda r: r["settings"].update(attack="rm")), "There is no attack"),
    "a wrong setting": (lambda: changed(lambda r: r["settings"]["parameters"].update(eps=7.0)), "must be a number in"),
    "a list as setting": (lambda: changed(lambda r: r["settings"]["parameters"].update(eps=[1])), "parameters.eps"),
    "an odd target": (lambda: changed(lambda r: r["settings"].update(target="any")), "settings.target"),
    "a huge number": (lambda: changed(lambda r: r["settings"].update(seed=10**30)), "settings.seed"),
    "a path as model": (
        lambda: changed(lambda r: r["settings"].update(bundle="../../etc")),
        "something that is no name",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused_in_one_sentence(name: str) -> None:
    make, said = HOSTILE[name]
    with pytest.raises(InputError) as refused:
        from_zip(make())
    assert said in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 250


def test_a_bomb_is_not_unpacked_before_it_is_refused() -> None:
    data = zipped(FILES | {"natural.png": bytes(2**26)})
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more"):
            from_zip(data)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_what_is_not_read_cannot_harm() -> None:
    # The script and the table of an imported case are never looked at, and made anew on the next export.
    again = from_zip(zipped(FILES | {"rerun.py": b"raise SystemExit('evil')", "numbers.csv": b"=cmd()"}))
    assert unzip(to_zip(again)) == FILES


def test_more_than_pixels_does_not_come_along() -> None:
    from PIL.PngImagePlugin import PngInfo

    case = saved_case(1)
    carrier = PngInfo()
    carrier.add_text("comment", "hidden")
    buffer = io.BytesIO()
    Image.open(io.BytesIO(case.natural_png)).save(buffer, "PNG", pnginfo=carrier)
    assert b"hidden" in buffer.getvalue()
    assert from_zip(zipped(FILES | {"natural.png": buffer.getvalue()})).natural_png == case.natural_png


def test_what_people_type_is_tidied() -> None:
    case = saved_case(1, "  a\0 note \r\n", (" one ", "one", "two  words", "", "\x07"))
    assert (case.record.note, case.record.tags) == ("a note", ("one", "two words"))
    assert read_record(json.dumps(case.record.to_json())) == case.record
    with pytest.raises(InputError, match="at most 20 tags of at most 40 characters"):
        saved_case(1, tags=("x" * 41,))


class Page(HTMLParser):
    """What a browser would load, and what it would say to somebody who sees nothing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_a_report_needs_nothing_else_and_says_everything() -> None:
    case = saved_case(4, "What it says", ("tagged",))
    html = to_html(case)
    page = Page(html)
    numbers = case.record.numbers
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    loaded = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(loaded) == 3 and all(str(value).startswith("data:image/png;base64,") for value in loaded)
    assert not re.search(r"url\(|@import|https?://", html)
    assert all(len(attributes.get("alt") or "") > 10 for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")
    for text in ("What it says", "tagged", case.record.title, numbers.natural.image_sha256, "PGD succeeded"[:3]):
        assert text in page.said
    assert numbers.attacked is not None
    for image in (numbers.natural, numbers.attacked):
        for verdict in image.verdicts:
            assert f"score {verdict.score:.4g}" in page.said
    assert "prefers-color-scheme: dark" in html


def test_a_report_names_settings_and_detectors_as_the_pages_do() -> None:
    html = to_html(saved_case(4, eps=8 / 255))
    assert "\u00a0%" in html and " %" not in html, "no line ends before a percent sign"
    said = Page(html).said
    assert "budget ε (L∞) 8/255, random start on, step size 0.01, steps 20, seed 4" in said
    assert "Fused verdict" in said


def test_pictures_in_a_report_are_exact() -> None:
    import base64

    case = saved_case(4)
    found = re.findall(r'alt="(\w+)[^"]*" src="data:image/png;base64,([^"]+)"', to_html(case))
    assert [name for name, _ in found] == ["Natural", "Change", "Attacked"]
    for (_, data), stored in zip((found[0], found[2]), (case.natural_png, case.attacked_png), strict=True):
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert stored is not None
        small = np.asarray(Image.open(io.BytesIO(stored)))
        assert np.array_equal(shown, np.kron(small, np.ones((32, 32), np.uint8)))


def test_a_report_escapes_what_strangers_wrote() -> None:
    case = saved_case(4, EVIL, (EVIL[:40],))
    evil = replace(case.record.numbers.natural, prediction=EVIL)
    numbers = replace(case.record.numbers, natural=evil, true_class=EVIL)
    html = to_html(replace(case, record=replace(case.record, title=EVIL, numbers=numbers)))
    tags = [tag for tag, _ in Page(html).tags]
    assert "script" not in tags and tags.count("img") == 3
    assert not [attributes for _, attributes in Page(html).tags if "onerror" in attributes]
    assert Page(html).said.count(EVIL) >= 3


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_a_report_can_be_read_in_both_themes() -> None:
    blocks = re.findall(r":root \{([^}]*)\}", to_html(saved_case(1, attacked=False)))
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for name in ("text", "soft", "accent", "alarm", "calm"):
            pair = sorted((luminance(colours[name]), luminance(colours["ground"])))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, colours)


def test_differences_name_what_differs() -> None:
    first = saved_case(1).record.numbers
    assert differences(first, first) == ()
    natural = replace(
        first.natural, verdicts=(replace(first.natural.verdicts[0], score=9.0), *first.natural.verdicts[1:])
    )
    assert differences(first, replace(first, natural=natural)) == (f"natural {natural.verdicts[0].detector}",)
    assert "attack l0" in differences(first, replace(first, attack=None))


def test_a_detector_hides_no_number_of_the_same_name() -> None:
    first = saved_case(1).record.numbers
    named = replace(first.natural.verdicts[0], detector="confidence")
    before = replace(first, natural=replace(first.natural, verdicts=(named,)))
    surer = replace(before, natural=replace(before.natural, confidence=0.123))
    assert differences(before, surer) == ("natural confidence",)
    judged = replace(before, natural=replace(before.natural, verdicts=(replace(named, score=9.0),)))
    assert differences(before, judged) == ("natural confidence detector",)


@pytest.fixture(scope="module")
def digits_case() -> SavedCase:
    """A case of the shipped bundle."""
    image_id = int(correct_test_ids(9)[4])
    image, loaded = images_of([image_id])[0], shipped()
    parameters = {"eps": 0.1, "step": 0.01, "steps": 5, "random_start": True}
    attack = attack_image(loaded, image, "pgd", parameters, 3)
    natural, attacked = (analyse_image(loaded, picture, 0.1) for picture in (image, attack.images[0]))
    settings = CaseSettings("digits", f"test-{image_id}", "pgd", parameters, None, 3, 0.1)
    numbers = case_numbers(natural, attack, attacked, loaded.bundle.class_names, None)
    return new_case(settings, "Digit", loaded.bundle.id, numbers, image, attack.images[0])


def rerun(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, str(folder / "rerun.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_the_script_prints_the_numbers_that_were_saved(digits_case: SavedCase, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(to_zip(digits_case))) as archive:
        archive.extractall(tmp_path)
    done = rerun(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "numbers.csv").read_text()
    assert done.stderr.strip() == "The same numbers as saved."
    rows = {(row["image"], row["what"]): row for row in csv.DictReader(io.StringIO(done.stdout))}
    attacked = digits_case.record.numbers.attacked
    assert attacked is not None and len(attacked.verdicts) == len(shipped().detectors)
    for verdict in attacked.verdicts:
        assert verdict.score is not None and verdict.p_value is not None
        clash = verdict.detector == "confidence"  # which also names a number of the network
        row = rows["attacked", f"{verdict.detector} detector" if clash else verdict.detector]
        assert float(row["value"]) == pytest.approx(verdict.score, rel=1e-5)
        assert float(row["p_value"]) == pytest.approx(verdict.p_value, rel=1e-5)


@pytest.mark.slow
def test_the_script_says_what_differs(digits_case: SavedCase, tmp_path: Path) -> None:
    record = digits_case.record
    settings = replace(record.settings, seed=4)
    other = replace(digits_case, record=replace(record, settings=settings, bundle_id="0" * 64))
    with zipfile.ZipFile(io.BytesIO(to_zip(other))) as archive:
        archive.extractall(tmp_path)
    done = rerun(tmp_path)
    assert done.returncode == 1
    assert "another build than the saved one" in done.stderr
    assert "These differ from the saved numbers: attacked" in done.stderr


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "rerun.py").write_bytes(FILES["rerun.py"])
    done = rerun(tmp_path)
    assert done.returncode == 2 and "case.json' cannot be read" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    done = rerun(tmp_path, "-I", "-S")  # without what is installed
    assert done.returncode == 2
    assert done.stderr.strip() == "'telltale' is missing: run this with a Python in which Telltale is installed."


def test_pixels_come_back_as_they_were(digits_case: SavedCase) -> None:
    image_id = int(digits_case.record.settings.image.removeprefix("test-"))
    assert np.array_equal(read_png(digits_case.natural_png), images_of([image_id])[0])
