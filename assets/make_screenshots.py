"""Make the pictures in README.md: start Telltale, visit pages with Chromium in both themes, write small PNGs.

``python assets/make_screenshots.py [NAME ...]`` from the repository's folder, with the development tools installed and
Debian's ``chromium`` on the path. Without names, every picture is made.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "assets" / "screenshots"
SIZE = {"width": 1440, "height": 1080}
COLOURS = 256  # of the palette: flat pages need no more, and the files become a third
PATIENCE = 180_000  # milliseconds
SECONDS_TO_START = 180
LOOKS = 20
ATTACKED = "bundle=signs"  # the example on which that model opens


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes
    ----------
    page : str
        Path of the page, without leading slash.
    query : str
        The case, and the page's own settings.
    top : str
        Heading that stands at the top; the page's own where empty.
    """

    page: str
    query: str = ATTACKED
    top: str = ""


SHOTS = {
    "workbench": Shot(""),
    "feature-responses": Shot("feature-responses", top="Feature response"),
    "trajectories": Shot("trajectories"),
    "neighbours": Shot("neighbours"),
    "map": Shot("neighbours", top="Where they lie"),
    "detectors": Shot("detectors"),
    "misclassifications": Shot("misclassifications"),
    "lessons": Shot("lessons"),
}


def main(names: list[str]) -> None:
    """Make the named pictures, or all."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is missing: apt-get install chromium.")
    if unknown := set(names) - set(SHOTS):
        sys.exit(f"There is no picture {', '.join(sorted(unknown))}; there are {', '.join(SHOTS)}.")
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(exist_ok=True)
    with server() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")
            for name in names or SHOTS:
                file = FOLDER / f"{name}-{scheme}.png"
                file.write_bytes(small(taken(context.new_page(), f"{address}/{SHOTS[name].page}", SHOTS[name])))
                sys.stdout.write(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB\n")
                sys.stdout.flush()
            context.close()
        browser.close()


@contextmanager
def server() -> Iterator[str]:
    """Run Telltale on a free port, without saved cases of anybody; yields its address once it is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port)]
        place = {"TELLTALE_CASES": f"{folder}/cases.sqlite"}
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | place, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + SECONDS_TO_START
            while not ready(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("Telltale did not start; `make app` and its address /ready say why.")
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ready(address: str) -> bool:
    """Return whether every worker holds the default bundle."""
    try:
        with urlopen(f"{address}/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


def taken(page: Any, address: str, shot: Shot) -> bytes:
    """Return the PNG of one page, taken when nothing moves on it any more."""
    page.goto(f"{address}?{shot.query}", timeout=PATIENCE)
    settle(page)
    if shot.top:
        heading = page.locator(f"h2:has-text('{shot.top}'), h3:has-text('{shot.top}')").first
        heading.evaluate("heading => heading.scrollIntoView()")
        settle(page)
    picture: bytes = page.screenshot()
    page.close()
    return picture


def settle(page: Any) -> None:
    """Wait until the page has run, no skeleton is left, and two looks a second apart show the same, if they ever do."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=PATIENCE)
    page.wait_for_selector("h1", timeout=PATIENCE)
    page.wait_for_function("() => !document.querySelector('[data-testid=\"stSkeleton\"]')", timeout=PATIENCE)
    now = page.screenshot()
    for _ in range(LOOKS):
        page.wait_for_timeout(1000)
        before, now = now, page.screenshot()
        if before == now:
            return


def small(picture: bytes) -> bytes:
    """Return a PNG with a palette, optimised."""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
