"""Which database holds the cases, how it is opened, and how its tables are brought up to date."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from telltale.base.errors import InputError, StorageError
from telltale.base.places import data_home
from telltale.cases.sqlite_file import LOG_PAGES, forget_log_of_none

FILE_VARIABLE = "TELLTALE_CASES"
URL_VARIABLE = "DATABASE_URL"
MIGRATIONS = Path(__file__).with_name("migrations")
LOCK_SECONDS = 15
_POSTGRESQL = ("postgres", "postgresql", "postgresql+psycopg")
_POSTGRESQL_LOCK = 0x7E117A1E  # any number that no other program on the same database locks
_BEGIN = "telltale_begin"


def database_url(environment: Mapping[str, str] = os.environ) -> URL:
    """Return where cases are kept.

    ``DATABASE_URL``, as hosts set it (``postgres://…``), else the SQLite file named by ``TELLTALE_CASES``, else
    ``telltale/cases.sqlite`` in the person's folder for data.

    Raises
    ------
    InputError
        If ``DATABASE_URL`` is not that of a PostgreSQL database.
    """
    given = environment.get(URL_VARIABLE, "").strip()
    if not given:
        return URL.create("sqlite", database=str(_file(environment)))
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise InputError(f"{URL_VARIABLE} is not the address of a database.") from None  # it may hold a password
    if url.drivername not in _POSTGRESQL:
        raise InputError(
            f"{URL_VARIABLE} must start with postgres:// or postgresql://; leave it out for a SQLite file."
        )
    return url.set(drivername="postgresql+psycopg")


def open_database(url: URL) -> Engine:
    """Open a database and bring its tables up to date.

    Raises
    ------
    StorageError
        If it cannot be reached or written, or a newer version of Telltale has changed its tables.
    """
    try:
        engine = _sqlite(url) if is_sqlite(url) else _postgresql(url)
        _upgrade(engine)
    except CommandError as error:
        raise StorageError(
            "The cases were stored by a newer version of Telltale; this one cannot read them."
        ) from error
    except (SQLAlchemyError, OSError) as error:
        raise StorageError(f"The store of cases, {where(url)}, cannot be opened.") from error
    return engine


def where(url: URL) -> str:
    """Return the place of a store in words, without its password."""
    return f"the file {url.database}" if is_sqlite(url) else f"the database on {url.host or 'this machine'}"


def is_sqlite(url: URL) -> bool:
    """Whether a store is a file."""
    return url.get_backend_name() == "sqlite"


def sqlite_path(url: URL) -> Path:
    """Return the file of a store that is one."""
    return Path(str(url.database))


def is_full(error: SQLAlchemyError) -> bool:
    """Whether it is a full disk that a SQLite file suffers from, or the index of its log, which cannot grow."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def _file(environment: Mapping[str, str]) -> Path:
    chosen = environment.get(FILE_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return data_home(environment) / "cases.sqlite"


def _postgresql(url: URL) -> Engine:
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": LOCK_SECONDS})


def _sqlite(url: URL) -> Engine:
    path = sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    forget_log_of_none(path)
    engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Keep references whole, let readers and one writer work at once, and leave transactions to `_begin_sqlite`."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """Switch to the write-ahead log, in which SQLite waits for nobody, whatever the connection's timeout is."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    # Python's driver opens a transaction before INSERT, but not before CREATE TABLE: a migration would not be whole.
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _upgrade(engine: Engine) -> None:
    """Run the missing steps in one transaction, one process at a time."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect().execution_options(**{_BEGIN: "BEGIN IMMEDIATE"}) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
