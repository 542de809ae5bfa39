"""`make audit`: what it asks about, which findings are accepted and for how long, what it says without a network."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT, LIST = ROOT / ".ci" / "audit.py", ROOT / ".ci" / "accepted-vulnerabilities.toml"
TODAY = date(2026, 11, 30)
GOOD = {"id": '"PYSEC-2026-1"', "package": '"pip"', "reason": '"Only a wheel that we build passes there."'}
FINDING = {"id": "PYSEC-2026-1", "fix_versions": ["99.1"], "aliases": ["CVE-2026-1"], "description": "a tale"}


@pytest.fixture(scope="module")
def audit() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("audit_of_packages", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def entry(**changes: str) -> str:
    fields = {**GOOD, "since": "2026-11-01", **changes}
    return "[[accepted]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items() if value)


def test_make_knows_it_and_tests_do_without_it() -> None:
    rules = dict(re.findall(r"^([a-z]+):.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert "$(BIN)/python .ci/audit.py" in rules["audit"] and "audit" not in rules["test"]
    assert re.search(r"^audit: \$\(VENV\)/dev\.stamp$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert len([line for line in pins if re.fullmatch(r"pip-audit==\d+\.\d+\.\d+", line)]) == 1


def test_every_accepted_finding_has_a_reason_and_a_date_and_is_not_forgotten(audit: ModuleType) -> None:
    today = datetime.now(UTC).date()
    accepted = audit.read_accepted(LIST.read_text(), today)
    known = {line.partition("==")[0] for line in audit.installed()}
    assert [found for found in accepted if not found.holds(today) or found.package not in known] == []


def test_an_accepted_finding_is_accepted_for_ninety_days(audit: ModuleType) -> None:
    (found,) = audit.read_accepted(entry(), TODAY)
    assert (found.id, found.package, found.since) == ("PYSEC-2026-1", "pip", date(2026, 11, 1))
    assert found.holds(date(2027, 1, 30)) and not found.holds(date(2027, 1, 31))
    assert audit.read_accepted("# nothing\n", TODAY) == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[accepted]", "is no TOML"),
        ("ids = []", "and nothing else"),
        ("accepted = 1", "and nothing else"),
        ("accepted = [1]", "has id, package, reason and since"),
        (entry(reason=""), "has id, package, reason and since"),
        (entry(since=""), "has id, package, reason and since"),
        (entry(until="2027-01-01"), "has id, package, reason and since"),
        (entry(id='"a bug"'), "reads PYSEC-"),
        (entry(package='""'), "must be its name"),
        (entry(reason='"fine"'), "must be a sentence"),
        (entry(since='"2026-11-01"'), "since a day such as"),
        (entry(since="2026-12-01"), "not after today"),
        (entry() + entry(), "an id twice"),
    ],
)
def test_a_list_that_says_too_little_is_refused(audit: ModuleType, text: str, sentence: str) -> None:
    with pytest.raises(audit.ListError, match=sentence):
        audit.read_accepted(text, TODAY)


def test_everything_that_is_installed_is_asked_about(audit: ModuleType) -> None:
    asked = dict(line.split("==") for line in audit.installed())
    pinned = dict(line.lower().split("==") for line in (ROOT / "requirements.txt").read_text().splitlines())
    names = {re.sub(r"[-_.]+", "-", name) for name in pinned}
    assert names <= set(asked) and {"click", "jinja2", "tornado"} <= set(asked), "and what they bring along"
    assert "telltale" not in asked
    assert not [version for version in asked.values() if "+" in version]


STAND_IN = """
import json, sys
from pathlib import Path
Path({seen!r}).write_text(json.dumps(sys.argv[1:]))
{acts}
"""
WRITES = "Path(sys.argv[sys.argv.index('--output') + 1]).write_text({answer!r}); sys.exit({status})"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put something else in pip-audit's place, and return with what it was called."""
    seen, package = tmp_path / "seen", tmp_path / "pip_audit"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def put(acts: str) -> Path:
        (package / "__main__.py").write_text(STAND_IN.format(seen=str(seen), acts=acts))
        return seen

    return put


