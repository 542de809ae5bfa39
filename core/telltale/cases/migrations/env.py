"""What Alembic runs: the steps, inside the transaction of the connection that `telltale.cases.database` hands over."""

from __future__ import annotations

from alembic import context

from telltale.cases.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True
)
context.run_migrations()
