"""Where reports of weaknesses go is the owner's to say: on the page About and where RFC 9116 wants it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.parser import Parser
from typing import Any

import pytest

from support.fake_analysis import FakeEngine
from support.pages import open_app, text_of
from telltale.base.errors import InputError
from telltale_app import one_address
from telltale_app.contact import CONTACT_VARIABLE, SecurityTxt, contact, security_txt

PLACE = "/.well-known/security.txt"


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("", ""),
        ("  ", ""),
        ("security@example.org", "mailto:security@example.org"),
        (" https://example.org/report?from=here ", "https://example.org/report?from=here"),
        ("https://localhost:8443", "https://localhost:8443"),
    ],
)
def test_a_mail_address_or_a_page_is_taken(given: str, uri: str) -> None:
    assert contact({CONTACT_VARIABLE: given}) == uri


@pytest.mark.parametrize(
    "given",
    [
        *("nobody", "@example.org", "a@b", "http://example.org", "javascript:alert(1)", "https://", "https://a b"),
        *(
            "a@example.org\nExpires: never",
            "https://example.org/\r\nContact: x",
            "https://example.org/)[x](javascript:y",
        ),
        *("<b>@example.org", "https://user@example.org", f"https://example.org/{'a' * 200}", "mailto:a@example.org"),
    ],
)
def test_anything_else_is_one_sentence(given: str) -> None:
    with pytest.raises(InputError, match=r"TELLTALE_CONTACT must be an e-mail address or .* https://\. Got") as refused:
        contact({CONTACT_VARIABLE: given})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 350


def test_the_file_says_where_and_until_when() -> None:
    said = Parser().parsestr(security_txt("mailto:a@example.org", datetime(2026, 11, 30, 12, tzinfo=UTC)))
    assert said.items() == [("Contact", "mailto:a@example.org"), ("Expires", "2027-02-28T12:00:00Z")]


def asked(path: str, method: str = "GET") -> tuple[int, str, str]:
    """Return status, type and text of what comes through the middleware."""
    sent: list[Any] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a page"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(SecurityTxt(served)(scope, None, send))  # type: ignore[arg-type]
    kind = dict(sent[0]["headers"]).get(b"content-type", b"").decode()
    return sent[0]["status"], kind, sent[1]["body"].decode()


@pytest.mark.parametrize("base", ["", "/team/telltale"])
def test_the_server_answers_at_the_usual_place(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_address, "base_path", lambda: base)
    monkeypatch.delenv(CONTACT_VARIABLE, raising=False)
    assert asked(base + PLACE)[0] == 404, "never a page in its place"
    monkeypatch.setenv(CONTACT_VARIABLE, "security@example.org")
    status, kind, text = asked(base + PLACE)
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    assert text.startswith("Contact: mailto:security@example.org\nExpires: 20")
    assert asked(f"{base}/security.txt")[2] == asked(base + PLACE, "POST")[2] == "a page"


def test_the_page_about_names_it_where_it_is_set(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONTACT_VARIABLE, raising=False)
    assert "misuse this server" not in text_of(open_app("app_pages/about.py"))
    monkeypatch.setenv(CONTACT_VARIABLE, "security@example.org")
    app = open_app("app_pages/about.py")
    assert not app.exception
    assert "Tell [security@example.org](mailto:security@example.org) before anybody else." in text_of(app)
