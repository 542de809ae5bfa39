"""What visitors do, step by step, and whether each was shown what the same steps show to somebody who is alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from support.drawn_page import Page
from support.known_cases import KnownCase, wrong_on_detectors, wrong_on_workbench
from support.page_differences import Difference, differences
from support.session import PATIENCE, LostError, Session
from telltale.scores.titles import detector_title
from telltale_app.pages import PAGES
from telltale_app.state import SETTLING_SECONDS

WORKBENCH, DETECTORS = "", "detectors"
OTHER_PAGES = tuple(page.path for page in PAGES if page.path)
MARGIN_SECONDS = 0.1


@dataclass(frozen=True)
class Step:
    """One page of one case.

    Attributes
    ----------
    page : str
        Its part of the address.
    case : KnownCase
    detector : str
        Which one is asked for where the page is that of the detectors.
    """

    page: str
    case: KnownCase
    detector: str

    @property
    def query(self) -> dict[str, str]:
        """The query of a link to it; on the page of the detectors the scores, which are compared, are unfolded."""
        chosen = {"detector": detector_title(self.detector), "scores": "true"} if self.page == DETECTORS else {}
        return self.case.query | chosen

    def wrong(self, page: Page, session: Session) -> Iterator[Difference]:
        """Yield what a page shows otherwise than the library computes."""
        if self.page == WORKBENCH:
            yield from wrong_on_workbench(self.case, page, session.files)
        elif self.page == DETECTORS:
            yield from wrong_on_detectors(self.case, self.detector, page)


@dataclass
class Visit:
    """What became of one journey.

    Attributes
    ----------
    steps : tuple of Step
    pages : list of Page
        What was drawn, as far as it came.
    seconds : list of float
        How long each step took.
    differences : list of Difference
        Against the library, and against the same journey alone where that is known.
    positions : list of str
        What it was told of its place in the queue.
    problems : list of str
        What else went wrong, with the errors that pages showed.
    """

    steps: tuple[Step, ...]
    pages: list[Page] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether it ended before its last step was drawn."""
        return len(self.seconds) < len(self.steps)


def journeys(cases: Sequence[KnownCase], visitors: int, switches: int) -> list[tuple[Step, ...]]:
    """Share cases and page switches out among visitors.

    Each visitor opens their cases on the workbench one after another in one tab, and after the first of them further
    pages. The pages go round, so that together the visitors look at every one.
    """
    found = []
    for visitor in range(visitors):
        own = cases[visitor::visitors]
        count = switches // visitors + (visitor < switches % visitors)
        first = (switches // visitors) * visitor + min(visitor, switches % visitors)
        pages = [OTHER_PAGES[(first + turn) % len(OTHER_PAGES)] for turn in range(count)]
        steps = [Step(WORKBENCH, own[0], "")]
        steps += [Step(page, own[0], own[0].detector(visitor)) for page in pages]
        steps += [Step(WORKBENCH, case, "") for case in own[1:]]
        found.append(tuple(steps))
    return found


async def walk(
    steps: tuple[Step, ...],
    address: str,
    alone: Visit | None = None,
    start: asyncio.Barrier | None = None,
    known: dict[str, str] | None = None,
    keep: bool = False,
) -> Visit:
    """Open a tab and take every step in it; see `Visit` for what comes of it.

    Parameters
    ----------
    steps : tuple of Step
    address : str
        Of the server.
    alone : Visit, optional
        The same journey with its pages, taken by somebody who was alone.
    start : asyncio.Barrier, optional
        Where everybody waits for everybody else once connected.
    known : dict, optional
        Long texts that pages share, kept once.
    keep : bool
        Whether the pages are wanted afterwards.
    """
    visit = Visit(steps)
    waiting = start
    try:
        async with Session.open(address, known) as session:
            if waiting is not None:
                await waiting.wait()
                waiting = None
            for index, step in enumerate(steps):
                await _take(step, session, visit, index, alone, keep)
            visit.positions = session.positions
    except (LostError, TimeoutError, OSError, LookupError) as error:
        visit.problems.append(f"lost: {type(error).__name__}: {error}")
        if waiting is not None:
            await waiting.wait()  # the others start without this one
    return visit


async def _take(step: Step, session: Session, visit: Visit, index: int, alone: Visit | None, keep: bool) -> None:
    if index and step.case is not visit.steps[index - 1].case:
        # Only after a while the app takes another case from the address; see `telltale_app.state.synchronise`.
        await asyncio.sleep(max(0.0, session.first_drawn + SETTLING_SECONDS + MARGIN_SECONDS - time.monotonic()))
    began = time.monotonic()
    page = await session.show(step.page, step.query)
    visit.seconds.append(time.monotonic() - began)
    visit.problems += [f"exception on page {step.page}: {said}" for said in session.sentences if "exception:" in said]
    visit.differences += step.wrong(page, session)
    if alone is not None:
        if index < len(alone.pages):
            visit.differences += differences(step.page, alone.pages[index], page)
        else:
            visit.problems.append(f"step {index} has no page drawn alone to be compared with")
    if keep:
        visit.pages.append(page)


async def one_by_one(
    every: Sequence[tuple[Step, ...]], address: str, known: dict[str, str], told: Callable[[int], None] = lambda _: None
) -> list[Visit]:
    """Take every journey alone, one after another, and keep its pages."""
    visits = []
    for steps in every:
        visits.append(await walk(steps, address, known=known, keep=True))
        told(len(visits))
    return visits


async def all_at_once(every: Sequence[Visit], address: str, known: dict[str, str]) -> list[Visit]:
    """Take every journey again, all from the same moment on, and compare each with itself alone."""
    start = asyncio.Barrier(len(every))
    return list(await asyncio.gather(*(walk(visit.steps, address, visit, start, known) for visit in every)))


def patience_words() -> str:
    """Return how long is waited for one step before it counts as hung."""
    return f"A step that takes longer than {PATIENCE:.0f} s counts as lost."
