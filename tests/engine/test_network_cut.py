"""A cluster over TLS between two network namespaces, whose only cable is pulled for a minute in the middle of work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.certificates import make_certificates
from support.clusters import Cluster, wait_until
from support.cut_client import JOBS

CUT_SECONDS = 60.0
NOTICED_SECONDS = 60.0  # 20 on a machine that has nothing else to do
BACK_SECONDS = 240.0  # on a busy machine a worker's process alone takes one of them to start


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _may_make_namespaces() -> bool:
    name = f"telltale-try-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _may_make_namespaces(), reason="this user may not make network namespaces"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificates, is missing"),
]


@dataclass(frozen=True)
class Cable:
    """Two namespaces, and what connects them."""

    near: str
    far: str

    def run(self, where: str, *words: str) -> None:
        _ip("netns", "exec", where, *words)

    def plug(self, state: str) -> None:
        """Pull the far end out (down), or put it in again (up): packets are lost then, and nobody is told."""
        self.run(self.far, "ip", "link", "set", "cable", state)


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable(f"telltale-near-{os.getpid()}", f"telltale-far-{os.getpid()}")
    try:
        for name in (cable.near, cable.far):
            _ip("netns", "add", name)
        _ip("link", "add", "cable", "netns", cable.near, "type", "veth", "peer", "name", "cable", "netns", cable.far)
        for name, address in ((cable.near, "192.0.2.1/24"), (cable.far, "192.0.2.2/24")):
            cable.run(name, "ip", "address", "add", address, "dev", "cable")
            cable.run(name, "ip", "link", "set", "cable", "up")
            cable.run(name, "ip", "link", "set", "lo", "up")
        yield cable
    finally:
        for name in (cable.near, cable.far):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_pages_and_a_build_outlive_a_network_that_is_cut_for_a_minute(cable: Cable, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    inside = {where: ["ip", "netns", "exec", where] for where in (cable.near, cable.far)}
    cluster = Cluster(
        tmp_path, "tls", certificates, "192.0.2.2", inside=inside[cable.far], workers_inside=inside[cable.near]
    )
    out = tmp_path / "out"
    out.mkdir()
    client = None
    try:
        cluster.start_worker("one")
        environment = cluster.environment | {"TELLTALE_SCHEDULER": cluster.address, "TELLTALE_BUNDLE": ""}
        command = [*inside[cable.near], sys.executable, "-m", "support.cut_client", str(out)]
        with (tmp_path / "client.log").open("wb") as log:
            client = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_until(lambda: "done 1" in cluster.said("client"), told=lambda: cluster.said("client"))
        wait_until(lambda: "ready=True" in cluster.said("client"), told=lambda: cluster.said("client"))
        cable.plug("down")
        cut = time.monotonic()
        wait_until(lambda: _now(cluster) == "False", NOTICED_SECONDS, lambda: cluster.said("client"))
        (out / "cut").touch()
        time.sleep(cut + CUT_SECONDS - time.monotonic())
        assert _now(cluster) == "False", "ready to nobody as long as the cable is out"
        cable.plug("up")
        assert client.wait(BACK_SECONDS) == 0, cluster.said("client")
        print(f"back {time.monotonic() - cut - CUT_SECONDS:.0f} s after the cable", cluster.said("client"))
    finally:
        if client is not None:
            client.kill()
            client.wait()
        cluster.stop()
    said = cluster.said("client")
    assert f"done {JOBS}" in said and "answered 3" in said and _now(cluster) == "True"
    assert len(list(out.glob("[0-9]"))) == JOBS


def _now(cluster: Cluster) -> str:
    return re.findall(r"ready=(\w+)", cluster.said("client"))[-1]
