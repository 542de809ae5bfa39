"""Many sessions at once, each with an attack of its own, against a real server: ``python tests/benchmarks/load.py``.

Every session speaks the browser's own protocol over its own websocket, so that the server does for each what it does
for a person's tab. First every case is computed alone in this process, without server or engine; then all sessions ask
at the same moment. Reported are sessions that were lost, texts that differ from those computed alone, how long each
waited, whether it was told its place in the queue, and the memory of the server's process.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import psutil
import websockets
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests", "tests/app")]

from support.running_app import running_app  # noqa: E402  # the line above makes them importable
from support.shipped import images_of, shipped  # noqa: E402
from telltale.analysis.analyse import analyse_image, attack_image  # noqa: E402
from telltale.analysis.results import Analysis  # noqa: E402
from telltale.scores.table import draw_test_ids  # noqa: E402
from telltale_app.words import number  # noqa: E402

PATIENCE = 600.0
PAGES = ("", "trajectories", "neighbours", "hidden-state-density")
LESSON = {"lesson": "departing", "step": "2"}
QUEUED = re.compile(r"\d+ ahead in the queue|next in the queue")


@dataclass
class Person:
    """One session: a case of its own and what it was shown.

    Attributes
    ----------
    query : dict of str to str
    expected : tuple of str
        Texts that the workbench must show, as computed alone.
    """

    query: dict[str, str]
    expected: tuple[str, ...] = ()
    seconds: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)

    async def visit(self, address: str, pages: tuple[str, ...], start: asyncio.Barrier) -> None:
        """Open a tab, and these pages in it one after another, beginning with everybody else."""
        url = f"ws{address.removeprefix('http')}/_stcore/stream"
        async with websockets.connect(url, subprotocols=["streamlit"], max_size=None, open_timeout=PATIENCE) as socket:  # type: ignore[list-item]
            await start.wait()
            for page in pages:
                began = time.monotonic()
                await asyncio.wait_for(self._draw(socket, page), PATIENCE)
                self.seconds.append(time.monotonic() - began)
                if page == "":
                    self.problems += [f"not shown: {text}" for text in self.expected if not self._shows(text)]

    def _shows(self, text: str) -> bool:
        return any(text in shown for shown in self.texts)

    async def _draw(self, socket: websockets.ClientConnection, page: str) -> None:
        """Ask for a page and read until the server has drawn it."""
        request = BackMsg()
        request.rerun_script.query_string = urlencode(self.query)
        request.rerun_script.page_name = page
        await socket.send(request.SerializeToString())
        async for data in socket:
            message = ForwardMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self.texts = []
            elif kind == "delta":
                self._take(message.delta)
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return
        self.problems.append("the connection ended")

    def _take(self, delta: Delta) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "markdown":
            self.texts.append(element.markdown.body)
        elif kind == "progress" and QUEUED.search(element.progress.text):
            self.positions.append(element.progress.text)
        elif kind == "exception" or (kind == "alert" and element.alert.format == Alert.ERROR):
            self.problems.append(element.exception.message or element.alert.body)


def people(count: int) -> list[Person]:
    """Return persons with one case each, and what these cases give when computed alone."""
    loaded = shipped()
    usual = loaded.bundle.attack_parameters("pgd")
    ids = draw_test_ids(loaded.bundle.scores, count, seed=7)
    found = []
    for seed, image_id in enumerate(ids):
        image = images_of([image_id])[0]
        attack = attack_image(loaded, image, "pgd", usual, seed=seed)
        settings = "~".join(str(part) for pair in {**usual, "seed": seed}.items() for part in pair).replace(
            "True", "true"
        )
        query = {"bundle": "digits", "image": f"test-{image_id}", "attack": f"pgd~{settings}", "alpha": "0.05"}
        both = (analyse_image(loaded, image), analyse_image(loaded, attack.images[0]))
        found.append(Person(query, tuple(text for analysis in both for text in _readings(analysis))))
    return found


def _readings(analysis: Analysis) -> Iterator[str]:
    for verdict in analysis.verdicts:
        yield (
            f"score {number(verdict.score)}, p = {verdict.p_value:.3f}, threshold {number(verdict.threshold)}"
            if verdict.p_value is not None
            else f"score {number(verdict.score)}; no natural images to compare with"
        )


async def crowd(persons: list[Person], address: str, pages: tuple[str, ...], process: psutil.Process) -> int:
    """Let everybody come at once; return the largest resident memory of the server's process in bytes."""
    start = asyncio.Barrier(len(persons))
    visits = [asyncio.create_task(person.visit(address, pages, start)) for person in persons]
    largest = 0
    while any(not visit.done() for visit in visits):
        largest = max(largest, process.memory_info().rss)
        await asyncio.sleep(0.1)
    for person, visit in zip(persons, visits, strict=True):
        if (error := visit.exception()) is not None:
            person.problems.append(f"lost: {type(error).__name__}: {error}")
    return largest


def report(title: str, persons: list[Person], pages: int, largest: int) -> None:
    """Print what happened to a crowd."""
    lost = sum(len(person.seconds) < pages for person in persons)
    wrong = sum(bool(person.problems) for person in persons)
    first = np.array([person.seconds[0] for person in persons if person.seconds])
    told = sum(bool(person.positions) for person in persons)
    print(f"{title}: {len(persons)} sessions, {lost} lost, {wrong} wrong, {told} told their place in the queue")
    print(f"  first page: median {np.median(first):.1f} s, slowest {first.max():.1f} s")
    later = np.array([seconds for person in persons for seconds in person.seconds[1:]])
    if len(later):
        print(f"  later pages: median {np.median(later):.2f} s, p95 {np.quantile(later, 0.95):.2f} s")
    print(f"  largest resident memory of the server's process: {largest / 2**20:.0f} MiB")
    for person in persons:
        for problem in person.problems[:3]:
            print(f"  {person.query.get('image', '')}: {problem}")


def main() -> None:
    """Run both crowds and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=30)
    arguments = parser.parse_args()
    persons = people(arguments.sessions)
    pupils = [Person(dict(LESSON)) for _ in range(arguments.sessions)]
    with running_app() as app:
        process = psutil.Process(app.pid)
        idle = process.memory_info().rss
        print(f"Before anybody came: {idle / 2**20:.0f} MiB")
        largest = asyncio.run(crowd(persons, app.address, PAGES, process))
        report("A case each", persons, len(PAGES), largest)
        largest = asyncio.run(crowd(pupils, app.address, ("",), process))
        report("One lesson link", pupils, 1, largest)
        if len({tuple(pupil.texts) for pupil in pupils}) != 1:
            print("  not all pupils were shown the same texts")
    if any(person.problems for person in persons + pupils):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
