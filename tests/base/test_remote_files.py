"""What travels to workers on other machines and back, without any process: places, contents, rights, room."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from support import remote_jobs
from support.remote_jobs import Join, Some
from telltale.base.calls import Call, do
from telltale.base.errors import InputError
from telltale.base.remote import errands
from telltale.base.remote.errands import Content, Errand, Lacking, Written, put_in_place, run_errand
from telltale.base.remote.job_files import files_read, moved, places
from telltale.base.remote.sending import Contents
from telltale.base.remote.store import Store


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def job(tmp_path: Path) -> Join:
    left, right = tmp_path / "home" / "left", tmp_path / "home" / "deep" / "right"
    right.parent.mkdir(parents=True)
    left.write_text("to")
    right.write_text("gether")
    return Join((left, right), tmp_path / "home" / "made" / "out")


def test_a_job_names_its_places_and_reads_what_is_there(job: Join, tmp_path: Path) -> None:
    assert set(places((job, [job.file], {"a": 1}))) == {*job.parts, job.file}
    assert files_read((remote_jobs.join, job)) == sorted(job.parts)
    (tmp_path / "home" / ".left-1.partial").touch()
    assert files_read(tmp_path / "home") == sorted(job.parts), "all of a folder but what is being written"
    (tmp_path / "home" / "in").touch()
    assert files_read(Some(tmp_path / "home")) == [tmp_path / "home" / "in"], "what it declares, as far as it is there"


def test_a_moved_job_is_the_same_but_for_its_places(job: Join) -> None:
    todo = (remote_jobs.join, job, "text", [3])
    again = moved(todo, lambda path: Path("/else") / path.name)
    assert again == (remote_jobs.join, Join((Path("/else/left"), Path("/else/right")), Path("/else/out")), "text", [3])
    assert again[3] is todo[3], "what holds no path is not copied"


class Worker:
    """As much of a worker as an errand asks for."""

    address, name = "tcp://elsewhere:1", "elsewhere"

    def __init__(self, folder: Path) -> None:
        self.local_directory = str(folder)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine's folder, in which errands are done."""
    folder = tmp_path / "far"
    monkeypatch.setenv("TELLTALE_CACHE", str(folder / "cache"))
    monkeypatch.setattr("distributed.get_worker", lambda: Worker(folder))
    monkeypatch.setattr(errands, "_trees", {})
    return folder


def errand(function: Any, argument: Any, session: str = "s") -> Errand:
    return Errand(session, Call(function, argument), Contents().of(files_read(argument)))


def send(asked: Errand) -> None:
    for file in asked.files:
        errands.take_piece(file.sha256, 0, file.path.read_bytes(), last=True)


def test_an_errand_says_what_it_lacks_and_then_brings_what_it_made(job: Join, far: Path) -> None:
    asked = errand(remote_jobs.join, job)
    lacking = run_errand(asked).value
    assert lacking == Lacking("tcp://elsewhere:1", tuple(sorted(file.sha256 for file in asked.files)))
    send(asked)
    assert errands.lacks(lacking.sha256s) == ()
    (written,) = run_errand(asked).value
    assert written == Written(job.file, sha256(b"together"), b"together")
    assert not job.file.exists()
    put_in_place(job, (written,))
    assert job.file.read_text() == "together"
    assert [file.name for file in job.file.parent.iterdir()] == ["out"]
    assert not [file for file in far.rglob("out") if file.is_file()], "nothing that was made stays on the worker"


def test_a_folder_holds_there_what_the_job_reads_and_nothing_else(tmp_path: Path, far: Path) -> None:
    job = Some(tmp_path / "home")
    job.folder.mkdir()
    for name in ("in", "other"):
        (job.folder / name).write_text(name)
    asked = errand(remote_jobs.see, job)
    send(asked)
    for _ in range(2):  # what the first left behind would show
        (written,) = run_errand(asked).value
        assert written.path == job.folder / "out"
        assert written.data.decode() == f"in in {far}/telltale-s{job.folder}"
    (job.folder / "in").write_text("changed")
    assert run_errand(errand(remote_jobs.see, job)).value.sha256s == (sha256(b"changed"),)


