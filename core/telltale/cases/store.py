"""Keeping cases: save, list, search, read, delete."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from threading import Lock

from sqlalchemy import URL, ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, undefer

from telltale.base.errors import InputError, StorageError
from telltale.cases.database import database_url, is_full, is_sqlite, open_database, sqlite_path, where
from telltale.cases.models import CaseRow, TagRow
from telltale.cases.pixels import read_png
from telltale.cases.reading import LONGEST_TEXT, record_from, storable
from telltale.cases.record import CaseRecord, SavedCase
from telltale.cases.sqlite_file import SqliteFile

MOST_WORDS = 200


class NoRoomError(StorageError):
    """The disk of the store is full."""


@dataclass(frozen=True)
class Found:
    """One page of a search.

    Attributes
    ----------
    cases : tuple of SavedCase
        The latest first.
    total : int
        Cases that fit, on all pages.
    unreadable : tuple of str
        Ids of those on this page whose record or pictures are damaged, or of a version that is not known here. They
        can be deleted.
    """

    cases: tuple[SavedCase, ...]
    total: int
    unreadable: tuple[str, ...] = ()


class CaseStore:
    """The cases of one database; safe to use from several threads and processes.

    Parameters
    ----------
    url : sqlalchemy.URL
        See `telltale.cases.database.database_url`.

    Raises
    ------
    StorageError
        If the database cannot be opened. Every method raises it if the database fails later.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._opening = Lock()
        self._open()

    def save(self, case: SavedCase) -> None:
        """Add a case, whole or not at all.

        Raises
        ------
        InputError
            If a case of the same id is there.
        """
        record = case.record
        row = CaseRow(
            id=record.id,
            saved_at=record.saved_at.astimezone(UTC),  # SQLite drops the zone, and sorts what is left
            search_text=_search_text(record),
            record=record.to_json(),
            natural_png=case.natural_png,
            attacked_png=case.attacked_png,
            tags=[TagRow(tag=tag) for tag in record.tags],
        )
        with self._session() as session:
            try:
                session.add(row)
                session.flush()
            except IntegrityError as error:
                raise InputError("This case is among the saved ones already.") from error

    def get(self, case_id: str) -> SavedCase:
        """Return a case by its id.

        Raises
        ------
        InputError
            If there is none, or it cannot be read.
        """
        with self._session() as session:
            return _case(session, case_id)

    def find(self, words: str = "", tags: Sequence[str] = (), first: int = 0, most: int = 20) -> Found:
        """Return the cases in which every word occurs and that carry every tag.

        Parameters
        ----------
        words : str
            Looked for in note, tags, title, model, attack and classes, whatever their case; blanks separate them.
        tags : sequence of str
        first, most : int
            The page: cases to pass over, and to return at most.

        Raises
        ------
        InputError
            If there are more than `MOST_WORDS` different words.
        """
        wanted = dict.fromkeys(words.casefold().split())
        if len(wanted) > MOST_WORDS:
            raise InputError(f"A search may have at most {MOST_WORDS} different words; this one has {len(wanted):,}.")
        if not all(map(_may_occur, [*wanted, *tags])):
            return Found((), 0)
        fits = [*map(_contains, wanted), *map(_tagged, tags)]
        page = select(CaseRow.id).where(*fits).order_by(CaseRow.saved_at.desc(), CaseRow.id)
        with self._session() as session:
            total = session.scalar(select(func.count()).select_from(CaseRow).where(*fits)) or 0
            ids = session.scalars(page.offset(first).limit(most)).all()
            cases, unreadable = [], []
            for case_id in ids:
                try:
                    cases.append(_case(session, case_id))
                except InputError:
                    unreadable.append(case_id)
            return Found(tuple(cases), total, tuple(unreadable))

    def tags(self) -> tuple[str, ...]:
        """Return every tag in use, by name."""
        with self._session() as session:
            return tuple(session.scalars(select(TagRow.tag).distinct().order_by(TagRow.tag)).all())

    def delete(self, case_id: str) -> None:
        """Remove a case with its pictures, on a full disk too; one that is gone already stays gone."""
        try:
            self._delete(case_id)
        except NoRoomError:
            if self._file is None or not self._file.use_room():
                raise
            self._delete(case_id)
            self._shorten_log()
            self._file.keep_room()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _delete(self, case_id: str) -> None:
        with self._session() as session:
            session.execute(delete(CaseRow).where(CaseRow.id == case_id))

    def _shorten_log(self) -> None:
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")  # a log in use cannot be shortened
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> None:
        self._engine = open_database(self._url)
        self._file = SqliteFile(sqlite_path(self._url)) if is_sqlite(self._url) else None

    def _open_again_if_moved(self) -> None:
        with self._opening:
            if self._file is not None and self._file.moved:
                self._engine.dispose()
                self._file.forget_log()
                self._open()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """One transaction, undone by any error."""
        self._open_again_if_moved()
        try:
            with Session(self._engine) as session, session.begin():
                yield session
                if self._file is not None:
                    self._file.note_log()
        except SQLAlchemyError as error:
            if is_full(error):
                raise NoRoomError(
                    f"There is no room left on the disk for {where(self._url)}; cases can still be deleted."
                ) from error
            raise StorageError(f"The store of cases, {where(self._url)}, does not answer.") from error


def open_store() -> CaseStore:
    """Return the store that the environment names, opened once per process."""
    return _store_at(database_url())


@lru_cache(maxsize=4)
def _store_at(url: URL) -> CaseStore:
    return CaseStore(url)


_PICTURES = (undefer(CaseRow.natural_png), undefer(CaseRow.attacked_png))


def _case(session: Session, case_id: str) -> SavedCase:
    """Return one case; whatever is wrong with its row concerns no other."""
    try:
        row = session.get(CaseRow, case_id, options=_PICTURES) if _may_occur(case_id) else None
        if row is not None:
            return _checked(row)
    except (ValueError, TypeError) as error:  # the driver meets dates and JSON that are none
        raise InputError(f"The saved case {case_id} cannot be read; it can be deleted.") from error
    raise InputError("There is no saved case of that id; it may have been deleted.")


def _checked(row: CaseRow) -> SavedCase:
    case = SavedCase(record_from(row.record), row.natural_png, row.attacked_png)
    for picture in filter(None, (case.natural_png, case.attacked_png)):
        read_png(picture)
    return case


def _search_text(record: CaseRecord) -> str:
    """Return what a search looks at; folded here, because databases fold ASCII letters only."""
    classes = [image.prediction for _, image in record.numbers.images()]
    parts = [record.note, *record.tags, record.title, record.settings.bundle, record.settings.attack or "", *classes]
    return "\n".join(parts).casefold()


def _may_occur(text: str) -> bool:
    """Whether a case could hold this text: databases take neither longer ones nor such characters, even to compare."""
    return len(text) <= LONGEST_TEXT and storable(text) == text


def _contains(word: str) -> ColumnElement[bool]:
    return CaseRow.search_text.contains(word, autoescape=True)


def _tagged(tag: str) -> ColumnElement[bool]:
    return CaseRow.id.in_(select(TagRow.case_id).where(TagRow.tag == tag))
