"""Jobs on somebody else's cluster over TLS while workers, the scheduler and the way to it are lost and come back."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import dask
import distributed  # noqa: F401  # its settings must be there before any of them is changed
import psutil
import pytest

from support import jobs, remote_jobs
from support.certificates import make_certificates, settings
from support.clusters import Cluster, free_port
from support.remote_jobs import Join
from telltale.base.errors import InputError, WorkerLostError
from telltale.base.processes import Processes, Work
from telltale.base.remote import crew, roster
from telltale.base.remote.address import SCHEDULER_VARIABLE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificates, is missing"),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return make_certificates(tmp_path_factory.mktemp("certificates") / "made")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, str]) -> Iterator[Cluster]:
    """A cluster with one worker; every test leaves it so."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), "tls", certificates)
    try:
        cluster.start_worker("one")
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def named(cluster: Cluster, certificates: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, named to this process, which knows the certificates."""
    monkeypatch.setenv(SCHEDULER_VARIABLE, cluster.address)
    with dask.config.set(settings(certificates)):
        yield cluster


def worker_process(cluster: Cluster, name: str) -> psutil.Process:
    """Return the process that computes, below the one that looks after it."""
    below = psutil.Process(cluster.workers[name].pid).children()
    (process,) = (child for child in below if "spawn_main" in " ".join(child.cmdline()))
    return process


def test_files_travel_there_and_back_and_errors_do(named: Cluster, tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).write_text(name * 3_000_000)  # more than one piece
    todo = [Join((tmp_path / "left", tmp_path / "right"), tmp_path / "out" / str(i)) for i in range(3)]
    with Processes() as processes:
        processes.run(Work(remote_jobs.join, todo))
        sent = named.folder / "cache-one" / "sent"
        assert len(list(sent.iterdir())) == 2
        assert all(job.file.read_text() == "left" * 3_000_000 + "right" * 3_000_000 for job in todo)
        assert not list((tmp_path / "out").glob(".*")), "nothing half-written is left"
        processes.run(Work(jobs.note, [tmp_path / "note"]))
        assert (tmp_path / "note").read_text().split()[2] == "1", "one thread"
        with pytest.raises(InputError, match=r"^On the worker one: '.*refused' is not accepted\."):
            processes.run(Work(remote_jobs.refuse, [tmp_path / "refused"]))
    assert not (tmp_path / "refused").exists()


def test_a_worker_that_is_killed_costs_a_job_its_first_try(named: Cluster, tmp_path: Path) -> None:
    lost = []

    def kill(count: int, _file: Path) -> None:
        if count == 1:  # the second is under way, or about to be
            process = worker_process(named, "one")
            lost.append(process.pid)
            process.send_signal(signal.SIGKILL)

    todo = [tmp_path / str(i) for i in range(3)]
    with Processes() as processes:
        processes.run(Work(remote_jobs.slow, todo, kill))
    (gone,) = lost
    ran_in = [int(file.read_text()) for file in todo]
    assert ran_in[0] == gone and gone not in ran_in[1:]


def test_a_job_that_kills_every_worker_ends_in_a_sentence(named: Cluster, tmp_path: Path) -> None:
    with Processes() as processes, pytest.raises(WorkerLostError, match="Three workers were lost while doing the same"):
        processes.run(Work(remote_jobs.die, [tmp_path / "never"]))


def test_a_scheduler_that_is_restarted_costs_time_and_nothing_else(named: Cluster, tmp_path: Path) -> None:
    def restart(count: int, _file: Path) -> None:
        if count == 1:
            named.scheduler.kill()
            named.scheduler.wait()
            named.start_scheduler()

    joined = named.said("one").count("Joined")
    todo = [tmp_path / str(i) for i in range(3)]
    with Processes() as processes:
        processes.run(Work(remote_jobs.slow, todo, restart))
    assert all(file.exists() for file in todo)
    assert "was lost; looking for it" in named.said("one")
    assert named.said("one").count("Joined") > joined


def test_a_scheduler_that_does_not_answer_for_a_while_does_no_harm(named: Cluster, tmp_path: Path) -> None:
    stopped = psutil.Process(named.scheduler.pid)

    def pause(count: int, _file: Path) -> None:
        if count == 1:
            stopped.suspend()
            Timer(3 * roster.ANSWER_SECONDS, stopped.resume).start()

    todo = [tmp_path / str(i) for i in range(2)]
    with Processes() as processes:
        processes.run(Work(remote_jobs.slow, todo, pause))
    assert all(file.exists() for file in todo)


def test_whoever_stays_away_ends_in_a_sentence(named: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_count: int, _file: Path) -> None:
        named.scheduler.kill()
        named.scheduler.wait()

    monkeypatch.setattr(crew, "PATIENCE_SECONDS", 10.0)
    todo = [tmp_path / str(i) for i in range(2)]
    with Processes() as processes, pytest.raises(WorkerLostError, match=r"does not answer.* Waited for \d+ s\. What"):
        processes.run(Work(remote_jobs.slow, todo, kill))
    assert todo[0].exists()
    joined = named.said("one").count("Joined")
    named.start_scheduler()
    named.wait_for_joining("one", joined + 1)


def test_a_worker_with_other_code_is_refused_by_name(
    named: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: dict[str, str]
) -> None:
    monkeypatch.setattr(crew, "REFUSAL_SECONDS", 5.0)
    root = Path(crew.__file__).parents[4]
    shutil.copytree(root / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "core" / "telltale" / "base" / "clock.py").write_text("")
    other = Cluster(tmp_path, "tls", certificates)
    try:
        other.start_worker("changed", {"PYTHONPATH": f"{tmp_path / 'core'}:{root / 'tests'}"})
        monkeypatch.setenv(SCHEDULER_VARIABLE, other.address)
        with (
            Processes() as processes,
            pytest.raises(WorkerLostError, match=r"worker changed .*another version"),
        ):
            processes.run(Work(jobs.note, [tmp_path / "note"]))
    finally:
        other.stop()


def test_who_has_no_certificate_is_not_let_in(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = make_certificates(tmp_path / "stranger")
    monkeypatch.setenv(SCHEDULER_VARIABLE, cluster.address)
    with dask.config.set({"distributed.comm.tls.ca-file": None}):
        with Processes() as processes, pytest.raises(InputError, match="CA_FILE names none"):
            processes.run(Work(jobs.note, [tmp_path / "note"]))
        with (
            dask.config.set(settings(stranger)),
            Processes() as processes,
            pytest.raises(WorkerLostError, match="No scheduler can be reached at tls://"),
        ):
            processes.run(Work(jobs.note, [tmp_path / "note"]))


def test_where_no_scheduler_is_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telltale.base.remote.connecting.CONNECT_SECONDS", 1.0)
    monkeypatch.setenv(SCHEDULER_VARIABLE, f"tcp://127.0.0.1:{free_port()}")
    with Processes() as processes, pytest.raises(WorkerLostError, match=r"^No scheduler can be reached at tcp://127"):
        processes.run(Work(jobs.note, [tmp_path / "note"]))
