"""The engine with real worker processes: order, cancelling, killed workers, shared answers, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import pytest

from telltale.base.cluster import Workers
from telltale.base.errors import CancelledError, EngineBusyError, InputError, WorkerLostError
from telltale.engine import Engine, Job, worker_state
from telltale.engine.cluster import Link, Starts
from telltale.engine.settings import Settings

pytestmark = pytest.mark.slow

TASKS = "support.engine_tasks"
PATIENCE = 120.0  # a worker that is replaced on a busy machine takes its time


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> float:
    """Return the seconds until `condition` held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"gave up waiting: {told()}"
        time.sleep(0.005)
    return time.monotonic() - start


def told() -> list[dict[str, object]]:
    """Return what every engine says of itself, and which workers and runs it knows."""
    engines = [thing for thing in gc.get_objects() if isinstance(thing, Engine) and not thing.closed]
    return [{**engine.status(), "pids": engine.worker_pids(), "active": list(engine._active)} for engine in engines]


def state(job: Job) -> str:
    return job.status().state


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[Engine]:
    engine = Engine(Settings(workers=2, bundle=""))
    engine.start()
    wait_for(engine.ready)
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine: Engine) -> Engine:
    """The shared engine, idle and complete again whatever the test before did to it."""
    wait_for(lambda: shared_engine.ready() and shared_engine.status()["running"] == 0)
    return shared_engine


@pytest.fixture
def busy(engine: Engine) -> Iterator[list[Job]]:
    """Two jobs that keep both workers busy until the test is over, however slow the machine is."""
    jobs = [engine.submit(f"{TASKS}:sleepy", seconds=3600, steps=36000, tag=f"busy {k}") for k in range(2)]
    wait_for(lambda: [state(job) for job in jobs] == ["running", "running"])
    yield jobs
    for job in jobs:
        job.cancel()


def test_a_result_comes_back_as_arrays_that_nobody_can_change(engine: Engine) -> None:
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    job = engine.submit(f"{TASKS}:double", image=image)
    result = job.result(PATIENCE)["image"]
    np.testing.assert_array_equal(result, image * 2)
    assert result.dtype == np.float32
    assert not result.flags.writeable
    assert state(job) == "done"
    assert job.status().fraction == 1.0


def test_a_job_computes_what_was_asked_even_if_the_caller_goes_on_to_change_its_array(
    engine: Engine, busy: list[Job]
) -> None:
    image = np.ones((1, 2, 2), dtype=np.float32)
    job = engine.submit(f"{TASKS}:double", image=image)
    image[:] = 7
    busy[0].cancel()
    assert job.result(PATIENCE)["image"].max() == 2


def test_progress_rises_and_tells_the_time_left(engine: Engine) -> None:
    job = engine.submit(f"{TASKS}:sleepy", seconds=2.0, steps=40, tag="progress")
    seen = []
    while state(job) in ("queued", "running"):
        seen.append(job.status())
        time.sleep(0.05)
    fractions = [status.fraction for status in seen if status.state == "running"]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 5
    half_way = [status for status in seen if status.state == "running" and 0.4 < status.fraction < 0.7]
    assert half_way
    for status in half_way:
        assert status.message.startswith("step ")
        assert status.seconds_left is not None
        assert abs(status.seconds_left - 2.0 * (1 - status.fraction)) < 0.7
    assert job.result(PATIENCE) == "progress"


def test_the_queue_is_first_in_first_out_and_counts_who_is_ahead(
    engine: Engine, busy: list[Job], tmp_path: Path
) -> None:
    jobs = [engine.submit(f"{TASKS}:sleepy", seconds=0.05, steps=1, tag=str(k)) for k in range(4)]
    assert [job.status().state for job in jobs] == ["queued"] * 4
    assert [job.status().position for job in jobs] == [0, 1, 2, 3]
    jobs[1].cancel()
    assert [job.status().position for job in jobs] == [0, None, 1, 2]
    busy[0].cancel()
    ended = []
    wait_for(
        lambda: [ended.append(job) for job in jobs if state(job) == "done" and job not in ended] and len(ended) == 3
    )
    assert ended == [jobs[0], jobs[2], jobs[3]]
    assert [job.status().position for job in ended] == [None] * 3


