"""An engine without processes: every task is done at once, here, by the function that a worker would call."""

from __future__ import annotations

from typing import Any

from telltale.engine import tasks
from telltale.engine.jobs import JobStatus


class DirectJob:
    def __init__(self, value: Any, error: Exception | None) -> None:
        self.id, self._value, self._error = "direct", value, error

    def status(self) -> JobStatus:
        return JobStatus("done" if self._error is None else "failed", fraction=1.0, message=str(self._error or ""))

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        if self._error is not None:
            raise self._error
        return self._value

    def cancel(self) -> None:
        pass


class DirectEngine:
    closed = False

    def submit(self, task: str, /, *, owner: object = None, **arguments: Any) -> DirectJob:
        del owner
        try:
            return DirectJob(getattr(tasks, task)(lambda _fraction, _message="": None, **arguments), None)
        except Exception as error:
            return DirectJob(None, error)

    def ready(self) -> bool:
        return True

    def status(self) -> dict[str, object]:
        return {"ready": True, "reason": ""}