def test_what_was_written_to_in_place_comes_back_and_is_not_kept_as_what_it_was(tmp_path: Path, far: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    asked = errand(remote_jobs.append, file)
    send(asked)
    (written,) = run_errand(asked).value
    assert written.data == b"text!"
    assert run_errand(asked).value == Lacking("tcp://elsewhere:1", (sha256(b"text"),))


def test_an_error_names_the_worker_and_the_place_at_home(tmp_path: Path, far: Path) -> None:
    file = tmp_path / "home" / "out"
    outcome = run_errand(errand(remote_jobs.refuse, file))
    assert isinstance(outcome.error, InputError)
    assert str(outcome.error) == f"On the worker elsewhere: '{file}' is not accepted."
    assert "in refuse" in outcome.error.__notes__[0]
    assert not [left for left in far.rglob("out") if left.is_file()]


def test_the_next_session_finds_nothing_of_the_one_before(job: Join, far: Path) -> None:
    asked = errand(remote_jobs.join, job)
    send(asked)
    run_errand(asked)
    assert len(list(far.glob("telltale-*"))) == 1
    run_errand(errand(remote_jobs.join, job, session="t"))
    assert [folder.name for folder in far.glob("telltale-*")] == ["telltale-t"]


def test_nothing_is_put_in_place_that_was_changed_on_the_way_or_not_asked_for(job: Join, tmp_path: Path) -> None:
    good = Written(job.file, sha256(b"a"), b"a")
    with pytest.raises(ValueError, match="not arrived"):
        put_in_place(job, (good, Written(job.file, sha256(b"a"), b"b")))
    for path in (tmp_path / "home" / "made" / "other", tmp_path / "home" / "made" / "out" / ".." / ".." / "x"):
        with pytest.raises(ValueError, match="does not name"):
            put_in_place(job, (good, Written(path, sha256(b"a"), b"a")))
    assert not job.file.parent.exists() or not list(job.file.parent.iterdir())
    put_in_place(Some(tmp_path / "home"), (Written(tmp_path / "home" / "new" / "file", sha256(b"a"), b"a"),))
    assert (tmp_path / "home" / "new" / "file").read_bytes() == b"a", "a folder that is named may be filled"


def test_what_a_job_leaves_where_it_should_not_is_refused(tmp_path: Path, far: Path) -> None:
    file = tmp_path / "home" / "out"
    with pytest.raises(ValueError, match="somewhere-else', which its job does not name"):
        put_in_place(file, run_errand(errand(remote_jobs.stray, file)).value)


def test_a_file_arrives_in_pieces_and_only_as_announced(tmp_path: Path) -> None:
    store = Store(tmp_path / "sent", 100)
    name = sha256(b"abcdef")
    store.take(name, 0, b"abc", last=False)
    assert not store.holds(name)
    with pytest.raises(InputError, match="missing before byte 4"):
        store.take(name, 4, b"ef", last=True)
    store.take(name, 0, b"abc", last=False)
    store.take(name, 3, b"def", last=True)
    assert store.holds(name)
    assert (tmp_path / "sent").stat().st_mode & 0o077 == 0, "nobody else's business"
    with pytest.raises(InputError, match="another content"):
        store.take(sha256(b"x"), 0, b"y", last=True)
    assert [file.name for file in (tmp_path / "sent").iterdir()] == [name]
    with pytest.raises(InputError, match="64 hexadecimal"):
        store.take("../evil", 0, b"", last=True)


def test_a_stored_file_that_was_damaged_is_asked_for_again(tmp_path: Path) -> None:
    name = sha256(b"abc")
    Store(tmp_path, 100).take(name, 0, b"abc", last=True)
    (tmp_path / name).write_bytes(b"abd")
    later = Store(tmp_path, 100)
    assert not later.holds(name)
    assert not later.lay(name, tmp_path / "place")
    later.take(name, 0, b"abc", last=True)
    assert later.lay(name, tmp_path / "place") and (tmp_path / "place").read_bytes() == b"abc"


def test_files_that_were_used_longest_ago_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, 10)
    names = [sha256(data) for data in (b"aaaa", b"bbbb", b"cccc")]
    for age, (name, data) in enumerate(zip(names[:2], (b"aaaa", b"bbbb"), strict=True)):
        store.take(name, 0, data, last=True)
        os.utime(tmp_path / name, ns=(age, age))
    assert store.holds(names[0]), "which makes it the younger one"
    store.take(names[2], 0, b"cccc", last=True)
    assert [store.holds(name) for name in names] == [True, False, True]
    store.take(sha256(b"d" * 20), 0, b"d" * 20, last=True)
    assert store.holds(sha256(b"d" * 20)), "what has just come stays, however large"


def test_contents_follow_what_is_in_a_file(tmp_path: Path) -> None:
    file, contents = tmp_path / "file", Contents()
    file.write_bytes(b"one")
    assert contents.of([file]) == (Content(file, sha256(b"one")),)
    file.write_bytes(b"three")
    assert contents.of([file]) == (Content(file, sha256(b"three")),)


def test_a_call_without_a_worker_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a")
    assert do(Call(remote_jobs.append, tmp_path / "f")).error is None
    assert (tmp_path / "f").read_text() == "a!"
