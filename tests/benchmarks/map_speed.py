"""How fast a map of 50,000 points is drawn, and how soon the picture under the pointer is there, in headless Chromium.

Run it from the root of the repository, on a machine with nothing else to do, with CIFAR-10's images at hand::

    TELLTALE_DATA=FOLDER python tests/benchmarks/map_speed.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.browser import ARGUMENTS, PATIENCE, WIDE, chromium, console_line  # noqa: E402
from support.running_app import SLOWEST_START, free_port  # noqa: E402

FRAMES, POINTED = 300, 100
SLOWEST_FRAME, SLOWEST_PICTURE = 33.0, 50.0  # milliseconds, at the 95th percentile

# Every frame moves the map, or zooms it in and out; answers with the milliseconds between frames, and those that the
# script itself took for a frame.
MOVE = """
async ([canvas, kind, frames]) => {
  const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
  const box = canvas.getBoundingClientRect();
  const at = ([x, y], more) => ({clientX: box.x + x, clientY: box.y + y, bubbles: true, cancelable: true, ...more});
  const between = [];
  if (kind === 'pan') canvas.dispatchEvent(new PointerEvent('pointerdown', at(middle, {shiftKey: true})));
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < frames; frame++) {
    const turn = (2 * Math.PI * frame) / 60;
    if (kind === 'pan') {
      const place = [middle[0] + 120 * Math.sin(turn), middle[1] + 80 * Math.cos(turn)];
      canvas.dispatchEvent(new PointerEvent('pointermove', at(place, {shiftKey: true})));
    } else canvas.dispatchEvent(new WheelEvent('wheel', at(middle, {deltaY: 40 * Math.sign(Math.sin(turn / 2))})));
    const now = await new Promise(requestAnimationFrame);
    between.push(now - last);
    last = now;
  }
  if (kind === 'pan') canvas.dispatchEvent(new PointerEvent('pointerup', at(middle)));
  return between.slice(5);
}
"""

# Moves the pointer and answers with the milliseconds until the picture of a new point is there, decoded.
POINT = """
async ([canvas, tip, x, y]) => {
  const box = canvas.getBoundingClientRect();
  const before = tip.querySelector('img')?.src;
  const start = performance.now();
  canvas.dispatchEvent(new PointerEvent('pointermove', {clientX: box.x + x, clientY: box.y + y, bubbles: true}));
  const picture = tip.querySelector('img');
  if (tip.hidden || !picture || picture.src === before || picture.complete) return null;
  await picture.decode();
  return performance.now() - start;
}
"""


def main() -> int:
    """Print medians and 95th percentiles; 1 where one of them is above what is wanted."""
    from playwright.sync_api import sync_playwright

    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "tests/benchmarks/map_server.py", "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    server = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            taken = measure(browser, f"http://127.0.0.1:{port}")
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
    return report(taken)


def wait_for(address: str) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + SLOWEST_START
    while time.monotonic() < deadline:
        try:
            urlopen(address, timeout=10).close()
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("The server did not answer in time.")


def measure(browser: Any, address: str) -> dict[str, list[float]]:
    """Return the milliseconds of every frame and of every picture, and the page's processor time for one frame."""
    page = browser.new_context(viewport=WIDE).new_page()
    page.on("console", lambda message: print(console_line(message)))
    page.goto(address, timeout=PATIENCE)
    page.wait_for_selector('.map canvas[aria-label="A map"]', timeout=PATIENCE)
    page.wait_for_timeout(2_000)
    canvas, tip = page.query_selector('.map [data-part="over"]'), page.query_selector(".map .tip")
    asked = page.context.new_cdp_session(page)
    asked.send("Performance.enable", {"timeDomain": "threadTicks"})
    taken: dict[str, list[float]] = {}
    for kind in ("pan", "zoom"):
        before = processor_time(asked)
        taken[f"frame, {kind}"] = page.evaluate(MOVE, [canvas, kind, FRAMES])
        taken[f"processor time, {kind}"] = [(processor_time(asked) - before) / FRAMES]
    page.locator('.map [data-tool="all"]').click()
    draws = np.random.default_rng(1)
    box = canvas.bounding_box()
    pictures: list[float] = []
    for _ in range(40 * POINTED):
        place = draws.normal([box["width"] / 2, box["height"] / 2], [120, 90])
        found = page.evaluate(POINT, [canvas, tip, *place.tolist()])
        if found is not None:
            pictures.append(found)
        if len(pictures) == POINTED:
            break
        page.wait_for_timeout(20)
    return {**taken, "pointer to picture": pictures}


def processor_time(asked: Any) -> float:
    """Return the milliseconds of processor time that the page's thread has taken since a session asked first."""
    found = {entry["name"]: entry["value"] for entry in asked.send("Performance.getMetrics")["metrics"]}
    return float(1_000 * found["TaskDuration"])


def report(taken: dict[str, list[float]]) -> int:
    """Print the figures."""
    print(f"{'50,000 points':22} {'n':>5} {'p50, ms':>9} {'p95, ms':>9} {'wanted':>8}")
    late = False
    for what, times in taken.items():
        wanted = SLOWEST_PICTURE if "picture" in what else SLOWEST_FRAME
        p50, p95 = np.quantile(times, [0.5, 0.95])
        late |= bool(p95 > wanted)
        print(f"{what:22} {len(times):5} {p50:9.1f} {p95:9.1f} {wanted:8.0f}")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