def test_cancelling_a_running_job_frees_its_worker_long_before_its_end(engine: Engine, busy: list[Job]) -> None:
    following = engine.submit(f"{TASKS}:pid", tag="after a cancel")
    busy[0].cancel()
    assert state(busy[0]) == "cancelled"
    wait_for(lambda: state(following) == "done")
    with pytest.raises(CancelledError, match="cancelled"):
        busy[0].result(0)
    assert state(busy[1]) == "running"


def test_cancelling_a_queued_job_keeps_it_from_ever_running(engine: Engine, busy: list[Job], tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = engine.submit(f"{TASKS}:count", log=str(log))
    assert state(job) == "queued"
    job.cancel()
    assert state(job) == "cancelled"
    assert engine.status()["queued"] == 0
    busy[0].cancel()
    assert engine.submit(f"{TASKS}:pid", tag="after a queued cancel").result(PATIENCE)
    assert not log.exists()


def test_a_result_that_is_not_there_yet_times_out_and_the_job_goes_on(busy: list[Job]) -> None:
    with pytest.raises(TimeoutError):
        busy[0].result(0.05)
    assert state(busy[0]) == "running"


def test_a_task_that_never_looks_up_is_ended_with_its_process(
    engine: Engine, busy: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telltale.engine.worker_state.SECONDS_BEFORE_ABANDON", 0.5)
    busy[0].cancel()
    job = engine.submit(f"{TASKS}:deaf", seconds=60)
    wait_for(lambda: state(job) == "running")
    before = set(engine.worker_pids())
    job.cancel()
    assert state(job) == "cancelled"
    wait_for(lambda: engine.status()["running"] == 1 and engine.ready() and set(engine.worker_pids()) != before)
    assert state(busy[1]) == "running"


def test_a_call_that_a_worker_misses_is_made_again_until_its_process_has_ended(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = []

    async def call(link: Link, function: Callable[..., object], *args: object) -> dict[str, object]:
        if function is worker_state.abandon and len(missed) < 2:
            missed.append(args)
            return {}
        return await real(link, function, *args)

    real = Link.call
    monkeypatch.setattr("telltale.engine.worker_state.SECONDS_BEFORE_ABANDON", 0.5)
    monkeypatch.setattr(Link, "call", call)
    job = engine.submit(f"{TASKS}:deaf", seconds=1000)
    wait_for(lambda: state(job) == "running")
    before = set(engine.worker_pids())
    job.cancel()
    wait_for(lambda: engine.ready() and engine.status()["running"] == 0 and set(engine.worker_pids()) != before)
    assert len(missed) == 2


def test_patience_with_lost_workers_follows_from_how_long_they_took_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    starts = Starts()

    def opened() -> Link:
        return Link(Settings(workers=1, bundle=""), None, cast(Workers, object()), now, starts)

    link = opened()
    now = 400.0
    link.check_complete()  # never complete: whoever opened it waits
    link.reports = {"worker": {}}
    link.check_complete()
    link.distrust()
    link.check_complete()
    now = 400.0 + 4 * 300.0
    link.check_complete()
    now += 1.0
    with pytest.raises(WorkerLostError, match="did not come back within 1200 seconds"):
        link.check_complete()
    assert starts.slowest == 300.0
    link = opened()  # a cluster in its place, started in a second now that the machine is idle
    now += 1.0
    link.reports = {"worker": {}}
    link.check_complete()
    assert starts.patience == 1200.0, "the slowest start is remembered"


def test_a_worker_that_is_replaced_has_its_own_time_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replacing:
        async def replace_dead(self) -> bool:
            return True

    class Client:
        async def nthreads(self) -> dict[str, int]:
            return {}

        async def run(self, *_: object, **__: object) -> dict[str, object]:
            return {}

    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    link = Link(Settings(workers=1, bundle=""), Client(), cast(Workers, Replacing()), now, Starts(slowest=2.0))
    link.reports = {"worker": {}}
    link.check_complete()
    now = 200.0
    asyncio.run(link.refresh())  # the worker is gone, and another has just been started
    link.check_complete()
    now = 208.0
    link.check_complete()
    now = 208.1
    with pytest.raises(WorkerLostError, match="within 8 seconds"):
        link.check_complete()


def test_the_errors_of_a_task_arrive_as_they_were_raised(engine: Engine) -> None:
    job = engine.submit(f"{TASKS}:refuse", what="3 x 4")
    with pytest.raises(InputError, match=r"^The image must be square\. Got 3 x 4 instead\."):
        job.result(PATIENCE)
    assert state(job) == "failed"
    assert job.status().message == "The image must be square. Got 3 x 4 instead."
    with pytest.raises(ZeroDivisionError) as caught:
        engine.submit(f"{TASKS}:divide").result(PATIENCE)
    assert "support/engine_tasks.py" in caught.value.__notes__[0]


def test_unknown_tasks_and_nameless_content_are_refused_in_a_sentence(engine: Engine) -> None:
    with pytest.raises(InputError, match="no task 'analyze'; it accepts analyse, attack"):
        engine.submit("analyze")
    with pytest.raises(InputError, match="A function cannot be part of a request"):
        engine.submit("analyse", image=wait_for)


def test_identical_requests_run_once_and_differ_by_a_single_value(engine: Engine, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    jobs = [engine.submit(f"{TASKS}:count", log=log, seconds=0.3) for _ in range(5)]
    assert [job.result(PATIENCE) for job in jobs] == [1] * 5
    assert len({job.id for job in jobs}) == 5
    later = engine.submit(f"{TASKS}:count", log=log, seconds=0.3)
    assert state(later) == "done"
    assert later.result(0) == 1
    assert engine.submit(f"{TASKS}:count", log=log, seconds=0.31).result(PATIENCE) == 2


def test_one_session_that_leaves_does_not_stop_the_others(engine: Engine, tmp_path: Path) -> None:
    request = {"seconds": 1.0, "tag": "shared"}
    first, second = (engine.submit(f"{TASKS}:sleepy", **request) for _ in range(2))
    wait_for(lambda: state(first) == "running")
    first.cancel()
    first.cancel()
    assert (state(first), state(second)) == ("cancelled", "running")
    assert second.result(PATIENCE) == "shared"
    assert state(first) == "cancelled"


def test_a_session_that_asked_twice_stops_its_work_by_cancelling_once(engine: Engine) -> None:
    request = {"seconds": 30.0, "steps": 300, "tag": "rerun"}
    first = engine.submit(f"{TASKS}:sleepy", owner="me", **request)
    again = engine.submit(f"{TASKS}:sleepy", owner="me", **request)
    wait_for(lambda: state(first) == "running")
    again.cancel()
    wait_for(lambda: engine.status()["running"] == 0, 2)
    assert (state(first), state(again)) == ("cancelled", "cancelled")


def test_a_handle_that_nobody_keeps_does_not_hold_up_a_cancel(engine: Engine) -> None:
    request = {"seconds": 30.0, "steps": 300, "tag": "dropped"}
    job = engine.submit(f"{TASKS}:sleepy", **request)
    engine.submit(f"{TASKS}:sleepy", **request)
    job.cancel()
    wait_for(lambda: engine.status()["running"] == 0, 2)


def test_asking_again_after_a_cancel_starts_afresh(engine: Engine) -> None:
    first = engine.submit(f"{TASKS}:sleepy", seconds=0.6, tag="again")
    wait_for(lambda: state(first) == "running")
    first.cancel()
    assert engine.submit(f"{TASKS}:sleepy", seconds=0.6, tag="again").result(PATIENCE) == "again"


def test_a_rebuilt_bundle_is_another_request(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(tmp_path))
    log = str(tmp_path / "log")
    answers = []
    for text in ("{}", "{}", '{"rebuilt": true}'):
        (tmp_path / "toy").mkdir(exist_ok=True)
        (tmp_path / "toy" / "manifest.json").write_text(text)
        answers.append(engine.submit(f"{TASKS}:count_with", bundle="toy", log=log).result(PATIENCE))
    assert answers == [1, 1, 2]


def test_a_full_queue_is_refused_in_a_sentence() -> None:
    engine = Engine(Settings(workers=1, bundle="", max_queue=2, scheduler="tcp://127.0.0.1:9"))
    try:
        jobs = [engine.submit(f"{TASKS}:pid", tag=str(k)) for k in range(2)]
        with pytest.raises(EngineBusyError, match=r"2 jobs are waiting.*try again"):
            engine.submit(f"{TASKS}:pid", tag="one too many")
        assert engine.submit(f"{TASKS}:pid", tag="1").status().position == 1  # joins the one that waits
        assert not engine.ready()
    finally:
        engine.close()
    assert [state(job) for job in jobs] == ["cancelled"] * 2
    with pytest.raises(EngineBusyError, match="shutting down"):
        engine.submit(f"{TASKS}:pid")


def test_one_visitors_deep_queue_delays_nobody_else(engine: Engine, busy: list[Job]) -> None:
    deep = [engine.submit(f"{TASKS}:sleepy", owner="deep", seconds=0.2, steps=2, tag=f"deep {k}") for k in range(200)]
    click = engine.submit(f"{TASKS}:sleepy", owner="other", seconds=0.2, steps=2, tag="click")
    joined = engine.submit(f"{TASKS}:sleepy", owner="third", seconds=0.2, steps=2, tag="deep 150")
    assert deep[199].status().position == 201 - 1
    assert [job.status().position for job in (deep[0], click, joined, deep[1])] == [0, 1, 2, 3]
    with pytest.raises(EngineBusyError, match="200 of your jobs are waiting, which is as many as one visitor may have"):
        engine.submit(f"{TASKS}:sleepy", owner="deep", seconds=0.2, tag="one too many")
    busy[0].cancel()
    assert click.result(PATIENCE) == "click"
    assert joined.result(PATIENCE) == "deep 150"
    left = [job for job in deep if state(job) in ("queued", "running")]
    assert len(left) > 150, "the click went before them"
    for job in deep:
        job.cancel()
    wait_for(lambda: engine.status()["queued"] == 0)


def test_what_nobody_waits_for_any_more_is_dropped(
    engine: Engine, busy: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telltale.engine.service.UNHELD_SECONDS", 1.0)
    log = tmp_path / "log"
    left, kept = engine.submit(f"{TASKS}:count", owner="gone", log=str(log)), engine.submit(f"{TASKS}:pid", tag="kept")
    assert engine.status()["queued"] == 2
    del left
    gc.collect()
    wait_for(lambda: engine.status()["queued"] == 1)
    running = busy.pop()
    run = running._run
    del running
    gc.collect()
    wait_for(lambda: run.stopping_since is not None)  # the worker is freed for what somebody waits for
    assert kept.result(PATIENCE) > 0
    assert not log.exists()


def test_whatever_is_killed_every_job_ends_or_says_why() -> None:
    """Workers and scheduler are killed again and again while jobs run; nothing hangs, and no reason is guessed."""
    engine = Engine(Settings(workers=2, bundle=""))
    try:
        jobs = [engine.submit(f"{TASKS}:sleepy", owner=k % 3, seconds=1.0, steps=20, tag=str(k)) for k in range(8)]
        for victims in ("workers", "scheduler", "workers"):
            wait_for(lambda: any(state(job) == "running" for job in jobs) and len(engine.worker_pids()) == 2)
            link = engine._link
            pids = engine.worker_pids() if victims == "workers" else [scheduler_pid(link)]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for tag, job in enumerate(jobs):
            try:
                assert job.result(PATIENCE) == str(tag)
            except WorkerLostError as error:
                assert "was killed by signal 9 (SIGKILL)" in str(error)
        wait_for(lambda: engine.ready())
        assert engine.submit(f"{TASKS}:pid", tag="after all that").result(PATIENCE) in engine.worker_pids()
    finally:
        engine.close()


def scheduler_pid(link: Link | None) -> int:
    assert link is not None and link._workers is not None
    return int(link._workers._cluster.scheduler.process.pid)


def test_a_queue_that_cannot_move_says_what_it_waits_for() -> None:
    engine = Engine(Settings(workers=1, bundle="", scheduler="tcp://127.0.0.1:9"))
    try:
        job = engine.submit(f"{TASKS}:pid")
        wait_for(lambda: "cannot be reached" in job.status().message)
        assert state(job) == "queued"
    finally:
        engine.close()


def test_a_killed_worker_costs_one_retry(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = engine.submit(f"{TASKS}:die_once", log=str(log))
    assert job.result(PATIENCE) == "finished"
    attempts = [int(line) for line in log.read_text().split()]
    assert len(set(attempts)) == 2
    wait_for(lambda: engine.ready() and attempts[0] not in engine.worker_pids())
    assert len(engine.worker_pids()) == 2


def test_sigkill_from_outside_is_survived_and_the_worker_replaced(engine: Engine, busy: list[Job]) -> None:
    before = set(engine.worker_pids())
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: engine.ready() and not before & set(engine.worker_pids()))
    assert engine.submit(f"{TASKS}:pid", tag="elsewhere").status().state == "queued"
    assert [state(job) for job in busy] == ["running", "running"]


def test_a_job_that_is_handed_out_while_every_worker_has_just_ended_is_done(engine: Engine) -> None:
    before = set(engine.worker_pids())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)  # the scheduler has noticed, and the engine, which looks each second, mostly has not
    jobs = [engine.submit(f"{TASKS}:pid", tag=f"handed out {k}") for k in range(2)]
    assert not before & {job.result(PATIENCE) for job in jobs}


def test_what_was_done_or_cancelled_is_not_computed_again_when_its_worker_dies(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = [engine.submit(f"{TASKS}:count", log=str(log), seconds=k / 100) for k in range(4)]
    assert sorted(job.result(PATIENCE) for job in done)[-1] == 4
    cancelled = engine.submit(f"{TASKS}:sleepy", seconds=3600, steps=36000, tag="cancelled before")
    wait_for(lambda: state(cancelled) == "running")
    cancelled.cancel()
    wait_for(lambda: engine.status()["running"] == 0)
    before = set(engine.worker_pids())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: engine.ready() and not before & set(engine.worker_pids()))
    after = [engine.submit(f"{TASKS}:sleepy", seconds=0.5, steps=5, tag=f"after {k}") for k in range(2)]
    assert [job.result(PATIENCE) for job in after] == ["after 0", "after 1"], "both workers are free"
    assert len(log.read_text().splitlines()) == 4


def test_a_job_that_kills_its_worker_twice_fails_in_a_sentence_and_others_go_on(engine: Engine) -> None:
    other = engine.submit(f"{TASKS}:sleepy", seconds=2.0, tag="bystander")
    wait_for(lambda: state(other) == "running")
    job = engine.submit(f"{TASKS}:die", tag="twice")
    with pytest.raises(WorkerLostError) as lost:
        job.result(PATIENCE)
    seen = r"ended with exit code 3(, it held \d\.\d GB when last looked at)?"
    told = rf"2 worker processes have ended while doing this, and nothing .*\. The first {seen}; the next {seen}\."
    assert re.fullmatch(told, str(lost.value)), "what was seen, and no guess"
    assert state(job) == "failed"
    assert other.result(PATIENCE) == "bystander"


def test_a_killed_scheduler_is_replaced_and_its_jobs_run_again() -> None:
    engine = Engine(Settings(workers=1, bundle=""))
    try:
        job = engine.submit(f"{TASKS}:sleepy", seconds=1.5, steps=30, tag="twice over")
        wait_for(lambda: state(job) == "running")
        scheduler = set(children(os.getpid())) - set(engine.worker_pids())
        parents = [pid for pid in scheduler if "scheduler.json" in " ".join(psutil.Process(pid).cmdline())]
        os.kill(max(parents, key=lambda pid: psutil.Process(pid).create_time()), signal.SIGKILL)
        assert job.result(PATIENCE) == "twice over"
    finally:
        engine.close()


def test_an_existing_scheduler_is_used_by_its_address(tmp_path: Path) -> None:
    address_file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address_file)]
    processes = [subprocess.Popen([*dask, "scheduler", *options], **quiet)]
    try:
        wait_for(lambda: address_file.exists() and "tcp://" in address_file.read_text())
        address = address_file.read_text().split('"address": "')[1].split('"')[0]
        worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        processes.append(subprocess.Popen([*worker, "--local-directory", str(tmp_path)], **quiet))
        engine = Engine(Settings(scheduler=address, bundle=""))
        assert engine.submit(f"{TASKS}:pid").result(PATIENCE) == processes[1].pid
        wait_for(engine.ready)
        job = engine.submit(f"{TASKS}:sleepy", seconds=3600, steps=36000)
        wait_for(lambda: state(job) == "running")
        job.cancel()
        wait_for(lambda: engine.status()["running"] == 0)
        engine.close()
        assert processes[1].poll() is None, "somebody else's worker was ended"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_workers_that_cannot_load_the_bundle_are_not_ready_and_say_why() -> None:
    engine = Engine(Settings(workers=1, bundle="no-such-bundle"))
    try:
        engine.start()
        wait_for(lambda: "could not load the bundle 'no-such-bundle'" in str(engine.status()["reason"]))
        assert not engine.ready()
        assert engine.submit(f"{TASKS}:add", a=1, b=2).result(PATIENCE) == 3
    finally:
        engine.close()


CLIENT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in its background ignores it
import numpy as np
from telltale.engine import get_engine
assert "torch" not in sys.modules and "distributed" not in sys.modules
engine = get_engine()
assert engine is get_engine()
assert engine.submit("support.engine_tasks:add", a=1, b=2).result(60) == 3
print(*engine.worker_pids(), flush=True)
"""


TORCH = """
result = engine.submit("support.engine_tasks:with_torch", image=np.ones((1, 4, 4), np.float32)).result(60)
assert result["sum"] == 16 and result["threads"] == 1, result
names = engine.submit("support.engine_tasks:threads").result(60)
assert set(names.values()) == {"1"}, names
try:
    engine.submit("support.engine_tasks:fail_in_torch").result(60)
except RuntimeError as error:
    assert str(error) == "OutOfMemoryError: the card is full", error
else:
    raise AssertionError("nothing was raised")
assert "torch" not in sys.modules, "torch came into the client process"
"""


def children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def start_client(script: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "TELLTALE_BUNDLE": "", "TELLTALE_WORKERS": "1"}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, cwd="/", stdout=subprocess.PIPE, text=True)


def test_torch_stays_out_of_the_client_and_no_process_is_left_after_exit() -> None:
    client = start_client(CLIENT + TORCH)
    output, _ = client.communicate(timeout=60)
    assert client.returncode == 0
    wait_for(lambda: not psutil.pid_exists(int(output)), 5)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_when_the_client_is_ended(how: signal.Signals) -> None:
    client = start_client(CLIENT + "time.sleep(120)")
    assert client.stdout is not None
    assert client.stdout.readline()
    left = children(client.pid)
    assert len(left) == 2, "a scheduler and a worker"
    client.send_signal(how)
    client.wait(20)
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in left), 5)


def test_a_cluster_whose_lost_worker_stays_away_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(_: Workers) -> bool:
        """Stand in for a replacement that never happens."""
        return False

    monkeypatch.setattr(Workers, "replace_dead", nobody)
    monkeypatch.setattr("telltale.engine.cluster.STARTS_OF_PATIENCE", 0.01)
    engine = Engine(Settings(workers=1, bundle=""))
    engine.start()
    try:
        wait_for(engine.ready)
        before = set(engine.worker_pids())
        os.kill(before.pop(), signal.SIGKILL)
        wait_for(lambda: not engine.ready())
        wait_for(engine.ready)
        assert engine.submit(f"{TASKS}:sleepy", seconds=0.1, steps=1, tag="after").result(PATIENCE) is not None
    finally:
        engine.close()
