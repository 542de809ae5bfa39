"""Every answer says what a browser may do with it, and the owner's addresses are for the owner."""

from __future__ import annotations

import ast
import asyncio
import base64
import hashlib
import html.parser
from pathlib import Path
from typing import Any

import pytest
from streamlit import file_util

from telltale_app import one_address, owner_only, scripts
from telltale_app.security_headers import SecurityHeaders, content_security_policy
from telltale_app.server_address import SCRIPT

APP = Path(__file__).resolve().parents[2] / "app"


def policy() -> dict[str, list[str]]:
    parts = [part.split() for part in content_security_policy().split("; ")]
    return {name: sources for name, *sources in parts}


def answer(
    layer: Any, path: str = "/", given: dict[str, str] | None = None, asked: dict[str, str] | None = None
) -> Any:
    """Return status and headers of what comes through one layer."""
    sent: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.encode(), value.encode()) for name, value in (given or {}).items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in (asked or {}).items()]
    asyncio.run(layer(served)({"type": "http", "method": "GET", "path": path, "headers": headers}, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_every_answer_carries_them_and_keeps_its_own() -> None:
    _, headers = answer(SecurityHeaders)
    assert headers["content-security-policy"] == content_security_policy()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    allowed = dict(part.split("=") for part in headers["permissions-policy"].split(", "))
    assert allowed.pop("camera") == "(self)"
    assert set(allowed.values()) == {"()"} and {"microphone", "geolocation"} <= set(allowed)
    _, headers = answer(SecurityHeaders, given={"content-security-policy": "sandbox"})
    assert headers["content-security-policy"] == "sandbox"


def test_a_websocket_goes_through() -> None:
    met = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        met.append((scope, receive, send))

    for layer in (SecurityHeaders, owner_only.OwnerOnly):
        scope = {"type": "websocket", "path": "/_stcore/metrics", "headers": []}
        asyncio.run(layer(served)(scope, len, len))  # type: ignore[arg-type]
        assert met.pop() == (scope, len, len)


def test_nothing_comes_from_elsewhere_and_no_script_but_those_known_here() -> None:
    found = policy()
    for name, sources in found.items():
        assert not [source for source in sources if "." in source or "*" in source or source.startswith("http")], name
    assert not {"'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"} & set(found["script-src"])
    assert found["frame-ancestors"] == found["base-uri"] == ["'self'"] and found["object-src"] == ["'none'"]


class Scripts(html.parser.HTMLParser):
    """Collects the text of every inline script, by a parser that shares nothing with the policy's own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and "src" not in dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts.append(data)

    def handle_endtag(self, _tag: str) -> None:
        self._inside = False


def test_every_inline_script_of_the_page_is_allowed_by_its_text() -> None:
    page = Path(file_util.get_static_dir(), "index.html").read_text() + SCRIPT.decode()
    texts = [*Scripts(page).texts, *scripts.ALL]
    assert len(texts) >= 3
    for text in texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy()["script-src"], text


def test_pages_run_no_other_script() -> None:
    allowing = [
        (path.name, ast.unparse(node))
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and any(word.arg == "unsafe_allow_javascript" for word in node.keywords)
    ]
    (only,) = allowing
    assert only[0] == "scripts.py" and "<script>{script}</script>" in only[1], "nothing but the text that is allowed"
    assert all(Scripts(f"<script>{text}</script>").texts == [text] for text in scripts.ALL), "whole, to a browser"


def test_a_script_that_is_not_known_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="not one of the scripts"):
        scripts.run("alert(1)")


@pytest.mark.parametrize(
    ("token", "shown", "status"),
    [
        ("", "Bearer ", 404),
        ("", "", 404),
        ("a long enough token", "", 404),
        ("a long enough token", "Bearer another token entirely", 404),
        ("a long enough token", "Basic a long enough token", 404),
        ("short", "Bearer short", 404),
        ("a long enough token", "Bearer a long enough token", 200),
        ("a long enough tokén", "Bearer a long enough tokén", 200),
    ],
)
@pytest.mark.parametrize("base", ["", "/team/telltale"])
def test_metrics_are_for_whoever_shows_the_owners_token(
    token: str, shown: str, status: int, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(owner_only.TOKEN_VARIABLE, token)
    monkeypatch.setattr(one_address, "base_path", lambda: base)
    asked = {"authorization": shown} if shown else {}
    assert answer(owner_only.OwnerOnly, f"{base}/_stcore/metrics", asked=asked)[0] == status
    assert answer(owner_only.OwnerOnly, f"{base}/_stcore/health", asked=asked)[0] == 200
