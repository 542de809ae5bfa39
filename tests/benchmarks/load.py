"""Many sessions at once, compared bit for bit with each of them alone: ``python tests/benchmarks/load.py``.

Every session speaks the browser's own protocol over its own websocket, so that the server does for each what it does
for a person's tab. Every case is computed three times:

1. alone, in this process, by the library, without server or engine;
2. alone on the pages of a fresh server, one session after another;
3. on the pages of another fresh server, by all sessions at the same moment, beside connections that only sit there.

Compared with 2 is every page of 3, element by element (see `support/drawn_page.py` for the little that is left out);
compared with 1 are on both the pixels and the SHA-256 of the natural and of the attacked image, every detector's score,
p-value and threshold in the row and column where they belong, and on the page of the detectors the doubles themselves.
A difference is printed as page, place, expected and got, and ends with exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.journeys import OTHER_PAGES, Visit, all_at_once, journeys, one_by_one, patience_words  # noqa: E402
from support.known_cases import known_cases  # noqa: E402
from support.running_app import fresh_app  # noqa: E402
from support.server_memory import Followed, followed  # noqa: E402
from support.session import Session  # noqa: E402

SHOWN_DIFFERENCES = 20
OF_A_CASE = 2  # analyses: the natural image and the attacked one
SECRET = "the same on both servers, as addresses of thumbnails follow from it"


def main(given: Sequence[str] | None = None) -> None:
    """Compute everything three times, report, and end with status 1 where anything was wrong or lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=50, help="at once")
    parser.add_argument("--idle", type=int, default=200, help="connections that only sit there, opened before")
    parser.add_argument("--analyses", type=int, default=1000, help="of images, over all sessions; two for each case")
    parser.add_argument("--switches", type=int, default=300, help="to other pages, over all sessions")
    asked = parser.parse_args(given)
    count = max(asked.sessions, asked.analyses // OF_A_CASE)
    print(f"{count} cases are computed in this process. {patience_words()}", flush=True)
    began = time.monotonic()
    planned = journeys(known_cases(count), asked.sessions, asked.switches)
    print(f"  {time.monotonic() - began:.0f} s", flush=True)
    known: dict[str, str] = {}
    with fresh_app(STREAMLIT_SERVER_COOKIE_SECRET=SECRET) as app:
        began = time.monotonic()
        alone = asyncio.run(one_by_one(planned, app.address, known))
    report("One session after another", alone, time.monotonic() - began)
    with fresh_app(STREAMLIT_SERVER_COOKIE_SECRET=SECRET) as app:
        began = time.monotonic()
        crowd, idle_lost, memory = asyncio.run(crowded(alone, asked.idle, app.address, app.pid, known))
    report("All sessions at once", crowd, time.monotonic() - began)
    print(f"{asked.idle} idle connections, {idle_lost} lost")
    print("Resident memory, from before anybody came:", *memory.lines(), sep="\n")
    compared = Counter(step.page for visit in crowd for step in visit.steps[: len(visit.seconds)])
    print("Pages compared:", ", ".join(f"{page or 'workbench'} {compared[page]}" for page in ("", *OTHER_PAGES)))
    if idle_lost or any(visit.lost or visit.differences or visit.problems for visit in (*alone, *crowd)):
        raise SystemExit(1)


async def crowded(
    alone: Sequence[Visit], idle: int, address: str, pid: int, known: dict[str, str]
) -> tuple[list[Visit], int, Followed]:
    """Let everybody come at once; return what became of them, how many idle connections were lost, and the memory."""
    async with followed(pid) as memory, contextlib.AsyncExitStack() as stack:
        sitting = [await stack.enter_async_context(Session.open(address)) for _ in range(idle)]
        visits = await all_at_once(alone, address, known)
        lost = [not await session.answers() for session in sitting]
    return visits, sum(lost), memory


def report(title: str, visits: Sequence[Visit], seconds: float) -> None:
    """Print what became of these visits."""
    lost = sum(visit.lost for visit in visits)
    wrong = sum(bool(visit.differences) for visit in visits)
    told = sum(bool(visit.positions) for visit in visits)
    steps = sum(len(visit.seconds) for visit in visits)
    print(f"{title}: {len(visits)} sessions, {lost} lost, {wrong} wrong; {steps} pages drawn in {seconds:.0f} s")
    print(f"  {told} were told their place in the queue")
    for name, taken in by_kind(visits).items():
        if len(taken):
            p95, slowest = np.quantile(taken, 0.95), np.max(taken)
            print(f"  {name}: median {np.median(taken):.2f} s, p95 {p95:.2f} s, slowest {slowest:.2f} s")
    found = [difference for visit in visits for difference in visit.differences]
    for difference in found[:SHOWN_DIFFERENCES]:
        print(difference)
    if len(found) > SHOWN_DIFFERENCES:
        print(f"  and {len(found) - SHOWN_DIFFERENCES} differences more")
    for visit in visits:
        for problem in visit.problems[:3]:
            print(f"  {visit.steps[0].case.query['image']}: {problem}")
    sys.stdout.flush()


def by_kind(visits: Sequence[Visit]) -> dict[str, list[float]]:
    """Return the seconds of a session's first page, of a case opened later, and of a switch to another page."""
    found: dict[str, list[float]] = {"first page": [], "further cases": [], "page switches": []}
    for visit in visits:
        for index, (step, taken) in enumerate(zip(visit.steps, visit.seconds, strict=False)):
            kind = "first page" if index == 0 else "page switches" if step.page else "further cases"
            found[kind].append(taken)
    return found


if __name__ == "__main__":
    main()
