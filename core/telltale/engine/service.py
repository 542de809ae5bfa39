"""The engine: a bounded queue in front of worker processes, owned by one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np

from telltale.analysis.kept import bundle_stamp
from telltale.base.endings import Ending
from telltale.base.errors import CancelledError, EngineBusyError, WorkerLostError
from telltale.base.outcomes import Outcome, portable_error
from telltale.base.remote.asking import WorkersGoneError
from telltale.base.waiting import within
from telltale.engine import tasks, worker_state
from telltale.engine.cache import ResultCache, fingerprint, freeze
from telltale.engine.cluster import Link, Starts
from telltale.engine.fair_queue import FairQueue
from telltale.engine.jobs import CANCELLED, Job, Run
from telltale.engine.losses import interrupted, lost
from telltale.engine.others_workers import BUNDLE_ARGUMENTS
from telltale.engine.settings import Settings

logger = logging.getLogger(__name__)

PULSE_SECONDS = 0.25
QUIET_PULSE_SECONDS = 1.0
RECONNECT_SECONDS = 1.0
REFRESH_SECONDS = 12.0
CLOSE_SECONDS = 10.0
MOST_LOSSES = 1
MOST_INTERRUPTIONS = 5
UNHELD_SECONDS = 30.0  # far longer than a page takes to run again and ask for the same


class Engine:
    """Runs tasks in worker processes; safe to use from any number of threads.

    Parameters
    ----------
    settings : Settings, optional
        Taken from the environment where not given.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.from_environment()
        self._lock = threading.RLock()
        self._waiting = FairQueue()
        self._starts = Starts()
        self._active: dict[str, Run] = {}
        self._shared: dict[str, Run] = {}  # by content: what an identical request may join
        self._cache: ResultCache[Any] = ResultCache(self._settings.cache_bytes)
        self._link: Link | None = None
        self._fault = ""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()  # something to dispatch
        self._alarm = asyncio.Event()  # something to look into before the next pulse
        self._executions: set[asyncio.Task[None]] = set()
        self._topic = f"telltale-progress-{uuid.uuid4().hex}"

    # What pages use ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers in the background; returns at once, and does nothing when called again."""
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run_loop, name="telltale-engine", daemon=True)
            self._thread.start()
        atexit.register(self.close)

    def submit(self, task: str, /, *, owner: object = None, **kwargs: Any) -> Job:
        """Queue a task; an identical request that is under way or was answered before costs nothing.

        Parameters
        ----------
        task : str
            Name in `telltale.engine.tasks.REGISTRY`, or ``module:function``.
        owner : optional
            Whatever identifies the session that asks. One that asks for the same thing again, as a page does on every
            rerun, counts once: cancelling any of its jobs ends its interest in the run.
        **kwargs
            Arguments of the task: numbers, text, arrays and containers of these.

        Raises
        ------
        InputError
            If there is no such task or an argument has no defined content.
        EngineBusyError
            If too many jobs are waiting.
        """
        path = tasks.resolve(task)
        # The caller may go on to change its arrays; the run must compute what was asked for.
        arguments = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in kwargs.items()}
        # A rebuilt bundle makes another request.
        stamp = " ".join(bundle_stamp(str(kwargs[name])) for name in BUNDLE_ARGUMENTS if name in kwargs)
        key = fingerprint((path, stamp, arguments))
        job = self._find_or_queue(key, path, arguments, owner)
        self.start()
        self._wake()
        return job

    def ready(self) -> bool:
        """Whether every expected worker holds the default bundle."""
        return not self._reason()

    def _reason(self) -> str:
        link = self._link
        return self._fault or (link.fault() if link else "The workers are starting.")

    @property
    def closed(self) -> bool:
        """Whether the engine has ended for good."""
        return self._closing

    def status(self) -> dict[str, object]:
        """Return what the readiness route shows."""
        link, reason = self._link, self._reason()
        with self._lock:
            counts = {"queued": len(self._waiting), "running": len(self._active)}
        return {
            "ready": not reason,
            "reason": reason,
            "bundle": self._settings.bundle,
            "workers": len(link.reports) if link else 0,
            "expected": link.expected_workers if link else self._settings.workers,
            "refused": link.refused if link else [],
            **counts,
        }

    def worker_pids(self) -> list[int]:
        """Return the process ids of the connected workers."""
        link = self._link
        return [int(state["pid"]) for state in link.reports.values()] if link else []

    def close(self) -> None:
        """End every job and every process of this engine; it takes no jobs afterwards."""
        with self._lock:
            self._closing = True
            self._fault = "The engine is closed."
            thread = self._thread
        self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_SECONDS)
        self._cancel_everything()
        atexit.unregister(self.close)

    # What jobs use ----------------------------------------------------------------------------------------------------

    def position(self, run: Run) -> int:
        """Return how many runs wait ahead of this one."""
        with self._lock:
            return list(self._waiting).index(run) if run in self._waiting else 0

    def obstacle(self) -> str:
        """Return what keeps every job from running now; "" where nothing does."""
        return self._fault

    def leave(self, run: Run, job: Job) -> None:
        """Take a job, and its owner's other jobs, off a run; the last one to leave stops it."""
        with self._lock:
            for holder in list(run.holders):
                if holder is job or (job.owner is not None and holder.owner == job.owner):
                    run.holders.discard(holder)
            if run.result.done():
                return
            if run.holders:
                if all(holder.owner != job.owner for holder in run.holders):
                    self._waiting.leave(run, job.owner)
                return
            self._give_up(run)

    def _give_up(self, run: Run) -> None:
        """Stop a run that nobody waits for."""
        self._forget(run)
        if run in self._waiting:
            self._waiting.remove(run)
            run.fail(CancelledError(CANCELLED))
            return
        run.stopping_since = time.monotonic()
        self._soon(self._stop(run))

    def _drop_unheld(self) -> None:
        """Stop what nobody has waited for in a while: whoever did has left, or asks for something else."""
        now = time.monotonic()
        with self._lock:
            for run in [*self._waiting, *self._active.values()]:
                if run.holders or run.stopping_since is not None:
                    run.unheld_since = None
                elif run.unheld_since is None:
                    run.unheld_since = now
                elif now - run.unheld_since > UNHELD_SECONDS:
                    self._give_up(run)

    # Queue ------------------------------------------------------------------------------------------------------------

    def _find_or_queue(self, key: str, path: str, arguments: Mapping[str, Any], owner: object) -> Job:
        with self._lock:
            run = self._shared.get(key)
            if run is None:
                run = self._answered_or_new(key, path, arguments, owner)
            elif run in self._waiting:
                self._waiting.add(run, owner)  # whoever joins it does not wait longer than for one of their own
            job = Job(self, run, owner)
            run.holders.add(job)
            return job

    def _answered_or_new(self, key: str, path: str, arguments: Mapping[str, Any], owner: object) -> Run:
        run = Run(key, path, arguments)
        answer = self._cache.get(key)
        if answer is not None:
            run.succeed(answer[0])
            return run
        if self._closing:
            raise EngineBusyError("Telltale is shutting down and takes no further work.")
        self._refuse_too_many(owner)
        self._waiting.add(run, owner)
        self._shared[key] = run
        return run

    def _refuse_too_many(self, owner: object) -> None:
        own = self._waiting.count(owner)
        if owner is not None and own >= self._settings.visitor_queue:
            raise EngineBusyError(
                f"{own} of your jobs are waiting, which is as many as one visitor may have; cancel some, or try again "
                "when some are done."
            )
        if len(self._waiting) >= self._settings.max_queue:
            raise EngineBusyError(
                f"{len(self._waiting)} jobs are waiting, which is as many as Telltale takes; try again in a minute."
            )

    def _forget(self, run: Run) -> None:
        if self._shared.get(run.key) is run:
            del self._shared[run.key]

    def _settle(self, run: Run, outcome: Outcome) -> None:
        with self._lock:
            self._active.pop(run.id, None)
            self._forget(run)
            if outcome.cancelled or run.stopping_since is not None:
                run.fail(CancelledError(CANCELLED))
            elif outcome.error is not None:
                run.fail(outcome.error)
            else:
                value = freeze(outcome.value)
                self._cache.put(run.key, (value,))
                run.succeed(value)

    def _lose(self, run: Run, ending: Ending) -> None:
        """Put a run whose worker has ended back in front of the queue, once."""
        run.endings.append(ending)
        self._put_back(run, None if len(run.endings) <= MOST_LOSSES else lost(run.endings))

    def _interrupt(self, run: Run) -> None:
        """Put a run back whose scheduler has ended, or whose workers were given up: neither is the run's doing."""
        run.interruptions += 1
        self._put_back(run, None if run.interruptions <= MOST_INTERRUPTIONS else interrupted(run.interruptions))

    def _put_back(self, run: Run, error: WorkerLostError | None) -> None:
        if error is not None or run.stopping_since is not None or self._closing:
            self._settle(run, Outcome(error=error or CancelledError(CANCELLED)))
            return
        with self._lock:
            self._active.pop(run.id, None)
            self._waiting.put_back(run)

    def _cancel_everything(self) -> None:
        with self._lock:
            for run in [*self._waiting, *self._active.values()]:
                run.fail(CancelledError(CANCELLED))
            self._waiting.clear()
            self._active.clear()
            self._shared.clear()

    # Event loop -------------------------------------------------------------------------------------------------------

    def _run_loop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main())

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._news.set)

    def _soon(self, coroutine: Any) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            coroutine.close()
            return
        asyncio.run_coroutine_threadsafe(coroutine, loop)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._closing:
            try:
                await self._connect_and_serve()
            except Exception as error:
                logger.warning("The engine lost its workers.", exc_info=True)
                self._fault = f"The workers cannot be reached: {type(error).__name__}: {error}"
            if not self._closing:
                await _wait(self._news, RECONNECT_SECONDS)

    async def _connect_and_serve(self) -> None:
        opening = asyncio.ensure_future(Link.open(self._settings, self._starts))
        while not opening.done() and not self._closing:
            await asyncio.wait({opening}, timeout=PULSE_SECONDS)
        if self._closing:
            opening.cancel()  # an unreachable scheduler must not hold up the exit
        link = await opening
        self._end_before_distributed()
        self._link, self._fault = link, ""
        pulse = asyncio.create_task(self._pulse(link))
        try:
            link.client.subscribe_topic(self._topic, self._on_progress)
            while link.alive and not self._closing and not pulse.done():
                self._dispatch(link)
                await _wait(self._news, PULSE_SECONDS)
            if pulse.done():
                pulse.result()
        finally:
            pulse.cancel()
            self._link = None
            with contextlib.suppress(TimeoutError):
                await within(REFRESH_SECONDS, link.close())
            await asyncio.gather(*self._executions, pulse, return_exceptions=True)

    def _end_before_distributed(self) -> None:
        # The last registered runs first at exit. Left as it was, distributed, imported since, would end the scheduler
        # under this engine's client, which would then complain at length.
        atexit.unregister(self.close)
        atexit.register(self.close)

    async def _pulse(self, link: Link) -> None:
        """Keep the workers complete and know what they hold."""
        while True:
            try:
                await within(REFRESH_SECONDS, link.refresh())
                self._fault = ""
            except (TimeoutError, OSError) as error:  # a busy scheduler; a dead one shows in `link.alive`
                self._fault = f"The workers do not answer: {type(error).__name__}."
            link.check_complete()
            self._drop_unheld()
            self._wake()
            stopping = await self._see_to_stopping(link)
            await _wait(self._alarm, PULSE_SECONDS if stopping or not self.ready() else QUIET_PULSE_SECONDS)

    def _dispatch(self, link: Link) -> None:
        # One run per worker: what waits here can still be cancelled and counted exactly.
        with self._lock:
            busy = {run.worker for run in self._active.values()}
            free = [address for address in link.reports if address not in busy]
            while self._waiting and free and len(self._active) < len(link.reports):
                run = self._waiting.take()
                run.worker = free.pop()
                self._active[run.id] = run
                execution = asyncio.get_running_loop().create_task(self._execute(link, run))
                self._executions.add(execution)
                execution.add_done_callback(self._executions.discard)

    async def _execute(self, link: Link, run: Run) -> None:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        call = worker_state.Call(run.id, self._topic, run.path, run.kwargs)
        try:
            run.attempts += 1
            future = link.submit(call, f"{run.id}-{run.attempts}", run.worker)
            try:
                outcome = await link.answer(future, run.worker)
            finally:
                # Still asked for, it would be computed again for nobody once the worker that holds its result ends.
                future.release()
        except KilledWorker as error:
            ending = await link.ending(error.last_worker.address)
            link.distrust()
            self._lose(run, ending)
            self._alarm.set()
            return
        except (FutureCancelledError, WorkersGoneError):
            link.distrust()
            self._interrupt(run)
            self._alarm.set()
            return
        except Exception as error:
            outcome = Outcome(error=portable_error(error))
        self._settle(run, outcome)
        self._wake()

    def _on_progress(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        with self._lock:
            run = self._active.get(message["run"])
            if run is not None:
                run.note(float(message["fraction"]), str(message["message"]))

    async def _stop(self, run: Run) -> None:
        link = self._link
        if link is not None:
            await link.call(worker_state.cancel, run.id)

    async def _see_to_stopping(self, link: Link) -> bool:
        """Tell again whoever runs a cancelled run, and in the end free its worker by ending the process."""
        with self._lock:
            stopping = [(run, run.stopping_since) for run in self._active.values() if run.stopping_since is not None]
        for run, since in stopping:
            # Again, because the worker may have joined after the first time: the scheduler restarts lost runs.
            await link.call(worker_state.cancel, run.id)
            if time.monotonic() - since > worker_state.SECONDS_BEFORE_ABANDON:
                # The run stays on the list until its worker has ended: a busy machine may miss the first call.
                await link.call(worker_state.abandon, run.id)
        return bool(stopping)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for `event` and take it back, or for `seconds`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    event.clear()


_engine: Engine | None = None
_engine_lock = threading.Lock()


def get_engine() -> Engine:
    """Return the engine of this process; the first call starts its workers in the background."""
    global _engine
    with _engine_lock:
        if _engine is None or _engine.closed:
            _engine = Engine()
        _engine.start()
        return _engine
