"""Nothing leaves the machine unasked: who in the source could talk to another one, and where worker processes listen.

That nothing is tried when it runs, `tests/app/test_no_network.py` watches from outside.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator

import psutil
import pytest

from support.source_tree import ROOT, calls, modules, names_read, offenders, sources, tree
from telltale.engine.service import Engine
from telltale.engine.settings import Settings

CORE, APP = ROOT / "core" / "telltale", ROOT / "app" / "telltale_app"

CLIENTS = {
    *("socket", "ssl", "socketserver", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "xmlrpc", "nntplib"),
    *(
        "urllib.request",
        "http.client",
        "http.server",
        "urllib3",
        "requests",
        "httpx",
        "aiohttp",
        "websockets",
        "tornado",
    ),
    *("distributed", "dask.distributed", "huggingface_hub", "datasets", "pooch", "fsspec", "boto3", "paramiko", "grpc"),
    *("webbrowser", "psycopg", "sqlalchemy.create_engine", "sentry_sdk", "opentelemetry"),
}
ALLOWED = {
    # Pairs of sockets between this process and its own decoders.
    CORE / "data" / "messages.py": {"socket"},
    CORE / "models" / "decoders.py": {"socket"},
    CORE / "models" / "decoder_process.py": {"socket"},
    # The command that starts the server asks it whether it is up, and shows it in a browser on this machine.
    CORE / "cli" / "server.py": {"socket", "urllib.request", "webbrowser"},
    # A setting of the sockets that the server has bound; none is opened.
    APP / "prompt_answers.py": {"socket"},
    # The hub, when the owner names a data set or a model there.
    CORE / "data" / "hub.py": {"datasets", "huggingface_hub"},
    CORE / "models" / "hub.py": {"huggingface_hub"},
    # The database of cases, where the owner has named one; a file otherwise.
    CORE / "cases" / "database.py": {"sqlalchemy.create_engine"},
    # Worker processes of this machine, or of the scheduler that the owner has named.
    **{
        CORE / "base" / "remote" / f"{name}.py": {"distributed"} for name in ("connecting", "crew", "errands", "worker")
    },
    **{CORE / "base" / f"{name}.py": {"distributed"} for name in ("cluster", "own_crew", "sealed")},
    **{CORE / "engine" / f"{name}.py": {"distributed"} for name in ("service", "worker_state")},
}


def talks(module: ast.AST) -> set[str]:
    """Return what a file imports or calls by which it could reach another machine."""
    return {*_clients(module), *_fetching(module)}


def _clients(module: ast.AST) -> Iterator[str]:
    for name in {*modules(module), *names_read(module)}:
        yield from (client for client in CLIENTS if name == client or name.startswith(f"{client}."))


def _fetching(module: ast.AST) -> Iterator[str]:
    for name, call in calls(module):
        if re.search(r"(^|\.)(fetch_\w+|urlretrieve|load_state_dict_from_url)$", name):
            yield name
        if name.endswith(".from_pretrained"):
            local = next((word.value for word in call.keywords if word.arg == "local_files_only"), None)
            if not (isinstance(local, ast.Constant) and local.value is True):
                yield "from_pretrained"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import requests", {"requests"}),
        ("def f():\n from urllib.request import urlopen", {"urllib.request"}),
        ("import urllib.request as u\nu.urlopen(x)", {"urllib.request"}),
        ("from urllib.parse import quote", set()),
        ("from http import client", {"http.client"}),
        ("from http.cookies import SimpleCookie", set()),
        ("from sklearn.datasets import load_digits, fetch_openml\nfetch_openml(x)", {"fetch_openml"}),
        ("A.from_pretrained(x)", {"from_pretrained"}),
        ("A.from_pretrained(x, local_files_only=False)", {"from_pretrained"}),
        ("A.from_pretrained(x, local_files_only=True)", set()),
        ("import sqlalchemy as sa\nsa.create_engine(x)", {"sqlalchemy.create_engine"}),
    ],
)
def test_these_rules_see_what_they_are_for(text: str, found: set[str]) -> None:
    assert talks(ast.parse(text)) == found


def test_only_these_files_could_reach_another_machine() -> None:
    found = {path: talks(tree(path)) for path in sources("core", "app")}
    assert not offenders({path: names - ALLOWED.get(path, set()) for path, names in found.items()})
    assert {path: found[path] for path in ALLOWED} == ALLOWED, "what needs no leave any more has none"


@pytest.mark.slow
def test_worker_processes_listen_on_this_machine_alone() -> None:
    engine = Engine(Settings(workers=1, bundle=""))
    engine.start()
    try:
        until = time.monotonic() + 120
        while not engine.ready():
            assert time.monotonic() < until, engine.status()
            time.sleep(0.2)
        places = [
            (child.pid, entry.laddr.ip)
            for child in psutil.Process().children(recursive=True)
            for entry in child.net_connections("inet")
            if entry.status == psutil.CONN_LISTEN
        ]
    finally:
        engine.close()
    assert len({pid for pid, _ in places}) >= 2, "a scheduler and a worker"
    assert {ip for _, ip in places} == {"127.0.0.1"}
