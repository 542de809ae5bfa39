"""Nothing is looked up elsewhere: the server, its workers and the browser reach this machine and no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from support.browser import ARGUMENTS, PATIENCE, WIDE, Visit, case_query, chromium, console_line
from support.no_network import without_network
from support.running_app import RunningApp, running_app

ROOT = Path(__file__).resolve().parents[2]
FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def test_whoever_wants_to_go_elsewhere_is_seen_and_cannot(tmp_path: Path) -> None:
    variables, log = without_network(tmp_path)
    code = (
        "import socket, urllib.request as u\n"
        "for address in ('http://example.com/', 'http://192.0.2.1/'):\n"
        "    try: u.urlopen(address, timeout=5)\n"
        "    except OSError: pass\n"
        "    else: raise SystemExit('it went out')\n"
    )
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)
    assert "example.com" in log.read_text() and "192.0.2.1" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["bundles"], ["analyse", "assets/digit.png"], ["evaluate", "digits"]], ids=str)
def test_no_command_looks_anything_up(command: list[str], tmp_path: Path) -> None:
    variables, log = without_network(tmp_path)
    subprocess.run([sys.executable, "-m", "telltale", *command], env=variables, cwd=ROOT, check=True)
    assert log.read_text() == ""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, Path]]:
    chromium()
    variables, log = without_network(tmp_path_factory.mktemp("outside"))
    nothing = str(tmp_path_factory.mktemp("nothing"))
    with running_app(TELLTALE_DATA=nothing, HF_HOME=nothing, TELLTALE_CACHE=nothing, **variables) as app:
        yield app, log


@pytest.fixture(scope="module")
def photographer() -> Iterator[Any]:
    """A browser with a camera that shows a test picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS + FAKE_CAMERA)
        yield browser
        browser.close()


HAS_A_PICTURE = """video => new Promise(
    done => video.readyState >= 2 ? done() : video.addEventListener("loadeddata", () => done())
)"""


@pytest.mark.slow
def test_pages_an_upload_and_the_camera_work_without_a_network_and_without_a_complaint(
    alone: tuple[RunningApp, Path], photographer: Any
) -> None:
    app, log = alone
    page = photographer.new_context(viewport=WIDE).new_page()
    visit, asked = Visit(page), []
    page.on("console", lambda message: visit.complaints.append(console_line(message)))
    page.on("pageerror", lambda error: visit.complaints.append(f"uncaught: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{app.address}/trajectories?{case_query(1500)}", timeout=PATIENCE)
    visit.settle()
    page.get_by_role("link", name="Workbench").click()
    visit.settle()
    page.get_by_text("Upload", exact=True).click()
    page.locator('input[type="file"]').set_input_files(ROOT / "assets" / "digit.png")
    page.wait_for_url("**image=png-**", timeout=PATIENCE)
    visit.settle()
    page.get_by_text("Camera", exact=True).click()
    page.locator("video").evaluate(HAS_A_PICTURE)
    visit.settle()
    page.get_by_role("button", name="Take Photo").click(timeout=PATIENCE)
    page.get_by_role("button", name="Clear photo").wait_for(timeout=PATIENCE)
    visit.settle()
    visit.check()
    assert page.locator("img[src^='blob:'], img[src^='data:'], img[src*='/media/']").count() > 0
    page.context.close()
    loud = [line for line in visit.complaints if line.startswith(("error", "warning", "uncaught"))]
    assert not [line for line in loud if "/media/" not in line], loud
    outside = [url for url in asked if not url.startswith((app.address, "data:", "blob:"))]
    assert outside == []
    assert log.read_text() == ""


@pytest.mark.slow
def test_a_running_server_sends_the_headers_and_tells_strangers_nothing(alone: tuple[RunningApp, Path]) -> None:
    app, _ = alone
    for path in ("/", "/_stcore/health", "/ready", "/favicon.png", "/nowhere"):
        with urlopen(Request(app.address + path, headers={"Accept": "text/html"}), timeout=30) as answer:
            assert "frame-ancestors 'self'" in answer.headers["content-security-policy"], path
            assert answer.headers["x-content-type-options"] == "nosniff", path
    with urlopen(f"{app.address}/_stcore/host-config", timeout=30) as answer:
        told = answer.read().decode()
    assert '"allowedOrigins":[]' in told and "http" not in told
    status = subprocess.run(
        [sys.executable, "-c", f"import urllib.request as u; u.urlopen('{app.address}/_stcore/metrics')"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert "HTTP Error 404" in status.stderr
