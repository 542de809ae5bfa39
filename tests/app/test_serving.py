"""Where the server says that it is, and whom it ends with."""

from __future__ import annotations

import asyncio
import os

import pytest

from telltale_app import serving


@pytest.mark.parametrize(
    ("listening", "base", "address"),
    [
        (None, "", "http://localhost:8501"),
        ("127.0.0.1", "", "http://localhost:8501"),
        ("0.0.0.0", "", "http://localhost:8501"),
        ("192.0.2.7", "", "http://192.0.2.7:8501"),
        ("::1", "", "http://[::1]:8501"),
        (None, "/telltale/", "http://localhost:8501/telltale"),
    ],
)
def test_the_greeting_names_an_address_that_answers_on_this_machine(
    listening: str | None, base: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"server.address": listening, "server.baseUrlPath": base, "server.port": 8501}
    monkeypatch.setattr(serving.st, "get_option", options.__getitem__)
    assert serving.address() == address


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TELLTALE_WORKERS", "abc"),
        ("TELLTALE_CACHE_MB", "-1"),
        ("TELLTALE_CONTACT", "nobody"),
        ("TELLTALE_SCHEDULER", "here"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_server_with_its_sentence(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.check_settings()
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=rf"Got '{value}'\.$"):
        serving.check_settings()


def test_the_server_sends_its_answers_at_once_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    async def start() -> None:
        async with serving.lifespan(serving.st.App("nothing.py")):
            pass

    monkeypatch.setattr(serving, "send_at_once", enough)  # before anything is started that would have to be ended
    with pytest.raises(Enough):
        asyncio.run(start())


@pytest.mark.parametrize(
    ("starter", "watches"), [("", False), ("1234567", False), (str(os.getppid()), True)], ids=["none", "gone", "parent"]
)
def test_only_a_server_that_the_command_has_started_ends_with_it(
    starter: str, watches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[int] = []
    monkeypatch.setattr(serving, "exit_when_orphaned", watched.append)
    monkeypatch.setenv("TELLTALE_STARTED_BY", starter)
    before = set(serving.threading.enumerate())
    serving.end_with_starter()
    for thread in set(serving.threading.enumerate()) - before:
        thread.join()
    assert watched == ([os.getppid()] if watches else [])
