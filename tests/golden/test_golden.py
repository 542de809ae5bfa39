"""What an earlier version wrote: its cases open, its links resolve, its bundles give the same numbers."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
from sqlalchemy import URL
from streamlit.testing.v1 import AppTest

import telltale
from support.golden import GOLDEN, Said, golden, same
from telltale.attacks.registry import ATTACKS
from telltale.base.images import image_sha256
from telltale.cases.exporting import to_zip
from telltale.cases.importing import from_zip
from telltale.cases.numbers import differences
from telltale.cases.pixels import read_png
from telltale.cases.record import SavedCase
from telltale.cases.rerun import recompute
from telltale.cases.store import CaseStore
from telltale.scores.table import natural_test_ids
from telltale_app import case as links
from telltale_app import cases as saving
from telltale_app import link_images
from telltale_app.lessons import course
from telltale_app.lessons.registry import LESSONS
from telltale_app.pages import PAGES

OLD_PROGRAM = "python -m core"
PROGRAMS = ("python -m telltale", OLD_PROGRAM)  # both are `telltale` where they are installed
# How the lines of commands and options begin that came later.
ADDED = (
    *("  app ", "  influence-lds ", "  inspect ", "  leaderboard ", "  rejection ", "  robust-twin ", "  slices "),
    *("  versus ", "  worker ", "  render "),
    *("  corrections ", "  data ", "  --corrections ", "  --minutes ", "  --settings "),
    *(f"  --{name} " for name in ("from", "blocks", "epochs <int range>  Of", "weights", "size", "resize")),
    *(f"  --{name} " for name in ("mean", "std", "arguments", "head")),
    "  With --from, ",
)
ADDED_SIZES = ", or of any size where its pictures were"
ADDED_ATTACKS = ", apgd_ce, apgd_dlr, square, ddn, hopskipjump, adaptive_square"  # behind those that help lists
APP_MAIN = Path(links.__file__).with_name("main.py")

ROOT = GOLDEN.parents[1]


USUAL = "test-1518"  # of the digits' bundle at that time
OF_THE_NETWORK = ("sha256", "prediction", "confidence")  # numbers of a case that no detector has a part in
LINKS = golden("links.json")
CASES = {entry["name"]: entry for entry in LINKS["cases"]}


def unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_of(name: str) -> bytes:
    return (GOLDEN / "zips" / f"{name}.zip").read_bytes()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseStore]:
    """Open a copy of the store: opening one writes beside it, and may change its tables."""
    file = tmp_path_factory.mktemp("golden") / "cases.sqlite"
    shutil.copy(GOLDEN / "cases.sqlite", file)
    opened = CaseStore(URL.create("sqlite", database=str(file)))
    yield opened
    opened.close()


# Saved cases


def test_the_store_opens_with_every_case(store: CaseStore) -> None:
    found = store.find(most=100)
    assert found.total == len(CASES) == 10
    assert [case.record.id for case in found.cases] == [entry["id"] for entry in reversed(CASES.values())]
    assert store.tags() == ("error", "failed", "odd sevens", "own", "targeted", "teaching", "Übung", "数字")
    (unicode,) = store.find("größe العربية 🐈", ["数字"]).cases
    assert unicode.record.id == CASES["digits-natural"]["id"]
    assert "“quotes”; <b>&amp;</b>\nA second line,\tand a tab." in unicode.record.note


@pytest.mark.parametrize("name", CASES)
def test_a_zip_holds_the_case_that_the_store_holds(store: CaseStore, name: str) -> None:
    case, kept = from_zip(zip_of(name)), store.get(CASES[name]["id"])
    assert case.record == kept.record
    assert (case.attacked_png is None) == (kept.attacked_png is None) == (kept.record.settings.attack is None)
    for one, other in ((case.natural_png, kept.natural_png), (case.attacked_png, kept.attacked_png)):
        assert one is other is None or (one and other and np.array_equal(read_png(one), read_png(other)))


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_exported_as_it_was(store: CaseStore, name: str) -> None:
    before, now = unzip(zip_of(name)), unzip(to_zip(store.get(CASES[name]["id"])))
    assert list(before) == list(now)
    for file in ("case.json", "numbers.csv"):
        assert now[file].decode() == before[file].decode()


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_stored_again_as_it_was(name: str, tmp_path: Path) -> None:
    case = from_zip(zip_of(name))
    fresh = CaseStore(URL.create("sqlite", database=str(tmp_path / "cases.sqlite")))
    fresh.save(case)
    assert fresh.get(CASES[name]["id"]) == case
    fresh.close()


@pytest.mark.parametrize("name", CASES)
def test_a_case_computed_again_by_another_build_says_so_and_names_what_differs(store: CaseStore, name: str) -> None:
    saved = store.get(CASES[name]["id"])
    now, bundle_id = recompute(saved.record, read_png(saved.natural_png))
    assert bundle_id != saved.record.bundle_id, "the shipped bundles were built anew since"
    assert now.natural.image_sha256 == saved.record.numbers.natural.image_sha256
    found = differences(saved.record.numbers, now)
    assert found
    if saved.record.settings.bundle == "digits" and "adaptive" not in name:  # its network is still the same
        kept = {
            f"{image} {what}" for image in ("natural", "attacked") for what in ("sha256", "prediction", "confidence")
        }
        assert not kept & set(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-pgd", "digits-natural"])
def test_the_script_in_an_exported_zip_still_runs(name: str, tmp_path: Path) -> None:
    for file, data in unzip(zip_of(name)).items():
        (tmp_path / file).write_bytes(data)
    environment = {key: value for key, value in os.environ.items() if key != "TELLTALE_HOME"}
    command = [sys.executable, tmp_path / "rerun.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "another build than the saved one" in done.stderr and "differ from the saved numbers" in done.stderr
    assert of_the_network(done.stdout) == of_the_network((tmp_path / "numbers.csv").read_text())


def of_the_network(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.split(",")[1] in OF_THE_NETWORK]


@pytest.mark.parametrize("name", CASES)
def test_the_app_opens_a_saved_case(store: CaseStore, name: str) -> None:
    entry, saved = CASES[name], store.get(CASES[name]["id"])
    case = saving.to_case(saved)
    same(expected_of(entry) | {"parameters": entry["reopened_parameters"]}, fields(case))
    image = link_images.read_image(case.image, telltale.load_bundle(case.bundle))
    assert image_sha256(image) == saved.record.numbers.natural.image_sha256
    assert set(asdict(case)["parameters"]) == set(asdict(links.from_query(case.to_query())[0])["parameters"])


# Links


def fields(case: links.Case) -> dict[str, Any]:
    return {**asdict(case), "parameters": [list(pair) for pair in case.parameters]}


def query_of(entry: dict[str, Any]) -> dict[str, str]:
    query = entry["query"]
    return dict(query) if isinstance(query, dict) else dict(parse_qsl(query, keep_blank_values=True))


def expected_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a case's fields; an image that travels in the link stands only there."""
    return {"image": query_of(entry).get("image"), **entry["expected"]}


