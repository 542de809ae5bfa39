"""Keeping cases: save, list, search, read, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache

from sqlalchemy import URL, ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, undefer

from telltale.base.errors import InputError, StorageError
from telltale.cases.database import database_url, open_database, where
from telltale.cases.models import CaseRow, TagRow
from telltale.cases.reading import record_from
from telltale.cases.record import CaseRecord, SavedCase

MOST_WORDS = 12


@dataclass(frozen=True)
class Found:
    """One page of a search.

    Attributes
    ----------
    cases : tuple of SavedCase
        The latest first.
    total : int
        Cases that fit, on all pages.
    """

    cases: tuple[SavedCase, ...]
    total: int


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
        self._engine = open_database(url)

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
            If there is none.
        """
        with self._session() as session:
            row = session.get(CaseRow, case_id, options=_PICTURES)
            if row is None:
                raise InputError("There is no saved case of that id; it may have been deleted.")
            return _case(row)

    def find(self, words: str = "", tags: Sequence[str] = (), first: int = 0, most: int = 20) -> Found:
        """Return the cases in which every word occurs and that carry every tag.

        Parameters
        ----------
        words : str
            Looked for in note, tags, title, model, attack and classes, whatever their case; blanks separate them.
        tags : sequence of str
        first, most : int
            The page: cases to pass over, and to return at most.
        """
        fits = [*(_contains(word) for word in words.split()[:MOST_WORDS]), *(_tagged(tag) for tag in tags)]
        page = select(CaseRow).where(*fits).order_by(CaseRow.saved_at.desc(), CaseRow.id).options(*_PICTURES)
        with self._session() as session:
            total = session.scalar(select(func.count()).select_from(CaseRow).where(*fits)) or 0
            rows = session.scalars(page.offset(first).limit(most)).all()
            return Found(tuple(_case(row) for row in rows), total)

    def tags(self) -> tuple[str, ...]:
        """Return every tag in use, by name."""
        with self._session() as session:
            return tuple(session.scalars(select(TagRow.tag).distinct().order_by(TagRow.tag)).all())

    def delete(self, case_id: str) -> None:
        """Remove a case with its pictures; one that is gone already stays gone."""
        with self._session() as session:
            session.execute(delete(CaseRow).where(CaseRow.id == case_id))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """One transaction, undone by any error."""
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            raise StorageError(f"The store of cases, {where(self._url)}, does not answer.") from error


def open_store() -> CaseStore:
    """Return the store that the environment names, opened once per process."""
    return _store_at(database_url())


@lru_cache(maxsize=4)
def _store_at(url: URL) -> CaseStore:
    return CaseStore(url)


_PICTURES = (undefer(CaseRow.natural_png), undefer(CaseRow.attacked_png))


def _case(row: CaseRow) -> SavedCase:
    return SavedCase(record_from(row.record), row.natural_png, row.attacked_png)


def _search_text(record: CaseRecord) -> str:
    """Return what a search looks at; folded here, because databases fold ASCII letters only."""
    classes = [image.prediction for _, image in record.numbers.images()]
    parts = [record.note, *record.tags, record.title, record.settings.bundle, record.settings.attack or "", *classes]
    return "\n".join(parts).casefold()


def _contains(word: str) -> ColumnElement[bool]:
    return CaseRow.search_text.contains(word.casefold(), autoescape=True)


def _tagged(tag: str) -> ColumnElement[bool]:
    return CaseRow.id.in_(select(TagRow.case_id).where(TagRow.tag == tag))
