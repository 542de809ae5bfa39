"""``telltale app``: what it refuses, what it tells the server, and that nothing is left when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

import telltale
from telltale.base.errors import InputError
from telltale.base.places import PRECOMPUTED
from telltale.cli import main, server

ROOT = Path(__file__).resolve().parents[2]
SLOWEST = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float = SLOWEST) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "gave up waiting"
        time.sleep(0.05)
    return value


def answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The shipped bundle of digits in a folder of its own, as one that a person has built."""
    return Path(shutil.copytree(PRECOMPUTED / "digits", tmp_path / "own" / "digits"))


def test_the_launcher_of_a_checkout_is_found_without_importing_the_pages() -> None:
    code = "import sys; from telltale.cli.server import find_launcher; print(find_launcher()); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert Path(told[0]) == ROOT / "app" / "server.py"
    assert not {"streamlit", "telltale_app", "torch"} & set(told[1].split())


def test_an_installed_launcher_comes_before_a_file_beside_the_package(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "telltale_app"
    for folder in (package, package / "launch", tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / "server.py").touch()
    found = type("Found", (), {"submodule_search_locations": [str(package)]})
    monkeypatch.setattr(server, "find_spec", lambda _: found)
    assert server.find_launcher() == package / "launch" / "server.py"


@pytest.mark.parametrize("missing", ["telltale_app", "streamlit"])
def test_pages_that_are_not_installed_are_one_sentence(missing: str, monkeypatch, capsys) -> None:
    find = server.find_spec
    monkeypatch.setattr(server, "find_spec", lambda name: None if name == missing else find(name))
    assert main(["app"]) == 2
    assert capsys.readouterr().err == (
        "The pages are not installed here: 'pip install .' in Telltale's own folder brings them.\n"
    )


def started_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that a server would be started with."""
    seen: list[Any] = []

    class Ended:
        def __init__(self, command: list[str], env: dict[str, str], **_: object) -> None:
            seen.extend((command, env))

        def poll(self) -> int:
            return 0

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(server.subprocess, "Popen", Ended)
    assert main(["app", *arguments]) == 0
    return seen[0], seen[1]


def test_it_listens_on_this_machine_alone_unless_told_otherwise(monkeypatch) -> None:
    port = str(free_port())
    command, environment = started_with(monkeypatch, "--port", port)
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--server.port") + 1] == port
    assert command[command.index("--server.headless") + 1] == "true"
    assert environment.get("TELLTALE_BUNDLE") == os.environ.get("TELLTALE_BUNDLE")
    command, _ = started_with(monkeypatch, "--port", port, "--host", "0.0.0.0")
    assert command[command.index("--server.address") + 1] == "0.0.0.0"


def test_a_bundle_is_named_to_the_server_and_its_folder_searched_first(monkeypatch, copied: Path) -> None:
    port = str(free_port())
    _, environment = started_with(monkeypatch, "--port", port, "--bundle", "cifar10")
    assert environment["TELLTALE_BUNDLE"] == "cifar10"
    monkeypatch.setenv("TELLTALE_BUNDLES", "/others")
    monkeypatch.chdir(copied.parent)
    for given in (str(copied), "./digits", "./digits/"):
        _, environment = started_with(monkeypatch, "--port", port, "--bundle", given)
        assert environment["TELLTALE_BUNDLE"] == "digits"
        assert environment["TELLTALE_BUNDLES"] == os.pathsep.join((str(copied.parent), "/others"))


def test_a_folder_by_another_name_and_a_damaged_bundle_are_refused(copied: Path, capsys) -> None:
    renamed = copied.rename(copied.with_name("numbers"))
    assert main(["app", "--bundle", str(renamed)]) == 2
    assert capsys.readouterr().err == f"The folder '{renamed}' holds the bundle 'digits': give it that name.\n"
    (renamed / "scores.parquet").write_bytes(b"")
    assert main(["app", "--bundle", str(renamed)]) == 2
    assert "scores.parquet" in capsys.readouterr().err
    with pytest.raises(InputError, match="There is no bundle 'nope'"):
        telltale.app("nope")


def test_an_address_that_cannot_be_used_is_one_sentence(capsys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"Nothing can be served at 127.0.0.1, port {port} (Address already in use)")
    assert complaint.count("\n") == 1
    assert main(["app", "--host", "no such host"]) == 2
    assert "Nothing can be served at no such host" in capsys.readouterr().err
    assert main(["app", "--port", "70000"]) == 2


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://localhost:80"),
        ("::", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("192.0.2.7", "http://192.0.2.7:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_browser_is_sent_to_where_the_server_listens(host: str, address: str) -> None:
    assert server._address(host, 80) == address


def test_below_a_base_path_the_browser_is_sent_there(monkeypatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "/team/telltale/")
    assert server._address("127.0.0.1", 80) == "http://127.0.0.1:80/team/telltale"
    assert server._address("0.0.0.0", 80) == "http://localhost:80/team/telltale"


@contextlib.contextmanager
def typed(port: int, log: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m telltale app`` as from a terminal, in another folder."""
    environment = {**os.environ, "TELLTALE_WORKERS": "1", "TELLTALE_BUNDLE": "", **variables}
    command = [sys.executable, "-m", "telltale", "app", "--port", str(port), *arguments]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_it_opens_the_browser_once_it_answers_and_ctrl_c_ends_everything(tmp_path: Path, copied: Path) -> None:
    port, opened, log = free_port(), tmp_path / "opened", tmp_path / "log"
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!/bin/sh\n{sys.executable} -c \"import urllib.request as u; u.urlopen('$1')\" && echo $1 > {opened}\n"
    )
    browser.chmod(0o755)
    with typed(port, log, "--bundle", str(copied), BROWSER=f"{browser} %s") as process:
        wait_for(lambda: opened.exists() and opened.read_text())
        assert opened.read_text() == f"http://127.0.0.1:{port}\n"
        main_process = psutil.Process(process.pid)
        (serving,) = main_process.children()
        assert serving.environ()["TELLTALE_BUNDLES"].split(os.pathsep)[0] == str(copied.parent)
        listening = {entry.laddr.ip for entry in serving.net_connections("tcp") if entry.laddr.port == port}
        assert listening == {"127.0.0.1"}
        wait_for(lambda: len(main_process.children(recursive=True)) == 3)  # the server, a scheduler and a worker
        left = [child.pid for child in main_process.children(recursive=True)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in left), 10)
    assert log.read_text() == f"Telltale is at http://localhost:{port}\n"


