"""Where torch work runs: single-threaded worker processes behind a scheduler. Importing this imports no torch."""

from telltale.engine.jobs import Job, JobStatus
from telltale.engine.service import Engine, get_engine

__all__ = ["Engine", "Job", "JobStatus", "get_engine"]
