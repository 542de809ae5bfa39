"""People at work for a long time while the server's parts fail: ``python tests/benchmarks/soak.py --minutes 20``.

Visitors open cases, attack, switch pages, run the live ROC and upload pictures, good and hostile, each errand in a tab
of its own. First every errand is done alone on a fresh server. Then all are done again and again, in an order that the
seed decides, while workers, the scheduler and decoders are killed, a worker is stopped for ten seconds, connections are
cut and the queue is filled. The server keeps few results, so that it has something to compute.

Wrong is whatever differs from the same errand alone without a sentence that says why; a step that takes longer than
three minutes hangs. At the end, with nothing failing any more, every errand must come out as it did alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.errands import STEP_PATIENCE, Errand, Pages, errands  # noqa: E402
from support.faults import CONNECTION_CUT, QUEUE_FILLED, befall, schedule  # noqa: E402
from support.known_cases import KnownCase, known_cases  # noqa: E402
from support.page_differences import Difference, differences  # noqa: E402
from support.ready_watch import ReadyWatch, ask, watched  # noqa: E402
from support.running_app import RunningApp, fresh_app  # noqa: E402
from support.server_memory import MEGABYTE, SERVER, Followed, followed  # noqa: E402
from support.session import LostError, Session  # noqa: E402

WORKERS = 2
SECRET = "the same on both servers, as addresses of thumbnails follow from it"
ENVIRONMENT = {
    "STREAMLIT_SERVER_COOKIE_SECRET": SECRET,
    "TELLTALE_WORKERS": str(WORKERS),
    "TELLTALE_CACHE_MB": "8",
    "TELLTALE_MAX_QUEUE": "20",
}
FLOOD = 40
LIE_SECONDS = 5.0  # until a missing process is noticed and said
READY_SECONDS = 180.0  # after the last fault
GROWTH = 1.2


@dataclass
class Alone:
    """What an errand showed when nothing failed: its pages, and the sentences on them."""

    pages: Pages
    sentences: set[str]


@dataclass
class Soak:
    """What happened so far.

    Attributes
    ----------
    alone : dict of str to Alone
        By the errand's name.
    same, cut : int
        Errands that came out as alone; those whose connection was cut on purpose.
    said : Counter of str
        Sentences that took the place of a result.
    wrong, problems : list
        Differences without a sentence; whatever else went wrong.
    """

    alone: dict[str, Alone]
    same: int = 0
    cut: int = 0
    said: Counter[str] = field(default_factory=Counter)
    wrong: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    open: dict[int, Session] = field(default_factory=dict)
    cut_tabs: set[int] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)

    async def run(self, errand: Errand, address: str) -> None:
        """Do one errand in a fresh tab and judge what came of it."""
        tab = -1
        try:
            async with Session.open(address, self.known, STEP_PATIENCE) as session:
                tab = id(session)
                self.open[tab] = session
                pages = await errand.do(session)
                self._judge(errand, pages, session.sentences)
        except (LostError, OSError) as error:
            if tab in self.cut_tabs:
                self.cut += 1
            else:
                self.problems.append(f"{errand.name}: lost: {error}")
        except TimeoutError:
            self.problems.append(f"{errand.name}: hung for longer than {STEP_PATIENCE:.0f} s")
        except LookupError as error:  # a page that ended with a sentence lacks the next button
            self._explain(errand, session.sentences, str(error))
        finally:
            self.open.pop(tab, None)

    def _judge(self, errand: Errand, pages: Pages, sentences: Sequence[str]) -> None:
        alone = self.alone[errand.name]
        for (name, expected), (_, got) in zip(alone.pages, pages, strict=True):
            found = list(differences(name, expected, got))
            if found and not self._explain(errand, _alerts(got) or sentences, ""):
                self.wrong += found
            if found:
                return
        self.same += 1

    def _explain(self, errand: Errand, sentences: Sequence[str], otherwise: str) -> bool:
        """Note the sentences that stand where a result should; a problem where there is none and there should be."""
        new = [said for said in sentences if said not in self.alone[errand.name].sentences]
        self.said.update(new)
        if not new and otherwise:
            self.problems.append(f"{errand.name}: {otherwise}")
        return bool(new)


def _alerts(page: object) -> list[str]:
    return [text for _, text in page.texts("new_element.alert.body")]  # type: ignore[attr-defined]


def main(given: Sequence[str] | None = None) -> None:
    """Soak the server and report; ends with status 1 where anything hung, was lost, differed or lied."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--visitors", type=int, default=6)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--fault-every", type=float, default=25.0, help="seconds, on average")
    asked = parser.parse_args(given)
    cases = known_cases(asked.cases)
    every = errands(cases)
    with fresh_app(**ENVIRONMENT) as app:
        soak = Soak(asyncio.run(alone(every, app.address)))
    print(f"{len(every)} errands done alone", flush=True)
    with fresh_app(**ENVIRONMENT) as app:
        watch, memory, ends = asyncio.run(soaked(soak, every, cases, app, asked))
    if not report(soak, watch, memory, ends, asked.seed):
        raise SystemExit(1)


