"""Which cases, links, bundles and networks open: the table in SECURITY.md says what the code says and samples show."""

from __future__ import annotations

import json
import re
import sqlite3
import zipfile
from contextlib import closing

from alembic.config import Config
from alembic.script import ScriptDirectory

from support.golden import GOLDEN, golden
from support.source_tree import ROOT
from telltale.bundle.manifest import SCHEMA_VERSION
from telltale.cases import record
from telltale.cases.database import MIGRATIONS
from telltale.models import fine_tuned
from telltale_app import case, corrections, pins
from telltale_app.lessons import course

OPENS = (ROOT / "SECURITY.md").read_text().partition("### What opens\n")[2].partition("\n#")[0]
ROWS = {
    cells[0]: cells[1:]
    for line in OPENS.splitlines()
    if line.startswith("|") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 3
}


def numbers(text: str) -> list[int]:
    """Return the versions that a cell names after its first word."""
    return [int(digits) for digits in re.findall(r"(?:version|format) (\d+)\b(?!\.)", text)]


def test_the_table_is_read() -> None:
    kinds = ["case, and the zip of one", "store of cases", "bundle", "fine-tuned network", "link"]
    assert [kind for kind in ROWS if kind not in ("kind", "---")] == kinds
    assert numbers("format 1 and format 2, as built by version 0.2.0") == [1, 2]


def test_what_is_written_today_is_what_the_code_writes() -> None:
    written = {kind: numbers(cells[1]) for kind, cells in ROWS.items()}
    assert written["case, and the zip of one"] == [record.VERSION]
    assert written["bundle"] == [SCHEMA_VERSION]
    assert written["fine-tuned network"] == [fine_tuned.VERSION]
    for kind in ("case, and the zip of one", "bundle", "fine-tuned network"):
        assert set(written[kind]) <= set(numbers(ROWS[kind][0])), "what is written opens"


def test_the_steps_of_the_store_are_those_that_ship_and_the_oldest_store_has_one_of_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    steps = ScriptDirectory.from_config(config)
    head = steps.get_current_head()
    assert ROWS["store of cases"] == [f"steps up to {head}", f"step {head}"]
    with closing(sqlite3.connect(f"file:{GOLDEN / 'cases.sqlite'}?mode=ro&immutable=1", uri=True)) as store:
        (kept,) = store.execute("SELECT version_num FROM alembic_version").fetchone()
    assert kept in {step.revision for step in steps.walk_revisions()}


def test_of_every_version_of_a_case_a_zip_is_kept() -> None:
    found = set()
    for file in (GOLDEN / "zips").glob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            found.add(json.loads(archive.read("case.json"))["version"])
    assert found == set(numbers(ROWS["case, and the zip of one"][0]))


def test_of_every_format_of_a_bundle_one_is_kept_from_the_version_that_is_named() -> None:
    (since,) = re.findall(r"version (\d+\.\d+\.\d+)", ROWS["bundle"][0])
    found = set()
    for file in GOLDEN.glob("bundle-*.zip"):
        with zipfile.ZipFile(file) as archive:
            found.add(json.loads(archive.read("mini/manifest.json"))["schema_version"])
    assert found == set(numbers(ROWS["bundle"][0]))
    assert (GOLDEN / f"bundle-{since}.zip").is_file()


def test_a_link_means_by_each_key_what_the_pages_read() -> None:
    named = re.findall(r"`([a-z]+)`", ROWS["link"][0])
    assert named == [*case.KEYS, pins.KEY, corrections.KEY, *course.KEYS]
    assert set(golden("links.json")["keys"]) <= set(named), "none that was ever copied has lost its meaning"
