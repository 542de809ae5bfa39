"""What is said of an ended process is what was seen of it: exit code, signal, memory."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from telltale.base import endings
from telltale.base.cluster import Workers
from telltale.base.endings import Ending
from telltale.engine.losses import interrupted, lost


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(0), "ended with exit code 0"),
        (Ending(3, 1_250_000_000), "ended with exit code 3, it held 1.2 GB when last looked at"),
        (Ending(-9), "was killed by signal 9 (SIGKILL)"),
        (Ending(-63), "was killed by signal 63"),
        (Ending(), "was lost and nobody saw how it ended"),
        (
            Ending(-9, 8_000_000_000, True),
            "was killed by signal 9 (SIGKILL), it held 8.0 GB when last looked at, "
            "the system was ending processes for lack of memory",
        ),
    ],
)
def test_only_what_was_seen_is_said(ending: Ending, words: str) -> None:
    assert ending.words() == words


def test_advice_on_memory_is_given_only_where_memory_ran_out() -> None:
    assert "Try fewer" not in str(lost([Ending(3), Ending(-11)]))
    assert "memory" not in str(lost([Ending(3), Ending(-11)]))
    assert str(lost([Ending(-9), Ending(-9, None, True)])).endswith("Try fewer images or smaller settings.")
    assert "lost 6 times" in str(interrupted(6))


def test_kills_for_lack_of_memory_are_counted_as_the_system_does(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 7\noom_kill_disable 0\n")
    monkeypatch.setattr(endings, "MEMORY_KILLS", tmp_path / "vmstat")
    assert endings.memory_kills() == 7
    (tmp_path / "vmstat").write_text("nothing of the kind\n")
    assert endings.memory_kills() == 0
    monkeypatch.setattr(endings, "MEMORY_KILLS", tmp_path / "none")
    assert endings.memory_kills() == 0


@pytest.mark.parametrize(("script", "code"), [("exit 70", 70), ("kill -9 $$", -signal.SIGKILL)])
def test_the_exit_code_is_that_of_the_process_before_and_after_it_was_taken_away(script: str, code: int) -> None:
    class Worker:
        process: Any = None

        async def close(self) -> None:
            await self.process.wait()

    class Cluster:
        def __init__(self) -> None:
            self.workers: dict[str, Worker] = {"one": Worker()}

        def scale(self, _count: int) -> None:
            self.workers["next"] = Worker()

    async def watch() -> None:
        cluster = Cluster()
        workers = Workers(1, cluster, cast(Any, None))
        process = await asyncio.create_subprocess_exec("sh", "-c", script)
        cluster.workers["one"].process = process
        assert await workers.exit_code(process.pid) == code
        assert await workers.replace_dead()
        assert "one" not in cluster.workers
        assert await workers.exit_code(process.pid) == code
        assert await workers.exit_code(os.getpid()) is None

    asyncio.run(watch())
