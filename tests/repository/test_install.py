"""The wheel: what it holds, and that everything works from it alone, in another folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("app", "assets", "core", "docs", "precomputed")
FILES = ("LICENSE", "README.md", "pyproject.toml", "requirements.txt", "setup.py")
LEFTOVERS = shutil.ignore_patterns("__pycache__", ".build", "*.partial", "*.training", "secrets.toml")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@dataclass(frozen=True)
class Installed:
    """Telltale as a wheel leaves it.

    Attributes
    ----------
    packages : Path
        The folder that it was installed to.
    elsewhere : Path
        An unrelated folder, with one image, from which everything is started.
    data : Path
        The person's folder for data.
    """

    packages: Path
    elsewhere: Path
    data: Path

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(self.packages), "XDG_DATA_HOME": str(self.data), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **own, "TELLTALE_WORKERS": "1", "TELLTALE_BUNDLE": "", "OMP_NUM_THREADS": "1"}

    def run(self, *command: str | Path) -> str:
        """Run a command and return what it prints."""
        done = subprocess.run(
            command, cwd=self.elsewhere, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def telltale(self, *arguments: str) -> str:
        """Run the program that the wheel installs."""
        return self.run(sys.executable, self.packages / "bin" / "telltale", *arguments)

    def python(self, code: str) -> str:
        return self.run(sys.executable, "-c", code)

    def content(self) -> dict[str, str]:
        """Return the SHA-256 of every installed file."""
        files = (path for path in self.packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(self.packages)): digest(path) for path in files}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("install")
    source = place / "source"  # a build leaves its own folders beside what it builds
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=LEFTOVERS)
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    (source / "precomputed" / ".build" / "digits-x").mkdir(parents=True)
    (source / "precomputed" / ".build" / "digits-x" / "chunk.safetensors").touch()
    (source / "build" / "lib" / "telltale").mkdir(parents=True)
    (source / "build" / "lib" / "telltale" / "gone.py").touch()  # of an earlier build
    quiet = {"check": True, "cwd": place, "env": {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}}
    build = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "wheels", str(source))
    subprocess.run(build, **quiet)  # type: ignore[call-overload]
    (wheel,) = (place / "wheels").iterdir()
    subprocess.run((*PIP, "install", "--no-deps", "--no-index", "--target", "packages", str(wheel)), **quiet)  # type: ignore[call-overload]
    (place / "elsewhere").mkdir()
    shutil.copy(ROOT / "assets" / "digit.png", place / "elsewhere" / "image.png")
    return Installed(place / "packages", place / "elsewhere", place / "data")


def test_it_installs_two_packages_and_nothing_that_could_collide(installed: Installed) -> None:
    names = {path.name for path in installed.packages.iterdir()}
    (description,) = (name for name in names if name.endswith(".dist-info"))
    assert names == {"telltale", "telltale_app", description, "bin"}
    assert [path.name for path in (installed.packages / "bin").iterdir()] == ["telltale"]


def expected_files() -> dict[str, Path]:
    """Return every file that belongs into the wheel, by its place there, with the one it is made of."""
    parts = {"telltale": "core/telltale", "telltale_app": "app/telltale_app", "telltale/precomputed": "precomputed"}
    found = {}
    for target, source in parts.items():
        for path in (ROOT / source).rglob("*"):
            if path.is_file() and not LEFTOVERS(str(path.parent), [*path.relative_to(ROOT).parts]):
                found[f"{target}/{path.relative_to(ROOT / source).as_posix()}"] = path
    for name in ("icon.svg", "logo.svg"):
        found[f"telltale_app/assets/{name}"] = ROOT / "assets" / name
    found["telltale_app/docs/evaluation-checklist.md"] = ROOT / "docs" / "evaluation-checklist.md"
    for name in ("server.py", ".streamlit/config.toml"):
        found[f"telltale_app/launch/{name}"] = ROOT / "app" / name
    return found


def test_it_holds_every_file_of_the_checkout_unchanged_and_no_other(installed: Installed) -> None:
    expected = {name: digest(path) for name, path in expected_files().items()}
    content = {name: value for name, value in installed.content().items() if name.startswith("telltale")}
    content = {name: value for name, value in content.items() if ".dist-info/" not in name}
    assert content == expected


def test_importing_it_is_light_and_finds_what_ships(installed: Installed) -> None:
    told = installed.python(
        "import sys, telltale; print(telltale.__file__); print(telltale.load_bundle('digits')); print(*sys.modules)"
    ).splitlines()
    assert Path(told[0]).parent == installed.packages / "telltale"
    assert told[1].startswith("<Bundle 'digits': Handwritten digits, 10 classes of 1×32×32")
    assert not {"torch", "streamlit", "telltale_app"} & set(told[2].split())


def test_the_commands_answer_in_another_folder(installed: Installed) -> None:
    assert {row["name"] for row in json.loads(installed.telltale("bundles", "--json"))["bundles"]} == {
        "cifar10",
        "digits",
        "imagenet",
        "signs",
    }
    record = json.loads(installed.telltale("analyse", "image.png", "--json"))
    assert record["prediction"]["label"] == "6" and record["verdicts"] and record["fused"]
    others = ("verify digits", "evaluate digits", "reproduce nnif-table1 --stored", "cases list")
    calls = [[*command.split(), "--json"] for command in others]
    said = installed.python(f"from telltale.cli import main\nfor call in {calls}: assert main(call) == 0")
    verified, evaluated, table, cases = map(json.loads, said.splitlines())
    assert verified["ok"] and evaluated["rows"] and table["cells"] and cases["cases"] == []


def test_help_names_the_program_that_was_typed(installed: Installed) -> None:
    assert installed.telltale("--help").startswith("Usage: telltale [OPTIONS]")
    module = installed.run(sys.executable, "-m", "telltale", "analyse", "--help")
    assert module.startswith("Usage: python -m telltale analyse [OPTIONS]")


def test_training_and_building_leave_the_package_as_it_was(installed: Installed) -> None:
    before = installed.content()
    trained = installed.python(
        "import dataclasses\n"
        "from telltale.models import training\n"
        "recipe = dataclasses.replace(training.get_recipe('digits'), epochs=1)\n"
        "training.get_recipe = lambda name: recipe\n"
        "print(training.train('digits', progress=lambda fraction, message: None))\n"
        "print(training.shipped_weights('digits'))"
    ).split()
    own = installed.data / "telltale" / "precomputed"
    assert trained == [str(own / "weights" / "digits.safetensors")] * 2
    shutil.copytree(ROOT / "precomputed" / "digits", own / "digits")
    assert installed.python("import telltale; print(telltale.load_bundle('digits').folder)").strip() == str(
        own / "digits"
    )
    assert installed.content() == before


def test_its_pages_are_served_and_ctrl_c_ends_them(installed: Installed) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, installed.packages / "bin" / "telltale", "app", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=installed.elsewhere, env=installed.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert awaited(f"{address}/ready", process).startswith('{"ready":true')
        assert "<title>" in awaited(address, process)
        (serving,) = psutil.Process(process.pid).children()
        assert str(installed.packages / "telltale_app" / "launch" / "server.py") in serving.cmdline()
        left = [serving.pid, *(child.pid for child in serving.children(recursive=True))]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        # One line of its own: the settings beside the launcher, which silence Streamlit's, are installed and read.
        assert said.decode() == f"Telltale is at http://localhost:{port}\n"
        assert not [pid for pid in left if psutil.pid_exists(pid)]
    finally:
        process.kill()
        process.wait()


def awaited(address: str, process: subprocess.Popen[bytes]) -> str:
    """Return what an address answers, as soon as it answers 200."""
    for _ in attempts():
        assert process.poll() is None, "the server has ended"
        try:
            with urlopen(address, timeout=10) as answer:
                return str(answer.read().decode())
        except (URLError, OSError):
            continue
    raise AssertionError(f"{address} did not answer")


def attempts(seconds: float = 120.0) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.1)
