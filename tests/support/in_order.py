"""Worker processes' place taken by this process."""

from __future__ import annotations

from typing import Any

from telltale.base.processes import Processes, Work


class InOrder(Processes):
    """Does all jobs here and in order, so that it is known what an interrupted run has finished."""

    def run(self, *works: Work[Any]) -> None:
        for work in works:
            for count, job in enumerate(work.jobs, start=1):
                work.do(job)
                work.done(count, job)