async def alone(every: Sequence[Errand], address: str) -> dict[str, Alone]:
    """Do every errand once, one after another.

    Raises
    ------
    RuntimeError
        If one does not show what it is done for.
    """
    found = {}
    for errand in every:
        async with Session.open(address) as session:
            pages = await errand.do(session)
            if not any(errand.shows in text for _, page in pages for text in page.every_text()):
                raise RuntimeError(f"{errand.name} does not show “{errand.shows}”; it says {session.sentences}")
            found[errand.name] = Alone(pages, {said for _, page in pages for said in _alerts(page)})
    return found


async def soaked(
    soak: Soak, every: Sequence[Errand], cases: Sequence[KnownCase], app: RunningApp, asked: argparse.Namespace
) -> tuple[ReadyWatch, Followed, list[str]]:
    """Let visitors and faults loose, then see whether everything is well again."""
    seconds, ends = 60.0 * asked.minutes, []
    async with watched(app.address, app.pid, WORKERS) as watch, followed(app.pid) as memory:
        until = time.monotonic() + seconds
        busy = [asyncio.create_task(visitor(soak, every, app.address, until, n, asked)) for n in range(asked.visitors)]
        await faults(soak, cases, app, schedule(seconds, asked.fault_every, asked.seed), asked.seed)
        await asyncio.gather(*busy)
        ends.append(await ready_again(app.address))
    before = soak.same
    for errand in every:
        await soak.run(errand, app.address)
    ends.append(f"afterwards {soak.same - before} of {len(every)} errands came out as alone")
    if soak.same - before < len(every):
        soak.problems.append(ends[-1])
    return watch, memory, ends


async def visitor(
    soak: Soak, every: Sequence[Errand], address: str, until: float, number: int, asked: argparse.Namespace
) -> None:
    """Do one errand after another, in an order of this visitor's own."""
    chance = random.Random(1000 * asked.seed + number)
    while time.monotonic() < until:
        await soak.run(chance.choice(every), address)


async def faults(
    soak: Soak, cases: Sequence[KnownCase], app: RunningApp, planned: Sequence[tuple[float, str]], seed: int
) -> None:
    """Let every planned fault happen at its time."""
    chance, began = random.Random(seed), time.monotonic()
    for at, fault in planned:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        done = await befall(app.pid, fault, chance)
        if fault == CONNECTION_CUT and soak.open:
            tab = chance.choice(sorted(soak.open))
            soak.cut_tabs.add(tab)
            await soak.open[tab].cut()
        elif fault == QUEUE_FILLED:
            done = await flood(soak, cases[chance.randrange(len(cases))], app.address, at)
        print(f"{time.monotonic() - began:.0f} s: {fault}{f', {done}' if done else ''}", flush=True)


async def flood(soak: Soak, case: KnownCase, address: str, at: float) -> str:
    """Ask for more at once than may wait: the case at as many false-alarm rates, which nobody has asked for before."""

    async def one(number: int) -> bool:
        alpha = f"{0.01 + 1e-4 * (number + at % 1000):.6g}"
        async with Session.open(address, soak.known, STEP_PATIENCE) as session:
            await session.show("", case.query | {"alpha": alpha}, STEP_PATIENCE)
            refused = [said for said in session.sentences if "waiting" in said]
            soak.said.update(refused)
            return bool(refused)

    answers = await asyncio.gather(*(one(number) for number in range(FLOOD)), return_exceptions=True)
    soak.problems += [
        f"flood: {type(answer).__name__}: {answer}" for answer in answers if isinstance(answer, BaseException)
    ]
    return f"{FLOOD} tabs, {sum(answer is True for answer in answers)} refused in a sentence"


async def ready_again(address: str) -> str:
    """Wait until the server calls itself ready, and say how long that took."""
    began = time.monotonic()
    while (answer := await ask(address))[0] != 200:
        if time.monotonic() - began > READY_SECONDS:
            return f"NOT ready {READY_SECONDS:.0f} s after the last fault: {answer[1]}"
        await asyncio.sleep(0.5)
    return f"ready {time.monotonic() - began:.1f} s after the last visitor left"


def report(soak: Soak, watch: ReadyWatch, memory: Followed, ends: Sequence[str], seed: int) -> bool:
    """Print everything; return whether all was well."""
    print(
        f"seed {seed}: {soak.same} errands came out as alone, {soak.cut} were cut off, {soak.said.total()} sentences "
        f"said why not, {len(soak.wrong)} differences without a sentence, {len(soak.problems)} problems"
    )
    for sentence, times in soak.said.most_common():
        print(f"  {times} x {sentence}")
    for wrong in soak.wrong[:20]:
        print(wrong)
    for problem in soak.problems[:20]:
        print(" ", problem)
    print(
        f"/ready: {len(watch.answers)} answers, {watch.not_ready} not ready ({watch.without_reason} without a reason), "
        f"{watch.unanswered} times none in time; ready with processes missing for at most {watch.longest_lie():.1f} s"
    )
    print("Resident memory:", *memory.lines(), *ends, sep="\n")
    first, last = memory.thirds(SERVER)
    grown = last > GROWTH * first + 50 * MEGABYTE
    if grown:
        print("The server's memory has grown.")
    truthful = watch.longest_lie() <= LIE_SECONDS and not watch.without_reason and not watch.unanswered
    return truthful and not (grown or soak.wrong or soak.problems or any("NOT" in end for end in ends))


if __name__ == "__main__":
    main()
