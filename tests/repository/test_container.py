"""The image's recipe: what goes in, who runs it, and a health check that can fail."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path, PurePosixPath

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
STEPS = [
    (words[0], words[1])
    for line in re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()
    if line.strip() and not line.startswith("#")
    for words in [line.strip().split(maxsplit=1)]
]
KNOWN = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}


def arguments(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def sent(path: str) -> bool:
    """Return whether Docker sends a file to the build: the last pattern that matches it or a parent decides."""
    places = [path, *(str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")]
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = line.startswith("**/")
        if any(fnmatch.fnmatch(PurePosixPath(place).name if anywhere else place, pattern) for place in places):
            kept = line.startswith("!")
    return kept


def test_every_instruction_is_one_and_the_order_holds() -> None:
    steps = [step for step, _ in STEPS]
    assert set(steps) <= KNOWN and steps[0] == "FROM"
    (image,) = arguments("FROM")
    version = image.removeprefix("python:").removesuffix("-slim")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert image == f"python:{project['tool']['mypy']['python_version']}-slim", "the version that is type-checked"
    assert SpecifierSet(project["project"]["requires-python"]).contains(version)
    assert steps.index("USER") > max(place for place, step in enumerate(steps) if step in ("RUN", "COPY"))


def test_it_runs_as_a_user_without_rights() -> None:
    (user,) = arguments("USER")
    assert int(user) > 0
    assert f"--uid {user}" in " ".join(arguments("RUN"))


def test_it_serves_what_the_procfile_serves() -> None:
    shell, flag, command = json.loads(arguments("CMD")[0])
    assert (shell, flag) == ("sh", "-c")
    assert command.removeprefix("exec ") == (ROOT / "Procfile").read_text().strip().removeprefix("web: ")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is not a checkout")
    return listed.stdout.splitlines()


def test_all_that_the_app_reads_goes_in_and_nothing_else() -> None:
    files = tracked()
    folders = ("app/", "core/", "precomputed/")
    needed = [path for path in files if path.startswith(folders)]
    needed += ["requirements.txt", "app/.streamlit/config.toml", "assets/icon.svg", "assets/logo.svg"]
    needed += ["docs/evaluation-checklist.md"]
    assert [path for path in needed if not sent(path)] == []
    extra = {path for path in files if sent(path)} - set(needed)
    assert extra == {"LICENSE"}


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "app/.streamlit/secrets.toml",
        "tests/support/tiny.py",
        "precomputed/.build/x",
        "app/__pycache__/a.pyc",
    ],
)
def test_history_secrets_and_leftovers_stay_out(path: str) -> None:
    assert not sent(path)


@pytest.mark.parametrize(("status", "passes"), [(200, True), (503, False), (None, False)])
@pytest.mark.parametrize(
    ("base", "address"),
    [(None, "/_stcore/health"), ("/team/telltale/", "/team/telltale/_stcore/health")],
    ids=["", "below a path"],
)
def test_the_health_check_asks_the_server_and_believes_it(
    base: str | None, address: str, status: int | None, passes: bool
) -> None:
    environment = {} if base is None else {"STREAMLIT_SERVER_BASE_URL_PATH": base}
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    port = server.server_address[1]
    if status is None:
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    _, _, command = arguments("HEALTHCHECK")[0].partition("CMD ")
    program, *rest = json.loads(command)
    assert program == "python"
    environment["PORT"] = str(port)
    done = subprocess.run([sys.executable, *rest], env=environment, capture_output=True, check=False)
    if status is not None:
        server.shutdown()
        server.server_close()
        assert asked == [address]
    assert (done.returncode == 0) == passes
