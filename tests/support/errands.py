"""What one visitor comes for in a tab of their own, and what it showed when nobody else was there and nothing broke."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from support.drawn_page import Page
from support.hostile import HOSTILE
from support.journeys import DETECTORS, OTHER_PAGES, WORKBENCH, Step
from support.known_cases import KnownCase
from support.session import Session

STEP_PATIENCE = 180.0
LIVE_IMAGES = "12"
LIVE_POLL_SECONDS = 1.0
HOSTILE_PICTURES = ("truncated png", "rubbish", "png header of 30000 x 30000", "gif of 500,000 frames")
TAKEN = "Your image, not attacked"
REFUSED = "The image chosen before stays."
SOURCE, UPLOAD = "image-source-digits", ":material/upload: Upload"

Pages = list[tuple[str, Page]]
Doing = Callable[[Session], Awaitable[Pages]]


@dataclass(frozen=True)
class Errand:
    """Something to do in a fresh tab.

    Attributes
    ----------
    name : str
    do : callable
        Does it, and returns (page's part of the address, page) of each page to be compared.
    shows : str
        What must stand on one of its pages where nothing failed: an errand that does nothing is always the same.
    """

    name: str
    do: Doing
    shows: str


def errands(cases: Sequence[KnownCase]) -> list[Errand]:
    """Return one errand per case with two further pages each, a live run, good uploads, and bad ones."""
    found = []
    for turn, case in enumerate(cases):
        attack = case.query["attack"].partition("~")[0]
        found.append(Errand(f"case {case.query['image']}, {attack}", _open(case, turn), case.attacked.digest))
    found.append(Errand("live run", _live(cases[0]), f"Finished. {LIVE_IMAGES} of {LIVE_IMAGES} images attacked"))
    found += [Errand(f"upload {side}", _upload(f"{side}.png", _picture(side)), TAKEN) for side in (32, 300)]
    found += [Errand(f"upload {name}", _upload("picture.png", HOSTILE[name]()), REFUSED) for name in HOSTILE_PICTURES]
    return found


def _open(case: KnownCase, turn: int) -> Doing:
    others = [OTHER_PAGES[(2 * turn + further) % len(OTHER_PAGES)] for further in range(2)]

    async def do(session: Session) -> Pages:
        pages = []
        for page in (WORKBENCH, *others):
            step = Step(page, case, case.detector(turn))
            pages.append((page, await session.show(page, step.query, STEP_PATIENCE)))
        return pages

    return do


def _live(case: KnownCase) -> Doing:
    async def do(session: Session) -> Pages:
        await session.show(DETECTORS, case.query, STEP_PATIENCE)
        await session.choose("live-count", LIVE_IMAGES, STEP_PATIENCE)
        await session.press("live-start", STEP_PATIENCE)
        async with asyncio.timeout(STEP_PATIENCE):
            while session.repeating:
                await asyncio.sleep(LIVE_POLL_SECONDS)
                await session.repeat(STEP_PATIENCE)
                if not session.repeating:  # a look that came between the last one and the page's own next run
                    await session.show(DETECTORS, case.query, STEP_PATIENCE)
        return [(DETECTORS, session.page)]

    return do


def _upload(name: str, data: bytes) -> Doing:
    async def do(session: Session) -> Pages:
        await session.show(WORKBENCH, {"bundle": "digits"}, STEP_PATIENCE)
        await session.choose(SOURCE, UPLOAD, STEP_PATIENCE)
        return [(WORKBENCH, await session.upload("upload", name, data, STEP_PATIENCE))]

    return do


def _picture(side: int) -> bytes:
    """Return a good picture: a bright stroke on black, as the digits have."""
    pixels = np.zeros((side, side), dtype=np.uint8)
    pixels[side // 5 : -side // 5, side * 2 // 5 : side * 3 // 5] = np.linspace(120, 255, side * 3 // 5 - side * 2 // 5)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
