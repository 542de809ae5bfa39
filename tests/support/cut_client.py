"""The pages' engine and a build's processes, beside each other on one cluster, while a test cuts their network.

``python -m support.cut_client FOLDER`` prints a line whenever readiness changes, and ends when all is done.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Thread

from support import remote_jobs
from telltale.base.processes import Processes, Work
from telltale.engine import Engine

JOBS = 5


def main(folder: Path) -> None:
    engine = Engine()
    building = Thread(target=build, args=(folder,))
    building.start()
    asked, before, begun = None, (), time.monotonic()
    while building.is_alive() or not engine.ready() or asked is None:
        engine.start()
        state = (engine.ready(), engine.status()["reason"])
        if state != before:
            print(f"{time.monotonic() - begun:.0f} ready={state[0]} {state[1]}", flush=True)
            before = state
        if asked is None and (folder / "cut").exists():
            asked = engine.submit("support.engine_tasks:add", a=1, b=2)
        time.sleep(0.2)
    print(f"answered {asked.result(60)}", flush=True)
    engine.close()


def build(folder: Path) -> None:
    with Processes() as processes:
        todo = [folder / str(i) for i in range(JOBS)]
        processes.run(Work(remote_jobs.slow, todo, lambda count, _: print(f"done {count}", flush=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