@pytest.mark.slow
def test_a_setting_that_cannot_be_used_is_all_that_is_said(tmp_path: Path) -> None:
    with typed(free_port(), tmp_path / "log", "--no-browser", TELLTALE_CONTACT="nobody") as process:
        assert process.wait(60) != 0
    (said,) = (tmp_path / "log").read_text().splitlines()
    assert said.startswith("The environment variable TELLTALE_CONTACT must be") and said.endswith("Got 'nobody'.")


@pytest.mark.slow
def test_the_server_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with typed(port, tmp_path / "log", "--no-browser") as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}"))
        left = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
        assert left
        process.kill()
        wait_for(lambda: not any(psutil.pid_exists(pid) for pid in left), 30)


@pytest.mark.slow
def test_a_notebook_holds_the_server_and_ends_it(monkeypatch) -> None:
    monkeypatch.setenv("TELLTALE_WORKERS", "1")
    monkeypatch.setenv("TELLTALE_BUNDLE", "")
    port = free_port()
    with telltale.app(port=port, browser=False) as serving:
        wait_for(serving.answers)
        assert repr(serving) == f"<Telltale at http://127.0.0.1:{port}, running; stop() ends it>"
    assert "ended" in repr(serving)
    assert not answers(serving.address)
    serving.stop()
