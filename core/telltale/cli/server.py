"""The pages as a process of their own: found without being imported, started, and ended with all they started."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from telltale.base.errors import InputError
from telltale.bundle import find_bundle, load_bundle
from telltale.bundle.bundle import BUNDLES_VARIABLE

HOST = "127.0.0.1"
PORT = 8501
BUNDLE_VARIABLE = "TELLTALE_BUNDLE"
STARTER_VARIABLE = "TELLTALE_STARTED_BY"
BASE_PATH_VARIABLE = "STREAMLIT_SERVER_BASE_URL_PATH"
ANSWER_SECONDS = 60.0
END_SECONDS = 20.0


class Server:
    """The pages, served by a process of their own until `stop`, or until this process ends.

    Parameters
    ----------
    process : subprocess.Popen
    address : str
        Where a browser on this machine finds the pages.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.address = address

    def __repr__(self) -> str:
        state = "running" if self.process.poll() is None else "ended"
        return f"<Telltale at {self.address}, {state}; stop() ends it>"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answers(self) -> bool:
        """Return whether the web server is up; its workers may still be opening the bundle."""
        try:
            with urlopen(f"{self.address}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def open_browser(self) -> None:
        """Show the pages in the person's browser, once they are there."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if self.answers():
                webbrowser.open(self.address)
                return
            time.sleep(0.1)

    def wait(self) -> int:
        """Wait until the server ends, by itself or by Ctrl-C or a request to terminate, which it is told of.

        Returns
        -------
        int
            Its exit status; 0 where it was asked to end.
        """
        asked = False

        def end(_signal: int, _frame: FrameType | None) -> None:
            nonlocal asked
            (self.process.kill if asked else self.process.terminate)()  # whoever asks twice will not wait
            asked = True

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            status = self.process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0 if asked else status

    def stop(self) -> None:
        """End the server and its workers; a second call does nothing."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(bundle: str | Path | None = None, *, port: int = PORT, host: str = HOST, browser: bool = True) -> Server:
    """Start the pages; see `telltale.app`."""
    launcher = find_launcher()
    environment = _environment(bundle)
    _check_free(host, port)
    # -P: nothing that lies in the folder where this was typed takes the place of a module.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(launcher), "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", host]
    # In a session of its own, Ctrl-C reaches it through `wait` alone, once, and in a notebook not at all.
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    server = Server(process, _address(host, port))
    if browser:
        threading.Thread(target=server.open_browser, name="open-browser", daemon=True).start()
    return server


def find_launcher() -> Path:
    """Return the script that Streamlit runs, without importing it or the pages.

    Raises
    ------
    InputError
        If the pages, or Streamlit, are not installed.
    """
    found = find_spec("telltale_app")
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found is not None else []
    # An installed package brings its launcher along; in a checkout it lies beside the package.
    scripts = [place / "server.py" for folder in folders for place in (folder / "launch", folder.parent)]
    script = next((script for script in scripts if script.is_file()), None)
    if script is None or find_spec("streamlit") is None:
        raise InputError("The pages are not installed here: 'pip install .' in Telltale's own folder brings them.")
    return script


def _environment(bundle: str | Path | None) -> dict[str, str]:
    """Return the server's environment, in which the bundle is found by its name and shown first.

    Raises
    ------
    InputError
        If there is no such bundle, it is damaged, or its folder bears another name.
    """
    environment = os.environ | {STARTER_VARIABLE: str(os.getpid())}
    if bundle is None:
        return environment
    folder, opened = find_bundle(bundle).absolute(), load_bundle(bundle)
    if os.sep not in str(bundle):
        return environment | {BUNDLE_VARIABLE: opened.name}
    if folder.name != opened.name:
        raise InputError(f"The folder '{folder}' holds the bundle '{opened.name}': give it that name.")
    folders = filter(None, (str(folder.parent), os.environ.get(BUNDLES_VARIABLE)))
    return environment | {BUNDLE_VARIABLE: opened.name, BUNDLES_VARIABLE: os.pathsep.join(folders)}


def _check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at, before a server complains at length."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not an address of this machine"
        raise InputError(
            f"Nothing can be served at {host}, port {port} ({reason}): choose another --port or --host."
        ) from error


def _address(host: str, port: int) -> str:
    """Return where a browser on this machine finds the pages of what listens at `host`."""
    base = os.environ.get(BASE_PATH_VARIABLE, "").strip("/")
    path = f"/{base}" if base else ""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:  # a name
        return f"http://{host}:{port}{path}"
    if number.is_unspecified:
        return f"http://localhost:{port}{path}"
    return f"http://[{host}]:{port}{path}" if number.version == 6 else f"http://{host}:{port}{path}"