def answer(*findings: dict[str, Any]) -> str:
    packages = [{"name": "pip", "version": "1.0", "vulns": list(findings)}, {"name": "click", "version": "8"}]
    return WRITES.format(answer=json.dumps({"dependencies": packages, "fixes": []}), status=int(bool(findings)))


def test_what_is_found_is_a_line_each(audit: ModuleType, stand_in: Any, capsys: pytest.CaptureFixture[str]) -> None:
    seen = stand_in(answer(FINDING, FINDING | {"id": "GHSA-a-b", "aliases": [], "fix_versions": []}))
    assert audit.main(["--timeout", "7"]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "pip 1.0: PYSEC-2026-1, CVE-2026-1, fixed in 99.1",
        "pip 1.0: GHSA-a-b, no version fixes it",
    ]
    arguments = json.loads(seen.read_text())
    assert {"--strict", "--no-deps", "--disable-pip"} <= set(arguments) and arguments[-2:] == ["--timeout", "7"]


def test_accepted_ones_are_left_out_as_long_as_they_are(
    audit: ModuleType,
    stand_in: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = tmp_path / "accepted.toml"
    today = datetime.now(UTC).date()
    listed.write_text(entry(since=str(today)) + entry(id='"CVE-2020-1"', since="2020-01-01"))
    monkeypatch.setattr(audit, "ACCEPTED_FILE", listed)
    seen = stand_in(answer())
    assert audit.main([]) == 0
    arguments = json.loads(seen.read_text())
    assert [arguments[at + 1] for at, word in enumerate(arguments) if word == "--ignore-vuln"] == ["PYSEC-2026-1"]
    told = capsys.readouterr().out
    assert "pip: PYSEC-2026-1 is accepted until" in told and "CVE-2020-1 was accepted until 2020-03-31" in told
    assert "no known vulnerabilities" in told
    listed.write_text(entry(reason='"fine"'))
    assert audit.main([]) == 2 and "must be a sentence" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("acts", "sentence"),
    [
        (
            "raise type('ConnectionError', (Exception,), {'__module__': 'requests.exceptions'})('x')",
            "cannot be reached",
        ),
        (
            "sys.exit('ERROR:pip_audit._cli:Could not connect to the feed\\nERROR:pip_audit._cli:Tip: none')",
            "be reached",
        ),
        ("sys.exit('WARNING:a:b\\nERROR:pip_audit._cli:nobody: not found')", "nobody: not found."),
        ("sys.exit(1)", "pip-audit said nothing"),
    ],
)
def test_what_could_not_be_asked_is_one_sentence(
    audit: ModuleType, stand_in: Any, acts: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(acts)
    assert audit.main([]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("Not everything was checked: ") and sentence in told.err
    assert told.err.count("\n") == 1 and told.out == ""


class Service(BaseHTTPRequestHandler):
    """Knows one vulnerability: of the version of pip that is installed."""

    asked: list[str]

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.asked.append(name)
        events = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
        affected = {"package": {"name": "pip", "ecosystem": "PyPI"}, "ranges": [events]}
        known = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "summary": "a tale", "affected": [affected]}
        body = json.dumps({"vulns": [known]} if name == "pip" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.slow
def test_the_real_pip_audit_asks_about_every_package_and_its_answer_is_understood(tmp_path: Path) -> None:
    if importlib.util.find_spec("pip_audit") is None:
        pytest.skip("pip-audit is not installed here: make test installs it.")
    handler = type("Asked", (Service,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        arguments = ["--vulnerability-service", "osv", "--osv-url", address, "--cache-dir", str(tmp_path)]
        found = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
        accepted = subprocess.run(
            [sys.executable, SCRIPT, *arguments, "--ignore-vuln", "CVE-2026-1"],
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert (found.returncode, accepted.returncode) == (1, 0), found.stderr + accepted.stderr
    assert re.search(r"^pip [\d.]+: PYSEC-2026-1, CVE-2026-1, fixed in 99\.1$", found.stdout, re.MULTILINE)
    assert {"pip", "pip-audit", "requests"} <= set(handler.asked)
    gone = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert gone.returncode == 2
    assert (
        gone.stderr
        == "Not everything was checked: the service that knows vulnerabilities cannot be reached from here.\n"
    )
