"""Worker processes of builds: order, threads, dying workers, errors, unguarded scripts, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from support import jobs
from telltale.base import own_crew
from telltale.base.errors import InputError, WorkerLostError
from telltale.base.processes import Processes, Work

pytestmark = pytest.mark.slow

CORES = os.cpu_count() or 1


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes() as started:
        yield started


def silent(_count: int, _job: object) -> None:
    pass


def noted(folder: Path) -> list[tuple[int, float, int]]:
    """Which process, when and with how many threads, in the order of the files' names."""
    lines = [file.read_text().split() for file in sorted(folder.iterdir())]
    return [(int(pid), float(begun), int(threads)) for pid, begun, threads in lines]


def gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids)


def wait_until(true: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_jobs_begin_on_every_core_with_one_thread_each(processes: Processes, tmp_path: Path) -> None:
    first = [tmp_path / f"a{i:02}" for i in range(CORES + 1)]
    second = [tmp_path / f"b{i:02}" for i in range(CORES)]
    told: list[tuple[int, Path]] = []
    works = [Work(jobs.note, files, lambda count, file: told.append((count, file))) for files in (first, second)]
    processes.run(*works)
    found = noted(tmp_path)
    assert len({pid for pid, _, _ in found}) == CORES and os.getpid() not in {pid for pid, _, _ in found}
    assert {threads for _, _, threads in found} == {1}
    for files in (first, second):
        assert [count for count, file in told if file in files] == list(range(1, len(files) + 1))
    assert {file for _, file in told} == {*first, *second}


def test_jobs_begin_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # where there are more, a busy machine delays any of them
    first, second = ([tmp_path / f"{name}{i}" for i in range(2)] for name in "ab")
    with Processes() as one:
        one.run(Work(jobs.note, first), Work(jobs.note, second))
    begun = [when for _, when, _ in noted(tmp_path)]
    assert len(begun) == 4 and begun == sorted(begun)


def test_large_arguments_arrive_whole_and_what_jobs_share_is_made_once_per_process(
    processes: Processes, tmp_path: Path
) -> None:
    arrays = [np.random.default_rng(seed).normal(size=(40, 60_000)) for seed in range(3)]  # 19 MB each
    todo = [(tmp_path / f"{i}.npy", array) for i, array in enumerate(arrays)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        processes.run(Work(jobs.product, todo, silent))
    for i, array in enumerate(arrays):
        np.testing.assert_allclose(np.load(tmp_path / f"{i}.npy"), 2.0 * array @ array.T, rtol=1e-12)
    assert all(file.read_text() == "once\n" for file in tmp_path.glob("made-*"))


def test_renewed_processes_are_others(processes: Processes, tmp_path: Path) -> None:
    def pids(place: Path) -> set[int]:
        place.mkdir()
        processes.run(Work(jobs.note, [place / str(i) for i in range(CORES)], silent))
        return {pid for pid, _, _ in noted(place)}

    before = pids(tmp_path / "before")
    assert pids(tmp_path / "same") == before
    processes.renew()
    assert gone(before) and not pids(tmp_path / "after") & before


def test_a_job_whose_worker_dies_is_done_by_another(processes: Processes, tmp_path: Path) -> None:
    told: list[int] = []
    processes.run(Work(jobs.die, [tmp_path / "once"], lambda count, _: told.append(count)))
    assert told == [1]
    assert len(set((tmp_path / "once").read_text().split())) == 2


def test_a_job_whose_worker_dies_twice_ends_in_a_sentence(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match="Two worker processes have ended while doing the same work"):
        processes.run(Work(jobs.die, [tmp_path / "always"], silent))
    assert len((tmp_path / "always").read_text().split()) == 2
    processes.run(Work(jobs.note, [tmp_path / "again"], silent))  # the next jobs begin in new processes


def test_an_error_comes_as_it_was_raised_and_ends_what_is_under_way(tmp_path: Path) -> None:
    todo = [tmp_path / str(i) for i in range(5 * CORES)]
    with Processes() as own:
        own.run(Work(jobs.note, [tmp_path / "pid"], silent))
        with pytest.raises(InputError, match="'picture' is not accepted") as caught:
            own.run(Work(jobs.refuse, [tmp_path / "picture"], silent), Work(jobs.wait, todo, silent))
        assert "in refuse" in caught.value.__notes__[0]
        assert sum(file.exists() for file in todo) <= CORES
        assert gone({int((tmp_path / "pid").read_text().split()[0])})
        with pytest.raises(RuntimeError, match="SystemExit: 3"):
            own.run(Work(jobs.leave, [tmp_path], silent))


def test_what_done_raises_ends_the_run(tmp_path: Path) -> None:
    def stop(_count: int, _file: Path) -> None:
        raise KeyboardInterrupt

    children = psutil.Process().children
    before = set(children())
    with Processes() as own, pytest.raises(KeyboardInterrupt):
        own.run(Work(jobs.note, [tmp_path / "first"], stop), Work(jobs.wait, [tmp_path / "second"], silent))
    assert set(children()) <= before


def test_workers_that_die_before_they_begin_end_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_crew, "MOST_REPLACEMENTS", 1)
    monkeypatch.setattr("telltale.base.cluster.preload_source", _fails_in_workers)
    with Processes() as own, pytest.raises(WorkerLostError, match="die one after the other"):
        own.run(Work(jobs.note, [tmp_path / "never"], silent))


def _fails_in_workers(_parent: int, drain_stderr: bool = False) -> str:
    return "" if drain_stderr else "import os; os._exit(1)"


def test_a_scheduler_that_dies_ends_in_a_sentence(tmp_path: Path) -> None:
    def kill(_count: int, _file: Path) -> None:
        schedulers = [p for p in psutil.Process().children() if "distributed.Scheduler" in " ".join(p.cmdline())]
        max(schedulers, key=psutil.Process.create_time).kill()  # the shared fixture's is older

    first, second = tmp_path / "first", tmp_path / "second"
    with Processes() as own, pytest.raises(WorkerLostError, match="hands out work"):
        own.run(Work(jobs.note, [first], kill), Work(jobs.wait, [second], silent))


SCRIPT = """
import sys
from pathlib import Path
from support.jobs import note
from telltale.base.processes import Processes, Work

print("begun", flush=True)
folder = Path(sys.argv[1])
with Processes() as processes:
    processes.run(Work(note, [folder / "a", folder / "b"], lambda count, file: print(count, flush=True)))
    JOBS
"""


def test_a_script_needs_no_guard_around_its_code(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("JOBS", ""))
    (tmp_path / "out").mkdir()
    command = [sys.executable, str(script), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n1\n2\n", "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_a_script_that_is_ended(how: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    waiting = "from support.jobs import wait; processes.run(Work(wait, [folder / 'w'], lambda *_: None))"
    script.write_text(SCRIPT.replace("JOBS", waiting))
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(out)], stderr=subprocess.DEVNULL)
    wait_until((out / "w").exists, 120)
    left = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    assert len(left) == 1 + CORES, "a scheduler and the workers"
    process.send_signal(how)
    process.wait(120)  # a busy machine takes its time
    wait_until(lambda: gone(left))
