"""Worker processes of a build: one thread each, gone when the build is gone."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from telltale.base.calls import Call
from telltale.base.memory import collect_and_return_memory
from telltale.base.pool import Pool
from telltale.base.progress import unheard
from telltale.base.remote.address import scheduler_address

Job = TypeVar("Job")


@dataclass(frozen=True)
class Work(Generic[Job]):
    """Jobs of one kind.

    Attributes
    ----------
    do : callable
        A module's function; it is called in another process.
    jobs : sequence
        Those that take longest first, so that no process is left with one of them at the end.
    done : callable
        Told after each job how many are finished, and which was the last; nobody is where left out.
    """

    do: Callable[[Job], None]
    jobs: Sequence[Job]
    done: Callable[[int, Job], None] = unheard


class Processes:
    """As many worker processes as there are cores, started on first use and ended with the block.

    Where ``TELLTALE_SCHEDULER`` names a scheduler, they are the workers that have joined it, on whatever machines.

    Every job writes its result to a file: what a killed build has finished is not computed again.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def renew(self) -> None:
        """End the idle processes; the next jobs begin in new ones, free of what earlier ones imported and compiled."""
        if self._pool is not None:
            self._pool.renew()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def run(self, *works: Work[Any]) -> None:
        """Do all jobs, in any order; those of a work begin when all of the works before it have begun.

        Raises
        ------
        WorkerLostError
            If a job's process died twice, or the scheduler and its workers stay away.
        InputError
            If ``TELLTALE_SCHEDULER`` names no address that may be used.
        Exception
            What a job or `done` raised; the processes are then ended, whatever they do.
        """
        jobs = [(work, job) for work in works for job in work.jobs]
        if not jobs:
            return
        finished: Counter[int] = Counter()
        try:
            if self._pool is None:
                self._pool = Pool(os.cpu_count() or 1, scheduler_address())
            for place in self._pool.do([Call(_run, (work.do, job)) for work, job in jobs]):
                work, job = jobs[place]
                finished[id(work)] += 1
                work.done(finished[id(work)], job)
        except BaseException:
            self._end()
            raise
        collect_and_return_memory()


def use_one_thread() -> None:
    """Keep this process to one thread: the order of float additions, and so every figure, depends on their number."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    torch.set_num_threads(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep this process to one thread within the block, as worker processes are kept."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


_kept: dict[Hashable, Any] = {}
_stage: list[object] = []


def kept(key: Hashable, make: Callable[[], Job]) -> Job:
    """Return what the jobs of one stage share in a worker: made for the first of them, gone when another stage begins.

    Parameters
    ----------
    key : hashable
    make : callable
    """
    if key not in _kept:
        _kept.clear()
        _kept[key] = make()
    made: Job = _kept[key]
    return made


def _run(todo: tuple[Callable[[Job], None], Job]) -> None:
    work, job = todo
    if not _stage:
        use_one_thread()
    if _stage != [work]:
        _kept.clear()
        _stage[:] = [work]
    work(job)
    collect_and_return_memory()
