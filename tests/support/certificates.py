"""Certificates for a cluster, made by the commands that docs/deploying.md gives."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

TLS = "distributed.comm.tls"
ROOT = Path(__file__).resolve().parents[2]


def commands() -> str:
    """Return the shell commands of the one code block in docs/deploying.md that calls openssl."""
    text = (ROOT / "docs" / "deploying.md").read_text()
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "openssl" in block)
    return str(block)


def make_certificates(folder: Path) -> dict[str, str]:
    """Make them in a new folder, and return the environment in which Dask's processes use them."""
    folder.mkdir()
    here = commands().replace("/etc/dask", str(folder / "tls"))
    subprocess.run(["sh", "-ec", here], cwd=folder, check=True, capture_output=True)
    return {"DASK_CONFIG": str(folder / "tls")}


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what `dask.config.set` takes for this process to use what `make_certificates` has made."""
    tls = yaml.safe_load((Path(environment["DASK_CONFIG"]) / "dask.yaml").read_text())["distributed"]["comm"]["tls"]
    client = {f"{TLS}.client.{part}": file for part, file in tls["client"].items()}
    return {f"{TLS}.ca-file": tls["ca-file"], **client}
