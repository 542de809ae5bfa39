"""The files that put a cluster into containers: what they start exists, and what they name is what documents name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from distributed.cli.dask_scheduler import main as dask_scheduler

from telltale.base.remote.address import SCHEDULER_VARIABLE, check_address
from telltale.cli import main
from telltale.cli.program import program

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "cluster"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
TELLTALE = ["python", "-m", "telltale"]


def containers() -> Iterator[tuple[str, list[str] | None, dict[str, str]]]:
    """Yield the name, the command and the environment of every container of both files."""
    for name, service in COMPOSE["services"].items():
        yield f"compose {name}", service.get("command"), service.get("environment", {})
    for thing in KUBERNETES:
        if thing["kind"] == "Deployment":
            (container,) = thing["spec"]["template"]["spec"]["containers"]
            variables = {entry["name"]: entry["value"] for entry in container.get("env", [])}
            yield f"kubernetes {container['name']}", container.get("command"), variables


def commands() -> list[list[str]]:
    """Return every command of both files, and those of deploying.md for the same, without what stands before them."""
    of_files = [command for _, command, _ in containers() if command]
    lines = [line.split(" #")[0].split() for line in DEPLOYING.splitlines()]
    typed = [words for words in lines if {"scheduler", "worker"} & set(words[:4]) and "dask" in words[:2] + words[:1]]
    typed = [words[words.index("dask") :] for words in typed]
    return of_files + typed + [["python", "-m", *words] for words in lines if words[:2] == ["telltale", "worker"]]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_one_and_has_these_options(command: list[str]) -> None:
    if command[:2] == ["dask", "scheduler"]:
        tool, arguments = dask_scheduler, command[2:]
    else:
        assert command[:4] == [*TELLTALE, "worker"]
        tool, arguments = typer.main.get_command(program).commands["worker"], command[4:]  # type: ignore[attr-defined]
        check_address(arguments[arguments.index("--scheduler") + 1], {})
    tool.make_context("x", list(arguments))  # raises where an option is none of its own


def test_both_files_hold_a_scheduler_workers_and_pages() -> None:
    found = [name for name, _, _ in containers()]
    assert found == [
        f"{file} {name}" for file in ("compose", "kubernetes") for name in ("scheduler", "worker", "pages")
    ]
    assert {service["image"] for service in COMPOSE["services"].values()} == {"telltale"}
    assert len(commands()) >= 7


def test_every_variable_is_one_that_documents_name_or_dask_knows() -> None:
    import dask
    import distributed  # noqa: F401  # brings its settings along

    for _, _, variables in containers():
        for name, value in variables.items():
            if name.startswith("DASK_"):
                assert dask.config.get(name.removeprefix("DASK_").lower().replace("__", "."), "none") != "none", name
            else:
                assert f"| `{name}` |" in DEPLOYING, name
            if name == SCHEDULER_VARIABLE:
                check_address(value, {})


def test_whoever_is_named_is_there() -> None:
    (service,) = (host for host in COMPOSE["services"] if host == "scheduler")
    services = [thing["metadata"]["name"] for thing in KUBERNETES if thing["kind"] == "Service"]
    for name, command, variables in containers():
        text = " ".join([*(command or []), *variables.values()])
        for host in re.findall(r"tls://([\w-]+):8786", text):
            assert host in ([service] if name.startswith("compose") else services), name
    labels = {str(thing["spec"]["template"]["metadata"]["labels"]) for thing in KUBERNETES if "template" in str(thing)}
    for thing in KUBERNETES:
        if thing["kind"] == "Service":
            assert str(thing["spec"]["selector"]) in labels


def test_certificates_are_where_dask_looks_for_its_settings_and_run_as_the_image_does() -> None:
    user = re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    for service in COMPOSE["services"].values():
        assert "./tls:/etc/dask:ro" in service["volumes"]
    for thing in KUBERNETES:
        if thing["kind"] == "Deployment":
            pod: dict[str, Any] = thing["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsUser"] == int(user.group(1))
            (container,) = pod["containers"]
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert mounts["tls"] == "/etc/dask" and set(mounts) <= {volume["name"] for volume in pod["volumes"]}


def test_the_addresses_that_are_probed_are_those_that_answer() -> None:
    (pages,) = (
        thing for thing in KUBERNETES if thing["metadata"]["name"] == "telltale" and thing["kind"] == "Deployment"
    )
    (container,) = pages["spec"]["template"]["spec"]["containers"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert f"| `{container[probe]['httpGet']['path']}` |" in DEPLOYING


def test_a_worker_without_a_scheduler_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(SCHEDULER_VARIABLE, raising=False)
    assert main(["worker"]) == 2
    assert capsys.readouterr().err == f"Name the scheduler: --scheduler tls://HOST:PORT, or {SCHEDULER_VARIABLE}.\n"
    assert main(["worker", "--scheduler", "tcp://10.0.0.1:8786"]) == 2
    assert "without TLS" in capsys.readouterr().err
