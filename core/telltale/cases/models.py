"""The tables in which cases are kept. Migrations follow them: `core/telltale/cases/migrations/versions`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# Constraints with names can be changed by a later migration on every database.
NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING)


class CaseRow(Base):
    """One saved case.

    `record` holds all of it but the pictures; the other columns repeat what is searched or sorted by.
    """

    __tablename__ = "cases"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    saved_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    search_text: Mapped[str] = mapped_column(Text)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)
    natural_png: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    attacked_png: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    tags: Mapped[list[TagRow]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class TagRow(Base):
    """One tag of one case."""

    __tablename__ = "case_tags"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)
