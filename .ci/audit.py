"""Ask a public service whether a vulnerability is known of any package that is installed here: `make audit`.

Exit status 0: none but accepted ones; 1: some, each on a line; 2: not everything could be checked, and why. Arguments
are passed on to pip-audit (``--vulnerability-service osv`` asks another service). SECURITY.md says what is done for a
finding.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

ACCEPTED_FILE = Path(__file__).with_name("accepted-vulnerabilities.toml")
ACCEPTED_FOR = timedelta(days=90)
SHORTEST_REASON = 20
OWN = "telltale"
NONE, SOME, UNCHECKED = 0, 1, 2
_ID = re.compile(r"(?:PYSEC|GHSA|CVE)-[0-9A-Za-z-]{4,40}")
_SERVICE_FAILED = re.compile(r"requests\.exceptions\.|pip_audit\._service\.|Could not connect|redirecting")


class ListError(ValueError):
    """The list of accepted findings is not what it should be; the message says where."""


@dataclass(frozen=True)
class Accepted:
    """A finding that is not reported for a while.

    Attributes
    ----------
    id : str
        ``PYSEC-…``, ``GHSA-…`` or ``CVE-…``.
    package : str
    reason : str
        Why it harms nobody here.
    since : date
    """

    id: str
    package: str
    reason: str
    since: date

    def holds(self, today: date) -> bool:
        """Whether it is still accepted."""
        return today <= self.since + ACCEPTED_FOR


def read_accepted(text: str, today: date) -> tuple[Accepted, ...]:
    """Read the list of accepted findings.

    Raises
    ------
    ListError
        If it is no TOML, or an entry lacks an id, a package, a reason or the date since when, or has anything else.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ListError(f"The list of accepted findings is no TOML: {error}.") from error
    entries = raw.pop("accepted", [])
    if raw or not isinstance(entries, list):
        raise ListError("The list of accepted findings holds blocks that start with [[accepted]], and nothing else.")
    found = tuple(_accepted(entry, today) for entry in entries)
    if len({entry.id for entry in found}) < len(found):
        raise ListError("The list of accepted findings holds an id twice.")
    return found


def _accepted(entry: Any, today: date) -> Accepted:
    if not isinstance(entry, dict) or set(entry) != {"id", "package", "reason", "since"}:
        raise ListError(f"An accepted finding has id, package, reason and since, and nothing else. Got {entry}.")
    name, package, reason, since = (entry[key] for key in ("id", "package", "reason", "since"))
    if not (isinstance(name, str) and _ID.fullmatch(name)):
        raise ListError(f"An accepted finding's id reads PYSEC-…, GHSA-… or CVE-…. Got {name!r}.")
    if not (isinstance(package, str) and package):
        raise ListError(f"The package of {name} must be its name. Got {package!r}.")
    if not (isinstance(reason, str) and len(reason.strip()) >= SHORTEST_REASON):
        raise ListError(f"The reason for accepting {name} must be a sentence. Got {reason!r}.")
    if type(since) is not date or since > today:
        raise ListError(f"{name} must be accepted since a day such as 2026-11-30, not after today. Got {since}.")
    return Accepted(name, package, reason, since)


def installed() -> list[str]:
    """Return every package of this environment but Telltale as ``name==version``, without a build's own label."""
    pins = {canonicalize_name(found.metadata["Name"]): Version(found.version).public for found in distributions()}
    return [f"{name}=={version}" for name, version in sorted(pins.items()) if name != OWN]


def ask(pins: Iterable[str], ignored: Iterable[str], arguments: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Let pip-audit ask about packages.

    Returns
    -------
    findings : list of dict
        Packages with what is known of them, as pip-audit writes it.
    problem : str
        Why not everything was checked; ``""`` where it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        listed, answers = Path(folder, "requirements.txt"), Path(folder, "answers.json")
        listed.write_text("\n".join(pins) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
        command += ["--progress-spinner", "off", "--format", "json", "--output", str(answers), "-r", str(listed)]
        command += [word for name in ignored for word in ("--ignore-vuln", name)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        if not answers.is_file():
            return [], _problem(done.stderr)
        packages: list[dict[str, Any]] = json.loads(answers.read_text(encoding="utf-8"))["dependencies"]
    return [package for package in packages if package.get("vulns")], ""


def _problem(stderr: str) -> str:
    if _SERVICE_FAILED.search(stderr):
        return "the service that knows vulnerabilities cannot be reached from here"
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    return re.sub(r"^ERROR:[\w.]+:", "", lines[-1]).rstrip(".") if lines else "pip-audit said nothing"


def lines_of(package: dict[str, Any]) -> list[str]:
    """Return what is known of a package, one line for each finding."""
    return [
        f"{package['name']} {package['version']}: {found['id']}"
        f"{''.join(f', {alias}' for alias in found['aliases'])}, "
        f"{'fixed in ' + ' or '.join(found['fix_versions']) if found['fix_versions'] else 'no version fixes it'}"
        for found in package["vulns"]
    ]


def main(arguments: Sequence[str]) -> int:
    """Check every package and say what was found."""
    today = datetime.now(UTC).date()
    try:
        accepted = read_accepted(ACCEPTED_FILE.read_text(encoding="utf-8"), today)
    except ListError as error:
        sys.stderr.write(f"{error}\n")
        return UNCHECKED
    pins = installed()
    findings, problem = ask(pins, [entry.id for entry in accepted if entry.holds(today)], arguments)
    if problem:
        sys.stderr.write(f"Not everything was checked: {problem}.\n")
        return UNCHECKED
    for entry in accepted:
        word = "is" if entry.holds(today) else "was"
        print(f"{entry.package}: {entry.id} {word} accepted until {entry.since + ACCEPTED_FOR}")
    said = [line for package in findings for line in lines_of(package)]
    print("\n".join([*said, f"{len(pins)} packages checked: {len(said) or 'no'} known vulnerabilities that count."]))
    return SOME if said else NONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
