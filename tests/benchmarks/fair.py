"""How long one visitor's click takes while another's analyses are waiting: ``python tests/benchmarks/fair.py``.

Both ask the engine directly, as the pages do for their sessions. The click is one analysis, such as that of an image
that was picked; or a whole case from nothing: the natural image's analysis and the attack side by side, then the
attacked image's analysis. Alone, a whole case has both workers to itself, beside others its share of them. Every click
has an image that nobody has asked about before; alone and beside the queue it is repeated in turn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.shipped import correct_test_ids, images_of, shipped  # noqa: E402
from telltale.base.images import FloatImages  # noqa: E402
from telltale.engine import Engine, Job  # noqa: E402
from telltale.engine.settings import Settings  # noqa: E402

BUNDLE, ATTACK, ALPHA = "digits", "pgd", 0.05
PATIENCE = 600.0
WANTED = 2.0


def main(given: Sequence[str] | None = None) -> None:
    """Measure and report; ends with status 1 where one analysis takes more than twice as long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=200, help="analyses of the other visitor")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(given)
    engine, found = Engine(Settings(workers=asked.workers, bundle=BUNDLE)), {}
    try:
        engine.start()
        wait_until(engine.ready)
        images = new_images()
        for name, ask in (("one analysis", one_analysis), ("a whole case", whole_case)):
            ask(engine, "the first", next(images))  # libraries are loaded
            ratios = [measured(engine, images, asked.waiting, ask, f"{name} {turn}") for turn in range(asked.times)]
            found[name] = float(np.median(ratios))
            print(f"{name}: median ratio {found[name]:.2f}, largest {max(ratios):.2f}", flush=True)
    finally:
        engine.close()
    if found["one analysis"] > WANTED:
        raise SystemExit(f"wanted is at most {WANTED:g} for one analysis")


Click = Callable[[Engine, str, FloatImages], object]


def measured(engine: Engine, images: Iterator[FloatImages], waiting: int, ask: Click, name: str) -> float:
    """Return how many times as long a click takes beside a queue as the one before it, alone."""
    began = time.perf_counter()
    ask(engine, f"alone, {name}", next(images))
    alone = time.perf_counter() - began
    deep = [analyse(engine, "deep", next(images)) for _ in range(waiting)]
    wait_until(lambda: any(job.status().state != "queued" for job in deep))
    began = time.perf_counter()
    ask(engine, f"beside, {name}", next(images))
    beside = time.perf_counter() - began
    left = sum(job.status().state == "queued" for job in deep)
    for job in deep:
        job.cancel()
    wait_until(lambda: engine.status()["queued"] == engine.status()["running"] == 0)
    print(f"{name}: alone {alone:.2f} s, beside {beside:.2f} s, when {left} of {waiting} still waited", flush=True)
    return beside / alone


def one_analysis(engine: Engine, owner: str, image: FloatImages) -> object:
    """Wait for the analysis of one image."""
    return analyse(engine, owner, image).result(PATIENCE)


def whole_case(engine: Engine, owner: str, image: FloatImages) -> object:
    """Wait for an image's analysis, an attack on it, and the attacked image's analysis."""
    usual = shipped(BUNDLE).bundle.attack_parameters(ATTACK)
    natural = analyse(engine, owner, image)
    attack = engine.submit(
        "attack", owner=owner, bundle=BUNDLE, image=image, attack=ATTACK, parameters=dict(usual), seed=0, target=None
    )
    attacked = analyse(engine, owner, attack.result(PATIENCE).images[0])
    return natural.result(PATIENCE), attacked.result(PATIENCE)


def analyse(engine: Engine, owner: str, image: FloatImages) -> Job:
    """Ask for the analysis of one image."""
    return engine.submit("analyse", owner=owner, bundle=BUNDLE, image=image, alpha=ALPHA)


def new_images() -> Iterator[FloatImages]:
    """Yield test images without end, each with noise of its own, so that no answer is known already."""
    generator = np.random.default_rng(0)
    every = images_of(correct_test_ids(50))
    while True:
        for image in every:
            noise = generator.integers(-2, 3, image.shape) / 255
            yield np.clip(image + noise, 0, 1).astype(np.float32)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something holds.

    Raises
    ------
    TimeoutError
        If it does not within `PATIENCE` seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up waiting after {PATIENCE:.0f} s")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
