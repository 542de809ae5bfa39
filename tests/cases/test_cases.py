"""The store of cases, on SQLite and on PostgreSQL: what goes in comes out, is found, and is gone when deleted."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC
from pathlib import Path
from threading import Timer

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from support import postgres
from support.saved_cases import saved_case
from telltale.base.errors import InputError, StorageError
from telltale.cases import database
from telltale.cases.database import database_url
from telltale.cases.models import Base
from telltale.cases.record import SavedCase
from telltale.cases.settings import read_only, saving_allowed, switched_off_by
from telltale.cases.store import CaseStore, open_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[URL]:
    with postgres.server() as address:
        yield database_url({"DATABASE_URL": address})


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return database_url({"TELLTALE_CASES": str(tmp_path / "folder" / "cases.sqlite")})
    address: URL = request.getfixturevalue("postgresql")
    engine = database.open_database(address)
    with engine.begin() as connection:  # every test starts from nothing
        for table in ("case_tags", "cases", "alembic_version"):
            connection.execute(text(f"DROP TABLE {table}"))
    engine.dispose()
    return address


@pytest.fixture
def store(url: URL) -> Iterator[CaseStore]:
    opened = CaseStore(url)
    yield opened
    opened.close()


def ids(cases: tuple[SavedCase, ...]) -> list[str]:
    return [case.record.title for case in cases]


def test_a_case_comes_back_as_it_went_in(store: CaseStore, url: URL) -> None:
    case = saved_case(3, "The seven that became a one 🧐\nsecond line", ("teaching", "größe"))
    store.save(case)
    assert store.get(case.record.id) == case
    again = CaseStore(url)
    assert again.get(case.record.id) == case
    assert again.get(case.record.id).record.saved_at.tzinfo is UTC
    again.close()


def test_the_latest_is_listed_first_and_pages_follow_each_other(store: CaseStore) -> None:
    for number in (1, 4, 0, 3, 2):
        store.save(saved_case(number))
    assert ids(store.find().cases) == [f"Test image {n}" for n in (4, 3, 2, 1, 0)]
    page = store.find(first=2, most=2)
    assert (ids(page.cases), page.total) == (["Test image 2", "Test image 1"], 5)


def test_a_search_needs_every_word_and_every_tag(store: CaseStore) -> None:
    store.save(saved_case(1, "A stroke too many", ("teaching", "100%")))
    store.save(saved_case(2, "ÄRGER with a stroke", ("teaching",)))
    store.save(saved_case(3, "nothing", (), attacked=False))
    assert ids(store.find("STROKE").cases) == ["Test image 2", "Test image 1"]
    assert ids(store.find("stroke many").cases) == ["Test image 1"]
    assert ids(store.find("ärger").cases) == ["Test image 2"]
    assert ids(store.find("pgd").cases) == ["Test image 2", "Test image 1"]
    assert ids(store.find("%").cases) == ["Test image 1"], "a percent sign is no wildcard"
    assert ids(store.find("_").cases) == []
    assert ids(store.find(tags=["teaching"]).cases) == ["Test image 2", "Test image 1"]
    assert ids(store.find(tags=["teaching", "100%"]).cases) == ["Test image 1"]
    assert store.find("stroke", tags=["absent"]).total == 0
    assert store.tags() == ("100%", "teaching")


def test_a_deleted_case_is_gone_with_its_tags(store: CaseStore) -> None:
    gone, kept = saved_case(1, tags=("gone", "both")), saved_case(2, tags=("both",))
    store.save(gone)
    store.save(kept)
    store.delete(gone.record.id)
    store.delete(gone.record.id)
    assert store.find().cases == (kept,)
    assert store.tags() == ("both",)
    with pytest.raises(InputError, match="may have been deleted"):
        store.get(gone.record.id)


@pytest.mark.parametrize(
    "damage",
    [
        "record = '{\"format\": 1}'",
        "record = '[]'",
        "natural_png = X'00'",
        "attacked_png = X'89504E47'",
        "record = 'no JSON'",
        "saved_at = 'no date'",
        "natural_png = 'text'",
    ],
)
def test_a_row_that_cannot_be_read_hides_nothing_but_itself(store: CaseStore, url: URL, damage: str) -> None:
    cases = [saved_case(number) for number in range(3)]
    for case in cases:
        store.save(case)
    bad = cases[1].record.id
    if url.get_backend_name() == "postgresql":
        damage = damage.replace("X'", "'\\x")
    try:
        with store._engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE cases SET {damage} WHERE id = '{bad}'")
    except DBAPIError:
        pytest.skip(f"{url.get_backend_name()} lets nobody store {damage}")
    found = store.find()
    assert {case.record.id for case in found.cases} == {cases[0].record.id, cases[2].record.id}
    assert (found.unreadable, found.total) == ((bad,), 3)
    with pytest.raises(InputError, match=f"{bad} cannot be read; it can be deleted"):
        store.get(bad)
    store.delete(bad)
    assert (store.find().unreadable, store.find().total) == ((), 2)


@pytest.mark.parametrize(
    "words", ["\0", "a\0b", "\ud800", "x" * 60_000, "%" * 19_999, "\\" * 30_000, "'; --", "🐈" * 9]
)
def test_searches_may_hold_any_characters_and_any_number_of_them(store: CaseStore, words: str) -> None:
    store.save(saved_case(1, tags=("one",)))
    assert store.find(words).total == 0
    assert store.find(tags=[words]).total == 0
    with pytest.raises(InputError, match="no saved case of that id"):
        store.get(words)


def test_every_word_counts_however_many_there_are(store: CaseStore) -> None:
    case = saved_case(1, note=" ".join(f"word{n}" for n in range(150)))
    store.save(case)
    words = [f"word{n}" for n in range(150)]
    assert store.find(" ".join(words)).cases == (case,)
    assert store.find(" ".join([*words, "absent"])).cases == ()
    assert store.find(" ".join(words * 10)).cases == (case,), "a word twice asks for nothing more"
    with pytest.raises(InputError, match="at most 200 different words; this one has 201"):
        store.find(" ".join(f"w{n}" for n in range(201)))


def test_a_case_is_kept_once(store: CaseStore) -> None:
    case = saved_case(1, tags=("one",))
    store.save(case)
    with pytest.raises(InputError, match="among the saved ones already"):
        store.save(case)
    assert store.find().cases == (case,)


def test_many_people_save_at_once(store: CaseStore) -> None:
    cases = [saved_case(number, tags=("class",)) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.save, cases))
    assert store.find(most=50).cases == tuple(reversed(cases))


def test_migrations_make_the_tables_that_the_program_uses(store: CaseStore) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_several_processes_may_open_a_new_store_at_once(url: URL) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(CaseStore, [url] * 4))
    assert [store.find().total for store in stores] == [0] * 4
    for store in stores:
        store.close()


def test_a_new_store_waits_for_whoever_else_prepares_it(tmp_path: Path) -> None:
    file = tmp_path / "cases.sqlite"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE unrelated (number INTEGER)")
    release = Timer(0.5, other.rollback)
    release.start()
    store = CaseStore(URL.create("sqlite", database=str(file)))
    assert store.find().total == 0
    store.close()
    release.join()
    other.close()


def test_a_file_that_was_removed_or_replaced_meanwhile_is_noticed(tmp_path: Path) -> None:
    file, kept = tmp_path / "cases.sqlite", tmp_path / "backup.sqlite"
    url, backup = (URL.create("sqlite", database=str(path)) for path in (file, kept))
    with closing(CaseStore(backup)) as other:
        other.save(saved_case(7))
    store = CaseStore(url)
    store.save(saved_case(1))
    file.unlink()
    assert store.find().total == 0
    store.save(saved_case(2))
    with closing(CaseStore(url)) as other:
        assert ids(other.find().cases) == ["Test image 2"]
    kept.replace(file)
    assert ids(store.find().cases) == ["Test image 7"]
    store.save(saved_case(3))
    store.close()
    with closing(CaseStore(url)) as other:
        assert ids(other.find().cases) == ["Test image 7", "Test image 3"]


def test_on_a_full_disk_nothing_is_saved_and_cases_can_still_be_deleted(tmp_path: Path) -> None:
    script = ROOT / "tests" / "support" / "full_disk.py"
    namespace = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*namespace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a small disk")
    run = subprocess.run([*namespace, sys.executable, script, tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["full", "refused in words", "deleted", "saved again"]


def test_a_migration_that_fails_leaves_nothing(url: URL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "migrations"
    (broken / "versions").mkdir(parents=True)
    (broken / "env.py").write_text((database.MIGRATIONS / "env.py").read_text())
    step = (database.MIGRATIONS / "versions" / "v0001_cases.py").read_text()
    (broken / "versions" / "step.py").write_text(
        step.replace('op.create_index("ix_case_tags', 'op.execute("nonsense") #')
    )
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", broken)
        with pytest.raises(StorageError, match="cannot be opened"):
            CaseStore(url)
    store = CaseStore(url)  # had a table been left, it could not be made again
    assert store.find().total == 0
    store.close()


def test_a_store_of_a_newer_version_is_left_alone(store: CaseStore, url: URL) -> None:
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer version of Telltale"):
        CaseStore(url)


@pytest.mark.parametrize(
    "address", ["postgres://me:secret@db.example:5432/cases?sslmode=require", "postgresql://me:secret@db.example/cases"]
)
def test_hosts_addresses_mean_psycopg(address: str) -> None:
    url = database_url({"DATABASE_URL": address})
    assert (url.drivername, url.host, url.database) == ("postgresql+psycopg", "db.example", "cases")
    assert url.password == "secret" and "secret" not in database.where(url)
    assert ("sslmode" in url.query) == ("sslmode" in address)


@pytest.mark.parametrize("address", ["mysql://me:secret@host/db", "secret", "postgres://me:secret@host:port/db"])
def test_other_databases_are_refused_without_telling_the_password(address: str) -> None:
    with pytest.raises(InputError) as refused:
        database_url({"DATABASE_URL": address})
    assert "secret" not in str(refused.value)


def test_without_settings_cases_lie_in_the_persons_own_folder(tmp_path: Path) -> None:
    chosen = database_url({"XDG_DATA_HOME": str(tmp_path)})
    assert chosen.database == str(tmp_path / "telltale" / "cases.sqlite")
    assert database_url({}).database == str(Path("~/.local/share/telltale/cases.sqlite").expanduser())


def test_saving_can_be_switched_off() -> None:
    assert saving_allowed({}) and saving_allowed({"TELLTALE_SAVE_CASES": "on"})
    assert not saving_allowed({"TELLTALE_SAVE_CASES": "Off"})
    with pytest.raises(InputError, match="must be on or off"):
        saving_allowed({"TELLTALE_SAVE_CASES": "no"})


def test_a_read_only_server_says_so_whatever_else_is_set() -> None:
    assert not read_only({}) and not read_only({"TELLTALE_READ_ONLY": "off"})
    assert read_only({"TELLTALE_READ_ONLY": "On"})
    for saving in ("", "on", "off"):
        environment = {"TELLTALE_READ_ONLY": "on", "TELLTALE_SAVE_CASES": saving}
        assert not saving_allowed(environment)
        assert switched_off_by(environment) == "TELLTALE_READ_ONLY"
    assert switched_off_by({"TELLTALE_SAVE_CASES": "off"}) == "TELLTALE_SAVE_CASES"
    assert switched_off_by({}) == ""
    with pytest.raises(InputError, match="TELLTALE_READ_ONLY must be on or off"):
        saving_allowed({"TELLTALE_READ_ONLY": "yes"})


def test_a_place_that_cannot_be_used_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TELLTALE_CASES", str(tmp_path / "file" / "cases.sqlite"))
    with pytest.raises(StorageError, match="cannot be opened"):
        open_store()
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    monkeypatch.setenv("TELLTALE_CASES", str(tmp_path / "text.sqlite"))
    with pytest.raises(StorageError, match="cannot be opened"):
        open_store()


def test_a_database_that_stops_is_one_sentence(tmp_path: Path) -> None:
    store = CaseStore(URL.create("sqlite", database=str(tmp_path / "cases.sqlite")))
    with store._engine.begin() as connection:
        connection.execute(text("DROP TABLE case_tags"))
    with pytest.raises(StorageError, match="does not answer"):
        store.tags()


def test_importing_the_store_brings_neither_torch_nor_streamlit() -> None:
    code = (
        "import sys, telltale.cases.store, telltale.cases.importing, telltale.cases.report, telltale.cases.rerun; "
        "assert not {'torch', 'streamlit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
