"""How long a click takes until something moves, and until the next page with a cached case is drawn.

Run it from the root of the repository, on a machine with nothing else to do::

    python tests/benchmarks/page_switch.py
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("core", "app", "tests")]

from support.browser import ARGUMENTS, PAGES, PATIENCE, WIDE, Visit, chromium  # noqa: E402
from support.running_app import running_app  # noqa: E402

ROUNDS = 5
CASES = {
    "digits": "bundle=digits&attack=pgd~eps~0.1~seed~0",
    "cifar10": "bundle=cifar10&attack=pgd~seed~0",
}

# Clicks a link of the navigation and answers with the milliseconds to the first change and to the drawn page.
SWITCH = """
async ([title, charts]) => {
  const link = [...document.querySelectorAll('[data-testid="stSidebarNavLink"]')]
    .find(e => e.innerText.trim().endsWith(title));
  const start = performance.now();
  let first = null;
  const seen = new MutationObserver(() => { first ??= performance.now() - start; });
  seen.observe(document.body, {childList: true, subtree: true, attributes: true});
  link.click();
  const drawn = () => {
    const app = document.querySelector('[data-testid="stApp"]');
    const head = document.querySelector('[data-testid="stMain"] h1');
    return app.dataset.testScriptState === 'notRunning' && head && head.innerText.trim() === title
      && !document.querySelector('[data-testid="stSkeleton"]')
      && !document.querySelector('[data-stale="true"]')
      && document.querySelectorAll('.js-plotly-plot .main-svg').length >= charts;
  };
  while (!drawn()) {
    if (performance.now() - start > 60000) throw new Error('not drawn: ' + title);
    await new Promise(requestAnimationFrame);
  }
  seen.disconnect();
  return [first, performance.now() - start];
}
"""


def main() -> None:
    """Print one line per model and page, and the 95th percentile of all."""
    from playwright.sync_api import sync_playwright

    with running_app() as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        taken = {name: measure(browser, app.address, query) for name, query in CASES.items()}
        browser.close()
    report(taken)


def measure(browser: Any, address: str, query: str) -> dict[str, list[tuple[float, float]]]:
    """Return per page the milliseconds to the first change and to the drawn page, the first round left out."""
    page = browser.new_context(viewport=WIDE).new_page()
    page.goto(f"{address}/?{query}", timeout=PATIENCE)
    Visit(page).settle()
    charts: dict[str, int] = {}
    taken: dict[str, list[tuple[float, float]]] = {title: [] for title in PAGES}
    for turn in range(ROUNDS + 1):
        for title in [*list(PAGES)[1:], next(iter(PAGES))]:
            first, drawn = page.evaluate(SWITCH, [title, charts.get(title, 0)])
            if turn == 0:
                Visit(page).settle()
                page.wait_for_timeout(1_000)
                charts[title] = page.locator(".js-plotly-plot .main-svg").count()
            else:
                taken[title].append((first, drawn))
            page.wait_for_timeout(300)
    page.context.close()
    return taken


def report(taken: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    """Print the figures."""
    print(f"{'model':10} {'page':26} {'reaction, ms':>14} {'drawn p50, ms':>14} {'drawn p95, ms':>14}")
    every = []
    for model, pages in taken.items():
        for title, pairs in pages.items():
            drawn = [pair[1] for pair in pairs]
            every += drawn
            reaction = max(pair[0] for pair in pairs)
            p95 = float(np.quantile(drawn, 0.95))
            print(f"{model:10} {title:26} {reaction:14.0f} {statistics.median(drawn):14.0f} {p95:14.0f}")
    print(f"all {len(every)} switches: p50 {statistics.median(every):.0f} ms, p95 {np.quantile(every, 0.95):.0f} ms")


if __name__ == "__main__":
    main()
