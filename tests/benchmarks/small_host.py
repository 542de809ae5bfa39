"""How much memory the whole server takes on the smallest host: ``python tests/benchmarks/small_host.py``.

One worker, the bundle of the digits, ten attacks with their analyses, and every page. Followed is the memory of all
processes together: what each holds for itself, and files (mostly libraries) with every page counted once, however many
processes share it, as under the limit of a container. The system could drop files from memory where it runs short; they
count nevertheless. The limit is held by this program, which looks five times a second and ends the server's processes
as a kernel would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.journeys import OTHER_PAGES, Step, Visit, walk  # noqa: E402
from support.known_cases import KnownCase, known_cases  # noqa: E402
from support.running_app import fresh_app  # noqa: E402
from support.server_memory import Followed, LookOnce, followed, processes_of  # noqa: E402

LOOK_EVERY = 0.2


def main(given: Sequence[str] | None = None) -> None:
    """Measure and report; ends with status 1 where the limit was passed or a page was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", type=int, default=10, help="each on an image of its own, with both analyses")
    parser.add_argument("--limit", type=float, default=900.0, help="of all processes, in MB (1,000,000 bytes)")
    parser.add_argument("--only-measure", action="store_true", help="do not end a server that passes the limit")
    asked = parser.parse_args(given)
    cases = known_cases(asked.attacks)
    with fresh_app(TELLTALE_WORKERS="1") as app:
        print("ready:", words(LookOnce()(app.pid)), flush=True)
        limit = float("inf") if asked.only_measure else asked.limit * 1e6
        visit, memory = asyncio.run(measured(cases, app.address, app.pid, limit))
        print("at the end:", words(LookOnce()(app.pid)))
    largest = memory.peak.total
    print(f"{len(visit.seconds)} pages drawn of {len(visit.steps)}, {len(visit.differences)} differences")
    print(f"largest sum: {largest / 1e6:.0f} MB (limit {asked.limit:.0f} MB), {memory.peak.at:.0f} s after the start:")
    print(" ", words(memory.peak.bytes))
    for wrong in [*visit.differences[:5], *visit.problems]:
        print(wrong)
    if largest > asked.limit * 1e6 or visit.lost or visit.differences or visit.problems:
        raise SystemExit(1)


async def measured(cases: Sequence[KnownCase], address: str, pid: int, limit: float) -> tuple[Visit, Followed]:
    """Take the whole way once while memory is followed and the limit held."""
    steps = [Step("", case, "") for case in cases]
    steps += [Step(page, cases[-1], cases[-1].detector(turn)) for turn, page in enumerate(OTHER_PAGES)]
    async with followed(pid, LookOnce(), LOOK_EVERY) as memory, held(memory, pid, limit):
        visit = await walk(tuple(steps), address)
    return visit, memory


@contextlib.asynccontextmanager
async def held(memory: Followed, pid: int, limit: float) -> AsyncIterator[None]:
    """End every process of a server once they hold more than the limit together."""

    async def hold() -> None:
        while not memory.samples or memory.samples[-1].total <= limit:
            await asyncio.sleep(LOOK_EVERY)
        for process in [one for every in processes_of(pid).values() for one in every]:
            with contextlib.suppress(psutil.Error):
                process.kill()

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()


def words(held_bytes: dict[str, int]) -> str:
    """Return what each kind of process holds, and all together."""
    parts = [f"{kind} {size / 1e6:.0f} MB" for kind, size in sorted(held_bytes.items())]
    return f"{', '.join(parts)}; together {sum(held_bytes.values()) / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
