"""The server as it is deployed: readiness, liveness, its one line of greeting, and what it leaves behind."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil
import pytest

from support.running_app import free_port
from support.theme import CONFIG, contrast
from telltale_app import readiness

ROOT = Path(__file__).resolve().parents[2]
CAPTION_STRENGTH = 0.6  # Streamlit writes captions in the text's colour, see-through
CHOSEN_STRENGTH = 0.1  # and lays the accent over the ground of a chosen segment


class FakeEngine:
    def __init__(self, reason: str) -> None:
        self.reason = reason

    def status(self) -> dict[str, object]:
        return {"ready": not self.reason, "reason": self.reason, "workers": 2, "expected": 2}


@pytest.mark.parametrize(
    ("reason", "code"), [("", 200), ("1 of 2 workers hold the bundle 'digits'; the others are loading it.", 503)]
)
def test_readiness_follows_the_engine(reason: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "get_engine", lambda: FakeEngine(reason))
    response = readiness.Readiness(None).answer()  # type: ignore[arg-type]  # nothing else is asked
    assert response.status_code == code
    assert response.headers["cache-control"] == "no-store"
    assert json.loads(response.body) == {"ready": not reason, "reason": reason, "workers": 2, "expected": 2}


def get(address: str) -> tuple[int, str]:
    try:
        with urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (URLError, ConnectionError):
        return 0, ""


def wait_for(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    start = time.monotonic()
    while not (value := condition()):
        assert time.monotonic() - start < seconds, "gave up waiting"
        time.sleep(0.05)
    return value


@pytest.mark.slow
def test_below_a_base_path_every_address_lies_there_and_redirects_keep_to_it(tmp_path: Path) -> None:
    port = free_port()
    path = "/team/telltale"
    environment = {
        **os.environ,
        "TELLTALE_BUNDLE": "",
        "TELLTALE_WORKERS": "1",
        "TELLTALE_CASES": str(tmp_path / "cases.sqlite"),
        "STREAMLIT_SERVER_BASE_URL_PATH": path,
    }
    command = [sys.executable, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def asked(address: str) -> tuple[int, str, str]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"Host": "telltale.example.org", "X-Forwarded-Proto": "https", "Accept": "text/html"}
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.getheader("location", "")

    try:
        address = f"http://127.0.0.1:{port}{path}"
        seen = set()
        wait_for(lambda: seen.add(get(f"{address}/ready")[0]) or 200 in seen)
        assert 503 in seen and seen <= {0, 200, 503}, "never a page in its place"
        assert json.loads(get(f"{address}/ready")[1])["ready"] is True
        assert get(f"{address}/_stcore/health") == (200, "ok")
        assert "<title>" in get(f"{address}/trajectories")[1]
        assert asked("/ready")[0] == 404, "it lies below the path alone"
        assert asked(f"{path}?alpha=0.2")[::2] == (307, "./telltale/?alpha=0.2")
        assert asked(f"{path}/trajectories/?alpha=0.2")[::2] == (301, "../trajectories?alpha=0.2")
        assert asked(f"{path}/")[:2] == (200, "text/html; charset=utf-8")
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_real_start_serves_at_once_reports_readiness_and_leaves_no_process(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = tmp_path / "log"
    environment = {**os.environ, "TELLTALE_BUNDLE": "", "TELLTALE_WORKERS": "1"}
    command = [sys.executable, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port)]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        seen = set()
        wait_for(lambda: seen.add(get(address + "/ready")[0]) or 200 in seen)
        assert 503 in seen, "the route answers before the workers are there"
        assert seen <= {0, 200, 503}
        assert json.loads(get(address + "/ready")[1])["ready"] is True
        assert get(address + "/_stcore/health") == (200, "ok")
        assert "<title>" in get(address + "/")[1]
        assert f"Telltale is at http://localhost:{port}\n" in log.read_text()
        main = psutil.Process(process.pid)
        libraries = {Path(entry.path).name for entry in main.memory_maps()}
        assert not any(name.startswith("libtorch") for name in libraries), "torch came into the server process"
        left = [child.pid for child in main.children(recursive=True)]
        assert len(left) == 3, "a scheduler, a worker and a decoder"
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in left), 5)
    finally:
        process.kill()
        process.wait()


def blended(over: str, under: str, strength: float) -> str:
    """Return the colour that shows where one lies see-through over another."""
    pairs = [(int(over[at : at + 2], 16), int(under[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(strength * front + (1 - strength) * back):02x}" for front, back in pairs)


def test_the_contrast_formula_agrees_with_the_known_extremes() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_the_white_label_of_a_filled_button_can_be_read_where_there_is_one() -> None:
    assert contrast("#ffffff", CONFIG["theme"]["light"]["primaryColor"]) >= 4.5
    typed = [path for path in (ROOT / "app").rglob("*.py") if 'type="primary"' in path.read_text()]
    assert typed == [], "telltale_app.emphasis knows the theme"


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_accents_and_chart_colours_can_be_read_on_their_background(name: str) -> None:
    theme = CONFIG["theme"][name]
    sidebar = theme["sidebar"]
    surfaces = [part[key] for part in (theme, sidebar) for key in ("backgroundColor", "secondaryBackgroundColor")]
    for surface in surfaces:
        for colour in (theme["textColor"], theme["linkColor"]):
            assert contrast(colour, surface) >= 4.5, (colour, surface)
        caption = blended(theme["textColor"], surface, CAPTION_STRENGTH)
        assert contrast(caption, surface) >= 4.5, (caption, surface)
        assert contrast(theme["primaryColor"], surface) >= 4.5, surface
        chosen = blended(theme["primaryColor"], surface, CHOSEN_STRENGTH)
        assert contrast(theme["primaryColor"], chosen) >= 4.5, "the label of a chosen segment"
    for colour in theme["chartCategoricalColors"]:
        assert contrast(colour, theme["backgroundColor"]) >= 3, colour
    assert len(set(theme["chartCategoricalColors"])) == 8


def test_the_configuration_is_that_of_a_public_server_and_loads_nothing_from_elsewhere() -> None:
    assert CONFIG["browser"] == {"gatherUsageStats": False}
    assert CONFIG["client"]["toolbarMode"] == "viewer"
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert CONFIG["server"]["maxUploadSize"] == 10
    assert CONFIG["server"]["fileWatcherType"] == "none"
    assert CONFIG["server"]["enableXsrfProtection"] is True
    assert "http" not in json.dumps(CONFIG)


CORE = ROOT / "core"


def name_of(package: Path) -> str:
    """Return the name under which Python imports a package, given its ``__init__.py``."""
    return ".".join(package.parent.relative_to(CORE).parts)


def imports_its_own_modules(package: Path) -> bool:
    """Return whether importing a package of this project imports modules inside it."""
    inside, tree = f"{name_of(package)}.", ast.parse(package.read_text())
    return any(isinstance(node, ast.ImportFrom) and (node.module or "").startswith(inside) for node in tree.body)


def test_two_first_visitors_cannot_import_the_same_package_at_once() -> None:
    command = "import sys, telltale_app.serving; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {name_of(path) for path in CORE.rglob("__init__.py") if imports_its_own_modules(path)}
    assert {"telltale.attacks", "telltale.bundle", "telltale.engine"} <= names
    assert names - set(loaded.stdout.split()) == {"telltale.cli"}, "the server never imports the command line"
