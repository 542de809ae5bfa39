"""Where torch work runs: single-threaded worker processes behind a scheduler. Importing this imports no torch."""

from core.engine.jobs import Job, JobStatus
from core.engine.service import Engine, get_engine

__all__ = ["Engine", "Job", "JobStatus", "get_engine"]
