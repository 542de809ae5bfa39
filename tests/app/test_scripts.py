"""The scripts that pages carry, run in Node with as much of a browser as they touch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import playwright

from telltale_app import scripts

NODE = Path(playwright.__file__).parent / "driver" / "node"
STEPS = 5
BROWSER = """
const bar = {offsetHeight: 80, dataset: {}, style: {setProperty() {}}, scrollTop: 0, scrollBy() {}};
const stApp = {dataset: {testScriptState: 'running'}};
const mark = {dataset: {lessonMove: '0', lessonAnchor: ''}};
const known = {'[data-lesson-move]': mark, '[data-testid=stApp]': stApp, '[data-testid=stSkeleton]': null};
globalThis.window = globalThis;
globalThis.document = {querySelector: name => name in known ? known[name] : bar, getElementById: () => null};
globalThis.getComputedStyle = () => ({top: '60px'});
globalThis.setTimeout = () => 0;
let observing = 0, listening = 0;
globalThis.ResizeObserver = class {
  observe() { observing += 1; }
  disconnect() { observing -= 1; }
};
globalThis.addEventListener = (kind, act, options) => {
  listening += 1;
  options.signal?.addEventListener('abort', () => { listening -= 1; });
};
const counts = [];
"""


def test_a_lesson_step_ends_what_the_step_before_listens_to_and_observes() -> None:
    step = f"mark.dataset.lessonMove += '1'; (0, eval)({json.dumps(scripts.BRING_IN_SIGHT)});"
    program = BROWSER + f"{step} counts.push([observing, listening]);\n" * STEPS
    program += "console.log(JSON.stringify(counts));"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[1, 4]] * STEPS