def short(entry: dict[str, Any]) -> str:
    query = query_of(entry)
    return f"{query.get('bundle')}-{query.get('image', '')[:12]}-{query.get('attack')}"


@pytest.mark.parametrize("entry", [*CASES.values(), *LINKS["attacks"]], ids=short)
def test_a_link_leads_to_its_case_and_back(entry: dict[str, Any]) -> None:
    query = query_of(entry)
    case, warnings = links.from_query(query)
    assert warnings == ()
    same(expected_of(entry), fields(case))
    assert case.to_query() == query


@pytest.mark.parametrize("name", CASES)
def test_a_links_image_and_class_are_found(name: str) -> None:
    entry = CASES[name]
    case, _ = links.from_query(query_of(entry))
    bundle = telltale.load_bundle(case.bundle)
    assert image_sha256(link_images.read_image(case.image, bundle)) == entry["image_sha256"]
    own = link_images.true_label(case.image, bundle)
    assert (None if own is None else bundle.class_names[own]) == entry["true_class"]


# An address that says nothing is no link: it opens the example of whichever model comes first by now.
PARTIAL = [entry for entry in LINKS["partial"] if entry["query"]]


@pytest.mark.parametrize("entry", PARTIAL, ids=lambda entry: str(entry["query"])[:80])
def test_a_link_that_is_short_or_wrong_falls_back_as_it_did(entry: dict[str, Any]) -> None:
    case, warnings = links.from_query(query_of(entry))
    image = entry["expected"].get("image", case.image)
    if image == USUAL and query_of(entry).get("image") != USUAL:  # it fell back to the bundle's own most usual image
        image = f"test-{natural_test_ids(telltale.load_bundle('digits').scores)[0]}"
    same(expected_of(entry) | {"image": image}, fields(case))
    assert len(warnings) == len(entry["warnings"])


PAGE = """
import streamlit as st
from telltale_app import pins, state
state.synchronise()
pins.synchronise()
st.session_state["link"] = state.link()
"""


@pytest.mark.parametrize("entry", [*CASES.values(), *LINKS["pinned"]], ids=short)
def test_the_app_opens_a_link_and_writes_the_same_one(entry: dict[str, Any]) -> None:
    page = AppTest.from_string(PAGE)
    for key, value in query_of(entry).items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    same(expected_of(entry), fields(page.session_state["case"]))
    assert not page.session_state["case_warnings"]
    pins = query_of(entry).get("pin", "")
    for wanted, text, found in zip(
        entry.get("pins", []), pins.split(",") if pins else [], page.session_state["pins"], strict=True
    ):
        same({"image": text.split("!")[1], **wanted}, fields(found))
    assert page.session_state["link"].partition("?")[2] == entry["query"]


def test_every_lesson_has_its_steps_pages_and_cases() -> None:
    bundle, kept = telltale.load_bundle(course.MODEL), {entry["query"] for entry in LINKS["lessons"]}
    found = [
        {
            "query": f"lesson={lesson.name}&step={number}",
            "page": step.url_path,
            "view": dict(step.view(bundle)),
            "expected": fields(step.case(bundle)),
        }
        for lesson in LESSONS.values()
        for number, step in enumerate(lesson.steps, 1)
        if f"lesson={lesson.name}&step={number}" in kept  # steps that came later come last
    ]
    same(list(map(without_picks, LINKS["lessons"])), list(map(without_picks, found)))
    same(pictures(LINKS["lessons"]), pictures(found))


def without_picks(step: dict[str, Any]) -> dict[str, Any]:
    """Leave out which model the lessons are about, and what of it its scores, layers and budgets have picked."""
    view = {name: value for name, value in step["view"].items() if name not in ("detector", "layer")}
    expected = {
        name: value for name, value in step["expected"].items() if name not in ("bundle", "image", "parameters")
    }
    return {**step, "view": view, "expected": expected}


def pictures(steps: list[dict[str, Any]]) -> list[int]:
    """Number the images in the order of their first appearance: which steps show the same one."""
    images = [step["expected"]["image"] for step in steps]
    return [list(dict.fromkeys(images)).index(image) for image in images]


def test_every_page_keeps_its_address() -> None:
    kept = [page.path for page in PAGES if page.path in LINKS["pages"]]
    assert kept == LINKS["pages"]


def test_links_have_been_made_of_every_attack() -> None:
    linked = {entry["expected"]["attack"] for entry in LINKS["attacks"]}
    assert len(linked) == 17 and linked <= set(ATTACKS)


# The command line


def words(text: str) -> list[str]:
    """Return what a command says without how its lines are broken and what the program is called."""
    said = " ".join(text.split())
    for program in PROGRAMS:
        said = said.replace(program, "telltale")
    return said.split(" ")


HELP = re.split(r"^\$ ", (GOLDEN / "help.txt").read_text(), flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("text", HELP, ids=lambda text: text.partition("\n")[0].removeprefix(OLD_PROGRAM + " "))
def test_help_says_the_same(said: Said, text: str) -> None:
    command, _, expected = text.partition("\n")
    found = said(*command.removeprefix(OLD_PROGRAM).split())
    known = [line for line in found.splitlines() if not line.startswith(ADDED)]
    now = " ".join(words("\n".join(known)))
    assert now.replace(ADDED_ATTACKS, "").replace(ADDED_SIZES, "") == " ".join(words(expected))


def test_nothing_golden_is_written_to(store: CaseStore) -> None:
    assert {file.name for file in GOLDEN.glob("cases.sqlite*")} == {"cases.sqlite"}
    assert isinstance(store.get(CASES["digits-pgd"]["id"]), SavedCase)
